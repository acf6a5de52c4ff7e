"""Where goods are, and how many (GS1 EPCIS 2.0 `bizLocation`; UBL 2.3 `InventoryReport`)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from crmbridge_schemas.base import Entity, Instant, Meta, Quantity, Ref, Text
from crmbridge_schemas.party import PostalAddress

__all__ = ["Location", "StockLevel"]


class Location(Entity):
    """A place that holds stock (EPCIS `bizLocation`; UBL `Location`, `Warehouse`)."""

    entity_name: ClassVar[str] = "location"
    natural_key: ClassVar[tuple[str, ...]] = ("gln",)

    code: Text | None = None
    """Short name in its system; other systems may use the same one for another place (UBL
    `Location/ID`)."""
    name: Annotated[Text | None, Meta(required=True)] = None
    """What people call it (UBL `Location/Name`)."""
    type: Literal["warehouse", "store", "bin", "supplier", "customer", "transit", "virtual"] | None = None
    """What sort of place it is (UBL `LocationTypeCode`)."""
    gln: Text | None = None
    """GS1 Global Location Number, 13 digits: the one number that all systems share."""
    address: PostalAddress | None = None
    """Where it is (UBL `Location/Address`)."""
    parent: Annotated[Ref | None, Meta(refers_to="location")] = None
    """The place of which it is a part (UBL `SubsidiaryLocation`, seen from below)."""


class StockLevel(Entity):
    """How much of a product is at a location (UBL `InventoryReportLine`). Stock is not merged by time: one
    system says it."""

    entity_name: ClassVar[str] = "stock_level"
    natural_key: ClassVar[tuple[str, ...]] = ("product", "location")

    product: Annotated[Ref | None, Meta(refers_to="product", required=True)] = None
    """Of what (UBL `InventoryReportLine/Item`)."""
    location: Annotated[Ref | None, Meta(refers_to="location", required=True)] = None
    """Where (UBL `InventoryLocation`)."""
    on_hand: Quantity | None = None
    """What is physically there (UBL `Quantity`)."""
    reserved: Quantity | None = None
    """What of it is promised to orders already (Odoo `stock.quant.reserved_quantity`)."""
    available: Quantity | None = None
    """What may still be promised: on hand less reserved, by the rules of the system that says it (Odoo
    `stock.quant.available_quantity`)."""
    as_of: Instant | None = None
    """When it was counted or computed (UBL `InventoryReport/IssueDate` and `IssueTime`)."""
