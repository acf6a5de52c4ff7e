"""What a system answers to a write, and what a record turned into meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.connectors.memory.system import Fault
from crmbridge.engine import sync as pipeline
from crmbridge.identity.policy import Policy
from tests.engine.world import World

CUSTOMERS = """
stream: customers
entity: party
fields:
  kind: kind
  display_name: name
  note: note
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: mail}}
"""


def two_systems(**behaviour: Any) -> World:
    """A shop that is asked first and an ERP that behaves as told."""
    mappings = {"shop": [CUSTOMERS], "erp": [CUSTOMERS]}
    return World(mappings, [Policy("party", ["shop", "erp"])], {"erp": Behaviour(**behaviour)})


def test_an_answer_that_no_mapping_understands_is_a_dead_letter_and_no_second_create() -> None:
    world = two_systems(stores=lambda field, value: "机器人" if field == "kind" else value)
    world.memory["shop"].add("customers", "s1", name="王小明", kind="person", mail="wang@example.org")
    world.sync()
    (letter,) = world.store.dead_letters("open")
    assert (letter.kind, letter.system, letter.stream) == ("record", "erp", "customers")
    assert "机器人" in letter.raw
    assert "kind" in letter.error
    world.sync()
    assert len(world.live("erp")) == 1


@pytest.mark.parametrize("versions", [True, False])
def test_a_record_that_is_deleted_while_it_is_written_is_taken_as_deleted(versions: bool) -> None:
    world = two_systems(versions=versions)
    world.memory["shop"].add("customers", "s1", name="Ann", mail="ann@example.org")
    world.sync()
    (native_id,) = world.live("erp")
    world.memory["shop"].edit("customers", "s1", note="茶")

    class Listener(list[Any]):
        def append(self, event: Any) -> None:
            super().append(event)
            if (event.kind, event.stage, event.system) == ("stage-started", "push", "erp"):
                world.memory["erp"].remove("customers", native_id)

    world.events = Listener()
    world.sync()
    (row,) = world.store.records("erp", "customers", [native_id])
    assert (row.status, row.golden_id is not None) == ("gone", True)
    sent = [what for what, *_ in world.memory["erp"].calls if what == "update"]
    assert bool(sent) == versions, "without versions a record is read before it is written"
    world.events = []
    assert world.sync().summary.total == 0
    assert world.live("erp") == {}


def test_two_creates_of_one_batch_that_end_in_one_record_are_told_and_nobody_is_lost() -> None:
    world = two_systems(upsert_key="name")
    world.memory["shop"].add("customers", "s1", name="王小明", mail="one@example.cn")
    world.memory["shop"].add("customers", "s2", name="王小明", mail="two@example.cn")
    world.sync()
    (native_id,) = world.live("erp")
    (row,) = world.store.records("erp", "customers", [native_id])
    done, doubtful = (world.store.intents_with([status], 9) for status in ("done", "uncertain"))
    first = next(one for one in done if one.kind == "create")
    (second,) = doubtful
    assert first.golden_id == row.golden_id != second.golden_id
    assert second.reason == f"erp/customers/{native_id} is linked to {row.golden_id}"
    world.sync()
    assert world.only("erp")["mail"] == "one@example.cn"
    assert world.sync().summary.total == 0


NOTES = CUSTOMERS.replace("note: note", "note: {path: note, as: integer}")
PEOPLE = NOTES.replace("customers", "people") + "create_when: \"kind == 'person'\"\n"
FIRMS = NOTES.replace("customers", "firms") + "create_when: \"kind == 'organization'\"\n"


def test_a_letter_is_about_the_stream_that_cannot_be_written_and_ends_when_it_can() -> None:
    world = World({"shop": [CUSTOMERS], "erp": [PEOPLE, FIRMS]}, [Policy("party", ["shop", "erp"])])
    world.memory["shop"].add("customers", "s1", kind="organization", name="茶行", note="many")
    world.sync()
    assert [(x.stream, x.kind) for x in world.store.dead_letters("open")] == [("firms", "operation")]
    world.memory["shop"].edit("customers", "s1", note="12")
    world.sync()
    assert [row["name"] for row in world.live("erp", "firms").values()] == ["茶行"]
    assert world.store.dead_letters("open") == []


def account(world: World) -> dict[tuple[str, str], int]:
    """The next sync's account: (system, what) -> how many."""
    world.clock.sleep(60)
    run = world.run()
    pipeline.sync(run)
    return {(system, what): count for (system, _, what), count in run.counts.items()}


def test_the_account_of_a_run_says_what_was_done_and_what_was_not() -> None:
    world = two_systems()
    world.policies = [Policy("party", ["shop", "erp"], deletes="delete")]
    world.memory["shop"].add("customers", "s1", name="王小明", mail="wang@example.org")
    world.sync()
    world.memory["shop"].add("customers", "s2", name="李娜", mail="li@example.org")
    assert account(world)["erp", "created"] == 1
    world.memory["shop"].edit("customers", "s1", note="茶")
    assert account(world)["erp", "updated"] == 1
    world.memory["shop"].remove("customers", "s1")
    done = account(world)
    assert (done["shop", "gone"], done["erp", "deleted"]) == (1, 1)
    faults: dict[Fault, str] = {"reject": "dead letter", "lost before": "uncertain", "conflict": "conflict"}
    for fault, what in faults.items():
        world.memory["shop"].edit("customers", "s2", note=fault)
        world.memory["erp"].faults = [fault]
        assert account(world)["erp", what] == 1, fault


def test_a_system_that_only_archives_is_told_so_in_the_account() -> None:
    world = two_systems()
    world.policies = [Policy("party", ["shop", "erp"], deletes="archive")]
    world.memory["shop"].add("customers", "s1", name="王小明", mail="wang@example.org")
    world.sync()
    world.memory["shop"].remove("customers", "s1")
    assert account(world)["erp", "archived"] == 1


def test_an_answer_that_cannot_be_mapped_counts_as_a_dead_letter() -> None:
    world = two_systems(stores=lambda field, value: "机器人" if field == "kind" else value)
    world.sync()
    world.memory["shop"].add("customers", "s1", name="王小明", kind="person", mail="wang@example.org")
    done = account(world)
    assert (done["erp", "created"], done["erp", "dead letter"]) == (1, 1)


def test_a_plan_says_what_cannot_be_taken_and_counts_it_as_a_problem() -> None:
    world = two_systems()
    world.memory["shop"].add("customers", "s1", name="王小明", kind="robot", mail="wang@example.org")
    with world.store.scratch() as copy:
        outcome = pipeline.plan(world.run(copy))
    assert [(one.system, one.native_id) for one in outcome.letters] == [("shop", "s1")]
    assert outcome.open_problems == 1
    assert world.store.dead_letters("open") == []


def test_a_record_with_a_broken_text_is_a_dead_letter_and_the_next_one_is_taken() -> None:
    world = two_systems()
    world.memory["shop"].add("customers", "s1", name="broken \ud800", mail="wang@example.org")
    world.memory["shop"].add("customers", "s2", name="李娜", mail="li@example.org")
    world.sync()
    (letter,) = world.store.dead_letters("open")
    assert (letter.system, letter.native_id) == ("shop", "s1")
    assert "cannot be written as JSON" in letter.error
    assert [row["name"] for row in world.live("erp").values()] == ["李娜"]
