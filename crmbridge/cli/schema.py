"""schema: JSON Schemas of entities, of the config, of mappings, and of what --json writes."""

from __future__ import annotations

import typer

from crmbridge.cli.session import Session

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(schema)


def schema(
    ctx: typer.Context,
    name: str | None = typer.Argument(
        None,
        metavar="NAME",
        help="An entity, a connector, `config`, `mapping` or `output`; without: list them.",
    ),
) -> None:
    """Print a JSON Schema: of an entity (custom fields included), of crmbridge.yaml, of mapping files, of the
    settings of a connector."""
    import json

    from crmbridge.cli.messages.systems import SchemaMessage
    from crmbridge.cli.schemas import FILES, entities, find

    session: Session = ctx.obj
    output = session.output
    if name is not None:
        found = find(session, name)
        output.emit(SchemaMessage(name=name, definition=found))
        if not output.json:
            print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    known = {one: _first_sentence(model.__doc__ or "") for one, model in entities(session).items()} | FILES
    for one, of in known.items():
        output.emit(SchemaMessage(name=one, of=of))
    output.print(output.table(("Schema", "Of"), list(known.items())))


def _first_sentence(text: str) -> str:
    """Without the standards in brackets that it comes from."""
    words = " ".join(text.split())
    return words.partition(" (")[0].partition(". ")[0].rstrip(".")
