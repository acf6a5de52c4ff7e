"""find, show and explain: one golden record, and why it is as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crmbridge.cli.session import Session

if TYPE_CHECKING:
    from crmbridge.cli.messages.records import FoundMessage
    from crmbridge.views.customer360 import Customer360
    from crmbridge.views.explain import Explained
    from crmbridge.views.find import Found

__all__ = ["named", "register", "tell_events", "tell_field"]

ID = typer.Argument(metavar="ID", help="A golden id, or anything that `find` finds exactly one record by.")


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(find)
    app.command()(show)
    app.command()(explain)


def find(
    ctx: typer.Context,
    text: list[str] = typer.Argument(
        metavar="TEXT",
        help="A name in any script, also one that lost against another system's, a phone number as it is "
        "dialled, an e-mail, a number of an order or customer, a text of a custom field.",
    ),
    limit: int = typer.Option(20, "--limit", "-n", metavar="N", min=1, help="How many hits at most."),
) -> None:
    """Find golden records by what people know of them."""
    session: Session = ctx.obj
    output = session.output
    found = _found(session, " ".join(text), limit)
    for one in found:
        output.emit(_message(one))
    if not found:
        output.print("Nothing was found.")
        return
    rows = [(one.title, one.entity, _details(one), one.id) for one in found]
    output.print(output.table(("Name", "Entity", "Details", "Id"), rows))


def _found(session: Session, text: str, limit: int) -> list[Found]:
    from crmbridge.views.find import find as find_records

    bridge = session.bridge(tolerant=True)  # what is wrong with a mapping changes nothing that is known
    streams = dict.fromkeys((mapping.system, mapping.stream) for mapping in bridge.mappings.all)
    region = bridge.config.settings.country
    entities = bridge.entities
    return find_records(bridge.store, text, region=region, limit=limit, streams=streams, entities=entities)


def _details(one: Found) -> str:
    parts = [
        one.details,
        f"of {one.party_name}" if one.party_name else "",
        f"by {one.via}" if one.via else "",
    ]
    return " · ".join(part for part in [*parts, "gone everywhere" if one.gone else ""] if part)


def _message(one: Found) -> FoundMessage:
    from crmbridge.cli.messages.records import FoundMessage

    return FoundMessage(
        golden_id=one.id,
        entity=one.entity,
        label=one.title,
        details=one.details,
        party=one.party or None,
        exact=one.exact,
        gone=one.gone,
    )


def named(session: Session, text: str) -> str:
    """The golden id that `text` is or names. Raises ConfigError where it names none or several."""
    from crmbridge.sdk.errors import ConfigError

    bridge = session.bridge()
    if text in bridge.store.goldens([text]):
        return text
    hits = _found(session, text, 20)
    exact = [one for one in hits if one.exact and not one.gone] or hits
    parties = [one for one in exact if one.entity == "party"] or exact
    if not parties:
        raise ConfigError(f"nothing is found by {text!r}", hint="give a golden id, or other words")
    if len(parties) > 1:
        some = "; ".join(f"{one.id} {one.title}" for one in parties[:5])
        raise ConfigError(f"{text!r} names {len(parties)} records: {some}", hint="give the id of one of them")
    return parties[0].id


def show(
    ctx: typer.Context,
    id_: str = ID,
    html: Path | None = typer.Option(
        None, "--html", metavar="FILE", help="Write a page instead; -: to standard output."
    ),
) -> None:
    """Show all that is known of a customer: fields, orders, shipments, invoices, cases, contacts, links."""
    from crmbridge.cli.messages.records import RecordMessage
    from crmbridge.views.page import html as page
    from crmbridge.views.view import customer

    session: Session = ctx.obj
    output = session.output
    found = customer(session.bridge().looking(), named(session, id_))
    output.emit(RecordMessage(golden_id=found.id, entity="party", data=_plain(found)))
    if html == Path("-") and not output.json:
        print(session.redact(page(found, zone=session.zone())))
    elif html is not None:
        _write(html, session.redact(page(found, zone=session.zone())))
        output.say(f"{html} is written.")
    else:
        _show(session, found)


def _plain(found: object) -> object:
    """Dataclasses as what JSON has."""
    import msgspec

    return msgspec.to_builtins(found)


def _write(path: Path, text: str) -> None:
    """A page about a person: for its owner's eyes."""
    import os

    from crmbridge.sdk.errors import ConfigError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        hint = "give the name of a file in a folder that is there and that you may write in"
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}", hint=hint) from error


def _show(session: Session, found: Customer360) -> None:
    from crmbridge.cli.customer import heading, sections

    output = session.output
    output.print(output.text(f"\n{found.name}", "bold"))
    for name, text in heading(found, session.zone()):
        output.print(output.text(f"  {name:<14} ", "dim").append(output.text(text)))
    for section in sections(found, session.zone()):
        output.print("", output.table(section.columns, section.rows, title=section.title))


def explain(
    ctx: typer.Context,
    id_: str = ID,
    field: str | None = typer.Argument(None, metavar="FIELD", help="One field; without: all of them."),
) -> None:
    """Tell where a field's value comes from, which rule decided, and what lost.

    Without FIELD also what people said about which records are this one (`links`, `uncertain`).
    """
    from crmbridge.cli.messages.records import RecordMessage
    from crmbridge.engine.linking import BY_PEOPLE
    from crmbridge.views.explain import explain as explain_fields
    from crmbridge.views.view import golden_row

    session: Session = ctx.obj
    output, bridge = session.output, session.bridge()
    golden_id = named(session, id_)
    fields = explain_fields(bridge.looking(), golden_id, field, zone=session.zone())
    row = golden_row(bridge.store, golden_id)
    output.emit(RecordMessage(golden_id=row.id, entity=row.entity, data=_plain(fields)))
    if not fields:
        output.print(f"No system says anything about {field}.")
    for one in fields:
        _tell(session, one)
    if field is None:
        said = [
            (at, row.id, event, text)
            for at, event, text in bridge.store.history(row.id)
            if event in BY_PEOPLE
        ]
        tell_events(session, "What people said about who this is", said)


def tell_events(session: Session, title: str, events: Sequence[tuple[int, str, str, str]]) -> None:
    """(time, golden id, event, text): what people said."""
    from crmbridge.cli.messages.records import EventMessage
    from crmbridge.cli.values import instant, local

    output = session.output
    for at, golden_id, event, text in events:
        output.emit(EventMessage(golden_id=golden_id, at=instant(at) or "", event=event, text=text))
    if events:
        rows = [(local(at, session.zone()), *told) for at, *told in events]
        output.print(output.table(("When", "Golden record", "What", "Text"), rows, title=title))


def tell_field(session: Session, golden_id: str, path: str) -> None:
    """What `explain` says about one field."""
    from crmbridge.views.explain import explain as explain_fields

    for one in explain_fields(session.bridge().looking(), golden_id, path, zone=session.zone()):
        _tell(session, one)


def _tell(session: Session, one: Explained) -> None:
    from crmbridge.cli.values import value

    output = session.output
    name = one.label if "/" in one.path else one.path
    output.print(output.text(f"\n{name}: ", "bold").append(output.text(value(one.value), "green")))
    where = f"from {one.system} {one.native_id}".strip()
    output.print(f"  {where}, {one.when}: {one.because}" if one.system else f"  {one.because}")
    for lost in one.lost:
        text = output.text("  lost ", "red").append(output.text(f"{value(lost.value)} "))
        output.print(
            text.append(output.text(f"({lost.system} {lost.native_id}, {lost.when}): {lost.why}", "dim"))
        )
    for conflict in one.conflicts:
        output.print(output.text(f"  conflict: {conflict}", "yellow"))
    for said in one.said:
        status = "" if said.status == "live" else f" ({said.status})"
        output.print(output.text(f"    {said.system} {said.native_id}{status}: {said.text}", "dim"))
