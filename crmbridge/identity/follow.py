"""Elements that come under another native child id: by an edit of a natural key, or by another mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crmbridge.identity.shape import ListShape

__all__ = ["akin", "follow_remapped", "follow_renamed"]

Key = tuple[str, ...]


def follow_renamed(known: dict[str, str], missing: list[str], fresh: Sequence[str]) -> None:
    """One value gone and one come, in a list without child ids: that element was edited if part of its
    natural key stayed (the type of a phone number, the postal code of an address)."""
    gone, come = ([local for local in part if local.startswith("=")] for part in (missing, fresh))
    if len(gone) == len(come) == 1 and akin(_key_of(gone[0]), _key_of(come[0])):
        known[come[0]] = known.pop(gone[0])
        missing.remove(gone[0])


def follow_remapped(
    shape: ListShape,
    known: dict[str, str],
    gone: Mapping[str, Mapping[str, Any]],
    come: Mapping[str, Mapping[str, Any]],
    *,
    unchanged: bool,
) -> None:
    """Another mapping gives the same children other ids: changes `known`.

    gone, come: native child id -> the element, as it was and as it is read now. unchanged: the native record
    is; then what is read otherwise is still the same child.
    """
    left, free = dict(gone), dict(come)
    for agree in (_same, akin) if unchanged else (_same,):
        _pair(shape, known, left, free, agree)
    if unchanged and len(left) == len(free):
        for old, new in zip(left, free, strict=True):
            known[new] = known.pop(old)


def _pair(
    shape: ListShape,
    known: dict[str, str],
    left: dict[str, Mapping[str, Any]],
    free: dict[str, Mapping[str, Any]],
    agree: Callable[[Key, Key], bool],
) -> None:
    for old, element in list(left.items()):
        key = shape.merge_key(element)
        new = next((local for local, one in free.items() if agree(key, shape.merge_key(one))), None)
        if new is not None:
            known[new] = known.pop(old)
            del left[old], free[new]


def akin(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether a part of two natural keys is the same."""
    return any(part and part == same for part, same in zip(one, other, strict=False))


def _same(one: Key, other: Key) -> bool:
    return bool(one) and one == other


def _key_of(local: str) -> Sequence[str]:
    return local[1:].split("\x1f")
