"""The whole pipeline, readable on one screen: settle, pull, resolve, merge and plan, check, push.

plan    all of it on a copy of the state, up to the check; the operations go to the caller
apply   the same on the state itself, but only operations that a saved plan holds are sent
sync    the same, and everything is sent, unless a person has to look first
link    the same up to the plan, and nothing is sent: records only find each other
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from crmbridge.engine import insights
from crmbridge.engine.golden import Summary, plan_dirty
from crmbridge.engine.lookup import settle
from crmbridge.engine.operations import Planned, decode, signature
from crmbridge.engine.pull import pull_system
from crmbridge.engine.push import push
from crmbridge.engine.resolve import resolve
from crmbridge.engine.run import Run
from crmbridge.sdk.errors import AuthError, LimitError

__all__ = ["Outcome", "Verdict", "apply", "link", "operations", "plan", "read", "sync", "would_apply"]

ROUNDS = 4
"""A write can bring news (a number that the target gave); what follows from it is sent in the same run."""
CHUNK = 500

Verdict = Literal["done", "approval", "limit"]


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    summary: Summary
    verdict: Verdict = "done"
    reasons: list[str] = field(default_factory=list)
    """Why a person has to look: a line each."""
    stale: list[str] = field(default_factory=list)
    """Operations of a saved plan that are no longer true: a line each."""
    limit: LimitError | None = None
    failed: dict[str, Exception] = field(default_factory=dict)
    """System -> why it dropped out."""
    titles: dict[str, str] = field(default_factory=dict)
    """Of a plan: golden id -> what people call that record."""
    open_problems: int = 0
    """Dead letters, waiting records, uncertain and parked operations that are open now."""

    @property
    def exit_code(self) -> int:
        """See the table of exit codes."""
        if self.limit is not None or any(isinstance(error, LimitError) for error in self.failed.values()):
            return LimitError.exit_code
        if any(isinstance(error, AuthError) for error in self.failed.values()):
            return AuthError.exit_code
        if self.failed:
            return 1
        if self.verdict == "approval":
            return 4
        return 3 if self.open_problems else 0


def sync(run: Run, *, accept_config: bool = False, keep: Callable[[Run], None] | None = None) -> Outcome:
    """Bring all systems into agreement. `keep` saves the plan where a person has to look first."""
    summary = read(run)
    outcome = _checked(run, summary, accept_config=accept_config)
    if outcome.verdict == "done":
        _agree(run)
        _push_rounds(run, summary)
    elif keep is not None:
        keep(run)
    return _ended(run, outcome)


def plan(run: Run) -> Outcome:
    """What `sync` would write. The run works on a copy of the state; nothing is sent."""
    outcome = _checked(run, read(run), accept_config=False)
    outcome.failed = _failures(run)
    return outcome


def link(run: Run) -> Outcome:
    """Read and match everything; nothing is sent, and nothing is agreed to."""
    return _ended(run, Outcome(read(run)))


def apply(run: Run, approved: set[str], *, strict: bool = False) -> Outcome:
    """Send what a saved plan holds (signatures of its operations) and is still true."""
    outcome, found = _compared(run, approved, strict=strict)
    if outcome.verdict == "done":
        with run.store.transaction():
            run.store.drop_intents(["planned"], [found[s].id for s in found.keys() - approved])
        run.planned = Counter((found[s].system, found[s].entity) for s in found.keys() & approved)
        _agree(run)
        _push_all(run)
    return _ended(run, outcome)


def would_apply(run: Run, approved: set[str], *, strict: bool = False) -> Outcome:
    """Whether `apply` would send it. The run works on a copy of the state."""
    outcome, _ = _compared(run, approved, strict=strict)
    return _ended(run, outcome)


def _compared(run: Run, approved: set[str], *, strict: bool) -> tuple[Outcome, dict[str, Planned]]:
    """What there is to write now, by signature, beside what was approved."""
    outcome = _checked(run, read(run), accept_config=True, first_ok=True)
    found = {signature(operation): operation for operation in operations(run)}
    gone = approved - found.keys()
    outcome.stale = sorted(f"no longer true: {one.split(':')[0]}" for one in gone)
    if strict and gone and outcome.verdict == "done":
        outcome.verdict, outcome.reasons = "approval", ["the plan no longer fits (--strict)"]
    return outcome, found


def read(run: Run) -> Summary:
    """Settle, pull, resolve, merge and plan: everything up to the first write."""
    _forget(run, ["planned", "parked", "stale", "conflict"])
    for system in run.working():
        settle(run, system)
    for system in run.working():
        pull_system(run, system)
    for flow in run.flows:
        resolve(run, flow)
        if run.store.setting(f"config:{flow.entity}") != flow.fingerprint:
            with run.store.transaction():
                run.store.mark_all_dirty(flow.entity)
            if flow.entity == insights.SUMMARY:
                insights.begin(run)
    return plan_dirty(run)


def operations(run: Run) -> Iterator[Planned]:
    """The operations that this run has planned and not sent, in order."""
    after = -1
    while rows := run.store.intents(run.id, None, ["planned"], after, CHUNK):
        after = rows[-1].position
        yield from (decode(row.payload) for row in rows)


# -- before the first write --------------------------------------------------------------------


def _checked(run: Run, summary: Summary, *, accept_config: bool, first_ok: bool = False) -> Outcome:
    outcome = Outcome(summary)
    limit = _exceeded(run, summary)
    if limit is not None:
        outcome.verdict, outcome.limit, outcome.reasons = "limit", limit, [str(limit)]
        return outcome
    for entity, system in sorted(_live_pairs(run, summary)):
        if not first_ok and not run.store.setting(f"approved:{entity}:{system}"):
            outcome.reasons.append(f"{entity} -> {system} would be written for the first time")
    for flow in run.flows:
        known = run.store.setting(f"config:{flow.entity}")
        if known not in (None, flow.fingerprint) and not accept_config and _writes(summary, flow.entity):
            outcome.reasons.append(f"mapping, policy or connector of {flow.entity} changed")
    if outcome.reasons:
        outcome.verdict = "approval"
    return outcome


def _live_pairs(run: Run, summary: Summary) -> set[tuple[str, str]]:
    """Without systems in shadow: what is planned for them is only shown."""
    return {(e, name) for e, name in summary.pairs() if run.systems[name].mode == "live"}


def _writes(summary: Summary, entity: str) -> bool:
    return any(planned == entity for planned, _ in summary.pairs())


def _exceeded(run: Run, summary: Summary) -> LimitError | None:
    names = {"create": "creates", "update": "updates", "archive": "deletes", "delete": "deletes"}
    for (system, entity, kind), count in sorted(summary.operations.items()):
        name = names.get(kind)
        if name and (error := _over(run, name, (system, entity, ""), count)):
            return error
    for key, count in sorted(summary.clears.items()):
        if error := _over(run, "clears", key, count):
            return error
    for (system, entity), count in sorted(summary.reverts.items()):
        if error := _over(run, "reverts", (system, entity, ""), count):
            return error
    return None


def _over(run: Run, name: str, where: tuple[str, str, str], count: int) -> LimitError | None:
    system, entity, path = where
    first = not run.store.setting(f"approved:{entity}:{system}")
    total = run.store.count_records(system, entity)
    if name in run.allowed or run.limits.allows(name, count, total, first=first):
        return None
    place = f"{entity}.{path}" if path else entity
    allowed = run.limits.describe(name, first=first)
    return LimitError(
        f"{count} {name} of {place} in {system} ({total} records there); the limit is {allowed}",
        limit=f"limits.{name}",
        flag=f"--allow {name}",
    )


def _agree(run: Run) -> None:
    """What is sent now has been agreed to: from here on it needs no second look."""
    with run.store.transaction():
        for flow in run.flows:
            run.store.put_setting(f"config:{flow.entity}", flow.fingerprint)
            for system in flow.targets:
                found = run.systems.get(system)
                if found is not None and found.failure is None and found.mode == "live":
                    run.store.put_setting(f"approved:{flow.entity}:{system}", str(run.id))


# -- writing -----------------------------------------------------------------------------------


def _push_rounds(run: Run, summary: Summary) -> None:
    for _ in range(ROUNDS):
        _push_all(run)
        _forget(run, ["parked", "stale", "conflict"])
        for flow in run.flows:
            resolve(run, flow)
        more = plan_dirty(run)
        summary.operations.update(more.operations)
        summary.clears.update(more.clears)
        if not more.total or _exceeded(run, more):
            return


def _push_all(run: Run) -> None:
    for flow in run.flows:
        for system in run.working():
            if system.name in flow.targets and system.mode == "live":
                push(run, system, flow)


def _forget(run: Run, statuses: list[str]) -> None:
    """Operations that were planned and not sent: their golden records are planned anew."""
    with run.store.transaction():
        run.store.drop_intents(statuses)


def _ended(run: Run, outcome: Outcome) -> Outcome:
    _forget(run, ["planned", "stale", "conflict"])
    outcome.failed = _failures(run)
    stuck = len(run.store.intents_with(["parked", "uncertain"], CHUNK))
    outcome.open_problems = stuck + run.counts.of("waiting") + len(run.store.dead_letters("open"))
    return outcome


def _failures(run: Run) -> dict[str, Exception]:
    failed = {s.name: s.failure for s in run.systems.values() if s.failure is not None}
    return {**run.absent, **failed}
