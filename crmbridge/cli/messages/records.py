"""Lines of `--json` about golden records and their links."""

from __future__ import annotations

from typing import Any, Literal

from crmbridge.cli.messages.base import Message

__all__ = ["EventMessage", "FoundMessage", "LinkMessage", "RecordMessage"]


class LinkMessage(Message):
    """One record of a golden record."""

    type: Literal["link"] = "link"
    golden_id: str
    """The golden record."""
    entity: str
    """The canonical type."""
    system: str
    """Where the record is."""
    stream: str
    """The object type there."""
    native_id: str
    """Its id there."""
    scope: str = ""
    """The company or channel, where the system has several."""
    part: str = ""
    """Of a further canonical record of the same native one: its name."""
    status: str
    """live, out (of scope), archived or gone."""


class EventMessage(Message):
    """What a person said about golden records: who is who, or which value a conflict ends in."""

    type: Literal["event"] = "event"
    golden_id: str
    """The golden record."""
    at: str
    """When."""
    event: str
    """unlinked, relinked, adopted, undone, told apart, merged by hand, revoked, decided or withdrawn."""
    text: str
    """What was said, by whom and why."""


class FoundMessage(Message):
    """One hit of `find`."""

    type: Literal["found"] = "found"
    golden_id: str
    """The golden record."""
    entity: str
    """The canonical type."""
    label: str
    """Its name, number or title."""
    details: str = ""
    """What else tells it from others."""
    party: str | None = None
    """Of a document: the golden record of its party."""
    exact: bool = False
    """All that was typed is there as whole words or numbers."""
    gone: bool = False
    """No system has it any more."""


class RecordMessage(Message):
    """What `show` and `explain` tell of a golden record."""

    type: Literal["record"] = "record"
    golden_id: str
    """The golden record."""
    entity: str
    """The canonical type."""
    data: Any
    """`show`: an object of golden fields, links, orders, invoices, cases, touch points, duplicates ...
    `explain`: a list of fields, each with its value, origin, rule, what lost, and what every record says."""
