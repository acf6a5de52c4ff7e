"""conflicts: what systems say differently, and a person's decision about it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import typer

from crmbridge.cli.session import Session

if TYPE_CHECKING:
    from crmbridge.cli.messages.runs import ConflictMessage
    from crmbridge.engine.steward import Ruling
    from crmbridge.store.rows import ConflictRow

__all__ = ["conflict_message", "register"]

conflicts = typer.Typer(help="What systems say differently, and deciding it.", no_args_is_help=True)
MOST = 100_000
"""So many are listed at most."""
ID = typer.Argument(metavar="ID", help="Its id, as `conflicts list` shows it.")
WHY = typer.Option(..., "--why", metavar="TEXT", prompt="Why", help="The reason, for whoever asks later.")
BY = typer.Option(
    None, "--by", metavar="NAME", help="Who says so; otherwise the name you are logged in with."
)


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(conflicts, name="conflicts")


@conflicts.command("list")
def list_(
    ctx: typer.Context,
    every: bool = typer.Option(False, "--all", help="Also those that a rule or a person has decided."),
) -> None:
    """List the conflicts that wait for a person: those of fields with `survivorship: manual`."""
    from crmbridge.engine.steward import waiting

    session: Session = ctx.obj
    output, store = session.output, session.bridge().store
    rows = store.conflicts(None, None, MOST) if every else waiting(session.bridge().looking())
    for row in rows:
        output.emit(conflict_message(row))
    if not rows:
        output.print("There was no conflict." if every else "No conflict waits for a person.")
        if not every and store.conflicts(None, None, 1):
            output.say(f"Those that a rule decided: {session.command('conflicts', 'list', '--all')}")
        return
    columns = ("#Id", "Record", "Field", "Values", "Rule")
    output.print(output.table(columns, [_cells(session, row) for row in rows]))
    output.say(f"{session.command('conflicts', 'decide', 'ID', '--take', 'SYSTEM')} decides one.")


@conflicts.command()
def show(ctx: typer.Context, conflict: int = ID) -> None:
    """Show one conflict: who said what and when, and what stands now and why."""
    from crmbridge.cli.records import tell_field
    from crmbridge.engine.steward import conflict as find

    session: Session = ctx.obj
    row = find(session.bridge().looking(), conflict)
    session.output.emit(conflict_message(row))
    _, name, field, _, rule = _cells(session, row)
    session.output.print(session.output.text(f"Conflict {row.id}: {field} of {name} ({rule})", "bold"))
    for system, value, when in _said(session, row):
        session.output.print(f"  {system}: {value}, {when}")
    tell_field(session, row.golden_id, row.path)


@conflicts.command()
def decide(  # noqa: PLR0913 - one for each option
    ctx: typer.Context,
    conflict: int = ID,
    value: str | None = typer.Argument(None, metavar="VALUE", help="The value; JSON for amounts."),
    *,
    take: str | None = typer.Option(
        None, "--take", metavar="SYSTEM", help="The value that this system said."
    ),
    clear: bool = typer.Option(False, "--clear", help="The field shall be empty."),
    why: str = WHY,
    by: str | None = BY,
) -> None:
    """Say which value it shall be: it travels to all systems with the next sync, until it is withdrawn."""
    from crmbridge.cli.messages.runs import DecisionMessage
    from crmbridge.engine.steward import Ruling
    from crmbridge.sdk.errors import ConfigError

    session: Session = ctx.obj
    if (value is not None) + (take is not None) + clear != 1:
        raise ConfigError("which value shall it be?", hint="give one of VALUE, --take SYSTEM and --clear")
    ruling = Ruling(conflict, by or getpass.getuser(), why, value, take, clear)
    row, decided = session.bridge().decide(ruling)
    session.output.emit(DecisionMessage(**_named(row, ruling), value=decided))
    session.output.say(
        f"{_field(session, row)} shall be {_shown(row, decided)}: "
        f"{session.command('sync')} brings it to the systems, "
        f"{session.command('conflicts', 'withdraw', str(row.id))} takes it back."
    )


@conflicts.command()
def withdraw(ctx: typer.Context, conflict: int = ID, why: str = WHY, by: str | None = BY) -> None:
    """Take a decision back: the field is decided by its rule again."""
    from crmbridge.cli.messages.runs import DecisionMessage
    from crmbridge.engine.steward import Ruling

    session: Session = ctx.obj
    ruling = Ruling(conflict, by or getpass.getuser(), why)
    row = session.bridge().withdraw(ruling)
    session.output.emit(DecisionMessage(**_named(row, ruling), withdrawn=True))
    session.output.say(f"What was decided about {_field(session, row)} is withdrawn.")


def conflict_message(row: ConflictRow) -> ConflictMessage:
    """A recorded conflict as a line of JSON."""
    from crmbridge.cli.messages.runs import ConflictMessage
    from crmbridge.cli.values import parsed

    return ConflictMessage(
        id=row.id,
        run=row.run,
        entity=row.entity,
        golden_id=row.golden_id,
        path=row.path,
        winner=parsed(row.winner),
        losers=parsed(row.losers),
        rule=row.rule,
        too_close=row.too_close,
        undecided=row.undecided,
    )


def _named(row: ConflictRow, ruling: Ruling) -> dict[str, Any]:
    return {
        "conflict": row.id,
        "entity": row.entity,
        "golden_id": row.golden_id,
        "path": row.path,
        "by": ruling.by,
        "why": ruling.why,
    }


def _cells(session: Session, row: ConflictRow) -> tuple[int, str, str, str, str]:
    from crmbridge.engine.titles import title_of

    title = title_of(row.entity, _doc(session, row), session.bridge().entities)
    winner, *losers = (f"{value} ({system})" for system, value, _ in _said(session, row))
    said = "; ".join([winner, *losers]) if row.undecided else f"{winner} over {'; '.join(losers)}"
    rule = row.rule + (", too close to call" if row.too_close else "")
    return row.id, f"{title} {row.golden_id}".strip(), _field(session, row), said, rule


def _doc(session: Session, row: ConflictRow) -> dict[str, Any]:
    import msgspec

    golden = session.bridge().store.goldens([row.golden_id]).get(row.golden_id)
    found: dict[str, Any] = msgspec.json.decode(golden.doc) if golden else {}
    return found


def _field(session: Session, row: ConflictRow) -> str:
    """The field; of an element of a list also what is known of it, and which part of it."""
    from crmbridge.cli.values import value

    name, _, rest = row.path.partition("/")
    if not rest:
        return name
    element_id, _, inner = rest.partition("/")
    element = next((one for one in _doc(session, row).get(name) or () if one.get("id") == element_id), None)
    field = f"{name} ({value(element)})" if element else name
    return f"{field}: {inner}" if inner else field


def _shown(row: ConflictRow, said: Any) -> str:
    """A value; of an element whether it is there."""
    from crmbridge.cli.values import value

    if row.path.count("/") == 1:
        return "there" if said else "removed"
    return value(said) or "nothing"


def _said(session: Session, row: ConflictRow) -> list[tuple[str, str, str]]:
    """System, value and time of each statement."""
    from crmbridge.cli.values import local, parsed

    zone = session.zone()
    return [
        (system, _shown(row, said), local(time, zone) or "at first contact")
        for system, said, time, *_ in [parsed(row.winner), *parsed(row.losers)]
    ]
