"""Customer numbers that are numbers in one list and text in another are the same customers."""

from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook

from crmbridge.bridge import Bridge

CONFIG = """
state: sqlite:///state.db
systems:
  sales: {connector: files, path: sales, files: {customers: {key: No}, calls: {key: Id}}}
  shop: {connector: files, path: shop, files: {customers: {key: no}, calls: {key: id, add_id: true}}}
sync:
  party: {between: [shop, sales]}
  interaction: {between: [shop, sales]}
"""
PARTY = """
stream: customers
entity: party
fields:
  display_name: {name}
  identifiers:
    - {{slot: no, const: {{scheme: customer-no}}, fields: {{value: {no}}}}}
"""
CALL = """
stream: calls
entity: interaction
fields:
  occurred_at: {{const: "2026-01-01T00:00:00Z"}}
  party: {{path: {no}, ref: customers}}
  subject: {subject}
"""


def test_numbers_of_customers_in_cells_meet_those_in_text(tmp_path: Path) -> None:
    _write(tmp_path, "crmbridge.yaml", CONFIG)
    _write(tmp_path, "mappings/sales-p.yaml", "system: sales" + PARTY.format(name="Name", no="No"))
    _write(tmp_path, "mappings/sales-c.yaml", "system: sales" + CALL.format(no="No", subject="Subject"))
    _write(tmp_path, "mappings/shop-p.yaml", "system: shop" + PARTY.format(name="name", no="no"))
    _write(tmp_path, "mappings/shop-c.yaml", "system: shop" + CALL.format(no="no", subject="subject"))
    _write(tmp_path, "shop/customers.csv", "no,name\n123,Ann\n00124,王小明\n00125,Zoë\n")
    _write(tmp_path, "shop/calls.csv", "id,no,subject\n")
    (tmp_path / "sales").mkdir()
    _book(tmp_path / "sales" / "customers.xlsx", [["No", "Name"], [123, None], [124, None]], "A3")
    _book(tmp_path / "sales" / "calls.xlsx", [["Id", "No", "Subject"], [1, 123, "a"], [2, 124, "b"]], "B3")

    with Bridge.open(tmp_path / "crmbridge.yaml") as bridge:
        bridge.plan(out=tmp_path / "first.plan")
        assert (bridge.apply(tmp_path / "first.plan").exit_code, bridge.store.dead_letters()) == (0, [])
        assert bridge.sync().summary.total == 0

    assert _rows(tmp_path / "sales" / "customers.xlsx") == [[123, "Ann"], [124, "王小明"], [125, "Zoë"]]
    calls = (tmp_path / "shop" / "calls.csv").read_text(encoding="utf-8")
    assert sorted(line.split(",")[1:] for line in calls.splitlines()[1:]) == [["00124", "b"], ["123", "a"]]


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def _book(path: Path, rows: list[list[Any]], padded: str) -> None:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.active[padded].number_format = "00000"
    book.save(path)


def _rows(path: Path) -> list[list[Any]]:
    return [[cell.value for cell in row] for row in load_workbook(path).active.iter_rows(min_row=2)]
