"""Who may be one, or two: what is told of them, and how long they wait."""

from __future__ import annotations

from typing import Any

from crmbridge.engine import doubtful, doubts
from crmbridge.engine.doubtful import doubtful_links
from crmbridge.engine.doubts import open_doubts
from crmbridge.engine.linking import place_of
from crmbridge.identity.policy import Policy
from tests.engine.world import World

CUSTOMERS = """
stream: customers
entity: party
fields:
  kind: kind
  display_name: name
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: mail}}
    - {slot: phone, const: {type: phone}, fields: {value: phone}}
  identifiers: [{slot: vat, const: {scheme: vat}, fields: {value: vat}}]
"""
FIRMS = CUSTOMERS.replace("kind: kind", "kind: {const: organization}")


def world(crm: str = CUSTOMERS) -> World:
    """An ERP and a CRM that create nothing in each other."""
    policy = Policy("party", ("erp", "crm"))
    return World({"erp": [CUSTOMERS], "crm": [crm]}, [policy], create={"party": {}})


def add(made: World, place: str, name: str, **data: Any) -> None:
    system, native_id = place.split("/")
    made.memory[system].add("customers", native_id, name=name, **data)


def notes(made: World, kind: str) -> list[str]:
    return [note.text for note in made.store.notes(None, None, 100, kind)]


def test_records_of_two_customers_that_come_to_agree_wait_and_are_told_as_people_know_them() -> None:
    made = world()
    for number, mail in ("1", "ann@lee.example"), ("2", "ann@work.example"):
        add(made, f"erp/E{number}", "Ann Lee", mail=mail)
        add(made, f"crm/C{number}", "Ann Lee", mail=mail)
    made.sync()
    made.memory["erp"].edit("customers", "E1", phone="030 1234567")
    made.memory["crm"].edit("customers", "C2", phone="030 1234567", vat="DE136695976")
    outcome = made.sync()
    assert notes(made, doubts.DOUBT) == ["crm C2 (Ann Lee) shares phone with erp E1 (Ann Lee)"]
    (found,) = open_doubts(made.run())
    assert found.shared == [("phone", "+49301234567")]
    assert found.why == "each is linked with others already, or the key is shared by many"
    assert {side.name for side in (found.one, found.other)} == {"Ann Lee"}
    assert outcome.doubts == [str(found)]
    assert str(found).endswith(" share phone: " + found.why)


def test_what_weighs_most_is_said_first_and_every_key_is_listed_once() -> None:
    made = world()
    add(made, "erp/E1", "Ann Lee", mail="desk@lee.example", phone="030 1234567", kind="person")
    add(made, "crm/C1", "Lee GmbH", mail="desk@lee.example", phone="030 1234567", kind="organization")
    made.sync()
    (found,) = open_doubts(made.run())
    assert found.shared == [("email", "desk@lee.example"), ("phone", "+49301234567")]
    assert found.why == "one is a person and one an organization"
    assert {side.kind for side in (found.one, found.other)} == {"person", "organization"}
    (text,) = {text for text in notes(made, doubts.DOUBT) if text.startswith("crm")}
    assert text == "crm C1 (Lee GmbH) shares email, phone but differs in name or kind from erp E1 (Ann Lee)"


def test_only_those_of_a_system_or_an_entity_are_asked_for_the_oldest_first() -> None:
    made = world()
    add(made, "erp/E1", "Ann Lee", mail="lee@lee.example")
    add(made, "erp/E2", "Bo Ek", mail="lee@lee.example")
    made.sync()
    add(made, "crm/C3", "Zoë Krüger", mail="krueger@k.example")
    add(made, "crm/C4", "Olga Ivanova", mail="krueger@k.example")
    made.sync()
    run = made.run()
    everything = [one.shared[0][1] for one in open_doubts(run)]
    assert everything == ["lee@lee.example", "krueger@k.example"]
    assert [one.shared[0][1] for one in open_doubts(run, "party", "crm")] == ["krueger@k.example"]
    assert list(open_doubts(run, "product")) == []
    count, lines = doubts.waiting(run, 1)
    assert count == 2
    assert len(lines) == 1
    assert lines[0].endswith("share email: their names differ")


def test_the_same_name_beside_a_value_that_too_many_share_is_told_as_no_more_than_that() -> None:
    made = world()
    for number, name in enumerate(("Ann Lee", "Bo Ek", "Zoë Krüger"), 1):
        add(made, f"erp/E{number}", name, mail="desk@market.example")
    made.sync(shared_by=2)
    add(made, "crm/C1", "Bo Ek", mail="desk@market.example")
    made.sync(shared_by=2)
    assert notes(made, doubts.DOUBT)[-1:] == [
        "crm C1 (Bo Ek) shares email, as more than 2 others do, and the name with erp E2 (Bo Ek)"
    ]
    (value,) = doubts.generic_values(made.run(shared_by=2))
    assert value == ("party", "email", "desk@market.example", 4)
    assert doubts.generic_values(made.run(shared_by=4)) == []


def test_a_link_of_a_person_and_an_organization_waits_while_they_say_so() -> None:
    made = world(FIRMS)
    add(made, "erp/E1", "Ann Lee", mail="ann@lee.example")
    add(made, "crm/C1", "Ann Lee", mail="ann@lee.example")
    assert made.sync().doubtful == 0
    made.memory["erp"].edit("customers", "E1", kind="person")
    outcome = made.sync()
    text = (
        "erp E1 (Ann Lee) says person, crm C1 (Ann Lee) says organization; "
        "if they are two: crmbridge links unlink erp/customers/E1"
    )
    (note,) = made.store.notes(None, None, 100, doubts.LOOSE)
    assert (note.text, note.path, note.system) == (text, "kind", "erp")
    assert (outcome.doubtful, outcome.loose, outcome.duplicates) == (1, [text], 0)
    (found,) = doubtful_links(made.run())
    assert [place_of(row) for row in (found.one, found.other)] == ["erp/customers/E1", "crm/customers/C1"]
    assert found.kinds == ("person", "organization")
    made.memory["erp"].edit("customers", "E1", name="Ann M. Lee", mail="other@lee.example")
    made.sync()
    assert doubtful.waiting(made.run(), 9)[0] == 1
    made.memory["erp"].edit("customers", "E1", kind="organization")
    assert made.sync().doubtful == 0
    assert doubtful.waiting(made.run(), 9) == (0, [])
    assert len(notes(made, doubts.LOOSE)) == 1
