"""The guard before each run: the state belongs to these systems and no others, and is of now."""

from __future__ import annotations

from crmbridge.config import Config
from crmbridge.engine.run import Run
from crmbridge.sdk.errors import LimitError, StateError
from crmbridge.store.rows import SystemRow

__all__ = ["guard_state"]


def guard_state(run: Run, config: Config) -> None:
    """The state belongs to these systems and no others, and is of now."""
    later = run.store.later_run()
    if later is not None:
        raise LimitError(
            f"the state is older than its last run {later}: it was restored from a backup, and what was "
            "created since would be created again",
            limit="the guard against a state that was set back",
            flag="crmbridge systems recover",
            hint="put the newer state back, or, if there is none: crmbridge systems recover; everything "
            "is then read in full and matched, and nothing is written before a plan was applied",
        )
    known = {row.name: row for row in run.store.systems()}
    lost = sorted(known.keys() - config.systems.keys())
    if lost:
        new = sorted(config.systems.keys() - known.keys())
        old_name, new_name = (lost[0], new[0]) if len(lost) == len(new) == 1 else ("OLD", "NEW")
        raise StateError(
            f"the state holds links of {', '.join(lost)}, which the config no longer names",
            hint=f"if it is called otherwise now: crmbridge systems rename {old_name} {new_name}; "
            f"if it is no more: crmbridge systems remove {lost[0]}",
        )
    for name, system in run.systems.items():
        if system.failure is not None:
            continue
        mark = ""
        with run.guard(system):
            mark = system.connector.fingerprint()
        if system.failure is not None:
            continue
        row = known.get(name) or SystemRow(name)
        if row.fingerprint and mark and row.fingerprint != mark:
            raise StateError(
                f"{name} is another system than before: {mark}; the state is of {row.fingerprint}",
                hint=f"correct systems.{name} in {config.path.name}, or, if it really moved: "
                f"crmbridge systems rebind {name}",
            )
        row.fingerprint, row.connector = mark or row.fingerprint, config.systems[name].connector
        with run.store.transaction():
            run.store.put_system(row)
