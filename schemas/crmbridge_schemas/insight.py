"""Insights: what is computed about a party. They are written to systems one-way and never merged into the
party."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from crmbridge_schemas.base import Entity, Instant, Meta, Money, Ref, Text

__all__ = ["CustomerSummary", "Insight"]


class Insight(Entity):
    """What every insight says: about whom, by which model, when. A kind of insight is a subclass with its
    values."""

    party: Annotated[Ref | None, Meta(refers_to="party", required=True)] = None
    """About whom (no standard)."""
    version: Text | None = None
    """Version of the rules or model that computed it (no standard)."""
    computed_at: Instant | None = None
    """When it was computed (W3C PROV-O `generatedAtTime`)."""


class CustomerSummary(Insight):
    """What somebody who picks up the phone wants to know of a customer."""

    entity_name: ClassVar[str] = "customer_summary"
    natural_key: ClassVar[tuple[str, ...]] = ("party",)

    display_name: Annotated[Text | None, Meta(personal="name")] = None
    """Name of the party (no standard; `party.display_name`)."""
    owner: Annotated[Text | None, Meta(personal="contact")] = None
    """Our person in charge (no standard; `party.owner`)."""
    last_contact_at: Instant | None = None
    """When somebody was last in touch, by the interactions of all systems (no standard; the latest
    `interaction.occurred_at`)."""
    last_contact_channel: Text | None = None
    """How: the interaction's channel (no standard; `interaction.channel`)."""
    last_contact_by: Annotated[Text | None, Meta(personal="contact")] = None
    """Who of us (no standard; `interaction.actor`)."""
    last_contact_outcome: Annotated[Text | None, Meta(personal="content")] = None
    """What came of it (no standard; `interaction.outcome`)."""
    last_order_number: Text | None = None
    """Number of the latest order (no standard; `sales_order.number`)."""
    last_order_at: Instant | None = None
    """When it was placed (no standard; `sales_order.ordered_at`)."""
    last_order_total: Annotated[Money | None, Meta(personal="financial")] = None
    """What it came to, tax included (no standard; `sales_order.gross_total`)."""
    open_invoices: Annotated[int, Field(ge=0)] | None = None
    """How many invoices are not wholly paid (no standard; a count)."""
    open_amount: Annotated[Money | None, Meta(personal="financial")] = None
    """What is to be paid on them, where they are in one currency (no standard; the sum of
    `invoice.open_amount`)."""
    open_cases: Annotated[int, Field(ge=0)] | None = None
    """How many cases are not resolved (no standard; a count)."""
    probable_duplicate: Annotated[Ref | None, Meta(refers_to="party")] = None
    """Another party that may be the same; a person has to look (no standard)."""
