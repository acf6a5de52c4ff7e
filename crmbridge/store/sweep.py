"""What a complete listing lacks. What it showed is kept with its pages, so that a crash loses none of it."""

from __future__ import annotations

from collections.abc import Iterable

from crmbridge.store.database import Database
from crmbridge.store.records import FIELDS, row_of_stream
from crmbridge.store.rows import RecordRow
from crmbridge.store.systems import Systems

__all__ = ["Sweep"]

_FORGET = [f"DELETE FROM {table} WHERE stream_id = :stream_id" for table in ("listing", "missing")]
_UNTIL = """
    UPDATE streams SET listed_until = (SELECT coalesce(max(id), 0) FROM records) WHERE id = :stream_id
"""
_SAW = {
    # `WHERE TRUE`: https://sqlite.org/lang_upsert.html#parsing_ambiguity
    "sqlite": "SELECT value, :stream_id FROM json_each(:ids) WHERE TRUE",
    "postgresql": "SELECT unnest(CAST(:ids AS BIGINT[])), :stream_id",
}
# The index of the records' keys alone answers the inner question: the documents beside them are not read.
# A further record is listed with its main one.
_SETTLE = """
    INSERT INTO missing (record_id, stream_id)
    SELECT r.id, r.stream_id FROM records AS r
    WHERE r.status IN ('live', 'out') AND r.id IN (
            SELECT u.id FROM records AS u
            WHERE u.stream_id = :stream_id
                AND u.id <= (SELECT listed_until FROM streams WHERE id = :stream_id)
                AND NOT EXISTS (SELECT 1 FROM listing AS l WHERE l.record_id = u.id))
        AND (r.part = '' OR NOT EXISTS (
            SELECT 1 FROM records AS main LEFT JOIN listing AS l ON l.record_id = main.id
            WHERE main.stream_id = r.stream_id AND main.native_id = r.native_id AND main.scope = r.scope
                AND main.part = '' AND (l.record_id IS NOT NULL
                    OR main.id > (SELECT listed_until FROM streams WHERE id = :stream_id))))
"""
_OF_MISSING = "FROM missing AS m JOIN records AS r ON r.id = m.record_id WHERE m.stream_id = :stream_id"
_MISSING = f"SELECT {FIELDS} {_OF_MISSING} AND m.record_id > :after ORDER BY m.record_id LIMIT :limit"
_LACKING = f"SELECT count(*) {_OF_MISSING} AND r.status = 'live'"
_LIVE = "SELECT count(*) FROM records WHERE stream_id = :stream_id AND status = 'live'"


class Sweep:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, systems: Systems) -> None:
        self.database = database
        self.systems = systems
        known = _SAW[database.dialect]
        self._saw = f"INSERT INTO listing (record_id, stream_id) {known} ON CONFLICT DO NOTHING"

    def sweep_begin(self, system: str, stream: str) -> None:
        place = {"stream_id": self.systems.make_stream(system, stream)}
        self.sweep_end(system, stream)
        self.database.write(_UNTIL, place)

    def sweep_saw(self, system: str, stream: str, record_ids: Iterable[int]) -> None:
        ids = self.database.ids(record_ids)
        self.database.write(self._saw, {"stream_id": self.systems.make_stream(system, stream), "ids": ids})

    def sweep_settle(self, system: str, stream: str) -> tuple[int, int]:
        place = {"stream_id": self.systems.stream_id(system, stream)}
        self.database.write(_FORGET[1], place)
        self.database.write(_SETTLE, place)
        return int(self.database.value(_LACKING, place)), int(self.database.value(_LIVE, place))

    def sweep_missing(self, system: str, stream: str, after: int, limit: int) -> list[RecordRow]:
        values = {"stream_id": self.systems.stream_id(system, stream), "after": after, "limit": limit}
        return [row_of_stream(system, stream, row) for row in self.database.rows(_MISSING, values)]

    def sweep_end(self, system: str, stream: str) -> None:
        place = {"stream_id": self.systems.stream_id(system, stream)}
        for text in _FORGET:
            self.database.write(text, place)
