"""Mending: dead letters are tried again, systems are renamed, removed and recovered.

Nothing here writes to a system. It changes what the next plan sees, and that plan is checked and sent like
any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from crmbridge.engine.facts import current_id
from crmbridge.engine.pull import pull_records
from crmbridge.engine.run import Flow, Run, recovering, set_back
from crmbridge.store.base import Store
from crmbridge.store.rows import DeadLetterRow

__all__ = [
    "recover",
    "remove_system",
    "rename_system",
    "replay",
    "start_over",
]


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
