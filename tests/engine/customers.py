"""A shop, a CRM, an ERP and a sheet that know the same people: what `show` and the insight have to tell."""

from __future__ import annotations

from typing import Any

from crmbridge.connectors.memory import Behaviour
from crmbridge.identity.policy import HUB, Policy
from tests.engine.world import World

CUSTOMERS = """
stream: customers
entity: party
fields:
  kind: kind
  display_name: name
  owner: owner
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: mail}}
    - {slot: phone, const: {type: phone}, fields: {value: phone}}
"""
ORDERS = """
stream: orders
entity: sales_order
fields:
  number: number
  issuer: issuer
  party: {path: customer, ref: customers}
  ship_to_party: {path: ship_to, ref: customers}
  ordered_at: {path: at, as: instant}
  status: status
  gross_total: {fields: {amount: total, currency: currency}, const: {tax_included: true}}
  lines:
    each: lines
    id: key
    fields:
      description: text
      quantity: {fields: {value: count}, const: {unit: C62}}
      unit_price: {fields: {amount: price}, const: {currency: EUR, tax_included: true}}
"""
INVOICES = """
stream: invoices
entity: invoice
fields:
  number: number
  issuer: issuer
  kind: kind
  party: {path: customer, ref: customers}
  status: status
  open_amount: {fields: {amount: open, currency: currency}}
"""
SHIPMENTS = """
stream: shipments
entity: shipment
fields:
  number: number
  issuer: issuer
  order: {path: order, ref: orders}
  status: status
  carrier: carrier
"""
CALLS = """
stream: calls
entity: interaction
fields:
  party: {path: customer, ref: customers}
  occurred_at: {path: at, as: instant}
  channel: channel
  actor: by
  subject: subject
  outcome: outcome
"""
CASES = """
stream: cases
entity: case
fields:
  number: number
  issuer: issuer
  party: {path: customer, ref: customers}
  order: {path: order, ref: orders}
  subject: subject
  status: status
"""
SUMMARIES = """
stream: summaries
entity: customer_summary
fields:
  party: {path: customer, ref: customers}
  display_name: name
  owner: owner
  last_contact_at: {path: contacted, as: instant}
  last_contact_by: by
  last_contact_outcome: outcome
  last_order_number: order
  last_order_total: {fields: {amount: total, currency: currency}, const: {tax_included: true}}
  open_invoices: {path: invoices, as: integer}
  open_amount: {fields: {amount: open, currency: open_currency}}
  open_cases: {path: cases, as: integer}
  probable_duplicate: {path: twin, ref: customers}
"""
ORDER = {
    "issuer": "shop",
    "status": "placed",
    "currency": "EUR",
    "lines": [{"key": "1", "text": "龙井茶 100 g", "count": "2", "price": "19.5"}],
}


def tea_company(*, insight: bool = True) -> World:
    """The systems, empty. The sheet takes all customers, and what is computed of them."""
    mappings = {
        "shop": [CUSTOMERS, ORDERS],
        "crm": [CUSTOMERS, CALLS, CASES.replace("  order: {path: order, ref: orders}\n", "")],
        "erp": [CUSTOMERS, ORDERS, INVOICES, SHIPMENTS],
        "sheet": [CUSTOMERS, SUMMARIES],
    }
    policies = [
        Policy("party", ["shop", "crm", "erp", "sheet"]),
        Policy("sales_order", ["shop", "erp"]),
        Policy("invoice", ["erp"]),
        Policy("shipment", ["erp"]),
        Policy("interaction", ["crm"]),
        Policy("case", ["crm"]),
    ]
    if insight:
        policies.append(Policy("customer_summary", ["sheet"], source=HUB, deletes="delete"))
    behaviours = {"erp": Behaviour(child_ids={"lines": "key"}), "shop": Behaviour(child_ids={"lines": "key"})}
    behaviours["sheet"] = Behaviour(deletes="sweep")  # as of a file: what is not there is gone
    return World(mappings, policies, behaviours)


def fill(world: World) -> None:
    """王小明 in shop, CRM and ERP with orders in two systems, calls and a complaint; مها alone in the CRM."""
    add(world, "shop", "customers", "s1", name="王小明", mail="wang@example.org", kind="person")
    add(
        world,
        "crm",
        "customers",
        "c1",
        name="王小明",
        mail="wang@example.org",
        owner="li.na",
        phone="+493012345678",
    )
    add(world, "crm", "customers", "c2", name="مها الأحمد", mail="maha@example.org")
    add(world, "erp", "customers", "e1", name="王小明", mail="WANG@example.org")
    add(world, "shop", "orders", "o1", **order("SO-1", "2026-02-01T10:00:00+00:00", "s1", total="39"))
    add(
        world,
        "erp",
        "orders",
        "o2",
        **order("SO-2", "2026-02-20T10:00:00+00:00", "e1", total="12.5", issuer="erp"),
    )
    add(
        world,
        "erp",
        "shipments",
        "d1",
        number="DN-1",
        issuer="erp",
        order="o2",
        status="shipped",
        carrier="DHL",
    )
    add(world, "erp", "invoices", "i1", **invoice("RE-1", "open", "12.5"))
    add(world, "erp", "invoices", "i2", **invoice("RE-2", "open", "7.5"))
    add(world, "erp", "invoices", "i3", **invoice("RE-3", "paid", "0"))
    add(world, "crm", "calls", "k1", **call("c1", "2026-02-03T09:00:00+00:00", "li.na", "no answer"))
    add(world, "crm", "calls", "k2", **call("c1", "2026-02-25T17:00:00+08:00", "zhao.lei", "茶很好 👍"))
    add(
        world,
        "crm",
        "cases",
        "f1",
        number="R-1",
        issuer="crm",
        customer="c1",
        subject="茶壶碎了",
        status="open",
    )
    add(
        world,
        "crm",
        "cases",
        "f2",
        number="R-2",
        issuer="crm",
        customer="c1",
        subject="late",
        status="closed",
    )


def add(world: World, system: str, stream: str, native_id: str, **data: Any) -> None:
    """A record that somebody typed in."""
    world.memory[system].add(stream, native_id, **data)


def order(number: str, at: str, customer: str, *, total: str, **other: Any) -> dict[str, Any]:
    """An order of one line."""
    return {**ORDER, "number": number, "at": at, "customer": customer, "total": total, **other}


def invoice(number: str, status: str, open_amount: str, **other: Any) -> dict[str, Any]:
    """An invoice of 王小明."""
    said = {"number": number, "issuer": "erp", "customer": "e1", "status": status, "kind": "invoice"}
    return {**said, "open": open_amount, "currency": "EUR", **other}


def call(customer: str, at: str, by: str, outcome: str) -> dict[str, Any]:
    """A phone call."""
    return {
        "customer": customer,
        "at": at,
        "by": by,
        "outcome": outcome,
        "channel": "phone",
        "subject": "tea",
    }


def golden(
    world: World, system: str, native_id: str, entity: str = "party", stream: str = "customers"
) -> str:
    """The golden id of a record."""
    return world.store.golden_of(system, entity, [native_id], stream)["", native_id]


def summary_of(world: World, system: str, native_id: str) -> dict[str, Any] | None:
    """The row of a party in the sheet; None where there is none. The party is named by one of its records."""
    party = golden(world, system, native_id)
    row = world.store.natives_of("sheet", [party]).get(party, {}).get("")
    rows = [
        one
        for one in world.live("sheet", "summaries").values()
        if row and one.get("customer") == row.native_id
    ]
    assert len(rows) < 2, rows
    return rows[0] if rows else None
