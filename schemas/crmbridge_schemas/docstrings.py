"""What the strings below the fields of a model say, as descriptions in its JSON Schema.

They are looked up when a schema is made. pydantic's own `use_attribute_docstrings` parses the source of each
model when it is imported, at every start of the program.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

__all__ = ["Described", "field_docs"]


class Described(GenerateJsonSchema):
    """A schema generator that knows docstrings; what a field itself says as its description stays."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().model_schema(schema)
        model = schema["cls"]
        for name, text in field_docs(model).items():
            field = model.model_fields.get(name)
            known = made.get("properties", {}).get(field and (field.alias or name))
            if known is not None:
                known.setdefault("description", text)
        return made


@cache
def field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """Field -> the string below it in the source, of the class or of one that it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        found |= _own_docs(base)
    return found


@cache
def _own_docs(model: type) -> Mapping[str, str]:
    """Empty for a class made at run time."""
    if not issubclass(model, BaseModel) or model is BaseModel:
        return {}
    try:
        tree = ast.parse(inspect.getsource(sys.modules[model.__module__]))
    except (KeyError, OSError, TypeError):
        return {}
    classes = {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(classes.get(model.__name__, []))
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
