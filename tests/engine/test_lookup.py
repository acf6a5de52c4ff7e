"""What becomes of operations whose answer was lost: they are looked up, and never sent blindly again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine import sync as pipeline
from crmbridge.identity.policy import Policy
from crmbridge.store.rows import IntentRow
from tests.engine.world import World

CUSTOMERS = """
stream: customers
entity: party
fields:
  display_name: name
  note: note
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: mail}}
    - {slot: phone, const: {type: phone}, fields: {value: phone}}
"""
FIELDS = {"name": "Ann Lee", "mail": "ann@lee.example", "note": "a"}


def linked(**behaviour: Any) -> World:
    """Ann is in the shop and in an ERP that behaves as told."""
    made = empty(**behaviour)
    made.memory["shop"].add("customers", "s1", **FIELDS)
    made.memory["erp"].add("customers", "e1", **FIELDS)
    made.sync()
    return made


def empty(**behaviour: Any) -> World:
    mappings = {"shop": [CUSTOMERS], "erp": [CUSTOMERS]}
    return World(mappings, [Policy("party", ["shop", "erp"])], {"erp": Behaviour(**behaviour)})


def lost(made: World, *faults: Any) -> World:
    """The next writes into the ERP go so, and a sync is made."""
    made.memory["erp"].faults = list(faults)
    made.sync()
    return made


def uncertain(made: World) -> list[IntentRow]:
    return made.store.intents_with(["uncertain"], 9)


def reason(made: World) -> str:
    (row,) = uncertain(made)
    return row.reason


# -- updates and deletes


def test_an_update_that_arrived_is_done_and_one_that_did_not_is_planned_anew() -> None:
    made = linked()
    for fault in "lost after", "lost before":
        made.memory["erp"].calls.clear()
        made.memory["shop"].edit("customers", "s1", note=fault)
        lost(made, fault)
        assert len(uncertain(made)) == 1
        made.sync()
        assert made.live("erp")["e1"]["note"] == fault
        assert len(made.memory["erp"].calls) == 1  # of two attempts one did not arrive
        assert uncertain(made) == []
        assert made.sync().summary.total == 0
        assert made.live("shop")["s1"]["note"] == fault


def test_of_an_update_that_arrived_by_half_the_rest_is_written() -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", name="Ann M. Lee", note="b")
    lost(made, "lost half")
    half = made.live("erp")["e1"]
    assert [half["name"], half["note"]].count("a") + [half["name"]].count("Ann Lee") == 1
    made.sync()
    assert (made.live("erp")["e1"]["name"], made.live("erp")["e1"]["note"]) == ("Ann M. Lee", "b")
    assert made.sync().summary.total == 0


def test_an_edit_of_what_we_wrote_travels_and_is_no_alteration() -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b", phone="030 1234567")
    lost(made, "lost after")
    made.clock.sleep(60)
    made.memory["erp"].edit("customers", "e1", note="c")
    made.sync()
    made.sync()
    assert made.live("shop")["s1"]["note"] == made.live("erp")["e1"]["note"] == "c"
    assert made.store.notes(None, None, 9, "altered") == []


@pytest.mark.parametrize("fault", ["lost after", "lost before"])
def test_a_delete_is_looked_up_too(fault: str) -> None:
    made = linked()
    made.policies = [Policy("party", ["shop", "erp"], deletes="delete")]
    made.memory["shop"].remove("customers", "s1")
    lost(made, fault)
    assert len(uncertain(made)) == 1
    made.sync()
    assert made.live("erp") == {}
    assert uncertain(made) == []
    (row,) = made.store.records("erp", "customers", ["e1"])
    assert (row.status, row.deleted_by_us) == ("gone", True)
    assert [kind for kind, *_ in made.memory["erp"].calls] == ["delete"]


def test_an_update_of_a_record_that_is_gone_meanwhile_is_dropped() -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b")
    lost(made, "lost before")
    made.memory["erp"].remove("customers", "e1")
    assert made.sync().open_problems == 0
    assert uncertain(made) == []
    assert made.live("erp") == {}


def test_what_was_accepted_is_asked_for_until_it_is_done_and_never_by_a_plan() -> None:
    made = empty(accepts_first=True)
    made.memory["shop"].add("customers", "s1", **FIELDS)
    made.sync()
    (intent,) = made.store.intents_with(["accepted"], 9)
    assert intent.handle
    with made.store.scratch() as copy:
        run = made.run(copy)
        pipeline.plan(run)
        assert len(copy.intents_with(["accepted"], 9)) == 1
    made.sync()
    assert made.store.intents_with(["accepted"], 9) == []
    assert made.only("erp")["name"] == "Ann Lee"
    assert made.sync().summary.total == 0


@pytest.mark.parametrize("kind", ["update", "create"])
def test_what_was_accepted_and_is_never_told_of_is_looked_up_in_the_end(kind: str) -> None:
    """The system told it once, to a run that was killed."""
    made = linked(accepts_first=True) if kind == "update" else empty(accepts_first=True)
    if kind == "update":
        made.memory["shop"].edit("customers", "s1", note="b")
    else:
        made.memory["shop"].add("customers", "s1", **FIELDS)
    made.sync()
    ((stream, operation),) = made.memory["erp"].accepted.values()
    made.memory["erp"].accepted.clear()
    made.sync()
    assert len(made.store.intents_with(["accepted"], 9)) == 1, "it may still be busy"
    made.memory["erp"].carry_out(stream, operation)
    made.clock.sleep(25 * 3600)
    made.sync()
    assert made.store.intents_with(["accepted", "uncertain"], 9) == []
    assert made.sync().summary.total == 0
    assert made.only("erp")["note"] == made.only("shop")["note"]


def test_a_create_that_was_accepted_and_is_nowhere_waits_for_a_person() -> None:
    made = empty(accepts_first=True)
    made.memory["shop"].add("customers", "s1", **FIELDS)
    made.sync()
    made.memory["erp"].accepted.clear()
    made.clock.sleep(25 * 3600)
    assert made.sync().open_problems == 1
    assert reason(made) == "accepted long ago, and nobody says what came of it"
    assert made.live("erp") == {}


# -- creates


def created(*faults: Any, **behaviour: Any) -> World:
    """Ann was to be created in the ERP."""
    made = empty(**behaviour)
    made.sync()
    made.memory["shop"].add("customers", "s1", **FIELDS)
    return lost(made, *faults)


def test_a_create_is_found_by_its_mark_or_made_again() -> None:
    for fault in "lost after", "lost before":
        made = created(fault)
        assert len(uncertain(made)) == 1
        made.sync()
        assert len(made.live("erp")) == 1
        assert uncertain(made) == []
        assert made.sync().summary.total == 0


def test_of_a_create_that_arrived_by_half_the_rest_is_written() -> None:
    made = created("lost half")
    assert len(made.only("erp")) == 2, "a name, or a note, and our mark"
    made.sync()
    assert {**made.only("erp"), **FIELDS} == made.only("erp")
    assert made.sync().summary.total == 0
    assert {**made.only("shop"), **FIELDS} == made.only("shop")
    assert made.store.notes(None, None, 9, "altered") == []


def test_two_records_with_the_mark_of_one_create_are_for_a_person() -> None:
    made = created("lost after")
    mark = made.only("erp")["bridge_mark"]
    made.memory["erp"].add("customers", "copy", name="Ann Lee", bridge_mark=mark)
    made.sync()
    assert reason(made) == "any of erp/customers/1, erp/customers/copy may be it"
    run = made.run()
    pipeline.read(run)
    assert run.candidates == {("erp", "customers", "", "1"), ("erp", "customers", "", "copy")}


def test_without_anything_to_search_by_nobody_can_tell() -> None:
    made = created("lost after", search_mark=None)
    made.sync()
    assert reason(made) == "sent, and no way to find out what came of it"
    made.memory["shop"].edit("customers", "s1", note="b")
    assert made.sync().summary.total == 0
    assert len(made.live("erp")) == 1


def test_a_search_that_lags_is_waited_for_a_minute_at_most() -> None:
    made = created("lost after", search_lag=timedelta(seconds=50))
    sent = made.clock.time
    made.clock.sleep(20)
    pipeline.sync(made.run())
    assert uncertain(made) == []
    assert timedelta(seconds=50) <= made.clock.time - sent < timedelta(seconds=52)
    late = created("lost after", search_lag=timedelta(seconds=1000))
    late.sync()
    assert reason(late) == "sent, and cannot be searched for yet"
    since = uncertain(late)[0].updated_at
    late.sync()
    assert uncertain(late)[0].updated_at == since  # or it would never be long enough ago
    late.clock.sleep(1000)
    late.sync()
    assert uncertain(late) == []
    assert len(late.live("erp")) == 1


def test_a_create_is_found_by_its_values_key_by_key() -> None:
    made = created("lost after", search_mark=None, search_keys=("name", "mail"))
    made.memory["erp"].add("customers", "e9", name="Ann Lee", mail="other@lee.example")
    made.sync()
    assert uncertain(made) == []
    (row,) = made.store.records("shop", "customers", ["s1"])
    here = made.store.records_of([row.golden_id or ""])[row.golden_id or ""]
    assert [(one.system, one.native_id) for one in here] == [("shop", "s1"), ("erp", "1")]


def test_two_records_of_the_same_values_are_for_a_person() -> None:
    made = created("lost after", search_mark=None, search_keys=("name", "mail"))
    made.memory["erp"].add("customers", "e9", name="Ann Lee", mail="ann@lee.example")
    made.sync()
    assert reason(made) == "any of erp/customers/1, erp/customers/e9 may be it"


def test_what_was_there_before_is_not_what_a_create_made() -> None:
    made = empty(search_mark=None, search_keys=("name",))
    made.memory["erp"].add("customers", "e9", name="Ann Lee", mail="other@lee.example")
    made.sync()
    made.memory["shop"].add("customers", "s1", **FIELDS)
    lost(made, "lost before")
    made.sync()
    assert uncertain(made) == []
    assert len([one for one in made.live("erp").values() if one["mail"] == "ann@lee.example"]) == 1


def test_a_create_that_ended_in_the_record_of_another_is_shown_with_whose_it_is() -> None:
    made = empty(upsert_key="mail", search_mark=None)
    for system, native_id in (("shop", "s0"), ("erp", "e0")):
        made.memory[system].add("customers", native_id, name="Bo Ek", mail="ann@lee.example")
    made.sync()
    made.memory["shop"].add("customers", "s1", **{**FIELDS, "phone": "030 1234567"})
    lost(made, "lost after")
    made.sync()
    (row,) = made.store.records("erp", "customers", ["e0"])
    assert reason(made) == f"erp/customers/e0 is linked to {row.golden_id}"
    made.sync()
    assert made.live("erp")["e0"]["name"] == "Bo Ek"
    assert made.live("shop")["s0"]["name"] == "Bo Ek"
    assert made.live("shop")["s1"]["name"] == "Ann Lee"


# -- elements

CHILDREN = """
stream: customers
entity: party
fields:
  display_name: name
  contact_points: {each: points, id: key, fields: {type: type, value: value}}
"""


@pytest.mark.parametrize("faults", [["lost after"], ["lost before"]])
def test_an_element_that_the_system_writes_otherwise_is_not_added_a_second_time(faults: list[Any]) -> None:
    digits = Behaviour(
        child_ids={"points": "key"}, stores=lambda _, v: v.replace(" ", "") if isinstance(v, str) else v
    )
    mappings = {"shop": [CHILDREN], "erp": [CHILDREN]}
    plain = Behaviour(child_ids={"points": "key"})
    made = World(mappings, [Policy("party", ["shop", "erp"])], {"shop": plain, "erp": digits})
    points = [{"type": "email", "value": "ann@lee.example"}]
    for system in made.memory:
        made.memory[system].add("customers", system, name="Ann", points=points)
    made.sync()
    (known,) = made.live("shop")["shop"]["points"]
    phone = {"type": "phone", "value": "+49 30 1234567"}
    made.memory["shop"].edit("customers", "shop", points=[known, phone])
    lost(made, *faults)
    for _ in range(2):
        made.sync()
    for system in made.memory:
        assert [one["type"] for one in made.only(system)["points"]] == ["email", "phone"]
    assert made.only("shop")["points"][1]["value"] == "+49 30 1234567"
    shown = made.only("erp")["points"]
    made.memory["erp"].edit("customers", "erp", points=shown[:1])
    made.sync()
    assert [one["type"] for one in made.only("shop")["points"]] == ["email"]
