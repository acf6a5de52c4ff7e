"""How a run ends: what it says, what of a saved plan was true no more, what waits and for whom."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine import sync as pipeline
from crmbridge.engine.golden import Summary
from crmbridge.engine.sync import Outcome
from crmbridge.identity.policy import Policy
from crmbridge.sdk.errors import AuthError, FatalError, LimitError
from tests.engine.test_lookup import FIELDS, empty, linked
from tests.engine.world import World

LIMIT = LimitError("too many", limit="limits.deletes", flag="--allow deletes")
ORDERS = """
stream: orders
entity: sales_order
fields:
  number: number
  issuer: issuer
  note: note
  party: {path: customer, ref: customers, required: true}
"""
PARTIES = """
stream: customers
entity: party
fields: {display_name: name, note: note}
"""


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({}, 0),
        ({"duplicates": 2, "doubtful": 1, "stale_count": 3}, 0),
        ({"open_problems": 1}, 3),
        ({"verdict": "approval", "open_problems": 1}, 4),
        ({"failed": {"erp": FatalError("down")}, "verdict": "approval"}, 1),
        ({"failed": {"erp": AuthError("denied"), "crm": FatalError("down")}}, AuthError.exit_code),
        ({"failed": {"erp": AuthError("denied"), "crm": LIMIT}}, 5),
        ({"limit": LIMIT, "verdict": "limit"}, 5),
    ],
)
def test_the_exit_code_says_what_is_gravest(ended: dict[str, Any], code: int) -> None:
    assert Outcome(Summary(), **ended).exit_code == code


def planned_and_changed() -> tuple[World, list[Any]]:
    """A plan with an update and a create, and an edit of what it updates."""
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b")
    made.memory["shop"].add("customers", "s2", name="Bo Ek", mail="bo@ek.example")
    planned = made.plan()
    made.memory["shop"].edit("customers", "s1", note="c")
    return made, planned


def test_what_of_a_plan_is_true_no_more_is_listed_and_the_rest_is_sent() -> None:
    made, planned = planned_and_changed()
    outcome = made.apply(planned)
    assert outcome.stale == ["no longer true: update Ann Lee in erp e1 (note)"]
    assert (outcome.stale_count, outcome.verdict, outcome.exit_code) == (1, "done", 0)
    assert sorted(row["name"] for row in made.live("erp").values()) == ["Ann Lee", "Bo Ek"]
    assert made.live("erp")["e1"]["note"] == "a"


def test_strictly_a_plan_is_sent_whole_or_not_at_all() -> None:
    made, planned = planned_and_changed()
    outcome = made.apply(planned, strict=True)
    assert (outcome.verdict, outcome.reasons) == ("approval", ["the plan no longer fits (--strict)"])
    assert made.memory["erp"].calls == []
    again = made.plan()
    assert made.apply(again, strict=True).exit_code == 0
    assert (len(made.memory["erp"].calls), made.live("erp")["e1"]["note"]) == (2, "c")


def test_a_plan_of_which_nothing_is_true_asks_for_a_new_one_where_there_is_something_to_do() -> None:
    made, planned = planned_and_changed()
    updates = [one for one in planned if one.kind == "update"]
    outcome = made.apply(updates)
    assert outcome.verdict == "approval"
    assert outcome.reasons == ["nothing of this plan is still true, and other changes wait: make a new plan"]
    made.memory["shop"].edit("customers", "s1", note="a")
    made.memory["shop"].remove("customers", "s2")
    outcome = made.apply(updates)
    assert (outcome.verdict, outcome.stale_count) == ("done", 1)


def test_a_create_is_told_by_the_name_of_whom_it_is_for() -> None:
    made = empty()
    made.memory["shop"].add("customers", "s1", **FIELDS)
    made.sync()
    made.memory["shop"].add("customers", "s2", name="Bo Ek")
    planned = made.plan()
    made.memory["shop"].remove("customers", "s2")
    (line,) = made.apply(planned).stale
    assert line == "no longer true: create Bo Ek in erp (display_name)"


def ordered() -> World:
    """An order of a customer whom the ERP refuses."""
    mappings = {"shop": [PARTIES, ORDERS], "erp": [PARTIES, ORDERS]}
    policies = [Policy("party", ["shop", "erp"]), Policy("sales_order", ["shop", "erp"])]
    made = World(mappings, policies, {"erp": Behaviour()})
    made.sync()
    made.memory["shop"].add("customers", "s1", name="Ann Lee")
    made.memory["shop"].add("orders", "o1", number="SO-1", issuer="shop", customer="s1")
    made.memory["erp"].faults = ["reject"]
    return made


def test_an_order_waits_for_its_customer_and_is_told_when_that_takes_too_long() -> None:
    made = ordered()
    outcome = made.sync()
    assert outcome.waiting == []
    assert outcome.open_problems == 1  # the letter about the customer
    assert made.live("erp", "orders") == {}
    (row,) = made.store.records("shop", "customers", ["s1"])
    (order,) = made.store.records("shop", "orders", ["o1"])
    late = made.sync(patience=1)
    (waiting,) = late.waiting
    assert (waiting.golden_id, waiting.system, waiting.entity) == (order.golden_id, "erp", "sales_order")
    assert waiting.detail == f"party refers to {row.golden_id}, which has no record here"
    assert late.open_problems == 2
    made.memory["shop"].edit("customers", "s1", note="now with a tax number")
    done = made.sync(patience=1)
    assert (done.waiting, done.open_problems) == ([], 0)
    assert made.only("erp", "orders")["customer"] == next(iter(made.live("erp")))


CHILDREN = """
stream: customers
entity: party
fields:
  display_name: name
  parent: {path: parent, ref: customers, required: true}
  contact_points: [{slot: email, const: {type: email}, fields: {value: mail}}]
"""


def test_a_branch_of_a_company_that_people_deleted_there_is_a_dead_letter_at_once() -> None:
    plain = CHILDREN.replace(", required: true", "")
    made = World({"shop": [plain], "erp": [CHILDREN]}, [Policy("party", ["shop", "erp"])])
    for system in made.memory:
        made.memory[system].add("customers", f"{system}1", name="Lee & Co", mail="lee@lee.example")
    made.sync()
    made.memory["erp"].remove("customers", "erp1")
    made.sync()
    made.memory["shop"].add("customers", "shop2", name="Lee South", parent="shop1")
    outcome = made.sync()
    (letter,) = made.store.dead_letters("open")
    assert (letter.kind, letter.system) == ("operation", "erp")
    assert "which has no record here" in letter.error
    assert (outcome.open_problems, outcome.waiting) == (1, [])


def test_a_system_that_failed_gets_what_it_lacks_with_the_next_run() -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b")
    made.memory["erp"].behaviour.odd = {"pull": "raises"}
    outcome = made.sync()
    assert (list(outcome.failed), outcome.exit_code) == (["erp"], 1)
    assert "erp/customers: the connector failed" in str(outcome.failed["erp"])
    assert made.live("erp")["e1"]["note"] == "a"
    made.memory["erp"].behaviour.odd = {}
    assert made.sync().exit_code == 0
    assert made.live("erp")["e1"]["note"] == "b"
    assert made.sync().summary.total == 0


@pytest.mark.parametrize(
    ("mode", "shown"), [("live", 1), ("shadow", 1), ("read-only", 0)], ids=["live", "shadow", "read-only"]
)
def test_only_a_live_system_is_written_and_one_in_shadow_is_planned_for(mode: Any, shown: int) -> None:
    made = linked()
    made.memory["shop"].edit("customers", "s1", note="b")
    made.clock.sleep(60)
    run = made.run()
    run.systems["erp"].mode = mode
    outcome = pipeline.sync(run)
    assert outcome.exit_code == 0
    assert outcome.summary.total == shown
    assert len(made.memory["erp"].calls) == (1 if mode == "live" else 0)
    made.sync()  # it is live from now on, and gets what it lacks
    assert made.live("erp")["e1"]["note"] == "b"
    assert len(made.memory["erp"].calls) == 1


def test_to_link_only_is_to_read_and_match_and_to_write_and_agree_to_nothing() -> None:
    made = empty()
    for system in made.memory:
        made.memory[system].add("customers", system, **FIELDS)
    made.memory["shop"].add("customers", "s2", name="Bo Ek")
    outcome = pipeline.link(made.run())
    assert outcome.exit_code == 0
    (ours,) = made.store.records("shop", "customers", ["shop"])
    (theirs,) = made.store.records("erp", "customers", ["erp"])
    assert ours.golden_id == theirs.golden_id
    assert made.memory["erp"].calls == []
    assert made.store.setting("config:party:erp") is None
    assert made.store.setting("approved:party:erp") is None
    made.sync()
    assert len(made.live("erp")) == 2
