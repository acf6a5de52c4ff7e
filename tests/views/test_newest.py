"""The documents of a customer stand from the newest to the oldest, by the times that they have."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from crmbridge.identity.policy import Policy
from crmbridge.store.base import GoldenRow, RecordRow
from crmbridge.views.customer360 import Customer360
from crmbridge.views.view import customer
from tests.engine.customers import CUSTOMERS, add, golden
from tests.engine.world import World


def shown(entity: str, documents: list[dict[str, Any]]) -> Customer360:
    """王小明 with these documents of one kind, numbered as they come."""
    world = World({"erp": [CUSTOMERS]}, [Policy("party", ["erp"])])
    add(world, "erp", "customers", "e1", name="王小明")
    world.sync()
    party = golden(world, "erp", "e1")
    with world.store.transaction():
        for number, said in enumerate(documents):
            doc = {"number": str(number), "subject": str(number), **said}
            doc["party"] = {"entity": "party", "golden": party}
            text = msgspec.json.encode(doc).decode()
            world.store.put_goldens([GoldenRow(f"{entity}{number}", entity, text)])
            world.store.put_references({f"{entity}{number}": [party]})
            row = RecordRow("erp", "documents", str(number), entity, golden_id=f"{entity}{number}")
            world.store.put_records([row])
    return customer(world.run(), party)


@pytest.mark.parametrize(
    ("entity", "where", "instant", "day"),
    [
        ("sales_order", "orders", "ordered_at", "ordered_on"),
        ("shipment", "shipments", "shipped_at", "planned_on"),
        ("invoice", "invoices", "", "issued_on"),
        ("case", "cases", "opened_at", ""),
        ("interaction", "touch_points", "occurred_at", ""),
    ],
)
def test_the_newest_comes_first_and_what_has_no_time_last(
    entity: str, where: str, instant: str, day: str
) -> None:
    documents: list[dict[str, Any]] = [{}]
    for number, name in enumerate(4 * [instant or day, day or instant]):
        text = f"2026-03-0{number + 1}"
        documents.append({name: text if name == day else f"{text}T10:00:00Z"})
    documents[3], documents[6] = documents[6], documents[3]
    found = getattr(shown(entity, documents), where)
    said = [getattr(one, "number", None) or getattr(one, "subject", None) for one in found]
    assert said == ["8", "7", "3", "5", "4", "6", "2", "1", "0"]
