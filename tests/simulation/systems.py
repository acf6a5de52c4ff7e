"""Memory systems of different habits, and a connector at every step of which something may happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from crmbridge.connectors.memory import Behaviour, MemoryConnector, MemorySystem
from crmbridge.sdk.connector import Connector, Cursor, Operation, Page, Record, Result
from crmbridge.sdk.hookspecs import hookimpl

__all__ = ["HABITS", "MAPPINGS", "SimulatedConnector", "SimulatedSystem", "kept", "new_row", "shown"]

FLAT = """
stream: customers
entity: party
fields:
  display_name: name
  note: note
  lifecycle_stage: stage
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: mail}}
    - {slot: phone, const: {type: phone}, fields: {value: phone}}
"""
NESTED = """
stream: customers
entity: party
fields:
  display_name: name
  note: note
  lifecycle_stage: stage
  contact_points:
    each: points
    id: key
    fields: {type: type, value: value}
"""


def kept(field: str, value: Any) -> Any:
    """What the lossy system keeps: it trims, cuts, changes case, and writes phones as at home."""
    if not isinstance(value, str):
        return value
    if field == "phone":
        return value.replace("+49", "0")
    return value.strip()[:8].upper() if field in ("name", "note") else value


HABITS: dict[str, Behaviour] = {
    "modern": Behaviour(page_size=3),
    "children": Behaviour(child_ids={"points": "key"}, child_lists={"points": "patch"}, page_size=2),
    "lossy": Behaviour(stores=kept, batch_size=2),
    "file": Behaviour(
        changed_since=False,
        deletes="sweep",
        versions=False,
        times=False,
        search_mark=None,
        search_keys=("mail",),
    ),
    "queue": Behaviour(accepts_first=True, batch_size=3),
    "silent": Behaviour(
        cursor="time",
        overlap=timedelta(minutes=10),
        time_resolution=timedelta(seconds=1),
        omits_empty=True,
        absent_means="null",
        returns_record=False,
        search_lag=timedelta(seconds=5),
    ),
}
MAPPINGS = {habit: NESTED if habit == "children" else FLAT for habit in HABITS}


def _nothing(moment: str) -> None:
    """Nobody does anything in between."""


class SimulatedSystem(MemorySystem):
    """A memory system that says when a connector comes to it, and when it was written."""

    def __init__(self, name: str, habit: str, now: Callable[[], Any]) -> None:
        super().__init__(["customers"], now, replace(HABITS[habit]))
        self.name, self.habit = name, habit
        self.between: Callable[[str], None] = _nothing
        """Called with each step: what happens at that moment."""

    def carry_out(self, stream: str, operation: Operation) -> Result:
        result = super().carry_out(stream, operation)
        self.between("written")
        return result


class SimulatedConnector(MemoryConnector):
    """Speaks to a simulated system, page by page and write by write."""

    memory: SimulatedSystem

    def pull(self, stream: str, cursor: Cursor) -> Iterable[Page]:
        for page in super().pull(stream, cursor):
            self.memory.between("read")
            yield page

    def push(self, stream: str, operations: Sequence[Operation]) -> Iterable[Result]:
        for operation in operations:
            self.memory.between("asked to write")
            for result in super().push(stream, [operation]):
                self.memory.between("answered")
                yield result

    def poll(self, handles: Sequence[str]) -> Iterable[Result]:
        for result in super().poll(handles):
            self.memory.between("answered")
            yield result

    def get_many(self, stream: str, native_ids: Sequence[str]) -> Iterator[Record]:
        self.memory.between("asked for records")
        yield from super().get_many(stream, native_ids)


@hookimpl
def crmbridge_connectors() -> dict[str, type[Connector]]:
    return {"simulated": SimulatedConnector}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """One record, whatever its shape."""
    points = {point["type"]: point["value"] for point in row.get("points") or []}
    return {
        **{field: row.get(field) for field in ("name", "note", "stage")},
        "phone": row.get("phone") or points.get("phone"),
        "mail": row.get("mail") or points.get("email"),
    }


def new_row(habit: str, *, mail: str, phone: str | None, **data: Any) -> dict[str, Any]:
    """A record in the shape that such a system has."""
    if MAPPINGS[habit] is FLAT:
        return {**data, "mail": mail, "phone": phone}
    points = [{"type": "email", "value": mail}, {"type": "phone", "value": phone}]
    return {**data, "points": [point for point in points if point["value"]]}
