"""Operations -> systems. Every operation is an intent, committed before it is sent; its result at once.

What may have happened is looked up, never blindly sent again: `settle` does so for all intents whose outcome
is unknown, before anything else of that system is read or written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import msgspec

from crmbridge.engine.links import link_of, raw_hash, save_link
from crmbridge.engine.native import Outward, adopt, in_place, to_operation
from crmbridge.engine.operations import Change, Planned, decode, encode
from crmbridge.engine.run import Flow, Run, System, micros
from crmbridge.identity.link import UNSET, Reading, Stamp, observe
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.errors import MappingError
from crmbridge.sdk.connector import Capabilities, ListPatch, Operation, Record, Result, ResultStatus
from crmbridge.sdk.errors import (
    AnswerLostError,
    ConflictError,
    CrmbridgeError,
    FatalError,
    RecordError,
    RetryableError,
)
from crmbridge.store.base import DeadLetterRow, IntentRow, RecordRow, WriteRow

__all__ = ["push", "settle"]

CHUNK = 500
SAVE_EVERY = 50_000
"""Microseconds after which answers are committed while others are still to come."""
A_MOMENT = 2_000_000
"""Microseconds within which a write and the system's own time of it count as one."""
SHORT_LAG = 60.0
"""Seconds that a run waits for a system's search to catch up; longer ones wait for the next run."""


def push(run: Run, system: System, flow: Flow) -> None:
    """Send what this run planned for one entity in one system; the parents' operations were sent before."""
    after = -1
    run.event("stage-started", system=system.name, entity=flow.entity, stage="push")
    try:
        while rows := run.store.intents(run.id, system.name, ["planned"], after, CHUNK):
            after = rows[-1].position
            mine = [row for row in rows if row.entity == flow.entity]
            for (stream, kind), group in groupby(mine, key=lambda row: (row.stream, row.kind)):
                _Push(run, system, flow, stream, kind).send_all(list(group))
            run.event("progress", system=system.name, entity=flow.entity, stage="push", count=len(mine))
    except CrmbridgeError as error:
        run.fail(system, error)


def settle(run: Run, system: System) -> None:
    """Find out what became of every operation that was sent and whose outcome is not known."""
    rows = run.store.open_intents(system.name)
    try:
        for row in rows:
            flow = run.flow(row.entity)
            if flow is not None and row.stream in system.streams:
                _Push(run, system, flow, row.stream, row.kind).look_up(row)
    except CrmbridgeError as error:
        run.fail(system, error)


@dataclass(slots=True)
class _Push:
    """Operations of one kind for one stream."""

    run: Run
    system: System
    flow: Flow
    stream: str
    kind: str
    capabilities: Capabilities = field(init=False)
    mapping: StreamMapping = field(init=False)
    stale: list[IntentRow] = field(default_factory=list)
    """Operations that met a record which had changed: it has to be read again."""

    def __post_init__(self) -> None:
        self.capabilities = self.system.streams[self.stream].capabilities
        found = self.system.mapping(self.stream, self.flow.entity)
        if found is None:
            raise FatalError(
                f"{self.system.name}/{self.stream} has no mapping for {self.flow.entity} any more"
            )
        self.mapping = found

    # sending

    def send_all(self, rows: Sequence[IntentRow]) -> None:
        size = max(1, self.capabilities.batch_size)
        for start in range(0, len(rows), size):
            self._send(rows[start : start + size])

    def _send(self, rows: Sequence[IntentRow]) -> None:
        ready = self._prepare(rows)
        if ready:
            self._send_ready(ready)
        self._read_again()

    def _send_ready(self, ready: Sequence[tuple[IntentRow, Planned, Operation]]) -> None:
        self._mark(ready, "sent")
        waiting = {operation.id: row for row, _, operation in ready}
        try:
            self._take_results(waiting, [operation for _, _, operation in ready])
        except AnswerLostError as error:
            self._mark_uncertain(waiting.values(), str(error))
        except (RecordError, ConflictError) as error:
            self._alone(ready, waiting, error)
        except RetryableError:
            self._give_back(waiting.values())
            raise
        except CrmbridgeError:
            self._give_back(waiting.values())
            raise
        except Exception as error:
            self._mark_uncertain(waiting.values(), f"the connector failed: {type(error).__name__}")
            raise FatalError(
                f"{self.system.name}: the connector failed: {type(error).__name__}: {error}"
            ) from error

    def _take_results(self, waiting: dict[str, IntentRow], operations: Sequence[Operation]) -> None:
        """Commit answers as they come, those of one response together; what gets none is uncertain."""
        answered: list[Result] = []
        since = self.run.now()
        try:
            for result in self.system.connector.push(self.stream, operations):
                if result.operation_id not in waiting:
                    continue
                answered.append(result)
                if self.run.now() - since > SAVE_EVERY:
                    self._commit(waiting, answered)
                    answered, since = [], self.run.now()
        finally:
            self._commit(waiting, answered)
        if waiting:
            self._mark_uncertain(waiting.values(), "the connector gave no answer for it")
            waiting.clear()

    def _commit(self, waiting: dict[str, IntentRow], answered: Sequence[Result]) -> None:
        records = self._complete_records(answered, waiting)
        with self.run.store.transaction():
            for result in answered:
                row = waiting.pop(result.operation_id)
                self._take_result(row, result, records.get(result.operation_id))

    def _complete_records(
        self, answered: Sequence[Result], waiting: Mapping[str, IntentRow]
    ) -> dict[str, Record]:
        """Operation id -> the record as now held; re-read where the connector does not say."""
        records = {r.operation_id: r.record for r in answered if r.status == "done" and r.record is not None}
        if self.capabilities.returns_record or self.kind == "delete":
            return records
        ids = {records[o].native_id if o in records else waiting[o].native_id: o for o in waiting}
        wanted = [
            str(i)
            for i, o in ids.items()
            if i and any(r.operation_id == o and r.status == "done" for r in answered)
        ]
        for record in self.system.connector.get_many(self.stream, wanted) if wanted else ():
            records[ids[record.native_id]] = record
        return records

    def _alone(
        self,
        ready: Sequence[tuple[IntentRow, Planned, Operation]],
        waiting: dict[str, IntentRow],
        error: CrmbridgeError,
    ) -> None:
        """A batch refused whole: send its halves until the bad one is alone."""
        left = [item for item in ready if item[2].id in waiting]
        if len(left) == 1:
            status: ResultStatus = "conflict" if isinstance(error, ConflictError) else "rejected"
            with self.run.store.transaction():
                self._take_result(left[0][0], Result(left[0][2].id, status, reason=str(error)), None)
            return
        self._give_back([row for row, _, _ in left])
        middle = len(left) // 2
        for half in (left[:middle], left[middle:]):
            self._send([row for row, _, _ in half])

    def _prepare(self, rows: Sequence[IntentRow]) -> list[tuple[IntentRow, Planned, Operation]]:
        """Operations that are still true, in the system's words; the others are parked, stale or rejected."""
        planned = [(row, decode(row.payload)) for row in rows]
        records = {
            r.id: r for r in self.run.store.records_by_id([p.record_id for _, p in planned if p.record_id])
        }
        held = self._read_first([p for _, p in planned], records)
        ready = []
        for row, operation in planned:
            record = records.get(operation.record_id or 0)
            missing = self._resolve_references(operation)
            if missing:
                self._set(row, "parked", f"waits for {', '.join(missing)}")
            elif operation.record_id and (
                record is None or record.status != "live" or not self._still_true(operation, record)
            ):
                self._set(row, "stale", "the record changed since it was planned")
            else:
                ready.extend(self._translated(row, operation, record, held))
        return ready

    def _translated(
        self,
        row: IntentRow,
        operation: Planned,
        record: RecordRow | None,
        held: Mapping[str, Mapping[str, Any]],
    ) -> list[tuple[IntentRow, Planned, Operation]]:
        link = link_of(record, self.flow.shape) if record else None
        out = Outward(
            self.mapping, self.capabilities, link, self.flow.shape, held.get(operation.native_id or "", {})
        )
        try:
            native = to_operation(operation, out)
        except MappingError as error:
            with self.run.store.transaction():
                self._reject(row, str(error))
            return []
        row.payload = encode(operation)
        return [(row, operation, native)]

    def _resolve_references(self, operation: Planned) -> list[str]:
        """Put native references in place of golden ones; returns the golden ids that have none."""
        if not operation.waits_for:
            return []
        found = self.run.store.natives_of(self.system.name, operation.waits_for)
        missing = [g for g in operation.waits_for if g not in found or found[g].status != "live"]
        if not missing:
            operation.changes = [_with_native_ref(c, found) for c in operation.changes]
        return missing

    def _still_true(self, operation: Planned, record: RecordRow) -> bool:
        """The record holds what it held when this was planned."""
        link = link_of(record, self.flow.shape)
        for change in operation.changes:
            held = link.holds(change.path)
            if (None if held is UNSET else held) != change.old and not _refilled(operation, change):
                return False
        return True

    def _read_first(
        self, operations: Sequence[Planned], records: dict[int, RecordRow]
    ) -> dict[str, Mapping[str, Any]]:
        """Without record versions: read, compare, write. Also brings the records whose lists are replaced."""
        replaces = any(
            self.capabilities.child_lists.get(rule.native or name, "replace") == "replace"
            for name, rule in self.mapping.lists.items()
            if not rule.slots and rule.writable
        )
        if self.kind == "create" or (self.capabilities.versions and not replaces):
            return {}
        by_native = {p.native_id: p for p in operations if p.native_id}
        if not by_native:
            return {}
        held: dict[str, Mapping[str, Any]] = {}
        found: set[str] = set()
        for record in self.system.connector.get_many(self.stream, list(by_native)):
            found.add(record.native_id)
            held[record.native_id] = record.data
            row = records.get(by_native[record.native_id].record_id or 0)
            if row is not None:
                self._observe_again(row, record)
        for native_id, planned in by_native.items():
            row = records.get(planned.record_id or 0)
            if native_id not in found and row is not None and row.status == "live":
                self._bury(row)
        return held

    def _observe_again(self, row: RecordRow, record: Record) -> None:
        link = link_of(row, self.flow.shape)
        now = self.run.now()
        stamp = Stamp(now, max(0, now - row.read_at))
        try:
            doc = self.mapping.read(record.data)
        except MappingError:
            return
        news = observe(link, doc, self._reading(record, stamp))
        row.version, row.raw_hash = record.version, raw_hash(record)
        save_link(link, row, self.flow.shape).read_at = now
        with self.run.store.transaction():
            self.run.store.put_records([row])
            self.run.store.mark_dirty([row.golden_id] if news.changed and row.golden_id else [])

    def _reading(self, record: Record, stamp: Stamp) -> Reading:
        unsaid = self.mapping.unsaid_slots(record.data)
        return Reading(self.flow.shape, stamp, self.capabilities.versions, unsaid=unsaid)

    # results

    def _take_result(self, row: IntentRow, result: Result, record: Record | None) -> None:
        row.handle = result.handle or row.handle
        if result.status == "done":
            self._done(row, record)
        elif result.status == "rejected":
            self._reject(row, result.reason)
        elif result.status == "conflict":
            self._conflict(row, result.reason)
        elif result.status == "accepted":
            self._save(row, "accepted", result.reason)
        else:
            self._uncertain(row, result.reason)

    def _done(self, row: IntentRow, record: Record | None, *, looked_up: bool = False) -> None:
        planned, store = decode(row.payload), self.run.store
        if planned.kind in ("delete", "archive"):
            self._buried_by_us(row, planned)
            return
        if record is None:
            self._uncertain(row, "the system did not say what it now holds")
            return
        held = self._held(record)
        saved = self._row_for(planned, record)
        link = link_of(saved, self.flow.shape)
        edited_since = looked_up and _edited_since(row, record)
        new = saved.read_at == 0 and not edited_since
        reading = self._reading(record, Stamp(0) if new else Stamp(self.run.now()))
        settled = adopt(planned, link, held, reading, edited_since=edited_since)
        saved.version, saved.raw_hash = record.version, raw_hash(record)
        saved.mapped_by, saved.read_at, saved.status = self.mapping.fingerprint, self.run.now(), "live"
        store.put_records([save_link(link, saved, self.flow.shape)])
        altered = [one for one in settled.altered if not self._as_mapped(one[0], one[1], one[2])]
        self._after_write(row, planned, altered)
        if not planned.record_id:
            store.mark_dirty(store.referring([planned.golden_id]))
        if settled.news:
            store.mark_dirty([planned.golden_id])

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
            letter.first_at, letter.last_at, letter.run = now, now, self.run.id
            self.run.store.put_dead_letter(letter)
            self.run.count(self.system.name, self.flow.entity, "dead letter")
            return {}

    def _row_for(self, planned: Planned, record: Record) -> RecordRow:
        if planned.record_id:
            return self.run.store.records_by_id([planned.record_id])[0]
        rows = self.run.store.records(self.system.name, self.stream, [record.native_id])
        for row in rows:
            if row.scope == record.scope and not row.part:
                row.golden_id = planned.golden_id
                return row
        row = RecordRow(self.system.name, self.stream, record.native_id, self.flow.entity, scope=record.scope)
        row.golden_id, row.unresolved = planned.golden_id, True
        row.seen = "{}"
        self.run.store.put_records([row])
        return self._row_for(planned, record)

    def _after_write(self, row: IntentRow, planned: Planned, altered: Sequence[tuple[str, Any, Any]]) -> None:
        store, now = self.run.store, self.run.now()
        self._save(row, "done", "")
        self.run.count(self.system.name, self.flow.entity, _past(planned.kind))
        store.put_writes(
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
        store.settle_dead_letters_of("operation", self.system.name, self.stream, [_letter_id(planned)])
        for path, wanted, held in altered:
            text = f"asked for {wanted!r}, keeps {held!r}"
            self.run.note("altered", self.system.name, self.flow.entity, planned.golden_id, path, text)

    def _buried_by_us(self, row: IntentRow, planned: Planned) -> None:
        for saved in self.run.store.records_by_id([planned.record_id or 0]):
            saved.status = "archived" if planned.kind == "archive" else "gone"
            saved.gone_at, saved.deleted_by_us, saved.raw_hash = self.run.now(), True, b""
            self.run.store.put_records([saved])
        self._after_write(row, planned, ())

    def _bury(self, row: RecordRow) -> None:
        row.status, row.gone_at, row.raw_hash = "gone", self.run.now(), b""
        with self.run.store.transaction():
            self.run.store.put_records([row])
            self.run.store.mark_dirty([row.golden_id] if row.golden_id else [])

    def _reject(self, row: IntentRow, reason: str) -> None:
        planned, now = decode(row.payload), self.run.now()
        self._save(row, "rejected", reason)
        self.run.store.put_dead_letter(
            DeadLetterRow(
                "operation",
                self.system.name,
                self.stream,
                _letter_id(planned),
                reason,
                row.payload,
                entity=self.flow.entity,
                golden_id=planned.golden_id,
                first_at=now,
                last_at=now,
                run=self.run.id,
            )
        )
        self.run.count(self.system.name, self.flow.entity, "dead letter")

    def _conflict(self, row: IntentRow, reason: str) -> None:
        """It changed since we read it: what it says now is taken in, and it is planned again."""
        self._save(row, "conflict", reason)
        self.run.count(self.system.name, self.flow.entity, "conflict")
        self.run.store.mark_dirty([row.golden_id])
        self.stale.append(row)

    def _read_again(self) -> None:
        stale, self.stale = {row.native_id or "": row for row in self.stale}, []
        ids = [native_id for native_id in stale if native_id]
        if not ids:
            return
        found = {r.native_id: r for r in self.system.connector.get_many(self.stream, ids)}
        for row in self.run.store.records_by_id([row.record_id for row in stale.values() if row.record_id]):
            if row.native_id in found:
                self._observe_again(row, found[row.native_id])
            elif row.status == "live":
                self._bury(row)

    def _uncertain(self, row: IntentRow, reason: str) -> None:
        self._save(row, "uncertain", reason)
        self.run.count(self.system.name, self.flow.entity, "uncertain")

    # small moves of an intent

    def _save(self, row: IntentRow, status: Any, reason: str) -> None:
        row.status, row.reason, row.updated_at = status, reason, self.run.now()
        self.run.store.put_intents([row])

    def _set(self, row: IntentRow, status: Any, reason: str) -> None:
        with self.run.store.transaction():
            self._save(row, status, reason)
            self.run.store.mark_dirty([row.golden_id])
            self.run.count(self.system.name, self.flow.entity, status)

    def _mark(self, ready: Iterable[tuple[IntentRow, Planned, Operation]], status: Any) -> None:
        rows = [row for row, _, _ in ready]
        for row in rows:
            row.status, row.updated_at, row.attempts = status, self.run.now(), row.attempts + 1
        with self.run.store.transaction():
            self.run.store.put_intents(rows)

    def _mark_uncertain(self, rows: Iterable[IntentRow], reason: str) -> None:
        with self.run.store.transaction():
            for row in rows:
                self._uncertain(row, reason)

    def _give_back(self, rows: Iterable[IntentRow]) -> None:
        """Nothing happened over there: planned, as before."""
        with self.run.store.transaction():
            for row in rows:
                self._save(row, "planned", "")

    # looking up

    def look_up(self, row: IntentRow) -> None:
        """Settle one operation of unknown outcome."""
        planned = decode(row.payload)
        if row.status == "accepted" and row.handle:
            for result in self.system.connector.poll([row.handle]):
                with self.run.store.transaction():
                    self._take_result(row, result, result.record)
        elif planned.kind == "create":
            self._look_up_create(row, planned)
        else:
            self._look_up_record(row, planned)

    def _look_up_record(self, row: IntentRow, planned: Planned) -> None:
        found = list(self.system.connector.get_many(self.stream, [planned.native_id or ""]))
        if not found and planned.kind in ("delete", "archive"):
            with self.run.store.transaction():
                self._buried_by_us(row, planned)
            return
        if found and planned.kind in ("update", "transition"):
            held = self.mapping.read(found[0].data)
            saved = self.run.store.records_by_id([planned.record_id or 0])
            if saved and in_place(planned, link_of(saved[0], self.flow.shape), held, self.flow.shape):
                with self.run.store.transaction():
                    self._done(row, found[0], looked_up=True)
                return
        self._drop(row)

    def _drop(self, row: IntentRow) -> None:
        """It did not happen: its golden record is planned anew."""
        with self.run.store.transaction():
            self.run.store.drop_intents([row.status], [row.id])

    def _look_up_create(self, row: IntentRow, planned: Planned) -> None:
        keys = self._search_keys(planned)
        if not keys:
            self._note_uncertain(row)
            return
        found = self._adoptable(row, keys)
        lag = self.capabilities.search_lag.total_seconds()
        waited = (self.run.now() - row.updated_at) / 1_000_000
        if not found and waited < lag <= SHORT_LAG:
            self.run.wait(lag - waited)
            found = self._adoptable(row, keys)
        elif not found and waited < lag:
            self._note_uncertain(row)
            return
        if len(found) > 1:
            self._note_uncertain(row)
        elif found:
            with self.run.store.transaction():
                self._done(row, found[0], looked_up=True)
        else:
            self._drop(row)

    def _adoptable(self, row: IntentRow, keys: Sequence[tuple[str, str]]) -> list[Record]:
        """Records that may be ours and belong to nobody else; several are narrowed by the next key."""
        found: dict[str, Record] = {}
        for key, value in keys:
            met = {r.native_id: r for r in self.system.connector.search(self.stream, key, value)}
            found = {i: r for i, r in met.items() if i in found} or found if found else met
            if len(found) == 1:
                break
        return [record for record in found.values() if self._is_free(row, record)]

    def _is_free(self, row: IntentRow, record: Record) -> bool:
        known = self.run.store.records(self.system.name, self.stream, [record.native_id])
        return not any(one.golden_id and one.golden_id != row.golden_id for one in known)

    def _search_keys(self, planned: Planned) -> list[tuple[str, str]]:
        """(native field, value) by which a create can be found again, the surest first."""
        if self.capabilities.search_mark:
            return [(self.capabilities.search_mark, planned.id)]
        out = Outward(self.mapping, self.capabilities, None, self.flow.shape, {})
        data = to_operation(planned, out).data
        keys = (self.capabilities.upsert_key, *self.capabilities.search_keys)
        return [(key, value) for key in keys if key and (value := _searchable(data, key))]

    def _note_uncertain(self, row: IntentRow) -> None:
        if row.status != "uncertain":
            with self.run.store.transaction():
                self._save(row, "uncertain", "sent, and no way to find out what came of it")
        self.run.count(self.system.name, self.flow.entity, "uncertain")


def _with_native_ref(change: Change, found: Mapping[str, RecordRow]) -> Change:
    value = change.new
    if not (isinstance(value, dict) and value.get("golden") in found):
        return change
    row = found[value["golden"]]
    return replace(change, new={"entity": row.entity, "stream": row.stream, "id": row.native_id})


def _edited_since(row: IntentRow, record: Record) -> bool:
    """Somebody changed the record after our write of long ago, whose answer was lost."""
    return record.modified is not None and micros(record.modified) > row.updated_at + A_MOMENT


def _searchable(data: Any, key: str) -> str:
    """The value at a dotted key; of a child list that of its first child. Empty where there is none."""
    for part in key.split("."):
        if isinstance(data, ListPatch):
            data = data.add
        if isinstance(data, list):
            data = data[0] if data else None
        data = data.get(part) if isinstance(data, dict) else None
    return "" if data is None or isinstance(data, dict | list) else str(data)


def _refilled(operation: Planned, change: Change) -> bool:
    """A part of an element that a slot is to show from now on: it was not held before."""
    name, _, rest = change.path.partition("/")
    return rest.partition("/")[0] in operation.slots.get(name, {}).values()


def _letter_id(planned: Planned) -> str:
    return planned.native_id or planned.golden_id


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
