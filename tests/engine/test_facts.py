"""What counts as ordered, owed, open and the same person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crmbridge.engine.facts import golden_refs, is_open_invoice, is_placed, money, sums


@pytest.mark.parametrize(
    ("invoice", "is_open"),
    [
        ({"status": "open"}, True),
        ({"status": "paid", "open_amount": {"amount": "5"}}, False),
        ({"open_amount": {"amount": "0.01", "currency": "EUR"}}, True),
        ({"open_amount": {"amount": "0", "currency": "EUR"}}, False),
        ({"open_amount": {"amount": "-3", "currency": "EUR"}}, False),
        ({"open_amount": {"currency": "EUR"}}, False),
        ({"open_amount": None}, False),
        ({}, False),
        ({"kind": "credit_note", "status": "open"}, False),
        ({"kind": "invoice", "status": "open"}, True),
    ],
)
def test_an_invoice_is_open_while_something_is_to_be_paid(invoice: dict[str, Any], is_open: bool) -> None:
    assert is_open_invoice(invoice) is is_open


@pytest.mark.parametrize(
    ("status", "placed"),
    [("placed", True), ("completed", True), (None, True), ("draft", False), ("cancelled", False)],
)
def test_an_order_is_placed_unless_it_is_an_offer_or_called_off(status: str | None, placed: bool) -> None:
    assert is_placed({"status": status}) is placed


def test_sums_are_exact_and_by_currency() -> None:
    amounts = [
        {"amount": "0.1", "currency": "EUR"},
        {"amount": "0.2", "currency": "EUR"},
        {"amount": "5", "currency": "CNY"},
        {"amount": None, "currency": "EUR"},
        {"currency": "EUR"},
        None,
        "12",
    ]
    assert sums(amounts) == {"EUR": Decimal("0.3"), "CNY": Decimal(5)}
    assert money(Decimal("0.3"), "EUR") == {"amount": "0.3", "currency": "EUR"}


def test_references_are_found_inside_lists_and_values() -> None:
    doc = {
        "party": {"entity": "party", "golden": "p1"},
        "parent": {"entity": "party", "stream": "customers", "id": "7"},
        "golden": "no reference",
        "lines": [{"product": {"entity": "product", "golden": "t1"}, "note": "茶"}, {"nested": [[]]}],
        "note": None,
    }
    assert golden_refs(doc) == {"p1", "t1"}
