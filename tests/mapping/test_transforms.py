"""Codecs invert, or tidy up to a normal form; they refuse what they cannot mean."""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crmbridge.mapping.transforms import builtin_codecs
from crmbridge.sdk.hookspecs import Codec

D = Decimal
CODECS = builtin_codecs("DE", "Europe/Berlin")


def codec(name: str, argument: Any = None) -> Codec:
    return CODECS[name](argument)


LINE = st.text(min_size=1).filter(lambda t: t.strip() and not set(t) & set("\n\r"))
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12)
INSTANTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1))  # noqa: DTZ001


@given(st.lists(LINE, min_size=1))
def test_lines_invert(lines: list[str]) -> None:
    assert codec("lines").decode(codec("lines").encode(lines)) == lines


@given(st.lists(st.text(min_size=1).map(str.strip).filter(lambda t: t and ";" not in t), min_size=1))
def test_split_inverts(parts: list[str]) -> None:
    form = codec("split", ";")
    assert form.decode(form.encode(parts)) == parts


@given(st.integers())
def test_integer_inverts(number: int) -> None:
    assert codec("integer").decode(codec("integer").encode(number)) == number


@given(AMOUNTS, st.sampled_from([None, ".", ","]))
def test_decimal_inverts(number: Decimal, mark: str | None) -> None:
    form = codec("decimal", mark)
    assert form.decode(form.encode(number)) == number


@given(st.booleans(), st.sampled_from([None, ["ja", "nein"], ["x", "-"], ["是", "否"]]))
def test_boolean_inverts(truth: bool, words: list[str] | None) -> None:
    form = codec("boolean", words)
    assert form.decode(form.encode(truth)) is truth


@given(AMOUNTS, st.sampled_from(["EUR", "JPY", "KWD", "CNY"]))
def test_minor_units_invert_or_refuse_what_is_too_fine(amount: Decimal, currency: str) -> None:
    form = codec("money_minor_units")
    money = {"amount": str(amount), "currency": currency}
    try:
        native = form.encode(money)
    except ValueError:
        assert currency == "JPY"
        assert amount != amount.to_integral_value()
        return
    assert isinstance(native["amount"], int)
    assert form.decode(native) == {"amount": amount, "currency": currency}


@given(st.dates(min_value=date(1900, 1, 1)), st.sampled_from([None, "%d.%m.%Y", "%Y%m%d", "%m/%d/%Y"]))
def test_dates_invert(day: date, form: str | None) -> None:
    made = codec("iso_date", form)
    assert made.decode(made.encode(day.isoformat())) == day.isoformat()


@given(INSTANTS, st.integers(-14, 14), st.sampled_from(["epoch_s", "epoch_ms"]))
def test_epochs_give_the_same_instant_cut_to_their_grain(wall: datetime, hours: int, name: str) -> None:
    moment = wall.replace(tzinfo=timezone(timedelta(hours=hours)))
    back = datetime.fromisoformat(codec(name).decode(codec(name).encode(moment.isoformat())))
    grain = timedelta(seconds=1) if name == "epoch_s" else timedelta(milliseconds=1)
    assert timedelta(0) <= moment - back < grain


@given(INSTANTS.map(lambda wall: wall.replace(microsecond=0)))
def test_wall_clock_time_gives_the_same_instant_or_is_refused(wall: datetime) -> None:
    form = codec("instant", {"zone": "Europe/Berlin", "format": "%d.%m.%Y %H:%M:%S"})
    moment = wall.replace(tzinfo=UTC)
    try:
        native = form.encode(moment.isoformat())
    except ValueError:
        near = [moment.astimezone(ZoneInfo("Europe/Berlin")) + timedelta(hours=h) for h in (-2, 2)]
        assert near[0].utcoffset() != near[1].utcoffset()
        return
    assert datetime.fromisoformat(form.decode(native)) == moment


@pytest.mark.parametrize("text", ["2026-10-25 02:30:00", "2026-03-29 02:30:00"])
def test_an_hour_that_the_clock_shows_twice_or_never_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="twice or never"):
        codec("instant").decode(text)


def test_an_instant_takes_its_zone_from_the_argument_else_from_the_config() -> None:
    assert codec("instant").decode("2026-01-01 10:00") == "2026-01-01T10:00:00+01:00"
    assert codec("instant", "Asia/Shanghai").decode("2026-01-01 10:00") == "2026-01-01T10:00:00+08:00"
    assert codec("instant").decode("2026-01-01T10:00:00Z") == "2026-01-01T10:00:00+00:00"


@given(st.sampled_from(["lower", "upper", "strip", "email", "phone"]), st.text())
def test_codecs_that_tidy_up_have_a_normal_form(name: str, text: str) -> None:
    form = codec(name)
    try:
        once = form.decode(text)
    except ValueError:
        return
    assume(once is not None)
    try:
        again = form.decode(form.encode(once))
    except ValueError:
        pytest.fail("refuses its own normal form")
    if name in ("strip", "email", "phone"):
        assert again == once
    else:
        assert form.decode(again) == again or text.lower().upper() != text.upper()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("030 / 123456", "+4930123456"),
        ("+49 (0)30 123456", "+4930123456"),
        ("0049 30 123456", "+4930123456"),
        ("+8613800138000", "+8613800138000"),
        ("０３０　１２３４５６", "+4930123456"),
    ],
)
def test_phone_numbers_become_e164(text: str, found: str) -> None:
    assert codec("e164").decode(text) == found
    assert codec("phone").decode(text) == found


def test_a_number_that_the_default_country_does_not_give_out_gets_no_wrong_country_code() -> None:
    assert codec("phone").decode("13812345678") == "13812345678"
    with pytest.raises(ValueError, match="no phone number"):
        codec("e164").decode("13812345678")
    assert codec("phone", "CN").decode("13812345678") == "+8613812345678"


@pytest.mark.parametrize("text", ["zoe@@broken.example", "a@b@c.example", "zoe@.example", "zoe@x..example"])
def test_what_is_no_email_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no e-mail address"):
        codec("email").decode(text)
    assert codec("email").decode('"a@b"@C.example') == '"a@b"@c.example'


def test_a_date_format_without_year_is_refused_by_our_own_rule() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="must say day, month and year"):
            codec("iso_date", "%d.%m. %%Y")


@pytest.mark.parametrize("text", ["138****1234", "call Ann", "12", "030 123456 ext. 7"])
def test_what_is_no_phone_number_is_refused_by_e164_and_kept_by_phone(text: str) -> None:
    with pytest.raises(ValueError, match="no phone number"):
        codec("e164").decode(text)
    assert codec("phone").decode(text) == text


def test_a_number_without_country_needs_one() -> None:
    with pytest.raises(ValueError, match="set country"):
        builtin_codecs(None, None)["e164"](None).decode("030 123456")
    assert CODECS["e164"]("CN").decode("13800138000") == "+8613800138000"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("de", "DE"),
        ("DEU", "DE"),
        ("Germany", "DE"),
        ("Deutschland", "DE"),
        ("ALLEMAGNE", "FR" and "DE"),
        ("德国", "DE"),
        ("德國", "DE"),
        ("ألمانيا", "DE"),
        ("Suisse", "CH"),
        ("中国", "CN"),
        ("UK", "GB"),
        ("United Kingdom", "GB"),
        ("USA", "US"),
        ("The Netherlands", "NL"),
        ("台灣", "TW"),
        ("香港", "HK"),
        ("Côte d’Ivoire", "CI"),
        ("MMR", "MM"),
        ("Türkiye", "TR"),
        ("Congo-Kinshasa", "CD"),
        ("Großbritannien", "GB"),
        ("GROSSBRITANNIEN", "GB"),
        ("England", "GB"),
        ("英国", "GB"),
        ("Holland", "NL"),
        ("荷兰", "NL"),
        ("Vereinigte Staaten", "US"),
        ("Etats-Unis", "US"),
        ("美国", "US"),
        ("Bundesrepublik Deutschland", "DE"),
    ],
)
def test_countries_are_understood_in_many_languages(text: str, code: str) -> None:
    assert codec("iso_country").decode(text) == code


@pytest.mark.parametrize("argument", [None, "alpha-2", "alpha-3", "de", "zh", "ar"])
def test_every_country_inverts_in_every_form(argument: str | None) -> None:
    form = codec("iso_country", argument)
    for code in ["DE", "CN", "US", "GB", "MM", "CD", "CG", "TW", "KP", "KR", "YE", "TL", "RS", "ME", "FR"]:
        assert form.decode(form.encode(code)) == code


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("广东省深圳市南山区", ["广东省", "深圳市", "南山区"]),
        ("北京市朝阳区", ["北京市", None, "朝阳区"]),
        ("内蒙古自治区呼和浩特市新城区", ["内蒙古自治区", "呼和浩特市", "新城区"]),
        (
            "新疆维吾尔自治区巴音郭楞蒙古自治州库尔勒市",
            ["新疆维吾尔自治区", "巴音郭楞蒙古自治州", "库尔勒市"],
        ),
        ("广东/深圳/南山", ["广东", "深圳", "南山"]),
        ("香港特别行政区", ["香港特别行政区", None, None]),
    ],
)
def test_chinese_regions_are_told_apart(text: str, parts: list[str | None]) -> None:
    assert codec("zh_region").decode(text) == parts


REGION = st.text(alphabet="省市区县州广东深圳山海 /", min_size=1, max_size=6) | st.none()


@given(st.lists(REGION, min_size=3, max_size=3), st.sampled_from([None, "/"]))
def test_chinese_regions_invert_or_are_refused(parts: list[str | None], glue: str | None) -> None:
    form = codec("zh_region", glue)
    try:
        text = form.encode(parts)
    except ValueError:
        return
    assert form.decode(text) == parts


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("integer", None, "1.5"),
        ("integer", None, True),
        ("integer", None, "١٢x"),
        ("integer", None, D("1.5")),
        ("decimal", None, "1,5"),
        ("decimal", ",", "1.5"),
        ("decimal", ",", "1.23.456"),
        ("decimal", None, "1e5"),
        ("decimal", None, "NaN"),
        ("boolean", None, "maybe"),
        ("boolean", ["ja", "nein"], "yes"),
        ("iso_date", None, "29.03.2026"),
        ("iso_date", "%d.%m.%Y", "2026-03-29"),
        ("iso_date", None, "2026-02-30"),
        ("epoch_ms", None, "soon"),
        ("epoch_s", None, 10**30),
        ("instant", None, "soon"),
        ("email", None, "ann"),
        ("email", None, "a b@c.d"),
        ("iso_country", None, "Atlantis"),
        ("zh_region", None, "Berlin"),
        ("lower", None, 5),
        ("lines", None, 5),
        ("money_minor_units", None, 5),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_the_value(name: str, argument: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        codec(name, argument).decode(value)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("lines", 3),
        ("decimal", ";"),
        ("boolean", ["ja"]),
        ("split", " "),
        ("iso_date", "%d.%m."),
        ("instant", "Mars/Olympus"),
        ("instant", {"zones": "UTC"}),
        ("e164", "Germany"),
        ("iso_country", "xx-none"),
        ("money_minor_units", "two"),
        ("money_minor_units", 7),
        ("money_minor_units", -1),
        ("zh_region", "x"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(name: str, argument: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        codec(name, argument)


def test_grouped_digits_and_words_are_read() -> None:
    assert codec("decimal", ",").decode("1.234.567,89") == D("1234567.89")
    assert codec("decimal").decode("1,234.5") == D("1234.5")
    assert codec("boolean").decode("Yes") is True
    assert codec("iso_date").decode("20260329") == "2026-03-29"
    assert codec("iso_date").decode("2026-03-29T10:00:00") == "2026-03-29"
    assert codec("money_minor_units", 2).decode({"amount": 500, "currency": "JPY"})["amount"] == D("5")
    assert codec("money_minor_units", 2).decode(1999) == D("19.99")
    assert codec("money_minor_units", 0).decode(1999) == D("1999")
    assert codec("money_minor_units", 6).decode(1999) == D("0.001999")
    assert codec("email").decode(" mailto:Ann@Example.ORG ") == "Ann@example.org"
