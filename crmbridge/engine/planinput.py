"""What planning goes by, and what it finds beside operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from crmbridge.identity.link import Link
from crmbridge.identity.policy import Policy
from crmbridge.identity.shape import Shape
from crmbridge.identity.survive import Golden
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.sdk.connector import Capabilities

__all__ = ["Note", "PlanInput", "RefState", "Target"]


class RefState(NamedTuple):
    """What a reference to a golden record is in one system."""

    state: Literal["native", "pending", "impossible", "unknown"]
    """native: it has a record there; pending: it will get one; impossible: never; unknown: unresolved."""
    ref: Any = None


@dataclass(frozen=True, slots=True)
class Target:
    """One system as the goal of a plan for one entity."""

    system: str
    mapping: StreamMapping
    """Of the stream in which creates end, or in which the record lives."""
    capabilities: Capabilities
    create: bool
    """The create rule admits this golden record, and nothing stands against it."""
    scope: str = ""
    """In which scope of the system the record lives, or would be created."""


class Note(NamedTuple):
    """Something that was found while planning and is no write."""

    kind: str
    """overruled, kept, not-cleared, held, closed, request, computed, apart, undone, parked, impossible,
    unwritable"""
    system: str
    path: str
    text: str
    stream: str = ""
    """Where the operation would end; empty for what is about the golden record itself."""
    since: int = 0
    """Microseconds: what was told later than this is not told again. 0: it is told whenever it is found."""


@dataclass(frozen=True, slots=True)
class PlanInput:
    """Everything that one golden record's plan depends on."""

    golden_id: str
    golden: Golden
    links: Sequence[Link]
    targets: Sequence[Target]
    shape: Shape
    policy: Policy
    native_ref: Callable[[str, str, Any], RefState]
    """(system, scope, golden reference) -> what it is there."""
    now: int
    """Microseconds."""
    country: str | None = None
    """Where the party that it is at home."""
