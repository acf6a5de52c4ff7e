"""How a plan or a run ended: counts, reasons, problems, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from crmbridge.cli.messages.runs import NoteMessage, SummaryMessage
from crmbridge.cli.phrases import counted, finding
from crmbridge.cli.showplan import emit_plan, show_plan

if TYPE_CHECKING:
    from crmbridge.bridge import Bridge
    from crmbridge.cli.session import Session
    from crmbridge.engine.planfile import SavedPlan
    from crmbridge.engine.sync import Outcome
    from crmbridge.sdk.hookspecs import RunEvent
    from crmbridge.store.rows import NoteRow

__all__ = ["PLAN", "Watch", "report_plan", "report_run"]

PLAN = "crmbridge-plan.jsonl"
"""Where a sync that stopped saves its plan, beside the config."""
NOTES = 100_000
"""How many notes of one run are looked at."""
_READ = ("new", "changed", "gone", "out of scope", "waiting")
_WRITTEN = ("created", "updated", "archived", "deleted", "moved on")
_LEFT = ("dead letter", "uncertain", "parked")
DIFFERENT = (
    "apart",
    "closed",
    "computed",
    "held",
    "kept",
    "not-cleared",
    "request",
    "undone",
    "unit",
)
"""Notes after which not all systems agree."""
_LOUD_NOTES = ("doubtful link", "possible duplicate", "reverted")
LOUD = 10
"""So many of them are told one by one."""
_QUIET_NOTES = ("parked", "impossible", "unwritable")
"""Notes that are counted as open problems already."""


class Watch:
    """Listens for a run's id and its account."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.run: int | None = None
        self.counts: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.bridge.listeners.append(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self.bridge.listeners.remove(self._listen)

    def _listen(self, event: RunEvent) -> None:
        if event.kind == "run-started":
            self.run = int(event.run)
        elif event.kind == "run-ended":
            self.counts = dict(event.details)


def report_plan(
    session: Session,
    outcome: Outcome,
    saved: SavedPlan,
    *,
    out: Path | None,
    most: int,
    detailed: bool,
) -> int:
    """Print a plan; returns the exit code."""
    output = session.output
    show_plan(output, saved, most)
    emit_plan(output, saved)
    code = _plan_code(outcome, saved.count, detailed=detailed)
    command = session.command("apply", str(out), *_allowing(outcome)) if out else None
    known = {"plan": str(out) if out else None, "command_to_apply": command}
    output.emit(_summary("plan", outcome, code).model_copy(update=known))
    _tell_failed(session, outcome)
    paused = _tell_paused(session)
    if not saved.count:
        output.print(f"Nothing would be written{'.' if saved.undo else _unless_open(outcome, paused)}")
    else:
        _tell_counts(
            session, "Planned", {"/".join(k): n for k, n in sorted(outcome.summary.operations.items())}
        )
    _tell_doubtful(session, outcome, most)
    _tell_findings(session, outcome.summary.notes)
    _tell_conflicts(session, outcome)
    for note in outcome.notes[:most] if most else outcome.notes:
        place = " ".join(part for part in (note.system, note.golden_id, note.path) if part)
        session.output.say(f"  {note.kind}: {place}: {note.text}")
    if outcome.limit is not None:
        output.warn(f"sync would stop here: {outcome.limit.message}", outcome.limit.hint)
    elif outcome.reasons:
        output.say("sync would stop here for a look at the plan:")
        for reason in outcome.reasons:
            output.say(f"  {reason}")
    if saved.count:
        output.say(f"To write it: {command or _command_to_write(session, outcome)}")
    return code


def _command_to_write(session: Session, outcome: Outcome) -> str:
    """What writes a plan that was not saved."""
    if outcome.limit is None and not outcome.reasons:
        return session.command("sync")
    save, apply = ("plan", "--out", PLAN), ("apply", PLAN, *_allowing(outcome))
    return f"{session.command(*save)}, then {session.command(*apply)}"


def _allowing(outcome: Outcome) -> list[str]:
    """The option that lifts the limit which stands against it."""
    return outcome.limit.flag.split() if outcome.limit else []


def _unless_open(outcome: Outcome, paused: list[str]) -> str:
    """Whether all systems agree, or what stands against it."""
    if outcome.failed:
        return f" now; whether {', '.join(outcome.failed)} agrees is not known."
    open_now = [
        *_open_now(outcome),
        *(finding(kind, count) for kind, count in _doubts(outcome) if count),
        counted(outcome.conflicts, "undecided conflict", "undecided conflicts") if outcome.conflicts else "",
    ]
    if any(open_now):
        return f"; open: {', '.join(filter(None, open_now))}."
    if any(outcome.summary.notes[kind] for kind in DIFFERENT):
        return "; some values differ and are left as they are."
    return ": the others agree." if paused else ": all systems agree."


def _doubts(outcome: Outcome) -> list[tuple[str, int]]:
    return [("possible duplicate", outcome.duplicates), ("doubtful link", outcome.doubtful)]


def _tell_doubtful(session: Session, outcome: Outcome, most: int) -> None:
    """What a person should know before this is written."""
    letters = [f"{one.system}/{one.stream}/{one.native_id}: {one.error}" for one in outcome.letters]
    duplicates = session.command("identity", "duplicates")
    loose = max(outcome.doubtful, len(outcome.loose))
    for title, lines, count, all_of_them in (
        ("Possible duplicates, which are not joined", outcome.doubts, outcome.duplicates, duplicates),
        ("Links that may be wrong, which stay as they are", outcome.loose, loose, "--show 0"),
        ("Dead letters", letters, len(letters), "--show 0"),
    ):
        if lines:
            session.output.warn(f"{title}: {count:,}")
            shown = lines[:most] if most else lines
            for line in shown:
                session.output.say(f"  {line}")
            if count > len(shown):
                session.output.say(f"  and {count - len(shown):,} more ({all_of_them} shows all)")
    _tell_waiting(session, outcome)


def _tell_waiting(session: Session, outcome: Outcome) -> None:
    for count, what, *command in (
        (outcome.duplicates, "possible duplicate", "identity", "duplicates"),
        (outcome.doubtful, "doubtful link", "identity", "duplicates"),
        (outcome.conflicts, "conflict", "conflicts", "list"),
    ):
        if count:
            waits = f"{what} waits" if count == 1 else f"{what}s wait"
            session.output.say(f"{count:,} {waits} for a person: {session.command(*command)}")


def _plan_code(outcome: Outcome, operations: int, *, detailed: bool) -> int:
    if outcome.failed:
        return outcome.exit_code if outcome.limit is None else _failure(outcome)
    if not detailed:
        return 0
    if outcome.limit is not None:
        return outcome.limit.exit_code
    return 4 if operations else 0


def _failure(outcome: Outcome) -> int:
    from crmbridge.sdk.errors import AuthError, LimitError

    for kind in (LimitError, AuthError):
        if any(isinstance(error, kind) for error in outcome.failed.values()):
            return kind.exit_code
    return 1


def report_run(
    session: Session, command: str, outcome: Outcome, watch: Watch, *, plan: Path | None, most: int = 20
) -> int:
    """Print how a run ended; returns the exit code."""
    saved = plan if outcome.verdict != "done" and plan is not None and plan.exists() else None
    apply = _apply_command(session, saved, outcome) if saved else None
    if saved is not None:
        from crmbridge.engine.planfile import load_plan

        operations = load_plan(saved)
        show_plan(session.output, operations, most)
        emit_plan(session.output, operations)
    else:
        _tell_counts(session, "Read", _some(watch.counts, _READ))
        _tell_counts(session, "Written", _some(watch.counts, _WRITTEN))
        _tell_counts(session, "Not written", _some(watch.counts, _LEFT))
    kinds = _emit_notes(session, watch)
    known = {"run": watch.run, "counts": watch.counts, "plan": str(saved) if saved else None}
    summary = _summary(command, outcome, outcome.exit_code)
    session.output.emit(summary.model_copy(update={**known, "command_to_apply": apply}))
    _tell_conflicts(session, outcome)
    _tell_stale(session, outcome)
    _tell_failed(session, outcome)
    _tell_end(session, outcome, apply, differ=any(kinds[kind] for kind in DIFFERENT))
    return outcome.exit_code


def _apply_command(session: Session, saved: Path, outcome: Outcome) -> str:
    try:
        saved = saved.relative_to(Path.cwd())
    except ValueError:
        saved = saved.resolve()
    return session.command("apply", str(saved), *_allowing(outcome))


def _some(counts: dict[str, int], wanted: Sequence[str]) -> dict[str, int]:
    return {key: n for key, n in counts.items() if key.rpartition("/")[2] in wanted}


def _tell_counts(session: Session, title: str, counts: dict[str, int]) -> None:
    if counts and not session.output.quiet:
        rows = [(*key.split("/", 2), f"{count:,}") for key, count in counts.items()]
        session.output.print(session.output.table(("System", "Entity", title, "#Count"), rows))


def _emit_notes(session: Session, watch: Watch) -> Counter[str]:
    """Tell what was found; returns how many of each kind."""
    if watch.run is None:
        return Counter()
    rows = session.bridge().store.notes(watch.run, None, NOTES)
    for row in rows if session.output.json else ():
        session.output.emit(
            NoteMessage(
                run=row.run,
                kind=row.kind,
                system=row.system,
                entity=row.entity,
                golden_id=row.golden_id,
                path=row.path,
                text=row.text,
            )
        )
    kinds = Counter(row.kind for row in rows)
    _tell_findings(session, Counter({k: n for k, n in kinds.items() if k not in _QUIET_NOTES}), watch.run)
    _tell_loud(session, [row for row in rows if row.kind in _LOUD_NOTES])
    return kinds


def _tell_loud(session: Session, rows: Sequence[NoteRow]) -> None:
    """What somebody may have meant otherwise: told even where little is to be said."""
    if rows:
        session.output.warn(f"Please look at {len(rows):,} of these:")
        for row in rows[:LOUD]:
            where = f"{row.system} {row.path}: " if row.path else ""
            session.output.say_always(f"  {row.kind}: {where}{row.text}")
        if len(rows) > LOUD:
            session.output.say_always(f"  and {len(rows) - LOUD:,} more")


def _tell_findings(session: Session, kinds: Counter[str], run: int | None = None) -> None:
    if kinds:
        found = ", ".join(finding(kind, count) for kind, count in sorted(kinds.items()))
        where = f" (see {session.command('runs', 'show', str(run))})" if run else ""
        session.output.say(f"Found: {found}{where}")


def _tell_conflicts(session: Session, outcome: Outcome) -> None:
    """What was said differently without knowledge of each other, and was not told before."""
    lost, undecided = outcome.summary.lost, outcome.summary.undecided
    if lost:
        what = "conflict was" if lost == 1 else "conflicts were"
        listed = session.command("conflicts", "list", "--all")
        session.output.say(f"{lost:,} {what} decided by a rule, so that a value lost: {listed}")
    if undecided:
        what = "conflict waits" if undecided == 1 else "conflicts wait"
        listed = session.command("conflicts", "list")
        session.output.say(f"{undecided:,} {what} for a person who decides: {listed}")


def _tell_stale(session: Session, outcome: Outcome) -> None:
    if outcome.stale_count:
        session.output.warn(
            f"{outcome.stale_count:,} operations of the plan are no longer true and were left out"
        )
        for line in outcome.stale[:LOUD]:
            session.output.say(f"  {line}")
        if outcome.stale_count > LOUD:
            session.output.say(f"  and {outcome.stale_count - LOUD:,} more")


def _tell_failed(session: Session, outcome: Outcome) -> None:
    from crmbridge.sdk.errors import CrmbridgeError, LimitError

    for system, error in outcome.failed.items():
        hint = error.hint if isinstance(error, CrmbridgeError) else None
        text = error.message if isinstance(error, CrmbridgeError) else str(error)
        how = "was stopped for safety" if isinstance(error, LimitError) else "dropped out"
        session.output.warn(f"{system} {how}: {text}", hint)


def _tell_end(session: Session, outcome: Outcome, apply: str | None, *, differ: bool) -> None:
    output = session.output
    paused = _tell_paused(session)
    shadows = _tell_shadows(session, outcome)
    if outcome.limit is not None:
        output.error(outcome.limit)
    elif outcome.verdict == "approval":
        output.print(output.text("Nothing was written yet; please look at the plan first:", "bold"))
        for reason in outcome.reasons:
            output.print(f"  {reason}")
    elif differ and not outcome.failed and not outcome.open_problems:
        output.say("Done; what the systems do not agree on is named above.")
    elif not outcome.failed and not outcome.open_problems and not _asks(outcome):
        output.say("The others agree." if paused or shadows else "All systems agree.")
    elif not outcome.failed and not outcome.open_problems:
        rest = ", but for what a person has to decide" if outcome.conflicts else ""
        output.say(f"Done; all that is linked agrees{rest}.")
    _tell_waiting(session, outcome)
    if apply is not None:
        output.print(f"To write it: {apply}")
    _tell_open(session, outcome)


def _tell_open(session: Session, outcome: Outcome) -> None:
    """What is left open, each with the command that shows it."""
    letters, retry = session.command("dead-letters", "list"), session.command("retry")
    uncertain = session.command("uncertain", "list")
    hints = f"{letters} shows why, {retry} tries again", f"{uncertain} shows what may have come of it", None
    for what, hint in zip(_open_now(outcome), hints, strict=True):
        if what:
            session.output.warn(f"open: {what}", hint)
    for one in _waiting(outcome)[:10]:
        session.output.say(f"  {one}")


def _open_now(outcome: Outcome) -> list[str]:
    """Dead letters, uncertain operations, and what waits for another record; "" where there is none."""
    waiting = outcome.open_problems - outcome.open_letters - outcome.uncertain
    return [
        counted(count, one, more) if count else ""
        for count, one, more in (
            (outcome.open_letters, "dead letter", "dead letters"),
            (outcome.uncertain, "operation of unknown outcome", "operations of unknown outcome"),
            (waiting, "record that waits for another", "records that wait for others"),
        )
    ]


def _tell_paused(session: Session) -> list[str]:
    """The systems that are left alone."""
    paused = [row.name for row in session.bridge().store.systems() if row.paused]
    if paused:
        session.output.say(f"Left alone, since paused: {', '.join(paused)}")
    return paused


def _asks(outcome: Outcome) -> bool:
    """Whether anything waits for a person."""
    return bool(outcome.duplicates or outcome.doubtful or outcome.conflicts)


def _tell_shadows(session: Session, outcome: Outcome) -> list[str]:
    """The systems in shadow for which something is planned."""
    planned: Counter[str] = Counter()
    for (system, _, _), count in outcome.summary.operations.items():
        if session.bridge().config.systems[system].mode == "shadow":
            planned[system] += count
    for system, count in planned.items():
        look = session.command("systems", "agreement", system)
        session.output.say(f"{system} is in shadow, so {count:,} operations were not sent: {look}")
    return list(planned)


def _waiting(outcome: Outcome) -> list[str]:
    from crmbridge.cli.values import instant

    return [
        f"{one.entity} {one.golden_id} waits for {one.system} since {instant(one.since)}: {one.detail}"
        for one in outcome.waiting
    ]


def _summary(command: str, outcome: Outcome, code: int) -> SummaryMessage:
    return SummaryMessage(
        command=command,
        exit_code=code,
        verdict=outcome.verdict,
        planned={"/".join(key): count for key, count in sorted(outcome.summary.operations.items())},
        reasons=outcome.reasons,
        stale=outcome.stale,
        stale_count=outcome.stale_count,
        failed={name: str(error) for name, error in outcome.failed.items()},
        open_problems=outcome.open_problems,
        lost=outcome.summary.lost,
        undecided=outcome.summary.undecided,
        duplicates=outcome.duplicates,
        conflicts=outcome.conflicts,
        doubtful_links=outcome.doubtful,
        waiting=_waiting(outcome),
    )
