"""The base types of the canonical model: what every entity is made of.

Three states. A field of a canonical record is *unset* (the key is absent: the system does not carry it,
or did not say), *null* (the system says that it is empty) or a *value*. In a model that is
`model_fields_set` and None; as JSON it is an absent key and `null`. Hence every field of an entity is
optional, and `canonical(model)` writes only what was set.

Exactness. Money and quantities are Decimal, written to JSON as strings in plain notation. Instants are
aware; they are written as ISO 8601 with the offset that the source gave. Business dates stay dates.
Text is Unicode NFC and otherwise untouched.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

__all__ = [
    "CountryCode",
    "CurrencyCode",
    "Element",
    "Entity",
    "Exact",
    "FieldMeta",
    "Identifier",
    "Instant",
    "Meta",
    "Money",
    "Quantity",
    "Ref",
    "Text",
    "Value",
    "canonical",
    "field_meta",
    "list_element",
]


# -- what the engine is told about a field -----------------------------------------------------

PersonalData = Literal["none", "name", "contact", "location", "birth", "government-id", "financial", "content"]


@dataclass(frozen=True, slots=True)
class FieldMeta:
    """What the engine needs to know of a field beside its type."""

    identity: str | None = None
    """The kind of evidence that it is in matching: `email`, `phone`, `name`, `tax-id`, `identifier`, `birth`."""
    personal: PersonalData = "none"
    """Class of personal data, for erase, export and redaction (GDPR, Art. 4(1))."""
    merge_key: bool = False
    """Part of the natural key of a list element: elements that agree on it are one at first contact."""
    computed: bool = False
    """The owning system computes it (totals): compared and reported, never merged by time."""
    status: bool = False
    """The state of a document: kept per system, moved by transitions, never merged by time."""
    survivorship: str = "latest"
    """The rule where the config names none."""
    required: bool = False
    """A record without it makes no sense of its own and is rejected."""


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
        raise ValueError("contains the character NUL; remove it at the source")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _plain(number: Decimal) -> str:
    return format(number, "f")


def _finite(number: Decimal) -> Decimal:
    if not number.is_finite():
        raise ValueError("must be a finite number")
    return number


Text = Annotated[str, AfterValidator(_nfc)]
"""Unicode NFC, otherwise as the system gave it."""

Exact = Annotated[
    Decimal,
    AfterValidator(_finite),
    PlainSerializer(_plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}),
]
"""A decimal number without loss; JSON: a string in plain notation."""

Instant = AwareDatetime
"""A point in time with its offset (ISO 8601 / RFC 3339)."""

CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217, alphabetic."""

CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""


# -- composite values: each is one value, decided as a whole -----------------------------------


class Value(BaseModel):
    """A composite that is one value: it is set, compared and decided as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Money(Value):
    """An amount in a currency (UBL Amount)."""

    amount: Exact
    currency: CurrencyCode
    tax_included: bool | None = None
    """Whether tax is inside the amount; None where the question does not arise (a payment)."""


class Quantity(Value):
    """A number of units (UBL Quantity)."""

    value: Exact
    unit: Text = "C62"
    """UN/ECE Recommendation 20 code (C62: piece) or the system's own unit symbol."""


class Ref(Value):
    """A reference to another record.

    On the way in it holds the native id in its stream; in the hub the engine reads it as the golden
    record that this native record is linked to; on the way out it is a native id again.
    """

    entity: str
    """The canonical type that is referred to: `party`, `product` ..."""
    stream: str | None = None
    """The stream of the same system in which `id` is a native id; None: the entity's only stream."""
    id: str


# -- elements of set-lists ---------------------------------------------------------------------


class Element(BaseModel):
    """An element of a set-list: linked like a record, by its native child id where it has one.

    `id` is never compared between systems. The fields marked `merge_key` match elements at first contact
    and wherever there is no child id.
    """

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    """The native id of the child, or the name of the slot that shows it (`slot:phone`)."""


class Identifier(Element):
    """A number or code by which somebody knows the thing (UBL PartyIdentification, ItemIdentification)."""

    scheme: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$"), Meta(merge_key=True)]
    """`vat`, `cn.uscc`, `duns`, `gln`, `gtin`, `sku`, `email-login`, `shop-customer-no` ..."""
    value: Annotated[Text, Meta(merge_key=True, identity="identifier", personal="government-id")]
    issuer: Annotated[Text | None, Meta(merge_key=True)] = None
    """Who gave it, where the scheme alone does not say: a country, a system, a register."""


# -- entities ----------------------------------------------------------------------------------


class Entity(BaseModel):
    """A canonical type. Every field is optional in the model: unset, null or a value."""

    model_config = ConfigDict(extra="forbid")

    entity_name: ClassVar[str]
    """The name in config and mappings: `party`, `sales_order` ..."""
    experimental: ClassVar[bool] = True
    """May still change; False once a connector has met a real system with it."""
    matched: ClassVar[bool] = False
    """Records of different systems are matched by identity (party, product). The others keep the natural
    key in `natural_key`, or stay with the system that made them."""
    natural_key: ClassVar[tuple[str, ...]] = ()
    """Fields that together name the thing in every system (an order's number)."""
    document: ClassVar[bool] = False
    """An order, shipment, invoice: it has an owner and a status, and closes."""


def canonical(model: BaseModel) -> dict[str, Any]:
    """The model as JSON-ready data with only the fields that were set."""
    return model.model_dump(mode="json", exclude_unset=True)


def list_element(model: type[BaseModel], name: str) -> type[Element] | None:
    """The element type of a set-list field, or None where the field is no set-list."""
    for part in _parts(model.model_fields[name].annotation):
        if get_origin(part) is list:
            (inner,) = get_args(part)
            for candidate in _parts(inner):
                if isinstance(candidate, type) and issubclass(candidate, Element):
                    return candidate
    return None


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


def instant(text: str) -> datetime:
    """An ISO 8601 instant as written by `canonical`."""
    return datetime.fromisoformat(text)


NonEmpty = Annotated[Text, Field(min_length=1)]
"""Text with at least one character."""
