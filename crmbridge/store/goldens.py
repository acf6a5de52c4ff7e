"""Golden records, how they are found, and identity: keys, journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crmbridge.store.database import Database, columns_of, select, upsert
from crmbridge.store.pairs import Pairs
from crmbridge.store.rows import GoldenRow

__all__ = ["Goldens"]

COUNTED = 50_000
"""Entries of a term that are counted at most: a few milliseconds."""
_COLUMNS = columns_of(GoldenRow)
_PUT = upsert("goldens", _COLUMNS, ("id",))
_GOLDENS = f"{select('goldens', _COLUMNS)} WHERE id AMONG :ids"
_IDS = "SELECT id FROM goldens WHERE entity = :entity AND id > :after ORDER BY id LIMIT :limit"
_DIRTY = """
    SELECT id FROM goldens WHERE dirty AND merged_into IS NULL AND entity = :entity AND id > :after
    ORDER BY id LIMIT :limit
"""
_MARK = "UPDATE goldens SET dirty = TRUE WHERE id = ? AND NOT dirty"
_CLEAR = "UPDATE goldens SET dirty = FALSE WHERE id = ? AND dirty"
_MARK_ALL = "UPDATE goldens SET dirty = TRUE WHERE entity = :entity"
_REFERRING = "SELECT DISTINCT golden_id FROM refs WHERE target AMONG :ids ORDER BY golden_id"
# `|| ''`: by what refers, not all of an entity or a system.
_UNTAKEN = """
    SELECT DISTINCT refs.golden_id FROM refs JOIN goldens AS g ON g.id = refs.golden_id
    WHERE refs.target AMONG :ids AND g.entity || '' = :entity AND g.merged_into IS NULL AND (
        NOT EXISTS (
            SELECT 1 FROM records AS r JOIN streams AS s ON s.id = r.stream_id
            WHERE r.golden_id = refs.golden_id AND r.part = '' AND s.system || '' = :system)
        OR EXISTS (
            SELECT 1 FROM intents AS i
            WHERE i.golden_id = refs.golden_id AND i.system || '' = :system AND i.kind = 'create'
                AND i.status = 'done' AND i.updated_at >= :since))
    ORDER BY refs.golden_id
"""
_WITH_KEYS = """
    SELECT k.key, r.id, r.golden_id FROM identity_keys AS k JOIN records AS r ON r.id = k.record_id
    WHERE k.entity = :entity AND k.key AMONG :ids ORDER BY r.id
"""
_PUT_EVENT = "INSERT INTO journal (golden_id, event, details, at) VALUES (:golden_id, :event, :details, :at)"
_JOURNALLED = """
    SELECT at, golden_id, event, details FROM journal
    WHERE event AMONG :events AND at > :after AND at <= :until ORDER BY id
"""
_HISTORY = "SELECT at, event, details FROM journal WHERE golden_id = :golden_id ORDER BY id"


class Goldens:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._references = Pairs(database, "refs", "golden_id", "target")
        self._terms = Pairs(database, "terms", "golden_id", "term")
        self._keys = Pairs(database, "identity_keys", "record_id", "key", fixed=("entity",))

    # golden records

    def goldens(self, ids: Sequence[str]) -> dict[str, GoldenRow]:
        found = {}
        for row in self.database.rows(_GOLDENS, {"ids": self.database.ids(ids)}):
            golden = found[row[0]] = GoldenRow(*row)
            golden.dirty = golden.dirty == 1  # SQLite's is a number
        return found

    def put_goldens(self, rows: Iterable[GoldenRow]) -> None:
        flag = self.database.flag
        self.database.write_many(
            _PUT,
            ((g.id, g.entity, g.doc, g.decisions, flag(g.dirty), g.merged_into, g.updated_at) for g in rows),
        )

    def golden_ids(self, entity: str, after: str, limit: int) -> list[str]:
        return self._ids(_IDS, entity=entity, after=after, limit=limit)

    def dirty_goldens(self, entity: str, after: str, limit: int) -> list[str]:
        return self._ids(_DIRTY, entity=entity, after=after, limit=limit)

    def _ids(self, text: str, **values: Any) -> list[str]:
        return [golden_id for (golden_id,) in self.database.rows(text, values)]

    def mark_dirty(self, golden_ids: Iterable[str]) -> None:
        self.database.write_many(_MARK, ((golden_id,) for golden_id in golden_ids))

    def clear_dirty(self, golden_ids: Iterable[str]) -> None:
        self.database.write_many(_CLEAR, ((golden_id,) for golden_id in golden_ids))

    def mark_all_dirty(self, entity: str) -> None:
        self.database.write(_MARK_ALL, {"entity": entity})

    def referring(self, golden_ids: Sequence[str]) -> list[str]:
        return self._ids(_REFERRING, ids=self.database.ids(golden_ids))

    def untaken(self, golden_ids: Sequence[str], entity: str, system: str, since: int) -> list[str]:
        ids = self.database.ids(golden_ids)
        return self._ids(_UNTAKEN, entity=entity, system=system, since=since, ids=ids)

    def put_references(self, references: Mapping[str, Iterable[str]]) -> None:
        self._references.replace(references)

    # finding

    def put_search(self, terms: Mapping[str, Iterable[str]]) -> None:
        self._terms.replace(terms)

    def terms(self, golden_ids: Sequence[str]) -> dict[str, set[str]]:
        return self._terms.held(golden_ids)

    def search(self, terms: Sequence[str], limit: int) -> list[str]:
        wanted = [term for term in dict.fromkeys(terms) if term]
        if not wanted:
            return []
        rarest, *others = sorted(wanted, key=self._frequency)
        text, values = _matching(rarest, others)
        found: dict[str, None] = {}
        place = ("", "")
        while len(found) < limit:
            values.update(term=place[0], golden_id=place[1], limit=max(limit, 50))
            rows = self.database.rows(text, values)
            if not rows:
                break
            found.update(dict.fromkeys(golden_id for _, golden_id in rows))
            place = rows[-1]
        return list(found)[:limit]

    def _frequency(self, prefix: str) -> int:
        """How many entries a prefix has, counted up to a bound: enough to start with the rarest."""
        condition, values = _begins("term", prefix, "prefix")
        some = f"SELECT term FROM terms WHERE {condition} LIMIT {COUNTED}"
        return int(self.database.value(f"SELECT count(*) FROM ({some}) AS counted", values))

    # identity

    def put_keys(self, entity: str, keys: Mapping[int, Iterable[str]]) -> None:
        self._keys.replace(keys, {"entity": entity})

    def records_with_keys(self, entity: str, keys: Sequence[str]) -> dict[str, list[tuple[int, str | None]]]:
        found: dict[str, list[tuple[int, str | None]]] = {}
        rows = self.database.rows(_WITH_KEYS, {"entity": entity, "ids": self.database.ids(keys)})
        for key, record_id, golden_id in rows:
            found.setdefault(key, []).append((record_id, golden_id))
        return found

    def journal(self, golden_id: str, event: str, details: str, at: int) -> None:
        values = {"golden_id": golden_id, "event": event, "details": details, "at": at}
        self.database.write(_PUT_EVENT, values)

    def history(self, golden_id: str) -> list[tuple[int, str, str]]:
        rows = self.database.rows(_HISTORY, {"golden_id": golden_id})
        return [(at, event, details) for at, event, details in rows]

    def journalled(self, events: Sequence[str], after: int, until: int) -> list[tuple[int, str, str, str]]:
        wanted = {"events": self.database.ids(events), "after": after, "until": until}
        rows = self.database.rows(_JOURNALLED, wanted)
        return [(at, golden_id, event, details) for at, golden_id, event, details in rows]


def _matching(rarest: str, others: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Entries beginning with `rarest`, after a place in the order of the index: exact matches come first."""
    condition, values = _begins("t.term", rarest, "prefix")
    conditions = [condition, "(t.term, t.golden_id) > (:term, :golden_id)"]
    for number, prefix in enumerate(others):
        condition, more = _begins("o.term", prefix, f"other{number}")
        values.update(more)
        conditions.append(
            f"EXISTS (SELECT 1 FROM terms AS o WHERE o.golden_id = t.golden_id AND {condition})"
        )
    chosen = f"SELECT t.term, t.golden_id FROM terms AS t WHERE {' AND '.join(conditions)}"
    return f"{chosen} ORDER BY t.term, t.golden_id LIMIT :limit", values


def _begins(column: str, prefix: str, name: str) -> tuple[str, dict[str, Any]]:
    """As a range, which an index serves and in which no character has a meaning of its own.

    Returns the condition and its values; `name` is what those are called.
    """
    last = prefix.rstrip(chr(0x10FFFF))
    if not last:
        return f"{column} >= :{name}", {name: prefix}
    following = ord(last[-1]) + 1
    end = last[:-1] + chr(0xE000 if following == 0xD800 else following)
    return f"{column} >= :{name} AND {column} < :{name}_end", {name: prefix, f"{name}_end": end}
