"""Lines of `--json` about who may be one, and what people said about it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from crmbridge.cli.messages.base import Message

__all__ = [
    "DoubtfulLinkMessage",
    "DuplicateMessage",
    "GenericValueMessage",
    "JudgementMessage",
    "SharedPart",
    "SidePart",
]


class SidePart(BaseModel):
    """One of the two golden records of a possible duplicate."""

    model_config = ConfigDict(extra="forbid")

    golden_id: str
    """The golden record."""
    label: str
    """Its name, number or title."""
    kind: str | None = None
    """Of a party: person or organization."""
    records: list[str]
    """Its records that share something with the other: SYSTEM/STREAM/ID."""


class SharedPart(BaseModel):
    """What both have."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    """email, phone, the scheme of a number, ..."""
    value: str
    """In the form in which it is compared."""


class DuplicateMessage(Message):
    """Two golden records that may be one and wait for a person."""

    type: Literal["duplicate"] = "duplicate"
    entity: str
    """The canonical type."""
    one: SidePart
    """One of them."""
    other: SidePart
    """The other one."""
    shared: list[SharedPart]
    """The evidence."""
    why: str
    """Why they were not joined."""
    since: str
    """Since when it is known."""


class DoubtfulLinkMessage(Message):
    """Two records of one golden record, of which one says person and one organization."""

    type: Literal["doubtful_link"] = "doubtful_link"
    entity: str
    """The canonical type."""
    golden_id: str
    """The golden record."""
    records: list[str]
    """The two: SYSTEM/STREAM/ID."""
    kinds: list[str]
    """What each of them says that it is."""
    since: str
    """Since when it is known."""


class GenericValueMessage(Message):
    """A value that too many share to tell who somebody is."""

    type: Literal["generic_value"] = "generic_value"
    entity: str
    """The canonical type."""
    kind: str
    """email, phone, the scheme of a number, ..."""
    value: str
    """In the form in which it is compared."""
    count: int
    """Golden records that have it."""


class JudgementMessage(Message):
    """What a person said about two golden records."""

    type: Literal["judgement"] = "judgement"
    id: int
    """Its id, for `identity undo`."""
    verdict: Literal["one", "apart"]
    """That they are one, or that they are two."""
    entity: str
    """The canonical type."""
    one: str
    """A golden record, as it was called then; of two that became one, the one that was merged away."""
    other: str
    """The other one; of two that became one, the one that stayed."""
    places: str
    """A record of each: SYSTEM/STREAM/ID."""
    by: str
    """Who said so."""
    why: str
    """The reason given."""
    at: str
    """When."""
    revoked_at: str | None = None
    """When it was taken back; left out while it holds."""
    revoked_by: str | None = None
    """Who took it back."""
    revoked_why: str | None = None
    """The reason given for that."""
