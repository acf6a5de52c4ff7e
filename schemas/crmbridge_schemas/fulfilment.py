"""Shipments and what happened to them (UBL 2.3 `DespatchAdvice`, `TransportationStatus`; GS1 EPCIS 2.0
events)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from crmbridge_schemas.base import Day, Element, Entity, Identifier, Instant, Meta, Quantity, Ref, Text
from crmbridge_schemas.party import PostalAddress

__all__ = ["Shipment", "ShipmentEvent", "ShipmentLine"]


class ShipmentLine(Element):
    """What of an order line is in the shipment (UBL `DespatchLine`)."""

    product: Annotated[Ref | None, Meta(refers_to="product", merge_key=True)] = None
    """What is shipped (UBL `Item`)."""
    order: Annotated[Ref | None, Meta(refers_to="sales_order")] = None
    """The order, where the shipment serves several (UBL `OrderLineReference/OrderReference`)."""
    order_line: Text | None = None
    """The order line's id in the same system (UBL `OrderLineReference/LineID`)."""
    sku: Text | None = None
    """The article number as the delivery note shows it (UBL `SellersItemIdentification`)."""
    quantity: Quantity | None = None
    """How many (UBL `DeliveredQuantity`)."""
    lot: Text | None = None
    """Lot or serial number (UBL `ItemInstance/LotIdentification`)."""


class ShipmentEvent(Element):
    """Something that happened on the way (EPCIS `ObjectEvent`; UBL `TransportEvent`)."""

    occurred_at: Annotated[Instant | None, Meta(merge_key=True)] = None
    """When, with the zone of the place (EPCIS `eventTime`, `eventTimeZoneOffset`)."""
    type: Annotated[
        Literal[
            "label_created",
            "picked_up",
            "departed",
            "arrived",
            "customs",
            "out_for_delivery",
            "attempted",
            "delivered",
            "exception",
            "returned",
            "other",
        ]
        | None,
        Meta(merge_key=True),
    ] = None
    """What happened (EPCIS `bizStep`)."""
    place: Annotated[Text | None, Meta(personal="location")] = None
    """Where, in words (EPCIS `readPoint`)."""
    description: Annotated[Text | None, Meta(personal="content")] = None
    """The carrier's words (UBL `TransportEvent/Description`)."""


class Shipment(Entity):
    """Goods that go to a customer or come back (UBL `DespatchAdvice`)."""

    entity_name: ClassVar[str] = "shipment"
    document: ClassVar[bool] = True
    natural_key: ClassVar[tuple[str, ...]] = ("issuer", "number")

    number: Text | None = None
    """Number of the delivery note (UBL `DespatchAdvice/ID`)."""
    issuer: Text | None = None
    """Whose number it is: the company or warehouse that ships (UBL `DespatchSupplierParty`)."""
    identifiers: list[Identifier] | None = None
    """Its numbers elsewhere: the parcel's (GS1 SSCC), the shop's fulfilment number."""
    direction: Literal["outgoing", "return"] | None = None
    """To the customer, or back from it (Tryton `stock.shipment.out` and `stock.shipment.out.return`)."""
    order: Annotated[Ref | None, Meta(refers_to="sales_order")] = None
    """The order that it serves (UBL `OrderReference`)."""
    party: Annotated[Ref | None, Meta(refers_to="party")] = None
    """Who gets the goods (UBL `DeliveryCustomerParty`)."""
    ship_from: Annotated[Ref | None, Meta(refers_to="location")] = None
    """From where (UBL `DespatchLocation`)."""
    ship_to: Annotated[PostalAddress | None, Meta(personal="location")] = None
    """To where, as on the label (UBL `DeliveryAddress`)."""
    carrier: Text | None = None
    """Who carries it: name or SCAC (UBL `CarrierParty`)."""
    tracking_number: Annotated[Text | None, Meta(personal="content")] = None
    """The carrier's number (schema.org `trackingNumber`, UBL `Consignment/ID`)."""
    tracking_url: Annotated[Text | None, Meta(personal="content")] = None
    """Where one can follow it (schema.org `trackingUrl`)."""
    planned_on: Day | None = None
    """When it should leave (UBL `RequestedDespatchDate`)."""
    expected_on: Day | None = None
    """When it should arrive (schema.org `expectedArrivalUntil`)."""
    shipped_at: Instant | None = None
    """When it left (UBL `ActualDespatchDate`)."""
    delivered_at: Instant | None = None
    """When it arrived (UBL `ActualDeliveryDate`)."""
    status: Annotated[
        Literal["draft", "waiting", "ready", "shipped", "delivered", "exception", "returned", "cancelled"]
        | None,
        Meta(status=True),
    ] = None
    """`waiting`: for goods; `ready`: picked and packed; `shipped`: with the carrier; `exception`:
    something is wrong
    (schema.org `DeliveryEvent`; UBL `TransportationStatus`)."""
    lines: list[ShipmentLine] | None = None
    """What is in it (UBL `DespatchLine`)."""
    events: list[ShipmentEvent] | None = None
    """What happened on the way (EPCIS `ObjectEvent`; UBL `TransportEvent`)."""
