"""Complaints and requests, and every contact with a party (schema.org `CommunicateAction`; ITIL incident)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from crmbridge_schemas.base import Entity, Instant, Meta, Ref, Text

__all__ = ["Case", "Channel", "Interaction"]

Channel = Literal[
    "phone", "email", "letter", "chat", "sms", "wechat", "social", "web", "visit", "event", "other"
]
"""How people were in touch."""


class Case(Entity):
    """A question, fault or complaint that somebody has to settle (ITIL incident; Salesforce `Case`)."""

    entity_name: ClassVar[str] = "case"
    document: ClassVar[bool] = True
    natural_key: ClassVar[tuple[str, ...]] = ("issuer", "number")

    number: Text | None = None
    """Number that the customer is told (Salesforce `CaseNumber`)."""
    issuer: Text | None = None
    """The system whose number it is (no standard)."""
    party: Annotated[Ref | None, Meta(refers_to="party")] = None
    """Who asked (Salesforce `Case.AccountId`)."""
    order: Annotated[Ref | None, Meta(refers_to="sales_order")] = None
    """The order that it is about (no standard)."""
    product: Annotated[Ref | None, Meta(refers_to="product")] = None
    """The product that it is about (Dynamics 365 `incident.productid`)."""
    subject: Annotated[Text | None, Meta(personal="content")] = None
    """What it is about, in a line (Salesforce `Case.Subject`)."""
    description: Annotated[Text | None, Meta(personal="content")] = None
    """What the customer said (Salesforce `Case.Description`)."""
    category: Text | None = None
    """Sort of case, in the words of the service desk: `complaint`, `return`, `question` ... (Salesforce
    `Case.Type`)."""
    channel: Channel | None = None
    """How it came (Salesforce `Case.Origin`)."""
    priority: Literal["low", "normal", "high", "urgent"] | None = None
    """How soon it must be settled (ITIL incident priority; Salesforce `Case.Priority`)."""
    status: Annotated[
        Literal["new", "open", "pending", "resolved", "closed", "cancelled"] | None, Meta(status=True)
    ] = None
    """`pending`: waits for the customer; `resolved`: settled, as we think; `closed`: for good (Salesforce
    `Case.Status`)."""
    assignee: Annotated[Text | None, Meta(personal="contact")] = None
    """Who of us works on it: login or e-mail address (Salesforce `Case.OwnerId`)."""
    opened_at: Instant | None = None
    """When it came (Salesforce `Case.CreatedDate`)."""
    closed_at: Instant | None = None
    """When it was resolved or closed (Salesforce `Case.ClosedDate`)."""
    resolution: Annotated[Text | None, Meta(personal="content")] = None
    """How it was settled (ERPNext `Issue.resolution_details`)."""
    feedback: Annotated[Text | None, Meta(personal="content")] = None
    """What the customer said afterwards (Odoo `rating.rating.feedback`)."""
    satisfaction: Annotated[int, Field(ge=1, le=5)] | None = None
    """How content the customer was: 1 (not at all) to 5 (CSAT)."""
    reopened_count: Annotated[int, Field(ge=0)] | None = None
    """How often it was opened again (ServiceNow `incident.reopen_count`)."""


class Interaction(Entity):
    """One contact with a party: a call, message, chat or visit (schema.org `CommunicateAction`)."""

    entity_name: ClassVar[str] = "interaction"

    party: Annotated[Ref | None, Meta(refers_to="party", required=True)] = None
    """With whom (schema.org `recipient`, `participant`)."""
    channel: Channel | None = None
    """How (schema.org `instrument`)."""
    direction: Literal["inbound", "outbound"] | None = None
    """Who began: they (`inbound`) or we (`outbound`) (Dynamics 365 `directioncode`)."""
    occurred_at: Annotated[Instant | None, Meta(required=True)] = None
    """When it began (schema.org `startTime`)."""
    duration_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long it took, in seconds (Salesforce `Task.CallDurationInSeconds`)."""
    actor: Annotated[Text | None, Meta(personal="contact")] = None
    """Who of us: login, e-mail address or name (schema.org `agent`)."""
    subject: Annotated[Text | None, Meta(personal="content")] = None
    """What it was about (schema.org `about`)."""
    content: Annotated[Text | None, Meta(personal="content")] = None
    """What was said or written, or a summary of it (Salesforce `Task.Description`)."""
    outcome: Annotated[Text | None, Meta(personal="content")] = None
    """What came of it: `order promised`, `no answer`, `wants a call in May` (schema.org `result`)."""
    next_action_at: Instant | None = None
    """When somebody is to follow up (Odoo `activity_date_deadline`)."""
    case: Annotated[Ref | None, Meta(refers_to="case")] = None
    """The case that it belongs to (Salesforce `Task.WhatId`)."""
    opportunity: Annotated[Ref | None, Meta(refers_to="opportunity")] = None
    """The opportunity that it belongs to (Salesforce `Task.WhatId`)."""
