"""The built-in codecs: two-way changes of form, used in mappings as `as: NAME` or `as: {NAME: ARGUMENT}`.

A codec with a choice to make (which zone, which separator) is built by a function of its argument; None is
what stands there when the mapping gives no argument. All raise ValueError for an argument or a value that
they cannot work with.

Two sorts. Codecs of form invert: what was encoded decodes to the same. Those that tidy up (lower, strip,
email, phone, instants in UTC) have a normal form: what was encoded decodes to the normal form of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from crmbridge.mapping.countries import country_codec
from crmbridge.mapping.paths import native_text
from crmbridge.mapping.regions import zh_region_codec
from crmbridge.sdk.hookspecs import Codec

__all__ = ["PHONES", "CodecMaker", "TypedText", "builtin_codecs", "phone_codecs"]

CodecMaker = Callable[[Any], Codec]
"""The mapping's argument (None without one) -> the codec."""


class TypedText(str):
    """What a codec writes for a number or a truth value where it is text: `12,50`, `ja`."""

    __slots__ = ("typed",)
    typed: Decimal | bool
    """The value itself, for a system whose cell holds one; see `Operation.typed`."""

    @classmethod
    def of(cls, text: str, typed: Decimal | bool) -> TypedText:
        made = cls(text)
        made.typed = typed
        return made


def builtin_codecs(country: str | None, timezone: str | None) -> Mapping[str, CodecMaker]:
    """All built-in codecs by name.

    country: where phone numbers without a country code are from, ISO 3166-1 alpha-2.
    timezone: the IANA zone of times without an offset.
    """
    return {
        "boolean": _boolean,
        "decimal": _decimal,
        "email": _without_argument(Codec(_email, _email)),
        "epoch_ms": _without_argument(_epoch(1_000)),
        "epoch_s": _without_argument(_epoch(1)),
        "instant": lambda argument: _instant(argument or timezone),
        "integer": _without_argument(Codec(_to_int, _to_int)),
        "iso_country": country_codec,
        "iso_date": _iso_date,
        "lines": _without_argument(Codec(_lines, _join_lines)),
        "lower": _without_argument(Codec(lambda text: _text(text).lower(), lambda text: _text(text).lower())),
        "money_minor_units": _minor_units,
        "split": _split,
        "strip": _without_argument(Codec(_strip, _strip)),
        "upper": _without_argument(Codec(lambda text: _text(text).upper(), lambda text: _text(text).upper())),
        "zh_region": zh_region_codec,
        **phone_codecs(country),
    }


PHONES = frozenset({"e164", "phone"})
"""The codecs that `phone_codecs` makes."""


def phone_codecs(*countries: str | None) -> Mapping[str, CodecMaker]:
    """The codecs of phone numbers. countries: where those without a country code are from, unless the mapping
    says it: the first one that gives out such numbers."""
    return {
        "e164": lambda argument: _phone(_regions(argument, countries), keep=False),
        "phone": lambda argument: _phone(_regions(argument, countries), keep=True),
    }


def _regions(argument: Any, countries: Iterable[str | None]) -> tuple[str, ...]:
    if argument is not None and (not isinstance(argument, str) or not re.fullmatch("[A-Z]{2}", argument)):
        raise ValueError(f"expected a country as ISO 3166-1 alpha-2 (DE, CN), found {native_text(argument)}")
    return (argument,) if argument else tuple(dict.fromkeys(one for one in countries if one))


def _without_argument(codec: Codec) -> CodecMaker:
    def make(argument: Any) -> Codec:
        if argument is not None:
            raise ValueError("this codec takes no argument")
        return codec

    return make


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {native_text(value)}")
    return value


# -- text --------------------------------------------------------------------------------------


def _strip(value: Any) -> str | None:
    return _text(value).strip() or None


def _lines(value: Any) -> list[str]:
    """Any line ends; lines with nothing in them are left out."""
    text = _text(value)
    if "\n" not in text and "\r" not in text:
        return [text] if text.strip() else []
    return [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]


def _join_lines(value: Any) -> str | None:
    lines = [_text(line) for line in value]
    for line in lines:
        if "\n" in line or "\r" in line:
            raise ValueError(f"a line must not contain a line end: {native_text(line)}")
    return "\n".join(line for line in lines if line.strip()) or None


def _split(argument: Any) -> Codec:
    """`as: {split: ";"}`: text with a separator <-> list of texts; a comma without an argument."""
    separator = "," if argument is None else _text(argument)
    if not separator.strip():
        raise ValueError("split needs a separator that is not blank")
    mark = separator.strip()
    glue = f"{mark} " if mark == "," else separator

    def decode(value: Any) -> list[str]:
        return [part.strip() for part in _text(value).split(mark) if part.strip()]

    def encode(value: Any) -> str | None:
        for part in value:
            if mark in _text(part):
                raise ValueError(f"contains the separator {mark!r}: {native_text(part)}")
        return glue.join(part.strip() for part in value if part.strip()) or None

    return Codec(decode, encode)


def _email(value: Any) -> str:
    """Without blanks and `mailto:`, its domain in lower case (RFC 5321, 2.3.11: the local part stays)."""
    address = _text(value).strip().removeprefix("mailto:")
    local, at, domain = address.rpartition("@")
    labels = domain.split(".")
    # An @ in the local part has to be quoted (RFC 5321, 4.1.2).
    doubled = "@" in local and not (local.startswith('"') and local.endswith('"'))
    if not at or not local or doubled or not all(labels) or any(map(str.isspace, address)):
        raise ValueError(f"is no e-mail address: {native_text(value)}")
    return f"{local}@{domain.lower()}"


# The library would read 138****1234 as the number 1381234.
_MASKED = re.compile("[*＊•●×#]")
_E164 = re.compile(r"\+[1-9][0-9]{7,14}")


def _phone(regions: Sequence[str], *, keep: bool) -> Codec:
    """`e164` refuses what is no phone number, `phone` keeps it as it is.

    Numbers without a country code are of the argument's country, else of that of the record's own address or
    of the config's `country`, if numbers like this are given out there: the mobile phone of a customer abroad
    gets no wrong country code.
    """

    asked: Sequence[str | None] = regions or [None]

    def normal(value: Any) -> str:
        text = str(value) if isinstance(value, int) else _text(value).strip()
        parsed = (number for one in asked if (number := _parsed_phone(text, one)))
        found = text if _E164.fullmatch(text) else next(parsed, None)
        if found is None and not keep:
            why = (
                ""
                if regions or text.startswith("+")
                else " without country code: set country in crmbridge.yaml"
            )
            raise ValueError(f"is no phone number{why}: {native_text(value)}")
        return text if found is None else found

    return Codec(normal, normal)


@lru_cache(maxsize=65_536)
def _parsed_phone(text: str, region: str | None) -> str | None:
    import phonenumbers

    if _MASKED.search(text):
        return None
    try:
        number = phonenumbers.parse(text, region, keep_raw_input=True)
    except phonenumbers.NumberParseException:
        return None
    # With an extension it is no E.164 number, and without it another one.
    if number.extension or not phonenumbers.is_possible_number(number):
        return None
    assumed = number.country_code_source == phonenumbers.CountryCodeSource.FROM_DEFAULT_COUNTRY
    if assumed and not phonenumbers.is_valid_number(number):
        return None
    formatted: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return formatted if _E164.fullmatch(formatted) else None


# -- numbers -----------------------------------------------------------------------------------


def _to_int(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError(f"expected a whole number, found {native_text(value)}")
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9]{1,600}\s*", value):
        return int(value)
    raise ValueError(f"expected a whole number, found {native_text(value)}")


def _decimal(argument: Any) -> Codec:
    """`as: {decimal: ","}`: numbers as text with that mark; the other mark, blanks and ' may group digits."""
    mark = "." if argument is None else argument
    if mark not in (".", ","):
        raise ValueError(f"expected the decimal mark: '.' or ',', found {native_text(argument)}")
    group = r"[\s'’" + ("," if mark == "." else ".") + "]"
    shape = re.compile(rf"[-+]?([0-9]{{1,3}}({group}[0-9]{{3}})+|[0-9]+)({re.escape(mark)}[0-9]+)?")

    def decode(value: Any) -> Decimal:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return Decimal(value)
        text = _text(value).strip()
        if not shape.fullmatch(text):
            raise ValueError(f"expected a number with decimal mark {mark!r}, found {native_text(value)}")
        return Decimal(re.sub(group, "", text).replace(mark, "."))

    def encode(value: Any) -> Any:
        number = _exact(value)
        return number if argument is None else TypedText.of(format(number, "f").replace(".", mark), number)

    return Codec(decode, encode)


def _exact(value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"expected a number, found {native_text(value)}") from error
    if isinstance(value, bool) or not number.is_finite():
        raise ValueError(f"expected a number, found {native_text(value)}")
    return number


_YES = frozenset({"true", "yes", "y", "1", "on", "x", "ja", "oui", "是"})
_NO = frozenset({"false", "no", "n", "0", "off", "nein", "non", "否"})


def _boolean(argument: Any) -> Codec:
    """`as: {boolean: [ja, nein]}`: the words for yes and no. Without: common words, written as true/false."""
    if argument is not None and not (isinstance(argument, list) and len(argument) == 2):
        raise ValueError("expected the words for yes and no, as in [ja, nein]")
    yes, no = (None, None) if argument is None else [_word(word) for word in argument]
    yes_words = _YES if yes is None else frozenset({yes.casefold()})
    no_words = _NO if no is None else frozenset({no.casefold()})

    def decode(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        word = str(value).strip().casefold()
        if word not in yes_words and word not in no_words:
            wanted = "yes or no" if argument is None else f"{yes!r} or {no!r}"
            raise ValueError(f"expected {wanted}, found {native_text(value)}")
        return word in yes_words

    def encode(value: Any) -> Any:
        # A value map in front of this codec gives its keys, which are text.
        truth = value if isinstance(value, bool) else decode(value)
        return truth if yes is None else TypedText.of(str(yes if truth else no), truth)

    return Codec(decode, encode)


def _word(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


# ISO 4217: currencies whose minor unit is not a hundredth.
_DIGITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
    "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3, "CLF": 4, "UYW": 4,
}  # fmt: skip


def _minor_units(argument: Any) -> Codec:
    """Amounts in cents. On a field of amount and currency the currency says how many digits those are
    (ISO 4217); `as: {money_minor_units: 2}` fixes them, for systems that count every currency in hundredths.
    """
    if argument is not None and (not isinstance(argument, int) or not 0 <= argument <= 6):
        raise ValueError("expected the number of digits, 0 to 6")

    def shifted(value: Any, places: Callable[[int], int]) -> Any:
        if not isinstance(value, dict):
            if argument is None:
                raise ValueError(
                    "needs the currency: map amount and currency, or say as: {money_minor_units: 2}"
                )
            return _exact(value).scaleb(places(argument))
        currency = value.get("currency")
        if argument is None and currency is None:
            raise ValueError("the amount has no currency")
        digits = _DIGITS.get(str(currency), 2) if argument is None else argument
        return {**value, "amount": _exact(value["amount"]).scaleb(places(digits))}

    def encode(value: Any) -> Any:
        native = shifted(value, lambda digits: digits)
        amount = native["amount"] if isinstance(native, dict) else native
        if amount != amount.to_integral_value():
            raise ValueError("the amount is finer than this system's smallest unit")
        return {**native, "amount": int(amount)} if isinstance(native, dict) else int(amount)

    return Codec(lambda value: shifted(value, lambda digits: -digits), encode)


# -- time --------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _epoch(per_second: int) -> Codec:
    """Whole seconds or milliseconds since 1970 in UTC <-> instant; what is finer is cut off."""

    def decode(value: Any) -> str:
        try:
            return (_EPOCH + timedelta(microseconds=_to_int(value) * (1_000_000 // per_second))).isoformat()
        except OverflowError as error:
            raise ValueError(f"is no time since 1970: {native_text(value)}") from error

    def encode(value: Any) -> int:
        return (_aware(value) - _EPOCH) // timedelta(microseconds=1_000_000 // per_second)

    return Codec(decode, encode)


def _aware(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"the time has no offset: {native_text(value)}")
    return moment


def _instant(argument: Any) -> Codec:
    """`as: {instant: Europe/Berlin}`: wall-clock time of a zone <-> instant. `{instant: {zone: ..., format:
    "%d.%m.%Y %H:%M"}}` says how it is written. An hour that a zone skips or repeats is refused: it is
    no instant, or two.
    """
    options = argument if isinstance(argument, dict) else {"zone": argument}
    if set(options) - {"zone", "format"}:
        raise ValueError("instant takes zone and format")
    name, form = options.get("zone"), options.get("format")
    if not isinstance(name, str):
        raise ValueError("needs a zone: as: {instant: Europe/Berlin}, or timezone in crmbridge.yaml")
    try:
        zone = ZoneInfo(name)
    except (OSError, LookupError, ValueError) as error:
        raise ValueError(f"unknown time zone {name!r}; use a name like Europe/Berlin or UTC") from error

    def decode(value: Any) -> str:
        text = _text(value).strip()
        moment = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007
        if moment.tzinfo is not None:
            return moment.isoformat()
        return _placed(moment, zone, text).isoformat()

    def encode(value: Any) -> str:
        wall = _aware(value).astimezone(zone).replace(tzinfo=None)
        _placed(wall, zone, wall.isoformat(sep=" "))
        return wall.strftime(form) if form else wall.isoformat(sep=" ")

    return Codec(decode, encode)


def _placed(wall: datetime, zone: ZoneInfo, text: str) -> datetime:
    first = wall.replace(tzinfo=zone, fold=0)
    if first.utcoffset() != first.replace(fold=1).utcoffset():
        raise ValueError(f"the clock of {zone.key} shows {text!r} twice or never (summer time)")
    return first


def _iso_date(argument: Any) -> Codec:
    """`as: {iso_date: "%d.%m.%Y"}`: a date in that form (Python's strptime) <-> ISO 8601.

    Without an argument: a date in ISO form, also without dashes or with a time after it, which is dropped.
    """
    if argument is None:
        return Codec(_plain_date, lambda value: date.fromisoformat(_text(value)).isoformat())
    form = _text(argument)
    said = set(re.findall("%[-_^#0-9]*([A-Za-z])", form.replace("%%", "")))
    if said & set("dmbBj") and not said & set("yYGxcDF"):
        # Newer Pythons complain about a form without year in ways of their own.
        raise ValueError(f"the date format {form!r} must say day, month and year")
    sample = date(2031, 12, 28)
    try:
        back = datetime.strptime(sample.strftime(form), form).date()  # noqa: DTZ007 - a day has no zone
    except ValueError as error:
        raise ValueError(f"{form!r} is no date format: {error}") from error
    if back != sample:
        raise ValueError(f"the date format {form!r} must say day, month and year")

    def decode(value: Any) -> str:
        return datetime.strptime(_text(value).strip(), form).date().isoformat()  # noqa: DTZ007

    return Codec(decode, lambda value: date.fromisoformat(_text(value)).strftime(form))


def _plain_date(value: Any) -> str:
    found = re.match(r"\s*(\d{4}-\d{2}-\d{2}|\d{8}(?!\d))", _text(value))
    if found is None:
        raise ValueError(f"expected a date as 2026-03-29, found {native_text(value)}")
    return date.fromisoformat(found.group(1)).isoformat()
