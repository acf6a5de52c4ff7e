"""Golden records, how they are found, and identity: keys, journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from crmbridge.store.database import Database, columns_of, upsert
from crmbridge.store.pairs import Pairs
from crmbridge.store.rows import GoldenRow
from crmbridge.store.tables import (
    goldens,
    identity_keys,
    intents,
    journal,
    records,
    references,
    streams,
    terms,
)

__all__ = ["Goldens"]

COUNTED = 50_000
"""Entries of a term that are counted at most: a few milliseconds."""
_GOLDEN = columns_of(GoldenRow)
_VALUES = attrgetter(*_GOLDEN)
_PUT = upsert(goldens, _GOLDEN, ("id",))
_MARK = "UPDATE goldens SET dirty = ? WHERE id = ? AND dirty <> ?"


class Goldens:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database
        g, among = goldens.c, database.among
        self._goldens = sa.select(*(g[name] for name in _GOLDEN)).where(among(g.id))
        page = sa.select(g.id).where(g.entity == sa.bindparam("entity"), g.id > sa.bindparam("after"))
        self._ids = page.order_by(g.id).limit(sa.bindparam("limit", type_=sa.Integer))
        self._dirty = self._ids.where(g.dirty, g.merged_into.is_(None))
        self._referring = (
            sa.select(references.c.golden_id)
            .where(among(references.c.target))
            .distinct()
            .order_by(references.c.golden_id)
        )
        self._untaken = _untaken(self._referring)
        self._references = Pairs(database, references, "golden_id", "target")
        self._terms = Pairs(database, terms, "golden_id", "term")
        self._keys = Pairs(database, identity_keys, "record_id", "key")
        self._with_keys = (
            sa.select(identity_keys.c.key, records.c.id, records.c.golden_id)
            .join_from(identity_keys, records, records.c.id == identity_keys.c.record_id)
            .where(identity_keys.c.entity == sa.bindparam("entity"), among(identity_keys.c.key))
            .order_by(records.c.id)
        )

    # golden records

    def goldens(self, ids: Sequence[str]) -> dict[str, GoldenRow]:
        rows = self.database.rows(self._goldens, {"ids": self.database.ids(ids)})
        return {row.id: GoldenRow(*row) for row in rows}

    def put_goldens(self, rows: Iterable[GoldenRow]) -> None:
        self.database.write_many(_PUT, map(_VALUES, rows))

    def golden_ids(self, entity: str, after: str, limit: int) -> list[str]:
        rows = self.database.rows(self._ids, {"entity": entity, "after": after, "limit": limit})
        return [row.id for row in rows]

    def dirty_goldens(self, entity: str, after: str, limit: int) -> list[str]:
        rows = self.database.rows(self._dirty, {"entity": entity, "after": after, "limit": limit})
        return [row.id for row in rows]

    def mark_dirty(self, golden_ids: Iterable[str]) -> None:
        self.database.write_many(_MARK, ((True, golden_id, True) for golden_id in golden_ids))

    def clear_dirty(self, golden_ids: Iterable[str]) -> None:
        self.database.write_many(_MARK, ((False, golden_id, False) for golden_id in golden_ids))

    def mark_all_dirty(self, entity: str) -> None:
        self.database.write(sa.update(goldens).where(goldens.c.entity == entity).values(dirty=sa.true()))

    def referring(self, golden_ids: Sequence[str]) -> list[str]:
        rows = self.database.rows(self._referring, {"ids": self.database.ids(golden_ids)})
        return [row.golden_id for row in rows]

    def untaken(self, golden_ids: Sequence[str], entity: str, system: str, since: int) -> list[str]:
        given = {"entity": entity, "system": system, "since": since, "ids": self.database.ids(golden_ids)}
        return [row.golden_id for row in self.database.rows(self._untaken, given)]

    def put_references(self, references: Mapping[str, Iterable[str]]) -> None:
        self._references.replace(references)

    # finding

    def put_search(self, terms: Mapping[str, Iterable[str]]) -> None:
        self._terms.replace(terms)

    def search(self, terms: Sequence[str], limit: int) -> list[str]:
        wanted = [term for term in dict.fromkeys(terms) if term]
        if not wanted:
            return []
        rarest, *others = sorted(wanted, key=self._frequency)
        found: dict[str, None] = {}
        place = ("", "")
        while len(found) < limit:
            rows = self.database.rows(_matching(rarest, others, place), {"limit": max(limit, 50)})
            if not rows:
                break
            found.update(dict.fromkeys(row.golden_id for row in rows))
            place = (rows[-1].term, rows[-1].golden_id)
        return list(found)[:limit]

    def _frequency(self, prefix: str) -> int:
        """How many entries a prefix has, counted up to a bound: enough to start with the rarest."""
        some = sa.select(terms.c.term).where(_begins(terms, prefix)).limit(COUNTED).subquery()
        return int(self.database.value(sa.select(sa.func.count()).select_from(some)))

    # identity

    def put_keys(self, entity: str, keys: Mapping[int, Iterable[str]]) -> None:
        self._keys.replace(keys, {"entity": entity})

    def records_with_keys(self, entity: str, keys: Sequence[str]) -> dict[str, list[tuple[int, str | None]]]:
        found: dict[str, list[tuple[int, str | None]]] = {}
        rows = self.database.rows(self._with_keys, {"entity": entity, "ids": self.database.ids(keys)})
        for key, record_id, golden_id in rows:
            found.setdefault(key, []).append((record_id, golden_id))
        return found

    def journal(self, golden_id: str, event: str, details: str, at: int) -> None:
        self.database.write(
            sa.insert(journal).values(golden_id=golden_id, event=event, details=details, at=at).inline()
        )

    def history(self, golden_id: str) -> list[tuple[int, str, str]]:
        statement = sa.select(journal.c.at, journal.c.event, journal.c.details)
        rows = self.database.rows(statement.where(journal.c.golden_id == golden_id).order_by(journal.c.id))
        return [(at, event, details) for at, event, details in rows]


def _untaken(referring: sa.Select[Any]) -> sa.Select[Any]:
    golden_id = references.c.golden_id
    system: sa.BindParameter[str] = sa.bindparam("system")
    # `|| ''`: by golden id, not all of a system.
    there = sa.exists().where(
        records.c.golden_id == golden_id,
        records.c.part == "",
        streams.c.id == records.c.stream_id,
        streams.c.system.concat("") == system,
    )
    since = sa.exists().where(
        intents.c.golden_id == golden_id,
        intents.c.system.concat("") == system,
        intents.c.kind == "create",
        intents.c.status == "done",
        intents.c.updated_at >= sa.bindparam("since", type_=sa.BigInteger),
    )
    orders = referring.join(goldens, goldens.c.id == golden_id)
    return orders.where(
        goldens.c.entity == sa.bindparam("entity"), goldens.c.merged_into.is_(None), sa.or_(~there, since)
    )


def _matching(rarest: str, others: Sequence[str], place: tuple[str, str]) -> sa.Select[Any]:
    """Entries beginning with `rarest`, after `place` in the order of the index: exact matches come first."""
    statement = (
        sa.select(terms.c.term, terms.c.golden_id)
        .where(
            _begins(terms, rarest),
            sa.tuple_(terms.c.term, terms.c.golden_id) > sa.tuple_(*map(sa.literal, place)),
        )
        .order_by(terms.c.term, terms.c.golden_id)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )
    for prefix in others:
        other = terms.alias()
        statement = statement.where(
            sa.exists().where(other.c.golden_id == terms.c.golden_id, _begins(other, prefix))
        )
    return statement


def _begins(table: Any, prefix: str) -> sa.ColumnElement[bool]:
    """As a range, which an index serves and in which no character has a meaning of its own."""
    last = prefix.rstrip(chr(0x10FFFF))
    if not last:
        return sa.and_(table.c.term >= prefix)
    following = ord(last[-1]) + 1
    end = last[:-1] + chr(0xE000 if following == 0xD800 else following)
    return sa.and_(table.c.term >= prefix, table.c.term < end)
