"""Each kind of document of a customer is shown with all that is said of it."""

from __future__ import annotations

from typing import Any

import msgspec

from crmbridge.identity.policy import Policy
from crmbridge.store.base import GoldenRow, RecordRow
from crmbridge.views.customer360 import (
    CaseView,
    Customer360,
    Held,
    InvoiceView,
    LineView,
    OrderView,
    ShipmentView,
    TouchPoint,
)
from crmbridge.views.view import customer
from tests.engine.customers import CUSTOMERS, add, golden
from tests.engine.world import World

PRICE, NET, TAX, GROSS, OPEN = (
    {"amount": amount, "currency": "EUR"} for amount in ("5", "10", "1.9", "11.9", "7")
)
HELD = (Held("erp", "documents", "7", live=True, status="theirs", gross_total=GROSS),)
ORDER = {"entity": "sales_order", "golden": "order"}
PRODUCT = {"entity": "product", "golden": "product"}


def shown_with(entity: str, document: dict[str, Any]) -> Customer360:
    """王小明 with this document; an order and a product are there for it to refer to."""
    world = World({"erp": [CUSTOMERS]}, [Policy("party", ["erp"])])
    add(world, "erp", "customers", "e1", name="王小明")
    world.sync()
    store, party = world.store, golden(world, "erp", "e1")
    document = {"party": {"entity": "party", "golden": party}, **document}
    named = {("order", "sales_order"): {"number": "SO-1"}, ("product", "product"): {"name": "龙井茶"}}
    with store.transaction():
        for (golden_id, other), doc in {**named, ("document", entity): document}.items():
            store.put_goldens([GoldenRow(golden_id, other, msgspec.json.encode(doc).decode())])
        store.put_references({"document": [party]})
        seen = msgspec.json.encode({"status": "theirs", "gross_total": GROSS}).decode()
        row = RecordRow("erp", "documents", "7", entity, golden_id="document", seen=seen)
        store.put_records([row])
    return customer(world.run(), party)


def test_an_order_with_its_lines() -> None:
    quantity = {"value": "2", "unit": "C62"}
    line = {"product": PRODUCT, "description": "green tea", "sku": "T-1", "quantity": quantity}
    order = {
        "number": "SO-7",
        "issuer": "shop",
        "channel": "web",
        "ordered_at": "2026-02-20T10:00:00Z",
        "ordered_on": "2026-02-19",
        "status": "placed",
        "fulfilment_status": "waiting",
        "payment_status": "pending",
        "lines": [{**line, "unit_price": PRICE, "net_amount": NET, "status": "open"}],
        "net_total": NET,
        "tax_total": TAX,
        "gross_total": GROSS,
    }
    lines = (LineView("龙井茶", "T-1", quantity, PRICE, NET, "open"),)
    said = ("SO-7", "shop", "web", "2026-02-20T10:00:00Z", "placed", "waiting", "pending", lines)
    assert shown_with("sales_order", order).orders == [OrderView("document", *said, NET, TAX, GROSS, HELD)]


def test_an_order_of_which_only_the_day_is_known_and_a_line_that_is_no_product() -> None:
    lines = [{"description": "green tea", "sku": "T-1"}, {"sku": "T-2"}, {}]
    (order,) = shown_with("sales_order", {"ordered_on": "2026-02-19", "lines": lines}).orders
    assert (order.number, order.ordered) == ("", "2026-02-19")
    assert [line.product for line in order.lines] == ["green tea", "T-2", ""]


def test_a_shipment_with_what_the_carrier_said_last() -> None:
    events = [
        {"occurred_at": "2026-03-01T12:00:00Z", "type": "delivered", "place": "Köln"},
        {"occurred_at": "2026-02-28T12:00:00Z", "type": "picked_up", "description": "on its way"},
    ]
    shipment: dict[str, Any] = {
        "number": "DN-7",
        "order": ORDER,
        "status": "delivered",
        "carrier": "DHL",
        "tracking_number": "00340",
        "shipped_at": "2026-02-28T10:00:00Z",
        "delivered_at": "2026-03-01T12:00:00Z",
        "expected_on": "2026-03-02",
    }
    times = (shipment["shipped_at"], shipment["delivered_at"], "2026-03-02")
    said = ("DN-7", "SO-1", "delivered", "DHL", "00340", *times)
    assert shown_with("shipment", {**shipment, "events": events}).shipments == [
        ShipmentView("document", *said, "delivered, Köln", HELD)
    ]
    assert shown_with("shipment", {"events": events[1:]}).shipments[0].last_event == "on its way"
    assert shown_with("shipment", {}).shipments[0].last_event == ""


def test_an_invoice() -> None:
    invoice = {
        "number": "RE-7",
        "kind": "invoice",
        "status": "open",
        "issued_on": "2026-02-21",
        "due_date": "2026-03-21",
        "gross_total": GROSS,
        "open_amount": OPEN,
    }
    said = ("RE-7", "invoice", "open", True, "2026-02-21", "2026-03-21", GROSS, OPEN)
    assert shown_with("invoice", invoice).invoices == [InvoiceView("document", *said, HELD)]


def test_a_case() -> None:
    case: dict[str, Any] = {
        "number": "R-7",
        "subject": "茶壶碎了",
        "category": "damage",
        "status": "resolved",
        "priority": "high",
        "assignee": "li.na",
        "opened_at": "2026-02-22T08:00:00Z",
        "closed_at": "2026-02-24T08:00:00Z",
        "resolution": "a new pot",
        "order": ORDER,
    }
    times = (case["opened_at"], case["closed_at"])
    said = ("R-7", "茶壶碎了", "damage", "resolved", False, "high", "li.na", *times, "a new pot", "SO-1")
    assert shown_with("case", case).cases == [CaseView("document", *said, HELD)]


def test_a_contact() -> None:
    contact: dict[str, Any] = {
        "occurred_at": "2026-02-25T09:00:00Z",
        "channel": "phone",
        "direction": "inbound",
        "actor": "zhao.lei",
        "subject": "tea",
        "content": "asked for a sample",
        "outcome": "茶很好",
        "next_action_at": "2026-04-01T09:00:00Z",
    }
    said = ("phone", "inbound", "zhao.lei", "tea", "asked for a sample", "茶很好")
    assert shown_with("interaction", contact).touch_points == [
        TouchPoint("document", "2026-02-25T09:00:00Z", *said, "2026-04-01T09:00:00Z", HELD)
    ]
