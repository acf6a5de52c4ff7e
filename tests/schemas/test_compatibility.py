"""Stable entities stay compatible with their accepted schemas; and the comparison that says so is right."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from crmbridge_schemas.compat import incompatibilities
from crmbridge_schemas.generate import json_schema
from crmbridge_schemas.registry import ENTITIES

ACCEPTED = Path(__file__).parents[2] / "schemas" / "accepted"
STABLE = [name for name, entity in ENTITIES.items() if not entity.experimental]


def accepted() -> dict[str, Any]:
    return {
        file.name.removesuffix(".schema.json"): json.loads(file.read_text(encoding="utf-8"))
        for file in ACCEPTED.glob("*.schema.json")
    }


def test_every_stable_entity_has_an_accepted_schema_and_none_has_gone() -> None:
    assert sorted(accepted()) == sorted(STABLE)


@pytest.mark.parametrize("name", STABLE)
def test_stable_entities_are_compatible_with_what_was_accepted(name: str) -> None:
    assert incompatibilities(accepted()[name], json_schema(ENTITIES[name])) == []


def text(**more: Any) -> dict[str, Any]:
    return {"anyOf": [{"type": "string", **more}, {"type": "null"}]}


OLD: dict[str, Any] = {
    "x-crmbridge": {"entity": "thing", "experimental": False, "natural_key": ["number"]},
    "$defs": {
        "Part": {
            "type": "object",
            "properties": {
                "kind": {"enum": ["a", "b"], "type": "string"},
                "parent": {"$ref": "#/$defs/Part"},
            },
            "required": ["kind"],
            "additionalProperties": False,
        }
    },
    "type": "object",
    "properties": {
        "number": text(),
        "count": {"type": "integer", "minimum": 0},
        "parts": {"anyOf": [{"items": {"$ref": "#/$defs/Part"}, "type": "array"}, {"type": "null"}]},
        "owner": {**text(), "x-crmbridge": {"refers_to": "party"}},
        "code": {"type": "string", "pattern": "^[A-Z]$"},
        "unit": {"type": "string", "default": "C62"},
        "mail": {"type": "string", "x-crmbridge": {"identity": "email", "personal": "contact"}},
        "state": {**text(enum=["draft", "sent", "done"]), "x-crmbridge": {"status": True}},
        "consent": {"type": "string", "x-crmbridge": {"survivorship": "consent"}},
        "one": {"const": "x", "type": "string"},
        "either": {"type": ["string", "integer"]},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """OLD with one place changed; `...` removes it."""
    schema = deepcopy(OLD)
    *parents, last = path.split("/")
    target: Any = schema
    for step in parents:
        target = target[int(step)] if isinstance(target, list) else target[step]
    if value is ...:
        del target[last]
    elif isinstance(target, list):
        target[int(last)] = value
    else:
        target[last] = value
    return schema


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("properties/number", ..., "number: was removed"),
        ("$defs/Part/properties/kind", ..., "parts[].kind: was removed"),
        ("properties/count", {"type": "string"}, 'count: the type was "integer" and is now "string"'),
        ("properties/number", {"type": "string"}, "number: no longer takes null"),
        ("properties/number", text(enum=["x"]), 'number: is now limited to ["x"]'),
        ("$defs/Part/properties/kind/enum", ["a"], 'parts[].kind: no longer takes ["b"]'),
        ("properties/number", text(maxLength=9), "number: maxLength was null and is now 9"),
        ("properties/count/minimum", 1, "count: minimum was 0 and is now 1"),
        ("properties/code/pattern", "^[a-z]$", 'code: pattern was "^[A-Z]$" and is now "^[a-z]$"'),
        ("properties/one/const", "y", 'one: const was "x" and is now "y"'),
        (
            "properties/either/type",
            "string",
            'either: the type was ["string", "integer"] and is now "string"',
        ),
        ("required", ["number"], "number: is now required"),
        ("$defs/Part/required", ["kind", "parent"], "parts[].parent: is now required"),
        ("additionalProperties", False, "the entity: no longer takes further properties"),
        ("properties/parts/anyOf/0", {"type": "string"}, "parts: no longer takes array"),
        (
            "properties/owner/x-crmbridge",
            {"refers_to": "product"},
            'owner: refers_to was "party" and is now "product"',
        ),
        ("properties/number/x-crmbridge", {"merge_key": True}, "number: merge_key was null and is now true"),
        ("properties/number/x-crmbridge", {"required": True}, "number: is now required"),
        ("properties/number/x-crmbridge", {"computed": True}, "number: computed was null and is now true"),
        ("properties/number/x-crmbridge", {"status": True}, "number: status was null and is now true"),
        (
            "properties/number/x-crmbridge",
            {"merge_alike": True},
            "number: merge_alike was null and is now true",
        ),
        (
            "properties/number/x-crmbridge",
            {"merge_apart": True},
            "number: merge_apart was null and is now true",
        ),
        (
            "properties/number/x-crmbridge",
            {"identity": "tax-id"},
            'number: identity was null and is now "tax-id"',
        ),
        (
            "properties/consent/x-crmbridge",
            {},
            'consent: survivorship was "consent" and is now null',
        ),
        (
            "properties/state/anyOf/0/enum",
            ["draft", "done", "sent"],
            'state: the order was ["draft", "sent", "done"] and is now ["draft", "done", "sent"]',
        ),
        ("properties/unit/default", "KGM", 'unit: the default was "C62" and is now "KGM"'),
        ("properties/unit/default", ..., 'unit: the default was "C62" and is now null'),
        ("properties/mail/x-crmbridge/identity", ..., 'mail: identity was "email" and is now null'),
        ("properties/mail/x-crmbridge/personal", "none", 'mail: personal was "contact" and is now "none"'),
        ("x-crmbridge/experimental", True, "the entity was stable and is now experimental"),
        ("x-crmbridge/natural_key", [], 'natural_key was ["number"] and is now []'),
    ],
)
def test_what_breaks_a_writer_is_found_and_named(path: str, value: Any, says: str) -> None:
    assert incompatibilities(OLD, changed(path, value)) == [says]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties/extra", text()),
        ("$defs/Part/properties/extra", {"type": "string"}),
        ("$defs/Part/properties/kind/enum", ["a", "b", "c"]),
        ("$defs/Part/properties/kind", {"type": "string"}),
        ("properties/state/anyOf/0/enum", ["draft", "held", "sent", "done"]),
        ("$defs/Part/required", []),
        ("$defs/Part/additionalProperties", True),
        ("properties/count", {"type": "number"}),
        ("properties/count/minimum", -5),
        ("properties/count", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("properties/code/pattern", ...),
        ("properties/one", {"enum": ["x", "y"], "type": "string"}),
        ("properties/number/description", "Better words"),
        ("properties/number/x-crmbridge", {"personal": "name"}),
    ],
)
def test_what_only_adds_or_widens_is_let_through(path: str, value: Any) -> None:
    assert incompatibilities(OLD, changed(path, value)) == []


@pytest.mark.parametrize("name", ENTITIES)
def test_a_real_schema_agrees_with_itself_and_misses_each_field_that_goes(name: str) -> None:
    schema = json_schema(ENTITIES[name])
    assert incompatibilities(schema, schema) == []
    for field in schema["properties"]:
        smaller = {**schema, "properties": {k: v for k, v in schema["properties"].items() if k != field}}
        assert incompatibilities(schema, smaller) == [f"{field}: was removed"]
