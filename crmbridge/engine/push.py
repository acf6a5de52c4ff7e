"""Operations -> systems. Every operation is an intent, committed before it is sent; its result at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from crmbridge.engine.contract import ContractError
from crmbridge.engine.links import link_of, planned_of
from crmbridge.engine.native import Outward, to_operation
from crmbridge.engine.operations import Change, Planned, encode
from crmbridge.engine.results import Results
from crmbridge.engine.run import Flow, Run, System
from crmbridge.identity.link import UNSET
from crmbridge.mapping.errors import MappingError
from crmbridge.sdk.connector import Operation, Result, ResultStatus
from crmbridge.sdk.errors import (
    RAISED,
    AnswerLostError,
    ConflictError,
    CrmbridgeError,
    RecordError,
)
from crmbridge.store.rows import IntentRow, RecordRow

__all__ = ["push"]

CHUNK = 500
SAVE_EVERY = 50_000
"""Microseconds after which answers are committed while others are still to come."""


def push(run: Run, system: System, flow: Flow) -> None:
    """Send what this run planned for one entity in one system; the parents' operations were sent before."""
    after, total = 0, run.planned[system.name, flow.entity]
    with run.stage("push", system=system.name, entity=flow.entity) as progress:
        while system.failure is None and (
            rows := run.store.intents(run.id, system.name, ["planned"], after, CHUNK)
        ):
            after = rows[-1].position
            mine = [row for row in rows if row.entity == flow.entity]
            for (stream, kind), group in groupby(mine, key=lambda row: (row.stream, row.kind)):
                if system.failure is None:
                    with run.guard(system, stream):
                        sending = _Push(run, system, flow, stream, kind)
                        for sent in sending.send_all(list(group)):
                            progress(sent, total)


@dataclass(slots=True)
class _Push(Results):
    """Sends operations of one kind to one stream."""

    def send_all(self, rows: Sequence[IntentRow]) -> Iterator[int]:
        """Batch by batch: how many were sent."""
        size = max(1, self.capabilities.batch_size)
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            self._send(batch)
            yield len(batch)

    def _send(self, rows: Sequence[IntentRow]) -> None:
        ready = self._prepare(rows)
        if ready:
            self._send_ready(ready)
        self.read_again()

    def _send_ready(self, ready: Sequence[tuple[IntentRow, Planned, Operation]]) -> None:
        self.mark_sent([row for row, _, _ in ready])
        waiting = {operation.id: row for row, _, operation in ready}
        try:
            self._take_results(waiting, [operation for _, _, operation in ready])
        except AnswerLostError as error:
            self.mark_uncertain(waiting.values(), str(error))
        except ContractError as error:
            self.mark_uncertain(waiting.values(), error.message)
            raise
        except (RecordError, ConflictError) as error:
            self._alone(ready, waiting, error)
        except CrmbridgeError:
            self.give_back(waiting.values())
            raise
        except RAISED as error:
            self.mark_uncertain(waiting.values(), f"the connector failed: {type(error).__name__}")
            raise

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
            self.mark_uncertain(waiting.values(), "the connector gave no answer for it")
            waiting.clear()

    def _commit(self, waiting: dict[str, IntentRow], answered: Sequence[Result]) -> None:
        records = self.complete(answered, waiting)
        self.settle([(waiting.pop(r.operation_id), r, records.get(r.operation_id)) for r in answered])

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
            self.settle([(left[0][0], Result(left[0][2].id, status, reason=str(error)), None)])
            return
        self.give_back([row for row, _, _ in left])
        middle = len(left) // 2
        for half in (left[:middle], left[middle:]):
            self._send([row for row, _, _ in half])

    def _prepare(self, rows: Sequence[IntentRow]) -> list[tuple[IntentRow, Planned, Operation]]:
        """Operations that are still true, in the system's words; the others are parked, stale or rejected."""
        planned = [(row, planned_of(row)) for row in rows]
        records = {
            r.id: r for r in self.run.store.records_by_id([p.record_id for _, p in planned if p.record_id])
        }
        held = self._read_first([p for _, p in planned], records)
        ready = []
        for row, operation in planned:
            record = records.get(operation.record_id or 0)
            missing = self._resolve_references(operation)
            if missing:
                self.set_aside(row, "parked", f"waits for {', '.join(missing)}")
            elif operation.record_id and (
                record is None or record.status != "live" or not self._still_true(operation, record)
            ):
                self.set_aside(row, "stale", "the record changed since it was planned")
            else:
                ready.extend(self._translated(row, operation, record, held))
        return ready

    def _translated(
        self,
        row: IntentRow,
        operation: Planned,
        record: RecordRow | None,
        held: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> list[tuple[IntentRow, Planned, Operation]]:
        link = link_of(record, self.flow.shape) if record else None
        out = Outward(
            self.mapping.in_country(operation.country),
            self.capabilities,
            link,
            self.flow.shape,
            held.get((operation.scope, operation.native_id or ""), {}),
        )
        try:
            native = to_operation(operation, out)
        except MappingError as error:
            with self.run.store.transaction():
                self.reject(row, str(error))
            return []
        row.payload = encode(operation)
        return [(row, operation, native)]

    def _resolve_references(self, operation: Planned) -> list[str]:
        """Put native references in place of golden ones; returns the golden ids that have none."""
        if not operation.waits_for:
            return []
        natives = self.run.store.natives_of(self.system.name, operation.waits_for)
        found = {
            golden_id: row
            for golden_id, rows in natives.items()
            for row in (rows.get(""), rows.get(operation.scope))
            if row is not None and row.status == "live"
        }
        missing = [g for g in operation.waits_for if g not in found]
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
    ) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Without record versions: read, compare, write. Also brings the records whose lists are replaced."""
        replaces = any(
            self.capabilities.child_lists.get(rule.native or name, "replace") == "replace"
            for name, rule in self.mapping.lists.items()
            if not rule.slots and rule.writable
        )
        if self.kind == "create" or (self.capabilities.versions and not replaces):
            return {}
        by_key = {(p.scope, p.native_id): p for p in operations if p.native_id}
        if not by_key:
            return {}
        held: dict[tuple[str, str], Mapping[str, Any]] = {}
        for record in self.system.connector.get_many(self.stream, sorted({i for _, i in by_key})):
            key = (record.scope, record.native_id)
            row = records.get(by_key[key].record_id or 0) if key in by_key else None
            if row is not None:
                held[key] = record.data
                self.observe_again(row, record)
        for key, planned in by_key.items():
            row = records.get(planned.record_id or 0)
            if key not in held and row is not None and row.status == "live":
                self.bury(row)
        return held


def _with_native_ref(change: Change, found: Mapping[str, RecordRow]) -> Change:
    value = change.new
    if not (isinstance(value, dict) and value.get("golden") in found):
        return change
    row = found[value["golden"]]
    return replace(change, new={"entity": row.entity, "stream": row.stream, "id": row.native_id})


def _refilled(operation: Planned, change: Change) -> bool:
    """A part of an element that a slot is to show from now on: it was not held before."""
    name, _, rest = change.path.partition("/")
    return rest.partition("/")[0] in operation.slots.get(name, {}).values()
