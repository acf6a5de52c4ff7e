"""Do two records that share an exact key mean the same thing? The first stage of matching.

A tax id or a declared identifier speaks for itself. A phone number or mailbox may be shared by a household or
an office: then the names have to agree as well. A key that too many share is *generic*: it joins nobody, and
the same name beside it is no more than a reason to look. A person is never an organization.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any

from crmbridge.identity.normalize import is_han, name_tokens

__all__ = ["Verdict", "are_two", "compare", "names_differ"]

NAME_FIELDS = ("display_name", "legal_name", "full_name", "name")


class Verdict(Enum):
    """What a meeting of two records means."""

    SAME = "same"
    REVIEW = "review"
    DIFFERENT = "different"


def compare(one: Mapping[str, Any], other: Mapping[str, Any], key: str, *, generic: bool = False) -> Verdict:
    """Judge two canonical documents that share the exact identity key `key`; generic: too many share it."""
    kinds = {doc.get("kind") for doc in (one, other)} - {None}
    if generic:
        named_alike = len(kinds) < 2 and _names_agree(_names(one), _names(other))
        return Verdict.REVIEW if named_alike else Verdict.DIFFERENT
    if len(kinds) > 1:
        return Verdict.REVIEW
    if key.startswith("id:"):
        return Verdict.SAME
    return Verdict.SAME if _names_agree(_names(one), _names(other)) else Verdict.REVIEW


def names_differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are named, and no name of the one agrees with one of the other."""
    return not _names_agree(_names(one), _names(other))


def are_two(one: Mapping[str, Any], other: Mapping[str, Any], *keys: Collection[str]) -> bool:
    """Whether what bore a number and what bears it now are two: they share no key (`keys` of both), and their
    names do not agree or cannot be compared."""
    ours, theirs = map(set, keys)
    if ours & theirs:
        return False
    if len({doc.get("kind") for doc in (one, other)} - {None}) > 1:
        return True
    pairs = [(a, b) for a in _names(one) for b in _names(other) if _script(a) == _script(b)]
    if pairs:
        return not any(_agree(a, b) for a, b in pairs)
    return bool(ours and theirs)


def _names(doc: Mapping[str, Any]) -> list[frozenset[str]]:
    """Each name in both ways of writing umlauts: with one letter and with two."""
    found = [doc[field] for field in NAME_FIELDS if isinstance(doc.get(field), str)]
    parts = " ".join(doc[field] for field in ("given_name", "family_name") if isinstance(doc.get(field), str))
    tokens = {name_tokens(name, spelled_out=out): None for name in (*found, parts) for out in (False, True)}
    return [one for one in tokens if one]


def _names_agree(ours: list[frozenset[str]], theirs: list[frozenset[str]]) -> bool:
    """True where no name is known on one side, in another script, or where one name holds the other."""
    if not ours or not theirs:
        return True
    return any(_agree(one, other) for one in ours for other in theirs)


def _agree(one: frozenset[str], other: frozenset[str]) -> bool:
    if _script(one) != _script(other):
        return True
    common = _matching(one, other)
    smaller = min(len(one), len(other))
    return common == smaller or (smaller > 2 and common >= smaller - 1)


def _matching(one: frozenset[str], other: frozenset[str]) -> int:
    """How many words agree; an initial agrees with a word that begins with it."""
    left, right = set(one - other), set(other - one)
    count = len(one & other)
    for word in sorted(left, key=len):
        partner = next((w for w in sorted(right) if w[0] == word[0] and 1 in (len(w), len(word))), None)
        if partner is not None:
            right.discard(partner)
            count += 1
    return count


def _script(tokens: frozenset[str]) -> bool:
    return any(is_han(char) for token in tokens for char in token)
