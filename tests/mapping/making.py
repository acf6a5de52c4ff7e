"""Mappings made from a few lines of YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from crmbridge import yamlfile
from crmbridge.mapping import Mapping as CompiledMapping
from crmbridge.mapping.compile import compile_mapping
from crmbridge.mapping.compiler import Target, Toolbox
from crmbridge.mapping.paths import UNSET
from crmbridge.mapping.spec import FileSpec
from crmbridge.mapping.transforms import builtin_codecs
from crmbridge.sdk.errors import ConfigError
from crmbridge_schemas.base import (
    Day,
    Element,
    Entity,
    Exact,
    Identifier,
    Instant,
    Meta,
    Money,
    NonEmpty,
    Ref,
    Text,
    Value,
)


class Point(Element):
    """A contact point."""

    type: Annotated[Literal["email", "phone", "wechat"], Meta(merge_key=True)]
    value: Annotated[NonEmpty, Meta(merge_key=True)]
    label: Text | None = None


class Place(Element):
    """An address as an element."""

    role: Literal["main", "billing"] | None = None
    lines: list[Text] | None = None
    city: Text | None = None
    district: Text | None = None
    province: Text | None = None


class Copied(Value):
    """An address as one value."""

    lines: list[Text] | None = None
    city: Text | None = None
    kind: Text = "postal"


class Role(Element):
    """A role."""

    role: Annotated[Literal["customer", "supplier"], Meta(merge_key=True)]


class Keeper(Element):
    """Nothing but a reference."""

    keeper: Annotated[Ref, Meta(refers_to="user", merge_key=True)]
    since: Text | None = None


class Thing(Entity):
    """An entity with every kind of field."""

    entity_name: ClassVar[str] = "thing"

    name: Text | None = None
    kind: Literal["person", "organization"] | None = None
    stage: Text | None = None
    note: Text | None = None
    active: bool | None = None
    count: int | None = None
    rate: Exact | None = None
    price: Money | None = None
    born: Day | None = None
    seen_at: Instant | None = None
    tags: list[Text] | None = None
    owner: Annotated[Ref | None, Meta(refers_to="user")] = None
    ship_to: Copied | None = None
    points: list[Point] | None = None
    places: list[Place] | None = None
    roles: list[Role] | None = None
    identifiers: list[Identifier] | None = None
    keepers: list[Keeper] | None = None


class Firm(Entity):
    """Another entity."""

    entity_name: ClassVar[str] = "firm"

    name: Text | None = None


ENTITIES: dict[str, type[Entity]] = {"thing": Thing, "firm": Firm}


def compiled(
    fields: str,
    *,
    head: str = "",
    absent: Any = UNSET,
    child_ids: Mapping[str, str] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> CompiledMapping:
    """The mapping with these lines below `fields:` and `head` above it. Raises ConfigError."""
    indented = "".join(f"  {line}\n" for line in fields.strip("\n").splitlines())
    text = f"stream: rows\nentity: thing\n{head}fields:\n{indented}"
    return from_yaml(text, absent=absent, child_ids=child_ids, functions=functions)


def from_yaml(
    text: str,
    *,
    absent: Any = UNSET,
    child_ids: Mapping[str, str] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> CompiledMapping:
    """The mapping of a whole file `m.yaml`. Raises one ConfigError with all its mistakes."""
    document = yamlfile.loads(text, "m.yaml")
    toolbox = Toolbox(
        ENTITIES, builtin_codecs("DE", "Europe/Berlin"), functions or {}, ("DE", "Europe/Berlin")
    )
    spec = yamlfile.validate(document, FileSpec)
    made, errors = compile_mapping(document, spec, toolbox, Target("erp", absent, child_ids or {}))
    if errors:
        raise ConfigError("\n".join(str(error) for error in errors), position=errors[0].position)
    assert made is not None
    return made
