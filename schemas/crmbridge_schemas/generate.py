"""JSON Schemas (draft 2020-12) of the canonical entities.

`python -m crmbridge_schemas.generate` writes them to `schemas/json`, one file for each entity;
`--check` only says which are stale (exit 1). `--accept` records the schemas of the entities that are not
experimental as the accepted ones, to which later ones must stay compatible; it refuses incompatible ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import JsonSchemaValue

from crmbridge_schemas.base import Entity
from crmbridge_schemas.compat import incompatibilities
from crmbridge_schemas.docstrings import Described
from crmbridge_schemas.registry import ENTITIES, entity_meta

__all__ = ["json_schema", "main", "stale", "write"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FOLDER = Path(__file__).resolve().parent.parent


class _Generator(Described):
    """Without what says nothing: titles made of field names, and `default: null`, since unset is not null."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema(entity: type[Entity]) -> dict[str, Any]:
    """The JSON Schema of an entity's canonical records; `x-crmbridge` holds what the engine knows beside
    it."""
    return {
        "$schema": DIALECT,
        "$id": f"urn:crmbridge:entity:{entity.entity_name}",
        "x-crmbridge": entity_meta(entity),
        **entity.model_json_schema(schema_generator=_Generator),
    }


def _files(entities: Mapping[str, type[Entity]]) -> dict[str, str]:
    return {f"{name}.schema.json": _text(json_schema(entity)) for name, entity in entities.items()}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def stale(folder: Path, entities: Mapping[str, type[Entity]] = ENTITIES) -> list[str]:
    """Names of the files in `folder` that are missing or differ from what would be written."""
    wanted = _files(entities)
    return [name for name, text in wanted.items() if not _same(folder / name, text)]


def _same(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def write(folder: Path, entities: Mapping[str, type[Entity]] = ENTITIES) -> None:
    """Writes the schema files of `entities`; other files of the folder stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _files(entities).items():
        (folder / name).write_text(text, encoding="utf-8")


def accept(folder: Path, entities: Mapping[str, type[Entity]] = ENTITIES) -> list[str]:
    """Records the schemas of what is not experimental; returns why not, and then writes nothing."""
    stable = {name: entity for name, entity in entities.items() if not entity.experimental}
    problems = []
    for name, entity in stable.items():
        file = folder / f"{name}.schema.json"
        if file.is_file():
            accepted = json.loads(file.read_text(encoding="utf-8"))
            problems += [f"{name}: {text}" for text in incompatibilities(accepted, json_schema(entity))]
    if not problems:
        write(folder, stable)
    return problems


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m crmbridge_schemas.generate", description="JSON Schemas")
    parser.add_argument("--out", type=Path, default=_FOLDER / "json", help="folder of the generated schemas")
    parser.add_argument(
        "--accepted", type=Path, default=_FOLDER / "accepted", help="folder of the accepted ones"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    what.add_argument("--accept", action="store_true", help="record the schemas as accepted")
    options = parser.parse_args(arguments)
    if options.check:
        problems = [f"{options.out / name} is stale: run `{parser.prog}`" for name in stale(options.out)]
    elif options.accept:
        problems = accept(options.accepted)
    else:
        problems = []
        write(options.out)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
