"""Fields and entities that a deployment declares in its configuration, without touching this package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from crmbridge_schemas.base import (
    Day,
    Entity,
    Exact,
    FieldMeta,
    Instant,
    Meta,
    Money,
    PersonalData,
    Quantity,
    Ref,
    Text,
)

__all__ = ["CustomEntity", "CustomField", "CustomSchemaError", "new_entity", "with_fields"]

FieldType = Literal[
    "text", "integer", "decimal", "boolean", "date", "instant", "money", "quantity", "ref", "text_list"
]

_TYPES: dict[str, Any] = {
    "text": Text,
    "integer": int,
    "decimal": Exact,
    "boolean": bool,
    "date": Day,
    "instant": Instant,
    "money": Money,
    "quantity": Quantity,
    "ref": Ref,
    "text_list": list[Text],
}

_NAME = r"^[a-z][a-z0-9_]{0,62}$"
_RESERVED = frozenset(dir(Entity)) | {"id"}
"""Names that a pydantic model uses itself; `id` is always the native or golden id."""


class CustomSchemaError(ValueError):
    """A declaration that cannot be. `path` leads to it in the configuration, from `custom_fields` on."""

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        super().__init__(f"{'.'.join(path)}: {message}")
        self.path = path
        self.message = message


class CustomField(BaseModel):
    """A declared field: its type alone (`nickname: text`) or a table with what follows. Mappings name it
    like any other field."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    type: FieldType
    """What it holds: `text`, `integer`, `decimal`, `boolean`, `date`, `instant`, `money`, `quantity`,
    `ref`, or `text_list`, which is one value, set and compared as a whole."""
    entity: str | None = None
    """For `ref`: the entity that it refers to."""
    description: str = ""
    """What it means."""
    identity: Literal["email", "phone", "tax-id", "identifier"] | None = None
    """For text and integers of a party or product: records that agree on it are one, as they are by an e-mail
    address, a phone number (both: if the names agree) or a number that speaks for itself."""
    personal: PersonalData = "none"
    """Class of personal data: none, name, contact, location, birth, government-id, financial or content.
    `find` looks into texts, unless they are content."""
    computed: bool = False
    """One system computes it: compared and reported, never merged by time."""
    required: bool = False
    """Only in a custom entity: a record without it is rejected."""

    @model_validator(mode="before")
    @classmethod
    def _type_alone(cls, declared: Any) -> Any:
        return {"type": declared} if isinstance(declared, str) else declared

    @model_validator(mode="after")
    def _evidence_is_text(self) -> CustomField:
        if self.identity and self.type not in ("text", "integer"):
            raise ValueError(f"`identity` is for text and integers, not for {self.type}")
        return self

    @model_validator(mode="after")
    def _ref_has_entity(self) -> CustomField:
        if (self.type == "ref") != (self.entity is not None):
            raise ValueError("`entity` names what a `ref` refers to: give both or neither")
        return self


class CustomEntity(BaseModel):
    """An entity that the canonical model lacks. `sync:` and mappings name it like any other."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    fields: dict[str, CustomField] = Field(min_length=1)
    """Its fields by name, as in `custom_fields`."""
    description: str = ""
    """What one record of it is."""
    natural_key: tuple[str, ...] = ()
    """The field, or fields, that together name the thing in every system. Without it nothing is matched: each
    record stays one of the system that made it."""

    @field_validator("natural_key", mode="before")
    @classmethod
    def _one_name(cls, declared: Any) -> Any:
        return (declared,) if isinstance(declared, str) else declared


def with_fields(base: type[Entity], declared: Mapping[str, CustomField]) -> type[Entity]:
    """A subclass of `base` with the declared fields as well. Raises CustomSchemaError."""
    entity = base.entity_name
    for name, field in declared.items():
        path = ("custom_fields", entity, name)
        if name in base.model_fields:
            raise CustomSchemaError(
                path, f"{entity} has a field `{name}` already; choose another name or map to that one"
            )
        if field.required:
            raise CustomSchemaError(
                path, f"a field added to {entity} can't be required: other systems don't have it"
            )
        _check_name(path, name)
    return create_model(base.__name__, __base__=base, __module__=base.__module__, **_definitions(declared))


def new_entity(name: str, declared: CustomEntity) -> type[Entity]:
    """The class of a declared entity. Raises CustomSchemaError."""
    path = ("custom_entities", name)
    _check_name(path, name)
    for field in declared.fields:
        _check_name((*path, "fields", field), field)
    for field in declared.natural_key:
        if field not in declared.fields:
            raise CustomSchemaError((*path, "natural_key"), f"{name} has no field `{field}`")
    class_name = "".join(word.capitalize() for word in name.split("_"))
    entity = create_model(
        class_name, __base__=Entity, __doc__=declared.description or None, **_definitions(declared.fields)
    )
    entity.entity_name = name
    entity.natural_key = declared.natural_key
    return entity


def _check_name(path: tuple[str, ...], name: str) -> None:
    if not re.match(_NAME, name):
        raise CustomSchemaError(
            path, f"`{name}` is no name: use lower-case letters, digits and _, a letter first"
        )
    if name in _RESERVED:
        raise CustomSchemaError(path, f"`{name}` is a reserved name; choose another one")


def _definitions(declared: Mapping[str, CustomField]) -> dict[str, Any]:
    return {name: (_annotation(field), _default(field)) for name, field in declared.items()}


def _annotation(field: CustomField) -> Any:
    meta: FieldMeta = Meta(
        identity=field.identity,
        personal=field.personal,
        computed=field.computed,
        required=field.required,
        refers_to=field.entity,
    )
    return Annotated[_TYPES[field.type] | None, meta]


def _default(field: CustomField) -> Any:
    return Field(default=None, description=field.description or None)
