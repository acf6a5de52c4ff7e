"""identity: who may be one, and what a person says about it."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

import typer

from crmbridge.cli.conflicts import BY
from crmbridge.cli.session import Session

if TYPE_CHECKING:
    from crmbridge.cli.messages.identity import DuplicateMessage, JudgementMessage, SidePart
    from crmbridge.engine.doubts import OpenDoubt, Side
    from crmbridge.engine.linking import Word
    from crmbridge.engine.run import Run
    from crmbridge.store.rows import JudgementRow

__all__ = ["register"]

identity = typer.Typer(
    help="Who may be one, and saying whether they are: it holds until it is taken back.", no_args_is_help=True
)
ONE = typer.Argument(metavar="A", help="A golden id, SYSTEM/STREAM/ID, or what `find` finds one record by.")
OTHER = typer.Argument(metavar="B", help="The other one, in the same way.")
JUDGEMENT = typer.Argument(metavar="ID", help="The judgement's id, as `identity judgements` lists it.")
WHY = typer.Option(None, "--why", metavar="TEXT", help="The reason, for whoever asks later.")
SHOW = typer.Option(50, "--show", metavar="N", min=0, help="Pairs shown; 0: all. JSON has all of them.")


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(identity, name="identity")


# -- what waits --------------------------------------------------------------------------------


@identity.command()
def duplicates(
    ctx: typer.Context,
    entity: str | None = typer.Option(None, "--entity", metavar="ENTITY", help="Of one canonical type."),
    system: str | None = typer.Option(
        None, "--system", metavar="SYSTEM", help="With a record of one system."
    ),
    show: int = SHOW,
) -> None:
    """List the pairs that may be one and were not joined, side by side, and links that may be wrong."""
    from crmbridge.engine.doubts import open_doubts

    session: Session = ctx.obj
    output, run = session.output, session.bridge(tolerant=True).looking()
    _check(session, entity, system)
    count = 0
    for one in open_doubts(run, entity, system):
        count += 1
        output.emit(_duplicate(one))
        if not show or count <= show:
            _show_pair(session, one)
    if not count:
        output.print("Nobody waits to be looked at as a possible duplicate.")
    elif show and count > show:
        output.print(f"\nand {count - show:,} more (--show 0 shows all)")
    _show_doubtful(session, run, entity, system)
    _show_generic(session, run, entity)
    if count:
        output.say(
            f"{session.command('identity', 'merge', 'A', 'B')} says that two are one, "
            f"{session.command('identity', 'apart', 'A', 'B')} that they are two."
        )


def _check(session: Session, entity: str | None, system: str | None) -> None:
    from crmbridge.config import meant
    from crmbridge.sdk.errors import ConfigError

    bridge = session.bridge()
    known = {row.name for row in bridge.store.systems()} | bridge.config.systems.keys()
    entities = {flow.entity for flow in bridge.flows()}
    for option, name, some in (("--entity", entity, entities), ("--system", system, known)):
        if name is not None and name not in some:
            what = option.removeprefix("--")
            raise ConfigError(f"{option}: there is no {what} {name!r}", hint=meant(name, sorted(some)))


def _show_pair(session: Session, one: OpenDoubt) -> None:
    from crmbridge.cli.values import local

    output = session.output
    shared = "; ".join(f"{kind} {value}" for kind, value in one.shared)
    sides = (one.one, one.other)
    rows = [
        (name, *cells)
        for name, *cells in (
            ("Name", *(side.name for side in sides)),
            ("Kind", *(side.kind or "" for side in sides)),
            ("Records", *("\n".join(_places(side)) for side in sides)),
        )
        if any(cells)
    ]
    output.print(output.text(f"\n{one.entity}: both have {shared}", "bold"))
    output.print(f"  not joined: {one.why}; since {local(one.since, session.zone())}")
    output.print(output.table(("", one.one.golden_id, one.other.golden_id), rows))


def _show_doubtful(session: Session, run: Run, entity: str | None, system: str | None) -> None:
    """Records that are linked, of which one says person and one organization."""
    from crmbridge.cli.messages.identity import DoubtfulLinkMessage
    from crmbridge.cli.values import instant
    from crmbridge.engine.doubtful import doubtful_links
    from crmbridge.engine.linking import place_of

    output, rows = session.output, []
    for link in doubtful_links(run):
        sides = (link.one, link.other)
        if entity not in (None, link.one.entity) or system not in (None, *(row.system for row in sides)):
            continue
        golden_id, places = link.one.golden_id or "", [place_of(row) for row in sides]
        kinds, since = list(link.kinds), instant(link.since) or ""
        output.emit(
            DoubtfulLinkMessage(
                entity=link.one.entity, golden_id=golden_id, records=places, kinds=kinds, since=since
            )
        )
        rows.append((golden_id, *(f"{place} ({kind})" for place, kind in zip(places, kinds, strict=True))))
    if rows:
        output.print("\nDoubtful links: one says person and one organization; they stay as they are")
        output.print(output.table(("Golden record", "Record", "Record"), rows))
        output.say(
            f"{session.command('links', 'unlink', 'SYSTEM/STREAM/ID')} says that they are two, "
            f"{session.command('identity', 'merge', 'A', 'A')}, with the golden record, that they are one."
        )


def _show_generic(session: Session, run: Run, entity: str | None) -> None:
    """What is no evidence any more, so that nobody misses the pairs that it would make."""
    from crmbridge.cli.messages.identity import GenericValueMessage
    from crmbridge.engine.doubts import MOST_ALIKE, generic_values

    output = session.output
    found = [one for one in generic_values(run) if entity in (None, one.entity)]
    for one in found:
        output.emit(
            GenericValueMessage(entity=one.entity, kind=one.kind, value=one.value, count=one.shared_by)
        )
    if found:
        rows = [(one.entity, one.kind, one.value, f"{one.shared_by:,}") for one in found]
        output.print(f"\nGeneric values: more than {run.shared_by} share each, so that it joins nobody")
        output.print(output.table(("Entity", "What", "Value", "#Shared by"), rows))
        output.print(
            "Beside one of them only the same name makes a pair, looked for among the first "
            f"{MOST_ALIKE} records, and none that more than {run.shared_by} bear."
        )


def _places(side: Side) -> list[str]:
    from crmbridge.engine.linking import place_of

    return [place_of(row) for row in side.records]


def _duplicate(one: OpenDoubt) -> DuplicateMessage:
    from crmbridge.cli.messages.identity import DuplicateMessage, SharedPart
    from crmbridge.cli.values import instant

    return DuplicateMessage(
        entity=one.entity,
        one=_side(one.one),
        other=_side(one.other),
        shared=[SharedPart(kind=kind, value=value) for kind, value in one.shared],
        why=one.why,
        since=instant(one.since) or "",
    )


def _side(side: Side) -> SidePart:
    from crmbridge.cli.messages.identity import SidePart

    return SidePart(golden_id=side.golden_id, label=side.name, kind=side.kind, records=_places(side))


# -- what is said ------------------------------------------------------------------------------


@identity.command()
def merge(
    ctx: typer.Context, one: str = ONE, other: str = OTHER, why: str | None = WHY, by: str | None = BY
) -> None:
    """Say that two golden records are one: A joins B. The next sync brings the systems into agreement."""
    from crmbridge.engine.judging import merge as join

    session: Session = ctx.obj
    word, ours, theirs = _word(session, by, why), _golden(session, one), _golden(session, other)
    with session.bridge().ruling("identity merge") as run:
        said = join(run, ours, theirs, word)
    told = f"{said.places} are one" if said.one == said.other else f"{said.one} is {said.other} now"
    _tell(session, said, told)


@identity.command()
def apart(
    ctx: typer.Context, one: str = ONE, other: str = OTHER, why: str | None = WHY, by: str | None = BY
) -> None:
    """Say that two golden records are two, whatever they share: nobody is asked about them again."""
    from crmbridge.engine.judging import apart as tell_apart

    session: Session = ctx.obj
    word, ours, theirs = _word(session, by, why), _golden(session, one), _golden(session, other)
    with session.bridge().ruling("identity apart") as run:
        said = tell_apart(run, ours, theirs, word)
    _tell(session, said, f"{said.one} and {said.other} stay two")


@identity.command()
def undo(ctx: typer.Context, judgement: int = JUDGEMENT, why: str | None = WHY, by: str | None = BY) -> None:
    """Take a judgement back: what was merged is two again, what was told apart may meet."""
    from crmbridge.engine.judging import undo as take_back

    session: Session = ctx.obj
    word = _word(session, by, why)
    with session.bridge().ruling("identity undo") as run:
        said = take_back(run, judgement, word)
    session.output.emit(_message(said))
    session.output.say(f"Judgement {said.id} is taken back; {session.command('plan')} shows what follows.")


@identity.command()
def judgements(ctx: typer.Context) -> None:
    """List all that people said about who is who, also what was taken back."""
    from crmbridge.cli.values import local
    from crmbridge.engine.judging import judgements as find

    session: Session = ctx.obj
    output, rows = session.output, []
    for said in find(session.bridge().looking()):
        output.emit(_message(said))
        state = f"taken back by {said.revoked_by}: {said.revoked_why}" if said.revoked_at else "holds"
        what = "are one" if said.verdict == "one" else "are two"
        when = local(said.at, session.zone())
        rows.append((said.id, said.places, what, f"{said.said_by}: {said.why}", when, state))
    if rows:
        output.print(output.table(("#Id", "Records", "Said", "By and why", "When", "State"), rows))
    else:
        output.print("Nobody has said anything about who is who yet.")


def _word(session: Session, by: str | None, why: str | None) -> Word:
    """Who and why; who is at a terminal is asked."""
    from crmbridge.engine.linking import Word
    from crmbridge.sdk.errors import ConfigError

    if why is None and sys.stdin.isatty():
        with session.output.asking():
            why = typer.prompt("Why", err=True)
    if why is None:
        raise ConfigError("--why is missing", hint="say why, for whoever asks later: --why TEXT")
    return Word(by or getpass.getuser(), why)


def _golden(session: Session, text: str) -> str:
    from crmbridge.cli.records import named
    from crmbridge.engine.linking import record_at
    from crmbridge.sdk.errors import ConfigError

    bridge = session.bridge()
    if text.count("/") < 2 or text.partition("/")[0] not in {row.name for row in bridge.store.systems()}:
        return named(session, text)
    row = record_at(bridge.looking(), text)
    if row.golden_id is None:
        raise ConfigError(f"{text} was not matched yet", hint=session.command("sync", "--link-only"))
    return row.golden_id


def _tell(session: Session, said: JudgementRow, text: str) -> None:
    session.output.emit(_message(said))
    session.output.say(
        f"{text}; {session.command('plan')} shows what follows, "
        f"{session.command('identity', 'undo', str(said.id))} takes it back."
    )


def _message(said: JudgementRow) -> JudgementMessage:
    from crmbridge.cli.messages.identity import JudgementMessage
    from crmbridge.cli.values import instant

    return JudgementMessage(
        id=said.id,
        verdict=said.verdict,
        entity=said.entity,
        one=said.one,
        other=said.other,
        places=said.places,
        by=said.said_by,
        why=said.why,
        at=instant(said.at) or "",
        revoked_at=instant(said.revoked_at) if said.revoked_at else None,
        revoked_by=said.revoked_by or None,
        revoked_why=said.revoked_why or None,
    )
