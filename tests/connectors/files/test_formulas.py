"""Text that a spreadsheet program would run as a formula."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmbridge.connectors.files.formulas import escape, unescape


@given(st.text(st.sampled_from("=+-@'\t\r 0a＝")) | st.text())
def test_every_text_comes_back(text):
    assert unescape(escape(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "+1+cmd",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\rx",
        "  =1",
        "＝1+1",
        "-",
        "'=1",
        "''@x",
    ],
)
def test_formulas_are_escaped(text):
    assert escape(text) == "'" + text


@pytest.mark.parametrize(
    "text", ["-5", "+5", "-1,234.50", "+49 30 1234-0", "+49 (0)30/12.3", "'tis", "a=b", "", "'"]
)
def test_numbers_and_phones_and_harmless_text_stay(text):
    assert escape(text) == text


def test_in_a_file(files):
    path = files.write("p.csv", "id,name,phone\n")
    stream = files.stream("p", key="id")
    record = stream.create(id="1", name='=HYPERLINK("http://evil")', phone="+49 30 12345").record
    assert path.read_text() == 'id,name,phone\n1,"\'=HYPERLINK(""http://evil"")",+49 30 12345\n'
    assert record.data["name"] == '=HYPERLINK("http://evil")'
    assert stream.rows()["1"] == record.data


def test_an_escaped_key_is_found_again(files):
    files.write("p.csv", "id,name\n'=k,a\n")
    stream = files.stream("p", key="id")
    assert stream.update("=k", name="b").status == "done"
    assert stream.rows() == {"=k": {"id": "=k", "name": "b"}}
