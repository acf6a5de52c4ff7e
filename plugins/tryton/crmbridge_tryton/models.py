"""What this Tryton's models look like (`fields_get`), and records in the form that mappings see.

A record as Tryton's `read` gives it:  `{"id": 5, "party": 7, "party.": {"id": 7, "code": "7"}, "lines": [1]}`
The same record here:                 `{"id": "5", "party": {"id": "7", "code": "7"}, "lines": [{"id": "1"}]}`
Ids are text, references and the elements of lists are objects, instants and dates ISO 8601 text, numbers
with a fraction Decimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from crmbridge.sdk.connector import ListPatch
from crmbridge.sdk.errors import FatalError, RecordError
from crmbridge_tryton.rpc import Rpc
from crmbridge_tryton.values import WireNumber

__all__ = ["FieldDef", "Models", "as_patch", "names_nothing", "plain_number"]

TO_ONE = frozenset({"many2one", "one2one"})
TO_MANY = frozenset({"one2many", "many2many"})


@dataclass(frozen=True, slots=True)
class FieldDef:
    """One field of a model, from `fields_get`."""

    name: str
    type: str
    """char, text, integer, float, numeric, boolean, date, timestamp, many2one, one2many, selection ..."""
    label: str
    readonly: bool
    required: bool
    relation: str | None
    """The model that a relation leads to."""
    relation_field: str | None
    """For one2many: the field over there that leads back."""
    selection: Any
    """For selections: pairs of value and label, or the name of the method that gives them."""
    depends_on_record: bool
    """The choices differ from record to record."""


class Models:
    """The models of one Tryton, as this user sees them. Definitions are read once and kept."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._fields: dict[str, dict[str, FieldDef]] = {}
        self._found: dict[tuple[str, tuple[tuple[str, Any], ...]], int] = {}

    # -- definitions -----------------------------------------------------------------------

    def fields(self, model: str) -> Mapping[str, FieldDef]:
        """The model's fields by name. FatalError if this Tryton does not have the model."""
        if model not in self._fields:
            try:
                answer = self._rpc.read(f"model.{model}.fields_get", None)
            except RecordError as error:
                raise FatalError(
                    f"Tryton does not let us see the model {model}: {error.message}",
                    hint="activate the module that has it, or give the user the rights (see README)",
                ) from error
            self._fields[model] = {name: _definition(name, parts) for name, parts in answer.items()}
        return self._fields[model]

    def known_paths(self, model: str, paths: Iterable[str]) -> list[str]:
        """Those of the paths that this Tryton has: some fields come with modules that may not be active."""
        return [path for path in paths if self.find(model, path) is not None]

    def find(self, model: str, path: str) -> FieldDef | None:
        """The field at a dotted path, None where there is none."""
        name, _, rest = path.partition(".")
        field = self.fields(model).get(name)
        if field is None or not rest:
            return field
        return self.find(field.relation, rest) if field.relation else None

    def choices(self, model: str, field: FieldDef) -> tuple[str, ...]:
        """The values that a selection takes; none where they depend on the record."""
        if field.type not in {"selection", "multiselection"} or field.depends_on_record:
            return ()
        pairs = field.selection
        if isinstance(pairs, str):
            pairs = self._rpc.read(f"model.{model}.{pairs}")
        return tuple(str(value) for value, _ in pairs if value not in (None, ""))

    # -- reading ---------------------------------------------------------------------------

    def record(self, model: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of `read` or `search_read` in the form that mappings see."""
        fields = self.fields(model)
        found: dict[str, Any] = {}
        for key, value in row.items():
            if key == "id":
                found[key] = str(value)
            elif key.endswith("."):
                name = key[:-1]
                found[name] = self._related(fields[name], value)
            elif key == "_timestamp":
                found[key] = value
            elif f"{key}." not in row:
                found[key] = _read_value(fields[key], value)
        # Tryton's order is that of a hash, another one after each start of the server.
        return dict(sorted(found.items()))

    def _related(self, field: FieldDef, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, list):
            return [self.record(field.relation or "", item) for item in value]
        if field.relation is None:  # a reference to one of several models
            return {key: _text_id(key, item) for key, item in value.items()}
        return self.record(field.relation, value)

    # -- writing ---------------------------------------------------------------------------

    def values(self, model: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Native fields as Tryton's `create` and `write` want them. RecordError says which can't be."""
        fields = self.fields(model)
        values = {}
        for name, value in data.items():
            field = fields.get(name)
            if field is None:
                raise RecordError(f"{model} has no field {name!r} in this Tryton")
            try:
                values[name] = self._write_value(field, value)
            except (ValueError, InvalidOperation) as error:
                raise RecordError(f"{model}.{name}: {value!r} is no {field.type}: {error}") from error
        return values

    def _write_value(self, field: FieldDef, value: Any) -> Any:
        if field.type in TO_MANY:
            return self._list_commands(field, value)
        if value is None or names_nothing(value):
            return None
        if field.type in TO_ONE:
            return self.reference(field.relation or "", value)
        return _WRITERS.get(field.type, _same)(value)

    def reference(self, model: str, value: Any) -> int:
        """The id that a reference means: `{"id": "7"}`, or fields that name one record, `{"code": "DE"}`."""
        if not isinstance(value, Mapping):
            return _native_id(value)
        if value.get("id") is not None:
            return _native_id(value["id"])
        keys = tuple(sorted(value.items()))
        if (model, keys) not in self._found:
            self._found[model, keys] = self._look_up(model, keys)
        return self._found[model, keys]

    def _look_up(self, model: str, keys: tuple[tuple[str, Any], ...]) -> int:
        domain = [[name, "=", wanted] for name, wanted in keys]
        ids = self._rpc.read(f"model.{model}.search", domain, 0, 2, [["id", "ASC"]])
        if len(ids) != 1:
            said = " and ".join(f"{name} {wanted!r}" for name, wanted in keys)
            count = "no" if not ids else "more than one"
            raise RecordError(f"Tryton has {count} {model} with {said}: add or correct it there")
        return int(ids[0])

    def _list_commands(self, field: FieldDef, value: Any) -> list[Any]:
        """What Tryton wants for a list: commands that create, write, add and remove its elements."""
        model = field.relation or ""
        patch = as_patch(value)
        removed = [_native_id(child) for child in patch.remove]
        if field.type == "many2many":
            return [["add", [self.reference(model, item) for item in patch.add]], ["remove", removed]]
        commands: list[Any] = []
        if patch.add:
            children = ({k: v for k, v in child.items() if k != "id"} for child in patch.add)
            commands.append(["create", [self.values(model, child) for child in children]])
        for child, changed in patch.change.items():
            commands.append(["write", [_native_id(child)], self.values(model, changed)])
        if removed:
            commands.append(self._removal(model, removed))
        return commands

    def _removal(self, model: str, ids: list[int]) -> list[Any]:
        """Tryton archives what documents may refer to: an address stays readable on its old invoice."""
        if "active" in self.fields(model):
            return ["write", ids, {"active": False}]
        return ["delete", ids]


def as_patch(value: Any) -> ListPatch:
    """What changes in a child list; of a new record the list may stand there itself."""
    return value if isinstance(value, ListPatch) else ListPatch(add=list(value or []))


def names_nothing(value: Any) -> bool:
    """`{"code": None}`: a reference that a mapping clears by the field it is known by."""
    return isinstance(value, Mapping) and all(part is None or names_nothing(part) for part in value.values())


def _definition(name: str, parts: Mapping[str, Any]) -> FieldDef:
    return FieldDef(
        name=name,
        type=parts["type"],
        label=parts.get("string") or name,
        readonly=bool(parts.get("readonly")),
        required=bool(parts.get("required")),
        relation=parts.get("relation"),
        relation_field=parts.get("relation_field"),
        selection=parts.get("selection"),
        depends_on_record=bool(parts.get("selection_change_with")),
    )


def plain_number(number: Decimal | int | float) -> Decimal:
    """A quantity without the zeros that a binary float shows: 3, not 3.0."""
    exact = number if isinstance(number, Decimal) else Decimal(str(number))
    whole = exact == exact.to_integral_value()
    return exact.quantize(Decimal(1)) if whole else exact.normalize()


def _text_id(key: str, value: Any) -> Any:
    return str(value) if key == "id" else value


def _native_id(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise RecordError(f"{value!r} is no id of a Tryton record") from error


def _read_value(field: FieldDef, value: Any) -> Any:
    if value is None:
        return None
    read = _READERS.get(field.type)
    if read is not None:
        return read(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value


def _read_reference(value: str) -> dict[str, Any]:
    model, _, number = value.partition(",")
    return {"model": model, "id": number or None}


_READERS: Mapping[str, Any] = {
    "boolean": bool,  # SQLite has 0 and 1
    "float": plain_number,
    "many2one": lambda value: {"id": str(value)},
    "one2one": lambda value: {"id": str(value)},
    "one2many": lambda value: [{"id": str(item)} for item in value],
    "many2many": lambda value: [{"id": str(item)} for item in value],
    "reference": _read_reference,
    "timedelta": lambda value: plain_number(Decimal(str(value.total_seconds()))),
    "binary": lambda _: None,  # files are not carried
}


def _same(value: Any) -> Any:
    return value


def _write_reference(value: Any) -> Any:
    return f"{value['model']},{value['id']}" if isinstance(value, Mapping) else value


def _write_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("it has to be true or false")


_WRITERS: Mapping[str, Any] = {
    "numeric": lambda value: Decimal(str(value)),
    "float": lambda value: WireNumber(Decimal(str(value))),
    "integer": int,
    "boolean": _write_boolean,
    "date": lambda value: date.fromisoformat(str(value)[:10]),
    "datetime": lambda value: datetime.fromisoformat(str(value)),
    "timestamp": lambda value: datetime.fromisoformat(str(value)),
    "time": lambda value: time.fromisoformat(str(value)),
    "reference": _write_reference,
}
