"""What a complete listing lacks. What it showed is kept with its pages, so that a crash loses none of it."""

from __future__ import annotations

from collections.abc import Iterable

from crmbridge.store.database import Database, upsert
from crmbridge.store.records import OF_STREAM, row_of_stream
from crmbridge.store.rows import RecordRow
from crmbridge.store.systems import Systems

__all__ = ["Sweep"]

_SAW = upsert("listing", ("stream_id", "native_id", "scope"), ("stream_id", "native_id", "scope"))
_FORGET = "DELETE FROM listing WHERE stream_id = :stream_id"
_NOT_LISTED = """NOT EXISTS (
    SELECT 1 FROM listing AS l
    WHERE l.stream_id = r.stream_id AND l.native_id = r.native_id AND l.scope = r.scope)
"""
_MISSING = f"""{OF_STREAM} AND r.id > :after AND r.status IN ('live', 'out') AND {_NOT_LISTED}
    ORDER BY r.id LIMIT :limit
"""
_LIVE = "SELECT count(*) FROM records AS r WHERE r.stream_id = :stream_id AND r.status = 'live'"
_LACKING = f"{_LIVE} AND {_NOT_LISTED}"


class Sweep:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, systems: Systems) -> None:
        self.database = database
        self.systems = systems

    def sweep_begin(self, system: str, stream: str) -> None:
        self.database.write(_FORGET, {"stream_id": self.systems.make_stream(system, stream)})

    def sweep_saw(self, system: str, stream: str, keys: Iterable[tuple[str, str]]) -> None:
        stream_id = self.systems.make_stream(system, stream)
        self.database.write_many(_SAW, ((stream_id, native_id, scope) for scope, native_id in keys))

    def sweep_missing(self, system: str, stream: str, after: int, limit: int) -> list[RecordRow]:
        values = {"stream_id": self.systems.stream_id(system, stream), "after": after, "limit": limit}
        return [row_of_stream(system, stream, row) for row in self.database.rows(_MISSING, values)]

    def sweep_count(self, system: str, stream: str) -> tuple[int, int]:
        values = {"stream_id": self.systems.stream_id(system, stream)}
        return int(self.database.value(_LACKING, values)), int(self.database.value(_LIVE, values))

    def sweep_end(self, system: str, stream: str) -> None:
        self.database.write(_FORGET, {"stream_id": self.systems.stream_id(system, stream)})
