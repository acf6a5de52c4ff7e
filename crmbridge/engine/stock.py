"""Stock that is promised already: what a shop may sell is less than what the ERP counts.

    available = what the source says is available
                - what orders ask for that the hub knows and the source has not taken yet,
                  or had not taken yet when its stock was read

Otherwise a sale made a minute ago would be put back on the shelf by the next stock update. A line in another
unit than the stock is converted where both measure the same, else told and not taken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from crmbridge.engine.facts import is_placed
from crmbridge.identity.survive import Golden
from crmbridge.store.base import Store

__all__ = ["promised", "stocks_of", "take_off"]

ORDER, STOCK = "sales_order", "stock_level"
PIECE = "C62"
CHUNK = 500
UNITS = {
    "C62": ("pieces", Decimal(1)),
    "H87": ("pieces", Decimal(1)),
    "EA": ("pieces", Decimal(1)),
    "PR": ("pieces", Decimal(2)),
    "DZN": ("pieces", Decimal(12)),
    "GRM": ("mass", Decimal(1)),
    "KGM": ("mass", Decimal(1000)),
    "TNE": ("mass", Decimal(1_000_000)),
    "MLT": ("volume", Decimal(1)),
    "LTR": ("volume", Decimal(1000)),
    "CMT": ("length", Decimal(1)),
    "MTR": ("length", Decimal(100)),
}
"""UN/ECE Recommendation 20 code -> what it measures, and how much of it."""

Sums = dict[str, dict[str, Decimal]]
"""Golden product -> unit -> how many."""


def stocks_of(store: Store, orders: Iterable[Mapping[str, Any]]) -> list[str]:
    """The golden stock levels of the products that these orders name: they have to be planned again."""
    products = sorted({p for order in orders for p, _, _ in _lines(order)})
    if not products:
        return []
    found = store.goldens(store.referring(products))
    return sorted(golden_id for golden_id, row in found.items() if row.entity == STOCK)


def promised(store: Store, source: str, products: Sequence[str], read_at: int) -> Sums:
    """What is ordered in orders that had no record in `source` when its stock was read (`read_at`,
    microseconds). Orders that it had by then are not even loaded: a product may have a long history."""
    sums: Sums = {}
    for chunk in _chunks(store.untaken(products, ORDER, source, read_at)):
        for row in store.goldens(chunk).values():
            order = msgspec.json.decode(row.doc)
            if is_placed(order):
                for product, quantity, unit in _lines(order):
                    units = sums.setdefault(product, {})
                    units[unit] = units.get(unit, Decimal(0)) + quantity
    return sums


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def take_off(golden: Golden, sums: Mapping[str, Mapping[str, Decimal]]) -> list[str]:
    """Lower what is available by what is promised, never below nothing. What is promised in a unit that
    cannot be converted comes back as sentences."""
    decision, product = golden.decisions.get("available"), golden.value("product")
    asked = sums.get(product.get("golden", "")) if isinstance(product, dict) else None
    if decision is None or not asked or not isinstance(decision.winner.value, dict):
        return []
    unit = decision.winner.value.get("unit", PIECE)
    parts = {other: _converted(quantity, other, unit) for other, quantity in sorted(asked.items())}
    promised_here = sum((part for part in parts.values() if part is not None), Decimal(0))
    if promised_here:
        left = max(Decimal(decision.winner.value["value"]) - promised_here, Decimal(0))
        value = {**decision.winner.value, "value": format(left, "f")}
        winner = decision.winner._replace(value=value)
        rule = "less open orders"
        golden.decisions["available"] = type(decision)(winner, decision.system, rule, decision.lost)
    return [
        f"open orders ask for {asked[other]:f} {other}, which are not taken off: stock counts in {unit}"
        for other, part in parts.items()
        if part is None
    ]


def _converted(quantity: Decimal, unit: str, wanted: str) -> Decimal | None:
    """In the wanted unit; None where the two measure different things, or one is not known."""
    if unit == wanted:
        return quantity
    (kind, size), (other, per) = UNITS.get(unit, ("", 1)), UNITS.get(wanted, ("?", Decimal(1)))
    return quantity * size / per if kind == other else None


def _lines(order: Mapping[str, Any]) -> Iterable[tuple[str, Decimal, str]]:
    for line in order.get("lines") or ():
        product, quantity = line.get("product"), line.get("quantity")
        if isinstance(product, dict) and "golden" in product and isinstance(quantity, dict):
            yield product["golden"], Decimal(quantity["value"]), quantity.get("unit", PIECE)
