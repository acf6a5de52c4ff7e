"""Codecs by example: what is read, what is written, what is refused and what is said then."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from crmbridge.mapping.transforms import TypedText, builtin_codecs
from crmbridge.sdk.hookspecs import Codec

D = Decimal
CODECS = builtin_codecs("DE", "Europe/Berlin")
EURO = {"currency": "EUR"}
CLOCK = {"zone": "Asia/Shanghai", "format": "%d.%m.%Y %H:%M"}


def codec(name: str, argument: Any = None) -> Codec:
    return CODECS[name](argument)


@pytest.mark.parametrize(
    ("name", "argument", "native", "canonical"),
    [
        ("strip", None, " a b ", "a b"),
        ("strip", None, "  ", None),
        ("lower", None, "ÄB", "äb"),
        ("upper", None, "äb", "ÄB"),
        ("lines", None, "a\r\nb\rc\n\nd", ["a", "b", "c", "d"]),
        ("lines", None, "one", ["one"]),
        ("lines", None, "  ", []),
        ("split", None, "a, b,,c", ["a", "b", "c"]),
        ("split", "; ", "a;b ; c", ["a", "b", "c"]),
        ("email", None, " mailto:Ann@Example.ORG", "Ann@example.org"),
        ("email", None, '"a@b"@EXAMPLE.org', '"a@b"@example.org'),
        ("e164", None, 493012345678, "+493012345678"),
        ("e164", None, "+493012345678", "+493012345678"),
        ("e164", "CN", "138 0013 8000", "+8613800138000"),
        ("phone", None, " ext 12 ", "ext 12"),
        ("integer", None, " +12 ", 12),
        ("integer", None, D("3.0"), 3),
        ("integer", None, -7, -7),
        ("decimal", None, "1 234'567.5", D("1234567.5")),
        ("decimal", None, "-0.5", D("-0.5")),
        ("decimal", ",", "1.234,5", D("1234.5")),
        ("decimal", None, 7, D(7)),
        ("boolean", None, " Ja ", True),
        ("boolean", None, "否", False),
        ("boolean", None, 1, True),
        ("boolean", None, False, False),
        ("boolean", ["Y", "-"], "y", True),
        ("boolean", ["Y", "-"], "-", False),
        ("boolean", [True, False], "TRUE", True),
        ("boolean", [1, 0], 0, False),
        ("money_minor_units", None, {"amount": 5, "currency": "EUR"}, {"amount": D("0.05"), **EURO}),
        ("money_minor_units", 3, 1500, D("1.5")),
        ("epoch_s", None, 1_772_452_800, "2026-03-02T12:00:00+00:00"),
        ("epoch_ms", None, "1772452800001", "2026-03-02T12:00:00.001000+00:00"),
        ("epoch_s", None, -1, "1969-12-31T23:59:59+00:00"),
        ("instant", CLOCK, " 02.03.2026 20:00 ", "2026-03-02T20:00:00+08:00"),
        ("instant", "UTC", "2026-03-02T12:00:00-05:00", "2026-03-02T12:00:00-05:00"),
        ("iso_date", None, " 20260302", "2026-03-02"),
        ("iso_date", None, "2026-03-02 23:59", "2026-03-02"),
        ("iso_date", "%d.%m.%Y", " 02.03.2026 ", "2026-03-02"),
    ],
)  # fmt: skip
def test_what_is_read(name: str, argument: Any, native: Any, canonical: Any) -> None:
    found = codec(name, argument).decode(native)
    assert found == canonical
    assert type(found) is type(canonical)


@pytest.mark.parametrize(
    ("name", "argument", "canonical", "native"),
    [
        ("lines", None, ["a", " ", "b"], "a\nb"),
        ("lines", None, [], None),
        ("split", None, ["a", " b ", ""], "a, b"),
        ("split", ";", ["a", "b"], "a;b"),
        ("split", None, [], None),
        ("integer", None, "12", 12),
        ("decimal", None, "1.50", D("1.50")),
        ("decimal", ",", "1234.50", "1234,50"),
        ("decimal", ",", "1E+3", "1000"),
        ("boolean", None, True, True),
        ("boolean", ["ja", "nein"], False, "nein"),
        ("boolean", ["ja", "nein"], "ja", "ja"),
        ("money_minor_units", None, {"amount": "19.99", **EURO}, {"amount": 1999, **EURO}),
        ("money_minor_units", 0, "7", 7),
        ("epoch_s", None, "2026-03-02T13:00:00.9+01:00", 1_772_452_800),
        ("epoch_ms", None, "2026-03-02T12:00:00.0019Z", 1_772_452_800_001),
        ("instant", CLOCK, "2026-03-02T12:00:30Z", "02.03.2026 20:00"),
        ("instant", "Asia/Shanghai", "2026-03-02T12:00:00Z", "2026-03-02 20:00:00"),
        ("iso_date", None, "2026-03-02", "2026-03-02"),
        ("iso_date", "%d.%m.%Y", "2026-03-02", "02.03.2026"),
    ],
)  # fmt: skip
def test_what_is_written(name: str, argument: Any, canonical: Any, native: Any) -> None:
    found = codec(name, argument).encode(canonical)
    assert found == native
    assert type(found) is type(native) or isinstance(found, TypedText)


def test_words_for_numbers_and_truth_values_come_with_what_they_stand_for() -> None:
    assert codec("decimal", ",").encode("1234.50").typed == D("1234.50")
    assert codec("boolean", ["ja", "nein"]).encode(False).typed is False


@pytest.mark.parametrize(
    ("name", "argument", "canonical", "says"),
    [
        ("lines", None, ["a\nb"], "a line must not contain a line end"),
        ("lines", None, ["a\rb"], "a line must not contain a line end"),
        ("split", ";", ["a", "b;c"], "contains the separator ';': 'b;c'"),
        ("split", ";", [7], "expected text, found 7"),
        ("decimal", None, "much", "expected a number, found 'much'"),
        ("decimal", None, True, "expected a number, found true"),
        ("decimal", None, "Infinity", "expected a number, found 'Infinity'"),
        ("money_minor_units", None, {"amount": "0.5", "currency": "JPY"}, "finer than this system"),
        ("money_minor_units", None, {"amount": "1"}, "the amount has no currency"),
        ("money_minor_units", None, "1", "needs the currency"),
        ("epoch_s", None, "2026-03-02T12:00:00", "the time has no offset"),
        ("instant", None, "2026-03-02", "the time has no offset"),
        ("instant", None, "2026-10-25T00:30:00Z", "twice or never"),
        ("iso_date", None, "02.03.2026", "Invalid isoformat string"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(name: str, argument: Any, canonical: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        codec(name, argument).encode(canonical)


@pytest.mark.parametrize(
    ("name", "argument", "native", "says"),
    [
        ("integer", None, True, "expected a whole number, found true"),
        ("integer", None, "1.0", "expected a whole number, found '1.0'"),
        ("integer", None, D("1.5"), "expected a whole number"),
        ("decimal", None, "1,23.5", "expected a number with decimal mark '.'"),
        ("decimal", None, True, "expected text, found true"),
        ("boolean", None, "maybe", "expected yes or no, found 'maybe'"),
        ("boolean", ["ja", "nein"], "yes", "expected 'ja' or 'nein', found 'yes'"),
        ("email", None, "@example.org", "is no e-mail address"),
        ("email", None, "ann@", "is no e-mail address"),
        ("email", None, "ann", "is no e-mail address"),
        ("email", None, "a n@example.org", "is no e-mail address"),
        ("e164", None, "1", "is no phone number: '1'"),
        ("e164", None, "138****1234", "is no phone number: '138****1234'"),
        ("epoch_s", None, 10**30, "is no time since 1970"),
        ("iso_date", None, "202603021", "expected a date as 2026-03-29"),
        ("iso_date", None, "2026-3-2", "expected a date as 2026-03-29"),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, argument: Any, native: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        codec(name, argument).decode(native)


@pytest.mark.parametrize(
    ("name", "argument", "says"),
    [
        ("strip", 1, "this codec takes no argument"),
        ("split", " ", "a separator that is not blank"),
        ("split", 3, "expected text, found 3"),
        ("decimal", ";", "expected the decimal mark: '.' or ',', found ';'"),
        ("boolean", ["ja"], "expected the words for yes and no"),
        ("boolean", "ja", "expected the words for yes and no"),
        ("e164", "de", "expected a country as ISO 3166-1 alpha-2"),
        ("phone", 49, "expected a country as ISO 3166-1 alpha-2"),
        ("money_minor_units", 7, "expected the number of digits, 0 to 6"),
        ("money_minor_units", -1, "expected the number of digits, 0 to 6"),
        ("instant", {"zone": "UTC", "form": "x"}, "instant takes zone and format"),
        ("instant", {"format": "%d"}, "needs a zone"),
        ("instant", "Mars/Olympus", "unknown time zone 'Mars/Olympus'"),
        ("iso_date", "%Q", "'%Q' is no date format"),
        ("iso_date", "%Y", "must say day, month and year"),
        ("iso_date", 7, "expected text, found 7"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(name: str, argument: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        codec(name, argument)


def test_yes_and_no_are_understood_in_many_words() -> None:
    yes = ["true", "yes", "y", "1", "on", "x", "ja", "oui", "是", "TRUE"]
    no = ["false", "no", "n", "0", "off", "nein", "non", "否", "No"]
    assert {codec("boolean").decode(word) for word in yes} == {True}
    assert {codec("boolean").decode(word) for word in no} == {False}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("GB", "UK, Great Britain, England, Scotland, Wales, 英国"),
        ("US", "USA, U.S.A., U.S., United States of America, America"),
        ("NL", "Holland, the Netherlands"),
        ("AE", "UAE"),
        ("KR", "Korea, South Korea, 韩国"),
        ("CN", "P.R. China, PR China, People's Republic of China, PRC, 中华人民共和国, 中国大陆"),
        ("HK", "Hong Kong, 香港"),
        ("MO", "Macau, Macao, 澳门, 澳門"),
        ("TW", "Taiwan, 台湾, 台灣"),
        ("CZ", "Czech Republic"),
        ("DE", "BRD"),
        ("RU", "Russian Federation"),
        ("VN", "Viet Nam"),
        ("TR", "Turkey"),
    ],
)
def test_countries_are_understood_by_what_people_call_them(code: str, names: str) -> None:
    assert {codec("iso_country").decode(f" {name} ") for name in names.split(", ")} == {code}


def test_a_country_is_written_as_the_system_wants_it() -> None:
    assert codec("iso_country").encode("TW") == "TW"
    assert codec("iso_country", "alpha-3").encode("TW") == "TWN"
    assert codec("iso_country", "zh-Hant").encode("TW") == "台灣"
    for argument, says in (
        (None, "is no ISO 3166-1 alpha-2 code: 'QQ'"),
        ("alpha-3", "has no alpha-3 code: 'QQ'"),
        ("de", "has no name in 'de': 'QQ'"),
    ):
        with pytest.raises(ValueError, match=says):
            codec("iso_country", argument).encode("QQ")
    for nowhere in ("ZZ", "XA", "EU", "QQQ"):
        with pytest.raises(ValueError, match=f"is no country: '{nowhere}'"):
            codec("iso_country").decode(nowhere)
    assert codec("iso_country").decode("xk") == "XK"
    with pytest.raises(ValueError, match="unknown language 'xx-none'"):
        codec("iso_country", "xx-none")
    with pytest.raises(ValueError, match="is no country: 'Atlantis'; use a code"):
        codec("iso_country").decode("Atlantis")


def test_a_number_without_country_says_what_to_do_unless_it_has_a_plus() -> None:
    nowhere = builtin_codecs(None, None)["e164"](None)
    with pytest.raises(ValueError, match=r"without country code: set country in crmbridge.yaml: '030"):
        nowhere.decode("030 123456")
    with pytest.raises(ValueError, match=r"is no phone number: '\+1'"):
        nowhere.decode("+1")


def test_minor_units_have_the_digits_of_iso_4217() -> None:
    """List one of ISO 4217, where the minor unit is not a hundredth."""
    digits = {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        2: "EUR USD CNY AED EGP SAR",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }
    form = codec("money_minor_units")
    for number, currencies in digits.items():
        for currency in currencies.split():
            assert form.decode({"amount": 1, "currency": currency})["amount"] == D(10) ** -number, currency
