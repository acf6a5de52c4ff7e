"""Records: what each system holds, with its link and its base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crmbridge.store.database import Database, upsert
from crmbridge.store.failures import broken_text
from crmbridge.store.rows import KnownRecord, RecordRow
from crmbridge.store.systems import Systems

__all__ = ["FIELDS", "OF_STREAM", "Records", "row_of_stream"]

_KEY = ("stream_id", "native_id", "scope", "part")
_COLUMNS = (*_KEY, "entity", "golden_id", "status", "raw_hash", "version", "mapped_by", "read_at", "gone_at")
_PUT = upsert("records", (*_COLUMNS, "deleted_by_us", "unresolved", "former", "seen", "state"), _KEY)
_REKEY = """
    UPDATE records SET stream_id = ?, native_id = ?, scope = ?, part = ? WHERE id = ? AND NOT EXISTS (
        SELECT 1 FROM records WHERE stream_id = ? AND native_id = ? AND scope = ? AND part = ?)
"""
_KNOWN = {
    # CROSS JOIN holds SQLite to this order: https://sqlite.org/optoverview.html#crossjoin
    "sqlite": """
        SELECT r.scope, r.native_id, r.id, r.raw_hash, r.mapped_by, r.status, r.version, r.read_at
        FROM json_each(:ids) AS wanted CROSS JOIN records AS r
        WHERE r.stream_id = :stream_id AND r.native_id = wanted.value AND r.part = ''
    """,
    "postgresql": """
        SELECT scope, native_id, id, raw_hash, mapped_by, status, version, read_at FROM records
        WHERE stream_id = :stream_id AND native_id AMONG :ids AND part = ''
    """,
}
_LINK = "UPDATE records SET golden_id = ?, unresolved = FALSE WHERE id = ?"
_RESOLVED = "UPDATE records SET unresolved = FALSE WHERE id = ?"
_UNRESOLVED = "UPDATE records SET unresolved = TRUE WHERE golden_id = ?"
_MARK = "UPDATE goldens SET dirty = TRUE WHERE id = ? AND NOT dirty"
_MARK_LEFT = """
    UPDATE goldens SET dirty = TRUE WHERE id = (SELECT golden_id FROM records WHERE id = ? AND golden_id <> ?)
"""

FIELDS = """
    r.native_id, r.entity, r.scope, r.part, r.id, r.golden_id, r.status, r.raw_hash, r.version, r.seen,
    r.state, r.mapped_by, r.read_at, r.gone_at, r.deleted_by_us, r.unresolved, r.former
"""
"""Of a record whose stream is known, in the order of the fields of RecordRow: for `row_of_stream`."""
_RECORDS = f"SELECT s.system, s.stream, {FIELDS} FROM records AS r JOIN streams AS s ON s.id = r.stream_id"
OF_STREAM = f"SELECT {FIELDS} FROM records AS r WHERE r.stream_id = :stream_id"
"""Records of one stream, whose names are known: for `row_of_stream`."""
# `+ 0` keeps SQLite from reading a whole stream because its index is in this order already.
_BY_NATIVE_ID = f"{OF_STREAM} AND r.native_id AMONG :ids ORDER BY r.id + 0"
_IN_STREAM = f"{OF_STREAM} AND r.id > :after ORDER BY r.id LIMIT :limit"
_BY_ID = f"{_RECORDS} WHERE r.id AMONG :ids ORDER BY r.id"
_BY_GOLDEN = f"{_RECORDS} WHERE r.golden_id AMONG :ids ORDER BY r.id"
_TO_RESOLVE = f"""{_RECORDS}
    WHERE r.unresolved AND r.entity = :entity AND r.id > :after ORDER BY r.id LIMIT :limit
"""
# `|| ''` for the same reason: by golden id, not all of a system.
_NATIVES = f"""{_RECORDS}
    WHERE s.system || '' = :system AND r.part = '' AND r.golden_id AMONG :ids
    ORDER BY r.status <> 'live', r.status <> 'out', r.id
"""
_LINKED = """
    FROM records AS r JOIN streams AS s ON s.id = r.stream_id
    WHERE s.system = :system AND r.entity = :entity AND r.golden_id IS NOT NULL
"""
_GOLDENS = f"SELECT r.scope, r.native_id, r.part, r.golden_id {_LINKED} AND r.native_id AMONG :ids"
_IN_ORDER = " ORDER BY r.status <> 'live', r.id"
_GOLDENS_OF = _GOLDENS + _IN_ORDER
_GOLDENS_IN = _GOLDENS + " AND s.stream = :stream" + _IN_ORDER
_MERGED = "SELECT id, merged_into FROM goldens WHERE merged_into IS NOT NULL AND id AMONG :ids"
_COUNT = f"SELECT count(*) {_LINKED} AND r.status = 'live'"
_COUNT_STREAM = """
    SELECT count(*) FROM records WHERE stream_id = :stream_id AND status = 'live' AND part = ''
"""


def row_of_stream(system: str, stream: str, row: Sequence[Any]) -> RecordRow:
    """A row of a query that begins with `OF_STREAM`."""
    return _record((system, stream, *row))


def _record(row: Sequence[Any]) -> RecordRow:
    found = RecordRow(*row)
    # SQLite's are numbers.
    found.deleted_by_us = found.deleted_by_us == 1
    found.unresolved = found.unresolved == 1
    return found


class Records:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, systems: Systems) -> None:
        self.database = database
        self.systems = systems
        self._known = _KNOWN[database.dialect]

    def _find(self, text: str, **values: Any) -> list[RecordRow]:
        return [_record(row) for row in self.database.rows(text, values)]

    def known(
        self, system: str, stream: str, native_ids: Sequence[str]
    ) -> Mapping[tuple[str, str], KnownRecord]:
        stream_id = self.systems.stream_id(system, stream)
        ids = self.database.ids(native_ids)
        rows = self.database.rows(self._known, {"stream_id": stream_id, "ids": ids})
        return {
            (scope, native_id): KnownRecord(number, digest, mapped_by, status, version, read_at)
            for scope, native_id, number, digest, mapped_by, status, version, read_at in rows
        }

    def records(self, system: str, stream: str, native_ids: Sequence[str]) -> list[RecordRow]:
        stream_id = self.systems.stream_id(system, stream)
        rows = self.database.rows(
            _BY_NATIVE_ID, {"stream_id": stream_id, "ids": self.database.ids(native_ids)}
        )
        return [row_of_stream(system, stream, row) for row in rows]

    def put_records(self, rows: Iterable[RecordRow]) -> None:
        number, place, flag = 0, ("", ""), self.database.flag
        put: list[tuple[Any, ...]] = []
        rekey: list[tuple[Any, ...]] = []
        for row in rows:
            if row.stream != place[1] or row.system != place[0]:
                place = (row.system, row.stream)
                number = self.systems.make_stream(*place)
            if "\0" in row.native_id or "\0" in row.scope or "\0" in row.part:
                raise broken_text("its native id, scope or part has a NUL character")
            if row.id:
                key = (number, row.native_id, row.scope, row.part)
                rekey.append((*key, row.id, *key))
            put.append(
                (
                    *(number, row.native_id, row.scope, row.part, row.entity, row.golden_id, row.status),
                    *(row.raw_hash, row.version, row.mapped_by, row.read_at, row.gone_at),
                    *(flag(row.deleted_by_us), flag(row.unresolved), row.former, row.seen, row.state),
                )
            )
        self.database.write_many(_REKEY, rekey)
        self.database.write_many(_PUT, put)

    def records_by_id(self, ids: Sequence[int]) -> list[RecordRow]:
        return self._find(_BY_ID, ids=self.database.ids(ids))

    def records_of(self, golden_ids: Sequence[str]) -> dict[str, list[RecordRow]]:
        found: dict[str, list[RecordRow]] = {}
        for row in self._find(_BY_GOLDEN, ids=self.database.ids(golden_ids)):
            assert row.golden_id is not None
            found.setdefault(row.golden_id, []).append(row)
        return found

    def unresolved(self, entity: str, after: int, limit: int) -> list[RecordRow]:
        return self._find(_TO_RESOLVE, entity=entity, after=after, limit=limit)

    def records_in(self, system: str, stream: str, after: int, limit: int) -> list[RecordRow]:
        stream_id = self.systems.stream_id(system, stream)
        rows = self.database.rows(_IN_STREAM, {"stream_id": stream_id, "after": after, "limit": limit})
        return [row_of_stream(system, stream, row) for row in rows]

    def set_links(self, links: Iterable[tuple[int, str]]) -> None:
        given = list(links)
        self.database.write_many(_MARK_LEFT, given)
        self.database.write_many(_LINK, ((golden_id, record_id) for record_id, golden_id in given))
        self.database.write_many(_MARK, {(golden_id,) for _, golden_id in given})

    def mark_resolved(self, record_ids: Iterable[int]) -> None:
        self.database.write_many(_RESOLVED, ((record_id,) for record_id in record_ids))

    def mark_unresolved(self, golden_ids: Iterable[str]) -> None:
        self.database.write_many(_UNRESOLVED, ((golden_id,) for golden_id in golden_ids))

    def golden_of(
        self, system: str, entity: str, native_ids: Sequence[str], stream: str | None
    ) -> dict[tuple[str, str], str]:
        wanted = set(native_ids)
        main = {head for native_id in wanted for head in _heads(native_id)}
        parameters = {"system": system, "entity": entity, "ids": self.database.ids(main)}
        if stream is None:
            rows = self.database.rows(_GOLDENS_OF, parameters)
        else:
            rows = self.database.rows(_GOLDENS_IN, {**parameters, "stream": stream})
        found: dict[tuple[str, str], str] = {}
        for scope, native_id, part, golden_id in rows:
            name = f"{native_id}#{part}" if part else native_id
            if name in wanted:
                found.setdefault((scope, name), golden_id)
        return self._follow(found)

    def _follow(self, found: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
        """Replace golden ids that were merged by what they became."""
        seen: set[str] = set()
        while ids := set(found.values()) - seen:
            seen |= ids
            merged = dict(self.database.rows(_MERGED, {"ids": self.database.ids(ids)}))
            found = {key: merged.get(golden_id, golden_id) for key, golden_id in found.items()}
        return found

    def natives_of(self, system: str, golden_ids: Sequence[str]) -> dict[str, dict[str, RecordRow]]:
        found: dict[str, dict[str, RecordRow]] = {}
        for row in self._find(_NATIVES, system=system, ids=self.database.ids(golden_ids)):
            assert row.golden_id is not None
            found.setdefault(row.golden_id, {}).setdefault(row.scope, row)
        return found

    def count_records(self, system: str, entity: str) -> int:
        return int(self.database.value(_COUNT, {"system": system, "entity": entity}))

    def count_stream(self, system: str, stream: str) -> int:
        stream_id = self.systems.stream_id(system, stream)
        return int(self.database.value(_COUNT_STREAM, {"stream_id": stream_id}))


def _heads(native_id: str) -> list[str]:
    """The id itself, and the native ids that it may go on from: `1001` of `1001#buyer:ann@example.org`."""
    parts = native_id.split("#")
    return ["#".join(parts[:end]) for end in range(1, len(parts) + 1)]
