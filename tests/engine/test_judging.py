"""What people say about who is who, what becomes of it, and what cannot be said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from crmbridge.engine import judging
from crmbridge.engine.linking import Word
from crmbridge.engine.run import Run
from crmbridge.identity.policy import Policy
from crmbridge.sdk.errors import ConfigError
from crmbridge.store.rows import JudgementRow
from tests.engine.test_doubts import CUSTOMERS, FIRMS, add, world
from tests.engine.world import World

ASKED = Word("王小明", "asked")
PRODUCTS = """
stream: products
entity: product
fields: {sku: sku, name: name}
"""


def golden(made: World, place: str, stream: str = "customers") -> str:
    system, native_id = place.split("/")
    (row,) = made.store.records(system, stream, [native_id])
    assert row.golden_id is not None
    return row.golden_id


def number(made: World, place: str) -> int:
    system, native_id = place.split("/")
    (row,) = made.store.records(system, "customers", [native_id])
    return row.id


def told(made: World, golden_id: str) -> list[str]:
    """What people said, as the journal has it."""
    events = ("told apart", "merged by hand", "revoked")
    return [text for _, event, text in made.store.history(golden_id) if event in events]


def say(made: World, how: Callable[..., JudgementRow], *what: Any) -> JudgementRow:
    made.clock.sleep(60)
    with made.store.transaction():
        return how(made.run(), *what, ASKED)


def sisters() -> World:
    """Two who share a mailbox."""
    made = world()
    add(made, "erp/E1", "Ann Lee", mail="lee@lee.example")
    add(made, "crm/C1", "Bea Lee", mail="lee@lee.example")
    made.sync()
    return made


def test_that_two_are_one_is_kept_with_what_it_moved_and_taken_back() -> None:
    made = sisters()
    one, other = golden(made, "crm/C1"), golden(made, "erp/E1")
    began = made.run().now()
    said = say(made, judging.merge, one, other)
    assert (said.verdict, said.entity, said.one, said.other) == ("one", "party", one, other)
    assert (said.said_by, said.why, said.at > began) == ("王小明", "asked", True)
    assert said.places == "crm/customers/C1 and erp/customers/E1"
    assert json.loads(said.moved) == [number(made, "crm/C1")]
    assert golden(made, "crm/C1") == other
    text = "crm/customers/C1 and erp/customers/E1 are one, by 王小明: asked"
    assert told(made, other) == [f"{one} joined: {text}"]
    assert list(judging.judgements(made.run())) == [said]
    back = say(made, judging.undo, said.id)
    assert (back.revoked_by, back.revoked_why, back.revoked_at > said.at) == ("王小明", "asked", True)
    assert golden(made, "crm/C1") == one
    text = f"that {said.places} are one (judgement {said.id}) is taken back, by 王小明: asked"
    assert told(made, one)[-1] == told(made, other)[-1] == text
    assert judging.judgement(made.run(), said.id) == back


def test_that_two_are_two_is_kept_and_taken_back() -> None:
    made = sisters()
    one, other = golden(made, "crm/C1"), golden(made, "erp/E1")
    said = say(made, judging.apart, one, other)
    assert (said.verdict, said.moved) == ("apart", "[]")
    assert told(made, one) == told(made, other) == [f"{said.places} are two, by 王小明: asked"]
    assert made.store.count_open_pairs() == 0
    say(made, judging.undo, said.id)
    assert told(made, one)[-1].startswith(f"that {said.places} are two (judgement {said.id}) is taken back")
    made.sync()
    assert made.store.count_open_pairs() == 1


def test_who_were_told_apart_stay_two_however_alike_they_become_until_that_is_taken_back() -> None:
    made = sisters()
    one, other = golden(made, "crm/C1"), golden(made, "erp/E1")
    said = say(made, judging.apart, one, other)
    made.memory["crm"].edit("customers", "C1", name="Ann Lee", phone="030 1234567")
    made.memory["erp"].edit("customers", "E1", phone="030 1234567")
    made.sync()
    assert (golden(made, "crm/C1"), golden(made, "erp/E1")) == (one, other)
    assert made.store.count_open_pairs() == 0
    add(made, "crm/C2", "Ann Lee", mail="lee@lee.example", phone="030 1234567")
    made.sync()
    assert golden(made, "crm/C2") in (one, other)
    assert made.store.count_open_pairs() == 0
    say(made, judging.undo, said.id)
    made.sync()
    assert golden(made, "crm/C1") == golden(made, "erp/E1")


def test_that_a_doubtful_link_is_right_moves_nothing_and_stands_in_the_journal() -> None:
    made = world(FIRMS)
    add(made, "erp/E1", "Ann Lee", mail="ann@lee.example")
    add(made, "crm/C1", "Ann Lee", mail="ann@lee.example")
    made.sync()
    made.memory["erp"].edit("customers", "E1", kind="person")
    made.sync()
    both = golden(made, "erp/E1")
    said = say(made, judging.merge, both, both)
    assert (said.verdict, said.one, said.other, said.moved) == ("one", both, both, "[]")
    assert said.id
    assert told(made, both) == [f"{said.places} are one, by 王小明: asked"]
    assert made.sync().doubtful == 0
    say(made, judging.undo, said.id)
    assert golden(made, "erp/E1") == golden(made, "crm/C1") == both
    assert made.sync().doubtful == 1


def test_the_record_that_is_shown_of_each_is_one_that_is_there() -> None:
    made = world()
    add(made, "erp/E1", "Ann Lee", mail="lee@lee.example", phone="030 1234567")
    add(made, "erp/E2", "Ann Lee", mail="lee@lee.example", phone="030 1234567")
    add(made, "crm/C1", "Bea Lee", mail="lee@lee.example")
    made.sync()
    made.memory["erp"].remove("customers", "E1")
    made.sync()
    said = say(made, judging.apart, golden(made, "erp/E2"), golden(made, "crm/C1"))
    assert said.places == "erp/customers/E2 and crm/customers/C1"


def refused(made: World, how: Callable[[Run], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        how(made.run())
    return str(caught.value)


def test_what_contradicts_what_was_said_before_is_refused_with_the_way_back() -> None:
    made = sisters()
    one, other = golden(made, "crm/C1"), golden(made, "erp/E1")
    said = say(made, judging.apart, one, other)
    again = refused(made, lambda run: judging.apart(run, other, one, ASKED))
    assert f"{other} and {one} are told apart already" in again
    merged = refused(made, lambda run: judging.merge(run, one, other, ASKED))
    assert f"{one} and {other} were told apart" in merged
    assert "identity undo ID takes it back" in merged
    say(made, judging.undo, said.id)
    twice = refused(made, lambda run: judging.undo(run, said.id, ASKED))
    assert f"judgement {said.id} is taken back already" in twice
    say(made, judging.merge, one, other)
    same = refused(made, lambda run: judging.merge(run, one, other, ASKED))
    assert f"both are {other} already" in same
    assert "crmbridge links unlink crm/customers/C1" in same


def test_what_is_said_of_nobody_or_of_things_of_two_kinds_is_refused() -> None:
    policies = [Policy("party", ("erp",)), Policy("product", ("erp",))]
    made = World({"erp": [CUSTOMERS, PRODUCTS]}, policies)
    add(made, "erp/E1", "Ann Lee", mail="ann@lee.example")
    add(made, "erp/E2", "Bo Ek", mail="bo@ek.example")
    made.memory["erp"].add("products", "P1", sku="TEE-88", name="龙井茶")
    made.sync()
    ann, bo = golden(made, "erp/E1"), golden(made, "erp/E2")
    tea = golden(made, "erp/P1", "products")
    assert "there is no golden record 'par_no'" in refused(
        made, lambda run: judging.merge(run, ann, "par_no", ASKED)
    )
    assert "are a party and a product" in refused(made, lambda run: judging.apart(run, tea, ann, ASKED))
    assert "there is no judgement 7" in refused(made, lambda run: judging.undo(run, 7, ASKED))
    with made.store.transaction():
        made.store.set_links([(number(made, "erp/E2"), ann)])
    assert f"{bo} has no records any more" in refused(made, lambda run: judging.merge(run, ann, bo, ASKED))


def test_only_the_judgement_that_is_named_is_found_however_many_there_are() -> None:
    made = sisters()
    one, other = golden(made, "crm/C1"), golden(made, "erp/E1")
    first = say(made, judging.apart, one, other)
    say(made, judging.undo, first.id)
    second = say(made, judging.merge, one, other)
    assert [said.id for said in judging.judgements(made.run())] == [first.id, second.id]
    assert judging.judgement(made.run(), second.id).verdict == "one"
    assert judging.judgement(made.run(), first.id).verdict == "apart"
    assert f"there is no judgement {second.id + 1}" in refused(
        made, lambda run: judging.judgement(run, second.id + 1)
    )
    assert "there is no judgement 0" in refused(made, lambda run: judging.judgement(run, 0))
