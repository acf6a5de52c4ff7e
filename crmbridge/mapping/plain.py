"""A model's checks without its objects: what was read becomes canonical JSON text at once.

Every record that is pulled goes through here, and making a model only to write it out again would cost five
times as much. What this cannot vouch for it declines; then the model itself decides, and words the error.
"""

from __future__ import annotations

import types
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic_core import to_jsonable_python

from crmbridge_schemas.base import Exact, FieldMeta, Text

__all__ = ["Only", "Plain", "plain_text"]


@dataclass(frozen=True, slots=True)
class Only:
    """Which fields of a model there can be: each that is not looked for saves time."""

    fields: Mapping[str, Only | None]
    """The fields that a mapping reads -> the same for what is inside them; None: all that is inside."""
    said: frozenset[str] = frozenset()
    """Those that the mapping itself says, and that were checked when it was loaded."""


Plain = Callable[[Any], str | None]
"""Native data by canonical names -> canonical JSON text, keys in the order of the entity's fields; None where
the model has to decide."""

_Check = Callable[[Any], Any]
"""A value that was read -> the same as JSON-ready data. Raises ValueError."""

_encode = msgspec.json.Encoder().encode
_CONFIG = {"extra", "frozen", "coerce_numbers_to_str", "title", "defer_build"}
_NFC = get_args(Text)[1]
"""What checks single texts; here they are checked all at once, as one."""
_SILENT = (FieldMeta, WithJsonSchema)
"""Metadata that checks nothing."""
_number_text = get_args(Exact)[1].func


class _UnknownError(Exception):
    """A model says something that only pydantic's models understand."""


def plain_text(model: type[BaseModel], only: Only | None = None) -> Plain | None:
    """What gives the JSON text of `model_dump_json(exclude_unset=True)` for what `model` accepts; None for a
    model whose checks are more than those of its fields' types."""
    try:
        struct = _struct(model, only)
    except _UnknownError:
        return None

    def plain(found: Any) -> str | None:
        try:
            text = _encode(msgspec.convert(found, struct))
        except (msgspec.ValidationError, UnicodeEncodeError):
            return None
        if b"\\" in text and b"\\u0000" in text:
            return None
        if text.isascii():
            return text.decode()
        # Each part of a text in NFC is in NFC, and what JSON escapes never composes with its neighbours:
        # https://www.unicode.org/reports/tr15/#Concatenation
        whole = text.decode()
        return whole if unicodedata.is_normalized("NFC", whole) else None

    def plain_with_numbers(found: Any) -> str | None:
        text = plain(found)
        return plain(_as_text(found)) if text is None else text

    return plain_with_numbers if model.model_config.get("coerce_numbers_to_str") else plain


def _as_text(found: Any) -> Any:
    """Numbers as text, which fields of text take; a field of another kind then declines."""
    if found.__class__ is dict:
        return {name: _as_text(part) for name, part in found.items()}
    if found.__class__ is list:
        return [_as_text(part) for part in found]
    return str(found) if found.__class__ in (int, Decimal) else found


def _struct(model: type[BaseModel], only: Only | None) -> type[msgspec.Struct]:
    """A class that takes what `model` takes, and is written as it is written."""
    if not _is_plain(model):
        raise _UnknownError
    fields: list[Any] = []
    checks: list[tuple[str, _Check]] = []
    for name, info in model.model_fields.items():
        if only is not None and name not in only.fields and not info.is_required():
            continue
        if info.exclude or info.discriminator or info.alias or info.validation_alias:
            raise _UnknownError
        kind, check = Any, None
        if only is None or name not in only.said:
            whole = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
            kind, check = _kind(whole, only and only.fields.get(name))
        if check is not None:
            checks.append((name, check))
        optional = (name, kind | msgspec.UnsetType, msgspec.UNSET)
        fields.append((name, kind) if info.is_required() else optional)
    return msgspec.defstruct(
        model.__name__,
        fields,
        namespace={"__post_init__": _finish(tuple(checks))} if checks else None,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


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


def _finish(checks: tuple[tuple[str, _Check], ...]) -> Callable[[Any], None]:
    def finish(made: Any) -> None:
        for name, check in checks:
            value = getattr(made, name)
            if value is not msgspec.UNSET:
                setattr(made, name, check(value))

    return finish


def _kind(annotation: Any, only: Only | None) -> tuple[Any, _Check | None]:
    """A type that msgspec checks by itself, or Any and what checks it instead."""
    kind = _known(annotation, only)
    return (Any, _check(annotation)) if kind is None else (kind, None)


def _known(annotation: Any, only: Only | None) -> Any:
    """The type in msgspec's terms; None if it has none."""
    metadata: list[Any] = []
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = [*more, *metadata]
    checks = [item for item in metadata if item != _NFC and not isinstance(item, _SILENT)]
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is str:
        return _text(checks)
    if checks:
        return None
    if origin in (Union, types.UnionType):
        return _optional(inner, only)
    if origin is list:
        element: Any = _known(inner[0], only)
        return None if element is None else list.__class_getitem__(element)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation, only)
    return annotation if annotation is bool or origin is Literal else None


def _optional(members: tuple[Any, ...], only: Only | None) -> Any:
    """`X | None`; of several types pydantic takes the one that fits best, and that may be another here."""
    given = [member for member in members if member is not types.NoneType]
    if len(given) != 1:
        raise _UnknownError
    kind = _known(given[0], only)
    return None if kind is None else kind | None


def _text(checks: list[Any]) -> Any:
    """Text with its constraints; None if there are others than a shortest length and a pattern."""
    kind: Any = str
    for item in checks:
        if not isinstance(item, StringConstraints):
            return None
        said = {name: value for name, value in vars(item).items() if value is not None}
        if said.keys() - {"min_length", "pattern"} or not isinstance(said.get("pattern", ""), str):
            return None
        if "pattern" in said:
            # A `$` of Python's matches before a line break at the end, too.
            said["pattern"] = said["pattern"].removesuffix("$") + r"\Z"
        kind = Annotated[kind, msgspec.Meta(**said)]
    return kind


def _check(annotation: Any) -> _Check:
    """By pydantic: for what JSON has no type for, and for checks that only it knows."""
    validate = TypeAdapter(_as_written(annotation)).validator.validate_python
    if not _is_number(annotation):
        return validate

    def number(value: Any) -> Any:
        if value.__class__ is Decimal and value.is_finite():
            return _number_text(value)
        return validate(value)

    return number


def _is_number(annotation: Any) -> bool:
    parts = get_args(annotation)
    return annotation is Decimal or any(map(_is_number, parts))


def _as_written(annotation: Any, metadata: tuple[Any, ...] = ()) -> Any:
    """The annotation with what its values are written as."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _as_written(inner[0], (*inner[1:], *metadata))
    written = [item for item in metadata if isinstance(item, PlainSerializer)]
    if origin in (Union, types.UnionType):
        annotation = reduce(or_, map(_as_written, inner))
    elif origin is list:
        annotation = list.__class_getitem__(_as_written(inner[0]))
    elif annotation is AwareDatetime or annotation is date:
        metadata = (*metadata, AfterValidator(to_jsonable_python))
    elif annotation is Decimal and not written:
        raise _UnknownError
    checks = [item for item in metadata if item not in written and not isinstance(item, _SILENT)]
    after = [*checks, *(AfterValidator(cast(_Check, item.func)) for item in written)]
    return Annotated[(annotation, *after)] if after else annotation
