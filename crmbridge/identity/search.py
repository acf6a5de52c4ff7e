"""The terms under which a golden record is found: names in any script, phones as dialled, mail, numbers."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from crmbridge.identity.link import Link
from crmbridge.identity.normalize import email_form, is_han, phone_form, plain
from crmbridge.identity.shape import Shape
from crmbridge_schemas.party import country_of

__all__ = ["query_terms", "search_terms"]

NAME_FIELDS = ("display_name", "legal_name", "full_name", "given_name", "family_name", "name", "subject")
CODE_FIELDS = ("number", "sku", "gtin", "tracking_number", "reference")
LOCAL = 5
"""So many digits name a number of the same town; fewer would be the end of far too many."""


def search_terms(doc: Mapping[str, Any], shape: Shape, links: Iterable[Link] = ()) -> list[str]:
    """All terms of a canonical document, sorted; of its records also the names and numbers that did not win,
    those that we wrote over as well: they are what people see in that system, or know from there."""
    terms = set(_terms(doc, shape.region))
    for field in (*NAME_FIELDS, *CODE_FIELDS, *shape.searched):
        known = (value for link in links for value in link.known(field))
        for text in {part for value in (doc.get(field), *known) for part in _texts(value)}:
            terms.update(_named(field, text))
    return sorted(terms)


def _texts(value: Any) -> Iterator[str]:
    """The texts of a field; a list has several."""
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str | int):
            yield str(part)


def _named(field: str, value: str) -> Iterator[str]:
    if field in CODE_FIELDS:
        yield _folded(value).strip()
    else:
        yield from words(value)
        yield from words(value, spelled_out=True)


def _terms(doc: Mapping[str, Any], region: str | None) -> Iterator[str]:
    for identifier in doc.get("identifiers") or ():
        if identifier.get("value"):
            yield _folded(identifier["value"]).strip()
    for point in doc.get("contact_points") or ():
        value = point.get("value")
        if value and point.get("type") in ("phone", "mobile", "fax"):
            yield from _phone_terms(value, country_of(doc), region)
        elif value:
            yield email_form(value)


def words(text: str, *, spelled_out: bool = False) -> Iterator[str]:
    """Folded words; of a run of Han characters every ending, so that any part of a name is a beginning."""
    for word in _folded(text, spelled_out=spelled_out).split():
        start = 0
        for index, char in enumerate(word):
            if is_han(char):
                yield word[index:]
                start = index + 1
        if start == 0:
            yield word


def query_terms(text: str, region: str | None = None) -> list[list[str]]:
    """What a person typed as alternatives, each a list of terms that all have to be met."""
    stripped = text.strip()
    digits = "".join(c for c in stripped if c.isdigit())
    alternatives = [_folded(stripped).split(), _folded(stripped, spelled_out=True).split()]
    if "@" in stripped:
        return [[email_form(stripped)]]
    if len(digits) >= 4 and not any(c.isalpha() for c in stripped):
        alternatives.append([_dialled(stripped, digits, region)])
        alternatives.append([digits.lstrip("0")])
        if len(digits) >= LOCAL:
            alternatives.append([_from_its_end(digits)])
    alternatives.append([unicodedata.normalize("NFKC", stripped).casefold()])
    return [a for number, a in enumerate(alternatives) if a and all(a) and a not in alternatives[:number]]


def _dialled(text: str, digits: str, region: str | None) -> str:
    if digits.startswith("00"):
        return digits[2:]
    return phone_form(text, region).lstrip("+") if region or text.startswith("+") else digits.lstrip("0")


def _phone_terms(value: str, *regions: str | None) -> Iterator[str]:
    """The number with its country code, what remains when the first one to three digits are left out, and
    the number from its end: so it is found whether it is dialled with the country code, from elsewhere in the
    country or from the same town, and no table of area codes is asked."""
    number = phone_form(value, *regions).lstrip("+")
    yield number
    yield _from_its_end(number)
    stripped = number.lstrip("0")
    for skip in (1, 2, 3):
        if len(stripped) - skip >= 5:
            yield stripped[skip:]


def _from_its_end(digits: str) -> str:
    return f"~{digits[::-1]}"


def _folded(text: str, *, spelled_out: bool = False) -> str:
    return "".join(c if c.isalnum() or c in "-_./" else " " for c in plain(text, spelled_out=spelled_out))
