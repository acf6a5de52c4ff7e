"""Mending: dead letters are tried again, and what a run wrote over is said anew.

Nothing here writes to a system. It changes what the next plan sees, and that plan is checked and sent like
any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import msgspec

from crmbridge.engine.facts import current_id
from crmbridge.engine.links import link_of, save_link
from crmbridge.engine.operations import Planned, chunks
from crmbridge.engine.pull import pull_records
from crmbridge.engine.run import Flow, Run, recovering, set_back
from crmbridge.identity.link import FieldState, Statement
from crmbridge.store.base import Store
from crmbridge.store.rows import DeadLetterRow, RecordRow, WriteRow

__all__ = [
    "UNDONE",
    "Undo",
    "of_undone",
    "recover",
    "remove_system",
    "rename_system",
    "replay",
    "say_again",
    "start_over",
]

CHUNK = 500
UNDONE = "undone"
"""The mark of golden records in which an undo says something anew."""


def replay(run: Run, letters: Iterable[DeadLetterRow]) -> None:
    """Read the records of these letters again, and have the golden records of the operations planned again.

    What fails once more stays a dead letter; what succeeds settles it.
    """
    chosen = sorted(letters, key=lambda one: (one.system, one.stream))
    for (name, stream), group in groupby(chosen, key=lambda one: (one.system, one.stream)):
        members = list(group)
        system = run.systems.get(name)
        records = [one.native_id for one in members if one.kind == "record"]
        if records and system is not None and system.failure is None and stream in system.streams:
            pull_records(run, system, stream, records)
        with run.store.transaction():
            goldens = [current_id(run.store, one.golden_id) for one in members if one.golden_id]
            refused = run.store.intents_of(goldens, ["rejected"])
            run.store.drop_intents(["rejected"], [row.id for row in refused if row.system == name])
            run.store.mark_dirty(goldens)


# -- systems -----------------------------------------------------------------------------------


def rename_system(store: Store, flows: Iterable[tuple[Flow, str]], old: str, new: str) -> None:
    """All that is known of `old` is known of `new`; golden records, which name origins, are merged anew.

    flows: each with the fingerprint that it had under the old name: where that was agreed to, it still is.
    """
    store.rename_system(old, new)
    for flow, before in flows:
        for what in ("approved", "config"):
            known = store.setting(f"{what}:{flow.entity}:{old}")
            store.put_setting(f"{what}:{flow.entity}:{old}", None)
            store.put_setting(f"{what}:{flow.entity}:{new}", known)
        for name in flow.policy.systems:
            if store.setting(f"config:{flow.entity}:{name}") == before:
                store.put_setting(f"config:{flow.entity}:{name}", flow.fingerprint)
        store.mark_all_dirty(flow.entity)


def remove_system(store: Store, entities: Iterable[str], name: str) -> None:
    """Nothing is known of this system any more: its links, its values, its dead letters."""
    store.remove_system(name)
    for entity in entities:
        store.put_setting(f"approved:{entity}:{name}", None)
        store.put_setting(f"config:{entity}:{name}", None)
        store.mark_all_dirty(entity)


def start_over(store: Store, entities: Iterable[str], name: str, streams: Iterable[str]) -> None:
    """The system is read in full, and the next sync that writes to it stops at the plan."""
    for stream in streams:
        known = store.stream(name, stream)
        known.cursor = known.high_water = None
        store.put_stream(known)
    for entity in entities:
        store.put_setting(f"approved:{entity}:{name}", None)


def recover(
    store: Store, entities: Iterable[str], streams: Iterable[tuple[str, str]], rolled_back: str | None
) -> None:
    """Systems and the state are not of one time any more: everything is read in full and matched, and
    nothing is written anywhere before somebody has applied a plan.

    streams: (system, stream) of every mapping.
    rolled_back: the system that was set back to its backup; None: the state was.
    """
    names = list(entities)
    for name, group in groupby(sorted(streams), key=lambda one: one[0]):
        theirs = [stream for _, stream in group] if rolled_back in (None, name) else []
        start_over(store, names, name, theirs)
        if theirs:
            store.put_setting(recovering(name), "1")
        for stream in theirs if rolled_back else ():
            store.put_setting(set_back(name, stream), "1")


# -- undo --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Undo:
    """What came of undoing a run."""

    goldens: int = 0
    """Golden records in which something is said anew; which: `of_undone`."""
    values: int = 0
    """Values that are said anew."""
    left: Counter[str] = field(default_factory=Counter)
    """Why something stays as it is -> how many values."""


@dataclass(slots=True)
class _Written:
    """What a run did to one field of one record, first value to last."""

    before: str
    after: Any


def say_again(run: Run, undone: int, at: int, undo: Undo) -> None:
    """Each record whose value a run wrote over says that value again, at the time `at` (microseconds).

    So it travels as an edit of that record would: it wins where the latest change wins, in all systems, and
    loses against a higher authority. A value that somebody has changed since stays: the systems have to be
    read before. `undo` is filled in.
    """
    with run.store.transaction():
        run.store.drop_marks(UNDONE)
    for record_id, writes in groupby(_writes(run.store, undone), key=lambda row: row.record_id):
        if not record_id:
            undo.left["of records that the run created: they stay"] += sum(1 for _ in writes)
            continue
        written = _first_to_last(writes)
        with run.store.transaction():
            for row in run.store.records_by_id([record_id]):
                _say_again(run, row, written, at, undo)
    undo.goldens = run.store.count_marks(UNDONE)


def of_undone(run: Run, operations: Iterable[Planned]) -> Iterator[Planned]:
    """Those of golden records in which something is said anew."""
    for some in chunks(operations, CHUNK):
        known = run.store.marked(UNDONE, {one.golden_id for one in some})
        yield from (one for one in some if one.golden_id in known)


def _first_to_last(writes: Iterable[WriteRow]) -> dict[str, _Written]:
    fields: dict[str, _Written] = {}
    for row in writes:
        known = fields.setdefault(row.path, _Written(row.before, None))
        known.after = msgspec.json.decode(row.after)
    return fields


def _writes(store: Store, undone: int) -> Iterator[WriteRow]:
    after = (-1, 0)
    while rows := store.writes(undone, after, CHUNK):
        after = (rows[-1].record_id, rows[-1].id)
        yield from rows


def _say_again(run: Run, row: RecordRow, written: dict[str, _Written], at: int, undo: Undo) -> None:
    flow, system = run.flow(row.entity), run.systems.get(row.system)
    mapping = system.mapping(row.stream, row.entity) if system else None
    if flow is None or mapping is None or row.status != "live" or not row.golden_id:
        undo.left["of records that are gone or no longer synced"] += len(written)
        return
    link = link_of(row, flow.shape)
    said = 0
    for path, one in written.items():
        state = link.fields.get(path)
        reason = _obstacle(path, one, state, status=path == mapping.transition_field)
        if reason is not None or state is None:
            undo.left[reason or "changed since"] += 1
            continue
        state.over = state.current()
        state.own = Statement(msgspec.json.decode(one.before), at, row.id)
        state.sent, state.said = None, None
        said += 1
    if said:
        run.store.put_records([save_link(link, row, flow.shape)])
        run.store.mark_dirty([row.golden_id])
        run.store.put_marks(UNDONE, [row.golden_id])
        undo.values += said


def _obstacle(path: str, written: _Written, state: FieldState | None, *, status: bool) -> str | None:
    """Why a value cannot be said again; None if it can."""
    if status:
        return "statuses: a document does not go back"
    if path.count("/") == 1:
        return "whole elements of lists: put them back where they came from"
    if written.before in ("unset", "null"):
        return "that filled an empty field: empty it where the value came from"
    if state is None or state.sent is None or state.sent.value != written.after:
        return "changed since"
    return None
