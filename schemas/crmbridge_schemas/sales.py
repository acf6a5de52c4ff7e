"""Opportunities and sales orders (UBL 2.3 `Order`, `Quotation`; OAGIS `SalesOrder`; schema.org `Order`)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from crmbridge_schemas.base import (
    CurrencyCode,
    Day,
    Element,
    Entity,
    Exact,
    Identifier,
    Instant,
    Meta,
    Money,
    Quantity,
    Ref,
    Text,
)
from crmbridge_schemas.party import PostalAddress

__all__ = ["Opportunity", "OrderLine", "Percent", "SalesOrder"]

Percent = Annotated[Exact, Field(ge=Decimal(0), le=Decimal(100))]
"""0 to 100."""


class OrderLine(Element):
    """One line of an order (UBL `LineItem`). Two lines may hold the same product."""

    product: Annotated[Ref | None, Meta(refers_to="product", merge_key=True)] = None
    """What is ordered; empty on a line of free text, freight or discount (UBL `Item`)."""
    sku: Text | None = None
    """The article number as the order shows it (UBL `SellersItemIdentification`)."""
    description: Text | None = None
    """The text of the line (UBL `Item/Description`)."""
    quantity: Quantity | None = None
    """How many, in which unit (UBL `Quantity`)."""
    unit_price: Money | None = None
    """Price of one unit, after discount (UBL `Price/PriceAmount`)."""
    discount: Percent | None = None
    """The discount that is already inside `unit_price`, in percent (UBL
    `AllowanceCharge/MultiplierFactorNumeric`)."""
    tax_class: Text | None = None
    """Which tax it bears, by the ERP's code (UBL `ClassifiedTaxCategory`)."""
    tax_rate: Percent | None = None
    """Tax rate in percent (UBL `TaxCategory/Percent`)."""
    net_amount: Annotated[Money | None, Meta(computed=True)] = None
    """Quantity times price without tax, as the owning system rounds it (UBL `LineExtensionAmount`)."""
    requested_date: Day | None = None
    """When the buyer wants it (UBL `RequestedDeliveryPeriod`)."""
    status: Literal["open", "partial", "shipped", "cancelled", "returned"] | None = None
    """How far this line is (UBL `LineStatusCode`)."""


class SalesOrder(Entity):
    """A customer's order (UBL `Order`, OAGIS `SalesOrder`).

    `issuer` and `number` are those of the system that *took* the order, and the same everywhere. A system
    that gives the order a number of its own, too, shows that one in `identifiers`.
    """

    entity_name: ClassVar[str] = "sales_order"
    experimental: ClassVar[bool] = False
    document: ClassVar[bool] = True
    natural_key: ClassVar[tuple[str, ...]] = ("issuer", "number")

    number: Text | None = None
    """The number that buyer and seller use, given where the order was taken (UBL `Order/ID`)."""
    issuer: Text | None = None
    """Whose number it is: the shop, company or channel that took the order. Numbers of two issuers may
    collide (UBL `SellerSupplierParty`)."""
    identifiers: list[Identifier] | None = None
    """Its numbers elsewhere: the buyer's purchase order number, the ERP's own (UBL `CustomerReference`,
    `SalesOrderID`)."""
    channel: Text | None = None
    """How it came: `web`, `marketplace`, `phone`, `store` ... (Shopify `source_name`)."""
    party: Annotated[Ref | None, Meta(refers_to="party")] = None
    """Who buys and is billed; empty for a cash sale (UBL `BuyerCustomerParty`)."""
    ship_to_party: Annotated[Ref | None, Meta(refers_to="party")] = None
    """Who gets the goods, where it is not `party` (UBL `Delivery/DeliveryParty`)."""
    bill_to: Annotated[PostalAddress | None, Meta(personal="location")] = None
    """Billing address as on the order (UBL `AccountingCustomerParty`)."""
    ship_to: Annotated[PostalAddress | None, Meta(personal="location")] = None
    """Delivery address as on the order (UBL `Delivery/DeliveryAddress`)."""
    currency: CurrencyCode | None = None
    """Currency of the order (UBL `DocumentCurrencyCode`)."""
    ordered_at: Instant | None = None
    """When the buyer ordered (UBL `IssueDate` and `IssueTime`)."""
    ordered_on: Day | None = None
    """The order's date in systems that know no time (UBL `IssueDate`)."""
    requested_date: Day | None = None
    """When the buyer wants it (UBL `RequestedDeliveryPeriod`)."""
    payment_terms: Annotated[Text | None, Meta(personal="financial")] = None
    """When it must be paid (UBL `PaymentTerms`)."""
    salesperson: Annotated[Text | None, Meta(personal="contact")] = None
    """Who of us sold it: login or e-mail address (UBL `SellerContact`)."""
    note: Annotated[Text | None, Meta(personal="content")] = None
    """What the buyer or seller wrote (UBL `Note`)."""
    status: Annotated[
        Literal[
            "draft",
            "quoted",
            "placed",
            "accepted",
            "processing",
            "completed",
            "on_hold",
            "cancelled",
            "rejected",
        ]
        | None,
        Meta(status=True),
    ] = None
    """`draft`: being written; `quoted`: offered; `placed`: the buyer ordered; `accepted`: we are bound;
    `processing`: being shipped and billed; `completed`; `on_hold`; `cancelled`; `rejected`: refused by us
    (schema.org `OrderStatus`, UBL `OrderResponse`)."""
    fulfilment_status: Literal["none", "waiting", "partial", "shipped", "exception"] | None = None
    """How far the goods are, as the system says that ships them (Shopify `fulfillment_status`)."""
    payment_status: (
        Literal["none", "pending", "authorized", "partial", "paid", "refunded", "exception"] | None
    ) = None
    """How far the money is, as the system says that collects it (Shopify `financial_status`)."""
    lines: list[OrderLine] | None = None
    """What is ordered (UBL `OrderLine`)."""
    net_total: Annotated[Money | None, Meta(computed=True)] = None
    """Sum without tax (UBL `AnticipatedMonetaryTotal/TaxExclusiveAmount`)."""
    tax_total: Annotated[Money | None, Meta(computed=True)] = None
    """Sum of tax (UBL `TaxTotal/TaxAmount`)."""
    gross_total: Annotated[Money | None, Meta(computed=True)] = None
    """What is to be paid (UBL `AnticipatedMonetaryTotal/PayableAmount`)."""


class Opportunity(Entity):
    """A sale that may come (OAGIS `Opportunity`; before UBL's `Quotation`)."""

    entity_name: ClassVar[str] = "opportunity"

    name: Annotated[Text | None, Meta(required=True)] = None
    """What it is about (Salesforce `Opportunity.Name`)."""
    party: Annotated[Ref | None, Meta(refers_to="party")] = None
    """Who may buy (Salesforce `Opportunity.AccountId`)."""
    stage: Text | None = None
    """How far it is, in the words of the CRM's pipeline (Salesforce `Opportunity.StageName`)."""
    status: Literal["open", "won", "lost"] | None = None
    """Whether it is still to be decided (Salesforce `IsClosed` and `IsWon`)."""
    amount: Money | None = None
    """What it would bring (Salesforce `Opportunity.Amount`)."""
    probability: Percent | None = None
    """How likely it is, in percent: 0 to 100 (Salesforce `Opportunity.Probability`)."""
    expected_close_date: Day | None = None
    """When it should be decided (Dynamics 365 `estimatedclosedate`)."""
    closed_on: Day | None = None
    """When it was decided (Dynamics 365 `actualclosedate`)."""
    lost_reason: Text | None = None
    """Why it was lost (Odoo `crm.lead.lost_reason_id`)."""
    source: Text | None = None
    """Where it came from: a campaign, a fair, a recommendation (Salesforce `LeadSource`)."""
    owner: Annotated[Text | None, Meta(personal="contact")] = None
    """Our person in charge: login or e-mail address (Salesforce `Opportunity.OwnerId`)."""
    description: Annotated[Text | None, Meta(personal="content")] = None
    """What people wrote about it (Salesforce `Opportunity.Description`)."""
