"""discover and map preview: what a system has, and what a mapping makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from crmbridge.cli.session import Session

if TYPE_CHECKING:
    from crmbridge.cli.messages.systems import FieldMessage
    from crmbridge.engine.preview import Preview
    from crmbridge.engine.run import System
    from crmbridge.sdk.connector import FieldInfo

__all__ = ["register"]

mapping = typer.Typer(help="Mappings: what becomes of records.", no_args_is_help=True)
SYSTEM = typer.Argument(metavar="SYSTEM", help="Its name in the config.")
STREAM = typer.Argument(metavar="STREAM", help="An object type of the system, as discover lists them.")


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(discover)
    app.add_typer(mapping, name="map")


def discover(
    ctx: typer.Context,
    system: str = SYSTEM,
    stream: str | None = typer.Argument(None, metavar="STREAM", help="One object type: list its fields."),
) -> None:
    """List the streams of a system, or the fields of one."""
    session: Session = ctx.obj
    output = session.output
    opened = _opened(session, system)
    if stream is None:
        rows = [_stream(opened, name) for name in opened.streams]
        output.print(output.table(("Stream", "Key", "Operations", "Mapped to", "Label"), rows))
        names = list(opened.streams) if output.json else []
    else:
        names = [_known(opened, stream)]
    for name in names:
        fields = list(_fields(system, name, opened.connector.discover(name), ""))
        for field in fields:
            output.emit(field)
        if stream is not None:
            output.print(_field_table(session, fields) if fields else "This system does not tell its fields.")


def _opened(session: Session, system: str) -> System:
    """The system; also where its mappings are still to be written, since that is what this command is for."""
    bridge = session.bridge(tolerant=True)
    found = bridge.system(system)
    for mistake in (bridge.mistakes or [])[:1]:
        where = f"{mistake.where}: " if mistake.where else ""
        session.output.say(f"Not in order yet: {where}{mistake.message.splitlines()[0]}")
    return found


def _stream(opened: System, name: str) -> tuple[str, ...]:
    stream = opened.streams[name]
    entities = dict.fromkeys(m.entity for m in opened.mappings.get(name, ()))
    operations = ", ".join(sorted(stream.capabilities.operations)) or "read-only"
    return name, stream.key, operations, ", ".join(entities) or "(nothing)", stream.label


def _known(opened: System, stream: str) -> str:
    from crmbridge.config import meant
    from crmbridge.sdk.errors import ConfigError

    if stream in opened.streams:
        return stream
    raise ConfigError(f"{opened.name} has no stream {stream!r}", hint=meant(stream, opened.streams))


def _fields(system: str, stream: str, found: Mapping[str, FieldInfo], prefix: str) -> Iterator[FieldMessage]:
    from crmbridge.cli.messages.systems import FieldMessage

    for name, info in found.items():
        yield FieldMessage(
            system=system,
            stream=stream,
            name=prefix + name,
            kind=info.type,
            required=info.required,
            writable=info.on_create or info.on_update,
            max_length=info.max_length,
            choices=list(info.choices),
            custom=info.custom,
            label=info.label,
        )
        yield from _fields(system, stream, info.fields, f"{prefix}{name}.")


def _field_table(session: Session, fields: list[FieldMessage]) -> Any:
    rows = []
    for field in fields:
        traits = [
            "required" if field.required else "",
            "" if field.writable else "read-only",
            "custom" if field.custom else "",
            f"at most {field.max_length} characters" if field.max_length else "",
            f"one of {', '.join(field.choices)}" if field.choices else "",
        ]
        rows.append((field.name, field.kind, ", ".join(filter(None, traits)), field.label))
    return session.output.table(("Field", "Type", "", "Label"), rows)


@mapping.command()
def preview(
    ctx: typer.Context,
    system: str = SYSTEM,
    stream: str = STREAM,
    sample: int = typer.Option(3, "--sample", "-n", metavar="N", min=1, help="How many records."),
) -> None:
    """Show records as the system has them, as they are read, as they would be written, and what gets lost."""
    from crmbridge.engine.preview import previews

    session: Session = ctx.obj
    output = session.output
    opened = session.bridge().system(system)
    wrong = taken = 0
    for one in previews(opened, _known(opened, stream), sample):
        _emit(session, system, stream, one)
        _show(session, one)
        wrong += one.error is not None
        taken += one.entity is not None or one.error is not None
    if not taken:
        _tell_nothing_taken(session, opened, stream)
    if wrong:
        output.warn(f"{wrong} of the sample cannot be mapped: a sync would make dead letters of them")
    raise typer.Exit(3 if wrong else 0)


def _tell_nothing_taken(session: Session, opened: System, stream: str) -> None:
    for mapping in opened.mappings.get(stream, ()):
        if mapping.when is not None:
            fields = sorted(mapping.when.compared)
            hint = "".join(f'"{one}" is the name of a field; for the text write {one!r} ' for one in fields)
            text = f"{mapping.places['when']}: when: takes none of the sample: {mapping.when.text}"
            session.output.warn(text, hint.strip() or None)


def _emit(session: Session, system: str, stream: str, one: Preview) -> None:
    from crmbridge.cli.messages.systems import PreviewMessage

    session.output.emit(
        PreviewMessage(
            system=system,
            stream=stream,
            native_id=one.native_id,
            entity=one.entity,
            native=one.native,
            canonical=one.canonical,
            back=one.back,
            lost=[_change(one) for one in one.lost],
            rewritten=[_change(one) for one in one.rewritten],
            unread=one.unread,
            error=one.error,
        )
    )


def _change(change: tuple[str, Any, Any]) -> str:
    from crmbridge.mapping.paths import native_text

    name, old, new = change
    return f"{name}: {native_text(old)} -> {native_text(new)}"


def _show(session: Session, one: Preview) -> None:
    output = session.output
    output.print(output.text(f"\n{one.native_id}" + (f" is a {one.entity}" if one.entity else ""), "bold"))
    _block(session, "native", one.native)
    if one.error is not None:
        output.print(output.text(f"  cannot be mapped: {one.error}", "red"))
        return
    if one.entity is None:
        output.print(output.text("  no mapping takes this record", "dim"))
        return
    _block(session, "canonical", one.canonical)
    _block(session, "written back", one.back)
    for change in one.lost:
        output.print(output.text(f"  lost: {_change(change)}", "bold yellow"))
    for change in one.rewritten:
        output.print(output.text(f"  written in another form: {_change(change)}", "dim"))
    if one.unread:
        output.print(output.text(f"  not read by any mapping: {', '.join(one.unread)}", "dim"))
    if not one.lost:
        output.print(output.text("  nothing that is written gets lost on the way", "green"))


def _block(session: Session, title: str, data: Any) -> None:
    output = session.output
    text = json.dumps(data, indent=2, ensure_ascii=False, default=str)
    output.print(output.text(f"  {title}", "dim"))
    output.print("\n".join(f"    {line}" for line in text.splitlines()))
