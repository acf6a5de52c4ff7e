"""links and uncertain: who is who, and what became of creates without an answer, said by a person."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import typer

from crmbridge.cli.conflicts import BY, WHY
from crmbridge.cli.session import Session

if TYPE_CHECKING:
    from crmbridge.cli.messages.runs import UncertainMessage
    from crmbridge.engine.linking import Ruled, Word
    from crmbridge.store.rows import IntentRow, RecordRow

__all__ = ["register"]

links = typer.Typer(help="Which records are one golden record, and taking them apart.", no_args_is_help=True)
uncertain = typer.Typer(
    help="Operations whose outcome nobody knows, and settling them.", no_args_is_help=True
)

PLACE = typer.Argument(metavar="SYSTEM/STREAM/ID", help="The record, as `links list` shows it.")
SCOPE = typer.Option("", "--scope", metavar="SCOPE", help="In which company or channel of the system.")
OPERATION = typer.Argument(metavar="ID", help="The operation's id, as `uncertain list` shows it.")


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(links, name="links")
    app.add_typer(uncertain, name="uncertain")


# -- links -------------------------------------------------------------------------------------


@links.command("list")
def list_(
    ctx: typer.Context,
    id_: str = typer.Argument(metavar="ID", help="A golden id, or anything that `find` finds one record by."),
) -> None:
    """List the records of one golden record, and what happened to it."""
    from crmbridge.cli.messages.records import LinkMessage
    from crmbridge.cli.records import named
    from crmbridge.cli.values import local
    from crmbridge.views.view import golden_row

    session: Session = ctx.obj
    output, store = session.output, session.bridge().store
    golden = golden_row(store, named(session, id_))
    rows = store.records_of([golden.id]).get(golden.id, [])
    for row in rows:
        output.emit(
            LinkMessage(
                golden_id=golden.id,
                entity=row.entity,
                system=row.system,
                stream=row.stream,
                native_id=row.native_id,
                scope=row.scope,
                part=row.part,
                status=row.status,
            )
        )
    cells = [(_place(row), row.scope, row.part, row.status) for row in rows]
    output.print(output.table(("Record", "Scope", "Part", "Status"), cells, title=golden.id))
    for at, event, text in store.history(golden.id):
        output.print(output.text(f"  {local(at, session.zone())} {event}: {text}", "dim"))


@links.command()
def unlink(
    ctx: typer.Context, place: str = PLACE, scope: str = SCOPE, why: str = WHY, by: str | None = BY
) -> None:
    """Say that a record is somebody else than those it is linked with: it gets a golden record of its own.

    Values that it has from the others give way to its own, and theirs to theirs, with the next sync.
    """
    from crmbridge.engine.linking import record_at
    from crmbridge.engine.linking import unlink as take_apart

    session: Session = ctx.obj
    word = _word(by, why)
    with session.bridge().ruling("links unlink") as run:
        ruled = take_apart(run, record_at(run, place, scope), word)
    _tell(session, "links unlink", ruled, word)
    session.output.say(f"{session.command('links', 'relink', place)} takes it back.")


@links.command()
def relink(
    ctx: typer.Context, place: str = PLACE, scope: str = SCOPE, why: str = WHY, by: str | None = BY
) -> None:
    """Take back an unlink: the record is of the same golden record again."""
    from crmbridge.engine.linking import record_at
    from crmbridge.engine.linking import relink as put_together

    session: Session = ctx.obj
    word = _word(by, why)
    with session.bridge().ruling("links relink") as run:
        ruled = put_together(run, record_at(run, place, scope), word)
    _tell(session, "links relink", ruled, word)


# -- creates of unknown outcome ----------------------------------------------------------------


@uncertain.command("list")
def list_uncertain(ctx: typer.Context) -> None:
    """List the operations that were sent and of which nobody can tell what became of them."""
    from crmbridge.cli.values import local
    from crmbridge.engine.linking import uncertain as find

    session: Session = ctx.obj
    output, run = session.output, session.bridge().looking()
    rows = find(run)
    messages = [_message(session, row) for row in rows]
    for message in messages:
        output.emit(message)
    if not rows:
        output.print("No operation is uncertain.")
        return
    cells = [
        (
            one.id,
            one.kind,
            f"{one.system}/{one.stream}",
            one.label,
            local(row.updated_at, session.zone()),
            one.why,
        )
        for one, row in zip(messages, rows, strict=True)
    ]
    output.print(output.table(("Id", "What", "Where", "Record", "Since", "Why"), cells))
    output.say(
        f"{session.command('uncertain', 'adopt', 'ID', 'SYSTEM/STREAM/ID')} says which record it made, "
        f"{session.command('uncertain', 'undo', 'ID')} that it made none."
    )


@uncertain.command()
def show(ctx: typer.Context, operation: str = OPERATION) -> None:
    """Show one: what was sent, why its outcome is unknown, and which records may be it."""
    from crmbridge.cli.values import value
    from crmbridge.engine.linking import uncertain as find
    from crmbridge.engine.operations import decode
    from crmbridge.sdk.errors import ConfigError

    session: Session = ctx.obj
    output = session.output
    row = next((one for one in find(session.bridge().looking()) if one.id == operation), None)
    if row is None:
        raise ConfigError(f"there is no uncertain operation {operation!r}", hint="see uncertain list")
    message = _message(session, row)
    output.emit(message)
    output.print(output.text(f"{row.kind} {message.label} in {row.system}/{row.stream}", "bold"))
    output.print(f"  {row.reason}")
    for change in decode(row.payload).changes:
        output.print(f"  {change.path}: {value(change.new)}")
    for place in message.candidates:
        output.print(f"  may be {place}")


@uncertain.command()
def adopt(
    ctx: typer.Context, operation: str = OPERATION, place: str = PLACE, why: str = WHY, by: str | None = BY
) -> None:
    """Say which record a create made: it is linked, and what differs is planned."""
    from crmbridge.engine.linking import adopt as take
    from crmbridge.engine.linking import record_at

    session: Session = ctx.obj
    word = _word(by, why)
    with session.bridge().ruling("uncertain adopt") as run:
        ruled = take(run, operation, record_at(run, place), word)
    _tell(session, "uncertain adopt", ruled, word)
    session.output.say(f"{session.command('uncertain', 'undo', place)} takes it back.")


@uncertain.command()
def undo(
    ctx: typer.Context,
    which: str = typer.Argument(
        metavar="ID|SYSTEM/STREAM/ID", help="An uncertain operation, or a record that was taken for ours."
    ),
    why: str = WHY,
    by: str | None = BY,
) -> None:
    """Say that a create never happened, or that a record was taken for what it made wrongly.

    The record gets a golden record of its own; the next sync plans the create anew.
    """
    from crmbridge.engine.linking import undo as take_back

    session: Session = ctx.obj
    word = _word(by, why)
    with session.bridge().ruling("uncertain undo") as run:
        ruled = take_back(run, which, word)
    _tell(session, "uncertain undo", ruled, word)


# -- what is told ------------------------------------------------------------------------------


def _word(by: str | None, why: str) -> Word:
    from crmbridge.engine.linking import Word

    return Word(by or getpass.getuser(), why)


def _tell(session: Session, command: str, ruled: Ruled, word: Word) -> None:
    from crmbridge.cli.messages.runs import RulingMessage

    session.output.emit(
        RulingMessage(
            command=command,
            place=ruled.place or None,
            golden_id=ruled.golden_id,
            before=ruled.before,
            by=word.by,
            why=word.why,
        )
    )
    what = (
        f"{ruled.place} is of {ruled.golden_id} now" if ruled.place else f"{ruled.golden_id} is planned anew"
    )
    session.output.say(f"{what}; {session.command('plan')} shows what follows.")


def _message(session: Session, row: IntentRow) -> UncertainMessage:
    from crmbridge.cli.messages.runs import UncertainMessage
    from crmbridge.cli.values import instant
    from crmbridge.engine.linking import candidates
    from crmbridge.engine.operations import decode
    from crmbridge.engine.titles import titled

    run = session.bridge().looking()
    (planned,) = titled([decode(row.payload)], run.store, run.entities)
    return UncertainMessage(
        id=row.id,
        kind=row.kind,
        system=row.system,
        stream=row.stream,
        entity=row.entity,
        golden_id=row.golden_id,
        label=planned.title,
        since=instant(row.updated_at) or "",
        why=row.reason,
        candidates=[_place(one) for one in candidates(run, row)],
    )


def _place(row: RecordRow) -> str:
    return f"{row.system}/{row.stream}/{row.native_id}"
