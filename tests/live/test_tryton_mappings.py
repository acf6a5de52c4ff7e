"""The mappings that come with the Tryton connector, on real records: there and back again."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crmbridge.config import load_config
from crmbridge.mapping import Mapping as CompiledMapping
from crmbridge.mapping.discovered import check_against
from crmbridge.mapping.load import Mappings, load_mappings
from crmbridge.sdk.connector import ListPatch, Operation, Record
from crmbridge_schemas.billing import Invoice
from crmbridge_schemas.fulfilment import Shipment
from crmbridge_schemas.party import Party
from crmbridge_schemas.product import Product
from crmbridge_schemas.sales import SalesOrder
from crmbridge_schemas.stock import Location, StockLevel
from crmbridge_tryton import crmbridge_codecs
from crmbridge_tryton.connector import TrytonConnector
from tests.live.tryton_person import Person, make_product, put_into_stock
from tests.live.tryton_server import Access
from tests.live.tryton_system import create, open_tryton, push_one, update

ENTITIES = {
    entity.entity_name: entity
    for entity in (Party, Product, SalesOrder, Shipment, Invoice, Location, StockLevel)
}
CONFIG = """
systems:
  erp: {connector: tryton, url: "http://127.0.0.1:1", database: crm, user: bridge, password: "${env:NONE}"}
  old: {connector: tryton, url: "http://127.0.0.1:1", database: old, user: bridge, password: "${env:NONE}"}
sync:
  party: {from: erp, to: [old]}
"""


@pytest.fixture(scope="module")
def erp(tryton: Access) -> TrytonConnector:
    """The connector as the service user."""
    return open_tryton(tryton)


@pytest.fixture(scope="module")
def clerk(tryton: Access) -> Person:
    """Somebody at work in Tryton."""
    return Person(tryton.as_user("clerk"))


@pytest.fixture(scope="module")
def mappings(erp: TrytonConnector, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, CompiledMapping]:
    """By entity."""
    path: Path = tmp_path_factory.mktemp("config") / "crmbridge.yaml"
    path.write_text(CONFIG)
    folders = dict.fromkeys(("erp", "old"), TrytonConnector.mappings)
    loaded: Mappings = load_mappings(load_config(path), folders, ENTITIES, crmbridge_codecs())
    bound = loaded.bind("erp", erp.streams())
    return {mapping.entity: mapping for mapping in bound.all if mapping.system == "erp"}


def the_record(erp: TrytonConnector, stream: str, native_id: object) -> Record:
    (record,) = erp.get_many(stream, [str(native_id)])
    return record


def without_ids(value: Any) -> Any:
    """A canonical document without the ids of its elements, which another system does not have."""
    if isinstance(value, dict):
        return {k: without_ids(v) for k, v in value.items() if k != "id" or "entity" in value}
    return [without_ids(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("entity", sorted(ENTITIES))
def test_each_mapping_fits_what_this_tryton_has(
    erp: TrytonConnector, mappings: Mapping[str, CompiledMapping], entity: str
) -> None:
    mapping = mappings[entity]
    findings = [f for f in check_against(mapping, erp.discover(mapping.stream)) if f.level == "error"]
    assert findings == []


def test_a_party_goes_there_and_back(erp: TrytonConnector, mappings: Mapping[str, CompiledMapping]) -> None:
    mapping = mappings["party"]
    golden = {
        "display_name": "شركة النور ⭐",
        "identifiers": [
            {"scheme": "vat", "value": "DE136695976"},
            {"scheme": "cn.uscc", "value": "91110000600037341L"},
        ],
        "contact_points": [
            {"type": "mobile", "value": "+971501234567", "label": "Mobile"},
            {"type": "email", "value": "noor@example.ae"},
        ],
        "addresses": [
            {
                "recipient": "الاستقبال",
                "lines": ["شارع الشيخ زايد 1", "الطابق 3"],
                "city": "دبي",
                "country": "AE",
                "role": "shipping",
            }
        ],
    }
    data = mapping.write({"display_name": golden["display_name"]})
    for name, rule in mapping.lists.items():
        elements = golden[name]
        assert all(rule.expresses(element) for element in elements)
        data[rule.native] = ListPatch(add=[rule.write_element(element) for element in elements])
    read = mapping.read(push_one(erp, "party.party", create(1, data)).data)
    assert read["display_name"] == golden["display_name"]
    for name in ("contact_points", "identifiers", "addresses"):
        found = [
            {key: value for key, value in element.items() if value is not None}
            for element in without_ids(read[name])
        ]
        assert sorted(found, key=str) == sorted(golden[name], key=str)


def test_an_identifier_of_no_known_type_is_not_written(mappings: Mapping[str, CompiledMapping]) -> None:
    rule = mappings["party"].lists["identifiers"]
    assert not rule.expresses({"scheme": "shop-customer-no", "value": "4711"})
    assert rule.expresses({"scheme": "fr.siren", "value": "552008443"})


def test_our_own_company_is_no_customer(
    erp: TrytonConnector, clerk: Person, mappings: Mapping[str, CompiledMapping]
) -> None:
    company = clerk.read("company.company", 1, "party")["party"]
    other = clerk.create("party.party", name="Somebody else")
    admitted = [
        r for r in erp.get_many("party.party", [str(company), str(other)]) if mappings["party"].admits(r.data)
    ]
    assert [record.native_id for record in admitted] == [str(other)]
    assert mappings["party"].fits({"display_name": "New"})


def test_a_product_goes_there_and_back(
    erp: TrytonConnector, clerk: Person, mappings: Mapping[str, CompiledMapping]
) -> None:
    mapping = mappings["product"]
    golden = {
        "sku": "MAP-1",
        "gtin": "4006381333931",
        "name": "Tea, loose",
        "description": "Oolong",
        "kind": "goods",
        "unit": "KGM",
        "list_price": {"amount": "12.5000", "currency": "EUR", "tax_included": False},
        "status": "active",
    }
    made = push_one(erp, "product.product", create(1, mapping.write(golden)))
    read = mapping.read(made.data)
    assert Decimal(read["list_price"].pop("amount")) == Decimal("12.5")
    assert read["list_price"] == {"currency": "EUR", "tax_included": False}
    expected = {key: value for key, value in golden.items() if key != "list_price"}
    assert {key: read[key] for key in expected} == expected
    # The EAN is one identifier to Tryton, wherever it stands here.
    assert clerk.count("product.identifier", ["product", "=", int(made.native_id)]) == 1

    changed = push_one(
        erp,
        "product.product",
        update(made, mapping.write({"gtin": "5901234123457", "status": "discontinued"})),
    )
    assert mapping.read(changed.data)["gtin"] == "5901234123457"
    assert mapping.read(changed.data)["status"] == "discontinued"
    assert clerk.count("product.identifier", ["product", "=", int(made.native_id)]) == 1
    cleared = push_one(erp, "product.product", update(changed, mapping.write({"gtin": None})))
    assert mapping.read(cleared.data)["gtin"] is None


def test_a_price_in_another_currency_is_rejected(
    erp: TrytonConnector, mappings: Mapping[str, CompiledMapping]
) -> None:
    price = {"amount": "10", "currency": "USD"}
    golden = {"sku": "USD-1", "name": "Dollar", "unit": "C62", "list_price": price}
    (result,) = erp.push("product.product", [create(1, mappings["product"].write(golden))])
    assert result.status == "rejected"
    assert "prices in Tryton are in EUR, so USD cannot be written" in result.reason


def test_an_order_its_shipment_and_its_invoice(
    erp: TrytonConnector, clerk: Person, mappings: Mapping[str, CompiledMapping]
) -> None:
    (product,) = make_product(clerk, "MAPPED", "10")
    put_into_stock(clerk, product, 10)
    addresses = [{"street": "Platz 1", "city": "Bern"}]
    party = clerk.create("party.party", name="Mapper AG", addresses=[["create", addresses]])
    mapping, lines = mappings["sales_order"], mappings["sales_order"].lists["lines"]
    who = {"entity": "party", "stream": "party.party", "id": str(party)}
    what = {"entity": "product", "stream": "product.product", "id": str(product)}
    line = {
        "product": what,
        "quantity": {"value": "2", "unit": "C62"},
        "unit_price": {"amount": "9.95", "currency": "EUR", "tax_included": False},
    }
    golden = {
        "number": "W-1001",
        "party": who,
        "currency": "EUR",
        "ordered_on": "2026-11-19",
        "note": "Danke",
        "ship_to": {
            "recipient": "Lager",
            "lines": ["Gasse 2"],
            "city": "Thun",
            "postal_code": "3600",
            "country": "CH",
        },
    }
    data = mapping.write(golden)
    data[lines.native] = ListPatch(add=[lines.write_element(line)])
    draft = push_one(erp, "sale.sale", create(1, data))
    read = mapping.read(draft.data)
    assert {name: read[name] for name in golden} == golden
    assert read["status"] == "draft"
    (found,) = read["lines"]
    assert {name: found[name] for name in line} == line

    placed = Operation("t", "transition", draft.native_id, transition=mapping.transition("placed"))
    assert mapping.read(push_one(erp, "sale.sale", placed).data)["status"] == "quoted"
    accepted = Operation("t", "transition", draft.native_id, transition=mapping.transition("accepted"))
    sale = mapping.read(push_one(erp, "sale.sale", accepted).data)
    assert (sale["status"], sale["fulfilment_status"], sale["payment_status"]) == (
        "processing",
        "waiting",
        "pending",
    )
    assert Decimal(sale["gross_total"]["amount"]) == Decimal("19.90")
    assert [item["scheme"] for item in sale["identifiers"]] == ["tryton-sale"]

    order = {"entity": "sales_order", "stream": "sale.sale", "id": draft.native_id}
    row = clerk.read("sale.sale", int(draft.native_id), "shipments", "invoices")
    shipment = mappings["shipment"].read(the_record(erp, "stock.shipment.out", row["shipments"][0]).data)
    assert (shipment["order"], shipment["party"], shipment["status"]) == (order, who, "waiting")
    assert shipment["ship_to"]["city"] == "Thun"
    assert shipment["lines"][0]["order_line"] == found["id"]
    assert shipment["lines"][0]["product"] == what
    invoice = mappings["invoice"].read(the_record(erp, "account.invoice", row["invoices"][0]).data)
    assert (invoice["kind"], invoice["status"], invoice["party"]) == ("invoice", "draft", who)
    assert [item["order"] for item in invoice["orders"]] == [order]
    assert Decimal(invoice["gross_total"]["amount"]) == Decimal("19.90")
    assert invoice["issuer"] == "Dunder Mifflin"


def test_a_draft_moves_to_another_address(
    erp: TrytonConnector, clerk: Person, mappings: Mapping[str, CompiledMapping]
) -> None:
    party = clerk.create("party.party", name="Mover", addresses=[["create", [{"city": "Altstadt"}]]])
    draft = push_one(erp, "sale.sale", create(1, {"party": {"id": str(party)}}))
    assert draft.data["shipment_address"]["city"] == "Altstadt"
    moved = mappings["sales_order"].write({"ship_to": {"lines": ["Weg 9"], "city": "Neustadt"}})
    after = push_one(erp, "sale.sale", update(draft, moved))
    assert after.data["shipment_address"]["city"] == "Neustadt"
    assert after.data["invoice_address"]["city"] == "Altstadt"


def test_stock_of_a_product(
    erp: TrytonConnector, clerk: Person, mappings: Mapping[str, CompiledMapping]
) -> None:
    (product,) = make_product(clerk, "LEVEL")
    put_into_stock(clerk, product, 7)
    records = [r for page in erp.pull("stock.quantity", None) for r in page.records]
    (record,) = [r for r in records if r.data["product"]["code"] == "LEVEL"]
    level = mappings["stock_level"].read(record.data)
    assert level["on_hand"] == level["available"] == {"value": "7", "unit": "C62"}
    assert level["product"]["id"] == str(product)
    (warehouse,) = [r for page in erp.pull("stock.location", None) for r in page.records]
    assert level["location"]["id"] == warehouse.native_id
    assert mappings["location"].read(warehouse.data)["type"] == "warehouse"
