"""Which elements of different records are one and the same: the natural key, and what is alike enough.

Elements of lists meet when records are first merged. Where they meet, they share one id from then on,
whatever becomes of their values. Nothing here depends on the order in which records arrived, only on the
order of systems.

1.  By natural key: equal keys, and no contradiction in a field that keeps elements apart (the role of an
    address).
2.  In lists whose key may be missing or written differently (addresses), by likeness: no field contradicts,
    and either a part of the key agrees, or the key says nothing that could: then the elements must stand in
    slots of one name, or be the only ones of their role in both records. An element that could be two others
    is none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from crmbridge.identity.link import Link
from crmbridge.identity.shape import ListShape, Shape, element_path

__all__ = ["unify_elements"]

Element = Mapping[str, Any]

WORDS = re.compile(r"\d+[A-Za-z]*|[㐀-鿿]|[^\W\d㐀-鿿]+")
"""A number with the letters behind it (5a is another house than 5), a Han character, or a word."""
SHORTEST = 3
"""Letters of a word that may stand for a longer one: Str. for Strasse."""


def unify_elements(shape: Shape, links: Sequence[Link]) -> bool:
    """Give elements of different records one id where they are the same. True if any id changed.

    Elements of one record stay apart (two order lines may share a SKU); they pair off in order.
    """
    changed = False
    for list_shape in shape.lists.values():
        found = _Unifying(list_shape, links)
        changed |= found.by_key()
        if any(field.meta.merge_alike for field in list_shape.fields.values()):
            while found.by_likeness():  # what met may show which of two others a third one is
                changed = True
    return changed


class _Unifying:
    """The elements of one list, in all records."""

    def __init__(self, shape: ListShape, links: Sequence[Link]) -> None:
        self.shape = shape
        self.links = links
        self.holders: dict[str, set[int]] = {}
        """Element id -> the records that know it."""
        for link in links:
            for element_id in link.elements.get(shape.name, {}).values():
                self.holders.setdefault(element_id, set()).add(link.record_id)

    # by natural key

    def by_key(self) -> bool:
        changed = False
        by_key: dict[tuple[str, ...], list[str]] = {}
        for link in self.links:
            for element_id in list(link.shown(self.shape.name)):
                key = self.shape.merge_key(link.element(self.shape.name, element_id))
                known = by_key.setdefault(key, []) if key else []
                if not key or element_id in known:
                    continue
                twin = next((e for e in known if self._may_be_one(e, element_id)), None)
                if twin is None:
                    known.append(element_id)
                else:
                    self._rename(element_id, twin)
                    changed = True
        return changed

    def _may_be_one(self, one: str, other: str) -> bool:
        if self.holders[one] & self.holders[other]:
            return False
        apart = [name for name, field in self.shape.fields.items() if field.meta.merge_apart]
        return not any(
            self._differ(name, mine, theirs)
            for name in apart
            for mine in self._views(one)
            for theirs in self._views(other)
        )

    # by likeness

    def by_likeness(self) -> bool:
        changed = False
        for one, other in combinations(self.links, 2):
            pairs = [
                (mine, theirs)
                for mine in one.shown(self.shape.name)
                for theirs in other.shown(self.shape.name)
                if mine != theirs and self._may_be_one(mine, theirs) and self._alike(one, other, mine, theirs)
            ]
            for mine, theirs in pairs:
                alone = sum(mine == m or theirs == t for m, t in pairs) == 1
                if alone:
                    self._rename(theirs, mine)
                    changed = True
        return changed

    def _alike(self, one: Link, other: Link, mine: str, theirs: str) -> bool:
        views = [(m, t) for m in self._views(mine) for t in self._views(theirs)]
        if any(self._contradict(m, t) for m, t in views):
            return False
        if any(self._key_agrees(m, t) for m, t in views):
            return True
        return _slot(self.shape, one, mine) == _slot(self.shape, other, theirs) != "" or (
            self._only_one(one, mine) and self._only_one(other, theirs) and self._same_role(views)
        )

    def _contradict(self, one: Element, other: Element) -> bool:
        """What both say differs. Where neither has any key (a city is all there is), nothing can: it is the
        one address that both know of, and a conflict of its parts."""
        if not self.shape.merge_key(one) and not self.shape.merge_key(other):
            return any(
                self._differ(name, one, other)
                for name, field in self.shape.fields.items()
                if field.meta.merge_apart
            )
        return any(self._differ(name, one, other) for name in self.shape.fields)

    def _differ(self, name: str, one: Element, other: Element) -> bool:
        ours, theirs = self.shape.normal(name, one), self.shape.normal(name, other)
        if ours in (None, "", []) or theirs in (None, "", []) or ours == theirs:
            return False
        words, others = list(_words(ours)), list(_words(theirs))
        if self.shape.fields[name].meta.merge_alike:
            return not (_within(words, others) or _within(others, words))
        return words != others

    def _key_agrees(self, one: Element, other: Element) -> bool:
        keys = (name for name, field in self.shape.fields.items() if field.meta.merge_key)
        return any(one.get(name) and other.get(name) and not self._differ(name, one, other) for name in keys)

    def _same_role(self, views: Sequence[tuple[Element, Element]]) -> bool:
        apart = [name for name, field in self.shape.fields.items() if field.meta.merge_apart]
        return all(m.get(name) == t.get(name) for m, t in views for name in apart)

    def _only_one(self, link: Link, element_id: str) -> bool:
        """No other element of this record has the same role."""
        apart = [name for name, field in self.shape.fields.items() if field.meta.merge_apart]
        mine = link.element(self.shape.name, element_id)
        same = [
            e
            for e in link.shown(self.shape.name)
            if all(link.element(self.shape.name, e).get(n) == mine.get(n) for n in apart)
        ]
        return len(same) == 1

    # both

    def _views(self, element_id: str) -> list[Element]:
        """The element as each of its records shows it."""
        name = self.shape.name
        return [x.element(name, element_id) for x in self.links if element_id in x.shown(name)]

    def _rename(self, old: str, new: str) -> None:
        name = self.shape.name
        prefix, target = element_path(name, old), element_path(name, new)
        for link in self.links:
            known = link.elements.get(name, {})
            for local, element_id in known.items():
                if element_id == old:
                    known[local] = new
            for path in [p for p in link.fields if p == prefix or p.startswith(prefix + "/")]:
                link.fields[target + path[len(prefix) :]] = link.fields.pop(path)
        self.holders[new] |= self.holders.pop(old)


def _slot(shape: ListShape, link: Link, element_id: str) -> str:
    """The slot in which a record shows an element; empty where it has a child of its own."""
    local = link.shown(shape.name).get(element_id, "")
    return local if local.startswith("slot:") else ""


def _words(value: Any) -> Iterator[str]:
    """The words of a text or of lines of text, folded."""
    for text in value if isinstance(value, list) else [value]:
        yield from WORDS.findall(str(text).casefold())


def _within(fewer: Sequence[str], more: Sequence[str]) -> bool:
    """All words of the one stand in the other, in the same order; a word may be cut short."""
    rest = iter(more)
    return bool(fewer) and all(any(_same_word(word, one) for one in rest) for word in fewer)


def _same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= SHORTEST and short.isalpha() and long.startswith(short)
