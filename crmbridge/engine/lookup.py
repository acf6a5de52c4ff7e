"""What became of operations that were sent and whose outcome is not known: looked up, never sent again.

"Not found" counts only after the time that a system's search may lag behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crmbridge.engine.links import link_of, planned_of
from crmbridge.engine.native import Outward, in_place, to_operation
from crmbridge.engine.operations import Planned
from crmbridge.engine.results import Results
from crmbridge.engine.run import Run, System
from crmbridge.mapping.errors import MappingError
from crmbridge.sdk.connector import ListPatch, Record, Result
from crmbridge.sdk.errors import CrmbridgeError
from crmbridge.store.base import IntentRow

__all__ = ["settle"]

SHORT_LAG = 60.0
"""Seconds that a run waits for a system's search to catch up; longer ones wait for the next run."""


def settle(run: Run, system: System) -> None:
    """Find out what became of every operation that was sent and whose outcome is not known."""
    rows = run.store.open_intents(system.name)
    try:
        for row in rows:
            flow = run.flow(row.entity)
            if flow is not None and row.stream in system.streams:
                _LookUp(run, system, flow, row.stream, row.kind).look_up(row)
    except CrmbridgeError as error:
        run.fail(system, error)


@dataclass(slots=True)
class _LookUp(Results):
    """Looks up operations of one entity in one stream."""

    def look_up(self, row: IntentRow) -> None:
        """Settle one operation of unknown outcome."""
        planned = planned_of(row)
        if row.status == "accepted" and row.handle:
            for result in self.system.connector.poll([row.handle]):
                self.settle([(row, result, result.record)])
        elif planned.kind == "create":
            self._look_up_create(row, planned)
        else:
            self._look_up_record(row, planned)

    def _look_up_record(self, row: IntentRow, planned: Planned) -> None:
        met = self.system.connector.get_many(self.stream, [planned.native_id or ""])
        found = [record for record in met if record.scope == planned.scope]
        gone = not found and planned.kind in ("delete", "archive")
        if gone or (found and self._is_in_place(planned, found[0])):
            record = found[0] if found else None
            self.settle([(row, Result(row.id, "done"), record)], looked_up=True)
        else:
            self._drop(row)

    def _is_in_place(self, planned: Planned, record: Record) -> bool:
        saved = self.run.store.records_by_id([planned.record_id or 0])
        if planned.kind not in ("update", "transition") or not saved:
            return False
        try:
            held = self.mapping.read(record.data)
        except MappingError:
            return False
        return in_place(planned, link_of(saved[0], self.flow.shape), held, self.flow.shape)

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
            self.settle([(row, Result(row.id, "done"), found[0])], looked_up=True)
        else:
            self._drop(row)

    def _adoptable(self, row: IntentRow, keys: Sequence[tuple[str, str]]) -> list[Record]:
        """Records that may be ours and belong to nobody else; several are narrowed by the next key."""
        found: dict[tuple[str, str], Record] = {}
        for key, value in keys:
            hits = self.system.connector.search(self.stream, key, value)
            met = {(r.scope, r.native_id): r for r in hits if row.scope in ("", r.scope)}
            found = {i: r for i, r in met.items() if i in found} or found if found else met
            if len(found) == 1:
                break
        return [record for record in found.values() if self._is_free(row, record)]

    def _is_free(self, row: IntentRow, record: Record) -> bool:
        known = self.run.store.records(self.system.name, self.stream, [record.native_id])
        mine = [one for one in known if one.scope == record.scope]
        return not any(one.golden_id and one.golden_id != row.golden_id for one in mine)

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
                self.save(row, "uncertain", "sent, and no way to find out what came of it")
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
