"""Products and their prices (UBL 2.3 `Item`, `Price`; schema.org `Product`, `Offer`; GS1 General
Specifications)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from crmbridge_schemas.base import (
    Day,
    Element,
    Entity,
    Exact,
    Identifier,
    Meta,
    Money,
    NonEmpty,
    Quantity,
    Ref,
    Text,
)

__all__ = ["Price", "Product", "UnitConversion"]


class UnitConversion(Element):
    """A further unit in which a product is bought, sold or packed, such as a box of twelve (SAP
    `A_ProductUnitsOfMeasure`; ERPNext `UOM Conversion Detail`)."""

    unit: Annotated[NonEmpty, Meta(merge_key=True)]
    """The further unit: UN/ECE Recommendation 20 code (XBX: box), or the system's own symbol."""
    factor: Annotated[Exact, Field(gt=Decimal(0))] | None = None
    """How many of the product's `unit` one of this is: 12 for a box of twelve (ERPNext
    `conversion_factor`)."""
    gtin: Text | None = None
    """The number on a pack of this unit, 8, 12, 13 or 14 digits (GS1 Global Trade Item Number)."""


class Product(Entity):
    """What can be sold or bought: one stock keeping unit, so a variant is a product of its own (UBL
    `Item`)."""

    entity_name: ClassVar[str] = "product"
    experimental: ClassVar[bool] = False
    matched: ClassVar[bool] = True

    sku: Annotated[Text | None, Meta(identity="identifier")] = None
    """Our own article number (schema.org `sku`, UBL `SellersItemIdentification`)."""
    gtin: Annotated[Text | None, Meta(identity="identifier")] = None
    """GS1 Global Trade Item Number, 8, 12, 13 or 14 digits (schema.org `gtin`, UBL
    `StandardItemIdentification`)."""
    identifiers: list[Identifier] | None = None
    """Further numbers: the maker's, a supplier's, a marketplace's (UBL `AdditionalItemIdentification`)."""
    name: Annotated[Text | None, Meta(identity="name")] = None
    """What it is called in lists and on documents (UBL `Item/Name`)."""
    description: Text | None = None
    """What it is, in sentences (UBL `Item/Description`)."""
    kind: Literal["goods", "service"] | None = None
    """Goods have stock and are shipped; services are neither (schema.org `Product` and `Service`)."""
    variant_of: Annotated[Ref | None, Meta(refers_to="product")] = None
    """The product of which this is a size or colour (schema.org `isVariantOf`)."""
    category: Text | None = None
    """Name or path of its group in the catalogue (UBL `CommodityClassification`)."""
    brand: Text | None = None
    """Brand name (schema.org `brand`, UBL `BrandName`)."""
    unit: Text | None = None
    """Unit in which it is sold and stocked: UN/ECE Recommendation 20 code, or the system's own symbol."""
    unit_conversions: list[UnitConversion] | None = None
    """Further units in which it is bought, sold or packed (SAP `A_ProductUnitsOfMeasure`)."""
    weight: Quantity | None = None
    """Weight of one unit, packed (schema.org `weight`)."""
    tax_class: Text | None = None
    """Which tax it bears, by the ERP's code: `standard`, `reduced`, `exempt` (UBL
    `ClassifiedTaxCategory`)."""
    list_price: Money | None = None
    """The price of one unit where no price list says otherwise (schema.org `price` with `ListPrice`)."""
    cost_price: Money | None = None
    """What one unit costs us; never shown to a shop by the shipped mappings (Tryton `cost_price`)."""
    status: Literal["draft", "active", "discontinued"] | None = None
    """`draft`: not on sale yet; `active`: on sale; `discontinued`: no longer (Shopify `Product.status`)."""


class Price(Entity):
    """The price of a product in a list, from a quantity on, for a time (UBL `Price`, `PriceList`;
    schema.org `Offer`).

    A mapping gives `minimum_quantity` the constant 1 where a system has no quantity breaks; without it
    there is no natural key.
    """

    entity_name: ClassVar[str] = "price"
    natural_key: ClassVar[tuple[str, ...]] = ("product", "price_list", "minimum_quantity")

    product: Annotated[Ref | None, Meta(refers_to="product", required=True)] = None
    """What it is the price of (schema.org `itemOffered`)."""
    price_list: Text | None = None
    """Code of the list; the same code in every system that takes the list (UBL `PriceList/ID`)."""
    amount: Annotated[Money | None, Meta(required=True)] = None
    """The price of one unit, with its currency, and whether tax is included (UBL `PriceAmount`)."""
    minimum_quantity: Quantity | None = None
    """The price holds from this quantity on (UBL `ItemLocationQuantity/MinimumQuantity`)."""
    valid_from: Day | None = None
    """First day on which it holds (UBL `ValidityPeriod`)."""
    valid_to: Day | None = None
    """Last day on which it holds (UBL `ValidityPeriod/EndDate`)."""
