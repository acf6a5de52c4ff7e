"""After a backup was restored: what runs created that the state no longer knows is found by its mark.

Records that share a key, or a natural key, have met by then: each stream of the system was read in full. What
has neither is known by the mark that its create left, which is the same whenever it is planned.
"""

from __future__ import annotations

from crmbridge.engine.links import join_goldens
from crmbridge.engine.run import Run, System, recovering
from crmbridge.store.rows import IntentRow

__all__ = ["end_recovery", "find_created"]

CHUNK = 500


def find_created(run: Run) -> bool:
    """Link what is there already to what would be created: returns whether there was any, so that the plan is
    no longer true. Asks the system once for each planned create."""
    found = False
    for system in run.working():
        if run.store.setting(recovering(system.name)) is not None:
            with run.guard(system):
                found = _find(run, system) or found
    return found


def _find(run: Run, system: System) -> bool:
    found, after = False, 0
    while rows := run.store.intents(run.id, system.name, ["planned"], after, CHUNK):
        after = rows[-1].position
        for row in rows:
            if row.kind == "create":
                found = _link(run, system, row) or found
    return found


def _link(run: Run, system: System, create: IntentRow) -> bool:
    mark, store = system.streams[create.stream].capabilities.search_mark, run.store
    hits = system.connector.search(create.stream, mark, create.id) if mark else ()
    for hit in hits:
        for row in store.records(system.name, create.stream, [hit.native_id]):
            alone = row.golden_id and len(store.records_of([row.golden_id])[row.golden_id]) == 1
            if row.scope != hit.scope or row.part or not alone or row.golden_id == create.golden_id:
                continue
            assert row.golden_id is not None
            why = f"{system.name}/{create.stream}/{row.native_id} has the mark of its create"
            with store.transaction():
                join_goldens(store, row.golden_id, create.golden_id, why, run.now())
            return True
    return False


def end_recovery(run: Run) -> None:
    """What was planned for these systems was looked at and sent."""
    elsewhere = {name for flow in run.flows for name in flow.elsewhere}
    with run.store.transaction():
        for system in run.working():
            if system.name not in elsewhere:
                run.store.put_setting(recovering(system.name), None)
