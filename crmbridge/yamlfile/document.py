"""A YAML document in memory: values that know their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from crmbridge.sdk.errors import ConfigError

YamlValue: TypeAlias = bool | int | Decimal | str | list["YamlValue"] | dict[str, "YamlValue"] | None
Loc: TypeAlias = Sequence[str | int]
"""The way to a value: keys and list indexes from the top, as in pydantic's `loc`."""


class Position(NamedTuple):
    """A place in a file; line and column count from 1, the column in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place; `keys` holds the places of a mapping's keys."""

    at: Position
    value: bool | int | Decimal | str | list[Node] | dict[str, Node] | None
    keys: dict[str, Position] = field(default_factory=dict)
    size: int = 1
    """How many values are in it, itself included."""
    height: int = 1
    """How many levels of nesting it has, itself included."""

    @classmethod
    def sequence(cls, at: Position, items: list[Node]) -> Node:
        size, height = _extent(items)
        return cls(at, items, {}, size, height)

    @classmethod
    def mapping(cls, at: Position, items: dict[str, Node], keys: dict[str, Position]) -> Node:
        size, height = _extent(list(items.values()))
        return cls(at, items, keys, size, height)

    def child(self, part: str | int) -> Node | None:
        if isinstance(self.value, dict):
            return self.value.get(str(part))
        if isinstance(self.value, list) and isinstance(part, int) and 0 <= part < len(self.value):
            return self.value[part]
        return None

    def plain(self) -> YamlValue:
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def overlaid_by(self, other: Node) -> Node:
        if not (isinstance(self.value, dict) and isinstance(other.value, dict)):
            return other
        items = dict(self.value)
        for key, node in other.value.items():
            items[key] = items[key].overlaid_by(node) if key in items else node
        return Node.mapping(self.at, items, self.keys | other.keys)


def _extent(items: list[Node]) -> tuple[int, int]:
    return 1 + sum(node.size for node in items), 1 + max((node.height for node in items), default=0)


class Found(NamedTuple):
    """What `Document.find` came to: the parts of the loc that exist, the value there, and its key's place."""

    path: tuple[str | int, ...]
    node: Node
    key_at: Position


class Document:
    """What a YAML file says. `data` is plain Python data that the caller may keep and change."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self.data: YamlValue = root.plain()

    def position(self, loc: Loc, of: Literal["key", "value"] = "value") -> Position:
        """Where the key or the value at `loc` is written; a list element's key is the element itself.

        Parts of `loc` that the document does not have are passed over. So the names that pydantic adds for
        the branches of a union do no harm, and a missing key leads to the mapping that should have it.
        """
        found = self.find(loc)
        return found.key_at if of == "key" else found.node.at

    def error(
        self, loc: Loc, message: str, hint: str | None = None, *, of: Literal["key", "value"] = "value"
    ) -> ConfigError:
        """A ConfigError that points at the key or value at `loc`; the caller raises it."""
        return ConfigError(message, position=str(self.position(loc, of)), hint=hint)

    def overlaid_by(self, other: Document) -> Document:
        """This document with `other` laid over it: mappings are merged key by key, all else is replaced.

        Each key and value keeps its place in the file that it comes from.
        """
        return Document(self._root.overlaid_by(other._root))

    def find(self, loc: Loc) -> Found:
        """The value at `loc`, or its nearest known parent, by the rule of `position`."""
        found = Found((), self._root, self._root.at)
        for part in loc:
            child = found.node.child(part)
            if child is not None:
                found = Found((*found.path, part), child, found.node.keys.get(str(part), child.at))
        return found
