"""What a system says is gone: tombstones, merges of two records, and what a complete listing lacks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crmbridge.engine.doubts import DOUBT
from crmbridge.engine.links import golden_id_for, join_goldens
from crmbridge.engine.run import Run, System, micros, set_back
from crmbridge.identity.policy import HUB
from crmbridge.sdk.connector import Capabilities, Connector, Page, RemoteMerge, Tombstone
from crmbridge.sdk.errors import CursorExpiredError, LimitError
from crmbridge.store.doubts import MERGED
from crmbridge.store.rows import GoldenRow, RecordRow, StreamRow

__all__ = ["Removals"]

CHUNK = 1000
A_MOMENT = 1_000_000
"""Microseconds: a record that was read so long after its delete was alive then."""


@dataclass(slots=True)
class Removals:
    """Of one stream."""

    run: Run
    system: System
    stream: str
    capabilities: Capabilities = field(init=False)
    written_anew: bool = False
    """What the listing lacks is what we compute and write there: it was thrown away whole."""

    def __post_init__(self) -> None:
        self.capabilities = self.system.streams[self.stream].capabilities

    def take(self, page: Page, clock_offset: int) -> None:
        """The tombstones and merges of a page, once its records are saved; in the page's transaction."""
        for merge in page.merges:  # before the tombstone that a system may report of the loser as well
            self._merge(merge)
        if not page.tombstones:
            return
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
        since = self.run.store.stream(self.system.name, self.stream).read_started
        self._bury(rows, "archived" if tombstone.archived else "gone", at if tombstone.at else None, since)

    def _bury(self, rows: Iterable[RecordRow], status: Any, at: int | None, since: int) -> None:
        """at: when it was deleted. Where that is not told, at any time after it was last there, at `since` or
        when it was read: an edit elsewhere since then may be the later one. What had left the scope before
        was no part of the sync any more: its delete is nobody's business."""
        store = self.run.store
        for row in rows:
            if row.status in ("gone", "archived", "lost"):
                continue
            stamp = max(row.read_at, since) if at is None else at
            row.gone_at = 0 if row.status == "out" else stamp
            row.status, row.raw_hash = status, b""
            store.put_records([row])
            self.run.count(self.system.name, row.entity, "gone")
            store.mark_dirty([row.golden_id] if row.golden_id else [])

    def _lose(self, rows: Iterable[RecordRow]) -> None:
        """Nobody deleted them one by one: the system was set back to a time before it had them, or a sheet
        that we write was thrown away."""
        for row in rows:
            row.status, row.raw_hash = "lost", b""
            self.run.store.put_records([row])
            self.run.count(self.system.name, row.entity, "lost")
            self.run.store.mark_dirty([row.golden_id] if row.golden_id else [])

    # merges

    def _merge(self, merge: RemoteMerge) -> None:
        """The system itself says that two records are one: the links follow.

        The survivor may be unknown yet. Then its link is made here, out of scope until its record comes.
        """
        store, name = self.run.store, self.system.name
        rows = store.records(name, self.stream, [merge.loser, merge.survivor])
        mains = {row.native_id: row for row in rows if row.scope == merge.scope and not row.part}
        loser, survivor = mains.get(merge.loser), mains.get(merge.survivor)
        known = loser or survivor
        why = f"{name} merged {merge.loser} into {merge.survivor}"
        if known is None or merge.loser == merge.survivor or self._is_old(loser, why):
            return
        loser = loser or self._stub(known, merge.loser)
        survivor = survivor or self._stub(known, merge.survivor)
        self._bury([loser], "gone", self.run.now(), 0)
        if self._were_told_apart(loser, survivor):
            self._keep_apart(loser, survivor, why)
            return
        golden_id = survivor.golden_id or loser.golden_id or self._found(survivor)
        if loser.golden_id and loser.golden_id != golden_id:
            join_goldens(store, loser.golden_id, golden_id, why, self.run.now())
        else:
            store.journal(golden_id, "merged", why, self.run.now())
        loser.golden_id = survivor.golden_id = golden_id
        loser.gone_at = 0  # nobody deleted anybody
        store.put_records([loser, survivor])
        store.mark_dirty([golden_id, *store.referring([golden_id])])

    def _were_told_apart(self, loser: RecordRow, survivor: RecordRow) -> bool:
        if loser.golden_id is None or survivor.golden_id is None:
            return False
        parted = self.run.store.parted([loser.golden_id]).get(loser.golden_id, {})
        return parted.get(survivor.golden_id) == "apart"

    def _keep_apart(self, loser: RecordRow, survivor: RecordRow, why: str) -> None:
        """A person had told them apart, and has to look again. Until then the one whose record is gone by
        this gets no other one there."""
        store, now = self.run.store, self.run.now()
        assert loser.golden_id is not None
        loser.gone_at = 0  # nobody deleted anybody
        store.put_records([loser])
        rows = store.records_of([loser.golden_id])[loser.golden_id]
        store.mark_dirty([one for one in (loser.golden_id, survivor.golden_id) if one])
        store.journal(loser.golden_id, "kept apart", f"{why}, and a person had told them apart", now)
        if any(row.status in ("live", "out") for row in rows if row.system != HUB):
            store.put_doubts([(loser.id, survivor.id, f"{MERGED}{self.system.name}")], [], now)
            text = f"{why}, which a person had told apart: crmbridge identity duplicates"
            self.run.note(DOUBT, self.system.name, loser.entity, loser.golden_id, "", text)

    def _is_old(self, loser: RecordRow | None, why: str) -> bool:
        """Delivered before: what a person has separated since stays so."""
        if loser is None or loser.status not in ("gone", "archived") or not loser.golden_id:
            return False
        return any(why in details for _, _, details in self.run.store.history(loser.golden_id))

    def _stub(self, like: RecordRow, native_id: str) -> RecordRow:
        """The link of a record that nobody has read."""
        stub = RecordRow(like.system, like.stream, native_id, like.entity, scope=like.scope)
        stub.status, stub.unresolved = "out", False
        return stub

    def _found(self, row: RecordRow) -> str:
        golden_id, now = golden_id_for(row), self.run.now()
        self.run.store.put_goldens([GoldenRow(golden_id, row.entity, updated_at=now)])
        who = f"{row.system}/{row.stream}/{row.native_id}"
        self.run.store.journal(golden_id, "created", who, now)
        return golden_id

    # what no mapping takes any more

    @property
    def _leaving(self) -> str:
        """The mark of such records until the reading is over, and while a person has to look."""
        return f"leaving:{self.system.name}:{self.stream}"

    def leaving(self, record_ids: Iterable[int]) -> set[str]:
        """Which of these records have that mark."""
        return self.run.store.marked(self._leaving, map(str, record_ids))

    def see_leave(self, looked_at: Iterable[int], left: Iterable[int]) -> None:
        """Of the records that were looked at these leave the scope; in the page's transaction."""
        self.run.store.drop_marks(self._leaving, map(str, looked_at))
        self.run.store.put_marks(self._leaving, map(str, left))

    def let_leave(self) -> None:
        """What no mapping takes any more is out of scope. Raises LimitError where that is so much at once
        that a condition must be wrong, or the column that it looks at."""
        store, name = self.run.store, self.system.name
        self._guard_scope(store.count_marks(self._leaving))
        while ids := store.marks(self._leaving, "", CHUNK):
            mains = store.records_by_id([int(one) for one in ids])
            keys = {(row.scope, row.native_id) for row in mains}
            rows = store.records(name, self.stream, [row.native_id for row in mains])
            with store.transaction():
                self._leave(row for row in rows if (row.scope, row.native_id) in keys)
                store.drop_marks(self._leaving, ids)

    def _guard_scope(self, leaving: int) -> None:
        known = self.run.store.count_stream(self.system.name, self.stream)
        allowed = self.run.limits.allows("vanished", leaving, known, first=False)
        if allowed or "vanished" in self.run.allowed:
            return
        raise LimitError(
            f"{self.system.name}/{self.stream}: {leaving} of the {known} known records would be out of scope "
            "all at once, since no `when:` takes them any more; the limit is "
            f"{self.run.limits.describe('vanished', first=False)}",
            limit="limits.vanished",
            flag="--allow vanished",
            hint=f"look at what `when:` takes: crmbridge map preview {self.system.name} {self.stream}; if it "
            "is meant, pass --allow vanished for this run, or change limits.vanished in crmbridge.yaml",
        )

    # what a listing lacks

    def sweep(self, since: int) -> None:
        """Settle what a complete listing lacked. What the system still gives when it is asked for by its id
        has left the listing's scope (a role, what the API user may see) and is not deleted.

        since: when it was last listed."""
        store, name, after = self.run.store, self.system.name, 0
        lost = self.written_anew or store.setting(set_back(name, self.stream)) is not None
        scopes = self.capabilities.scopes
        while found := store.sweep_missing(name, self.stream, after, CHUNK):
            after = found[-1].id
            rows = [row for row in found if not scopes or row.scope in scopes]  # of others nothing is known
            there = self._still_there([row.native_id for row in rows])
            with store.transaction():
                missing = [r for r in rows if (r.scope, r.native_id) not in there]
                if lost:
                    self._lose(missing)
                else:
                    self._bury(missing, "gone", None, since)
                self._leave([r for r in rows if (r.scope, r.native_id) in there])

    def _still_there(self, native_ids: Sequence[str]) -> set[tuple[str, str]]:
        connector = self.system.connector
        if type(connector).get_many is Connector.get_many:  # it would read the same listing again
            return set()
        return {(one.scope, one.native_id) for one in connector.get_many(self.stream, native_ids)}

    def _leave(self, rows: Iterable[RecordRow]) -> None:
        """Out of scope: linked, and neither read nor written until it comes back."""
        left = [row for row in rows if row.status == "live"]
        for row in left:
            row.status, row.raw_hash = "out", b""
            if not row.part:
                self.run.count(self.system.name, row.entity, "out of scope")
        self.run.store.put_records(left)
        self.run.store.mark_dirty([row.golden_id for row in left if row.golden_id])

    # sources that cannot be right

    def guard_emptied(self, row: StreamRow, listed: int, *, swept: bool) -> None:
        """Raises LimitError where a complete listing lacks so much that something must be wrong with it."""
        if swept:
            with self.run.store.transaction():
                lacking, known = self.run.store.sweep_settle(self.system.name, self.stream)
        else:
            lacking, known = max(row.live_count - listed, 0), row.live_count
        allowed = self.run.limits.allows("vanished", lacking, known, first=False)
        if self._is_computed():
            self.written_anew = not listed or not allowed
        if "vanished" in self.run.allowed or allowed or self.written_anew:
            return
        raise LimitError(
            f"{self.system.name}/{self.stream} lists {listed} records, and {lacking} of the {known} known "
            f"ones are missing; the limit is {self.run.limits.describe('vanished', first=False)}",
            limit="limits.vanished",
            flag="--allow vanished",
            hint="look whether the source is whole; if it is meant, pass --allow vanished for this run, or "
            "change limits.vanished in crmbridge.yaml",
        )

    def _is_computed(self) -> bool:
        """Whether the stream holds nothing but what the hub writes there (a sheet of insights)."""
        flows = [self.run.flow(mapping.entity) for mapping in self.system.mappings.get(self.stream, ())]
        return all(flow is None or flow.policy.source == HUB for flow in flows)

    def guard_high_water(self, row: StreamRow, page: Page, *, full: bool) -> None:
        """Raises LimitError where the system's own counter moved backwards, as after its backup was restored.

        Where that is allowed: CursorExpiredError, since the cursor belongs to a history that is no more.
        """
        mark: Any = page.high_water
        if mark is None:
            return
        before: Any = json.loads(row.high_water) if row.high_water else None
        if type(before) is type(mark) and mark < before:
            place = f"{self.system.name}/{self.stream}"
            told = f"{place} is at {mark} and was at {before}: it moved backwards"
            if "backwards" not in self.run.allowed:
                raise LimitError(
                    told,
                    limit="the guard against a source that was set back",
                    flag="--allow backwards",
                    hint="was a backup restored there? If it is meant, pass --allow backwards for this run: "
                    "the stream is then read in full",
                )
            if not full:
                raise CursorExpiredError(told)
        row.high_water = json.dumps(mark)
