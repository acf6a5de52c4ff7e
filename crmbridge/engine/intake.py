"""One page -> records in the store: what is new, mapped, and field by field what each record said and when.

What is unchanged by hash is not even mapped. Everything else becomes a base (see `crmbridge.identity.link`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from crmbridge.engine.links import (
    follow,
    part_of,
    print_of,
    raw_hash,
    save_part,
    stamp_between,
    supersede_deletes,
)
from crmbridge.engine.rejects import Rejects
from crmbridge.engine.removals import Removals
from crmbridge.engine.run import Run, System, micros, set_back
from crmbridge.identity.link import FORMER, Reading, Stamp, observe
from crmbridge.identity.match import are_two
from crmbridge.identity.normalize import identity_keys
from crmbridge.identity.stored import kept
from crmbridge.mapping.apply import AlsoMapping
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.errors import MappingError
from crmbridge.sdk.connector import Capabilities, Page, Record
from crmbridge.store.rows import KnownRecord, RecordRow, StreamRow
from crmbridge_schemas.party import country_of

__all__ = ["Intake"]

_BROKEN = re.compile("[\0\ud800-\udfff]").search
"""What no id can be kept with: no database takes NUL, and no JSON half of a surrogate pair."""

OLD_COPY = (
    "the value from before our last write came back, as from an old copy, and is written over; if somebody "
    "meant it: change it in another system, or here to something else, sync, then to this"
)


@dataclass(slots=True)
class Intake:
    """Takes in the pages of one reading of one stream."""

    run: Run
    system: System
    stream: str
    mappings: Sequence[StreamMapping]
    row: StreamRow
    """The stream, as of the reading before this one."""
    rejects: Rejects
    removals: Removals
    capabilities: Capabilities = field(init=False)
    asked_at: int = 0
    """When the page in hand was asked for."""
    read_at: int = 0
    """When the page in hand was taken: one time for all its records."""
    clock_offset: int = field(init=False)
    """The system's clock minus ours, microseconds."""
    lagging: int = 0
    """Records that were served as they had been before."""
    set_back: bool = field(init=False)
    """An operator restored a backup of the system: what differs, and was not changed since, is old."""
    old: dict[tuple[str, str, str], RecordRow] = field(default_factory=dict)
    """(scope, native id, part) -> what the store has of the changed records of the page in hand."""
    parts: dict[tuple[str, str], list[RecordRow]] = field(default_factory=dict)
    """(scope, native id) -> the further records among them."""
    dirty: set[str] = field(default_factory=set)
    """Golden records that the page in hand touches."""
    reborn: set[str] = field(default_factory=set)
    """Those of which a deleted record is there again in the page in hand."""
    left: list[int] = field(default_factory=list)
    """Ids of records of the page in hand that no mapping takes any more."""
    required: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Entity -> fields without which a record makes no sense."""

    def __post_init__(self) -> None:
        run, name = self.run, self.system.name
        self.capabilities = self.system.streams[self.stream].capabilities
        self.set_back = run.store.setting(set_back(name, self.stream)) is not None
        offsets = {row.name: row.clock_offset for row in run.store.systems()}
        self.clock_offset = offsets.get(name, 0)
        for mapping in self.mappings:
            flow = run.flow(mapping.entity)
            assert flow is not None
            scalars = flow.shape.scalars.values()
            self.required[mapping.entity] = tuple(one.name for one in scalars if one.meta.required)

    def take(self, page: Page, *, sweeping: bool) -> None:
        """All of one page. sweeping: what is not in any page of this reading is gone."""
        store, name = self.run.store, self.system.name
        self._measure_clock(page)
        self.read_at = self.run.now()
        known = store.known(
            name, self.stream, [r.native_id for r in page.records if not _BROKEN(r.native_id)]
        )
        befores = [known.get((record.scope, record.native_id)) for record in page.records]
        if sweeping:
            store.sweep_saw(name, self.stream, [before.id for before in befores if before])
        touched: list[Record] = []
        leaving = self.removals.leaving(before.id for before in befores if before)
        changed = list(self._changed(zip(page.records, befores, strict=True), touched, leaving))
        self.left = []
        self._look_up(record for record, _ in changed if (record.scope, record.native_id) in known)
        rows = list(self._seen_alive(touched))
        for record, digest in changed:
            rows.extend(self._take(record, digest))
        for entity, count in Counter(row.entity for row in rows if not row.id).items():
            self.run.count(name, entity, "new", count)
        store.put_records(rows)
        supersede_deletes(store, self.reborn)
        self.removals.see_leave((row.id for row in self.old.values() if not row.part), self.left)
        self.rejects.heal((record.scope, record.native_id) for record in page.records)
        self.removals.take(page, self.clock_offset)
        store.mark_dirty(self.dirty)
        for reject in page.rejects:
            self.rejects.add((reject.scope, reject.position), reject.reason, reject.raw)

    def _look_up(self, records: Iterable[Record]) -> None:
        """What the store has of these records, their further ones included."""
        self.old, self.parts, self.dirty, self.reborn = self._old_rows(records), {}, set(), set()
        for (scope, native_id, part), row in self.old.items():
            if part:
                self.parts.setdefault((scope, native_id), []).append(row)

    def _changed(
        self,
        pairs: Iterable[tuple[Record, KnownRecord | None]],
        touched: list[Record],
        leaving: set[str],
    ) -> Iterator[tuple[Record, bytes]]:
        """What has to be mapped, of the records, each with what was known of it; what is unchanged and was
        touched all the same goes into `touched`. leaving: ids of those that no mapping took last time."""
        prints = {m.fingerprint for m in self.mappings}
        told = self.capabilities.deletes not in ("sweep", "never")
        for record, before in pairs:
            try:
                if _BROKEN(record.native_id + record.scope):
                    raise ValueError("its id holds the character NUL or a lone surrogate")
                digest = raw_hash(record)
            except ValueError as error:
                self.rejects.add((record.scope, record.native_id), str(error), repr(record.data))
                continue
            if (
                before is None
                or before.raw_hash != digest
                or before.mapped_by not in prints
                or before.status != "live"
                or str(before.id) in leaving
            ):
                yield record, digest
            elif before.version != record.version or (told and self._is_later(record, before)):
                touched.append(record)

    def _seen_alive(self, touched: Sequence[Record]) -> Iterator[RecordRow]:
        """Nothing in them is new, but they live now: one was taken out of the bin, say, whose delete is told
        later, or again."""
        old = self._old_rows(touched)
        for record in touched:
            row = old[record.scope, record.native_id, ""]
            if not self._is_old(record, row.raw_hash, row):
                follow(row, record.version, row.raw_hash)
                row.read_at = self.read_at
                yield row

    def _old_rows(self, records: Iterable[Record]) -> dict[tuple[str, str, str], RecordRow]:
        ids = [record.native_id for record in records]
        found = self.run.store.records(self.system.name, self.stream, ids) if ids else []
        return {(row.scope, row.native_id, row.part): row for row in found}

    # one record

    def _take(self, record: Record, digest: bytes) -> list[RecordRow]:
        try:
            return self._map(record, digest)
        except (MappingError, ValueError, RecursionError) as error:
            self.rejects.add((record.scope, record.native_id), str(error), record.data)
            return []

    def _map(self, record: Record, digest: bytes) -> list[RecordRow]:
        rows: list[RecordRow] = []
        admitted = None
        for mapping in self.mappings:
            if mapping.admits(record.data):
                admitted = mapping
                break
        main = self.old.get((record.scope, record.native_id, ""))
        if main is not None and self._is_old(record, digest, main):
            return []
        if admitted is None:
            if main is not None and main.status == "live":
                self.left.append(main.id)
            return rows
        if main is not None and main.entity != admitted.entity:
            raise ValueError(f"was a {main.entity} and is now a {admitted.entity}; unlink it first")
        if main is not None and self._is_somebody_else(record, admitted, main):
            rows.append(self._set_apart(main))
            main = None
        rows.append(self._base(record, digest, admitted, main))
        self._check_required(rows[-1])
        for also in admitted.also:
            rows.extend(self._also(record, digest, also))
        rows.extend(self._no_longer_yielded(record, admitted))
        return rows

    def _is_somebody_else(self, record: Record, mapping: StreamMapping, main: RecordRow) -> bool:
        """A record was deleted, and its native id was given to another: the row of a file, a number that a
        rebuilt system counts anew."""
        if main.status not in ("gone", "archived"):
            return False
        flow = self.run.flow(mapping.entity)
        assert flow is not None
        model = flow.shape.model
        before, now = json.loads(main.seen), mapping.read(record.data)
        if model.matched:
            fields = flow.shape.evidence
            keys = (set(identity_keys(doc, region=self.run.region, fields=fields)) for doc in (before, now))
            return are_two(before, now, *keys)
        pairs = [(before.get(name), now.get(name)) for name in model.natural_key]
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)

    def _set_apart(self, row: RecordRow) -> RecordRow:
        """It stays what it was, gone, and makes room for who bears its native id now."""
        who = f"{row.system}/{row.stream}/{row.native_id}"
        row.part = f"{FORMER}{row.gone_at or row.read_at}"
        if row.golden_id:
            text = f"{who} was deleted, and is somebody else now"
            self.run.store.journal(row.golden_id, "split", text, self.run.now())
        self._touch(row)
        return row

    def _no_longer_yielded(self, record: Record, mapping: StreamMapping) -> Iterator[RecordRow]:
        """Further records that the native one had so far: whoever changes employer leaves the old one."""
        before = self.parts.get((record.scope, record.native_id))
        if not before:
            return
        yielded = {_part(also, record) for also in mapping.also}
        for row in before:
            if row.part not in yielded and row.status in ("live", "out"):
                row.status, row.gone_at = "gone", self._stamp(record, row).time
                self._touch(row)
                yield row

    def _is_old(self, record: Record, digest: bytes, main: RecordRow) -> bool:
        """It was read before our last answer, or by a replica that has not followed yet: it is served exactly
        as it was before, and by its own time it has not changed since. By its time alone nothing is old: what
        a long transaction changes has the time of that transaction's beginning."""
        if main.read_at > self.asked_at:
            return True
        if not main.former or self.set_back or "backwards" in self.run.allowed:
            return False
        told = self.capabilities.unrepeatable and record.version is not None
        if not (told or record.modified is not None) or self._is_later(record, main):
            return False  # what comes back may be an old copy that somebody saved: see `observe`
        old = print_of(record.version, digest) in main.former
        self.lagging += old
        return old

    def _check_required(self, row: RecordRow) -> None:
        required = self.required[row.entity]
        if not required:
            return
        doc = json.loads(row.seen)
        missing = [name for name in required if doc.get(name) is None]
        if missing:
            raise ValueError(f"a {row.entity} without {' and '.join(missing)} makes no sense")

    def _also(
        self,
        record: Record,
        digest: bytes,
        also: AlsoMapping,
    ) -> Iterator[RecordRow]:
        part = _part(also, record)
        if part is None or self.run.flow(also.entity) is None:
            return
        row = self.old.get((record.scope, record.native_id, part))
        if row is None:
            yield self._base(record, digest, also, None, part)
        elif row.status != "live":
            self._revive(row)
            self._touch(row, revived=True)
            yield row

    def _base(
        self,
        record: Record,
        digest: bytes,
        mapping: StreamMapping,
        row: RecordRow | None,
        part: str = "",
    ) -> RecordRow:
        if row is None:
            return RecordRow(
                self.system.name,
                self.stream,
                record.native_id,
                mapping.entity,
                scope=record.scope,
                part=part,
                raw_hash=digest,
                version=record.version,
                seen=mapping.read_json(record.data),
                mapped_by=mapping.fingerprint,
                read_at=self.read_at,
            )
        news = self._observe(row, record, digest, mapping)
        row.read_at = self.read_at
        if news.changed or news.revived:
            self.run.count(self.system.name, mapping.entity, "changed")
            row.unresolved = True
            self._touch(row, revived=news.revived)
        for path in news.reverted:
            self.run.note("reverted", self.system.name, row.entity, row.golden_id or "", path, OLD_COPY)
        return row

    def _observe(self, row: RecordRow, record: Record, digest: bytes, mapping: StreamMapping) -> News:
        """Take in what a known record says now; changes the row."""
        flow = self.run.flow(mapping.entity)
        assert flow is not None
        doc, found = mapping.read(record.data), kept(row.seen, row.state)
        names = [name for name, value in doc.items() if name not in found.doc or found.doc[name] != value]
        reading = Reading(
            flow.shape.in_country(country_of(doc)),
            self._stamp(record, row),
            self.capabilities.unrepeatable,
            remapped=row.raw_hash == digest and row.mapped_by != mapping.fingerprint,
            new_mapping=row.mapped_by != mapping.fingerprint,
            set_back=self.set_back and not self._is_later(record, row),
            unsaid=mapping.unsaid_slots(record.data, names),
        )
        if names:
            link = part_of(row, flow.shape, found, names)
            observe(link, {name: doc[name] for name in names}, reading)
            save_part(link, row, flow.shape, found, names)
        revived = row.status != "live"
        self._revive(row)
        follow(row, record.version, digest)
        row.mapped_by = mapping.fingerprint
        return News(reading.result.changed, reading.result.reverted, revived)

    def _revive(self, row: RecordRow) -> None:
        if row.golden_id and row.status in ("gone", "archived"):
            self.reborn.add(row.golden_id)
        row.status, row.gone_at, row.deleted_by_us = "live", 0, False

    def _touch(self, row: RecordRow, *, revived: bool = False) -> None:
        if row.golden_id:
            self.dirty.add(row.golden_id)
            if revived:  # what waits for it is planned again
                self.dirty.update(self.run.store.referring([row.golden_id]))

    def _is_later(self, record: Record, row: RecordRow | KnownRecord) -> bool:
        """The system itself says that the record changed after it was last read."""
        return record.modified is not None and micros(record.modified) - self.clock_offset > row.read_at

    def _stamp(self, record: Record, row: RecordRow) -> Stamp:
        """The one time of a change: the source's, corrected and clamped between the two readings."""
        said = None if record.modified is None else micros(record.modified) - self.clock_offset
        last = max(row.read_at, self.row.read_started)
        return stamp_between(last, self.read_at, said, self._resolution())

    def _measure_clock(self, page: Page) -> None:
        if page.server_time is None:
            return
        for row in self.run.store.systems():
            if row.name == self.system.name:
                row.clock_offset = self.clock_offset = micros(page.server_time) - self.run.now()
                self.run.store.put_system(row)

    def _resolution(self) -> int:
        """The grain of the system's times, microseconds."""
        return int(self.capabilities.time_resolution.total_seconds() * 1_000_000)


@dataclass(slots=True)
class News:
    """What a reading brought."""

    changed: list[str]
    reverted: list[str]
    revived: bool


def _part(also: AlsoMapping, record: Record) -> str | None:
    """What tells a further record from the others of the same native one; None: there is no such record."""
    key = also.key(record.data) if also.admits(record.data) else None
    return None if key is None else f"{also.name}:{key}"
