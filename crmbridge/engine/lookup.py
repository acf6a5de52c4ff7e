"""What became of operations that were sent and whose outcome is not known: looked up, never sent again.

"Not found" counts only after the time that a system's search may lag behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crmbridge.engine.links import link_of, planned_of
from crmbridge.engine.native import Outward, placed, to_operation
from crmbridge.engine.operations import Planned
from crmbridge.engine.results import Found, Results
from crmbridge.engine.run import Run, System
from crmbridge.mapping.errors import MappingError
from crmbridge.sdk.connector import ListPatch, Record, Result
from crmbridge.store.rows import IntentRow, RecordRow

__all__ = ["settle"]

_Key = tuple[str, str]
"""Of a record: (scope, native id)."""
SHORT_LAG = 60.0
"""Seconds that a run waits for a system's search to catch up; longer ones wait for the next run."""


def settle(run: Run, system: System) -> None:
    """Find out what became of every operation that was sent and whose outcome is not known."""
    for row in run.store.open_intents(system.name):
        flow = run.flow(row.entity)
        if system.failure is None and flow is not None and row.stream in system.streams:
            with run.guard(system, row.stream):
                _LookUp(run, system, flow, row.stream, row.kind).look_up(row)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a search for a lost create came to, where it found anything."""

    record: Record | None = None
    """The record that the create made or, by an upsert key, ended in; None: nobody can tell."""
    proven: bool = False
    """It has our mark, or the id of which we were told."""
    part: Planned | None = None
    """What the create wrote, where it ended in the record of somebody else."""
    doubt: str = ""
    candidates: Sequence[_Key] = ()
    """Records of which one may be it: until that is settled they are no new records."""


@dataclass(slots=True)
class _LookUp(Results):
    """Looks up operations of one entity in one stream."""

    def look_up(self, row: IntentRow) -> None:
        """Settle one operation of unknown outcome."""
        planned = planned_of(row)
        if row.status == "accepted" and row.handle and not self._silent_too_long(row, row.handle):
            return
        if planned.kind == "create":
            self._look_up_create(row, planned)
        else:
            self._look_up_record(row, planned)

    def _silent_too_long(self, row: IntentRow, handle: str) -> bool:
        """Ask what became of an accepted operation. A system may tell it only once, and that may have been a
        run that was killed: so nobody waits for ever."""
        if self.run.trial:  # this run's memory is thrown away
            return False
        for result in self.system.connector.poll([handle]):
            if result.operation_id == row.id:
                self.settle([(row, result, self.complete([result], {row.id: row}).get(row.id))])
                return False
        return self.run.now() - row.updated_at > self.run.patience

    def _look_up_record(self, row: IntentRow, planned: Planned) -> None:
        record = self._read(planned.native_id or "", planned.scope)
        if planned.kind in ("delete", "archive"):
            if record is None:
                self.settle([(row, Result(row.id, "done"), None)])
            else:
                self._drop(row)
            return
        part = self._in_place(planned, record) if record is not None else None
        if part is None or not part.changes:
            self._drop(row)
        else:
            self.settle([(row, Result(row.id, "done"), record)], Found(part, ours=True))

    def _read(self, native_id: str, scope: str) -> Record | None:
        records = self.system.connector.get_many(self.stream, [native_id])
        return next((r for r in records if (r.scope, r.native_id) == (scope, native_id)), None)

    def _in_place(self, planned: Planned, record: Record, *, ours: bool = False) -> Planned | None:
        """The part of an operation that the record shows, field by field; None where it cannot be known."""
        known = self.run.store.records_by_id([planned.record_id]) if planned.record_id else []
        link = link_of(known[0] if known else self._unknown(record), self.flow.shape)
        if planned.record_id and not known:
            return None
        try:
            return placed(
                planned,
                link,
                self.mapping.read(record.data),
                self.flow.shape.in_country(planned.country),
                self.mapping,
                ours=ours,
            )
        except MappingError:
            return None

    def _unknown(self, record: Record) -> RecordRow:
        """A record of which nothing is kept."""
        return RecordRow(
            self.system.name, self.stream, record.native_id, self.flow.entity, scope=record.scope
        )

    def _drop(self, row: IntentRow) -> None:
        """It did not happen: its golden record is planned anew."""
        with self.run.store.transaction():
            self.run.store.drop_intents([row.status], [row.id])

    # creates

    def _look_up_create(self, row: IntentRow, planned: Planned) -> None:
        found = self._search(row, planned)
        lag = self.capabilities.search_lag.total_seconds()
        waited = (self.run.now() - row.updated_at) / 1_000_000
        if found is None and waited < lag <= SHORT_LAG:
            self.run.wait(lag - waited)
            found = self._search(row, planned)
        elif found is None and waited < lag:
            found = _Sight(doubt="sent, and cannot be searched for yet")
        if found is None and row.status == "accepted":  # it may still be done: never a second record
            found = _Sight(doubt="accepted long ago, and nobody says what came of it")
        if found is None:
            self._drop(row)
        elif found.record is None:
            self._still_uncertain(row, found)
        else:
            record, ours = found.record, found.proven
            part = found.part or self._in_place(planned, record, ours=ours) or (planned if ours else None)
            self.settle(
                [(row, Result(row.id, "done"), record)], Found(part or replace(planned, changes=[]), ours)
            )

    def _search(self, row: IntentRow, planned: Planned) -> _Sight | None:
        """What is found of a create; None where nothing was made."""
        if row.native_id and (record := self._read(row.native_id, row.scope)) is not None:
            return self._unless_taken(row, record, proven=True)
        if self.capabilities.search_mark:
            return self._only_one(
                row, self._matches(row, self.capabilities.search_mark, planned.id), proven=True
            )
        out = Outward(self.mapping.in_country(planned.country), self.capabilities, None, self.flow.shape, {})
        data = to_operation(planned, out).data
        keys = dict.fromkeys((self.capabilities.upsert_key, *self.capabilities.search_keys))
        values = {key: value for key in keys if key and (value := _searchable(data, key))}
        if not values:
            return _Sight(doubt="sent, and no way to find out what came of it")
        for key in (self.capabilities.upsert_key, self.system.streams[self.stream].key):
            if key in values:  # two records never share it: what has it is what a create ended in
                return self._only_one(row, self._matches(row, key, values[key]), proven=False)
        return self._by_natural_keys(row, values)

    def _by_natural_keys(self, row: IntentRow, values: Mapping[str, str]) -> _Sight | None:
        """Somebody else may have made the record that is found so. It is narrowed down key by key."""
        found: dict[_Key, Record] = {}
        for key, value in values.items():
            met = self._matches(row, key, value)
            found = {i: r for i, r in met.items() if i in found} or found if found else met
            if len(found) == 1:
                break
        young = {i: r for i, r in found.items() if not self._was_there_before(row, r)}
        undated = [i for i, record in young.items() if record.created is None]
        if undated:
            doubt = f"{self._places(undated)} may be it or not: nobody says when it was made"
            return _Sight(doubt=doubt, candidates=list(young))
        return self._only_one(row, young, proven=False)

    def _was_there_before(self, row: IntentRow, record: Record) -> bool:
        """It is older than the intent, or somebody else's."""
        return self.predates(row, record) or any(
            (known.golden_id and known.golden_id != row.golden_id) or known.read_at < row.created_at
            for known in self._known(record)
        )

    def _only_one(self, row: IntentRow, found: Mapping[_Key, Record], *, proven: bool) -> _Sight | None:
        if len(found) > 1:
            return _Sight(doubt=f"any of {self._places(found)} may be it", candidates=list(found))
        return next((self._unless_taken(row, record, proven=proven) for record in found.values()), None)

    def _unless_taken(self, row: IntentRow, record: Record, *, proven: bool) -> _Sight:
        for known in self._known(record):
            if known.golden_id and known.golden_id != row.golden_id:
                part = self._written_into(planned_of(row), record, known)
                if part is not None and part.changes:  # that is no edit of theirs: see `settle`
                    return _Sight(record, part=part)
                return _Sight(doubt=self.taken_by(record, known.golden_id))
        return _Sight(record, proven)

    def _written_into(self, planned: Planned, record: Record, known: RecordRow) -> Planned | None:
        """What a create wrote into somebody else's record: what that one shows by now, and did not before."""
        now = self._in_place(planned, record)
        if now is None:
            return None
        link, seen = link_of(self._unknown(record), self.flow.shape), json.loads(known.seen)
        before = placed(planned, link, seen, self.flow.shape, self.mapping)
        return replace(now, changes=[change for change in now.changes if change not in before.changes])

    def _known(self, record: Record) -> list[RecordRow]:
        rows = self.run.store.records(self.system.name, self.stream, [record.native_id])
        return [one for one in rows if one.scope == record.scope and not one.part]

    def _matches(self, row: IntentRow, key: str, value: str) -> dict[_Key, Record]:
        hits = self.system.connector.search(self.stream, key, value)
        return {(r.scope, r.native_id): r for r in hits if row.scope in ("", r.scope)}

    def _places(self, keys: Iterable[_Key]) -> str:
        return ", ".join(f"{self.system.name}/{self.stream}/{native_id}" for _, native_id in keys)

    def _still_uncertain(self, row: IntentRow, found: _Sight) -> None:
        self.run.candidates.update((row.system, row.stream, *key) for key in found.candidates)
        if (row.status, row.reason) != ("uncertain", found.doubt):
            row.status, row.reason = "uncertain", found.doubt  # its time stays: the search may lag behind it
            with self.run.store.transaction():
                self.run.store.put_intents([row])
        self.run.count(self.system.name, self.flow.entity, "uncertain")


def _searchable(data: Any, key: str) -> str:
    """The value at a dotted key; of a child list that of its first child. Empty where there is none."""
    for part in key.split("."):
        if isinstance(data, ListPatch):
            data = data.add
        if isinstance(data, list):
            data = data[0] if data else None
        data = data.get(part) if isinstance(data, dict) else None
    return "" if data is None or isinstance(data, dict | list) else str(data)
