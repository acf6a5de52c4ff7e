"""Purchase orders (UBL 2.3 `Order` seen by the buyer; OAGIS `PurchaseOrder`)."""

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

__all__ = ["PurchaseOrder", "PurchaseOrderLine"]


class PurchaseOrderLine(Element):
    """One line of a purchase order (UBL `LineItem`)."""

    product: Annotated[Ref | None, Meta(refers_to="product", merge_key=True)] = None
    """What we order (UBL `Item`)."""
    supplier_sku: Text | None = None
    """The supplier's article number (UBL `SellersItemIdentification`)."""
    description: Text | None = None
    """The text of the line (UBL `Item/Description`)."""
    quantity: Quantity | None = None
    """How many (UBL `Quantity`)."""
    received: Quantity | None = None
    """How many have arrived (UBL `ReceiptLine/ReceivedQuantity`)."""
    unit_price: Money | None = None
    """Price of one unit (UBL `Price/PriceAmount`)."""
    expected_date: Day | None = None
    """When it should arrive (UBL `PromisedDeliveryPeriod`)."""


class PurchaseOrder(Entity):
    """Our order to a supplier (UBL `Order`, OAGIS `PurchaseOrder`)."""

    entity_name: ClassVar[str] = "purchase_order"
    document: ClassVar[bool] = True
    natural_key: ClassVar[tuple[str, ...]] = ("issuer", "number")

    number: Text | None = None
    """Our number, which the supplier quotes (UBL `Order/ID`)."""
    issuer: Text | None = None
    """The company of ours whose number it is (UBL `BuyerCustomerParty`)."""
    identifiers: list[Identifier] | None = None
    """Its numbers elsewhere: the supplier's order number (UBL `SalesOrderID`)."""
    supplier: Annotated[Ref | None, Meta(refers_to="party")] = None
    """From whom (UBL `SellerSupplierParty`)."""
    location: Annotated[Ref | None, Meta(refers_to="location")] = None
    """Where it is to be delivered (UBL `DeliveryLocation`)."""
    currency: CurrencyCode | None = None
    """Currency of the order (UBL `DocumentCurrencyCode`)."""
    ordered_on: Day | None = None
    """When we ordered (UBL `IssueDate`)."""
    expected_date: Day | None = None
    """When it should arrive (UBL `PromisedDeliveryPeriod`)."""
    note: Annotated[Text | None, Meta(personal="content")] = None
    """What was written on it (UBL `Note`)."""
    status: Annotated[
        Literal["draft", "requested", "confirmed", "partial", "received", "completed", "cancelled"] | None,
        Meta(status=True),
    ] = None
    """`requested`: sent to the supplier; `confirmed`: by the supplier; `partial`, `received`: of the
    goods; `completed`: billed and paid, too (UBL `OrderResponse`, then `ReceiptAdvice`)."""
    lines: list[PurchaseOrderLine] | None = None
    """What we order (UBL `OrderLine`)."""
    net_total: Annotated[Money | None, Meta(computed=True)] = None
    """Sum without tax (UBL `TaxExclusiveAmount`)."""
    tax_total: Annotated[Money | None, Meta(computed=True)] = None
    """Sum of tax (UBL `TaxTotal/TaxAmount`)."""
    gross_total: Annotated[Money | None, Meta(computed=True)] = None
    """What we are to pay (UBL `PayableAmount`)."""
