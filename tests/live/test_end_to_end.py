"""The main job on real input: an Excel list and a shop's database meet a running Tryton, and agree.

1,000 customers: 600 in the list of the sales team, 600 in the shop, 200 of them in both; 40 products and
100 orders in the shop. Everything goes through the bridge as the command line uses it.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from crmbridge.bridge import Bridge
from crmbridge.engine.sync import Outcome
from tests.live.tryton_person import Person
from tests.live.tryton_server import Access

CONFIG = """
state: sqlite:///state.db
country: DE
systems:
  erp:
    connector: tryton
    url: "{url}"
    database: "{database}"
    user: "{user}"
    password: "${{file:password.txt}}"
  shop:
    connector: sql
    url: "sqlite:///shop.db"
    streams:
      customers: {{table: customers, key: id, cursor: updated_at, write: true}}
      products: {{table: products, key: id, write: true}}
      orders:
        table: orders
        key: id
        write: true
        children: {{lines: {{table: order_lines, foreign_key: order_id, key: id}}}}
  sales:
    connector: files
    path: sales
    files: {{customers: {{file: customers.xlsx, key: Customer no}}}}
sync:
  party:
    between: [erp, shop, sales]
    create: {{erp: always, shop: always, sales: never}}
    authority: {{identifiers: [erp]}}
  product: {{from: shop, to: [erp]}}
  sales_order:
    between: [shop, erp]
    create: {{erp: always, shop: never}}
    owner: {{until: accepted, first: shop, then: erp}}
"""
SALES = """
system: sales
stream: customers
entity: party
fields:
  display_name: Name
  note: Remarks
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: E-mail}}
    - {slot: phone, const: {type: phone}, fields: {value: {path: Phone, as: phone}}}
  addresses:
    - {slot: main, fields: {lines: {path: Street, as: lines}, postal_code: ZIP, city: City}}
"""
SHOP = {
    "customers": """
system: shop
stream: customers
entity: party
fields:
  display_name: full_name
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: email}}
    - {slot: phone, const: {type: phone}, fields: {value: {path: phone, as: phone}}}
""",
    "products": """
system: shop
stream: products
entity: product
fields:
  sku: sku
  name: title
  kind: {const: goods}
  unit: {const: C62}
  status: {const: active}
  list_price: {fields: {amount: price}, const: {currency: EUR, tax_included: false}}
""",
    "orders": """
system: shop
stream: orders
entity: sales_order
fields:
  number: number
  party: {path: customer_id, ref: customers, as: integer}
  currency: currency
  ordered_on: ordered_on
  status:
    path: status
    values: {paid: placed, confirmed: accepted, shipping: processing, done: completed, cancelled: cancelled}
    write_values: {quoted: paid}
  lines:
    each: lines
    fields:
      product: {path: product_id, ref: products, as: integer}
      quantity: {fields: {value: quantity}, const: {unit: C62}}
      unit_price: {fields: {amount: unit_price}, const: {currency: EUR, tax_included: false}}
""",
}
FAMILY = [
    "Müller",
    "Schmidt",
    "Lefèvre",
    "Dubois",
    "Smith",
    "Jones",
    "王",
    "李",
    "张",
    "陈",
    "Nguyen",
    "Öztürk",
    "Haddad",
    "O'Brien",
    "Kowalski",
]
GIVEN = [
    "Anna",
    "Björn",
    "Chloé",
    "David",
    "小明",
    "丽",
    "Fatima",
    "George",
    "Hanna",
    "Igor",
    "Jürgen",
    "伟",
    "Lena",
    "Marc",
    "芳",
    "Olga",
]


def customer(number: int) -> tuple[str, str, str]:
    """Name, e-mail and phone of one of the thousand."""
    draw = random.Random(number)
    name = f"{draw.choice(GIVEN)} {draw.choice(FAMILY)} {number}"
    return name, f"customer{number}@example.org", f"+4930{2000000 + number * 7}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, new_tryton: Callable[[], Access]) -> Path:
    path = tmp_path_factory.mktemp("bridge")
    access = new_tryton()
    config = CONFIG.format(url=access.url, database=access.database, user=access.user)
    (path / "crmbridge.yaml").write_text(config, encoding="utf-8")
    (path / "password.txt").write_text(access.password, encoding="utf-8")
    (path / "mappings").mkdir()
    (path / "mappings" / "sales.yaml").write_text(SALES, encoding="utf-8")
    for name, text in SHOP.items():
        (path / "mappings" / f"shop-{name}.yaml").write_text(text, encoding="utf-8")
    write_list(path / "sales")
    write_shop(path / "shop.db")
    path.joinpath("access").write_text(f"{access.url} {access.database} {access.user}", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def person(folder: Path) -> Person:
    url, database, user = (folder / "access").read_text(encoding="utf-8").split()
    password = (folder / "password.txt").read_text(encoding="utf-8")
    return Person(Access(url, database, user, password))


def write_list(folder: Path) -> None:
    folder.mkdir()
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Customer no", "Name", "E-mail", "Phone", "Street", "ZIP", "City", "Remarks", "Discount"])
    for number in range(600):
        name, mail, phone = customer(number)
        sheet.append(
            [
                f"K{number:04}",
                name,
                mail,
                phone,
                f"Hauptstraße {number}",
                f"{10000 + number}",
                "Berlin",
                None,
                number,
            ]
        )
    book.save(folder / "customers.xlsx")


def write_shop(path: Path) -> None:
    shop = sqlite3.connect(path)
    shop.executescript(
        """
        CREATE TABLE customers (id INTEGER PRIMARY KEY, full_name TEXT, email TEXT, phone TEXT,
                                updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')));
        CREATE TABLE products (id INTEGER PRIMARY KEY, sku TEXT, title TEXT, price TEXT);
        CREATE TABLE orders (id INTEGER PRIMARY KEY, number TEXT, customer_id INTEGER, currency TEXT,
                             ordered_on TEXT, status TEXT);
        CREATE TABLE order_lines (id INTEGER PRIMARY KEY, order_id INTEGER, product_id INTEGER, quantity TEXT,
                                  unit_price TEXT);
        CREATE TRIGGER touched AFTER UPDATE ON customers WHEN new.updated_at = old.updated_at BEGIN
            UPDATE customers SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id = new.id; END;
        """
    )
    for number in range(400, 1000):
        name, mail, phone = customer(number)
        shop.execute("INSERT INTO customers (full_name, email, phone) VALUES (?, ?, ?)", (name, mail, phone))
    for number in range(40):
        row = (f"SKU-{number:03}", f"Tee Nr. {number} 茶", f"{number + 1}.90")
        shop.execute("INSERT INTO products (sku, title, price) VALUES (?, ?, ?)", row)
    for number in range(100):
        order = (f"S-{number:04}", number + 1, "EUR", "2026-11-02", "paid")
        shop.execute(
            "INSERT INTO orders (number, customer_id, currency, ordered_on, status) VALUES (?,?,?,?,?)", order
        )
        for line in range(1 + number % 3):
            # Order 98 has the same product three times: gifts to several people.
            product = 1 + (number + (0 if number == 98 else line)) % 40
            values = (number + 1, product, f"{line + 1}", f"{product}.90")
            shop.execute(
                "INSERT INTO order_lines (order_id, product_id, quantity, unit_price) VALUES (?,?,?,?)",
                values,
            )
    shop.commit()
    shop.close()


def sync(folder: Path) -> Outcome:
    with Bridge.open(folder / "crmbridge.yaml") as bridge:
        outcome = bridge.sync()
        letters = [(x.stream, x.native_id, x.error) for x in bridge.store.dead_letters("open")]
    assert not outcome.failed, {name: str(error) for name, error in outcome.failed.items()}
    assert outcome.exit_code == 0, (outcome.reasons, letters[:5])
    return outcome


def test_a_first_plan_brings_everybody_into_the_erp(folder: Path, person: Person) -> None:
    plan = folder / "first.plan"
    with Bridge.open(folder / "crmbridge.yaml") as bridge:
        outcome, _ = bridge.plan(out=plan)
        assert outcome.exit_code == 4, (outcome.exit_code, outcome.reasons, outcome.failed)
        assert outcome.summary.operations["erp", "party", "create"] == 1000
        assert outcome.summary.operations["shop", "party", "create"] == 400
        assert outcome.summary.operations["erp", "product", "create"] == 40
        assert outcome.summary.operations["erp", "sales_order", "create"] == 100
        before = person.count("party.party")
        applied = bridge.apply(plan)
        letters = [(x.stream, x.native_id, x.error) for x in bridge.store.dead_letters("open")]
        assert applied.exit_code == 0, (applied.failed, letters[:5])
    assert person.count("party.party") == before + 1000
    assert person.count("sale.sale") == 100
    sale = person.find("sale.sale", ["reference", "=", "S-0098"])
    assert len(person.read("sale.sale", sale, "lines")["lines"]) == 3


def test_what_follows_is_synced_and_then_there_is_nothing_to_do(folder: Path) -> None:
    sync(folder)
    assert sync(folder).summary.total == 0


def test_edits_in_all_three_at_once_reach_the_others(folder: Path, person: Person) -> None:
    party = person.find("party.party", ["contact_mechanisms.value", "=", "customer450@example.org"])
    person.write("party.party", party, name="Anna Müller-Lefèvre 450")
    shop = sqlite3.connect(folder / "shop.db")
    shop.execute("UPDATE customers SET phone = '+493099999' WHERE email = 'customer450@example.org'")
    shop.commit()
    book = openpyxl.load_workbook(folder / "sales" / "customers.xlsx")
    sheet = book.active
    assert sheet is not None
    sheet["G452"] = "Potsdam"
    book.save(folder / "sales" / "customers.xlsx")

    sync(folder)

    row = shop.execute(
        "SELECT full_name, phone FROM customers WHERE email = 'customer450@example.org'"
    ).fetchone()
    assert row == ("Anna Müller-Lefèvre 450", "+493099999")
    sheet = openpyxl.load_workbook(folder / "sales" / "customers.xlsx").active
    assert sheet is not None
    assert [cell.value for cell in sheet[452]][1:4] == [row[0], "customer450@example.org", "+493099999"]
    assert person.count("party.address", ["party", "=", party], ["city", "=", "Potsdam"]) == 1
    assert person.count("party.contact_mechanism", ["party", "=", party], ["type", "=", "phone"]) == 1
    assert sync(folder).summary.total == 0


def test_the_erp_confirms_an_order_and_the_shop_learns_of_it(folder: Path, person: Person) -> None:
    sale = person.find("sale.sale", ["reference", "=", "S-0007"])
    assert person.read("sale.sale", sale, "state")["state"] == "quotation"
    person.confirming("sale.sale.confirm", [sale])
    sync(folder)
    shop = sqlite3.connect(folder / "shop.db")
    (status,) = shop.execute("SELECT status FROM orders WHERE number = 'S-0007'").fetchone()
    assert status in ("confirmed", "shipping"), "Tryton may begin to process it at once"
    assert sync(folder).summary.total == 0
