"""What is read from Tryton: streams, their fields, and where else a change of a record can show.

Tryton keeps a time of change for every row, and only for that row: a new e-mail address of a customer
changes the contact mechanism, not the party. A stream therefore names its *parts*: other models whose rows
it shows. Their changes are polled as well and lead to the records that show them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from crmbridge.sdk.connector import Capabilities, FieldInfo

__all__ = [
    "INVOICES",
    "LOCATIONS",
    "PARTIES",
    "PRODUCTS",
    "SALES",
    "SHIPMENTS",
    "STOCK",
    "TABLES",
    "Part",
    "Table",
]

EAN = "ean"
"""The type of product identifier that is a GTIN."""
STOCK = "stock.quantity"
"""The one stream that is no model: how much of a product is in a warehouse (see stock.py)."""


@dataclass(frozen=True, slots=True)
class Company:
    """The company that we work for."""

    id: int
    party: int
    """The party that it is itself."""
    currency: str
    """ISO 4217"""


@dataclass(frozen=True, slots=True)
class Part:
    """Another model whose rows a record shows."""

    model: str
    path: str
    """Its field that leads to the records: a reference to one, a list of several."""
    counted: bool = False
    """Rows that people delete by themselves: it is noticed by counting them."""


@dataclass(frozen=True, slots=True)
class Table:
    """A stream that is a model of Tryton."""

    model: str
    label: str
    paths: tuple[str, ...]
    """What is read, as dotted paths. Those that need a module which isn't active are left out."""
    parts: tuple[Part, ...] = ()
    watched: tuple[str, ...] = ()
    """Relations whose time of change belongs to the record's: its child lists, a product's template."""
    domain: tuple[object, ...] = ()
    """Which rows belong to the stream, as a Tryton domain."""
    company: bool = False
    """Each row belongs to a company: only those of ours are read."""
    supplied: frozenset[str] = frozenset()
    """Required fields that Tryton fills by itself, beside those with a default."""
    shown: Mapping[str, FieldInfo] = field(default_factory=dict)
    """Fields of a record that are none in Tryton, and that `show` adds."""
    show: Callable[[dict[str, Any], Company], None] | None = None
    """Adds them to a record's data."""
    capabilities: Capabilities = field(default_factory=Capabilities)

    @property
    def models(self) -> Iterator[Part]:
        """The model itself and its parts, each with the way to the record."""
        yield Part(self.model, "id")
        yield from self.parts


_READ_ONLY = Capabilities(changed_since=True, deletes="sweep", versions=True, absent_means="unset")
_CHILD_ID = "id"


def _lists(*names: str) -> Mapping[str, str]:
    return dict.fromkeys(names, _CHILD_ID)


def _show_party(data: dict[str, Any], company: Company) -> None:
    """Whether it is our own company, which is nobody's customer."""
    data["own_company"] = data["id"] == str(company.party)


PARTIES = Table(
    model="party.party",
    label="Customers, suppliers and other parties",
    paths=(
        *("name", "code", "lang.code", "replaced_by", "active"),
        *("categories.name", "customer_payment_term.name"),
        *("addresses.party_name", "addresses.attn", "addresses.street", "addresses.postal_code"),
        *("addresses.city", "addresses.country.code", "addresses.subdivision.code"),
        *("addresses.subdivision.name", "addresses.invoice", "addresses.delivery"),
        *("contact_mechanisms.type", "contact_mechanisms.value", "contact_mechanisms.name"),
        *("identifiers.type", "identifiers.code"),
    ),
    parts=(
        Part("party.address", "party", counted=True),
        Part("party.contact_mechanism", "party", counted=True),
        Part("party.identifier", "party", counted=True),
    ),
    watched=("addresses", "contact_mechanisms", "identifiers"),
    supplied=frozenset({"code"}),
    shown={"own_company": FieldInfo("boolean", on_create=False, on_update=False)},
    show=_show_party,
    capabilities=Capabilities(
        operations={"create", "update", "archive", "delete"},
        changed_since=True,
        deletes="sweep",
        versions=True,
        search_keys=("code", "name", "contact_mechanisms.value", "identifiers.code"),
        batch_size=100,
        child_lists={"addresses": "patch", "contact_mechanisms": "patch", "identifiers": "patch"},
        child_ids=_lists("addresses", "contact_mechanisms", "identifiers"),
        cannot_clear={"code", "contact_mechanisms.value", "contact_mechanisms.type", "identifiers.code"},
    ),
)


def _show_product(data: dict[str, Any], company: Company) -> None:
    """One EAN as a field of its own, as other systems have it, and the currency of the prices."""
    eans = [identifier["code"] for identifier in data["identifiers"] if identifier["type"] == EAN]
    data["ean"] = eans[0] if eans else None
    data["identifiers"] = [item for item in data["identifiers"] if item["type"] != EAN]
    data["currency"] = {"code": company.currency}


PRODUCTS = Table(
    model="product.product",
    label="Products (each variant is one)",
    paths=(
        *("code", "list_price_used", "cost_price", "description", "active", "replaced_by"),
        *("identifiers.type", "identifiers.code"),
        *("template.name", "template.type", "template.salable", "template.active"),
        *("template.default_uom.symbol", "template.sale_uom.symbol"),
        *("template.account_category.name", "template.categories.name"),
    ),
    parts=(Part("product.template", "products"), Part("product.identifier", "product", counted=True)),
    watched=("template", "identifiers"),
    shown={
        "ean": FieldInfo("string"),
        "currency": FieldInfo("object", fields={"code": FieldInfo("string")}),
    },
    show=_show_product,
    capabilities=Capabilities(
        operations={"create", "update", "archive", "delete"},
        changed_since=True,
        deletes="sweep",
        versions=True,
        search_keys=("code", "ean", "identifiers.code"),
        batch_size=100,
        child_lists={"identifiers": "patch"},
        child_ids=_lists("identifiers"),
        cannot_clear={
            "template.name",
            "template.type",
            "template.default_uom",
            "currency",
            "identifiers.code",
        },
        required={"template.name"},
    ),
)

SALES = Table(
    model="sale.sale",
    label="Sales orders",
    paths=(
        *("number", "reference", "sale_date", "state", "invoice_state", "shipment_state", "comment"),
        *("currency.code", "untaxed_amount", "tax_amount", "total_amount", "payment_term.name"),
        *("party.code", "party.name", "shipment_party.code", "warehouse.code", "description"),
        *(
            f"{address}.{name}"
            for address in ("invoice_address", "shipment_address")
            for name in ("party_name", "street", "postal_code", "city", "country.code", "subdivision.code")
        ),
        *("lines.type", "lines.product.code", "lines.quantity", "lines.unit.symbol", "lines.unit_price"),
        *("lines.amount", "lines.currency.code", "lines.description", "lines.sequence"),
    ),
    parts=(Part("sale.line", "sale", counted=True),),
    watched=("lines",),
    company=True,
    supplied=frozenset({"invoice_address", "shipment_address"}),
    capabilities=Capabilities(
        operations={"create", "update", "delete", "transition"},
        changed_since=True,
        deletes="sweep",
        versions=True,
        search_keys=("reference", "number"),
        batch_size=50,
        child_lists={"lines": "patch"},
        child_ids=_lists("lines"),
        cannot_clear={"party", "currency", "lines.quantity", "lines.unit_price"},
        required={"party"},
        closed_when={"state": {"quotation", "confirmed", "processing", "done", "cancelled"}},
    ),
)

SHIPMENTS = Table(
    model="stock.shipment.out",
    label="Customer shipments",
    paths=(
        *("number", "reference", "state", "planned_date", "effective_date", "customer.code"),
        *("warehouse.code", "delivery_address.party_name", "delivery_address.street"),
        *("delivery_address.postal_code", "delivery_address.city", "delivery_address.country.code"),
        *("delivery_address.subdivision.code", "outgoing_moves.product.code", "outgoing_moves.quantity"),
        *("outgoing_moves.unit.symbol", "outgoing_moves.state", "outgoing_moves.origin"),
        "outgoing_moves.sale",
    ),
    parts=(Part("stock.move", "shipment"),),
    watched=("outgoing_moves",),
    company=True,
    capabilities=_READ_ONLY,
)

INVOICES = Table(
    model="account.invoice",
    label="Customer invoices and credit notes",
    paths=(
        *("number", "reference", "type", "state", "invoice_date", "payment_term_date", "currency.code"),
        *(
            "untaxed_amount",
            "tax_amount",
            "total_amount",
            "amount_to_pay",
            "party.code",
            "company.party.name",
        ),
        *("payment_term.name", "comment", "sales", "invoice_address.party_name", "invoice_address.street"),
        *("invoice_address.postal_code", "invoice_address.city", "invoice_address.country.code"),
        *("invoice_address.subdivision.code", "lines.type", "lines.product.code", "lines.quantity"),
        *(
            "lines.unit.symbol",
            "lines.unit_price",
            "lines.amount",
            "lines.currency.code",
            "lines.description",
        ),
    ),
    parts=(Part("account.invoice.line", "invoice"),),
    watched=("lines",),
    domain=(("type", "=", "out"),),
    company=True,
    capabilities=_READ_ONLY,
)

LOCATIONS = Table(
    model="stock.location",
    label="Warehouses",
    paths=(
        *("name", "code", "type", "active", "address.party_name", "address.street"),
        *("address.postal_code", "address.city", "address.country.code", "address.subdivision.code"),
    ),
    domain=(("type", "=", "warehouse"),),
    capabilities=_READ_ONLY,
)

TABLES: Mapping[str, Table] = {
    table.model: table for table in (PARTIES, PRODUCTS, SALES, SHIPMENTS, INVOICES, LOCATIONS)
}
"""By stream name, which is the model's name."""
