"""What a planned operation is, in canonical terms: made by the plan, kept as an intent, sent by the push."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import msgspec

from crmbridge.identity.link import Statement, digest

__all__ = ["Change", "Kind", "Planned", "chunks", "decode", "encode", "signature"]

Kind = Literal["create", "update", "archive", "delete", "transition"]


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one record that shall hold something else."""

    path: str
    old: Any
    """What it holds; None where it does not say."""
    new: Any
    statement: Statement
    """The statement behind `new`: its stamp and origin."""
    source: str = ""
    """The system in which the value originated."""


@dataclass(slots=True)
class Planned:
    """One operation, in canonical terms. The push turns it into the system's own words."""

    id: str
    kind: Kind
    system: str
    stream: str
    entity: str
    golden_id: str
    scope: str = ""
    record_id: int | None = None
    native_id: str | None = None
    version: str | None = None
    changes: list[Change] = field(default_factory=list)
    slots: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """List -> slot -> the element that it shall show (None: emptied)."""
    transition: str | None = None
    """The canonical status to reach."""
    waits_for: list[str] = field(default_factory=list)
    """Golden ids that need a record in this system first."""
    title: str = ""
    """What people call the record: in a plan that they look at."""
    undoes: int = 0
    """The run that it undoes: the record is left with its old values. 0: it undoes none."""
    country: str | None = None
    """Where the party that it is at home: phone numbers that say no country are from there."""

    @property
    def clears(self) -> int:
        """How many values it empties."""
        return sum(1 for c in self.changes if c.new is None and c.old is not None)


def encode(planned: Planned) -> str:
    """JSON for the store and for plan files."""
    return msgspec.json.encode(planned).decode()


def decode(text: str | bytes) -> Planned:
    """The reverse of `encode`."""
    return msgspec.json.decode(text, type=Planned)


def signature(planned: Planned) -> str:
    """The same for operations that would write the same: a saved plan is compared by it."""
    return f"{planned.id}:{digest([[c.path, c.old, c.new] for c in planned.changes])}"


def chunks(operations: Iterable[Planned], size: int) -> Iterator[list[Planned]]:
    """All of them, so many at a time."""
    rest = iter(operations)
    while some := list(islice(rest, size)):
        yield some
