"""Whether an expression speaks of fields that there are, and compares them with values that they can have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from crmbridge.config import meant
from crmbridge.mapping.expressions import Expression
from crmbridge.mapping.fieldtypes import shape_of
from crmbridge.sdk.connector import FieldInfo
from crmbridge_schemas.base import Entity

__all__ = ["Vocabulary", "misspelt", "of_field", "of_fields", "of_model"]

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is known of a value; by default nothing."""

    name: str = ""
    """What people call it: party, contact_points."""
    fields: Callable[[], Mapping[str, Vocabulary]] | None = None
    """What is inside it, or inside each of its elements; None: not known."""
    choices: tuple[str, ...] = ()
    """Its only values, where they are known."""
    many: bool = False
    """A list of such values."""

    def one(self) -> Vocabulary:
        """An element of this list."""
        return Vocabulary(self.name, self.fields, self.choices)

    def all_choices(self) -> tuple[str, ...]:
        """The only values of all that is inside, as `has(roles, 'customer')` asks for them."""
        if self.choices or self.fields is None:
            return self.choices
        inside = [known for name, known in self.fields().items() if name != "id"]
        if not all(known.choices for known in inside):
            return ()
        return tuple(value for known in inside for value in known.choices)


UNKNOWN = Vocabulary()


def of_model(model: type[BaseModel]) -> Vocabulary:
    """That of a canonical record, or of a part of one."""
    title = model.entity_name if issubclass(model, Entity) else model.__name__
    return Vocabulary(title, lambda: {name: of_field(model, name) for name in model.model_fields})


def of_field(model: type[BaseModel], name: str) -> Vocabulary:
    """That of one canonical field."""
    shape = shape_of(model, name)
    # A reference is another thing in the hub than in a record.
    inside = shape.model if shape.kind in ("composite", "elements") else None
    inner = of_model(inside).fields if inside is not None else None
    return Vocabulary(name, inner, shape.choices, many=shape.kind == "elements")


def of_fields(name: str, found: Mapping[str, FieldInfo]) -> Vocabulary:
    """That of a native record with the fields that `discover` found."""
    if not found:
        return Vocabulary(name)
    return Vocabulary(name, lambda: {key: _native(key, info) for key, info in found.items()})


def _native(name: str, info: FieldInfo) -> Vocabulary:
    return Vocabulary(name, of_fields(name, info.fields).fields, info.choices, many=info.type == "list")


def misspelt(expression: Expression, of: Vocabulary) -> list[str]:
    """What the expression names though it does not exist, a sentence each."""
    reader = _Reader()
    reader.read(expression.tree, of)
    return list(dict.fromkeys(reader.problems))


class _Reader:
    """Goes through an expression with what is known of the data at each place."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read(self, node: Node, data: Vocabulary) -> Vocabulary:
        """What is known of the value of this part of the expression."""
        way = getattr(self, "_" + node["type"], self._parts)
        found: Vocabulary = way(node, data)
        return found

    def _parts(self, node: Node, data: Vocabulary) -> Vocabulary:
        for child in node["children"]:
            self.read(child, data)
        return UNKNOWN

    def _chain(self, node: Node, data: Vocabulary) -> Vocabulary:
        for child in node["children"]:
            data = self.read(child, data)
        return data

    _subexpression = _index_expression = _pipe = _chain

    def _field(self, node: Node, data: Vocabulary) -> Vocabulary:
        name = node["value"]
        if data.fields is None:
            return UNKNOWN
        if data.many:
            self.problems.append(f"{data.name} is a list: write {data.name}[].{name}")
            return UNKNOWN
        fields = data.fields()
        if name not in fields:
            self.problems.append(f"{data.name} has no field {name!r}; {meant(name, fields)}")
        return fields.get(name, UNKNOWN)

    def _current(self, _node: Node, data: Vocabulary) -> Vocabulary:
        return data

    _identity = _slice = _current

    def _index(self, _node: Node, data: Vocabulary) -> Vocabulary:
        return data.one()

    def _flatten(self, node: Node, data: Vocabulary) -> Vocabulary:
        return self.read(node["children"][0], data)

    def _projection(self, node: Node, data: Vocabulary) -> Vocabulary:
        base, rest = node["children"]
        return self._each(rest, self.read(base, data))

    def _filter_projection(self, node: Node, data: Vocabulary) -> Vocabulary:
        base, rest, condition = node["children"]
        elements = self.read(base, data)
        self.read(condition, elements.one())
        return self._each(rest, elements)

    def _each(self, rest: Node, elements: Vocabulary) -> Vocabulary:
        found = self.read(rest, elements.one())
        return Vocabulary(found.name, found.fields, found.choices, many=True)

    def _value_projection(self, node: Node, data: Vocabulary) -> Vocabulary:
        self.read(node["children"][0], data)
        return UNKNOWN

    def _literal(self, _node: Node, _data: Vocabulary) -> Vocabulary:
        return UNKNOWN

    def _expref(self, _node: Node, _data: Vocabulary) -> Vocabulary:
        return UNKNOWN  # it is asked of the elements of another argument

    def _comparator(self, node: Node, data: Vocabulary) -> Vocabulary:
        left, right = node["children"]
        known = self.read(left, data), self.read(right, data)
        if node["value"] in ("eq", "ne"):
            self._compare(left, known[1], known[1].choices)
            self._compare(right, known[0], known[0].choices)
        return UNKNOWN

    def _function_expression(self, node: Node, data: Vocabulary) -> Vocabulary:
        known = [self.read(child, data) for child in node["children"]]
        if node["value"] == "has" and len(known) == 2:
            self._compare(node["children"][1], known[0], known[0].all_choices())
        elif node["value"] == "contains" and known[0].many:  # in a text it looks for a part
            self._compare(node["children"][1], known[0], known[0].choices)
        elif node["value"] == "contains" and not _is_text(node["children"][0]):
            self._compare(node["children"][0], known[1], known[1].choices)
        return UNKNOWN

    def _compare(self, node: Node, other: Vocabulary, choices: tuple[str, ...]) -> None:
        for value in _texts(node) if choices else ():
            if value not in choices:
                self.problems.append(f"{other.name} is never {value!r}; {meant(value, choices)}")


def _is_text(node: Node) -> bool:
    return node["type"] == "literal" and isinstance(node["value"], str)


def _texts(node: Node) -> Iterator[str]:
    """The texts that an expression consists of: 'a', or ['a', 'b']."""
    if node["type"] == "literal":
        value = node["value"]
        yield from (part for part in (value if isinstance(value, list) else [value]) if isinstance(part, str))
    elif node["type"] == "multi_select_list":
        for child in node["children"]:
            yield from _texts(child)
