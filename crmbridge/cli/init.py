"""init: asks for the systems and writes a commented config."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from crmbridge.cli.failing import INTERRUPTED
from crmbridge.cli.interrupt import Interrupted, raising
from crmbridge.cli.session import CONFIG, Session

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from crmbridge.sdk.connector import Connector

__all__ = ["config_text", "register"]

SCHEMA = "crmbridge.schema.json"
MAPPING_SCHEMA = "mapping.schema.json"
FOR_TESTS = frozenset({"memory"})
"""Connectors that keep nothing: nobody has such a system."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Answers = dict[str, tuple[str, dict[str, str]]]
"""System -> its connector, and its settings as YAML."""


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(init)


def init(
    ctx: typer.Context,
    folder: Path = typer.Argument(
        Path(), metavar="DIR", show_default=False, help="Where to write; here by default."
    ),
    force: bool = typer.Option(False, "--force", help="Write over a config that is there."),
) -> None:
    """Ask for your systems and write a commented crmbridge.yaml, with the schemas that editors help by."""
    from crmbridge.bridge import load_plugins
    from crmbridge.mapping.jsonschema import json_schemas
    from crmbridge.sdk.errors import ConfigError

    session: Session = ctx.obj
    output = session.output
    path = folder / CONFIG
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", hint="edit it, or pass --force to write over it")
    connectors = {name: kind for name, kind in load_plugins().connectors().items() if name not in FOR_TESTS}
    try:
        with raising(), output.asking():
            answers = _ask(connectors, folder)
    except (typer.Abort, Interrupted) as stopped:  # the end of what is typed, or Ctrl-C behind a question
        typer.echo(err=True)
        output.say_always("stopped: nothing was written")
        raise typer.Exit(getattr(stopped, "exit_code", INTERRUPTED)) from None
    folder.mkdir(parents=True, exist_ok=True)
    schemas = json_schemas({name: kind.settings_model for name, kind in connectors.items()})
    for name, schema in ((SCHEMA, "crmbridge"), (MAPPING_SCHEMA, "mapping")):
        (folder / name).write_text(json.dumps(schemas[schema], indent=2) + "\n", encoding="utf-8")
    (folder / "mappings").mkdir(exist_ok=True)
    path.write_text(config_text(answers, connectors), encoding="utf-8")
    output.print(f"\n{path} is written.")
    for name, (_, settings) in answers.items():
        for reference in sorted(set(re.findall(r"\$\{env:([^}]*)\}", " ".join(settings.values())))):
            if not os.environ.get(reference):
                output.say(
                    f"Before you go on, set the environment variable {reference}: the secret of {name}."
                )
    output.say(
        "Next: crmbridge discover SYSTEM STREAM shows the columns; say in mappings/SYSTEM.yaml what they "
        "mean; then crmbridge check."
    )


def _ask(connectors: Mapping[str, type[Connector]], folder: Path) -> Answers:
    typer.echo("Which systems shall agree? There are connectors for " + ", ".join(sorted(connectors)) + ".")
    answers: Answers = {}
    while True:
        name = _ask_name(
            "the next system (empty: no more)" if answers else "the first system", last=bool(answers)
        )
        if not name:
            return answers
        if not _NAME.fullmatch(name) or name in answers or name == "hub":
            typer.echo("  Small letters, digits and _, not used yet, such as erp or shop.")
            continue
        connector = typer.prompt(f"The connector of {name}")
        while connector not in connectors:
            connector = typer.prompt(f"  One of {', '.join(sorted(connectors))}")
        answers[name] = connector, _ask_settings(name, connectors[connector].settings_model, folder)


def _ask_name(what: str, *, last: bool) -> str:
    question = f"\nA short name for {what}"
    answer = typer.prompt(question, default="", show_default=False) if last else typer.prompt(question)
    return str(answer)


def _ask_settings(system: str, model: type[BaseModel], folder: Path) -> dict[str, str]:
    """Setting -> YAML of what the connector cannot do without, and of its secrets."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if _is_secret(field) and found.get("url", "").startswith(("sqlite:", "file:")):
            continue  # a file has no login
        if _is_secret(field):
            variable = f"{system}_{key}".upper()
            asked = typer.prompt(f"  {key}: the environment variable that holds it", default=variable)
            found[key] = "${env:" + asked + "}"
        elif field.is_required():
            found[key] = _ask_value(key, folder)
    return {key: json.dumps(value, ensure_ascii=False) for key, value in found.items()}


def _ask_value(key: str, folder: Path) -> str:
    """A setting; one that names a file or folder which is not there is asked for once more."""
    value = str(typer.prompt(f"  {key}"))
    missing = _missing(key, value, folder)
    if missing is not None:
        typer.echo(f"  {missing} does not exist.")
        value = str(typer.prompt(f"  {key} (enter: take it as it is)", default=value))
    return value


def _missing(key: str, value: str, folder: Path) -> Path | None:
    name = value if key == "path" else value.removeprefix("sqlite:///") if "sqlite:///" in value else ""
    place = Path(os.path.normpath(folder.absolute() / name))
    return place if name and not place.exists() else None


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


# -- the text ----------------------------------------------------------------------------------


def config_text(answers: Answers, connectors: Mapping[str, type[Connector]]) -> str:
    """The config, with comments that say what else there is."""
    return "\n".join(
        [
            f"# yaml-language-server: $schema=./{SCHEMA}",
            f"# All settings are in {SCHEMA}, which editors complete by. crmbridge check looks at it.",
            "",
            "# What crmbridge knows is kept here. Back it up; it holds data of your customers.",
            'state: "sqlite:///crmbridge.db"',
            "",
            "# country: DE              # where phone numbers without a country code are from",
            "# timezone: Europe/Berlin  # of times that say none, and of what you are shown",
            "",
            "systems:",
            *(line for name in answers for line in _system(name, answers, connectors)),
            "",
            "# How each kind of record travels.",
            *_sync(list(answers)),
            "",
            "# How much may happen in one run before you are asked. These are the defaults.",
            '# limits: {creates: "max(20%, 200)", updates: "max(50%, 200)", deletes: "max(5%, 20)"}',
            "",
        ]
    )


def _system(name: str, answers: Answers, connectors: Mapping[str, type[Connector]]) -> Iterator[str]:
    connector, settings = answers[name]
    yield f"  {name}:"
    yield f"    connector: {connector}"
    yield "    # mode: read-only  # or shadow: writes are only reported"
    for key, text in settings.items():
        yield f"    {key}: {text}"
    for key, field in connectors[connector].settings_model.model_fields.items():
        if (field.alias or key) not in settings:
            yield f"    # {field.alias or key}:{_default(field)}"


def _default(field: FieldInfo) -> str:
    default: Any = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
    text = json.dumps(default, default=str, ensure_ascii=False)
    return f" {text}" if default is not None else ""


def _sync(names: list[str]) -> Iterator[str]:
    both = ", ".join(names)
    if len(names) < 2:
        yield "sync: {}"
        yield "  # party:  # customers and suppliers, once there is a second system, in place of the {}"
        yield f"  #   between: [{both}, SECOND]"
        return
    yield "sync:"
    yield "  party:                    # customers, suppliers, people and companies"
    yield f"    between: [{both}]   # where nothing else decides, the first one wins at first contact"
    yield "    create: always          # or never, or one rule by system: {" + names[0] + ": never}"
    yield f"    # authority: {{legal_name: [{names[0]}]}}  # who decides; everything else: the latest change"
    yield "    # deletes: keep         # or archive, or delete: what becomes of the others' copies"
    yield f"  # product: {{from: {names[0]}, to: [{', '.join(names[1:])}]}}  # one way"
