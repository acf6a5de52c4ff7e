"""JSON Schemas (draft 7, which editors understand) of crmbridge.yaml and of mapping files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from crmbridge.config import Settings
from crmbridge.mapping.spec import FileSpec
from crmbridge_schemas.docstrings import Described

__all__ = ["json_schemas"]

DRAFT = "http://json-schema.org/draft-07/schema#"
_REFERENCE = {"type": "string", "pattern": r"\$\{"}
_SYSTEM = "SystemSettings"


def json_schemas(connectors: Mapping[str, type[BaseModel]]) -> dict[str, dict[str, Any]]:
    """By the name of the file without `.schema.json`: `crmbridge` and `mapping`.

    connectors: connector -> its settings, which a system has beside those that all systems have.
    """
    crmbridge = _draft7(Settings, "crmbridge.yaml")
    _add_connectors(crmbridge["definitions"], connectors)
    return {"crmbridge": crmbridge, "mapping": _draft7(FileSpec, "A mapping of crmbridge")}


def _draft7(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema: dict[str, Any] = _converted(model.model_json_schema(by_alias=True, schema_generator=Described))
    return {"$schema": DRAFT, **schema, "title": title}


def _converted(part: Any) -> Any:
    """From draft 2020-12, which names definitions otherwise and allows words beside a $ref."""
    if isinstance(part, list):
        return [_converted(one) for one in part]
    if not isinstance(part, dict):
        return part.replace("#/$defs/", "#/definitions/") if isinstance(part, str) else part
    made = {("definitions" if key == "$defs" else key): _converted(value) for key, value in part.items()}
    if isinstance(made.get("$ref"), str) and len(made) > 1:
        made = {"allOf": [{"$ref": made.pop("$ref")}], **made}
    return made


# -- settings of connectors ------------------------------------------------------------------------


def _add_connectors(definitions: dict[str, Any], connectors: Mapping[str, type[BaseModel]]) -> None:
    """A system's further settings depend on its connector; those of an unknown one may be anything."""
    system = definitions[_SYSTEM]
    known, choices = [], []
    for name, model in sorted(connectors.items()):
        try:
            template = f"#/definitions/{name}.{{model}}"
            own = model.model_json_schema(by_alias=True, ref_template=template, schema_generator=Described)
        except PydanticUserError:  # a vendor's model that has none: then editors do not know its settings
            continue
        inner = own.pop("$defs", {})
        definitions.update({f"{name}.{key}": _referable(_converted(part)) for key, part in inner.items()})
        properties = {**dict.fromkeys(system["properties"], True), **own.get("properties", {})}
        settings = {
            **own,
            "properties": properties,
            "additionalProperties": own.get("additionalProperties", False),
        }
        definitions[f"connector.{name}"] = _referable(_converted(settings))
        is_this = {"properties": {"connector": {"const": name}}, "required": ["connector"]}
        known.append(name)
        choices.append({"if": is_this, "then": {"$ref": f"#/definitions/connector.{name}"}})
    if known:
        connector = system["properties"]["connector"]
        connector["anyOf"] = [{"enum": known}, {"type": connector.pop("type")}]
        system["allOf"] = choices


def _referable(part: Any) -> Any:
    """In place of any single value a reference may stand: `${env:NAME}`."""
    if isinstance(part, list):
        return [_referable(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: _referable(value) for key, value in part.items()}
    properties = made.get("properties")
    if isinstance(properties, dict):
        made["properties"] = {key: _or_reference(value) for key, value in properties.items()}
    return made


def _or_reference(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    branches = schema.get("anyOf", [schema])
    if all(one.get("type") in ("object", "array", "null") or "$ref" in one for one in branches):
        return schema
    if {"type": "string"} in branches:
        return schema
    if "anyOf" in schema:
        return {**schema, "anyOf": [*branches, _REFERENCE]}
    if schema.get("type") == "string" and not {"enum", "pattern", "format"} & schema.keys():
        return schema
    said = {key: schema[key] for key in ("description", "default", "title") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in said}
    return {**said, "anyOf": [rest, _REFERENCE]}
