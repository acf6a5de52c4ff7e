"""What a system says is gone: tombstones, merges of two records, and what a complete listing lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from crmbridge.engine.links import join_goldens
from crmbridge.engine.run import Run, System, micros
from crmbridge.sdk.connector import Capabilities, Page, RemoteMerge, Tombstone
from crmbridge.sdk.errors import LimitError
from crmbridge.store.base import RecordRow

__all__ = ["Removals"]

CHUNK = 1000
A_MOMENT = 1_000_000
"""Microseconds: a record that was read so long after its delete was alive then."""


@dataclass(slots=True)
class Removals:
    """Of one stream. Every method belongs into a transaction of its caller."""

    run: Run
    system: System
    stream: str
    capabilities: Capabilities = field(init=False)

    def __post_init__(self) -> None:
        self.capabilities = self.system.streams[self.stream].capabilities

    def take(self, page: Page, clock_offset: int) -> None:
        """The tombstones and merges of a page, once its records are saved."""
        for merge in page.merges:  # before the tombstone that a system may report of the loser as well
            self._merge(merge)
        here = {(record.scope, record.native_id) for record in page.records}
        for tombstone in page.tombstones:
            if (tombstone.scope, tombstone.native_id) not in here:  # else it was brought back since
                self._tombstone(tombstone, clock_offset)

    def _tombstone(self, tombstone: Tombstone, clock_offset: int) -> None:
        now = self.run.now()
        at = min(micros(tombstone.at) - clock_offset, now) if tombstone.at else now
        rows = self.run.store.records(self.system.name, self.stream, [tombstone.native_id])
        rows = [row for row in rows if row.scope == tombstone.scope]
        if tombstone.at is not None:  # an old tombstone, delivered again, of a record that we saw alive since
            resolution = int(self.capabilities.time_resolution.total_seconds() * 1_000_000)
            grain = max(A_MOMENT, resolution)
            rows = [row for row in rows if row.status != "live" or row.read_at < at + grain]
        self._bury(rows, at, "archived" if tombstone.archived else "gone")

    def _bury(self, rows: Iterable[RecordRow], at: int, status: Any = "gone") -> None:
        store = self.run.store
        for row in rows:
            if row.status in ("gone", "archived"):
                continue
            row.status, row.gone_at, row.raw_hash = status, at, b""
            store.put_records([row])
            self.run.count(self.system.name, row.entity, "gone")
            store.mark_dirty([row.golden_id] if row.golden_id else [])

    def _merge(self, merge: RemoteMerge) -> None:
        """The system itself says that two records are one: the links follow."""
        store, now = self.run.store, self.run.now()
        rows = store.records(self.system.name, self.stream, [merge.loser, merge.survivor])
        mains = {row.native_id: row for row in rows if row.scope == merge.scope and not row.part}
        loser, survivor = mains.get(merge.loser), mains.get(merge.survivor)
        if loser is None or loser.status == "gone":
            return
        self._bury([loser], now)
        if survivor is None or not loser.golden_id or not survivor.golden_id:
            return
        if loser.golden_id != survivor.golden_id:
            why = f"{self.system.name} merged {merge.loser} into {merge.survivor}"
            join_goldens(store, loser.golden_id, survivor.golden_id, why, now)

    def sweep(self) -> None:
        """Bury what a complete listing lacked."""
        store, name, after = self.run.store, self.system.name, 0
        while rows := store.sweep_missing(name, self.stream, after, CHUNK):
            after = rows[-1].id
            self._bury(rows, self.run.now())

    def guard_emptied(self, before: int, listed: int) -> None:
        """Whether a listing lacks so much that something must be wrong with it."""
        if before >= 10 and listed < before / 2 and "empty" not in self.run.allowed:
            raise LimitError(
                f"{self.system.name}/{self.stream} lists {listed} records, and last time {before}",
                limit="the guard against an emptied source",
                flag="--allow empty",
                hint="look whether the source is whole; if it is meant, pass --allow empty for this run",
            )
