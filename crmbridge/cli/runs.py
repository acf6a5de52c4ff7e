"""runs: what happened, and undoing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from crmbridge.cli.records import tell_events
from crmbridge.cli.session import Session
from crmbridge.cli.sync import SHOW

if TYPE_CHECKING:
    from crmbridge.store.rows import RunRow, WriteRow

__all__ = ["register"]

runs = typer.Typer(help="What runs did, and undoing it.", no_args_is_help=True)
CHUNK = 1000
NEW = "(new record)"
NOTES = 100_000
"""How many notes and conflicts of one run are shown at most."""
LATEST = 2**62
"""No time is later."""
LONG_AGO = 1_000_000
"""A run is looked for among this many of the latest."""


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(runs, name="runs")


RUN = typer.Argument(metavar="ID", help="The run's id, as `runs list` shows it.")


@runs.command("list")
def list_(
    ctx: typer.Context,
    number: int = typer.Option(20, "--last", "-n", metavar="N", min=1, help="How many, the latest first."),
) -> None:
    """List runs, the latest first."""
    session: Session = ctx.obj
    output = session.output
    rows = session.bridge(tolerant=True).store.runs(number)
    for row in rows:
        output.emit(_message(session, row))
    if not rows:
        output.print("There were no runs yet.")
        return
    output.print(
        output.table(
            ("#Run", "Command", "Began", "Took", "Ended with", "Written"),
            [_cells(session, row) for row in rows],
        )
    )
    last = max((row.id for row in rows if _is_forgotten(session, row.id)), default=None)
    if last is not None:
        output.print(f"What the runs up to {last} wrote and found is forgotten (keep: details_days).")


@runs.command()
def show(
    ctx: typer.Context,
    run: int = RUN,
    number: int = typer.Option(50, "--show", metavar="N", min=0, help="Lines of each kind; 0: all."),
) -> None:
    """Show what one run read, wrote and found, and what people had said before it (`links`, `uncertain`,
    `conflicts`)."""
    session: Session = ctx.obj
    output = session.output
    row = _run(session, run)
    output.emit(_message(session, row))
    output.print(
        output.table(("#Run", "Command", "Began", "Took", "Ended with", "Written"), [_cells(session, row)])
    )
    rows = [(*key.split("/", 2), f"{count:,}") for key, count in _counts(row).items()]
    if rows:
        output.print(output.table(("System", "Entity", "What", "#Count"), rows))
    if _is_forgotten(session, run):
        output.print("What it wrote and found is forgotten (keep: details_days): it cannot be undone.")
        return
    _show_writes(session, run, number or LONG_AGO)
    _show_conflicts(session, run, number or LONG_AGO)
    _show_notes(session, run, number or LONG_AGO)
    _show_words(session, row)
    if next(_writes(session, run), None) is not None:
        output.say(f"To undo it: {session.command('runs', 'undo', str(run))}")


@runs.command()
def undo(
    ctx: typer.Context,
    run: int = RUN,
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="FILE", help="Where the plan is saved: crmbridge-undo-ID.jsonl."
    ),
    number: int = SHOW,
) -> None:
    """Plan back the values that a run wrote over. Nothing is written: look at the plan, then apply it.

    Each record gets the value back that it held before, in that system alone, unless somebody has changed it
    since. It is left with it until somebody changes that field, there or elsewhere.
    """
    from crmbridge.cli.report import report_plan

    session: Session = ctx.obj
    output = session.output
    _run(session, run)
    out = out or Path(f"crmbridge-undo-{run}.jsonl")
    with session.running() as bridge:
        outcome, saved, undone = bridge.plan_undo(run, out)
    code = report_plan(session, outcome, saved, out=out, most=number, detailed=False)
    output.say(f"{undone.values:,} values of {undone.goldens:,} golden records would be as before the run.")
    for reason, count in sorted(undone.left.items()):
        output.say(f"Not undone: {count:,} values {reason}.")
    raise typer.Exit(code)


def _run(session: Session, run: int) -> RunRow:
    from crmbridge.sdk.errors import ConfigError

    found = next((row for row in session.bridge(tolerant=True).store.runs(LONG_AGO) if row.id == run), None)
    if found is None:
        old = _is_forgotten(session, run)
        text = f"run {run} is no longer listed (keep: runs_days)" if old else f"there is no run {run}"
        raise ConfigError(text, hint=session.command("runs", "list"))
    return found


def _is_forgotten(session: Session, run: int) -> bool:
    from crmbridge.engine.prune import forgotten

    return 0 < run <= forgotten(session.bridge().store)


def _show_words(session: Session, run: RunRow) -> None:
    """What people said before a run, which it went by; at the last run, too, what waits for the next one."""
    from crmbridge.engine.linking import BY_PEOPLE
    from crmbridge.engine.steward import DECIDED, WITHDRAWN

    store = session.bridge().store
    rows = store.runs(LONG_AGO)
    before = max((row.started_at for row in rows if row.id < run.id), default=0)
    events = (*BY_PEOPLE, DECIDED, WITHDRAWN)
    tell_events(
        session,
        "What people said between the run before and this one",
        store.journalled(events, before, run.started_at),
    )
    if run.id == rows[0].id:
        since = store.journalled(events, run.started_at, LATEST)
        tell_events(session, "What people said since; the next run goes by it", since)


def _writes(session: Session, run: int) -> Iterator[WriteRow]:
    after = (-1, 0)
    while rows := session.bridge().store.writes(run, after, CHUNK):
        after = (rows[-1].record_id, rows[-1].id)
        yield from rows


def _show_writes(session: Session, run: int, number: int) -> None:
    from crmbridge.cli.messages.runs import WriteMessage
    from crmbridge.cli.values import parsed

    shown: dict[tuple[str, ...], list[tuple[str, Any, Any]]] = {}
    last, total = None, 0
    for row in _writes(session, run):
        before, after, created = parsed(row.before), parsed(row.after), not row.record_id
        session.output.emit(
            WriteMessage(
                run=run,
                system=row.system,
                golden_id=row.golden_id,
                created=created,
                path=row.path,
                before=None if before == "unset" else before,
                after=after,
            )
        )
        name, _, rest = row.path.partition("/")
        element, _, inner = rest.partition("/")
        key = (row.system, row.golden_id, name, element, row.intent)
        total += key != last
        last = key
        if total <= number:
            old = NEW if created else None if before == "unset" else before
            shown.setdefault(key, []).append((inner, old, after))
    lines = [(*key[:3], *_step(parts)) for key, parts in shown.items()]
    _table(session, "Written", ("System", "Golden record", "Field", "Before", "After"), lines, total)


def _step(parts: Sequence[tuple[str, Any, Any]]) -> tuple[str, str]:
    """Before and after of one field, or of all parts of one element of a list together."""
    from crmbridge.cli.values import value

    inner = [part for part in parts if part[0]]
    if not inner:
        _, old, new = parts[0]
        return (old if old == NEW else value(old)), value(new)
    before = {name: old for name, old, _ in inner if old not in (None, NEW)}
    old_text = NEW if any(old == NEW for _, old, _ in inner) else value(before or None)
    return old_text, value({name: new for name, _, new in inner})


def _show_conflicts(session: Session, run: int, number: int) -> None:
    from crmbridge.cli.conflicts import conflict_message
    from crmbridge.cli.values import parsed, value

    rows = session.bridge().store.conflicts(None, run, NOTES)
    shown, asked = [], []
    for row in rows:
        winner, losers = parsed(row.winner), parsed(row.losers)
        session.output.emit(conflict_message(row))
        lost = "; ".join(f"{value(said)} ({system})" for system, said, *_ in losers)
        rule = row.rule + (", too close to call" if row.too_close else "")
        won = f"{value(winner[1])} ({winner[0]})"
        if row.undecided:
            asked.append((row.golden_id, row.path, f"{won}; {lost}"))
        else:
            shown.append((row.golden_id, row.path, won, lost, rule))
    where = ("Golden record", "Field")
    _table(session, "Conflicts", (*where, "Won", "Lost", "Rule"), shown[:number], len(shown))
    _table(session, "Conflicts for a person to decide", (*where, "Said"), asked[:number], len(asked))


def _show_notes(session: Session, run: int, number: int) -> None:
    from crmbridge.cli.messages.runs import NoteMessage

    rows = session.bridge().store.notes(run, None, NOTES)
    for row in rows:
        session.output.emit(
            NoteMessage(
                run=run,
                kind=row.kind,
                system=row.system,
                entity=row.entity,
                golden_id=row.golden_id,
                path=row.path,
                text=row.text,
            )
        )
    shown = [(row.kind, row.system, row.golden_id, row.path, row.text) for row in rows[:number]]
    _table(session, "Found", ("What", "System", "Golden record", "Field", "Text"), shown, len(rows))


def _table(session: Session, title: str, columns: tuple[str, ...], rows: list[Any], total: int) -> None:
    if rows:
        session.output.print(session.output.table(columns, rows, title=f"{title}: {total:,}"))
        if total > len(rows):
            session.output.print(f"  and {total - len(rows):,} more (--show 0 shows all)")


def _counts(row: RunRow) -> dict[str, int]:
    from crmbridge.cli.values import parsed

    found = parsed(row.counts)
    return found if isinstance(found, dict) else {}


def _cells(session: Session, row: RunRow) -> list[Any]:
    from crmbridge.cli.values import local

    took = f"{(row.ended_at - row.started_at) / 1e6:,.1f} s" if row.ended_at else ""
    ended = "did not end" if row.exit_code is None else str(row.exit_code)
    past = ("created", "updated", "archived", "deleted", "moved on")
    written = sum(count for key, count in _counts(row).items() if key.rpartition("/")[2] in past)
    return [row.id, row.command, local(row.started_at, session.zone()), took, ended, f"{written:,}"]


def _message(session: Session, row: RunRow) -> Any:
    from crmbridge.cli.messages.runs import RunMessage
    from crmbridge.cli.values import instant

    return RunMessage(
        id=row.id,
        command=row.command,
        started_at=instant(row.started_at) or "",
        ended_at=instant(row.ended_at),
        exit_code=row.exit_code,
        counts=_counts(row),
        forgotten=_is_forgotten(session, row.id),
    )
