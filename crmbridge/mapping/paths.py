"""Paths into native records: dotted names, with list filters by key. They read, and they write.

    name                            the key `name`
    country.code                    `code` of the object `country`
    emails[type=work].value         `value` of the first element of the list `emails` whose `type` is `work`
    "Tel. (work)"                   a name with a dot or a bracket, in double quotes
    @                               the thing itself: an element of a list of plain values stands as {"@": it}

Three states: a key that is missing is UNSET, or None in a stream that declares `absent_means: null`. Below
null everything is null: where `country` is null, `country.code` is null as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

__all__ = ["UNSET", "Path", "Unset", "merge_into", "native_key", "native_text", "parse_path", "put_at"]

Reader = Callable[[Any], Any]
"""Native data -> the value at a path: UNSET, None or a value."""


class Unset(Enum):
    """The state of a field of which the record says nothing; never the same as null."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a path: a key, and for lists the filter that picks an element."""

    name: str
    filter: tuple[str, str] | None = None
    """(key, text that it equals)"""


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path."""

    text: str
    steps: tuple[Step, ...]

    @property
    def native(self) -> str:
        """The dotted names without filters, as capabilities and discovered fields are named."""
        return ".".join(step.name for step in self.steps)

    @property
    def key(self) -> str | None:
        """The one top-level key that it is, or None where it goes deeper."""
        plain = len(self.steps) == 1 and self.steps[0].filter is None
        return self.steps[0].name if plain else None

    def reader(self, absent: Any) -> Reader:
        """A function that reads the value at this path; `absent` (UNSET or None) stands for missing keys."""
        if self.key is not None:
            return _key_reader(self.key, absent)
        return _deep_reader(self.steps, absent)

    def put(self, target: dict[str, Any], value: Any) -> None:
        """Set `value` at this path, making the objects and list elements on the way."""
        for step in self.steps[:-1]:
            target = _enter(target, step)
        last = self.steps[-1]
        if last.filter is None:
            target[last.name] = value
        else:
            _enter(target, last).update(value or {})


def _key_reader(key: str, absent: Any) -> Reader:
    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise ValueError(f"expected an object with {key!r}, found {native_text(data)}")
        return data.get(key, absent)

    return read


def _deep_reader(steps: tuple[Step, ...], absent: Any) -> Reader:
    def read(data: Any) -> Any:
        for step in steps:
            if data is None:
                return None
            if not isinstance(data, dict):
                raise ValueError(f"expected an object with {step.name!r}, found {native_text(data)}")
            data = data.get(step.name, UNSET)
            if data is UNSET:
                return absent
            if step.filter is not None and data is not None:
                data = _pick(data, step)
        return data

    return read


def _pick(elements: Any, step: Step) -> Any:
    """The first element that the filter names; None where the list holds no such element."""
    assert step.filter is not None
    key, wanted = step.filter
    if not isinstance(elements, list):
        raise ValueError(f"expected a list at {step.name!r}, found {native_text(elements)}")
    for element in elements:
        if isinstance(element, dict) and key in element and native_key(element[key]) == wanted:
            return element
    return None


def _enter(target: dict[str, Any], step: Step) -> dict[str, Any]:
    if step.filter is None:
        inner = target.get(step.name)
        if not isinstance(inner, dict):
            inner = target[step.name] = {}
        return inner
    elements = target.setdefault(step.name, [])
    found = _pick(elements, step)
    if found is None:
        key, wanted = step.filter
        found = {key: wanted}
        elements.append(found)
    picked: dict[str, Any] = found
    return picked


def put_at(data: dict[str, Any], path: str, value: Any) -> None:
    """Put `value` at the dotted place, making the objects on the way."""
    *outer, last = path.split(".")
    for key in outer:
        data = data.setdefault(key, {})
    data[last] = value


def merge_into(data: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add the keys of `more`; objects that both have are merged, all else is replaced."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(data.get(key), dict):
            merge_into(data[key], value)
        else:
            data[key] = value


def native_key(value: Any) -> str:
    """A native value as mappings write it: `true`, `12`, `person`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def native_text(value: Any) -> str:
    """A native value for an error message, cut to a line's length."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else native_key("null" if value is None else value)
    return text if len(text) <= 60 else text[:57] + "..."


# -- parsing -----------------------------------------------------------------------------------


def parse_path(text: str) -> Path:
    """Parse a path. Raises ValueError that names the column, counted from 1."""
    if text == "@":
        return Path(text, (Step("@"),))
    steps: list[Step] = []
    at = 0
    while True:
        name, at = _name(text, at, ".[")
        selected, at = _filter(text, at)
        steps.append(Step(name, selected))
        if at == len(text):
            return Path(text, tuple(steps))
        if text[at] != ".":
            raise ValueError(f"expected a dot in the path at character {at + 1}: {text}")
        at += 1


def _name(text: str, at: int, stops: str) -> tuple[str, int]:
    if at < len(text) and text[at] == '"':
        end = text.find('"', at + 1)
        if end < 0:
            raise ValueError(f"the path has a quote without its end at character {at + 1}: {text}")
        return text[at + 1 : end], end + 1
    end = at
    while end < len(text) and text[end] not in stops:
        end += 1
    if end == at or text[end - 1].isspace() or text[at].isspace():
        raise ValueError(
            f"expected a name in the path at character {at + 1}: {text}"
            " (put a name that has dots, brackets or outer blanks in double quotes: '\"Tel. (work)\"')"
        )
    return text[at:end], end


def _filter(text: str, at: int) -> tuple[tuple[str, str] | None, int]:
    if at == len(text) or text[at] != "[":
        return None, at
    key, at = _name(text, at + 1, "=]")
    if at == len(text) or text[at] != "=":
        raise ValueError(f"expected [key=value] in the path at character {at + 1}: {text}")
    value, at = _name(text, at + 1, "]")
    if at == len(text) or text[at] != "]":
        raise ValueError(f"expected ] in the path at character {at + 1}: {text}")
    return (key, value), at + 1
