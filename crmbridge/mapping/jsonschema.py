"""JSON Schemas (draft 7, which editors understand) of crmbridge.yaml and of mapping files."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from crmbridge.config import Settings
from crmbridge.mapping.spec import FileSpec
from crmbridge_schemas.docstrings import Described

__all__ = ["json_schemas"]

DRAFT = "http://json-schema.org/draft-07/schema#"


def json_schemas() -> dict[str, dict[str, Any]]:
    """By the name of the file without `.schema.json`: `crmbridge` and `mapping`."""
    return {
        "crmbridge": _draft7(Settings, "crmbridge.yaml"),
        "mapping": _draft7(FileSpec, "A mapping of crmbridge"),
    }


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
