"""A model's checks without its objects: what was read becomes canonical JSON text at once.

Every record that is pulled goes through here, and making a model only to write it out again would cost three
times as much. What this cannot vouch for it declines; then the model itself decides, and words the error.
"""

from __future__ import annotations

import types
import unicodedata
from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, Union, cast, get_args, get_origin

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    TypeAdapter,
)
from pydantic import ValidationError as InvalidError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from crmbridge_schemas.base import Text

__all__ = ["Only", "Plain", "plain_text"]

Only = Mapping[str, frozenset[str] | None]
"""The fields that there can be -> for a set-list those of its elements; None: all of them."""

Plain = Callable[[Any], str | None]
"""Native data by canonical names -> canonical JSON text, keys in the order of the entity's fields; None where
the model has to decide."""

_encode = msgspec.json.Encoder().encode
_CONFIG = {"extra", "frozen", "coerce_numbers_to_str", "title", "defer_build"}
_LEAVES = (str, int, bool)
_NFC = get_args(Text)[1]
"""What checks single texts; here they are checked all at once, as one."""


class _UnknownError(Exception):
    """A model says something that only pydantic's models understand."""


def plain_text(model: type[BaseModel], only: Only | None = None) -> Plain | None:
    """What gives the JSON text of `model_dump_json(exclude_unset=True)` for what `model` accepts; None for a
    model whose checks are more than those of its fields' types. Each field that is not looked for saves time:
    `only` says which ones a mapping reads."""
    try:
        check = TypeAdapter(_typed_dict(model, only)).validator.validate_python
    except _UnknownError:
        return None

    def plain(found: Any) -> str | None:
        try:
            text = _encode(check(found))
        except (InvalidError, UnicodeEncodeError):
            return None
        if b"\\u0000" in text:
            return None
        if text.isascii():
            return text.decode()
        # Each part of a text in NFC is in NFC, and what JSON escapes never composes with its neighbours:
        # https://www.unicode.org/reports/tr15/#Concatenation
        whole = text.decode()
        return whole if unicodedata.is_normalized("NFC", whole) else None

    return plain


def _typed_dict(model: type[BaseModel], only: Only | None = None) -> Any:
    if not _is_plain(model):
        raise _UnknownError
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if only is None or name in only:
            made = _field(field, only and only[name])
            fields[name] = made if field.is_required() else NotRequired[made]
    make: Any = TypedDict
    found = make(model.__name__, fields)
    config = model.model_config
    found.__pydantic_config__ = ConfigDict(
        extra="forbid", coerce_numbers_to_str=config.get("coerce_numbers_to_str", False)
    )
    return found


def _is_plain(model: type[BaseModel]) -> bool:
    """Whether it has no validators, serializers or settings of its own."""
    known = model.__pydantic_decorators__
    own = (
        *(known.validators, known.field_validators, known.root_validators, known.field_serializers),
        *(known.model_serializers, known.model_validators, known.computed_fields),
    )
    return (
        not any(own)
        and model.__pydantic_post_init__ is None
        and model.model_config.keys() <= _CONFIG
        and model.model_config.get("extra") == "forbid"
    )


def _field(field: FieldInfo, inside: Collection[str] | None) -> Any:
    aliases = (field.alias, field.validation_alias, field.serialization_alias)
    if field.exclude or field.discriminator or any(aliases):
        raise _UnknownError
    return _plain(field.annotation, tuple(field.metadata), inside)


def _plain(annotation: Any, metadata: tuple[Any, ...] = (), inside: Collection[str] | None = None) -> Any:
    """The annotation with typed dicts for models, and as text what JSON has no type for."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(inner[0], (*inner[1:], *metadata), inside)
    if origin in (Union, types.UnionType):
        annotation = _union(inner, inside)
    elif origin is list:
        annotation = list[_plain(inner[0], (), inside)]  # type: ignore[misc]  # made of what is found
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        annotation = _typed_dict(annotation, None if inside is None else dict.fromkeys(inside))
    elif annotation is AwareDatetime or annotation is date:
        metadata = (*metadata, AfterValidator(to_jsonable_python))
    elif annotation is Decimal:
        if not any(isinstance(item, PlainSerializer) for item in metadata):
            raise _UnknownError
    elif annotation not in _LEAVES and origin is not Literal:
        raise _UnknownError
    checks = [item for item in metadata if item != _NFC and not isinstance(item, PlainSerializer)]
    written = [*checks, *(_as_written(item) for item in metadata if isinstance(item, PlainSerializer))]
    return Annotated[(annotation, *written)] if written else annotation


def _union(members: tuple[Any, ...], inside: Collection[str] | None) -> Any:
    """`X | None`; of several types pydantic takes the one that fits best, and that may be another here."""
    given = [member for member in members if member is not types.NoneType]
    if len(given) != 1:
        raise _UnknownError
    return _plain(given[0], (), inside) | None


def _as_written(item: PlainSerializer) -> AfterValidator:
    return AfterValidator(cast(Callable[[Any], Any], item.func))
