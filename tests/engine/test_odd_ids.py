"""What a system may call a record: an id that cannot be kept is a dead letter, any other one is an id."""

from __future__ import annotations

import pytest

from crmbridge.identity.policy import Policy
from tests.engine.customers import CUSTOMERS, add
from tests.engine.world import World


def read(native_id: str) -> World:
    """Two systems; in the first one a record has this id, and another one an ordinary id."""
    made = World({"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ["erp", "crm"])])
    add(made, "erp", "customers", native_id, name="Ann Lee")
    add(made, "erp", "customers", "E2", name="Bo Ek")
    made.sync()
    made.sync()
    return made


@pytest.mark.parametrize("native_id", ["a\0b", "a\ud800b", "\udcff", "\0"])
def test_an_id_that_cannot_be_kept_is_a_dead_letter_and_the_others_are_taken(native_id: str) -> None:
    made = read(native_id)
    assert [row["name"] for row in made.live("crm").values()] == ["Bo Ek"]
    (letter,) = made.store.dead_letters()
    assert letter.kind == "record"
    assert "Ann Lee" in letter.raw


@pytest.mark.parametrize("native_id", ["a\nb", "x" * 10_000, "مها", "a/b c%'\"", " ", "\u202e"])
def test_an_id_that_can_be_kept_is_an_id(native_id: str) -> None:
    made = read(native_id)
    assert sorted(row["name"] for row in made.live("crm").values()) == ["Ann Lee", "Bo Ek"]
    assert made.store.dead_letters() == []
    (row,) = made.store.records("erp", "customers", [native_id])
    assert row.golden_id
