"""Invoices and payments (UBL 2.3 `Invoice`, `CreditNote`, `RemittanceAdvice`; EN 16931)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from crmbridge_schemas.base import (
    CurrencyCode,
    Day,
    Element,
    Entity,
    Identifier,
    Meta,
    Money,
    Quantity,
    Ref,
    Text,
)
from crmbridge_schemas.party import PostalAddress
from crmbridge_schemas.sales import Percent

__all__ = ["Invoice", "InvoiceLine", "InvoiceOrder", "Payment", "PaymentAllocation"]


class InvoiceOrder(Element):
    """An order that an invoice bills (UBL `OrderReference`; EN 16931 BT-13)."""

    order: Annotated[Ref, Meta(refers_to="sales_order", merge_key=True)]
    """The order (EN 16931 BT-13)."""


class InvoiceLine(Element):
    """One line of an invoice (UBL `InvoiceLine`; EN 16931 BG-25)."""

    product: Annotated[Ref | None, Meta(refers_to="product", merge_key=True)] = None
    """What is billed (UBL `Item`)."""
    sku: Text | None = None
    """The article number as the invoice shows it (EN 16931 BT-155)."""
    description: Text | None = None
    """The text of the line (EN 16931 BT-154)."""
    quantity: Quantity | None = None
    """How many (EN 16931 BT-129)."""
    unit_price: Money | None = None
    """Price of one unit (EN 16931 BT-146)."""
    tax_rate: Percent | None = None
    """Tax rate in percent (EN 16931 BT-152)."""
    net_amount: Annotated[Money | None, Meta(computed=True)] = None
    """Quantity times price without tax (EN 16931 BT-131)."""


class Invoice(Entity):
    """What a customer is asked to pay, or gets back (UBL `Invoice`, `CreditNote`)."""

    entity_name: ClassVar[str] = "invoice"
    document: ClassVar[bool] = True
    natural_key: ClassVar[tuple[str, ...]] = ("issuer", "number")

    number: Text | None = None
    """Number of the invoice; drafts have none (EN 16931 BT-1)."""
    issuer: Text | None = None
    """The company of ours whose number it is: code or tax id (EN 16931 BG-4)."""
    identifiers: list[Identifier] | None = None
    """Its numbers elsewhere: 发票号码, the shop's (UBL `AdditionalDocumentReference`)."""
    kind: Literal["invoice", "credit_note"] | None = None
    """UBL `Invoice` or `CreditNote`; amounts of both are positive."""
    party: Annotated[Ref | None, Meta(refers_to="party", required=True)] = None
    """Who is billed (UBL `AccountingCustomerParty`)."""
    orders: list[InvoiceOrder] | None = None
    """The orders that it bills (UBL `OrderReference`)."""
    bill_to: Annotated[PostalAddress | None, Meta(personal="location")] = None
    """Address as on the invoice (EN 16931 BG-8)."""
    currency: CurrencyCode | None = None
    """Currency of the invoice (EN 16931 BT-5)."""
    issued_on: Day | None = None
    """Date of the invoice (EN 16931 BT-2)."""
    due_date: Day | None = None
    """When it must be paid (EN 16931 BT-9)."""
    payment_terms: Annotated[Text | None, Meta(personal="financial")] = None
    """The same in words (EN 16931 BT-20)."""
    note: Annotated[Text | None, Meta(personal="content")] = None
    """What is written on it (EN 16931 BT-22)."""
    status: Annotated[
        Literal["draft", "validated", "open", "paid", "cancelled"] | None, Meta(status=True)
    ] = None
    """`validated`: complete, not posted; `open`: posted, not wholly paid; `paid`; `cancelled` (Tryton
    `account.invoice.state`)."""
    lines: list[InvoiceLine] | None = None
    """What is billed (EN 16931 BG-25)."""
    net_total: Annotated[Money | None, Meta(computed=True)] = None
    """Sum without tax (EN 16931 BT-109)."""
    tax_total: Annotated[Money | None, Meta(computed=True)] = None
    """Sum of tax (EN 16931 BT-110)."""
    gross_total: Annotated[Money | None, Meta(computed=True)] = None
    """Sum with tax (EN 16931 BT-112)."""
    open_amount: Annotated[Money | None, Meta(personal="financial")] = None
    """What is still to be paid (EN 16931 BT-115)."""


class PaymentAllocation(Element):
    """What of a payment settles which invoice (UBL `RemittanceAdviceLine`)."""

    invoice: Annotated[Ref, Meta(refers_to="invoice", merge_key=True)]
    """The invoice (UBL `BillingReference/InvoiceDocumentReference`)."""
    amount: Money | None = None
    """How much of the payment (UBL `RemittanceAdviceLine/CreditLineAmount`)."""


class Payment(Entity):
    """Money that came or went (UBL `Payment`, `RemittanceAdvice`)."""

    entity_name: ClassVar[str] = "payment"
    document: ClassVar[bool] = True
    natural_key: ClassVar[tuple[str, ...]] = ("issuer", "number")

    number: Text | None = None
    """Number of the payment (UBL `Payment/ID`)."""
    issuer: Text | None = None
    """Whose number it is: the company, bank or payment provider (no standard)."""
    party: Annotated[Ref | None, Meta(refers_to="party")] = None
    """Who paid, or was paid (UBL `RemittanceAdvice/AccountingCustomerParty`)."""
    order: Annotated[Ref | None, Meta(refers_to="sales_order")] = None
    """The order, where it was paid before an invoice (schema.org `referencesOrder`)."""
    direction: Literal["incoming", "outgoing"] | None = None
    """To us, or from us (ISO 20022 `CreditDebitIndicator`)."""
    amount: Annotated[Money | None, Meta(required=True, personal="financial")] = None
    """How much (UBL `PaidAmount`)."""
    paid_on: Day | None = None
    """Value date (UBL `PaidDate`)."""
    method: Text | None = None
    """How: `transfer`, `card`, `alipay`, `wechat-pay`, `cash` ... (UBL `PaymentMeansCode`)."""
    reference: Annotated[Text | None, Meta(personal="financial")] = None
    """What the payer wrote, or the provider's id (UBL `InstructionID`)."""
    allocations: list[PaymentAllocation] | None = None
    """The invoices that it settles (UBL `RemittanceAdviceLine`)."""
    status: Annotated[
        Literal["pending", "authorized", "completed", "failed", "refunded", "cancelled"] | None,
        Meta(status=True),
    ] = None
    """How far the money is (schema.org `PaymentStatusType`)."""
