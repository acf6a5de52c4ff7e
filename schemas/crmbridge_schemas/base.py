"""The base types of the canonical model: what every entity is made of.

Three states. A field of a canonical record is *unset* (the key is absent: the system does not carry it,
or did not say), *null* (the system says that it is empty) or a *value*. In a model that is
`model_fields_set` and None; as JSON it is an absent key and `null`. Hence every field of an entity is
optional, and `canonical(model)` writes only what was set.

Exactness. Money and quantities are Decimal, written to JSON as strings in plain notation without
trailing zeros, so that equal numbers are equal text. Instants are aware; they are written as ISO 8601
with the offset that the source gave (UTC as `Z`), and compared after `normal_form`. Business dates stay
dates. Text is Unicode NFC and otherwise untouched. A number where text is wanted is its digits.

Sources. The description of a field ends with the standard that it comes from, or with the field of a
widespread system where no standard has it, or with "no standard".

Inside a `Value` there are two states only: absent and null are the same, and `canonical` leaves both out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

__all__ = [
    "CountryCode",
    "CurrencyCode",
    "Day",
    "Element",
    "Entity",
    "Exact",
    "FieldMeta",
    "Identifier",
    "Instant",
    "Meta",
    "Money",
    "NativeId",
    "NonEmpty",
    "Quantity",
    "Ref",
    "Text",
    "Value",
    "canonical",
    "field_meta",
    "instant",
    "list_element",
    "normal_form",
    "status_field",
]


# -- what the engine is told about a field -----------------------------------------------------

PersonalData = Literal[
    "none", "name", "contact", "location", "birth", "government-id", "financial", "content"
]


@dataclass(frozen=True, slots=True)
class FieldMeta:
    """What the engine needs to know of a field beside its type."""

    identity: str | None = None
    """The kind of evidence that it is in matching: `email`, `phone`, `name`, `tax-id`, `identifier`, `birth`;
    `contact`: an e-mail address or phone number, as the element's `type` says."""
    personal: PersonalData = "none"
    """Class of personal data, for erase, export and redaction (GDPR, Art. 4(1))."""
    merge_key: bool = False
    """Part of the natural key of a list element: elements that agree on it are one at first contact."""
    merge_as: tuple[tuple[str, str], ...] = ()
    """Values that count as another one in the natural key (`mobile` as `phone`)."""
    merge_alike: bool = False
    """May be missing, cut short or longer, as a street may: elements meet where what both say agrees."""
    merge_apart: bool = False
    """Elements that say different things here are two, whatever their key says (the role of an address)."""
    refers_to: str | None = None
    """The entity that a `Ref` points to."""
    computed: bool = False
    """The owning system computes it (totals): compared and reported, never merged by time."""
    status: bool = False
    """The state of a document: kept per system, moved by transitions, never merged by time. Its values are
    declared in the order in which a document passes them."""
    survivorship: str = "latest"
    """The rule where the config names none."""
    required: bool = False
    """A record without it makes no sense of its own and is rejected."""

    def stated(self) -> dict[str, Any]:
        """What differs from the default, as JSON-ready data."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        stated = {name: value for name, value in parts.items() if value != getattr(_NO_META, name)}
        if self.merge_as:
            stated["merge_as"] = dict(self.merge_as)
        return stated

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core_schema), "x-crmbridge": self.stated()}


def Meta(**parts: Any) -> FieldMeta:  # noqa: N802 - reads as an annotation: Annotated[str, Meta(identity="email")]
    """`FieldMeta` by keyword, for use in `Annotated`."""
    return FieldMeta(**parts)


_NO_META = FieldMeta()


def field_meta(model: type[BaseModel], name: str) -> FieldMeta:
    """The `FieldMeta` of a model's field; the default one where it has none."""
    for item in model.model_fields[name].metadata:
        if isinstance(item, FieldMeta):
            return item
    return _NO_META


# -- scalars -----------------------------------------------------------------------------------


def _nfc(text: str) -> str:
    if "\x00" in text:
        raise ValueError(
            f"contains the character NUL at position {text.index(chr(0))}; remove it at the source"
        )
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"is no valid Unicode: half of a surrogate pair (U+{ord(text[error.start]):04X}) at position"
            f" {error.start}; the text was cut or decoded wrongly at the source"
        ) from None
    return unicodedata.normalize("NFC", text)


def _plain(number: Decimal) -> str:
    """Plain notation; equal numbers give equal text. (`Decimal.normalize` would round to 28 digits.)"""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").removesuffix(".")
    return "0" if text == "-0" else text


def _iso_instant(value: Any) -> Any:
    """Refuses what pydantic would take for seconds or milliseconds since 1970: which one is a guess."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise PydanticCustomError(
        "iso_instant", "must be an ISO 8601 instant with an offset, as 2026-03-29T14:05:00+02:00"
    )


def _iso_day(value: Any) -> Any:
    """Refuses instants too: on which day one falls depends on the place."""
    if isinstance(value, str) and len(value) == 10 and value[4] == "-":
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise PydanticCustomError("iso_day", "must be an ISO 8601 date, as 2026-03-29")


Text = Annotated[str, AfterValidator(_nfc)]
"""Unicode NFC, otherwise as the system gave it."""

NonEmpty = Annotated[str, StringConstraints(min_length=1), AfterValidator(_nfc)]
"""Text with at least one character."""

NativeId = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$")]
"""A system's own id: never empty, and handed back exactly as it came (hence not NFC)."""

Exact = Annotated[
    Decimal,
    PlainSerializer(_plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}),
]
"""A finite decimal number without loss; JSON: a string in plain notation."""

Instant = Annotated[AwareDatetime, BeforeValidator(_iso_instant)]
"""A point in time with its offset (ISO 8601 / RFC 3339)."""

Day = Annotated[date, BeforeValidator(_iso_day)]
"""A business date, which has no time and no zone (ISO 8601)."""

CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217, alphabetic."""

CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""


# -- composite values: each is one value, decided as a whole -----------------------------------


class Value(BaseModel):
    """A composite that is one value: it is set, compared and decided as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, defer_build=True)


class Money(Value):
    """An amount in a currency (UBL Amount)."""

    amount: Exact
    """How much, in whole units of the currency: 12.5, not 1250 cents (UBL `Amount`)."""
    currency: CurrencyCode
    """ISO 4217 (UBL `currencyID`)."""
    tax_included: bool | None = None
    """Whether tax is inside the amount; None where the question does not arise, as in a payment
    (schema.org `valueAddedTaxIncluded`)."""


class Quantity(Value):
    """A number of units (UBL Quantity)."""

    value: Exact
    """How many or how much, in `unit` (UBL `Quantity`)."""
    unit: Text = "C62"
    """UN/ECE Recommendation 20 code (C62: piece) or the system's own unit symbol."""


class Ref(Value):
    """A reference to another record.

    On the way in it holds the native id in its stream; in the hub the engine reads it as the golden
    record that this native record is linked to; on the way out it is a native id again.
    """

    entity: str
    """The canonical type that is referred to: `party`, `product` ... (no standard)."""
    stream: str | None = None
    """The stream of the same system in which `id` is a native id; None: the entity's only stream (no
    standard)."""
    id: NativeId
    """The native id, or in the hub the golden id (no standard)."""


# -- elements of set-lists ---------------------------------------------------------------------


class Element(BaseModel):
    """An element of a set-list: linked like a record, by its native child id where it has one.

    `id` is never compared between systems. The fields marked `merge_key` match elements at first contact
    and wherever there is no child id.
    """

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, defer_build=True)

    id: NativeId | None = None
    """The native id of the child, or the name of the slot that shows it (`slot:phone`; no standard)."""


class Identifier(Element):
    """A number or code by which somebody knows the thing (UBL PartyIdentification, ItemIdentification)."""

    scheme: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$"), Meta(merge_key=True)]
    """Which kind of number: `vat`, `cn.uscc`, `duns`, `gln`, `gtin`, `sku`, `email-login`,
    `shop-customer-no` ... (UBL `ID/@schemeID`)."""
    value: Annotated[Text, Meta(merge_key=True, identity="identifier", personal="government-id")]
    """The number or code, as its issuer writes it (UBL `ID`)."""
    issuer: Annotated[Text | None, Meta(merge_key=True)] = None
    """Who gave it, where the scheme alone does not say: a country, a system, a register (UBL
    `ID/@schemeAgencyID`)."""


# -- entities ----------------------------------------------------------------------------------


class Entity(BaseModel):
    """A canonical type. Every field is optional in the model: unset, null or a value."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, defer_build=True)

    entity_name: ClassVar[str]
    """The name in config and mappings: `party`, `sales_order` ..."""
    experimental: ClassVar[bool] = True
    """May still change; False once a connector has met a real system with it."""
    matched: ClassVar[bool] = False
    """Records of different systems are matched by identity (party, product). The others keep the natural
    key in `natural_key`, or stay with the system that made them."""
    natural_key: ClassVar[tuple[str, ...]] = ()
    """Fields that together name the thing in every system (who numbers it, and the number). A record that
    lacks one of them has no natural key."""
    document: ClassVar[bool] = False
    """An order, shipment, invoice: it has an owner and a status, and closes."""


# -- canonical data: a model as JSON-ready data -------------------------------------------------


def canonical(model: BaseModel) -> dict[str, Any]:
    """The model as JSON-ready data with only the fields that were set."""
    data = model.model_dump(mode="json", exclude_unset=True)
    _complete_values(type(model), data)
    return data


def _complete_values(model: type[BaseModel], data: dict[str, Any]) -> None:
    """Gives every `Value` its one form: no nulls, and its defaults, whoever left them out."""
    for name, inner, many in _nested(model, Value):
        part = data.get(name)
        if not part:
            continue
        for item in part if many else (part,):
            if issubclass(inner, Value):
                for key in [key for key, value in item.items() if value is None]:
                    del item[key]
                for key, default in _defaults(inner):
                    item.setdefault(key, default)
            _complete_values(inner, item)


@cache
def _defaults(model: type[Value]) -> tuple[tuple[str, Any], ...]:
    declared = (
        (name, field.get_default()) for name, field in model.model_fields.items() if not field.is_required()
    )
    return tuple((name, default) for name, default in declared if default is not None)


def normal_form(model: type[BaseModel], data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Canonical data for comparison: instants are in UTC, so that what is equal is equal as text.

    `data` is what `canonical` gives for a `model`, or some of its fields. It is not changed; where there
    is no instant it is returned itself.
    """
    nested = _nested(model, AwareDatetime)
    if not nested:
        return data
    normal = dict(data)
    for name, inner, many in nested:
        part = normal.get(name)
        if part is None:
            continue
        if inner is AwareDatetime:
            normal[name] = _utc(part)
        else:
            normal[name] = [normal_form(inner, item) for item in part] if many else normal_form(inner, part)
    return normal


def instant(text: str) -> datetime:
    """An ISO 8601 instant as written by `canonical`."""
    return datetime.fromisoformat(text)


def _utc(text: str) -> str:
    try:
        moment = instant(text).astimezone(UTC)
    except OverflowError:  # 0001-01-01T00:00:00+08:00, the empty date of some systems, has no UTC form
        return text
    return moment.isoformat().replace("+00:00", "Z")


# -- what a model is made of --------------------------------------------------------------------


@cache
def status_field(model: type[BaseModel]) -> tuple[str, tuple[str, ...]] | None:
    """The field that holds the state of a document and its values, from the first to the last; None where
    the entity has none."""
    name = next((name for name in model.model_fields if field_meta(model, name).status), None)
    return (name, _choices(model.model_fields[name].annotation)) if name else None


def _choices(annotation: Any) -> tuple[str, ...]:
    """The values of the first Literal in an annotation."""
    if get_origin(annotation) is Literal:
        return tuple(get_args(annotation))
    return next((found for part in get_args(annotation) if (found := _choices(part))), ())


def list_element(model: type[BaseModel], name: str) -> type[Element] | None:
    """The element type of a set-list field, or None where the field is no set-list."""
    for part in _parts(model.model_fields[name].annotation):
        if get_origin(part) is list:
            (inner,) = get_args(part)
            for candidate in _parts(inner):
                if isinstance(candidate, type) and issubclass(candidate, Element):
                    return candidate
    return None


@cache
def _nested(model: type[BaseModel], wanted: type) -> tuple[tuple[str, type[Any], bool], ...]:
    """The fields that are, or have somewhere inside, a `wanted`: their names, types, and whether
    set-lists."""
    found: list[tuple[str, type[Any], bool]] = []
    for name, field in model.model_fields.items():
        element = list_element(model, name)
        parts = [element] if element else _parts(field.annotation)
        found.extend((name, part, element is not None) for part in parts if _leads_to(part, wanted))
    return tuple(found)


def _leads_to(part: Any, wanted: type) -> bool:
    if not isinstance(part, type):
        return False
    return issubclass(part, wanted) or (issubclass(part, BaseModel) and bool(_nested(part, wanted)))


def _parts(annotation: Any) -> Iterator[Any]:
    """The members of a union, through `Annotated`; the annotation itself where it is none."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin is list or origin is None:
        yield annotation
    else:
        for member in get_args(annotation):
            yield from _parts(member)
