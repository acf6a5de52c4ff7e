"""What stands before the first write: safety limits, first syncs, a changed config; and what was agreed to.

Agreed to is, as settings of the state:

approved:ENTITY:SYSTEM   the run whose saved plan was applied: ENTITY is written to SYSTEM from now on
config:ENTITY:SYSTEM     the fingerprint of mappings and policy with which SYSTEM took part last
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from crmbridge.engine.golden import Summary
from crmbridge.engine.operations import decode
from crmbridge.engine.run import Flow, Run, recovering
from crmbridge.sdk.errors import LimitError
from crmbridge.store.rows import OwedRow

__all__ = ["agree_to_config", "approve_applied", "approve_equal", "exceeded", "reasons", "stop_reverted"]

CHUNK = 500
_LIMITS = {
    "create": "creates",
    "update": "updates",
    "transition": "updates",
    "archive": "deletes",
    "delete": "deletes",
}


# -- safety ------------------------------------------------------------------------------------


def stop_reverted(run: Run, summary: Summary) -> None:
    """A system in which an old copy was saved over too much of our work is stopped, and no other."""
    for (name, entity), count in sorted(summary.reverts.items()):
        system = run.systems[name]
        error = _over(run, "reverts", (name, entity, ""), count)
        if error is not None and system.mode == "live" and system.failure is None:
            run.stop(system, error)
            _hold_back(run)


def _hold_back(run: Run) -> None:
    """What is planned elsewhere because a stopped system says so waits for the next run."""
    stopped, after = run.stopped(), 0
    while rows := run.store.intents(run.id, None, ["planned"], after, CHUNK):
        after = rows[-1].position
        held = [
            row
            for row in rows
            if row.system not in stopped and stopped & {c.source for c in decode(row.payload).changes}
        ]
        with run.store.transaction():
            run.store.drop_intents(["planned"], [row.id for row in held])
            run.store.clear_dirty([row.golden_id for row in held])
            run.store.add_owed(
                OwedRow(row.golden_id, row.system, row.entity, "held", "a system was stopped for safety")
                for row in held
            )


def exceeded(run: Run, summary: Summary) -> LimitError | None:
    """The first limit that the whole run is beyond: all that it has sent and is about to send."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for (system, entity, kind), count in run.store.count_intents(run.id).items():
        counts[system, entity, _LIMITS[kind]] += count
    for (system, entity, name), count in sorted(counts.items()):
        if _is_written(run, system) and (error := _over(run, name, (system, entity, ""), count)):
            return error
    for key, count in sorted(summary.clears.items()):
        if _is_written(run, key[0]) and (error := _over(run, "clears", key, count)):
            return error
    return None


def _is_written(run: Run, name: str) -> bool:
    """Not a system in shadow, for which a plan is only shown, and none that dropped out."""
    system = run.systems[name]
    return system.mode == "live" and system.failure is None


def _over(run: Run, name: str, where: tuple[str, str, str], count: int) -> LimitError | None:
    system, entity, path = where
    first = not _is_approved(run, entity, system)
    total = run.store.count_records(system, entity)
    if name in run.allowed or run.limits.allows(name, count, total, first=first):
        return None
    place = f"{entity}.{path}" if path else entity
    allowed = run.limits.describe(name, first=first)
    return LimitError(
        f"{count} {name} of {place} in {system} ({total} records there); the limit is {allowed}",
        limit=f"limits.{'first.' if first and name != 'reverts' else ''}{name}",
        flag=f"--allow {name}",
    )


# -- what a person has to look at --------------------------------------------------------------


def reasons(run: Run, *, accept_config: bool, first_ok: bool) -> list[str]:
    """Why the plan has to be looked at: a line each."""
    planned = run.store.count_intents(run.id)
    pairs = sorted({(entity, system) for system, entity, _ in planned if _is_written(run, system)})
    found = [
        f"{entity} -> {system} would be written for the first time{_since(run, system)}"
        for entity, system in pairs
        if not first_ok and not _is_approved(run, entity, system)
    ]
    written = {entity for entity, _ in pairs}
    changed = [
        f"mapping, policy or connector of {flow.entity} changed, or the version of what they use"
        for flow in run.flows
        if flow.entity in written and not accept_config and _has_changed(run, flow)
    ]
    return found + changed


def _since(run: Run, system: str) -> str:
    return " since a backup was restored" if run.store.setting(recovering(system)) else ""


def _is_approved(run: Run, entity: str, system: str) -> bool:
    return run.store.setting(f"approved:{entity}:{system}") is not None


def _has_changed(run: Run, flow: Flow) -> bool:
    """For one of its systems that takes part now; one that was away has not been seen with the change."""
    return any(run.store.setting(key) not in (None, flow.fingerprint) for key in _config_keys(run, flow))


def _config_keys(run: Run, flow: Flow) -> list[str]:
    working = {system.name for system in run.working()} - set(flow.elsewhere)
    return [f"config:{flow.entity}:{name}" for name in flow.policy.systems if name in working]


# -- what was agreed to ------------------------------------------------------------------------


def agree_to_config(run: Run) -> None:
    """What is sent now was agreed to, for the systems that take part in it."""
    with run.store.transaction():
        for flow in run.flows:
            for key in _config_keys(run, flow):
                run.store.put_setting(key, flow.fingerprint)


def approve_applied(run: Run, pairs: Collection[tuple[str, str]]) -> None:
    """Operations of these (entity, system) were in a plan that somebody applied."""
    with run.store.transaction():
        for entity, system in sorted(pairs):
            if _is_written(run, system):
                run.store.put_setting(f"approved:{entity}:{system}", str(run.id))


def approve_equal(run: Run) -> None:
    """Where the applied plan had nothing to write, since both sides hold records and agree, that is approved
    as well. A system that holds none, or one that could not be compared with all others, is not."""
    planned = {(entity, system) for system, entity, _ in run.store.count_intents(run.id)}
    working = {system.name for system in run.working()}
    for flow in run.flows:
        if not working.issuperset(flow.policy.systems):
            continue
        equal = [
            name
            for name in flow.targets
            if name in working
            and (flow.entity, name) not in planned
            and run.store.count_records(name, flow.entity)
        ]
        approve_applied(run, [(flow.entity, name) for name in equal])
