"""What a complete listing lacks. What it showed is kept with its pages, so that a crash loses none of it."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from crmbridge.store.database import Database, upsert
from crmbridge.store.records import record_row, select_records
from crmbridge.store.rows import RecordRow
from crmbridge.store.systems import Systems
from crmbridge.store.tables import listing, records

__all__ = ["Sweep"]

_SAW = upsert(listing, ("stream_id", "native_id", "scope"), ("stream_id", "native_id", "scope"))


class Sweep:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, systems: Systems) -> None:
        self.database = database
        self.systems = systems
        c = records.c
        listed = sa.exists().where(
            listing.c.stream_id == c.stream_id,
            listing.c.native_id == c.native_id,
            listing.c.scope == c.scope,
        )
        self._forget = sa.delete(listing).where(listing.c.stream_id == sa.bindparam("stream_id"))
        self._missing = (
            select_records()
            .where(
                c.stream_id == sa.bindparam("stream_id"),
                c.id > sa.bindparam("after"),
                c.status.in_(("live", "out")),
                ~listed,
            )
            .order_by(c.id)
            .limit(sa.bindparam("limit", type_=sa.Integer))
        )
        live = sa.select(sa.func.count()).where(c.stream_id == sa.bindparam("stream_id"), c.status == "live")
        self._live, self._lacking = live, live.where(~listed)

    def sweep_begin(self, system: str, stream: str) -> None:
        self.database.write(self._forget, {"stream_id": self.systems.make_stream(system, stream)})

    def sweep_saw(self, system: str, stream: str, keys: Iterable[tuple[str, str]]) -> None:
        stream_id = self.systems.make_stream(system, stream)
        self.database.write_many(_SAW, ((stream_id, native_id, scope) for scope, native_id in keys))

    def sweep_missing(self, system: str, stream: str, after: int, limit: int) -> list[RecordRow]:
        stream_id = self.systems.stream_id(system, stream)
        parameters = {"stream_id": stream_id, "after": after, "limit": limit}
        return [record_row(row) for row in self.database.rows(self._missing, parameters)]

    def sweep_count(self, system: str, stream: str) -> tuple[int, int]:
        parameters = {"stream_id": self.systems.stream_id(system, stream)}
        return int(self.database.value(self._lacking, parameters)), int(
            self.database.value(self._live, parameters)
        )

    def sweep_end(self, system: str, stream: str) -> None:
        self.database.write(self._forget, {"stream_id": self.systems.stream_id(system, stream)})
