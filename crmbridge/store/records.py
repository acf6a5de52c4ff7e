"""Records: what each system holds, with its link and its base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crmbridge.store.database import Database, upsert
from crmbridge.store.failures import broken_text
from crmbridge.store.rows import KnownRecord, RecordRow
from crmbridge.store.systems import Systems
from crmbridge.store.tables import goldens, records, streams

__all__ = ["Records", "record_row", "select_records"]

_KEY = ("stream_id", "native_id", "scope", "part")
_COLUMNS = (*_KEY, "entity", "golden_id", "status", "raw_hash", "version", "mapped_by", "read_at", "gone_at")
_PUT = upsert(records, (*_COLUMNS, "deleted_by_us", "unresolved", "seen", "state"), _KEY)
_REKEY = """
    UPDATE records SET stream_id = ?, native_id = ?, scope = ?, part = ? WHERE id = ? AND NOT EXISTS (
        SELECT 1 FROM records WHERE stream_id = ? AND native_id = ? AND scope = ? AND part = ?)
"""
_KNOWN = {
    # CROSS JOIN holds SQLite to this order: https://sqlite.org/optoverview.html#crossjoin
    "sqlite": """
        SELECT r.scope, r.native_id, r.raw_hash, r.mapped_by, r.status
        FROM json_each(:ids) AS wanted CROSS JOIN records AS r
        WHERE r.stream_id = :stream_id AND r.native_id = wanted.value AND r.part = ''
    """,
    "postgresql": """
        SELECT scope, native_id, raw_hash, mapped_by, status FROM records
        WHERE stream_id = :stream_id AND native_id = ANY(:ids) AND part = ''
    """,
}
_LINK = "UPDATE records SET golden_id = ?, unresolved = ? WHERE id = ?"
_RESOLVED = "UPDATE records SET unresolved = ? WHERE id = ?"
_UNRESOLVED = "UPDATE records SET unresolved = ? WHERE golden_id = ?"
_MARK = "UPDATE goldens SET dirty = ? WHERE id = ? AND dirty <> ?"
_MARK_LEFT = """
    UPDATE goldens SET dirty = ? WHERE id = (SELECT golden_id FROM records WHERE id = ? AND golden_id <> ?)
"""


def select_records() -> sa.Select[Any]:
    """Records with the names of their system and stream, in the order of the fields of RecordRow."""
    c = records.c
    return sa.select(
        *(
            streams.c.system,
            streams.c.stream,
            c.native_id,
            c.entity,
            c.scope,
            c.part,
            c.id,
            c.golden_id,
            c.status,
        ),
        *(
            c.raw_hash,
            c.version,
            c.seen,
            c.state,
            c.mapped_by,
            c.read_at,
            c.gone_at,
            c.deleted_by_us,
            c.unresolved,
        ),
    ).join_from(records, streams, streams.c.id == c.stream_id)


def record_row(row: Sequence[Any]) -> RecordRow:
    """A row of `select_records`."""
    return RecordRow(*row)


class Records:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, systems: Systems) -> None:
        self.database = database
        self.systems = systems
        # SQLite's driver knows no bool: it would look for a way to write each one.
        self._flag = int if database.dialect == "sqlite" else bool
        c, among = records.c, database.among
        self._known = sa.text(_KNOWN[database.dialect])
        of_stream = c.stream_id == sa.bindparam("stream_id")
        after, limit = c.id > sa.bindparam("after"), sa.bindparam("limit", type_=sa.Integer)
        chosen = select_records().order_by(c.id)
        # `+ 0` keeps SQLite from reading a whole stream because its index is in this order already.
        self._by_native_id = select_records().where(of_stream, among(c.native_id)).order_by(c.id + 0)
        self._by_id = chosen.where(among(c.id))
        self._by_golden = chosen.where(among(c.golden_id))
        self._unresolved = chosen.where(c.unresolved, c.entity == sa.bindparam("entity"), after).limit(limit)
        self._in_stream = chosen.where(of_stream, after).limit(limit)
        self._natives = (
            select_records()
            # `|| ''` for the same reason: by golden id, not all of a system.
            .where(streams.c.system.concat("") == sa.bindparam("system"), c.part == "", among(c.golden_id))
            .order_by(c.status != "live", c.status != "out", c.id)
        )
        self._goldens_of = (
            sa.select(c.scope, c.native_id, c.part, c.golden_id)
            .join_from(records, streams, streams.c.id == c.stream_id)
            .where(
                streams.c.system == sa.bindparam("system"),
                c.entity == sa.bindparam("entity"),
                c.golden_id.is_not(None),
                among(c.native_id),
            )
            .order_by(c.status != "live", c.id)
        )
        self._goldens_in = self._goldens_of.where(streams.c.stream == sa.bindparam("stream"))
        self._merged = sa.select(goldens.c.id, goldens.c.merged_into).where(
            goldens.c.merged_into.is_not(None), among(goldens.c.id)
        )
        self._count = (
            sa.select(sa.func.count())
            .select_from(records)
            .join(streams, streams.c.id == c.stream_id)
            .where(
                streams.c.system == sa.bindparam("system"),
                c.entity == sa.bindparam("entity"),
                c.status == "live",
                c.golden_id.is_not(None),
            )
        )
        self._count_stream = sa.select(sa.func.count()).where(of_stream, c.status == "live", c.part == "")

    def _find(self, statement: sa.Executable, **parameters: Any) -> list[RecordRow]:
        return [RecordRow(*row) for row in self.database.rows(statement, parameters)]

    def known(
        self, system: str, stream: str, native_ids: Sequence[str]
    ) -> Mapping[tuple[str, str], KnownRecord]:
        stream_id = self.systems.stream_id(system, stream)
        ids = self.database.ids(native_ids)
        rows = self.database.rows(self._known, {"stream_id": stream_id, "ids": ids})
        return {
            (scope, native_id): KnownRecord(raw_hash, mapped_by, status)
            for scope, native_id, raw_hash, mapped_by, status in rows
        }

    def records(self, system: str, stream: str, native_ids: Sequence[str]) -> list[RecordRow]:
        stream_id = self.systems.stream_id(system, stream)
        return self._find(self._by_native_id, stream_id=stream_id, ids=self.database.ids(native_ids))

    def put_records(self, rows: Iterable[RecordRow]) -> None:
        number, place = 0, ("", "")
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
                    *(self._flag(row.deleted_by_us), self._flag(row.unresolved), row.seen, row.state),
                )
            )
        self.database.write_many(_REKEY, rekey)
        self.database.write_many(_PUT, put)

    def records_by_id(self, ids: Sequence[int]) -> list[RecordRow]:
        return self._find(self._by_id, ids=self.database.ids(ids))

    def records_of(self, golden_ids: Sequence[str]) -> dict[str, list[RecordRow]]:
        found: dict[str, list[RecordRow]] = {}
        for row in self._find(self._by_golden, ids=self.database.ids(golden_ids)):
            assert row.golden_id is not None
            found.setdefault(row.golden_id, []).append(row)
        return found

    def unresolved(self, entity: str, after: int, limit: int) -> list[RecordRow]:
        return self._find(self._unresolved, entity=entity, after=after, limit=limit)

    def records_in(self, system: str, stream: str, after: int, limit: int) -> list[RecordRow]:
        stream_id = self.systems.stream_id(system, stream)
        return self._find(self._in_stream, stream_id=stream_id, after=after, limit=limit)

    def set_links(self, links: Iterable[tuple[int, str]]) -> None:
        given = list(links)
        self.database.write_many(_MARK_LEFT, ((True, record_id, golden_id) for record_id, golden_id in given))
        self.database.write_many(_LINK, ((golden_id, False, record_id) for record_id, golden_id in given))
        self.database.write_many(_MARK, {(True, golden_id, True) for _, golden_id in given})

    def mark_resolved(self, record_ids: Iterable[int]) -> None:
        self.database.write_many(_RESOLVED, ((False, record_id) for record_id in record_ids))

    def mark_unresolved(self, golden_ids: Iterable[str]) -> None:
        self.database.write_many(_UNRESOLVED, ((True, golden_id) for golden_id in golden_ids))

    def golden_of(
        self, system: str, entity: str, native_ids: Sequence[str], stream: str | None
    ) -> dict[tuple[str, str], str]:
        wanted = set(native_ids)
        main = {head for native_id in wanted for head in _heads(native_id)}
        parameters = {"system": system, "entity": entity, "ids": self.database.ids(main)}
        if stream is None:
            rows = self.database.rows(self._goldens_of, parameters)
        else:
            rows = self.database.rows(self._goldens_in, {**parameters, "stream": stream})
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
            merged = dict(map(tuple, self.database.rows(self._merged, {"ids": self.database.ids(ids)})))
            found = {key: merged.get(golden_id, golden_id) for key, golden_id in found.items()}
        return found

    def natives_of(self, system: str, golden_ids: Sequence[str]) -> dict[str, dict[str, RecordRow]]:
        found: dict[str, dict[str, RecordRow]] = {}
        for row in self._find(self._natives, system=system, ids=self.database.ids(golden_ids)):
            assert row.golden_id is not None
            found.setdefault(row.golden_id, {}).setdefault(row.scope, row)
        return found

    def count_records(self, system: str, entity: str) -> int:
        return int(self.database.value(self._count, {"system": system, "entity": entity}))

    def count_stream(self, system: str, stream: str) -> int:
        stream_id = self.systems.stream_id(system, stream)
        return int(self.database.value(self._count_stream, {"stream_id": stream_id}))


def _heads(native_id: str) -> list[str]:
    """The id itself, and the native ids that it may go on from: `1001` of `1001#buyer:ann@example.org`."""
    parts = native_id.split("#")
    return ["#".join(parts[:end]) for end in range(1, len(parts) + 1)]
