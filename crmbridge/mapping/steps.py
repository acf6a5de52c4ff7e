"""The small functions that compiled rules are made of: codecs, value maps and references in a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from crmbridge.mapping.errors import ValueRefusedError
from crmbridge.mapping.paths import UNSET, Path, native_key, native_text

__all__ = [
    "Step",
    "decimal_step",
    "map_step",
    "read_through",
    "reference_step",
    "unreference_step",
    "write_through",
]

Step = Callable[[Any], Any]
"""One change of a value that is neither UNSET nor null; it may come out as null."""


def read_through(
    source: Callable[[Any], Any], steps: Sequence[Step], *, keep_blank: bool
) -> Callable[[Any], Any]:
    """Reading: the source's value, null where it is blank text, then one step after the other."""
    if len(steps) == 1 and not keep_blank:
        return _read_through_one(source, steps[0])

    def read(native: Any) -> Any:
        value = source(native)
        if value.__class__ is str and not keep_blank and (not value or value.isspace()):
            return None
        for step in steps:
            if value is None or value is UNSET:
                break
            value = step(value)
        return value

    return read


def _read_through_one(source: Callable[[Any], Any], step: Step) -> Callable[[Any], Any]:
    """The usual case, without a loop: it is asked for in every record."""

    def read(native: Any) -> Any:
        value = source(native)
        if value is None or value is UNSET:
            return value
        if value.__class__ is str and (not value or value.isspace()):
            return None
        return step(value)

    return read


def write_through(path: Path, steps: Sequence[Step]) -> Callable[[dict[str, Any], Any], None]:
    """Writing: the steps, then the path."""
    if path.key is not None and not steps:
        return _plain_write(path.key)

    def write(native: dict[str, Any], value: Any) -> None:
        for step in steps:
            if value is None:
                break
            value = step(value)
        path.put(native, value)

    return write


def _plain_write(key: str) -> Callable[[dict[str, Any], Any], None]:
    def write(native: dict[str, Any], value: Any) -> None:
        native[key] = value

    return write


def map_step(table: Mapping[str, Any], hint: str) -> Step:
    """A value map; lists are mapped value by value. An unknown value is refused."""

    def mapped(value: Any) -> Any:
        if value.__class__ is str and value in table:
            return table[value]
        if isinstance(value, list):
            return [mapped(part) for part in value]
        try:
            return table[native_key(value)]
        except KeyError:
            raise ValueRefusedError(f"the value map does not know {native_text(value)}", hint) from None

    return mapped


def decimal_step(value: Any) -> Any:
    """Canonical exact numbers are text; connectors take Decimal."""
    return Decimal(value) if isinstance(value, str) else value


def reference_step(entity: str, stream: str) -> Step:
    """Native id -> reference."""
    return lambda value: {"entity": entity, "stream": stream, "id": str(value)}


def unreference_step(stream: str) -> Step:
    """Reference -> native id."""

    def native_id(value: Any) -> Any:
        if value.get("stream") not in (stream, None):
            raise ValueError(f"refers to a record of {value['stream']!r}, but only {stream!r} can stand here")
        return value["id"]

    return native_id
