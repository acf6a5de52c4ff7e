"""Operations on their way: batches, references, answers that are missing, systems that fail half-way."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.identity.policy import Policy
from tests.engine.test_lookup import CUSTOMERS, FIELDS, empty, linked, reason, uncertain
from tests.engine.world import World


def three(**behaviour: Any) -> World:
    """Three new customers in the shop, of whom the second has no note."""
    made = empty(**behaviour)
    made.sync()
    for number, note in enumerate(("a", None, "c"), 1):
        made.memory["shop"].add("customers", f"s{number}", name=f"Ann {number}", note=note)
    return made


@pytest.mark.parametrize("answers", ["item", "whole"])
@pytest.mark.parametrize("size", [1, 2, 50])
def test_one_that_is_refused_keeps_no_other_back(answers: Any, size: int) -> None:
    made = three(batch_answers=answers, batch_size=size, insists_untold=frozenset({"note"}))
    made.events.clear()
    outcome = made.sync()
    assert sorted(row["name"] for row in made.live("erp").values()) == ["Ann 1", "Ann 3"]
    (letter,) = made.store.dead_letters("open")
    assert "note must not be empty" in letter.error
    assert outcome.open_problems == 1
    told = [(e.count, e.total) for e in made.events if e.kind == "progress" and e.stage == "push"]
    assert sum(count for count, _ in told) == 3
    assert {total for _, total in told} == {3}
    made.memory["shop"].edit("customers", "s2", note="b")
    assert made.sync().open_problems == 0
    assert len(made.live("erp")) == 3


def test_what_failed_before_anything_happened_is_sent_with_the_next_run() -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b")
    made.memory["erp"].faults = ["retryable"]
    outcome = made.sync()
    assert (list(outcome.failed), outcome.exit_code) == (["erp"], 1)
    assert uncertain(made) == []
    made.sync()
    assert made.live("erp")["e1"]["note"] == "b"
    assert len(made.memory["erp"].calls) == 1


def test_a_connector_that_breaks_after_the_write_leaves_it_uncertain_and_it_is_looked_up() -> None:
    made = empty()
    made.sync()
    made.memory["shop"].add("customers", "s1", **FIELDS)
    made.memory["erp"].faults = ["broken after"]
    outcome = made.sync()
    assert list(outcome.failed) == ["erp"]
    assert reason(made).startswith("the connector failed: ")
    assert made.sync().exit_code == 0
    assert uncertain(made) == []
    assert len(made.live("erp")) == 1
    assert made.sync().summary.total == 0


def test_a_parent_and_its_child_are_created_in_one_run() -> None:
    text = CUSTOMERS + "  parent: {path: parent, ref: customers}\n"
    made = World({"shop": [text], "erp": [text]}, [Policy("party", ["shop", "erp"])])
    made.memory["shop"].add("customers", "s1", name="Lee South", parent="s2")
    made.memory["shop"].add("customers", "s2", name="Lee & Co")
    made.sync()
    names = {row["name"]: native_id for native_id, row in made.live("erp").items()}
    assert made.live("erp")[names["Lee South"]]["parent"] == names["Lee & Co"]
    assert made.sync().summary.total == 0


def test_a_list_that_is_replaced_is_read_first_so_that_an_edit_meanwhile_stays() -> None:
    text = """
stream: customers
entity: party
fields:
  display_name: name
  contact_points: {each: points, id: key, fields: {type: type, value: value}}
"""
    behaviour = Behaviour(child_ids={"points": "key"})
    made = World(
        {"shop": [text], "erp": [text]},
        [Policy("party", ["shop", "erp"])],
        dict.fromkeys(("shop", "erp"), behaviour),
    )
    mail = {"type": "email", "value": "ann@lee.example"}
    for system in made.memory:
        made.memory[system].add("customers", system, name="Ann", points=[{**mail, "label": system}])
    made.sync()
    (ours,) = made.only("shop")["points"]
    phone = {"type": "phone", "value": "+49301234567"}
    made.memory["shop"].edit("customers", "shop", points=[ours, phone])
    made.sync()
    kept, added = made.only("erp")["points"]
    assert (kept["label"], kept["value"]) == ("erp", "ann@lee.example")
    assert (added["type"], added["value"]) == ("phone", "+49301234567")
    assert made.sync().summary.total == 0
