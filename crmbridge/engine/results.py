"""What an answer of a system means for the intent, the record and its golden record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from crmbridge.engine.links import follow, link_of, planned_of, raw_hash, save_link, stamp_between
from crmbridge.engine.native import Settled, adopt
from crmbridge.engine.operations import Planned
from crmbridge.engine.run import Flow, Run, System, micros
from crmbridge.identity.link import Reading, Stamp, observe
from crmbridge.identity.normalize import KEY_LISTS
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.errors import MappingError
from crmbridge.sdk.connector import Capabilities, Record, Result
from crmbridge.sdk.errors import RAISED, FatalError
from crmbridge.store.rows import DeadLetterRow, IntentRow, RecordRow, WriteRow

__all__ = ["Found", "Results"]

A_MOMENT = 2_000_000
"""Microseconds within which a write and the system's own time of it count as one."""


@dataclass(slots=True)
class Books:
    """What several answers change, to be written at once."""

    records: list[RecordRow] = field(default_factory=list)
    intents: list[IntentRow] = field(default_factory=list)
    writes: list[WriteRow] = field(default_factory=list)
    letters: list[tuple[str, str]] = field(default_factory=list)
    """(scope, native or golden id) whose dead letters have come to life."""
    created: list[str] = field(default_factory=list)
    dirty: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up found of an operation whose answer was lost; the record may have been edited since."""

    part: Planned
    """The operation as far as the record shows it."""
    ours: bool
    """The record is certainly the one that we wrote: what differs may be an edit. Otherwise it is one that
    was met for the first time, and what it says besides is no edit."""


@dataclass(slots=True)
class Results:
    """Settles operations of one entity in one stream: the common part of sending and looking up."""

    run: Run
    system: System
    flow: Flow
    stream: str
    kind: str
    """Of the operations: create, update, archive, delete, transition."""
    capabilities: Capabilities = field(init=False)
    mapping: StreamMapping = field(init=False)
    stale: list[IntentRow] = field(default_factory=list)
    """Operations that met a record which had changed: it has to be read again."""
    books: Books = field(default_factory=Books)
    known_by_id: dict[int, RecordRow] = field(default_factory=dict)
    known_by_key: dict[tuple[str, str], RecordRow] = field(default_factory=dict)
    """(scope, native id) -> the main record."""
    clock_offset: int = 0
    """The system's clock minus ours, microseconds."""
    read_started: int = 0
    """When the stream was last read: what changed before it has been seen. Microseconds."""

    def __post_init__(self) -> None:
        self.read_started = self.run.store.stream(self.system.name, self.stream).read_started
        offsets = {row.name: row.clock_offset for row in self.run.store.systems()}
        self.clock_offset = offsets.get(self.system.name, 0)
        self.capabilities = self.system.streams[self.stream].capabilities
        found = self.system.mapping(self.stream, self.flow.entity)
        if found is None:
            raise FatalError(
                f"{self.system.name}/{self.stream} has no mapping for {self.flow.entity} any more"
            )
        self.mapping = found

    # answers

    def settle(
        self, answers: Sequence[tuple[IntentRow, Result, Record | None]], found: Found | None = None
    ) -> None:
        """Take answers, each with the record as now held, in one transaction and with few statements.

        found: for the one answer that had been lost.
        """
        with self.run.store.transaction():
            self._fetch(answers)
            for row, result, record in answers:
                self._take(row, result, record, found)
            self._write()

    def complete(self, answered: Sequence[Result], waiting: Mapping[str, IntentRow]) -> dict[str, Record]:
        """Operation id -> the record as now held; re-read where the connector does not say."""
        records = {r.operation_id: r.record for r in answered if r.status == "done" and r.record is not None}
        if self.capabilities.returns_record or self.kind == "delete":
            return records
        done = [r.operation_id for r in answered if r.status == "done"]
        keys = {_key(records.get(o), waiting[o]): o for o in done}
        wanted = sorted({native_id for _, native_id in keys if native_id})
        try:
            for record in self.system.connector.get_many(self.stream, wanted) if wanted else ():
                if (record.scope, record.native_id) in keys:
                    records[keys[record.scope, record.native_id]] = record
        except RAISED as error:
            # They are done over there, and must not be sent again: without their record they are uncertain.
            self.run.event("finding", system=self.system.name, text=f"written, but not read back: {error}")
            records = {o: record for o, record in records.items() if record.data}
        return records

    def _fetch(self, answers: Sequence[tuple[IntentRow, Result, Record | None]]) -> None:
        """The records that these answers are about, as far as they are known."""
        ids = [row.record_id for row, _, _ in answers if row.record_id]
        self.known_by_id = {one.id: one for one in self.run.store.records_by_id(ids)} if ids else {}
        made = [record.native_id for row, _, record in answers if record is not None and not row.record_id]
        found = self.run.store.records(self.system.name, self.stream, made) if made else []
        self.known_by_key = {(one.scope, one.native_id): one for one in found if not one.part}

    def _take(self, row: IntentRow, result: Result, record: Record | None, found: Found | None) -> None:
        row.handle = result.handle or row.handle
        if result.record is not None and not row.native_id:  # by it, it can be found again whatever comes
            row.scope, row.native_id = result.record.scope, result.record.native_id
        if result.status == "done":
            self._done(row, record, found)
        elif result.status == "rejected":
            self.reject(row, result.reason)
        elif result.status == "conflict":
            self._conflict(row, result.reason)
        elif result.status == "accepted":
            self.save(row, "accepted", result.reason)
        else:
            self.uncertain(row, result.reason)

    def _done(self, row: IntentRow, record: Record | None, found: Found | None) -> None:
        planned = found.part if found else planned_of(row)
        if planned.kind in ("delete", "archive"):
            self._buried_by_us(row, planned)
            return
        if record is None:
            self.uncertain(row, "the system did not say what it now holds")
            return
        saved = self._row_for(planned, record)
        if not planned.record_id and saved.golden_id != planned.golden_id:
            self._belongs_to_another(row, planned, record, saved)
            return
        settled = self._adopt(row, planned, record, saved, found)
        altered = [one for one in settled.altered if not self._as_mapped(one[0], one[1], one[2])]
        self._after_write(row, planned, altered)
        if not planned.record_id:
            self.books.created.append(planned.golden_id)
        steps_to_come = not planned.record_id and self.mapping.transition_field
        if settled.news or found or steps_to_come or planned.undoes:
            self.books.dirty.append(planned.golden_id)

    def _adopt(
        self, row: IntentRow, planned: Planned, record: Record, saved: RecordRow, found: Found | None
    ) -> Settled:
        """Put what we wrote, and what the record says besides, into its base."""
        link = link_of(saved, self.flow.shape)
        edited_since = found is not None and found.ours and self._edited_since(row, record)
        reading = self._reading(record, self._stamp(row, record, saved, found, edited_since=edited_since))
        held = self._held(record)
        settled = adopt(planned, link, held, reading, edited_since=edited_since)
        # What could not be mapped is tried again at the next reading: its letter stays open until then.
        follow(saved, record.version, raw_hash(record) if held else b"")
        saved.mapped_by, saved.read_at = self.mapping.fingerprint, self.run.now()
        saved.status = "live" if self._admits(record) else "out"
        shape = self.flow.shape
        evidence = {*KEY_LISTS, *shape.evidence} if shape.model.matched else {*shape.model.natural_key}
        wrote_keys = any(change.path.partition("/")[0] in evidence for change in planned.changes)
        saved.unresolved = saved.unresolved or bool(settled.news) or wrote_keys
        self.books.records.append(save_link(link, saved, self.flow.shape))
        return settled

    def _stamp(
        self, row: IntentRow, record: Record, saved: RecordRow, found: Found | None, *, edited_since: bool
    ) -> Stamp:
        """Of what the record says besides what we wrote."""
        if not row.record_id and not edited_since and (saved.read_at == 0 or (found and not found.ours)):
            return Stamp(0)
        if found is None:
            return Stamp(self.run.now())
        return self._stamp_since(saved.read_at or row.created_at, record)

    def _stamp_since(self, last: int, record: Record) -> Stamp:
        said = None if record.modified is None else micros(record.modified) - self.clock_offset
        return stamp_between(max(last, self.read_started), self.run.now(), said, self.resolution)

    def _edited_since(self, row: IntentRow, record: Record) -> bool:
        """Somebody changed the record after our write of long ago, whose answer was lost."""
        if record.modified is None:
            return False
        written = row.updated_at + self.clock_offset
        if not row.record_id and record.created is not None and not self.predates(row, record):
            written = micros(record.created)
        return micros(record.modified) > written + A_MOMENT

    def predates(self, row: IntentRow, record: Record) -> bool:
        """The record was there before we meant to make it: it is not the one that we made."""
        if record.created is None:
            return False
        return micros(record.created) - self.clock_offset + self.resolution < row.created_at

    @property
    def resolution(self) -> int:
        """The grain of the system's times, microseconds."""
        return int(self.capabilities.time_resolution.total_seconds() * 1_000_000)

    def _belongs_to_another(self, row: IntentRow, planned: Planned, record: Record, saved: RecordRow) -> None:
        """A create that ended in the record of somebody else (by an upsert key): it stays with whom it is
        linked to, whose own values are planned back over what we wrote."""
        self._adopt(row, planned, record, saved, None)
        self.books.dirty.append(saved.golden_id or "")
        row.scope, row.native_id = record.scope, record.native_id
        self.uncertain(row, self.taken_by(record, saved.golden_id or ""))

    def taken_by(self, record: Record, golden_id: str) -> str:
        """Why a record cannot be taken for the one that we made."""
        return f"{self.system.name}/{self.stream}/{record.native_id} is linked to {golden_id}"

    def _write(self) -> None:
        """What the answers changed, each table once."""
        books, store = self.books, self.run.store
        self.books = Books()
        store.put_records(books.records)
        store.put_intents(books.intents)
        store.put_writes(books.writes)
        if books.letters:
            store.settle_dead_letters_of("operation", self.system.name, self.stream, books.letters)
        store.mark_dirty([*books.dirty, *(store.referring(books.created) if books.created else ())])

    def _as_mapped(self, path: str, wanted: Any, held: Any) -> bool:
        """The mapping itself keeps no more of it (a time without seconds): the system altered nothing."""
        if "/" in path or wanted is None or path not in self.mapping.fields:
            return False
        return self.flow.shape.same(path, self.mapping.project(path, wanted), held)

    def _held(self, record: Record) -> dict[str, Any]:
        """What the record now says. Where that cannot be mapped, nothing is known but our own write: the link
        must be kept all the same, or the next run would create it again."""
        try:
            return self.mapping.read(record.data)
        except MappingError as error:
            now = self.run.now()
            raw = msgspec.json.encode(record.data).decode()
            letter = DeadLetterRow("record", self.system.name, self.stream, record.native_id, str(error), raw)
            letter.first_at, letter.last_at, letter.run, letter.scope = now, now, self.run.id, record.scope
            self.run.store.put_dead_letter(letter)
            self.run.count(self.system.name, self.flow.entity, "dead letter")
            return {}

    def _row_for(self, planned: Planned, record: Record) -> RecordRow:
        if planned.record_id:
            return self.known_by_id[planned.record_id]
        row = self.known_by_key.get((record.scope, record.native_id))
        if row is None:
            row = RecordRow(
                self.system.name, self.stream, record.native_id, self.flow.entity, scope=record.scope
            )
            self.known_by_key[record.scope, record.native_id] = row
        row.golden_id = row.golden_id or planned.golden_id
        return row

    def _after_write(self, row: IntentRow, planned: Planned, altered: Sequence[tuple[str, Any, Any]]) -> None:
        now = self.run.now()
        row.status, row.reason, row.updated_at = "done", "", now
        self.books.intents.append(row)
        self.run.count(self.system.name, self.flow.entity, _past(planned.kind))
        self.books.writes.extend(
            WriteRow(
                self.run.id,
                planned.id,
                self.system.name,
                planned.record_id or 0,
                planned.golden_id,
                change.path,
                _json(change.old),
                _json(change.new),
                at=now,
            )
            for change in planned.changes
        )
        self.books.letters.append(_letter_key(planned))
        for path, wanted, held in altered:
            text = f"asked for {wanted!r}, keeps {held!r}"
            self.run.note("altered", self.system.name, self.flow.entity, planned.golden_id, path, text)

    def _buried_by_us(self, row: IntentRow, planned: Planned) -> None:
        saved = self.known_by_id.get(planned.record_id or 0)
        if saved is not None:
            saved.status = "archived" if planned.kind == "archive" else "gone"
            saved.gone_at, saved.deleted_by_us, saved.raw_hash = self.run.now(), True, b""
            self.books.records.append(saved)
        self._after_write(row, planned, ())

    def bury(self, row: RecordRow) -> None:
        """It is not there any more, and when it was deleted nobody says: at any time since it was read."""
        row.status, row.gone_at, row.raw_hash = "gone", max(row.read_at, self.read_started), b""
        with self.run.store.transaction():
            self.run.store.put_records([row])
            self.run.store.mark_dirty([row.golden_id] if row.golden_id else [])

    def reject(self, row: IntentRow, reason: str) -> None:
        planned, now = planned_of(row), self.run.now()
        scope, native_id = _letter_key(planned)
        self.save(row, "rejected", reason)
        self.run.store.put_dead_letter(
            DeadLetterRow(
                "operation",
                self.system.name,
                self.stream,
                native_id,
                reason,
                row.payload,
                entity=self.flow.entity,
                golden_id=planned.golden_id,
                scope=scope,
                first_at=now,
                last_at=now,
                run=self.run.id,
            )
        )
        self.run.count(self.system.name, self.flow.entity, "dead letter")

    def _conflict(self, row: IntentRow, reason: str) -> None:
        """It changed since we read it: what it says now is taken in, and it is planned again."""
        self.save(row, "conflict", reason)
        self.run.count(self.system.name, self.flow.entity, "conflict")
        self.run.store.mark_dirty([row.golden_id])
        self.stale.append(row)

    def read_again(self) -> None:
        stale, self.stale = self.stale, []
        ids = sorted({row.native_id for row in stale if row.native_id})
        if not ids:
            return
        found = {(r.scope, r.native_id): r for r in self.system.connector.get_many(self.stream, ids)}
        for row in self.run.store.records_by_id([row.record_id for row in stale if row.record_id]):
            if (row.scope, row.native_id) in found:
                self.observe_again(row, found[row.scope, row.native_id])
            elif row.status == "live":
                self.bury(row)

    def uncertain(self, row: IntentRow, reason: str) -> None:
        self.save(row, "uncertain", reason)
        self.run.count(self.system.name, self.flow.entity, "uncertain")

    # reading again

    def observe_again(self, row: RecordRow, record: Record) -> None:
        link = link_of(row, self.flow.shape)
        now = self.run.now()
        if not self._admits(record):
            row.status, row.raw_hash, row.read_at = "out", raw_hash(record), now
            with self.run.store.transaction():
                self.run.store.put_records([row])
                self.run.store.mark_dirty([row.golden_id] if row.golden_id else [])
            return
        try:
            doc = self.mapping.read(record.data)
        except MappingError:
            return
        news = observe(link, doc, self._reading(record, self._stamp_since(row.read_at, record)))
        follow(row, record.version, raw_hash(record))
        save_link(link, row, self.flow.shape).read_at = now
        row.unresolved = row.unresolved or bool(news.changed)
        with self.run.store.transaction():
            self.run.store.put_records([row])
            self.run.store.mark_dirty([row.golden_id] if news.changed and row.golden_id else [])

    def _admits(self, record: Record) -> bool:
        """Whether the mapping still takes the record; one of which that cannot be told stays as it is."""
        try:
            return self.mapping.admits(record.data)
        except MappingError:
            return True

    def _reading(self, record: Record, stamp: Stamp) -> Reading:
        unsaid = self.mapping.unsaid_slots(record.data, self.mapping.lists)
        now = self.run.now()
        return Reading(self.flow.shape, stamp, self.capabilities.unrepeatable, unsaid=unsaid, at=now)

    # small moves of an intent

    def save(self, row: IntentRow, status: Any, reason: str) -> None:
        row.status, row.reason, row.updated_at = status, reason, self.run.now()
        self.run.store.put_intents([row])

    def set_aside(self, row: IntentRow, status: Any, reason: str) -> None:
        with self.run.store.transaction():
            self.save(row, status, reason)
            self.run.store.mark_dirty([row.golden_id])
            self.run.count(self.system.name, self.flow.entity, status)

    def mark_sent(self, rows: Sequence[IntentRow]) -> None:
        """On disk before anything leaves."""
        for row in rows:
            row.status, row.updated_at, row.attempts = "sent", self.run.now(), row.attempts + 1
        with self.run.store.transaction():
            self.run.store.put_intents(rows)

    def mark_uncertain(self, rows: Iterable[IntentRow], reason: str) -> None:
        with self.run.store.transaction():
            for row in rows:
                self.uncertain(row, reason)

    def give_back(self, rows: Iterable[IntentRow]) -> None:
        """Nothing happened over there: planned, as before."""
        with self.run.store.transaction():
            for row in rows:
                self.save(row, "planned", "")


def _letter_key(planned: Planned) -> tuple[str, str]:
    """(scope, native id) of the record; of a create, ("", golden id)."""
    return (planned.scope, planned.native_id) if planned.native_id else ("", planned.golden_id)


def _past(kind: str) -> str:
    return {
        "create": "created",
        "update": "updated",
        "archive": "archived",
        "delete": "deleted",
        "transition": "moved on",
    }[kind]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _key(record: Record | None, row: IntentRow) -> tuple[str, str]:
    """(scope, native id) of a record that was written."""
    return (row.scope, row.native_id or "") if record is None else (record.scope, record.native_id)
