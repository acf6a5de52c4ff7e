"""Encodings: found, guessed, declared, kept."""

from __future__ import annotations

import codecs

import pytest

from crmbridge.connectors.files.encoding import looks_chinese
from crmbridge.sdk import FatalError

CHINESE = '编号;名称;备注\r\nK1;北京贸易有限公司;第一行\r\nK2;上海王小明商店;"引号""和;分号\r\n换行"\r\n'
GERMAN = "Nr;Name;Ort\r\n1;Jürgen Müller;Köln\r\n2;René Größmann;Straße am Weißen Bach\r\n"
GERMAN += "3;Bäckerei Österreich;Zürich\r\n"


@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (b"\x84\x31\x95\x33", "gb18030"),
        (b"", "utf-8"),
        (b"", "gb18030"),
    ],
)
def test_found_and_kept_with_its_mark(files, mark, codec):
    path = files.write("p.csv", mark + CHINESE.encode(codec))
    stream = files.stream("p", key="编号")
    assert stream.rows()["K2"] == {"编号": "K2", "名称": "上海王小明商店", "备注": '引号"和;分号\r\n换行'}
    record = stream.update("K1", 名称="東京 🏯 العربية").record
    assert record.data["名称"] == "東京 🏯 العربية"
    assert path.read_bytes() == mark + CHINESE.replace("北京贸易有限公司", "東京 🏯 العربية").encode(codec)


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("1;Ñandú;El Niño\r\n", "cp1252"),
        ("1;Łukasz Żółć;Łódź\r\n", "cp1250"),
        ("1;Иван Петров;Москва\r\n", "cp1251"),
        ("1;山田太郎;東京都\r\n", "cp932"),
        ("1;A、B、C;D、E\r\n", "cp932"),
        ("1;김철수;서울특별시\r\n", "cp949"),
        ("1;王小明貿易有限公司;臺北市\r\n", "big5"),
    ],
)
def test_what_could_be_several_encodings_is_not_guessed(files, text, codec):
    """Wrong letters in names would travel to all other systems."""
    files.write("p.csv", b"Nr;Name;Ort\r\n" + text.encode(codec))
    with pytest.raises(FatalError, match=r"byte 0x.. is not utf-8, .*; declare `encoding:`"):
        files.stream("p", key="Nr").records()
    assert files.stream("p", key="Nr", encoding=codec).rows()["1"]["Name"] == text.split(";")[1]


@pytest.mark.parametrize("value", ["Ñandú", "北京贸易有限公司上海王小明商店" * 3])
def test_a_write_that_would_turn_the_guess_is_not_made(files, value):
    """The first cannot be guessed any more, the second (as mojibake) would be guessed as Chinese."""
    text = "Nr;Name\r\n1;Jürgen\r\n".encode("cp1252")
    path = files.write("p.csv", text)
    if value.isascii() or value[0] > "\xff":
        value = value.encode("gb18030").decode("cp1252")
    with pytest.raises(FatalError, match="read back"):
        files.stream("p", key="Nr").update("1", Name=value)
    assert path.read_bytes() == text
    assert files.stream("p", key="Nr", encoding="cp1252").update("1", Name=value).status == "done"


@pytest.mark.parametrize(
    ("text", "codec", "chinese"),
    [
        ("北京贸易有限公司", "gb18030", True),
        ("王小明，上海市", "gb18030", True),
        ("김철수 서울특별시 삼성전자", "cp949", False),
        ("山田太郎 東京都", "euc_jp", False),
        ("Иван Петров", "cp1251", False),
        ("ÀÈÌÒÙ Ñandú", "cp1252", False),
    ],
)
def test_chinese_is_told_from_what_only_fits_its_bytes(text, codec, chinese):
    assert looks_chinese(text.encode(codec)) == chinese


def test_western_european_is_guessed_and_said(files):
    files.write("p.csv", GERMAN.encode("cp1252"))
    stream = files.stream("p", key="Nr")
    assert stream.rows()["3"]["Name"] == "Bäckerei Österreich"
    texts = [finding.text for finding in stream.connector.check()]
    assert any("cp1252 is a guess" in text for text in texts)


def test_a_declared_encoding_is_taken(files):
    files.write("p.csv", "id,name\n1,Ж\n".encode("koi8-r"))
    assert files.stream("p", key="id", encoding="koi8-r").rows()["1"]["name"] == "Ж"


def test_a_byte_that_does_not_fit_is_named_with_line_and_column(files):
    files.write("p.csv", "id,name\n1,Zoë\n2,J".encode() + b"\xfcrgen\n")
    with pytest.raises(FatalError, match=r"p\.csv:3:4: byte 0xFC is not utf-8"):
        files.stream("p", key="id", encoding="utf-8").records()


def test_one_bad_byte_in_a_utf8_file_is_no_reason_to_guess(files):
    text = "id,name\n1,Zoë Müller Köln\n".encode() + b"2,J\xfcrgen\n"
    files.write("p.csv", text)
    with pytest.raises(FatalError, match=r"p\.csv:3:4: .* though the rest of the file is"):
        files.stream("p", key="id").records()


def test_a_mark_against_the_declaration_is_an_error(files):
    files.write("p.csv", codecs.BOM_UTF8 + b"id,name\n1,a\n")
    with pytest.raises(FatalError, match="declared as gb18030, but the file is utf-8"):
        files.stream("p", key="id", encoding="gb18030").records()


def test_utf16_without_a_mark_has_to_be_declared(files):
    files.write("p.csv", "id,name\n1,Ж\n".encode("utf-16-le"))
    with pytest.raises(FatalError, match="zero bytes"):
        files.stream("p", key="id").records()
    assert files.stream("p", key="id", encoding="utf-16-le").rows()["1"]["name"] == "Ж"


def test_a_character_that_the_encoding_lacks_is_rejected_by_name(files):
    path = files.write("p.csv", GERMAN.encode("cp1252"))
    stream = files.stream("p", key="Nr", encoding="cp1252")
    result = stream.update("1", Name="王")
    assert result.status == "rejected"
    assert "'王' (U+738B) does not exist in cp1252" in result.reason
    assert path.read_bytes() == GERMAN.encode("cp1252")


def test_an_unknown_encoding_is_a_setting_error(files):
    with pytest.raises(ValueError, match="unknown encoding 'utf-99'"):
        files.connect(files={"p": {"encoding": "utf-99"}})
