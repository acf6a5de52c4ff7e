"""Products, stock, orders, shipments and invoices through the connector, on a real Tryton."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from crmbridge.sdk.connector import ListPatch, Operation, Record
from crmbridge.sdk.errors import CursorExpiredError, FatalError
from crmbridge_tryton.connector import TrytonConnector
from tests.live.tryton_person import Person, decimal, make_product, put_into_stock
from tests.live.tryton_server import Access
from tests.live.tryton_system import Position, create, open_tryton, push, push_one, update

PRODUCT, SALE, SHIPMENT, INVOICE = "product.product", "sale.sale", "stock.shipment.out", "account.invoice"
UNIT = {"symbol": "u"}


@pytest.fixture
def erp(tryton: Access) -> Iterator[TrytonConnector]:
    """The connector as the service user, on the shared database."""
    connector = open_tryton(tryton, overlap_seconds=0)
    yield connector
    connector.close()


@pytest.fixture(scope="module")
def clerk(tryton: Access) -> Person:
    """Somebody at work in Tryton."""
    return Person(tryton.as_user("clerk"))


# -- products ----------------------------------------------------------------------------------


def new_product(erp: TrytonConnector, code: str, **more: Any) -> Record:
    template = {"name": f"茶壶 {code}", "default_uom": UNIT, "type": "goods"}
    data = {"code": code, "list_price_used": Decimal("19.90"), "template": template, **more}
    return push_one(erp, PRODUCT, create(code, data))


def test_a_product_is_made_with_its_template_and_can_be_sold(erp: TrytonConnector, clerk: Person) -> None:
    made = new_product(
        erp, "TEA-1", cost_price=Decimal("7.1234"), identifiers=[{"type": "ean", "code": "4006381333931"}]
    )
    assert made.data["code"] == "TEA-1"
    assert made.data["template"]["name"] == "茶壶 TEA-1"
    # Exactly these digits: neither price was ever a binary fraction.
    assert str(made.data["list_price_used"]) == "19.90"
    assert str(made.data["cost_price"]) == "7.1234"
    assert (made.data["ean"], made.data["identifiers"]) == ("4006381333931", [])
    template = clerk.read("product.template", int(made.data["template"]["id"]), "salable", "account_category")
    assert template["salable"]
    assert template["account_category"], "without accounts an order of it could not be billed"


def test_a_product_whose_unit_nobody_says_is_counted(erp: TrytonConnector) -> None:
    made = push_one(erp, PRODUCT, create(1, {"code": "PLAIN", "template": {"name": "Plain"}}))
    assert made.data["template"]["default_uom"]["symbol"] == "u"


def test_name_code_and_price_change_in_one_go(erp: TrytonConnector, clerk: Person) -> None:
    made = new_product(erp, "TEA-2")
    changed = {"code": "TEA-2B", "list_price_used": Decimal("21.0001"), "template": {"name": "Teapot"}}
    after = push_one(erp, PRODUCT, update(made, changed))
    assert (after.data["code"], after.data["template"]["name"]) == ("TEA-2B", "Teapot")
    assert after.data["list_price_used"] == Decimal("21.0001")
    assert after.data["template"]["default_uom"] == made.data["template"]["default_uom"]
    template = clerk.read("product.template", int(made.data["template"]["id"]), "list_price")
    assert template["list_price"] == decimal("21.0001"), "where people look for it"


def test_the_price_of_one_variant_leaves_the_others_alone(erp: TrytonConnector, clerk: Person) -> None:
    first, second = make_product(clerk, "SHIRT", "30", variants=2)
    (record,) = erp.get_many(PRODUCT, [str(first)])
    after = push_one(erp, PRODUCT, update(record, {"list_price_used": Decimal("25.50")}))
    assert after.data["list_price_used"] == Decimal("25.50")
    (other,) = erp.get_many(PRODUCT, [str(second)])
    assert other.data["list_price_used"] == Decimal("30")


def test_a_price_with_too_many_digits_is_rejected_and_not_rounded(erp: TrytonConnector) -> None:
    made = new_product(erp, "TEA-3")
    (result,) = push(erp, PRODUCT, update(made, {"list_price_used": Decimal("1.123456789")}))
    assert result.status == "rejected"
    assert "1.123456789" in result.reason


def test_a_question_about_an_edit_is_answered_with_yes(erp: TrytonConnector, clerk: Person) -> None:
    """Here Tryton asks whether a product with stock shall really go out of use."""
    (product,) = make_product(clerk, "ASKS")
    put_into_stock(clerk, product, 1)
    (record,) = erp.get_many(PRODUCT, [str(product)])
    (result,) = push(erp, PRODUCT, update(record, {"active": False}))
    assert result.status == "done", result.reason
    assert not clerk.read(PRODUCT, product, "active")["active"]


@pytest.mark.parametrize("edit", ["template", "identifier", "price"])
def test_edits_of_a_products_parts_are_seen(erp: TrytonConnector, clerk: Person, edit: str) -> None:
    made = new_product(erp, f"PART-{edit}")
    new_product(erp, f"NEWER-{edit}")  # what comes last is read again in any case
    position = Position(erp, PRODUCT)
    position.pull()
    assert made.native_id not in position.pull()
    template, product = int(made.data["template"]["id"]), int(made.native_id)
    if edit == "template":
        clerk.write("product.template", template, name="Renamed")
        assert position.pull()[made.native_id].data["template"]["name"] == "Renamed"
    elif edit == "identifier":
        clerk.create("product.identifier", product=product, type="ean", code="4006381333931")
        assert position.pull()[made.native_id].data["ean"] == "4006381333931"
    else:
        clerk.write("product.template", template, list_price=decimal("5.55"))
        assert position.pull()[made.native_id].data["list_price_used"] == Decimal("5.55")


def test_a_template_edited_meanwhile_is_a_conflict(erp: TrytonConnector, clerk: Person) -> None:
    made = new_product(erp, "TEA-4")
    clerk.write("product.template", int(made.data["template"]["id"]), name="By the clerk")
    (result,) = push(erp, PRODUCT, update(made, {"list_price_used": Decimal("1")}))
    assert result.status == "conflict"
    assert push_one(erp, PRODUCT, update(made, {"list_price_used": Decimal("1")}, locked=False))


def test_archived_and_deleted_products(erp: TrytonConnector, clerk: Person) -> None:
    archived, deleted = new_product(erp, "OLD-1"), new_product(erp, "OLD-2")
    position = Position(erp, PRODUCT)
    position.pull()
    push(
        erp,
        PRODUCT,
        Operation("a", "archive", archived.native_id),
        Operation("d", "delete", deleted.native_id),
    )
    position.pull()
    assert [t.native_id for page in position.pages for t in page.tombstones] == [archived.native_id]
    assert clerk.count("product.template", ["id", "=", int(deleted.data["template"]["id"])]) == 0
    assert clerk.count("product.template", ["id", "=", int(archived.data["template"]["id"])]) == 1


def test_a_product_is_found_by_code_and_identifier(erp: TrytonConnector) -> None:
    made = new_product(erp, "FIND-ME", identifiers=[{"type": "ean", "code": "5901234123457"}])
    for key, value in [("code", "FIND-ME"), ("identifiers.code", "5901234123457")]:
        assert [record.native_id for record in erp.search(PRODUCT, key, value)] == [made.native_id]


# -- stock -------------------------------------------------------------------------------------


def test_stock_follows_the_moves(tryton: Access, clerk: Person) -> None:
    erp = open_tryton(tryton, overlap_seconds=0, now=datetime.now(UTC))
    (product,) = make_product(clerk, "STOCKED")
    make_product(clerk, "NEWER")  # what comes last is read again in any case
    position = Position(erp, "stock.quantity")
    level = f"{product}@{clerk.find('stock.location', ['type', '=', 'warehouse'])}"
    assert position.pull()[level].data["quantity"] == 0
    assert position.pages[-1].complete
    assert level not in position.pull()
    put_into_stock(clerk, product, 12)
    record = position.pull()[level]
    assert record.data["quantity"] == record.data["forecast_quantity"] == Decimal(12)
    assert record.data["unit"] == UNIT
    assert record.data["product"] == {"id": str(product), "code": "STOCKED"}
    assert [found.data for found in erp.get_many("stock.quantity", [level])] == [record.data]
    assert ("", level) in [key for chunk in erp.list_ids("stock.quantity") for key in chunk]


def test_stock_is_read_in_full_when_the_day_changes(tryton: Access, clerk: Person) -> None:
    """Moves planned for tomorrow count tomorrow, without being touched."""
    make_product(clerk, "TOMORROW")
    today = datetime.now(UTC)
    (*_, last) = open_tryton(tryton, now=today).pull("stock.quantity", None)
    tomorrow = open_tryton(tryton, now=today + timedelta(days=1))
    with pytest.raises(CursorExpiredError, match="a new day"):
        list(tomorrow.pull("stock.quantity", last.cursor))


def test_warehouses_are_read(erp: TrytonConnector) -> None:
    records = [record for page in erp.pull("stock.location", None) for record in page.records]
    assert [(record.data["code"], record.data["name"]) for record in records] == [("WH", "Warehouse")]


# -- orders ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def buyer(tryton: Access, clerk: Person) -> dict[str, str]:
    """A customer with two addresses, the second one for deliveries."""
    addresses = [
        {"street": "Hauptstr. 1", "city": "Berlin", "postal_code": "10115"},
        {"street": "Lager 7", "city": "Potsdam", "postal_code": "14467", "delivery": True},
    ]
    party = clerk.create("party.party", name="Buyer GmbH", addresses=[["create", addresses]])
    return {"id": str(party)}


@pytest.fixture(scope="module")
def widget(clerk: Person) -> dict[str, str]:
    """A product with stock."""
    (product,) = make_product(clerk, "WIDGET")
    put_into_stock(clerk, product, 100)
    return {"id": str(product)}


def order(buyer: dict[str, str], widget: dict[str, str], number: str, **more: Any) -> dict[str, Any]:
    line = {"product": widget, "quantity": Decimal(3), "unit_price": Decimal("9.9012")}
    return {"party": buyer, "reference": number, "sale_date": "2026-11-20", "lines": [line], **more}


def move_to(erp: TrytonConnector, sale: Record, state: str) -> Record:
    operation = Operation(f"t-{state}", "transition", sale.native_id, transition=state)
    return push_one(erp, SALE, operation)


def test_an_order_is_made_with_what_a_clerk_would_fill_in(
    erp: TrytonConnector, buyer: dict[str, str], widget: dict[str, str]
) -> None:
    sale = push_one(erp, SALE, create(1, order(buyer, widget, "SHOP-1001", comment="Bitte klingeln")))
    assert (sale.data["state"], sale.data["reference"]) == ("draft", "SHOP-1001")
    assert sale.data["sale_date"] == "2026-11-20"
    assert sale.data["invoice_address"]["city"] == "Berlin"
    assert sale.data["shipment_address"]["city"] == "Potsdam"
    assert sale.data["currency"]["code"] == "EUR"
    (line,) = sale.data["lines"]
    assert (line["quantity"], str(line["unit_price"]), line["unit"]["symbol"]) == (Decimal(3), "9.9012", "u")
    assert line["product"] == {"code": "WIDGET", "id": widget["id"]}
    assert sale.data["total_amount"] == Decimal("29.70")
    assert sale.native_id in [found.native_id for found in erp.search(SALE, "reference", "SHOP-1001")]
    scopes = {stream.name: stream.capabilities.scopes for stream in erp.streams()}
    assert scopes[SALE] == (sale.scope,) != ("",)
    assert (sale.scope, sale.native_id) in [key for chunk in erp.list_ids(SALE) for key in chunk]
    assert scopes["party.party"] == ()


def test_an_order_brings_its_own_addresses_once(
    erp: TrytonConnector, clerk: Person, buyer: dict[str, str], widget: dict[str, str]
) -> None:
    ship_to = {"street": "Neue Gasse 5", "city": "Wien", "country": {"code": "AT"}}
    bill_to = {"street": "Hauptstr. 1", "city": "Berlin", "postal_code": "10115", "country": None}
    before = clerk.count("party.address", ["party", "=", int(buyer["id"])])
    operations = [
        create(n, order(buyer, widget, f"SHOP-2{n}", shipment_address=ship_to, invoice_address=bill_to))
        for n in range(2)
    ]
    results = push(erp, SALE, *operations)
    records = [result.record for result in results if result.record]
    assert [record.data["shipment_address"]["city"] for record in records] == ["Wien", "Wien"]
    assert records[0].data["shipment_address"] == records[1].data["shipment_address"]
    assert records[0].data["invoice_address"]["city"] == "Berlin"
    assert clerk.count("party.address", ["party", "=", int(buyer["id"])]) == before + 1


def test_taxes_are_those_of_the_product_and_the_customers_tax_rule(new_tryton: Callable[[], Access]) -> None:
    access = new_tryton()
    erp, clerk = open_tryton(access), Person(access.as_user("clerk"))
    (product,) = make_product(clerk, "TAXED")
    account = clerk.find("account.account", ["code", "=", "6.3.6"])
    tax = clerk.create(
        "account.tax",
        name="VAT 20 %",
        description="VAT 20 %",
        type="percentage",
        rate=decimal("0.2"),
        invoice_account=account,
        credit_note_account=account,
    )
    category = clerk.create(
        "product.category",
        name="Taxed",
        accounting=True,
        customer_taxes=[["add", [tax]]],
    )
    template = clerk.read("product.product", product, "template")["template"]
    clerk.write("product.template", template, account_category=category)
    abroad = clerk.create(
        "account.tax.rule", name="Export", kind="sale", lines=[["create", [{"origin_tax": tax}]]]
    )
    addresses = [["create", [{"city": "Basel"}]]]
    exporter = clerk.create("party.party", name="Export AG", customer_tax_rule=abroad, addresses=addresses)
    buyer = clerk.create("party.party", name="At home", addresses=addresses)

    results = push(
        erp,
        SALE,
        create(1, order({"id": str(buyer)}, {"id": str(product)}, "TAX-1")),
        create(2, order({"id": str(exporter)}, {"id": str(product)}, "TAX-2")),
    )
    sales = [result.record.data for result in results if result.record]
    assert [(sale["untaxed_amount"], sale["tax_amount"]) for sale in sales] == [
        (Decimal("29.70"), Decimal("5.94")),
        (Decimal("29.70"), Decimal(0)),
    ]


def test_an_order_is_brought_to_the_state_asked_for(
    erp: TrytonConnector, buyer: dict[str, str], widget: dict[str, str]
) -> None:
    sale = push_one(erp, SALE, create(1, order(buyer, widget, "MOVE-1")))
    assert move_to(erp, sale, "quotation").data["state"] == "quotation"
    assert move_to(erp, sale, "draft").data["state"] == "draft"
    processed = move_to(erp, sale, "processing")
    assert (processed.data["state"], processed.data["shipment_state"]) == ("processing", "waiting")
    assert processed.data["number"], "Tryton gave it a number of its own"
    # Asked again after a crash, or for a state that it has left behind: it is there.
    assert move_to(erp, sale, "processing").data["state"] == "processing"
    assert move_to(erp, sale, "quotation").data["state"] == "processing"


def test_what_tryton_does_not_allow_is_rejected_with_its_reason(
    erp: TrytonConnector, buyer: dict[str, str], widget: dict[str, str]
) -> None:
    processed = move_to(erp, push_one(erp, SALE, create(1, order(buyer, widget, "STOP-1"))), "processing")
    draft = push_one(erp, SALE, create(2, order(buyer, widget, "STOP-2")))
    results = push(
        erp,
        SALE,
        Operation("1", "transition", processed.native_id, transition="cancelled"),
        Operation("2", "transition", draft.native_id, transition="cancelled"),
        Operation("3", "transition", draft.native_id, transition="posted"),
    )
    assert [result.status for result in results] == ["rejected", "done", "rejected"]
    assert 'can not call "cancel"' in results[0].reason
    assert "no state 'posted'" in results[2].reason
    line = processed.data["lines"][0]["id"]
    patch = ListPatch(change={line: {"quantity": Decimal(5)}})
    (result,) = push(erp, SALE, update(processed, {"lines": patch}))
    assert result.status == "rejected"
    assert "not allowed to modify" in result.reason


def test_a_draft_takes_new_lines_and_loses_old_ones(
    erp: TrytonConnector, buyer: dict[str, str], widget: dict[str, str]
) -> None:
    sale = push_one(erp, SALE, create(1, order(buyer, widget, "EDIT-1")))
    (line,) = sale.data["lines"]
    new = {"product": widget, "quantity": Decimal("2"), "unit_price": Decimal("1.5")}
    after = push_one(erp, SALE, update(sale, {"lines": ListPatch(add=[new], remove=[line["id"]])}))
    (left,) = after.data["lines"]
    assert (left["quantity"], left["unit_price"], left["unit"]["symbol"]) == (Decimal(2), Decimal("1.5"), "u")
    assert left["id"] != line["id"]


def test_one_bad_order_does_not_stop_the_others(
    erp: TrytonConnector, clerk: Person, buyer: dict[str, str], widget: dict[str, str]
) -> None:
    operations = [create(n, order(buyer, widget, f"MANY-{n}")) for n in range(4)]
    operations[1].data["lines"][0]["product"] = {"code": "NO-SUCH-CODE"}
    del operations[2].data["party"]
    results = push(erp, SALE, *operations)
    assert [result.status for result in results] == ["done", "rejected", "rejected", "done"]
    assert "no product.product with code 'NO-SUCH-CODE'" in results[1].reason
    assert "needs a party" in results[2].reason
    assert clerk.count(SALE, ["reference", "like", "MANY-%"]) == 2


# -- shipments and invoices --------------------------------------------------------------------


def test_shipment_and_invoice_follow_the_order(
    erp: TrytonConnector, clerk: Person, buyer: dict[str, str], widget: dict[str, str]
) -> None:
    shipments, invoices, sales = (Position(erp, stream) for stream in (SHIPMENT, INVOICE, SALE))
    for position in (shipments, invoices, sales):
        position.pull()
    sale = move_to(erp, push_one(erp, SALE, create(1, order(buyer, widget, "GO-1"))), "processing")
    number = int(sale.native_id)
    (shipment,) = clerk.read(SALE, number, "shipments")["shipments"]
    (invoice,) = clerk.read(SALE, number, "invoices")["invoices"]

    waiting = shipments.pull()[str(shipment)]
    assert (waiting.data["state"], waiting.data["customer"]["id"]) == ("waiting", buyer["id"])
    assert waiting.data["delivery_address"]["city"] == "Potsdam"
    (move,) = waiting.data["outgoing_moves"]
    assert (move["quantity"], move["product"]["code"]) == (Decimal(3), "WIDGET")
    assert move["origin"] == {"id": sale.data["lines"][0]["id"], "model": "sale.line"}
    for button in ("assign_try", "pick", "pack", "do"):
        clerk.call(f"{SHIPMENT}.{button}", [shipment])
    assert shipments.pull()[str(shipment)].data["state"] == "done"
    assert sales.pull()[sale.native_id].data["shipment_state"] == "sent"

    draft = invoices.pull()[str(invoice)]
    assert (draft.data["state"], draft.data["total_amount"]) == ("draft", Decimal("29.70"))
    assert draft.data["sales"] == [{"id": sale.native_id}]
    today = datetime.now(UTC).date()
    day = {"__class__": "date", "year": today.year, "month": today.month, "day": today.day}
    clerk.write(INVOICE, invoice, invoice_date=day)
    clerk.call(f"{INVOICE}.post", [invoice])
    posted = invoices.pull()[str(invoice)].data
    assert (posted["state"], posted["amount_to_pay"]) == ("posted", Decimal("29.70"))
    assert posted["invoice_date"] == today.isoformat()


def test_a_move_changed_directly_shows_on_its_shipment(
    erp: TrytonConnector, clerk: Person, buyer: dict[str, str], widget: dict[str, str]
) -> None:
    sale = move_to(erp, push_one(erp, SALE, create(1, order(buyer, widget, "GO-2"))), "processing")
    (shipment,) = clerk.read(SALE, int(sale.native_id), "shipments")["shipments"]
    move_to(erp, push_one(erp, SALE, create(2, order(buyer, widget, "GO-3"))), "processing")
    position = Position(erp, SHIPMENT)
    (move,) = position.pull()[str(shipment)].data["outgoing_moves"]
    assert str(shipment) not in position.pull(), "what comes last is read again, and this is not the last"
    before = clerk.read(SHIPMENT, shipment, "_timestamp")
    clerk.write("stock.move", int(move["id"]), quantity=2)
    (changed,) = position.pull()[str(shipment)].data["outgoing_moves"]
    assert changed["quantity"] == Decimal(2)
    assert clerk.read(SHIPMENT, shipment, "_timestamp") == before


@pytest.mark.parametrize("stream", [SHIPMENT, INVOICE, "stock.location"])
def test_documents_of_others_are_read_only(erp: TrytonConnector, stream: str) -> None:
    with pytest.raises(FatalError, match="read-only"):
        push(erp, stream, create(1, {}))
