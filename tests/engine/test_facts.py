"""What counts as ordered, owed, open and the same person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crmbridge.engine.facts import (
    current_id,
    golden_refs,
    instant_of,
    is_open_case,
    is_open_invoice,
    is_placed,
    money,
    order_moment,
    party_name,
    sums,
)
from crmbridge.store.rows import GoldenRow
from tests.engine.world import World


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
    [
        ("placed", True),
        ("completed", True),
        (None, True),
        ("draft", False),
        ("quoted", False),
        ("cancelled", False),
        ("rejected", False),
    ],
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


def test_a_case_is_open_until_somebody_has_settled_it() -> None:
    assert [is_open_case({"status": status}) for status in ("open", "pending", None)] == [True] * 3
    assert [is_open_case({"status": status}) for status in ("resolved", "closed", "cancelled")] == [False] * 3


@pytest.mark.parametrize(
    ("party", "name"),
    [
        ({"display_name": "王小明", "legal_name": "x", "family_name": "y"}, "王小明"),
        ({"display_name": "", "legal_name": "茶 GmbH"}, "茶 GmbH"),
        ({"given_name": "Ann", "family_name": "Lee"}, "Ann Lee"),
        ({"family_name": "Lee"}, "Lee"),
        ({}, ""),
    ],
)
def test_a_party_is_called_by_the_first_name_that_it_has(party: dict[str, Any], name: str) -> None:
    assert party_name(party) == name


def test_instants_and_days_have_one_order_and_nothing_comes_first() -> None:
    said = [None, "soon", "2026-03-01", "2026-03-01T10:00:00+09:00", "2026-03-01T02:00:00Z", "2026-03-02"]
    assert sorted(said, key=instant_of) == said
    assert order_moment({"ordered_at": "2026-03-01T10:00:00Z", "ordered_on": "2026-03-09"}).day == 1
    assert order_moment({"ordered_on": "2026-03-09"}).day == 9
    assert order_moment({}) == instant_of(None)


def test_a_merged_id_is_followed_to_its_end_and_a_circle_ends() -> None:
    store = World({}, []).store
    with store.transaction():
        chain = {"a": "b", "b": "c", "c": None, "d": "e", "e": "d"}
        store.put_goldens(GoldenRow(old, "party", merged_into=new) for old, new in chain.items())
    assert [current_id(store, one) for one in ("a", "c", "x")] == ["c", "c", "x"]
    assert current_id(store, "d") in {"d", "e"}
