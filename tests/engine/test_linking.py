"""What people say about records: links that are taken apart and put together, creates that were lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine import linking
from crmbridge.engine.linking import Ruled, Word, record_at
from crmbridge.engine.run import Run
from crmbridge.identity.policy import Policy
from crmbridge.sdk.errors import ConfigError
from tests.engine.test_doubts import CUSTOMERS, add
from tests.engine.world import World

ASKED = Word("王小明", "asked")
NAMED = """
stream: customers
entity: party
fields:
  display_name: name
  note: note
  parent: {path: parent, ref: customers}
  contact_points: [{slot: email, const: {type: email}, fields: {value: mail}}]
"""


def world(**behaviour: Any) -> World:
    """An ERP from which customers are created in a shop that behaves as told."""
    policy = Policy("party", ("erp", "shop"))
    return World({"erp": [NAMED], "shop": [NAMED]}, [policy], {"shop": Behaviour(**behaviour)})


def ruled(made: World, how: Callable[[Run], Ruled]) -> Ruled:
    made.clock.sleep(60)
    with made.store.transaction():
        return how(made.run())


def refused(made: World, how: Callable[[Run], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        how(made.run())
    return str(caught.value)


def told(made: World, golden_id: str) -> list[tuple[str, str]]:
    history = made.store.history(golden_id)
    return [(event, text) for _, event, text in history if event in linking.BY_PEOPLE]


# -- links


def test_an_unlinked_record_gets_a_golden_record_of_its_own_until_it_is_relinked() -> None:
    made = world()
    add(made, "erp/E1", "Ann Lee", mail="ann@lee.example", note="VIP")
    add(made, "shop/S1", "Ann Lee", mail="ann@lee.example")
    made.sync()
    done = ruled(made, lambda run: linking.unlink(run, record_at(run, "shop/customers/S1"), ASKED))
    assert done.place == "shop/customers/S1"
    assert done.golden_id != done.before
    assert told(made, done.before) == [
        ("unlinked", f"shop/customers/S1, now {done.golden_id}, by 王小明: asked")
    ]
    assert told(made, done.golden_id) == [
        ("unlinked", f"shop/customers/S1 from {done.before}, by 王小明: asked")
    ]
    (said,) = made.store.judgements(0, 9)
    assert (said.verdict, said.places) == ("apart", "shop/customers/S1 and erp/customers/E1")
    assert (said.one, said.other, said.at > 0) == (done.before, done.golden_id, True)
    made.sync()
    assert made.live("shop")["S1"]["note"] is None  # it was the other's
    back = ruled(made, lambda run: linking.relink(run, record_at(run, "shop/customers/S1"), ASKED))
    assert (back.golden_id, back.before) == (done.before, done.golden_id)
    assert told(made, done.before)[-1] == (
        "relinked",
        f"shop/customers/S1 from {done.golden_id}, by 王小明: asked",
    )
    (said,) = made.store.judgements(0, 9)
    assert (said.revoked_by, said.revoked_why) == ("王小明", "asked")
    made.sync()
    again = ruled(made, lambda run: linking.unlink(run, record_at(run, "erp/customers/E1"), ASKED))
    assert again.golden_id not in (done.before, done.golden_id)
    more = ruled(made, lambda run: linking.relink(run, record_at(run, "erp/customers/E1"), ASKED))
    last = ruled(made, lambda run: linking.unlink(run, record_at(run, "erp/customers/E1"), ASKED))
    assert last.golden_id not in (again.golden_id, more.golden_id)  # an id is never given twice


def test_a_record_that_is_alone_is_neither_unlinked_nor_relinked() -> None:
    made = World({"erp": [NAMED]}, [Policy("party", ("erp",))])
    add(made, "erp/E1", "Ann Lee")
    made.sync()
    assert "erp/customers/E1 is linked with no other record" in refused(
        made, lambda run: linking.unlink(run, record_at(run, "erp/customers/E1"), ASKED)
    )
    assert "erp/customers/E1 was not unlinked from anything that is still there" in refused(
        made, lambda run: linking.relink(run, record_at(run, "erp/customers/E1"), ASKED)
    )


def test_a_record_is_named_as_it_is_printed() -> None:
    made = World({"erp": [CUSTOMERS]}, [Policy("party", ("erp",))], {"erp": Behaviour(scopes=("de", "fr"))})
    for place in ("de:7", "fr:7"):
        made.memory["erp"].add("customers", place, name=f"Ann {place}")
    made.sync()
    run = made.run()
    for place in ("erp/customers/8", "erp/customers", "erp", "", "crm/customers/7"):
        with pytest.raises(ConfigError, match=f"no record '{place}' is known"):
            record_at(run, place)
    both = refused(made, lambda run: record_at(run, "erp/customers/7"))
    assert "'erp/customers/7' is 2 records" in both
    assert "one of de, fr" in both
    assert record_at(run, "erp/customers/7", "fr").scope == "fr"


def test_what_refers_to_a_customer_is_planned_again_once_a_record_leaves_them() -> None:
    made = world()
    add(made, "erp/E1", "Lee & Co", mail="lee@lee.example")
    add(made, "shop/S1", "Lee & Co", mail="lee@lee.example")
    add(made, "erp/E2", "Lee South", mail="south@lee.example", parent="E1")
    made.sync()
    assert next(row for row in made.live("shop").values() if row["name"] == "Lee South")["parent"] == "S1"
    done = ruled(made, lambda run: linking.unlink(run, record_at(run, "shop/customers/S1"), ASKED))
    (child,) = made.store.records("erp", "customers", ["E2"])
    assert {done.before, done.golden_id, child.golden_id} <= set(made.store.dirty_goldens("party", "", 9))


# -- creates of unknown outcome


def lost(**behaviour: Any) -> World:
    """Ann was created in the shop, which did not answer and does not say when it made a record."""
    made = world(search_mark=None, search_keys=("name",), creation_times=False, **behaviour)
    made.sync()
    add(made, "erp/E1", "Ann Lee", mail="ann@lee.example")
    made.memory["shop"].faults = ["lost after"]
    made.sync()
    made.sync()
    return made


def test_a_lost_create_is_listed_with_the_records_that_it_may_have_made() -> None:
    made = lost()
    run = made.run()
    (intent,) = linking.uncertain(run)
    assert intent.reason == "shop/customers/1 may be it or not: nobody says when it was made"
    assert [row.native_id for row in linking.candidates(run, intent)] == ["1"]
    add(made, "shop/S7", "Bo Ek", mail="bo@ek.example")
    made.sync()
    assert [row.native_id for row in linking.candidates(made.run(), intent)] == ["1"]


def test_what_a_lost_create_made_is_linked_and_stays_so() -> None:
    made = lost()
    (intent,) = linking.uncertain(made.run())
    done = ruled(made, lambda run: linking.adopt(run, intent.id, record_at(run, "shop/customers/1"), ASKED))
    assert (done.place, done.golden_id) == ("shop/customers/1", intent.golden_id)
    assert told(made, done.golden_id) == [
        ("adopted", f"shop/customers/1 as what {intent.id} made, by 王小明: asked")
    ]
    (kept,) = [one for one in made.store.intents_of([done.golden_id], ["done"]) if one.id == intent.id]
    assert (kept.native_id, kept.reason) == ("1", "adopted by 王小明: asked")
    assert linking.uncertain(made.run()) == []
    made.memory["erp"].edit("customers", "E1", note="VIP")
    made.sync()
    assert made.live("shop") == {"1": {"name": "Ann Lee", "mail": "ann@lee.example", "note": "VIP"}}


def test_an_adoption_is_taken_back_and_the_create_is_planned_anew() -> None:
    made = lost()
    (intent,) = linking.uncertain(made.run())
    ruled(made, lambda run: linking.adopt(run, intent.id, record_at(run, "shop/customers/1"), ASKED))
    made.sync()
    back = ruled(made, lambda run: linking.undo(run, "shop/customers/1", ASKED))
    assert (back.place, back.before) == ("shop/customers/1", intent.golden_id)
    assert made.store.intents_of([intent.golden_id], ["done"]) == []
    made.sync()
    names = [row["name"] for row in made.live("shop").values()]
    assert names.count("Ann Lee") == 2
    told = refused(made, lambda run: linking.undo(run, "erp/customers/E1", ASKED))
    assert "erp/customers/E1 is in no create of ours that is remembered" in told
    assert "crmbridge links unlink erp/customers/E1" in told


def test_a_lost_create_that_made_nothing_is_sent_again() -> None:
    made = lost()
    (intent,) = linking.uncertain(made.run())
    done = ruled(made, lambda run: linking.undo(run, intent.id, ASKED))
    assert done == Ruled("", intent.golden_id, intent.golden_id)
    assert told(made, intent.golden_id) == [("undone", f"create {intent.id} in shop, by 王小明: asked")]
    assert linking.uncertain(made.run()) == []


def test_a_record_of_others_or_of_another_stream_is_not_what_a_create_made() -> None:
    made = lost()
    add(made, "shop/S2", "Bo Ek", mail="bo@ek.example")
    add(made, "erp/E2", "Bo Ek", mail="bo@ek.example")
    made.sync()
    (intent,) = linking.uncertain(made.run())
    taken = refused(
        made, lambda run: linking.adopt(run, intent.id, record_at(run, "shop/customers/S2"), ASKED)
    )
    assert "with other records" in taken
    assert "crmbridge links unlink shop/customers/S2" in taken
    assert f"erp/customers/E2 cannot be what create {intent.id} made" in refused(
        made, lambda run: linking.adopt(run, intent.id, record_at(run, "erp/customers/E2"), ASKED)
    )
    assert "there is no uncertain operation '7'" in refused(
        made, lambda run: linking.adopt(run, "7", record_at(run, "shop/customers/S2"), ASKED)
    )
