"""What the fields of an entity are: the part of the schema that merging and planning look at.

A field is a *scalar* (text, number, Money, Ref ...: decided as a whole) or a *set-list* (its elements are
decided one by one, field by field). Paths are text: `legal_name` for a scalar, `contact_points/ID` for the
presence of an element, `contact_points/ID/value` for a field of it. Element ids never hold a slash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel

from crmbridge.identity.normalize import are_other_phones, email_form, phone_form
from crmbridge_schemas.base import (
    Entity,
    FieldMeta,
    Money,
    Quantity,
    Ref,
    field_meta,
    list_element,
    status_field,
)
from crmbridge_schemas.registry import ENTITIES

__all__ = ["FieldShape", "ListShape", "Shape", "element_path", "shape_of"]

Normal = Callable[[Any], Any]

EXACT_EVIDENCE = frozenset({"email", "phone", "tax-id", "identifier"})


@dataclass(frozen=True, slots=True)
class FieldShape:
    """One scalar field, of an entity or of an element."""

    name: str
    meta: FieldMeta
    is_ref: bool
    normal: Normal | None
    """value -> the form in which two equal values are equal; None: the value itself."""


@dataclass(frozen=True, slots=True)
class ListShape:
    """One set-list and the fields of its elements."""

    name: str
    meta: FieldMeta
    fields: Mapping[str, FieldShape]
    regions: tuple[str, ...] = ()
    """Where phone numbers may be from that don't say it."""

    def merge_key(self, element: Mapping[str, Any]) -> tuple[str, ...]:
        """What matches elements at first contact; empty where the element says nothing that could."""
        return self._key(element, self.regions)

    def own_key(self, element: Mapping[str, Any]) -> tuple[str, ...]:
        """The same by what the element alone says: it stays when the party moves to another country."""
        return self._key(element, ())

    def _key(self, element: Mapping[str, Any], regions: tuple[str, ...]) -> tuple[str, ...]:
        marked = [f for f in self.fields.values() if f.meta.merge_key] or list(self.fields.values())
        key = tuple(_text(self._key_part(part, element, regions)) for part in marked)
        return key if any(key) else ()

    def _key_part(self, part: FieldShape, element: Mapping[str, Any], regions: tuple[str, ...]) -> Any:
        """The normal form, in which some values count as one (a mobile phone is a phone)."""
        value = self._normal(part.name, element, regions)
        return dict(part.meta.merge_as).get(value, value) if isinstance(value, str) else value

    def is_of_one_kind(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether two elements stand for the same purpose: both a phone number, both a billing address. One
        that does not say it may be of any."""
        telling = [f for f in self.fields.values() if f.meta.merge_key or f.meta.merge_apart]
        kinds = [f for f in telling if f.meta.personal == "none"]
        pairs = [(self._key_part(f, one, ()), self._key_part(f, other, ())) for f in kinds]
        return all(mine == theirs or None in (mine, theirs) for mine, theirs in pairs)

    def normal(self, name: str, element: Mapping[str, Any]) -> Any:
        """The normal form of one field; a contact point's value depends on its type."""
        return self._normal(name, element, self.regions)

    def same(self, name: str, one: Any, other: Any, element: Mapping[str, Any]) -> bool:
        """Whether two values, neither null, of one field of an element are equal in its normal form."""
        if name == "value" and "type" in self.fields and are_other_phones(one, other):
            return False
        first, second = {**element, name: one}, {**element, name: other}
        return bool(self.normal(name, first) == self.normal(name, second))

    def _normal(self, name: str, element: Mapping[str, Any], regions: tuple[str, ...]) -> Any:
        value = element.get(name)
        if value is None:
            return None
        if name == "value" and "type" in self.fields:
            return _contact_form(element.get("type"), value, regions)
        shape = self.fields.get(name)
        return shape.normal(value) if shape and shape.normal else value


@dataclass(frozen=True, slots=True)
class Shape:
    """One entity."""

    entity: str
    model: type[Entity]
    scalars: Mapping[str, FieldShape]
    lists: Mapping[str, ListShape]
    status_field: str | None = None
    """The field that holds the state of a document."""
    status_order: tuple[str, ...] = ()
    """Its values, from the first to the last."""
    region: str | None = None
    """Where phone numbers are from that say no country, unless the party is from elsewhere."""
    searched: tuple[str, ...] = ()
    """The fields beyond the canonical model that people find it by: texts, unless they are content, and
    numbers that name it."""
    _abroad: dict[str, Shape] = field(default_factory=dict, compare=False, repr=False)

    @property
    def evidence(self) -> dict[str, str]:
        """The fields that are an exact key by themselves, with its kind: sku, a custom loyalty number."""
        kinds = {name: one.meta.identity or "" for name, one in self.scalars.items()}
        return {name: kind for name, kind in kinds.items() if kind in EXACT_EVIDENCE}

    def in_country(self, country: str | None) -> Shape:
        """The same for a party of this country."""
        if country in (None, self.region):
            return self
        if country not in self._abroad:
            self._abroad[country] = replace(
                self, lists=_read_in(self.lists, country, self.region), _abroad={}
            )
        return self._abroad[country]

    def meta(self, path: str) -> FieldMeta:
        """The metadata that decides for `path`: a list's for its elements."""
        name = path.partition("/")[0]
        return self.lists[name].meta if name in self.lists else self.scalars[name].meta

    def field(self, path: str) -> FieldShape | None:
        """The scalar at `path`; None for the presence of an element."""
        name, _, rest = path.partition("/")
        if not rest:
            return self.scalars.get(name)
        return self.lists[name].fields.get(rest.partition("/")[2])

    def same(self, path: str, one: Any, other: Any, element: Mapping[str, Any] | None = None) -> bool:
        """Whether two values of one field are equal in its normal form."""
        if one == other:
            return True
        if one is None or other is None:
            return False
        name, _, rest = path.partition("/")
        if rest:
            return self.lists[name].same(rest.partition("/")[2], one, other, element or {})
        normal = self.scalars[name].normal
        return bool(normal and normal(one) == normal(other))


def element_path(name: str, element_id: str, inner: str = "") -> str:
    """`contact_points/ID` or `contact_points/ID/value`."""
    return f"{name}/{element_id}/{inner}" if inner else f"{name}/{element_id}"


def _read_in(lists: Mapping[str, ListShape], *regions: str | None) -> dict[str, ListShape]:
    known = tuple(region for region in regions if region)
    return {name: replace(one, regions=known) for name, one in lists.items()}


def shape_of(model: type[Entity], region: str | None = None) -> Shape:
    """The shape of an entity's model. region: where phone numbers are from that say no country."""
    scalars: dict[str, FieldShape] = {}
    lists: dict[str, ListShape] = {}
    for name in model.model_fields:
        element = list_element(model, name)
        if element is None:
            scalars[name] = _field_shape(model, name)
            continue
        inner = {f: _field_shape(element, f) for f in element.model_fields if f != "id"}
        lists[name] = ListShape(name, field_meta(model, name), inner)
    status, order = status_field(model) or (None, ())
    searched = _searched(model)
    return Shape(model.entity_name, model, scalars, _read_in(lists, region), status, order, region, searched)


def _searched(model: type[Entity]) -> tuple[str, ...]:
    canonical = ENTITIES.get(model.entity_name, Entity).model_fields
    return tuple(name for name in model.model_fields if name not in canonical and _is_typed(model, name))


def _is_typed(model: type[Entity], name: str) -> bool:
    """Whether people would type it to find the record."""
    meta = field_meta(model, name)
    types = set(_leaf_types(model.model_fields[name].annotation)) - {type(None)}
    if types == {int}:
        return meta.identity is not None or name in model.natural_key
    return types == {str} and meta.personal != "content"


def _field_shape(model: type[BaseModel], name: str) -> FieldShape:
    types = set(_leaf_types(model.model_fields[name].annotation))
    meta = field_meta(model, name)
    return FieldShape(name, meta, Ref in types, _normal_form(types, meta))


def _leaf_types(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation]
    found: list[Any] = []
    for part in get_args(annotation):
        found.extend(_leaf_types(part))
    return found if get_origin(annotation) is not Union or found else [annotation]


def _normal_form(types: set[Any], meta: FieldMeta) -> Normal | None:
    if Money in types:
        return lambda v: (_number(v.get("amount")), v.get("currency"), v.get("tax_included"))
    if Quantity in types:
        return lambda v: (_number(v.get("value")), v.get("unit"))
    if Ref in types:
        return lambda v: v.get("golden") or (v.get("entity"), v.get("stream"), v.get("id"))
    if Decimal in types:
        return _number
    if datetime in types or AwareDatetime in types:
        return _instant
    if date in types:
        return None
    if meta.identity == "email":
        return email_form
    return phone_form if meta.identity == "phone" else None


def _contact_form(kind: Any, value: Any, regions: tuple[str, ...]) -> Any:
    if kind == "email":
        return email_form(value)
    return phone_form(value, *regions) if kind in ("phone", "mobile", "fax") else value


def _number(value: Any) -> Any:
    try:
        return Decimal(str(value)).normalize()
    except InvalidOperation:
        return value


def _instant(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError):
        return value


def _text(value: Any) -> str:
    return "" if value is None else str(value).casefold().strip()
