"""The whole pipeline, readable on one screen: settle, pull, resolve, merge and plan, check, push, forget.

plan    all of it on a copy of the state, up to the check; the operations go to the caller
apply   the same on the state itself, but only operations that a saved plan holds are sent
sync    the same, and everything is sent, unless a person has to look first
link    the same up to the plan, and nothing is sent: records only find each other
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from crmbridge.engine import consent, doubtful, doubts, insights, steward
from crmbridge.engine.golden import Summary, plan_dirty
from crmbridge.engine.lookup import settle
from crmbridge.engine.operations import Planned, chunks, decode, signature
from crmbridge.engine.prune import prune
from crmbridge.engine.pull import pull_system
from crmbridge.engine.push import push
from crmbridge.engine.recover import end_recovery, find_created
from crmbridge.engine.resolve import resolve
from crmbridge.engine.run import Flow, Run
from crmbridge.sdk.errors import AuthError, LimitError
from crmbridge.store.rows import DeadLetterRow, NoteRow, OwedRow

__all__ = [
    "Approved",
    "Outcome",
    "Verdict",
    "apply",
    "apply_undo",
    "link",
    "operations",
    "plan",
    "read",
    "sync",
]

ROUNDS = 4
"""A write can bring news (a number that the target gave); what follows from it is sent in the same run."""
CHUNK = 500
SHOWN = 100
"""So many of what is parked too long, or no longer true, are listed."""
_OPEN = ("parked", "impossible", "unwritable")
"""Notes of what is listed as a dead letter or as waiting already."""
NOTES = 100_000
"""So many notes are looked through for what is doubtful."""

Verdict = Literal["done", "approval", "limit"]
APPROVED = "approved"
"""The mark of a saved plan's operations, by their signatures, that have not been found to be true yet."""
Approved = Iterable[Planned]
"""The operations that a person agreed to: they are gone through twice, and never held all at once."""
Planner = Callable[[Run], Summary]
"""What plans, once the systems were read: the undo of a run has its own."""


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    summary: Summary
    verdict: Verdict = "done"
    reasons: list[str] = field(default_factory=list)
    """Why a person has to look: a line each."""
    stale: list[str] = field(default_factory=list)
    """Operations of a saved plan that are no longer true: a line each, of the first of them."""
    stale_count: int = 0
    """How many they are in all."""
    limit: LimitError | None = None
    failed: dict[str, Exception] = field(default_factory=dict)
    """System -> why it dropped out."""
    open_problems: int = 0
    """Dead letters, waiting records, uncertain operations and what is parked too long, as of now."""
    open_letters: int = 0
    """Of these the dead letters."""
    uncertain: int = 0
    """Of these the operations of unknown outcome."""
    waiting: list[OwedRow] = field(default_factory=list)
    """What is parked too long, the longest first: the first of them."""
    duplicates: int = 0
    """Pairs of golden records that may be one and wait for a person, as of now."""
    doubts: list[str] = field(default_factory=list)
    """A line for each of the first of them."""
    doubtful: int = 0
    """Links of a person and an organization that wait for a person, as of now."""
    loose: list[str] = field(default_factory=list)
    """A line for each of the first of them; of a plan also other links that may be wrong."""
    conflicts: int = 0
    """Conflicts that wait for a person, as of now."""
    notes: list[NoteRow] = field(default_factory=list)
    """Of a plan: what it found besides."""
    letters: list[DeadLetterRow] = field(default_factory=list)
    """Of a plan: what could not be taken, or cannot be written."""

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
    """Bring all systems into agreement. `keep` saves the plan where a person has to look first.

    A write can bring news, so that more is planned: that is looked at as the first of it was.
    """
    outcome = Outcome(read(run))
    for _ in range(ROUNDS):
        _check(run, outcome, accept_config=accept_config)
        if outcome.verdict != "done":
            if keep is not None:
                keep(run)
            break
        consent.agree_to_config(run)
        _push_all(run)
        _set_parked_aside(run)
        end_recovery(run)
        if not _plan_again(run, outcome.summary):
            break
    return _ended(run, outcome)


def plan(run: Run, planner: Planner = plan_dirty) -> Outcome:
    """What `sync` would write. The run works on a copy of the state; nothing is sent."""
    outcome = Outcome(read(run, planner))
    _check(run, outcome, accept_config=False)
    outcome.failed = _failures(run)
    outcome.letters = run.store.dead_letters("open")
    _count_open(run, outcome, len(outcome.letters))
    notes = run.store.notes(run.id, None, NOTES, doubts.LOOSE)
    outcome.loose = [note.text for note in notes if not note.path]
    found = run.store.notes(run.id, None, NOTES)
    outcome.notes = [note for note in found if note.kind not in (doubts.LOOSE, doubts.DOUBT, *_OPEN)]
    _doubted(run, outcome)
    return outcome


def link(run: Run) -> Outcome:
    """Read and match everything; nothing is sent, and nothing is agreed to."""
    return _ended(run, Outcome(read(run)))


def apply(run: Run, approved: Approved, *, strict: bool = False) -> Outcome:
    """Send what a saved plan holds and is still true."""
    outcome = _compared(run, approved, plan_dirty, strict=strict)
    if outcome.verdict == "done":
        consent.agree_to_config(run)
        consent.approve_applied(run, {(entity, system) for system, entity in run.planned})
        _push_all(run)
        _set_parked_aside(run)
        end_recovery(run)
        consent.approve_equal(run)
    return _ended(run, outcome)


def apply_undo(run: Run, approved: Approved, planner: Planner, *, strict: bool = False) -> Outcome:
    """The same for a plan that undoes a run: it agrees to nothing that a later sync would write."""
    outcome = _compared(run, approved, planner, strict=strict)
    if outcome.verdict == "done":
        _push_all(run)
    return _ended(run, outcome)


def _compared(run: Run, approved: Approved, planner: Planner, *, strict: bool) -> Outcome:
    """Beside what was approved: of what there is to write now, the rest is taken out."""
    outcome = Outcome(read(run, planner))
    _check(run, outcome, accept_config=True, first_ok=True)
    _mark_approved(run, approved)
    others = _take_out_others(run)
    outcome.stale_count = run.store.count_marks(APPROVED)
    outcome.stale = sorted(islice(_stale(run, approved), SHOWN))
    if outcome.verdict != "done":
        return outcome
    if strict and outcome.stale_count:
        outcome.verdict, outcome.reasons = "approval", ["the plan no longer fits (--strict)"]
    elif others and outcome.stale_count and not run.planned:
        outcome.verdict = "approval"
        outcome.reasons = ["nothing of this plan is still true, and other changes wait: make a new plan"]
    return outcome


def _mark_approved(run: Run, approved: Approved) -> None:
    with run.store.transaction():
        run.store.drop_marks(APPROVED)
        for some in chunks(approved, CHUNK):
            run.store.put_marks(APPROVED, map(signature, some))


def _take_out_others(run: Run) -> int:
    """Only what was approved stays planned, and its marks go; how many others there were."""
    others = 0
    run.planned.clear()
    for some in chunks(operations(run), CHUNK):
        signatures = {one.id: signature(one) for one in some}
        known = run.store.marked(APPROVED, signatures.values())
        left = [one.id for one in some if signatures[one.id] not in known]
        run.planned.update((one.system, one.entity) for one in some if signatures[one.id] in known)
        with run.store.transaction():
            run.store.drop_marks(APPROVED, known)
            run.store.drop_intents(["planned"], left)
        others += len(left)
    return others


def _stale(run: Run, approved: Approved) -> Iterator[str]:
    """What was approved and is planned no more."""
    for some in chunks(approved, CHUNK):
        gone = run.store.marked(APPROVED, map(signature, some))
        yield from (f"no longer true: {_described(one)}" for one in some if signature(one) in gone)


def _described(planned: Planned) -> str:
    name = planned.title or planned.golden_id
    fields = sorted({change.path.partition("/")[0] for change in planned.changes})
    where = f"{planned.system} {planned.native_id or ''}".strip()
    return f"{planned.kind} {name} in {where}" + (f" ({', '.join(fields)})" if fields else "")


def read(run: Run, planner: Planner = plan_dirty) -> Summary:
    """Settle, pull, resolve, merge and plan: everything up to the first write."""
    _forget(run, ["planned", "parked", "stale", "conflict"])
    for system in run.working():
        settle(run, system)
    for system in run.working():
        pull_system(run, system)
    for flow in run.flows:
        resolve(run, flow)
        _take_config(run, flow)
    with run.store.transaction():
        for system in run.working():
            if run.plans_for(system):
                run.store.release_owed(system.name)
    summary = planner(run)
    if find_created(run):
        _forget(run, ["planned"])
        run.planned.clear()
        again = planner(run)
        summary.operations, summary.clears, summary.reverts = again.operations, again.clears, again.reverts
    consent.stop_reverted(run, summary)
    return summary


def _take_config(run: Run, flow: Flow) -> None:
    """With another mapping or policy every golden record of an entity may be another."""
    key = f"merged:{flow.entity}"
    if run.store.setting(key) == flow.fingerprint:
        return
    run.changed_config |= {flow.entity}
    with run.store.transaction():
        run.store.mark_all_dirty(flow.entity)
        run.store.put_setting(key, flow.fingerprint)
    if flow.entity == insights.SUMMARY:
        insights.begin(run)


def operations(run: Run) -> Iterator[Planned]:
    """The operations that this run has planned and not sent, in order."""
    after = 0
    while rows := run.store.intents(run.id, None, ["planned"], after, CHUNK):
        after = rows[-1].position
        yield from (decode(row.payload) for row in rows)


# -- before the first write --------------------------------------------------------------------


def _check(run: Run, outcome: Outcome, *, accept_config: bool, first_ok: bool = False) -> None:
    """Decide whether what is planned may be sent."""
    outcome.limit = consent.exceeded(run, outcome.summary)
    if outcome.limit is not None:
        outcome.verdict, outcome.reasons = "limit", [str(outcome.limit)]
        return
    outcome.reasons = consent.reasons(run, accept_config=accept_config, first_ok=first_ok)
    outcome.verdict = "approval" if outcome.reasons else "done"


# -- writing -----------------------------------------------------------------------------------


def _plan_again(run: Run, summary: Summary) -> bool:
    """What follows from what was sent; whether there is anything."""
    _forget(run, ["stale", "conflict"])
    for flow in run.flows:
        resolve(run, flow)
    more = plan_dirty(run)
    summary.operations.update(more.operations)
    summary.clears.update(more.clears)
    summary.lost += more.lost
    summary.undecided += more.undecided
    return more.total > 0


def _push_all(run: Run) -> None:
    for flow in run.flows:
        for system in run.working():
            if system.name in flow.targets and system.mode == "live":
                push(run, system, flow)


def _forget(run: Run, statuses: list[str]) -> None:
    """Operations that were planned and not sent: their golden records are planned anew."""
    with run.store.transaction():
        run.store.drop_intents(statuses)


def _set_parked_aside(run: Run) -> None:
    """What waits for another record is remembered with its age, and planned anew."""
    while rows := run.store.intents_with(["parked"], CHUNK):
        with run.store.transaction():
            run.store.add_owed(
                OwedRow(row.golden_id, row.system, row.entity, "parked", row.reason, run.now())
                for row in rows
            )
            run.store.drop_intents(["parked"], [row.id for row in rows])


def _ended(run: Run, outcome: Outcome) -> Outcome:
    _forget(run, ["planned", "stale", "conflict"])
    with run.store.transaction():
        run.store.drop_marks(APPROVED)
        run.store.settle_owed(run.id)
    prune(run)
    long_ago = run.now() - run.patience
    outcome.failed = _failures(run)
    outcome.waiting = run.store.owed("parked", long_ago, SHOWN)
    _count_open(run, outcome, run.store.count_open_letters())
    _doubted(run, outcome)
    return outcome


def _doubted(run: Run, outcome: Outcome) -> None:
    """What waits for a person who says who is who, or which value it shall be."""
    outcome.duplicates, outcome.doubts = doubts.waiting(run, SHOWN)
    outcome.doubtful, lines = doubtful.waiting(run, SHOWN)
    outcome.loose = [*lines, *outcome.loose]
    outcome.conflicts = len(steward.waiting(run))


def _count_open(run: Run, outcome: Outcome, letters: int) -> None:
    """Dead letters, operations of unknown outcome, records that wait, and what is parked too long."""
    outcome.open_letters = letters
    outcome.uncertain = len(run.store.intents_with(["uncertain"], CHUNK))
    waiting = run.counts.of("waiting") + run.store.count_owed("parked", run.now() - run.patience)
    outcome.open_problems = letters + outcome.uncertain + waiting


def _failures(run: Run) -> dict[str, Exception]:
    failed = {s.name: s.failure for s in run.systems.values() if s.failure is not None}
    return {**run.absent, **failed}
