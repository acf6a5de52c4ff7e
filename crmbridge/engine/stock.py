"""Stock that is promised already: what a shop may sell is less than what the ERP counts.

    available = what the source says is available
                - what orders ask for that the hub knows and the source has not taken yet,
                  or had not taken yet when its stock was read

Otherwise a sale made a minute ago would be put back on the shelf by the next stock update.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from crmbridge.identity.survive import Golden
from crmbridge.store.base import Store

__all__ = ["promised", "stocks_of", "take_off"]

ORDER, STOCK = "sales_order", "stock_level"
CLOSED = frozenset({"cancelled", "rejected", "draft"})


def stocks_of(store: Store, orders: Iterable[Mapping[str, Any]]) -> list[str]:
    """The golden stock levels of the products that these orders name: they have to be planned again."""
    products = sorted({p for order in orders for p, _ in _lines(order)})
    if not products:
        return []
    found = store.goldens(store.referring(products))
    return sorted(golden_id for golden_id, row in found.items() if row.entity == STOCK)


def promised(store: Store, source: str, products: Sequence[str], read_at: int) -> dict[str, Decimal]:
    """Golden product -> how many are ordered in orders that had no record in `source` when its stock was read
    (`read_at`, microseconds)."""
    orders = {
        golden_id: msgspec.json.decode(row.doc)
        for golden_id, row in store.goldens(store.referring(products)).items()
        if row.entity == ORDER
    }
    taken = set(store.natives_of(source, sorted(orders)))
    taken -= store.intent_goldens(source, sorted(orders), "create", ["done"], since=read_at).keys()
    sums: dict[str, Decimal] = {}
    for golden_id, order in orders.items():
        if golden_id in taken or order.get("status") in CLOSED:
            continue
        for product, quantity in _lines(order):
            sums[product] = sums.get(product, Decimal(0)) + quantity
    return sums


def take_off(golden: Golden, sums: Mapping[str, Decimal]) -> None:
    """Lower what is available by what is promised, never below nothing."""
    decision, product = golden.decisions.get("available"), golden.value("product")
    promised_here = sums.get(product.get("golden", "")) if isinstance(product, dict) else None
    if decision is None or not promised_here or not isinstance(decision.winner.value, dict):
        return
    left = max(Decimal(decision.winner.value["value"]) - promised_here, Decimal(0))
    value = {**decision.winner.value, "value": format(left, "f")}
    winner = decision.winner._replace(value=value)
    golden.decisions["available"] = type(decision)(winner, decision.system, "less open orders", decision.lost)


def _lines(order: Mapping[str, Any]) -> Iterable[tuple[str, Decimal]]:
    for line in order.get("lines") or ():
        product, quantity = line.get("product"), line.get("quantity")
        if isinstance(product, dict) and "golden" in product and isinstance(quantity, dict):
            yield product["golden"], Decimal(quantity["value"])
