"""What is promised to customers is not for sale: open orders are taken off the ERP's stock."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from crmbridge.engine.stock import promised, stocks_of, take_off
from crmbridge.identity.link import Statement
from crmbridge.identity.survive import Decision, Golden
from crmbridge.store.base import Store
from crmbridge.store.rows import GoldenRow, IntentRow, RecordRow, RunRow
from crmbridge.store.sql import open_store


def line(product: str, quantity: str | None, unit: str = "C62") -> dict[str, Any]:
    asked = {} if quantity is None else {"quantity": {"value": quantity, "unit": unit}}
    return {"product": {"entity": "product", "golden": product}, **asked}


def order(*lines: dict[str, Any], status: str | None = "placed") -> dict[str, Any]:
    return {"lines": list(lines), **({"status": status} if status else {})}


def store_of(orders: dict[str, dict[str, Any]]) -> Store:
    """A state with these orders and the stock levels of two products."""
    store = open_store("sqlite://", now=lambda: 100)
    rows = [GoldenRow(name, "sales_order", json.dumps(doc)) for name, doc in orders.items()]
    rows.extend(GoldenRow(f"stock-{p}", "stock_level") for p in ("tea", "cup"))
    with store.transaction():
        store.put_goldens(rows)
        refs = {
            name: sorted({one["product"]["golden"] for one in doc["lines"]}) for name, doc in orders.items()
        }
        store.put_references({**refs, "stock-tea": ["tea"], "stock-cup": ["cup"]})
    return store


def test_open_orders_that_the_source_has_not_taken_are_added_up() -> None:
    store = store_of(
        {
            "o1": order(line("tea", "2"), line("cup", "1"), line("tea", "0.5")),
            "o2": order(line("tea", "3"), status=None),
            "o3": order(line("tea", "10"), status="cancelled"),
            "o4": order(line("tea", "100"), status="draft"),
            "o7": order(line("tea", "100"), status="rejected"),
            "o5": order(line("tea", "1000")),
            "o6": order(line("cup", None)),
            "o8": order(line("tea", "7", "BX"), status="completed"),
            "o9": order(line("tea", "100"), status="quoted"),
        }
    )
    with store.transaction():
        store.put_records([RecordRow("erp", "orders", "SO5", "sales_order", golden_id="o5")])
        store.put_records([RecordRow("shop", "orders", "s1", "sales_order", golden_id="o1")])
    assert promised(store, "erp", ["tea"], 50) == {
        "tea": {"C62": Decimal("5.5"), "BX": Decimal(7)},
        "cup": {"C62": Decimal(1)},
    }
    assert promised(store, "shop", ["cup"], 50) == {}


def test_an_order_is_promised_until_the_stock_was_read_after_it_was_written() -> None:
    store = store_of({"o1": order(line("tea", "2"))})
    with store.transaction():
        run = store.begin_run(RunRow(command="sync", started_at=1))
        store.put_records([RecordRow("erp", "orders", "SO1", "sales_order", golden_id="o1")])
        written = IntentRow("i1", run, "erp", "orders", "sales_order", "create", "o1", "{}", status="done")
        store.put_intents([replace(written, updated_at=100)])
    assert promised(store, "erp", ["tea"], 99) == {"tea": {"C62": Decimal(2)}}
    assert promised(store, "erp", ["tea"], 101) == {}


def test_the_stock_levels_of_the_products_of_an_order_are_planned_again() -> None:
    store = store_of({"o1": order(line("tea", "2"))})
    assert stocks_of(store, [order(line("tea", "1"), line("cup", "1"))]) == ["stock-cup", "stock-tea"]
    assert stocks_of(store, [order(line("tea", "1"))]) == ["stock-tea"]
    assert stocks_of(store, [order()]) == []


@pytest.mark.parametrize(
    ("sums", "left", "rule"),
    [
        ({"tea": Decimal(3)}, "7", "less open orders"),
        ({"tea": Decimal("2.50")}, "7.50", "less open orders"),
        ({"tea": Decimal(11)}, "0", "less open orders"),
        ({"cup": Decimal(3)}, "10", "source"),
        ({"tea": Decimal(0)}, "10", "source"),
        ({}, "10", "source"),
    ],
)
def test_what_is_left_is_available_and_never_less_than_nothing(
    sums: dict[str, Decimal], left: str, rule: str
) -> None:
    golden = Golden()
    said = Statement({"value": "10", "unit": "C62"}, 5, 1)
    golden.decisions["available"] = Decision(said, "erp", "source")
    golden.decisions["product"] = Decision(Statement({"golden": "tea"}, 0, 1), "erp", "source")
    assert take_off(golden, {product: {"C62": quantity} for product, quantity in sums.items()}) == []
    found = golden.decisions["available"]
    assert (found.winner.value, found.rule) == ({"value": left, "unit": "C62"}, rule)
    assert (found.winner.time, found.winner.origin, found.system) == (5, 1, "erp")


def test_where_nothing_is_known_nothing_is_taken_off() -> None:
    golden = Golden()
    take_off(golden, {"tea": {"C62": Decimal(3)}})
    assert golden.decisions == {}
    golden.decisions["product"] = Decision(Statement({"golden": "tea"}, 0, 1), "erp", "source")
    golden.decisions["available"] = Decision(Statement(None, 4, 1), "erp", "source")
    take_off(golden, {"tea": {"C62": Decimal(3)}})
    assert golden.value("available") is None


def test_another_unit_is_converted_or_told() -> None:
    golden = Golden()
    golden.decisions["product"] = Decision(Statement({"golden": "tea"}, 0, 1), "erp", "source")
    said = Statement({"value": "5", "unit": "KGM"}, 5, 1)
    golden.decisions["available"] = Decision(said, "erp", "source")
    asked = {"GRM": Decimal(250), "KGM": Decimal(1), "DZN": Decimal(2), "盒": Decimal(3)}
    dozen, boxes = take_off(golden, {"tea": asked})
    assert golden.value("available") == {"value": "3.75", "unit": "KGM"}
    assert "2 DZN" in dozen
    assert "3 盒" in boxes
    assert boxes.endswith("stock counts in KGM")


@pytest.mark.parametrize(
    ("counted", "asked", "left"),
    [
        ("C62", {"H87": 1, "EA": 2, "PR": 3, "DZN": 1}, "79"),
        ("TNE", {"KGM": 500, "GRM": 250_000}, "99.25"),
        ("LTR", {"MLT": 500, "LTR": 2}, "97.5"),
        ("MTR", {"CMT": 50}, "99.5"),
    ],
)
def test_units_of_one_measure_are_converted(counted: str, asked: dict[str, int], left: str) -> None:
    golden = Golden()
    golden.decisions["product"] = Decision(Statement({"golden": "tea"}, 0, 1), "erp", "source")
    said = Statement({"value": "100", "unit": counted}, 5, 1)
    golden.decisions["available"] = Decision(said, "erp", "source")
    assert take_off(golden, {"tea": {unit: Decimal(count) for unit, count in asked.items()}}) == []
    assert golden.value("available") == {"value": left, "unit": counted}
