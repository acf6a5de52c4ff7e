"""JSON Lines: order, unknown names and every digit kept."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmbridge.connectors.files.exactjson import dumps, loads
from crmbridge.sdk import FatalError, Operation

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def test_only_the_changed_line_changes(files):
    path = files.write(
        "p.jsonl",
        '{"id": "1", "n": 12345678901234567.890, "big": 123456789012345678901234567890, "x": [1.10]}\r\n'
        "\n"
        '{"name":"B\\u00e9","id":2}\n'
        '  {"id":"3"}',
    )
    stream = files.stream("p", key="id")
    rows = stream.rows()
    assert rows["1"]["n"] == Decimal("12345678901234567.890")
    assert rows["1"]["big"] == 123456789012345678901234567890
    assert rows["2"] == {"name": "Bé", "id": 2}
    stream.update("1", n=Decimal("0.10"), name="王")
    stream.create(id="4", name=None)
    assert path.read_bytes().decode() == (
        '{"id": "1", "n": 0.10, "big": 123456789012345678901234567890, "x": [1.10], "name": "王"}\r\n'
        "\n"
        '{"name":"B\\u00e9","id":2}\n'
        '  {"id":"3"}\n'
        '{"id": "4", "name": null}'
    )


def test_the_last_row_deleted_leaves_a_list_that_can_be_read(files):
    files.write("p.jsonl", '{"id":"1"}\n')
    stream = files.stream("p", key="id")
    stream.delete("1")
    assert stream.rows() == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "not a JSON object"),
        ('{"id":1,"id":2}', "'id' stands twice"),
        ('{"id":NaN}', "NaN is not JSON"),
        ('{"id":"\\ud800"}', "surrogate"),
        ('{"id":' + "[" * 5000 + "]" * 5000 + "}", "nested"),
        ('{"id":1,}', "not valid JSON at column"),
        ('{"name":"x"}', "'id' is empty"),
        ('{"id":{"a":1}}', "'id' is empty"),
    ],
)
def test_a_broken_line_is_rejected_alone(files, line, reason):
    files.write("p.jsonl", f'{{"id":"0"}}\n{line}\n{{"id":"9"}}\n')
    stream = files.stream("p", key="id")
    [reject] = stream.rejects()
    assert reject.position == "p.jsonl:2"
    assert reason in reject.reason
    assert list(stream.rows()) == ["0", "9"]


@pytest.mark.parametrize("content", ["", '{"id":"1"}\n{"id":"2","na'])
def test_a_torn_file_is_an_error(files, content):
    files.write("p.jsonl", content)
    with pytest.raises(FatalError, match=r"p\.jsonl:"):
        files.stream("p", key="id").records()


def test_what_json_cannot_hold_is_rejected(files):
    files.write("p.jsonl", '{"id":"1"}\n')
    stream = files.stream("p", key="id")
    assert stream.update("1", n=Decimal("NaN")).status == "rejected"
    assert stream.update("1", n="\ud800").status == "rejected"


@given(JSON)
def test_json_keeps_every_digit(value):
    assert repr(loads(dumps(value))) == repr(loads(dumps(loads(dumps(value)))))
    assert loads(dumps(value, compact=False)) == value


@given(st.lists(st.dictionaries(TEXT, JSON, max_size=4), max_size=4))
@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_rows_survive_a_round_trip(fresh_folder, rows):
    files = fresh_folder()
    files.write("p.jsonl", "\n")
    stream = files.stream("p", key="id")
    rows = [{**row, "id": f"k{number}"} for number, row in enumerate(rows)]
    results = stream.push(*(Operation(row["id"], "create", data=row) for row in rows))
    assert [result.status for result in results] == ["done"] * len(rows)
    blanked = {
        row["id"]: {k: None if isinstance(v, str) and not v.strip() else v for k, v in row.items()}
        for row in rows
    }
    assert files.stream("p", key="id").rows() == blanked
