"""systems: what the config and the state know, and what settles a difference between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from crmbridge.cli.session import Session
from crmbridge.cli.values import value

if TYPE_CHECKING:
    from crmbridge.cli.messages.systems import SystemMessage
    from crmbridge.engine.agreement import Agreement, Verdict

__all__ = ["register"]

systems = typer.Typer(help="The systems, and settling what changed about them.", no_args_is_help=True)
NAME = typer.Argument(metavar="SYSTEM", help="Its name in the config or in the state.")
_VERDICTS: dict[Verdict, str] = {
    "fill": "filled",
    "change": "changed",
    "clear": "emptied",
    "wins": "wins",
    "waits": "waits",
}
_COLUMNS = ("Field", "#Compared", "#Agree", *(f"#{title.capitalize()}" for title in _VERDICTS.values()))
YES = typer.Option(False, "--yes", "-y", help="Do not ask.")


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(systems, name="systems")


@systems.command("list")
def list_(ctx: typer.Context) -> None:
    """List the systems of the config and those that the state has links of."""
    from crmbridge.cli.values import local

    session: Session = ctx.obj
    output = session.output
    rows = []
    seen = {row.name: local(row.last_success, session.zone()) for row in session.bridge().store.systems()}
    for one in _all(session):
        output.emit(one)
        state = "paused" if one.paused else one.mode if one.in_config else "not in the config"
        rows.append((one.name, one.connector, state, seen.get(one.name) or "never", one.fingerprint))
    output.print(output.table(("System", "Connector", "Mode", "Last success", "Instance"), rows))


def _emit(session: Session, name: str) -> None:
    """The system as it is now."""
    for one in _all(session):
        if one.name == name:
            session.output.emit(one)


def _all(session: Session) -> Iterator[SystemMessage]:
    from crmbridge.cli.messages.systems import SystemMessage
    from crmbridge.cli.values import instant

    bridge = session.bridge()
    known = {row.name: row for row in bridge.store.systems()}
    for name in [*bridge.config.systems, *(known.keys() - bridge.config.systems.keys())]:
        settings, row = bridge.config.systems.get(name), known.get(name)
        yield SystemMessage(
            name=name,
            connector=settings.connector if settings else row.connector if row else "",
            mode=settings.mode if settings else "",
            paused=row.paused if row else False,
            fingerprint=row.fingerprint if row else "",
            last_success=instant(row.last_success) if row else None,
            in_config=settings is not None,
        )


@systems.command()
def agreement(
    ctx: typer.Context,
    name: str = NAME,
    entity: str | None = typer.Option(None, "--entity", metavar="TYPE", help="Only this canonical type."),
) -> None:
    """Show field by field how far a system agrees with the others: before it goes live. As of the last sync;
    nothing is read or written."""
    from crmbridge.bridge.agreement import agreement_of

    session: Session = ctx.obj
    output = session.output
    for found in agreement_of(session.bridge(), name, entity):
        _emit_agreement(session, name, found)
        output.print(output.text(f"{found.entity} in {name}", "bold"))
        output.print(
            f"{found.linked:,} records that another system has too, {found.only_here:,} only here, "
            f"{found.create:,} to be created"
        )
        if found.fields:
            output.print(output.table(_COLUMNS, [_cells(found, field) for field in found.fields]))
        for (field, verdict), one in found.examples.items():
            here, there = value(one.here), value(one.elsewhere)
            output.print(f"  {field}, {_VERDICTS[verdict]}: {one.native_id} has {here}, against {there}")


def _cells(found: Agreement, field: str) -> tuple[str, ...]:
    counts = found.fields[field]
    share = f"{found.agrees(field):.1%}"
    return field, f"{sum(counts.values()):,}", share, *(f"{counts.get(v, 0):,}" for v in _VERDICTS)


def _emit_agreement(session: Session, system: str, found: Agreement) -> None:
    from crmbridge.cli.messages.systems import AgreementMessage

    about: dict[str, Any] = {"system": system, "entity": found.entity}
    whole: dict[str, Any] = {"compared": found.linked, "only_here": found.only_here, "create": found.create}
    session.output.emit(AgreementMessage(**about, **whole))
    for field, counts in found.fields.items():
        examples: dict[str, Any] = {
            verdict: [one.native_id, one.here, one.elsewhere]
            for (name, verdict), one in found.examples.items()
            if name == field
        }
        known: dict[str, Any] = dict(counts.items())
        compared = sum(counts.values())
        session.output.emit(
            AgreementMessage(**about, field=field, compared=compared, examples=examples, **known)
        )


@systems.command()
def rename(
    ctx: typer.Context,
    old: str = typer.Argument(metavar="OLD", help="The name in the state."),
    new: str = typer.Argument(metavar="NEW", help="The name in the config."),
) -> None:
    """The config calls a system otherwise: keep its links under the new name."""
    from crmbridge.bridge import upkeep

    session: Session = ctx.obj
    upkeep.rename_system(session.bridge(), old, new)
    session.output.say(f"What was known of {old} is known of {new} now.")


@systems.command()
def remove(ctx: typer.Context, name: str = NAME, yes: bool = YES) -> None:
    """Forget a system and its links. Nothing changes in the system itself."""
    from crmbridge.bridge import upkeep

    session: Session = ctx.obj
    _confirm(session, f"Forget all links of {name}? Its values leave the golden records.", yes)
    upkeep.remove_system(session.bridge(), name)
    session.output.say(f"{name} is forgotten.")
    if name in session.bridge().config.systems:
        session.output.say("The config still names it: the next sync meets it for the first time.")


@systems.command()
def rebind(ctx: typer.Context, name: str = NAME, yes: bool = YES) -> None:
    """The system really moved: accept the other instance. The next sync reads it in full and shows a plan."""
    from crmbridge.bridge import upkeep

    session: Session = ctx.obj
    question = f"Is {name} meant to be another instance than before, with the same records in it?"
    _confirm(session, question, yes)
    mark = upkeep.rebind_system(session.bridge(), name)
    session.output.say(f"{name} is {mark or 'accepted'} from now on.")


@systems.command()
def recover(
    ctx: typer.Context,
    name: str | None = typer.Argument(
        None, metavar="SYSTEM", help="The system that was set back to a backup; without: the state was."
    ),
    yes: bool = YES,
) -> None:
    """After a backup was restored, of the state or of a system: read in full, match, and write nothing
    before a plan was applied. What a system lost is no delete, and its old values are no edits."""
    from crmbridge.bridge import upkeep

    session: Session = ctx.obj
    what = f"Was {name}" if name else "Was the state of crmbridge"
    _confirm(session, f"{what} set back to an older backup?", yes)
    upkeep.recover(session.bridge(), name)
    told = f"What {name} lost is created there again" if name else "What was created since is found"
    session.output.say(f"{told} once a plan was applied: look at it with {session.command('plan')}.")


@systems.command()
def pause(ctx: typer.Context, name: str = NAME) -> None:
    """Leave a system alone: it is neither read nor written until it is resumed."""
    from crmbridge.bridge import upkeep

    session: Session = ctx.obj
    upkeep.pause_system(session.bridge(), name, paused=True)
    _emit(session, name)
    session.output.say(f"{name} is paused; {session.command('systems', 'resume', name)} takes it up again.")


@systems.command()
def resume(ctx: typer.Context, name: str = NAME) -> None:
    """Take a paused system up again."""
    from crmbridge.bridge import upkeep

    session: Session = ctx.obj
    upkeep.pause_system(session.bridge(), name, paused=False)
    _emit(session, name)
    session.output.say(f"{name} takes part again.")


def _confirm(session: Session, question: str, yes: bool) -> None:
    if not yes:
        with session.output.asking():
            typer.confirm(question, abort=True, err=True)
