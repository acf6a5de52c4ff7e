"""One value -> the form, or the keys, under which equal values meet. The raw value is never replaced.

Version 1. E-mail: RFC 5321 leaves the case of the local part to the host; every large host ignores it.
Phone: ITU-T E.164 by the phonenumbers library where the number says its country.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from crmbridge_schemas.party import country_of

if TYPE_CHECKING:  # it takes its time to load, and not every run meets a number that it must read
    from phonenumbers import PhoneNumber

__all__ = [
    "KEY_LISTS",
    "VERSION",
    "are_other_phones",
    "email_form",
    "identity_keys",
    "is_han",
    "is_placeholder",
    "name_tokens",
    "phone_form",
    "plain",
]

VERSION = 1

PLACEHOLDER_MAILS = frozenset(
    {"na@na.com", "none@none.com", "test@test.com", "noemail@noemail.com", "a@a.com"}
)
PLACEHOLDER_TEXT = frozenset({"", "-", "n/a", "na", "none", "null", "unknown", "无", "暂无", "没有"})
KEY_LISTS = frozenset({"addresses", "contact_points", "identifiers"})
"""The lists that `identity_keys` come from."""
NUMBERS: Mapping[str, str] = {"sku": "identifier", "gtin": "identifier"}
"""The fields beside them, unless a deployment has further ones."""
FOLDED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ħ": "h"}
)
"""Letters that Unicode does not take apart, as people without them on their keyboard write them."""
SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
"""Letters that some write as two: Müller is written Muller and Mueller."""
_DIALLED = re.compile(r"[0-9 ()+./-]*", re.ASCII)
MASKS = ("*", "•", "xxxx", "XXXX")


@lru_cache(maxsize=65536)
def email_form(value: str) -> str:
    """Lower case, without surrounding space."""
    return value.strip().casefold()


@lru_cache(maxsize=65536)
def phone_form(value: str, *regions: str | None) -> str:
    """E.164 where the number is a possible one of its country, otherwise its digits (with a leading +).

    regions: where it may be from if it does not say: the first one that gives out such numbers, else simply
    the first in which it is possible.
    """
    places: list[str | None] = [region for region in dict.fromkeys(regions) if region]
    from phonenumbers import PhoneNumberFormat, format_number, is_valid_number

    possible = [number for region in places or [None] if (number := _possible(value, region)) is not None]
    if not possible:
        return "+" * value.strip().startswith("+") + "".join(c for c in value if c.isdigit())
    given_out = (one for one in possible if len(possible) > 1 and is_valid_number(one))
    number = next(given_out, possible[0])
    return format_number(number, PhoneNumberFormat.E164)


def _possible(value: str, region: str | None) -> PhoneNumber | None:
    from phonenumbers import NumberParseException, is_possible_number, parse

    try:
        number = parse(value, region)
    except NumberParseException:
        return None
    return number if is_possible_number(number) else None


def are_other_phones(one: str, other: str) -> bool:
    """Whether two values are surely not one phone number, without reading them: both are plainly numbers with
    area codes, and they end differently. Where this cannot say, their `phone_form` does."""
    if not (_DIALLED.fullmatch(one) and _DIALLED.fullmatch(other)):
        return False
    first, second = ("".join(c for c in value if c.isdigit()) for value in (one, other))
    return min(len(first), len(second)) >= 8 and first[-4:] != second[-4:]


def plain(text: str, *, spelled_out: bool = False) -> str:
    """Without accents, in lower case (NFKD). spelled_out: an umlaut is two letters, as in Mueller."""
    if spelled_out:
        text = unicodedata.normalize("NFC", text).casefold().translate(SPELLED_OUT)
    folded = unicodedata.normalize("NFKD", text).casefold().translate(FOLDED)
    return "".join(c for c in folded if not unicodedata.combining(c))


def name_tokens(name: str, *, spelled_out: bool = False) -> frozenset[str]:
    """The words of a name, without accents; each Han character is a word."""
    words = "".join(c if c.isalnum() else " " for c in plain(name, spelled_out=spelled_out))
    tokens: set[str] = set()
    for word in words.split():
        if any(is_han(c) for c in word):
            tokens.update(word)
        else:
            tokens.add(word)
    return frozenset(tokens)


def is_han(char: str) -> bool:
    """Whether the character is a Han ideograph (Unicode blocks CJK Unified and extensions)."""
    return "㐀" <= char <= "鿿" or "𠀀" <= char <= "𯨟"


def is_placeholder(value: str) -> bool:
    """A filler or masked value: it says nothing about who somebody is."""
    text = value.strip().casefold()
    if text in PLACEHOLDER_TEXT or any(mask in value for mask in MASKS):
        return True
    digits = "".join(c for c in text if c.isdigit())
    return (
        bool(digits) and len(digits) == len(text.replace("-", "").replace(" ", "")) and len(set(digits)) == 1
    )


def identity_keys(
    doc: Mapping[str, Any], *, region: str | None = None, fields: Mapping[str, str] = NUMBERS
) -> Iterator[str]:
    """The exact keys of a party or product: checked e-mail, E.164 phone, tax id, declared identifiers.

    A key is `KIND:VALUE`. A phone number that does not say its country is from that of the party's own
    address, else from `region`. `fields`: the fields beside the lists, and the kind of evidence that each
    is, as `Shape.evidence` says. Placeholders and masked values yield none, nor does a contact point that the
    source marks as masked.
    """
    regions = (country_of(doc), region)
    for point in doc.get("contact_points") or ():
        yield from _contact_keys(point, regions)
    for identifier in doc.get("identifiers") or ():
        value, scheme = identifier.get("value"), identifier.get("scheme")
        if value and not is_placeholder(value):
            form = "".join(value.split()).upper()
            yield f"id:{scheme}:{identifier.get('issuer') or ''}:{form}"
    for name, kind in fields.items():
        value = doc.get(name)
        if value is None:
            continue
        if kind in ("email", "phone"):
            yield from _contact_keys({"type": kind, "value": value}, regions)
        elif not is_placeholder(str(value)):
            yield f"id:{name}::{str(value).strip().upper()}"


def _contact_keys(point: Mapping[str, Any], regions: Sequence[str | None]) -> Iterator[str]:
    value, kind = point.get("value"), point.get("type")
    if not value or point.get("masked") or is_placeholder(value):
        return
    if kind == "email":
        mail = email_form(value)
        local, _, domain = mail.partition("@")
        if local and "." in domain and mail not in PLACEHOLDER_MAILS:
            yield f"email:{mail}"
    elif kind in ("phone", "mobile"):
        phone = phone_form(value, *regions)
        if phone.startswith("+") and len(phone) >= 8:
            yield f"phone:{phone}"
