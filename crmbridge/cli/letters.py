"""dead-letters and retry: what was given up on, and trying it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from crmbridge.cli.retrying import retry as try_again
from crmbridge.cli.session import Session
from crmbridge.cli.sync import ALLOW

if TYPE_CHECKING:
    from crmbridge.store.rows import DeadLetterRow

__all__ = ["register"]

letters = typer.Typer(
    help="Records and operations that were given up on: kept whole, and replayable.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(letters, name="dead-letters")
    app.command()(retry)


def retry(ctx: typer.Context, allow: list[str] = ALLOW) -> None:
    """Sync, and try everything again that was given up on, waits for a parent, or has an unknown outcome."""
    raise typer.Exit(try_again(ctx.obj, "retry", None, allow))


IDS = typer.Argument(metavar="ID", help="The ids that `dead-letters list` shows.")


@letters.command("list")
def list_(
    ctx: typer.Context,
    system: str | None = typer.Option(None, "--system", metavar="SYSTEM", help="Only of this system."),
    every: bool = typer.Option(False, "--all", help="Also those that were replayed or dropped."),
) -> None:
    """List dead letters."""
    from crmbridge.config import meant
    from crmbridge.sdk.errors import ConfigError

    session: Session = ctx.obj
    output = session.output
    bridge = session.bridge()
    if system is not None:
        known = sorted({*bridge.config.systems, *(row.name for row in bridge.store.systems())})
        if system not in known:
            raise ConfigError(f"--system: there is no system {system!r}", hint=meant(system, known))
    rows = bridge.store.dead_letters(None if every else "open", system)
    for row in rows:
        output.emit(_message(row))
    if not rows:
        output.print("There are no dead letters.")
        return
    columns = ("#Id", "Kind", "Record", "Error", "#Tried", "Last", *(("Status",) if every else ()))
    alike: dict[tuple[str, ...], list[DeadLetterRow]] = {}
    for row in rows:
        alike.setdefault((row.kind, row.system, row.stream, row.error, row.status), []).append(row)
    output.print(output.table(columns, [_cells(session, some, with_status=every) for some in alike.values()]))
    output.say(
        f"{session.command('dead-letters', 'show', 'ID')} shows one whole. Mend the cause, in the system "
        f"or in the mapping: the next sync settles what it reads again, {session.command('retry')} "
        f"tries all of them now, {session.command('dead-letters', 'drop', 'ID')} gives one up for good."
    )


@letters.command()
def show(ctx: typer.Context, letter: int = typer.Argument(metavar="ID", help="Its id.")) -> None:
    """Show one dead letter whole: the error and the raw payload."""
    import json

    from crmbridge.cli.values import local, parsed

    session: Session = ctx.obj
    output = session.output
    row = _letter(session, letter)
    output.emit(_message(row, raw=parsed(row.raw)))
    output.print(output.text(f"Dead letter {row.id}: {row.kind} {_place(row)} ({row.status})", "bold"))
    output.print(
        f"first {local(row.first_at, session.zone())}, last {local(row.last_at, session.zone())}, "
        f"{row.attempts} attempts, run {row.run}"
    )
    output.print(output.text(f"\n{row.error}\n", "red"))
    output.print(json.dumps(parsed(row.raw), indent=2, ensure_ascii=False))
    output.say(
        f"\nOnce the cause is gone: {session.command('dead-letters', 'replay', str(row.id))}\n"
        f"To give it up for good: {session.command('dead-letters', 'drop', str(row.id))}"
    )


@letters.command()
def replay(ctx: typer.Context, ids: list[int] = IDS, allow: list[str] = ALLOW) -> None:
    """Sync, and try these again: records are read and mapped anew, operations are planned anew."""
    session: Session = ctx.obj
    for letter in ids:
        _open_letter(session, letter)
    raise typer.Exit(try_again(session, "dead-letters replay", ids, allow))


@letters.command()
def drop(ctx: typer.Context, ids: list[int] = IDS) -> None:
    """Give dead letters up for good; a record that fails again once it has changed gets a new one."""
    session: Session = ctx.obj
    for letter in ids:
        _open_letter(session, letter)
    session.bridge().drop_letters(ids)
    for letter in ids:
        session.output.emit(_message(_letter(session, letter)))
    session.output.say(f"Dropped {len(ids)}.")


def _letter(session: Session, letter: int) -> DeadLetterRow:
    from crmbridge.sdk.errors import ConfigError

    row = session.bridge().store.dead_letter(letter)
    if row is None:
        raise ConfigError(f"there is no dead letter {letter}", hint=session.command("dead-letters", "list"))
    return row


def _open_letter(session: Session, letter: int) -> None:
    """Raises ConfigError for one that was settled: there is nothing left to replay or to drop."""
    from crmbridge.sdk.errors import ConfigError

    status = _letter(session, letter).status
    if status != "open":
        text = f"dead letter {letter} is not open: it was {status}"
        raise ConfigError(text, hint=f"{session.command('dead-letters', 'list')} shows those that are")


def _place(row: DeadLetterRow) -> str:
    return "/".join((row.system, row.stream, row.native_id))


def _cells(session: Session, rows: Sequence[DeadLetterRow], *, with_status: bool) -> list[Any]:
    """One line for letters of one error."""
    from crmbridge.cli.values import local

    row, last = rows[0], local(max(one.last_at for one in rows), session.zone())
    more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
    ids = ", ".join(str(one.id) for one in rows[:3]) + (" …" if len(rows) > 3 else "")
    cells = [ids, row.kind, _place(row) + more, row.error, max(one.attempts for one in rows), last]
    return [*cells, row.status] if with_status else cells


def _message(row: DeadLetterRow, raw: Any = None) -> Any:
    from crmbridge.cli.messages.runs import DeadLetterMessage
    from crmbridge.cli.values import instant

    return DeadLetterMessage(
        id=row.id,
        kind=row.kind,
        status=row.status,
        system=row.system,
        stream=row.stream,
        native_id=row.native_id,
        entity=row.entity,
        error=row.error,
        attempts=row.attempts,
        first_at=instant(row.first_at) or "",
        last_at=instant(row.last_at) or "",
        raw=raw,
    )
