"""What kind of value a field of a canonical model holds, as far as mappings treat kinds differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from crmbridge_schemas.base import Element, Ref, list_element

__all__ = ["Shape", "checked_constant", "mappable", "shape_of"]

Kind = Literal["text", "exact", "reference", "composite", "elements", "other"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One field's kind of value."""

    kind: Kind
    model: type[BaseModel] | None = None
    """For `composite` and `elements`: the type of the whole or of one element."""
    choices: tuple[str, ...] = ()
    """The only values, where the model lists them."""


@cache
def shape_of(model: type[BaseModel], name: str) -> Shape:
    """The shape of `model`'s field `name`."""
    element = list_element(model, name)
    if element is not None:
        return Shape("elements", element)
    members = list(_members(model.model_fields[name].annotation))
    types = [member for member in members if isinstance(member, type)]
    for kind in types:
        if issubclass(kind, Ref):
            return Shape("reference", kind)
        if issubclass(kind, BaseModel):
            return Shape("composite", kind)
    if Decimal in types:
        return Shape("exact")
    choices = tuple(
        str(value) for member in members if get_origin(member) is Literal for value in get_args(member)
    )
    if choices or str in types:
        return Shape("text", choices=choices)
    return Shape("other")


def _members(annotation: Any) -> Iterator[Any]:
    """The members of a union, through `Annotated`."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def checked_constant(model: type[BaseModel], name: str, value: Any) -> Any:
    """`value` as canonical data of the field. Raises pydantic's ValidationError."""
    field = model.model_fields[name]
    annotation: Any = field.annotation
    for item in field.metadata:
        annotation = Annotated[annotation, item]
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    return adapter.dump_python(adapter.validate_python(value), mode="json", exclude_unset=True)


def mappable(model: type[BaseModel]) -> list[str]:
    """The fields that a mapping may name: an element's own id is not among them."""
    return [name for name in model.model_fields if not (name == "id" and issubclass(model, Element))]
