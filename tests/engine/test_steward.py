"""Conflicts that wait for a person: what can be decided about them, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crmbridge.engine import steward
from crmbridge.engine.run import Run
from crmbridge.engine.steward import Ruling
from crmbridge.identity.policy import Policy
from crmbridge.sdk.errors import ConfigError
from tests.engine.world import World

CUSTOMERS = """
stream: customers
entity: party
fields:
  display_name: name
  note: note
  lifecycle_stage: stage
  credit_limit: {fields: {amount: limit}, const: {currency: EUR}}
  contact_points:
    each: points
    id: key
    fields: {type: type, value: value}
"""
MANUAL = dict.fromkeys(("note", "lifecycle_stage", "credit_limit"), "manual")


def contested(**field: tuple[Any, Any]) -> World:
    """Ann, of whom the shop and the ERP say different things."""
    made = World(
        {"shop": [CUSTOMERS], "erp": [CUSTOMERS]}, [Policy("party", ["shop", "erp"], survivorship=MANUAL)]
    )
    points = [{"key": "1", "type": "email", "value": "ann@lee.example"}]
    for system in made.memory:
        made.memory[system].add("customers", system, name="Ann Lee", points=points)
    made.sync()
    for index, system in enumerate(made.memory):
        made.clock.sleep(60)
        made.memory[system].edit("customers", system, **{name: both[index] for name, both in field.items()})
    made.sync()
    return made


def say(made: World, how: Callable[[Run, Ruling], Any], **said: Any) -> Any:
    """About the one conflict that there is."""
    (row,) = made.store.conflicts(None, None, 9)
    with made.store.transaction():
        return how(made.run(), Ruling(row.id, "王小明", "asked", **said))


def refused(made: World, how: Callable[[Run, Ruling], Any], **said: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        say(made, how, **said)
    return str(caught.value)


def test_what_waits_is_listed_until_it_is_decided_and_again_once_that_is_taken_back() -> None:
    made = contested(note=("tea", "coffee"))
    (row,) = steward.waiting(made.run())
    assert (row.path, row.undecided) == ("note", True)
    decided, value = say(made, steward.decide, text="both")
    assert (decided.id, value) == (row.id, "both")
    made.sync()
    assert steward.waiting(made.run()) == []
    assert {made.only(system)["note"] for system in made.memory} == {"both"}
    history = made.store.history(row.golden_id)
    assert steward.reason_for(history, "note").endswith("by 王小明: asked")
    assert steward.reason_for(history, "owner") == ""
    say(made, steward.withdraw)
    assert [text for _, event, text in made.store.history(row.golden_id)][-1] == "note: by 王小明: asked"
    made.sync()
    assert [one.path for one in steward.waiting(made.run())] == ["note"]
    assert f"nothing was decided about note of {row.golden_id}" in refused(made, steward.withdraw)


@pytest.mark.parametrize(
    ("said", "value"), [({"take": "erp"}, "coffee"), ({"take": "shop"}, "tea"), ({"empty": True}, None)]
)
def test_one_of_the_words_is_taken_or_the_field_is_emptied(said: dict[str, Any], value: Any) -> None:
    made = contested(note=("tea", "coffee"))
    assert say(made, steward.decide, **said)[1] == value
    made.sync()
    assert {made.only(system)["note"] for system in made.memory} == {value}
    assert made.sync().summary.total == 0


def test_a_later_decision_takes_the_place_of_the_one_before() -> None:
    made = contested(note=("tea", "coffee"))
    for text in "first", "second":
        say(made, steward.decide, text=text)
        made.clock.sleep(60)
    made.sync()
    assert made.only("erp")["note"] == "second"
    (row,) = made.store.conflicts(None, None, 9)
    rows = made.store.records_of([row.golden_id])[row.golden_id]
    assert [one.system for one in rows].count("hub") == 1


def test_a_value_is_typed_as_text_or_as_json() -> None:
    made = contested(limit=("100", "200"))
    _, value = say(made, steward.decide, text='{"amount": "150", "currency": "EUR"}')
    assert (value["amount"], value["currency"]) == ("150", "EUR")
    made.sync()
    assert str(made.only("shop")["limit"]) == "150"
    told = refused(made, steward.decide, text="a lot")
    assert "'a lot' is no value of credit_limit" in told
    assert '{"amount": "100", "currency": "EUR"}' in told


def test_a_word_that_nobody_said_is_refused() -> None:
    made = contested(stage=("lead", "customer"))
    told = refused(made, steward.decide, take="crm")
    assert "crm said nothing in this conflict" in told
    assert "there are erp, shop" in told
    with pytest.raises(ConfigError, match="there is no conflict 77"):
        steward.conflict(made.run(), 77)
