"""System -> pages -> records in the store, with checkpoints.

One page is one transaction: its records, its rejects and its cursor. What is unchanged by hash is not even
mapped. Everything else becomes a base: the record's canonical form and, field by field, what it said and
when.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crmbridge.engine import rejects
from crmbridge.engine.links import follow, part_of, print_of, raw_hash, save_part, stamp_between
from crmbridge.engine.rejects import Rejects
from crmbridge.engine.removals import Removals
from crmbridge.engine.run import Run, System, micros, set_back
from crmbridge.identity.link import FORMER, Reading, Stamp, observe
from crmbridge.identity.match import are_two
from crmbridge.identity.normalize import identity_keys
from crmbridge.identity.stored import kept
from crmbridge.mapping.apply import AlsoMapping
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.discovered import missing_columns
from crmbridge.mapping.errors import MappingError
from crmbridge.sdk.connector import Capabilities, Cursor, Page, Record
from crmbridge.sdk.errors import CursorExpiredError, FatalError, LimitError
from crmbridge.store.rows import KnownRecord, RecordRow, StreamRow
from crmbridge_schemas.party import country_of

__all__ = ["pull_records", "pull_system"]

CHUNK = 1000
OLD_COPY = (
    "the value from before our last write came back, as from an old copy, and is written over; if somebody "
    "meant it: change it in another system, or here to something else, sync, then to this"
)


def pull_system(run: Run, system: System) -> None:
    """Read every mapped stream of one system. A failure puts this system out of the run, no other."""
    for name in system.streams:
        if system.failure is None and _taken(run, system, name):
            try:
                with run.guard(system, name):
                    _Pull(run, system, name).read()
            except LimitError as error:
                if error.limit == rejects.LIMIT:
                    raise  # the mapping is wrong, not the system
                run.stop(system, error)


def pull_records(run: Run, system: System, stream: str, native_ids: Sequence[str]) -> None:
    """Read these records again, wherever the stream's cursor stands; those that are gone are passed over."""
    with run.guard(system, stream):
        _Pull(run, system, stream).read_again(native_ids)


def _taken(run: Run, system: System, stream: str) -> list[StreamMapping]:
    """The mappings of a stream for entities of whose sync the system is a part."""
    flows = {flow.entity: flow for flow in run.flows}
    return [
        m
        for m in system.mappings.get(stream, ())
        if m.entity in flows and system.name in flows[m.entity].policy.systems
    ]


@dataclass(slots=True)
class _Pull:
    """One reading of one stream."""

    run: Run
    system: System
    stream: str
    mappings: Sequence[StreamMapping] = ()
    capabilities: Capabilities = field(default_factory=Capabilities)
    removals: Removals = field(init=False)
    row: StreamRow = field(default_factory=lambda: StreamRow("", ""))
    asked_at: int = 0
    read_at: int = 0
    """When the page in hand was taken: one time for all its records."""
    clock_offset: int = 0
    """The system's clock minus ours, microseconds."""
    listed: int = 0
    lagging: int = 0
    """Records that were served as they had been before."""
    set_back: bool = False
    """An operator restored a backup of the system: what differs, and was not changed since, is old."""
    rejects: Rejects = field(init=False)
    parts: dict[tuple[str, str], list[RecordRow]] = field(default_factory=dict)
    """(scope, native id) -> the further records that changed records of the page in hand had so far."""
    required: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Entity -> fields without which a record makes no sense."""

    def read(self) -> None:
        run = self.run
        self._prepare()
        self._follow_scopes()
        self.row.reading_since = self.row.reading_since or run.now()
        run.event("stage-started", system=self.system.name, stage="pull", text=self.stream)
        try:
            complete = self._pages(self._cursor())
        except CursorExpiredError as error:
            run.event("finding", system=self.system.name, text=f"{error}; reading {self.stream} in full")
            complete = self._pages(None)
        self.rejects.check()
        self._tell_lagging()
        self._finish(complete)
        run.event("stage-ended", system=self.system.name, stage="pull", text=self.stream, count=self.listed)

    def _tell_lagging(self) -> None:
        if self.lagging:
            text = (
                f"{self.lagging} {self.stream} were served as they had been before we last knew them, as by "
                f"a replica that lags, and were not taken; was a backup of {self.system.name} restored? Then "
                f"say so: crmbridge systems recover {self.system.name}"
            )
            self.run.event("finding", system=self.system.name, text=text)

    def read_again(self, native_ids: Sequence[str]) -> None:
        self._prepare()
        self.asked_at = self.run.now()
        for start in range(0, len(native_ids), CHUNK):
            wanted = native_ids[start : start + CHUNK]
            page = Page(list(self.system.connector.get_many(self.stream, wanted)))
            with self.run.store.transaction():
                self._take_page(page, sweeping=False)

    def _prepare(self) -> None:
        run = self.run
        self.mappings = _taken(run, self.system, self.stream)
        self.capabilities = self.system.streams[self.stream].capabilities
        self.removals = Removals(run, self.system, self.stream)
        self.row = run.store.stream(self.system.name, self.stream)
        self.set_back = run.store.setting(set_back(self.system.name, self.stream)) is not None
        offsets = {row.name: row.clock_offset for row in run.store.systems()}
        self.clock_offset = offsets.get(self.system.name, 0)
        self.rejects = Rejects(run, self.system, self.stream, self.mappings[0].entity)
        for mapping in self.mappings:
            flow = run.flow(mapping.entity)
            assert flow is not None
            scalars = flow.shape.scalars.values()
            self.required[mapping.entity] = tuple(one.name for one in scalars if one.meta.required)

    def _follow_scopes(self) -> None:
        """Of companies that are no longer looked at nothing is known: their records are out of scope. New
        ones are read in full."""
        store, key = self.run.store, f"scopes:{self.system.name}:{self.stream}"
        scopes, after = self.capabilities.scopes, 0
        now = "\x1f".join(sorted(scopes))
        if (store.setting(key) or "") == now:
            return
        with store.transaction():
            store.put_setting(key, now)
            self.row.cursor = None
            while scopes and (rows := store.records_in(self.system.name, self.stream, after, CHUNK)):
                after = rows[-1].id
                left = [row for row in rows if row.status == "live" and row.scope not in scopes]
                for row in left:
                    row.status, row.raw_hash = "out", b""
                store.put_records(left)

    def _cursor(self) -> Cursor:
        """Where reading goes on; None: in full, as whenever the mapping is another than last time, since a
        cursor brings only what has changed over there."""
        if not self.capabilities.changed_since or self.run.full or not self.row.cursor:
            return None
        mapped_by = self.run.store.setting(self._mapped_key)
        if mapped_by != self._mapped_by():
            why = "its mapping changed" if mapped_by else "the last full read did not end well"
            self.run.event("finding", system=self.system.name, text=f"reading {self.stream} in full: {why}")
            return None
        found: Cursor = json.loads(self.row.cursor)
        return found

    @property
    def _mapped_key(self) -> str:
        return f"mapped:{self.system.name}:{self.stream}"

    def _mapped_by(self) -> str:
        return " ".join(mapping.fingerprint for mapping in self.mappings)

    def _pages(self, cursor: Cursor) -> bool:
        """Take every page; True if together they were a complete listing."""
        store, name = self.run.store, self.system.name
        self.listed = 0
        full, complete = cursor is None, False
        sweeping = full and self._sweeps()
        if full:
            with store.transaction():
                store.put_setting(self._mapped_key, None)
                store.sweep_begin(name, self.stream)
        self.asked_at = began = self.run.now()
        for page in self.system.connector.pull(self.stream, cursor):
            self.removals.guard_high_water(self.row, page, full=full)
            with store.transaction():
                self._take_page(page, sweeping=sweeping)
                if page.cursor is not None:
                    self.row.cursor = json.dumps(page.cursor)
                store.put_stream(self.row)
            complete = complete or (full and page.complete)
            self.run.event(
                "progress", system=name, stage="pull", text=self.stream, count=self.listed, total=page.total
            )
            self.asked_at = self.run.now()
        if full:
            with store.transaction():
                self.rejects.heal_others(began)
        return complete

    def _sweeps(self) -> bool:
        """Whether a full read shows deletes. Those that a feed would have told are looked for only in a
        stream that was read before."""
        if self.capabilities.deletes == "sweep":
            return True
        return self.capabilities.deletes != "never" and self.row.read_started > 0

    def _check_columns(self, page: Page) -> None:
        """Refuse a table that lacks a mapped column: taken as unset, edits would silently stop flowing."""
        if page.columns is None:
            return
        missing = [each for mapping in self.mappings for each in missing_columns(mapping, page.columns)]
        if missing:
            place = self.system.streams[self.stream].label or "the table"
            told = "; ".join(finding.text for finding in missing)
            raise FatalError(
                f"{self.system.name}/{self.stream}: {place} lacks columns that are mapped: {told}",
                hint=f"{missing[0].hint}; name the column as before, or correct the mapping",
            )

    def _take_page(self, page: Page, *, sweeping: bool) -> None:
        self._check_columns(page)
        store, name = self.run.store, self.system.name
        self._measure_clock(page)
        self.read_at = self.run.now()
        known = store.known(name, self.stream, [record.native_id for record in page.records])
        befores = [known.get((record.scope, record.native_id)) for record in page.records]
        if sweeping:
            store.sweep_saw(name, self.stream, [before.id for before in befores if before])
        touched: list[Record] = []
        changed = list(self._changed(zip(page.records, befores, strict=True), touched))
        old = self._old_rows(record for record, _ in changed if (record.scope, record.native_id) in known)
        self.parts = {}
        for (scope, native_id, part), row in old.items():
            if part:
                self.parts.setdefault((scope, native_id), []).append(row)
        rows = list(self._seen_alive(touched))
        dirty: set[str] = set()
        for record, digest in changed:
            rows.extend(self._take(record, digest, old, dirty))
        for entity, count in Counter(row.entity for row in rows if not row.id).items():
            self.run.count(name, entity, "new", count)
        store.put_records(rows)
        self.rejects.heal((record.scope, record.native_id) for record in page.records)
        self.removals.take(page, self.clock_offset)
        store.mark_dirty(dirty)
        for reject in page.rejects:
            self.rejects.add((reject.scope, reject.position), reject.reason, reject.raw)
        self.listed += len(page.records) + len(page.rejects)

    def _changed(
        self,
        pairs: Iterable[tuple[Record, KnownRecord | None]],
        touched: list[Record],
    ) -> Iterator[tuple[Record, bytes]]:
        """What has to be mapped, of the records, each with what was known of it; what is unchanged and was
        touched all the same goes into `touched`."""
        prints = {m.fingerprint for m in self.mappings}
        told = self.capabilities.deletes not in ("sweep", "never")
        for record, before in pairs:
            try:
                if "\x00" in record.native_id + record.scope:
                    raise ValueError("its id holds the character NUL")
                digest = raw_hash(record)
            except ValueError as error:
                key = _printable(record.scope), _printable(record.native_id)
                self.rejects.add(key, str(error), repr(record.data))
                continue
            if (
                before is None
                or before.raw_hash != digest
                or before.mapped_by not in prints
                or before.status not in ("live", "out")
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

    def _take(
        self,
        record: Record,
        digest: bytes,
        old: Mapping[tuple[str, str, str], RecordRow],
        dirty: set[str],
    ) -> list[RecordRow]:
        try:
            return self._map(record, digest, old, dirty)
        except (MappingError, ValueError, RecursionError) as error:
            self.rejects.add((record.scope, record.native_id), str(error), record.data)
            return []

    def _map(
        self,
        record: Record,
        digest: bytes,
        old: Mapping[tuple[str, str, str], RecordRow],
        dirty: set[str],
    ) -> list[RecordRow]:
        rows: list[RecordRow] = []
        admitted = None
        for mapping in self.mappings:
            if mapping.admits(record.data):
                admitted = mapping
                break
        main = old.get((record.scope, record.native_id, ""))
        if main is not None and self._is_old(record, digest, main):
            return []
        if admitted is None:
            if main is not None and main.status == "live":
                main.raw_hash = digest
                for row in (main, *self.parts.get((record.scope, record.native_id), ())):
                    if row.status == "live":
                        row.status = "out"
                        rows.append(row)
                        self._touch(row, dirty)
            return rows
        if main is not None and main.entity != admitted.entity:
            raise ValueError(f"was a {main.entity} and is now a {admitted.entity}; unlink it first")
        if main is not None and self._is_somebody_else(record, admitted, main):
            rows.append(self._set_apart(main, dirty))
            main = None
        rows.append(self._base(record, digest, admitted, main, dirty))
        self._check_required(rows[-1])
        for also in admitted.also:
            rows.extend(self._also(record, digest, also, old, dirty))
        rows.extend(self._no_longer_yielded(record, admitted, dirty))
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
            keys = (set(identity_keys(doc, region=self.run.region)) for doc in (before, now))
            return are_two(before, now, *keys)
        pairs = [(before.get(name), now.get(name)) for name in model.natural_key]
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)

    def _set_apart(self, row: RecordRow, dirty: set[str]) -> RecordRow:
        """It stays what it was, gone, and makes room for who bears its native id now."""
        who = f"{row.system}/{row.stream}/{row.native_id}"
        row.part = f"{FORMER}{row.gone_at or row.read_at}"
        if row.golden_id:
            text = f"{who} was deleted, and is somebody else now"
            self.run.store.journal(row.golden_id, "split", text, self.run.now())
        self._touch(row, dirty)
        return row

    def _no_longer_yielded(
        self, record: Record, mapping: StreamMapping, dirty: set[str]
    ) -> Iterator[RecordRow]:
        """Further records that the native one had so far: whoever changes employer leaves the old one."""
        before = self.parts.get((record.scope, record.native_id))
        if not before:
            return
        yielded = {_part(also, record) for also in mapping.also}
        for row in before:
            if row.part not in yielded and row.status in ("live", "out"):
                row.status, row.gone_at = "gone", self._stamp(record, row).time
                self._touch(row, dirty)
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
        old: Mapping[tuple[str, str, str], RecordRow],
        dirty: set[str],
    ) -> Iterator[RecordRow]:
        part = _part(also, record)
        if part is None or self.run.flow(also.entity) is None:
            return
        row = old.get((record.scope, record.native_id, part))
        if row is None:
            yield self._base(record, digest, also, None, dirty, part)
        elif row.status != "live":
            row.status, row.gone_at = "live", 0
            self._touch(row, dirty, revived=True)
            yield row

    def _base(
        self,
        record: Record,
        digest: bytes,
        mapping: StreamMapping,
        row: RecordRow | None,
        dirty: set[str],
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
            self._touch(row, dirty, revived=news.revived)
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
        row.status, row.gone_at, row.deleted_by_us = "live", 0, False
        follow(row, record.version, digest)
        row.mapped_by = mapping.fingerprint
        return News(reading.result.changed, reading.result.reverted, revived)

    def _touch(self, row: RecordRow, dirty: set[str], *, revived: bool = False) -> None:
        if row.golden_id:
            dirty.add(row.golden_id)
            if revived:  # what waits for it is planned again
                dirty.update(self.run.store.referring([row.golden_id]))

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

    # the end

    def _finish(self, complete: bool) -> None:
        store, name = self.run.store, self.system.name
        swept = self._sweeps()
        if self.capabilities.deletes == "sweep":
            complete = complete or self._listed_ids()
        if complete:
            self.removals.guard_emptied(self.row, self.listed, swept=swept)
        if complete and swept:
            seen = self.row.read_started
            if self.capabilities.deletes == "sweep":  # a reading that is no complete listing shows no delete
                seen = min(seen, self.row.complete_at)
            self.removals.sweep(since=seen)
        with store.transaction():
            store.sweep_end(name, self.stream)
            store.put_setting(self._mapped_key, self._mapped_by())
            store.put_setting(set_back(name, self.stream), None)
            self.row.read_started, self.row.reading_since = self.row.reading_since, 0
            if complete:
                self.row.complete_at, self.row.live_count = self.run.now(), self.listed
            store.put_stream(self.row)

    def _listed_ids(self) -> bool:
        """A listing of ids alone, for streams that are read by cursor."""
        store, name = self.run.store, self.system.name
        listing = self.system.connector.list_ids(self.stream)
        if listing is None:
            return False
        with store.transaction():
            store.sweep_begin(name, self.stream)
        self.listed = 0
        for keys in listing:
            with store.transaction():
                known = store.known(name, self.stream, [native_id for _, native_id in keys])
                store.sweep_saw(name, self.stream, [known[key].id for key in keys if key in known])
            self.listed += len(keys)
        return True


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


def _printable(native_id: str) -> str:
    return native_id.encode("unicode_escape", "backslashreplace").decode()
