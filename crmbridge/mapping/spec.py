"""A mapping file as pydantic models: what may be written. What it does is in `compile.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

__all__ = [
    "AlsoSpec",
    "CodecSpec",
    "CompositeSpec",
    "EachSpec",
    "FieldSpec",
    "FieldsSpec",
    "FileSpec",
    "SlotSpec",
]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


Path = Annotated[str, Field(min_length=1)]
"""Dotted path into the native record: `country.code`, `emails[type=work].value`, `"Tel. (work)"`."""

Scalar = str | int | bool | None

OneCodec = str | Annotated[dict[str, Any], Field(min_length=1, max_length=1)]
CodecSpec = OneCodec | Annotated[list[OneCodec], Field(min_length=1)]
"""`lines`, `{e164: DE}`, or several in the order of reading: `[strip, lower]`."""


class FieldSpec(_Spec):
    """One canonical field. Only `path`: the value goes both ways as it is."""

    path: Path | None = None
    """Where it stands in the native record."""
    read: str | None = None
    """A JMESPath expression over the native record instead of a path, or `never`. Read-only by itself."""
    write: str | dict[Path, str] | None = None
    """`never`; `transition` for a status that is reached by steps; another path to write to; or native paths
    with JMESPath expressions over the canonical value (`@`)."""
    codec: CodecSpec | None = Field(None, alias="as")
    """The two-way change of form between the native and the canonical value."""
    values: dict[str, Scalar] | None = None
    """Native value: canonical value, for values that have other names here. Null: the word for "empty"."""
    write_values: dict[str, Scalar] | None = None
    """Canonical value: native value, where several native values mean the same, or one means several."""
    const: Any = None
    """The value that every record of this stream has. Evidence only: it is never written."""
    ref: str | None = None
    """For references: the stream whose native id stands here."""
    also: str | None = None
    """For references: the document that `also:` NAME makes of the record named by `path`."""
    required: bool = False
    """The system refuses null here."""
    blank: Literal["null", "keep"] = "null"
    """What text of blanks only means: null, or itself."""


class CompositeSpec(_Spec):
    """A field with parts: an amount with its currency, an address on a document."""

    fields: FieldsSpec
    """The parts, each mapped like a field."""
    const: dict[str, Any] = {}
    """Parts that are always the same; a value that says otherwise cannot be written here."""
    codec: CodecSpec | None = Field(None, alias="as")
    """For the parts together, as `money_minor_units`."""
    write: Literal["never"] | None = None
    """`never`: it is only read."""
    required: bool = False
    """The system refuses null here."""


class EachSpec(_Spec):
    """A list whose elements are the children in a native list."""

    each: Path
    """Where the native list stands."""
    fields: FieldsSpec
    """The fields of an element; paths start at the child (`@`: the child itself, if it is a plain value)."""
    when: str | None = None
    """Which children are taken: a JMESPath expression over the child."""
    id: str | None = None
    """The key of a child's own id, where the connector does not say it."""
    const: dict[str, Any] = {}
    """Fields that every element has."""
    write: Literal["never"] | None = None
    """`never`: it is only read."""
    required: bool = False
    """The system refuses an empty list."""


class SlotSpec(_Spec):
    """One element of a list, in fields of the record itself: the one e-mail, the billing address."""

    slot: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    """Its name in this system."""
    const: dict[str, Any] = {}
    """What the element is: `{type: email}`."""
    fields: FieldsSpec = {}
    """The other fields of the element; paths start at the record."""
    present: Path | FieldSpec | None = None
    """A truth value that says whether the element is there."""


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "SlotList"
    if isinstance(value, dict):
        return "EachSpec" if "each" in value else "CompositeSpec" if "fields" in value else "FieldSpec"
    if isinstance(value, BaseModel):
        return type(value).__name__
    return "Path" if value is not None else "Removed"


FieldEntry = Annotated[
    Annotated[Path, Tag("Path")]
    | Annotated[FieldSpec, Tag("FieldSpec")]
    | Annotated[CompositeSpec, Tag("CompositeSpec")]
    | Annotated[EachSpec, Tag("EachSpec")]
    | Annotated[list[SlotSpec], Field(min_length=1), Tag("SlotList")]
    | Annotated[None, Tag("Removed")],
    Discriminator(_kind),
]
"""A path, a field, a composite, a native list, slots; null removes the field of a shipped mapping."""

FieldsSpec = dict[str, FieldEntry]
"""By canonical field. Inside composites and elements also several at once: `province, city, district`."""


class AlsoSpec(_Spec):
    """A further canonical record in the same native one."""

    entity: str
    """Its canonical type."""
    key: str
    """A JMESPath expression over the native record that names it: the company's name or number. Where it is
    null there is no such record."""
    when: str | None = None
    """Which native records have one."""
    fields: FieldsSpec
    """Its fields. They inform identity and fill gaps, and are never written."""


class FileSpec(_Spec):
    """A mapping file."""

    system: str | list[str] | None = None
    """The systems that it is for; in a connector's own mappings there is none."""
    stream: str
    """The object type of the system."""
    entity: str
    """The canonical type."""
    when: str | None = None
    """Which native records are taken: a JMESPath expression."""
    create_when: str | None = None
    """Which golden records are created in this stream, where several streams hold the entity."""
    on_create: dict[Path, Any] = {}
    """Native fields that every create sets besides."""
    fields: FieldsSpec
    """Canonical field: where it stands."""
    also: dict[str, AlsoSpec | None] = {}
    """Further canonical records in the same native one, by name."""
