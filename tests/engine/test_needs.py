"""What a system cannot be without: fields, fields of elements, whole lists."""

from __future__ import annotations

from typing import Any

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine.needs import insists, insists_on_elements, lacking
from crmbridge.engine.planinput import Target
from crmbridge.sdk.connector import Capabilities
from tests.engine.test_plan import PARTY, SLOTS
from tests.engine.world import mapping

PLACE = "contact_points/cp_1"


def target(text: str = PARTY, **able: Any) -> Target:
    compiled = mapping(text, "erp", Behaviour(child_ids={"points": "key"}))
    return Target("erp", compiled, Capabilities(**able), create=True)


def test_a_field_is_needed_by_the_mapping_or_by_the_system() -> None:
    assert insists(target(), "display_name")
    assert not insists(target(), "note")
    assert insists(target(required={"note"}), "note")
    assert insists(target(cannot_clear={"note"}), "note")
    assert not insists(target(required={"points.note"}), "note")


def test_a_part_of_a_child_is_needed_by_its_name_in_the_list() -> None:
    assert insists(target(cannot_clear={"points.type"}), f"{PLACE}/type")
    assert insists(target(required={"points.type"}), f"{PLACE}/type")
    assert not insists(target(required={"points.type"}), f"{PLACE}/value")
    assert not insists(target(required={"type"}), f"{PLACE}/type")
    assert insists(target(PARTY.replace("type: type", "type: {path: type, required: true}")), f"{PLACE}/type")
    assert not insists(target(required={"points.type"}), PLACE)  # a child may go whole


def test_what_stands_in_a_slot_is_needed_where_its_field_is() -> None:
    needs = target(SLOTS, cannot_clear={"mail"})
    assert insists(needs, PLACE, "slot:email")
    assert insists(needs, f"{PLACE}/value", "slot:email")
    assert not insists(needs, PLACE, "slot:second")
    assert not insists(needs, f"{PLACE}/value", "slot:second")


def test_a_list_may_have_to_hold_something() -> None:
    for text, able, needed in (
        (PARTY, {}, False),
        (PARTY, {"required": {"points"}}, True),
        (PARTY, {"cannot_clear": {"points"}}, True),
        (PARTY, {"required": {"points.type"}}, False),
        (PARTY.replace("each: points", "each: points\n    required: true"), {}, True),
    ):
        made = target(text, **able)
        assert insists_on_elements(made, made.mapping.lists["contact_points"]) is needed


def test_a_new_child_lacks_what_creates_need_and_a_slot_that_is_there_also_what_cannot_be_emptied() -> None:
    made = target(required={"points.type", "points.value"}, cannot_clear={"points.value"})
    rule = made.mapping.lists["contact_points"]
    assert lacking(made, rule, {"type": None, "value": "1"}) == ["type"]
    assert lacking(made, rule, {}) == ["type", "value"]
    assert lacking(made, rule, {"type": "phone", "value": "1"}) == []
    kept = target(cannot_clear={"points.value"})
    assert lacking(kept, kept.mapping.lists["contact_points"], {"type": "phone"}) == []
    slots = target(SLOTS, cannot_clear={"mail"})
    rule = slots.mapping.lists["contact_points"]
    assert lacking(slots, rule, {"type": "email"}, "slot:email") == ["value"]
    assert lacking(slots, rule, {"type": "email"}, "slot:second") == []
    assert lacking(slots, rule, {"type": "email"}) == []
