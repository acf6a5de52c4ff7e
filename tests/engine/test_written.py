"""What is kept of a write: the values before and after, the refusal, and what the system made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine import repair
from crmbridge.identity.policy import Policy
from crmbridge.sdk.hookspecs import RunEvent
from crmbridge.store.rows import DeadLetterRow, WriteRow
from tests.engine.world import World

CUSTOMERS = """
stream: customers
entity: party
fields:
  display_name: name
  note: note
  kind: kind
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: mail}}
"""


def two_systems(**behaviour: Any) -> World:
    """A shop that is asked first and an ERP that behaves as told."""
    mappings = {"shop": [CUSTOMERS], "erp": [CUSTOMERS]}
    return World(mappings, [Policy("party", ["shop", "erp"])], {"erp": Behaviour(**behaviour)})


def linked(**behaviour: Any) -> World:
    """Ann is in both."""
    made = two_systems(**behaviour)
    for system, native_id in (("shop", "s1"), ("erp", "e1")):
        made.memory[system].add("customers", native_id, name="Ann Lee", mail="ann@lee.example", note="a")
    made.sync()
    return made


def at_push(made: World, what: Any) -> None:
    """Somebody does this in the ERP just before it is written."""
    waiting = [what]

    class Listener(list[RunEvent]):
        def append(self, event: RunEvent) -> None:
            super().append(event)
            is_push = (event.kind, event.stage, event.system) == ("stage-started", "push", "erp")
            if is_push and waiting:
                waiting.pop()()

    made.events = Listener()


def row(made: World, native_id: str = "e1") -> Any:
    (found,) = made.store.records("erp", "customers", [native_id])
    return found


def writes(made: World) -> list[WriteRow]:
    """Of the last run that wrote anything."""
    return next(found for run in range(99, 0, -1) if (found := made.store.writes(run, (-1, 0), 9)))


def test_a_write_is_kept_with_the_value_before_and_after() -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b")
    made.sync()
    (found,) = writes(made)
    assert (found.system, found.record_id, found.golden_id) == ("erp", row(made).id, row(made).golden_id)
    assert (found.path, json.loads(found.before), json.loads(found.after)) == ("note", "a", "b")
    (intent,) = made.store.intents_of([found.golden_id], ["done"])
    assert (intent.id, intent.attempts, intent.reason) == (found.intent, 1, "")
    assert found.at == intent.updated_at > 0
    made.memory["shop"].add("customers", "s2", name="Bo Ek")
    made.sync()
    assert {(one.record_id, one.path) for one in writes(made)} == {(0, "display_name")}


def test_what_the_system_makes_of_a_value_is_noted_once() -> None:
    made = linked(stores=lambda name, value: value.upper() if name == "note" and value else value)
    made.memory["shop"].edit("customers", "s1", note="gold")
    made.sync()
    made.sync()
    *_, note = made.store.notes(None, None, 9, "altered")
    assert (note.system, note.entity, note.path) == ("erp", "party", "note")
    assert note.text == "asked for 'gold', keeps 'GOLD'"
    assert note.golden_id == row(made).golden_id


@pytest.mark.parametrize("stream_id", ["s1", "s2"])
def test_what_is_refused_is_kept_whole_for_another_try(stream_id: str) -> None:
    made = linked()
    if stream_id == "s2":
        made.memory["shop"].add("customers", "s2", name="Bo Ek")
    made.memory["shop"].edit("customers", stream_id, note="b")
    made.memory["erp"].faults = ["reject"]
    assert made.sync().open_problems == 1
    (letter,) = made.store.dead_letters("open")
    (there,) = made.store.records("shop", "customers", [stream_id])
    assert (letter.kind, letter.system, letter.stream, letter.entity) == (
        *("operation", "erp", "customers", "party"),
    )
    assert letter.golden_id == there.golden_id
    assert letter.native_id == ("e1" if stream_id == "s1" else there.golden_id)
    assert letter.first_at == letter.last_at > 0
    assert letter.run > 0
    assert "note" in letter.raw
    assert made.sync().summary.total == 0  # not just so again
    with made.store.transaction():
        repair.replay(made.run(), [letter])
    assert made.sync().open_problems == 0
    assert [one["note"] for one in made.live("erp").values() if one.get("note")][-1:] == ["b"]
    assert made.store.dead_letters("open") == []


def test_a_record_is_read_again_for_its_letter_and_no_other() -> None:
    made = linked()
    letters = [
        DeadLetterRow("record", "shop", stream, "s1", "broken", "{}", first_at=1, last_at=1)
        for stream in ("customers", "visits")
    ]
    with made.store.transaction():
        for letter in letters:
            made.store.put_dead_letter(letter)
    repair.replay(made.run(), made.store.dead_letters("open"))
    assert [one.stream for one in made.store.dead_letters("open")] == ["visits"]


def test_who_edits_while_we_write_keeps_the_edit_and_ours_comes_in_the_same_run() -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b")
    edit = {"name": "Ann M. Lee", "mail": "am@lee.example"}
    at_push(made, lambda: made.memory["erp"].edit("customers", "e1", **edit))
    made.sync()
    assert made.live("erp")["e1"] == {**edit, "note": "b"}
    key = "email:am@lee.example"
    assert (row(made).id, row(made).golden_id) in made.store.records_with_keys("party", [key])[key]
    kinds = [what for what, *_ in made.memory["erp"].calls]
    assert kinds == ["update", "update"]
    made.sync()
    assert made.live("shop")["s1"]["name"] == "Ann M. Lee"


def test_who_edits_the_same_field_while_we_write_wins_with_the_later_edit() -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b")
    made.clock.sleep(5)
    at_push(made, lambda: made.memory["erp"].edit("customers", "e1", note="c"))
    made.sync()
    assert made.live("erp")["e1"]["note"] == "c"
    made.sync()
    assert made.live("shop")["s1"]["note"] == "c"


def test_what_a_system_does_not_say_of_a_write_is_read_back() -> None:
    made = linked(returns_record=False)
    for number in "23":
        made.memory["shop"].add("customers", f"s{number}", name=f"Ann {number}", note="茶")
    made.memory["shop"].edit("customers", "s1", note="b")
    assert made.sync().open_problems == 0
    assert sorted(one["name"] for one in made.live("erp").values()) == ["Ann 2", "Ann 3", "Ann Lee"]
    for native_id, data in made.live("erp").items():
        assert json.loads(row(made, native_id).seen)["display_name"] == data["name"]
        assert row(made, native_id).version == str(made.memory["erp"].streams["customers"][native_id].version)
    assert made.sync().summary.total == 0


def test_a_create_that_is_done_and_cannot_be_read_back_is_not_made_again() -> None:
    made = two_systems(returns_record=False)
    made.memory["shop"].add("customers", "s1", name="Ann Lee", mail="ann@lee.example")
    made.memory["erp"].faults = ["unread"]
    assert made.sync().open_problems == 1
    assert any("written, but not read back" in event.text for event in made.events)
    made.sync()
    assert len(made.live("erp")) == 1
    assert made.sync().open_problems == 0


WHEN = CUSTOMERS + "when: \"note != 'private'\"\n"


@pytest.mark.parametrize("versions", [True, False])
def test_a_record_that_leaves_the_condition_while_we_write_is_out_and_left_alone(
    versions: bool,
) -> None:
    made = World(
        {"shop": [CUSTOMERS], "erp": [WHEN]},
        [Policy("party", ["shop", "erp"])],
        {"erp": Behaviour(versions=versions)},
    )
    for system, native_id in (("shop", "s1"), ("erp", "e1")):
        made.memory[system].add("customers", native_id, name="Ann Lee", mail="ann@lee.example", note="VIP")
    made.sync()
    made.memory["shop"].edit("customers", "s1", name="Ann M. Lee")
    at_push(made, lambda: made.memory["erp"].edit("customers", "e1", note="private"))
    made.sync()
    assert row(made).status == "out"
    assert made.live("erp")["e1"]["name"] == "Ann Lee"
    made.memory["erp"].edit("customers", "e1", note="VIP")
    made.sync()
    assert row(made).status == "live"
    assert made.live("erp")["e1"]["name"] == "Ann M. Lee"


@pytest.mark.parametrize(("how", "status"), [("delete", "gone"), ("archive", "archived")])
def test_what_we_delete_is_remembered_as_deleted_by_us(how: Any, status: str) -> None:
    made = linked()
    made.policies = [Policy("party", ["shop", "erp"], deletes=how)]
    made.memory["shop"].remove("customers", "s1")
    began = made.run().now()
    made.sync()
    assert (row(made).status, row(made).deleted_by_us, row(made).raw_hash) == (status, True, b"")
    assert row(made).gone_at > began
