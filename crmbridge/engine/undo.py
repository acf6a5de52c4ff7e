"""Undoing a run: each value that it wrote over in a record is put back into that record, and nothing else.

Golden records stay as they are: nobody says anything new by an undo. The record is left with its old value
until somebody says something new about the field, there or elsewhere (`FieldState.undone`). What was changed
since the run stays, so the systems have to be read before.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import msgspec

from crmbridge.engine.golden import OPEN, Summary, intent_of
from crmbridge.engine.links import link_of
from crmbridge.engine.needs import insists, insists_on_elements, is_closed
from crmbridge.engine.operations import Change, Planned
from crmbridge.engine.planinput import Target
from crmbridge.engine.run import Flow, Run
from crmbridge.identity.link import UNSET, Link
from crmbridge.identity.shape import Shape
from crmbridge.store.base import Store
from crmbridge.store.rows import IntentRow, RecordRow, WriteRow
from crmbridge_schemas.party import country_of

__all__ = ["Undo", "plan_undo"]

CHUNK = 500
CREATED = "of records that the run created: they stay"
GONE = "of records that are gone or no longer written"
UNKNOWN = "of records with an operation of unknown outcome"
CLOSED = "of documents that may no longer change"
STATUS = "statuses: a document does not go back"
CHANGED = "changed since"
REMOVED = "in elements that the run removed from a list or replaced: put them back where they came from"
REQUIRED = "that were empty before, and the system needs one there"


@dataclass(slots=True)
class Undo:
    """What a plan that undoes a run holds, and what it leaves."""

    goldens: int = 0
    """Golden records in which something is put back."""
    values: int = 0
    """Values that are put back."""
    left: Counter[str] = field(default_factory=Counter)
    """Why something stays as it is -> how many values."""


@dataclass(slots=True)
class _Written:
    """What a run did to one field of one record, first value to last."""

    before: Any
    """None where it held nothing."""
    after: Any


_Fields = dict[str, _Written]


def plan_undo(run: Run, undone: int, undo: Undo) -> Summary:
    """Plan back what the run `undone` wrote over; the operations become intents of this run. `undo` is filled
    in."""
    summary, goldens = Summary(), set[str]()
    intents: list[IntentRow] = []
    position = 0
    for record_id, writes in groupby(_writes(run.store, undone), key=lambda row: row.record_id):
        if not record_id:
            undo.left[CREATED] += sum(1 for _ in writes)
            continue
        written = _first_to_last(writes)
        for row in run.store.records_by_id([record_id]):
            planned = _plan_back(run, row, written, undone, undo)
            if planned is not None:
                position += 1
                summary.add(planned)
                goldens.add(planned.golden_id)
                intents.append(intent_of(run, planned, position))
        if len(intents) >= CHUNK:
            _keep(run, intents)
    _keep(run, intents)
    undo.goldens = len(goldens)
    return summary


def _keep(run: Run, intents: list[IntentRow]) -> None:
    run.planned.update((row.system, row.entity) for row in intents)
    with run.store.transaction():
        run.store.put_intents(intents)
    intents.clear()


def _writes(store: Store, undone: int) -> Iterator[WriteRow]:
    after = (-1, 0)
    while rows := store.writes(undone, after, CHUNK):
        after = (rows[-1].record_id, rows[-1].id)
        yield from rows


def _first_to_last(writes: Iterator[WriteRow]) -> _Fields:
    fields: _Fields = {}
    for row in writes:
        before = None if row.before == "unset" else msgspec.json.decode(row.before)
        fields.setdefault(row.path, _Written(before, None)).after = msgspec.json.decode(row.after)
    return fields


def _plan_back(run: Run, row: RecordRow, written: _Fields, undone: int, undo: Undo) -> Planned | None:
    flow, system = run.flow(row.entity), run.systems.get(row.system)
    mapping = system.mapping(row.stream, row.entity) if system else None
    able = system.streams[row.stream].capabilities if system and mapping else None
    if flow is None or system is None or mapping is None or able is None or not _is_written(run, flow, row):
        undo.left[GONE] += len(written)
        return None
    if any(one.system == row.system for one in run.store.intents_of([row.golden_id or ""], OPEN)):
        undo.left[UNKNOWN] += len(written)
        return None
    golden = run.store.goldens([row.golden_id or ""]).get(row.golden_id or "")
    country = country_of(msgspec.json.decode(golden.doc)) if golden else None
    target = Target(row.system, mapping, able, create=False, scope=row.scope)
    shape = flow.shape.in_country(country)
    back = _Back(target, link_of(row, flow.shape), shape, written, undo.left)
    changes = list(back.changes())
    count = sum(1 for change in changes if change.old != change.new)
    if count and is_closed(target, shape, back.link):
        undo.left[CLOSED] += count
    elif count:
        undo.values += count
        planned = _operation(row, undone, changes, back.slots)
        planned.country = country
        return planned
    return None


def _is_written(run: Run, flow: Flow, row: RecordRow) -> bool:
    system = run.systems[row.system]
    written = row.system in flow.targets and run.plans_for(system)
    able = "update" in system.streams[row.stream].capabilities.operations
    return written and able and row.status == "live" and not row.part and row.golden_id is not None


def _operation(
    row: RecordRow, undone: int, changes: list[Change], slots: dict[str, dict[str, str | None]]
) -> Planned:
    parts = [row.system, row.stream, "undo", undone, row.golden_id, row.scope, row.native_id]
    parts.extend([c.path, c.old, c.new] for c in changes)
    return Planned(
        id=hashlib.blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=10).hexdigest(),
        kind="update",
        system=row.system,
        stream=row.stream,
        entity=row.entity,
        golden_id=row.golden_id or "",
        scope=row.scope,
        record_id=row.id,
        native_id=row.native_id,
        version=row.version,
        changes=changes,
        slots=slots,
        undoes=undone,
    )


@dataclass(slots=True)
class _Back:
    """One record, and what is put back into it."""

    target: Target
    link: Link
    shape: Shape
    written: _Fields
    left: Counter[str]
    slots: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """List -> slot that is emptied again."""

    def changes(self) -> Iterator[Change]:
        """In the order of writing; the parts of an element that stand in one native field together."""
        whole = [path for path in self.written if path.count("/") == 1]
        elements = dict.fromkeys(path.rpartition("/")[0] for path in self.written if path.count("/") > 1)
        for path in self.written:
            if "/" not in path:
                yield from self._group([path])
        for path in whole:
            yield from self._element(path)
        for path in elements:
            if path not in whole:
                yield from self._parts(path)

    def _group(self, paths: list[str], local: str = "") -> Iterator[Change]:
        """Values that stand in one native field: all are put back, or none."""
        known = [path for path in paths if path in self.written]
        reason = next((why for path in known if (why := self._obstacle(path, local))), None)
        if reason is not None:
            self.left[reason] += len(known)
        elif any(self._change(path).old != self.written[path].before for path in known):
            yield from (self._change(path) for path in paths if self._is_known(path))

    def _obstacle(self, path: str, local: str = "") -> str | None:
        """Why a value is not put back; None if it can be."""
        mapping, one = self.target.mapping, self.written[path]
        if path == mapping.transition_field:
            return STATUS
        if not mapping.writes(path.partition("/")[0]):
            return GONE
        if not self._stands(path):
            return CHANGED
        if one.before is None and insists(self.target, path, local):
            return REQUIRED
        return None

    def _stands(self, path: str) -> bool:
        """It is as the run left it: neither people nor a later run changed it."""
        state, after = self.link.fields.get(path), self.written[path].after
        return state is not None and state.sent is not None and after in (state.sent.value, state.seen)

    def _is_known(self, path: str) -> bool:
        state = self.link.fields.get(path)
        return state is not None and state.current() is not None

    def _change(self, path: str) -> Change:
        state = self.link.fields[path]
        said, held = state.current(), None if state.seen is UNSET else state.seen
        assert said is not None
        before = self.written[path].before if path in self.written else held
        return Change(path, held, before, said)

    # elements of lists

    def _parts(self, element: str) -> Iterator[Change]:
        """Those of an element that was there before."""
        name, _, element_id = element.partition("/")
        local = self.link.shown(name).get(element_id)
        paths = [path for path in self.written if path.startswith(f"{element}/")]
        if local is None:
            self.left[CHANGED] += len(paths)
            return
        for group in self._groups(name, element, paths):
            yield from self._group(group, local)

    def _groups(self, name: str, element: str, paths: list[str]) -> list[list[str]]:
        """Paths that stand in one native field, and each other one alone."""
        rule = self.target.mapping.lists.get(name)
        groups = [[f"{element}/{inner}" for inner in group] for group in rule.together] if rule else []
        groups = [group for group in groups if any(path in group for path in paths)]
        grouped = {path for group in groups for path in group}
        return [*groups, *([path] for path in paths if path not in grouped)]

    def _element(self, path: str) -> Iterator[Change]:
        """An element that the run added is removed again."""
        name, _, element_id = path.partition("/")
        parts = [inner for inner in self.written if inner.startswith(f"{path}/")]
        reason = self._obstacle_of_element(path, parts)
        if reason is not None:
            self.left[reason] += 1 + len(parts)
            return
        local = self.link.shown(name).get(element_id)
        if local is None:  # it was removed again already
            return
        slot = self.target.mapping.lists[name].slot(local)
        if slot is not None:
            self.slots.setdefault(name, {})[slot.name] = None
        yield self._change(path)

    def _obstacle_of_element(self, path: str, parts: list[str]) -> str | None:
        name, _, element_id = path.partition("/")
        rule = self.target.mapping.lists.get(name)
        if rule is None or not rule.writable:
            return GONE
        if self.written[path].after is None or any(self.written[one].before is not None for one in parts):
            return REMOVED
        if not all(self._stands(one) for one in (path, *parts)):
            return CHANGED
        local = self.link.shown(name).get(element_id, "")
        alone = len(self.link.shown(name)) == 1 and not rule.slots
        if insists(self.target, path, local) or (alone and insists_on_elements(self.target, rule)):
            return REQUIRED
        return None
