"""What this very Tryton says about the fields of a stream, for checking mappings against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crmbridge.sdk.connector import FieldInfo
from crmbridge_tryton.models import TO_MANY, FieldDef, Models
from crmbridge_tryton.rpc import Rpc
from crmbridge_tryton.streams import Table

__all__ = ["discover_table"]

_TYPES = {
    "char": "string",
    "selection": "string",
    "text": "text",
    "fullText": "text",
    "integer": "integer",
    "float": "decimal",
    "numeric": "decimal",
    "timedelta": "decimal",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "timestamp": "datetime",
}
# Read by the connector itself, and never part of a record's data.
_OWN = {"last_modified_at", "_timestamp", "create_date", "active", "replaced_by", "write_uid", "create_uid"}
# Computed by Tryton for reading, written by the connector where they come from.
_WRITTEN_THROUGH = {"product.product": {"code", "list_price_used", "template"}}


def discover_table(rpc: Rpc, models: Models, table: Table, paths: Sequence[str]) -> Mapping[str, FieldInfo]:
    """The fields behind these dotted paths, lists and references with what is read inside them."""
    defaults = _defaults(rpc, models, table.model)
    tree = _tree(path for path in paths if _OWN.isdisjoint(path.split(".")))
    found = {"id": FieldInfo("string", on_create=False, on_update=False)}
    found |= _infos(models, table.model, tree, defaults | table.supplied)
    shipped = {"id", *(path.partition(".")[0] for path in table.paths)}
    own = {name: info if name in shipped else _custom(info) for name, info in found.items()}
    return {**own, **table.shown}


def _tree(paths: Any) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in paths:
        branch = tree
        for name in path.split("."):
            branch = branch.setdefault(name, {})
    return tree


def _infos(
    models: Models, model: str, tree: Mapping[str, Any], supplied: frozenset[str]
) -> dict[str, FieldInfo]:
    return {name: _info(models, model, name, below, supplied) for name, below in tree.items()}


def _info(
    models: Models, model: str, name: str, below: Mapping[str, Any], supplied: frozenset[str]
) -> FieldInfo:
    definition = models.fields(model)[name]
    writable = not definition.readonly or name in _WRITTEN_THROUGH.get(model, ())
    inner: dict[str, FieldInfo] = {}
    if definition.relation:
        inner = {"id": FieldInfo("string")}
        inner |= _infos(models, definition.relation, below, supplied)
    return FieldInfo(
        type=_type(definition),
        on_create=writable,
        on_update=writable,
        required=definition.required and writable and name not in supplied,
        choices=models.choices(model, definition),
        label=definition.label,
        fields=inner,
    )


def _type(definition: FieldDef) -> str:
    if definition.type in TO_MANY:
        return "list"
    if definition.relation or definition.type == "reference":
        return "object"
    return _TYPES.get(definition.type, "string")


def _defaults(rpc: Rpc, models: Models, model: str) -> frozenset[str]:
    """Required fields that Tryton fills in a new record: nobody has to map them."""
    required = [name for name, field in models.fields(model).items() if field.required]
    values = rpc.read(f"model.{model}.default_get", required)
    return frozenset(name for name in required if values.get(name) is not None)


def _custom(info: FieldInfo) -> FieldInfo:
    return FieldInfo(
        type=info.type,
        on_create=info.on_create,
        on_update=info.on_update,
        required=info.required,
        max_length=info.max_length,
        choices=info.choices,
        custom=True,
        label=info.label,
        fields=info.fields,
    )
