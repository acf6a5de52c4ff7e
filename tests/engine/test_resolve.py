"""Which golden record a record belongs to, where keys change and ids come again."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour, MemorySystem
from crmbridge.identity.policy import Policy
from tests.engine.world import World

CUSTOMERS = """
stream: customers
entity: party
fields:
  display_name: name
  contact_points: [{slot: email, const: {type: email}, fields: {value: mail}}]
  identifiers: [{slot: vat, const: {scheme: vat}, fields: {value: vat}}]
"""
PHONES = CUSTOMERS.replace(
    "{value: mail}}]",
    "{value: mail}}, {slot: phone, const: {type: phone}, fields: {value: phone}}]",
)
PRODUCTS = """
stream: products
entity: product
fields: {sku: sku, gtin: gtin, name: name}
"""
PRICES = """
stream: prices
entity: price
fields:
  product: {path: product, ref: products}
  price_list: list
  minimum_quantity: {fields: {value: from}, const: {unit: C62}}
  amount: {fields: {amount: amount}, const: {currency: EUR}}
"""


def golden(made: World, system: str, native_id: str, stream: str = "customers") -> str | None:
    (row,) = made.store.records(system, stream, [native_id])
    return row.golden_id


def test_a_record_is_found_by_what_we_wrote_into_it() -> None:
    made = World({"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("erp", "crm"))])
    made.memory["erp"].add("customers", "E1", name="Søren Øst", vat="DK1", mail="soren@example.dk")
    made.memory["crm"].add("customers", "C1", name="Soren Ost", vat="DK1")
    made.sync()
    assert made.live("crm")["C1"]["mail"] == "soren@example.dk"
    with made.store.transaction():
        made.store.remove_system("erp")
    (row,) = made.store.records("crm", "customers", ["C1"])
    key = "email:soren@example.dk"
    assert made.store.records_with_keys("party", [key]) == {key: [(row.id, row.golden_id)]}


def test_a_rebuilt_system_gives_an_old_number_to_somebody_else() -> None:
    made = World({"shop": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("shop", "crm"))])
    made.memory["shop"].add("customers", "1", name="Ann Lee", mail="ann@example.org")
    made.sync()
    ann = golden(made, "shop", "1")
    with made.store.transaction():
        made.store.remove_system("shop")
    rebuilt = MemorySystem(["customers"], made.clock)
    rebuilt.name = "shop"
    rebuilt.add("customers", "1", name="王芳", mail="wang@example.cn")
    made.memory["shop"] = rebuilt
    made.sync()
    assert golden(made, "shop", "1") not in (ann, None)
    assert sorted(row["name"] for row in made.live("crm").values()) == ["Ann Lee", "王芳"]


def test_what_is_known_by_two_records_that_become_one_is_looked_at_again() -> None:
    mappings = {"erp": [PRODUCTS, PRICES], "shop": [PRODUCTS, PRICES]}
    policies = [Policy("product", ("erp", "shop")), Policy("price", ("erp", "shop"))]
    never: dict[str, dict[str, Any]] = {"product": {}, "price": {}}
    made = World(mappings, policies, create=never)
    made.memory["erp"].add("products", "P1", sku="TEE-88", name="龙井茶")
    made.memory["erp"].add("prices", "a", product="P1", list="retail", amount="9.90", **{"from": "1"})
    made.memory["shop"].add("products", "501", gtin="4006381333931", name="龙井茶")
    made.memory["shop"].add("prices", "b", product="501", list="retail", amount="9.90", **{"from": "1"})
    made.sync()
    assert golden(made, "erp", "a", "prices") != golden(made, "shop", "b", "prices")
    made.memory["shop"].edit("products", "501", sku="TEE-88")
    made.sync()
    assert golden(made, "erp", "P1", "products") == golden(made, "shop", "501", "products")
    assert golden(made, "erp", "a", "prices") == golden(made, "shop", "b", "prices")


def test_what_a_system_makes_of_our_write_stays_a_dead_letter_while_it_cannot_be_read() -> None:
    kinds = CUSTOMERS + "  kind: kind\n"
    spoils = Behaviour(stores=lambda name, value: "alien" if name == "kind" else value)
    made = World({"erp": [kinds], "crm": [kinds]}, [Policy("party", ("erp", "crm"))], {"crm": spoils})
    made.memory["erp"].add("customers", "E1", name="Ann Lee", mail="ann@example.org", kind="person")
    made.sync()
    for _ in range(2):
        assert ["kind" in letter.error for letter in made.store.dead_letters("open", "crm")] == [True]
        made.sync()


def journal(made: World, system: str, native_id: str) -> list[str]:
    return [text for _, event, text in made.store.history(golden(made, system, native_id) or "") if event]


def test_the_strongest_meeting_is_that_of_most_keys_not_of_most_records() -> None:
    made = World({"erp": [PHONES], "crm": [PHONES]}, [Policy("party", ("erp", "crm"))], create={"party": {}})
    for number in "123":
        made.memory["erp"].add("customers", f"A{number}", name="Ann Lee", mail="lee@example.org")
    made.memory["erp"].add("customers", "B1", name="Ann Lee", vat="DE1", phone="030 1234567")
    made.sync()
    made.memory["crm"].add("customers", "C0", name="Ann Lee", mail="lee@example.org")
    made.sync()
    assert "crm/customers/C0 by email" in journal(made, "crm", "C0")
    made.memory["crm"].add(
        "customers", "C1", name="Ann Lee", mail="lee@example.org", vat="DE1", phone="030 1234567"
    )
    made.sync()
    assert golden(made, "crm", "C1") == golden(made, "erp", "B1")
    assert "crm/customers/C1 by vat, phone" in journal(made, "crm", "C1")


def test_only_what_a_generic_key_alone_had_joined_is_in_doubt() -> None:
    made = World({"erp": [PHONES], "crm": [PHONES]}, [Policy("party", ("erp", "crm"))])
    desk = "desk@market.example"
    for system, native_id in (("erp", "E"), ("crm", "C")):
        add = made.memory[system].add
        add("customers", f"{native_id}1", name="Ann Lee", mail=desk)
        add("customers", f"{native_id}2", name="Björk Jónsdóttir", mail=desk, phone="+354 555 1234")
    made.sync()
    for number in range(50):
        made.memory["crm"].add("customers", f"K{number}", name=f"Kunde{number} Haus{number}", mail=desk)
    made.sync()
    (note,) = made.store.notes(None, None, 1000, "doubtful link")
    assert note.text.startswith(
        "crm C1 (Ann Lee) was linked by email alone, which more than 50 share by now;"
    )
    assert note.text.endswith("crmbridge links unlink crm/customers/C1")
    assert golden(made, "erp", "E1") == golden(made, "crm", "C1")


def test_a_merge_of_two_records_that_were_one_already_is_in_the_journal() -> None:
    made = World({"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("erp", "crm"))])
    made.memory["erp"].add("customers", "E1", name="Søren Øst", mail="soren@example.dk")
    made.memory["crm"].add("customers", "C1", name="Søren Øst", mail="soren@example.dk")
    made.memory["crm"].add("customers", "C2", name="Søren Øst", mail="soren@example.dk")
    made.sync()
    party = golden(made, "crm", "C1")
    assert party is not None
    assert golden(made, "crm", "C2") == party
    made.memory["crm"].join("customers", "C2", "C1")
    made.sync()
    told = [(event, details) for _, event, details in made.store.history(party)]
    assert told[-1] == ("merged", "crm merged C2 into C1")


def test_what_a_record_has_just_lost_is_no_evidence_for_one_that_comes_with_it() -> None:
    made = World(
        {"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("erp", "crm"))], create={"party": {}}
    )
    made.memory["erp"].add("customers", "E1", name="Ann Lee", mail="old@example.org")
    made.sync()
    made.memory["erp"].edit("customers", "E1", mail="new@example.org")
    made.memory["crm"].add("customers", "C1", name="Ann Lee", mail="old@example.org")
    made.memory["crm"].add("customers", "C2", name="Bea Ek", mail="old@example.org")
    made.sync()
    assert golden(made, "crm", "C1") != golden(made, "erp", "E1")
    assert made.store.open_among([golden(made, "erp", "E1") or "", golden(made, "crm", "C2") or ""]) == set()
    assert made.store.count_open_pairs() == 1


def test_a_pair_is_told_once_however_many_copies_are_written() -> None:
    made = World({"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("erp", "crm"))])
    made.memory["erp"].add("customers", "E1", name="Ann Lee", mail="lee@example.org")
    made.memory["erp"].add("customers", "E2", name="Bea Ek", mail="lee@example.org")
    made.sync()
    made.sync()
    assert len(made.live("crm")) == 2
    notes = made.store.notes(None, None, 1000, "possible duplicate")
    assert [note.text for note in notes] == [
        "erp E2 (Bea Ek) shares email but differs in name or kind from erp E1 (Ann Lee)"
    ]
    assert made.store.count_open_pairs() == 1


@pytest.mark.parametrize("deletes", ["archive", "delete"])
def test_who_comes_again_is_not_deleted_by_the_delete_of_before(deletes: Any) -> None:
    made = World({"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("erp", "crm"), deletes=deletes)])
    for system, native_id in (("erp", "E1"), ("crm", "C1")):
        made.memory[system].add("customers", native_id, name="Ann Lee", mail="ann@example.org")
    made.sync()
    made.memory["erp"].remove("customers", "E1")
    made.sync()
    assert made.live("crm") == {}
    made.clock.sleep(60)
    made.memory["erp"].add("customers", "E2", name="Ann Lee", mail="ann@example.org")
    for _ in range(2):
        made.sync()
    assert made.live("erp").keys() == {"E2"}
    assert golden(made, "erp", "E2") == golden(made, "crm", "C1")
    (rows,) = made.store.records_of([golden(made, "erp", "E2") or ""]).values()
    assert {row.gone_at for row in rows} == {0}
