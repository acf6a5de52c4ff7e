"""The parts of a customer's 360-degree record.

Amounts are canonical Money (`{"amount": "12.5", "currency": "EUR"}`), instants ISO 8601 with their offset,
days ISO 8601 dates, stamps microseconds since 1970 UTC. What no system says is None or "".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "CaseView",
    "Customer360",
    "Duplicate",
    "GoldenField",
    "Held",
    "InvoiceView",
    "LineView",
    "LinkView",
    "OrderView",
    "Relative",
    "ShipmentView",
    "TouchPoint",
]

Value = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GoldenField:
    """One field of the golden record and where its value comes from."""

    path: str
    """`legal_name`, or `contact_points/ID` for an element of a list."""
    value: Any
    """An element of a list is an object of its fields."""
    system: str
    """Where the value originated."""
    time: int
    """The stamp; 0: it was there at first contact."""
    rule: str
    """Why it won; see `explain`."""
    lost: int = 0
    """How many systems said something else."""
    waits: bool = False
    """A person has to decide about it, or about a part of it: `conflicts list`."""


@dataclass(frozen=True, slots=True)
class LinkView:
    """One record that belongs to the party."""

    system: str
    stream: str
    native_id: str
    status: str
    """live, out (of the stream's scope), gone or archived"""
    scope: str = ""
    part: str = ""
    """Where it is part of another record: a guest order's buyer."""
    read_at: int = 0
    gone_at: int = 0
    deleted_by_us: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What one system says of a document."""

    system: str
    stream: str
    native_id: str
    live: bool
    status: str | None = None
    gross_total: Value | None = None


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of an order."""

    product: str
    """Name of the product; the line's own text or article number where it is no product."""
    sku: str | None
    quantity: Value | None
    unit_price: Value | None
    net_amount: Value | None
    status: str | None


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order."""

    id: str
    number: str
    issuer: str | None
    channel: str | None
    ordered: str | None
    """Instant or day."""
    status: str | None
    fulfilment_status: str | None
    payment_status: str | None
    lines: tuple[LineView, ...]
    net_total: Value | None
    tax_total: Value | None
    gross_total: Value | None
    systems: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class ShipmentView:
    """One shipment to the party, or of one of its orders."""

    id: str
    number: str
    order: str
    """Number of the order."""
    status: str | None
    carrier: str | None
    tracking_number: str | None
    shipped_at: str | None
    delivered_at: str | None
    expected_on: str | None
    last_event: str
    """The latest event in the carrier's words."""
    systems: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """One invoice or credit note."""

    id: str
    number: str
    kind: str | None
    status: str | None
    open: bool
    """Still to be paid."""
    issued_on: str | None
    due_date: str | None
    gross_total: Value | None
    open_amount: Value | None
    systems: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class CaseView:
    """One complaint or request."""

    id: str
    number: str
    subject: str | None
    category: str | None
    status: str | None
    open: bool
    priority: str | None
    assignee: str | None
    opened_at: str | None
    closed_at: str | None
    resolution: str | None
    order: str
    """Number of the order that it is about."""
    systems: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class TouchPoint:
    """One contact: a call, message or visit, and what came of it."""

    id: str
    at: str | None
    channel: str | None
    direction: str | None
    by: str | None
    """Who of us."""
    subject: str | None
    content: str | None
    outcome: str | None
    next_action_at: str | None
    systems: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Another party that may be the same; a person has to look."""

    id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Relative:
    """A party that this one belongs to, or that belongs to it."""

    id: str
    name: str
    relation: str
    """part of, has part, or the type of the relation"""


@dataclass(slots=True)
class Customer360:
    """All that the systems know of one party. The newest comes first in every list of documents."""

    id: str
    name: str
    kind: str | None
    owner: str | None
    """Our person in charge."""
    merged: list[str] = field(default_factory=list)
    """Golden ids that were merged into this one."""
    fields: list[GoldenField] = field(default_factory=list)
    links: list[LinkView] = field(default_factory=list)
    """Records that systems have."""
    tombstones: list[LinkView] = field(default_factory=list)
    """Records that are gone or archived."""
    orders: list[OrderView] = field(default_factory=list)
    shipments: list[ShipmentView] = field(default_factory=list)
    invoices: list[InvoiceView] = field(default_factory=list)
    open_amounts: dict[str, str] = field(default_factory=dict)
    """Currency -> what is to be paid on open invoices."""
    cases: list[CaseView] = field(default_factory=list)
    touch_points: list[TouchPoint] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    relatives: list[Relative] = field(default_factory=list)

    @property
    def last_contact(self) -> TouchPoint | None:
        """The latest contact; `by` says who of us it was."""
        return self.touch_points[0] if self.touch_points else None
