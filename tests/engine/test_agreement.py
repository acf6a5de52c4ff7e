"""How far a system agrees with the others, with an example of each way in which it does not."""

from __future__ import annotations

from crmbridge.engine.agreement import Agreement, Example, agreement
from crmbridge.identity.policy import Policy
from tests.engine.test_doubts import CUSTOMERS, add
from tests.engine.world import World


def agreed(made: World, system: str) -> Agreement:
    with made.store.scratch() as copy:
        (found,) = agreement(made.run(copy), system, ["party", "product"])
    return found


def world() -> World:
    """Three customers that the ERP and the shop both have; the shop is never written."""
    policy = Policy("party", ("erp", "shop"))
    made = World({"erp": [CUSTOMERS], "shop": [CUSTOMERS]}, [policy], targets={"party": ["shop"]})
    for number, name in enumerate(("Ann Lee", "Bo Ek", "Zoë Krüger"), 1):
        add(made, f"erp/E{number}", name, mail=f"{number}@lee.example", vat=f"DE13669597{number}")
    add(made, "shop/S1", "Ann M. Lee", mail="1@lee.example", vat="DE136695971", phone="030 1234567")
    add(made, "shop/S2", "Bo Ek", mail=None, vat="DE136695972", kind="person")
    add(made, "shop/S3", "Zoë K.", mail="3@lee.example", vat="DE136695973")
    made.memory["shop"].faults = ["reject"] * 9
    made.sync()
    return made


def test_each_way_in_which_records_differ_has_its_first_example() -> None:
    found = agreed(world(), "shop")
    assert (found.entity, found.linked, found.only_here, found.create) == ("party", 3, 0, 0)
    assert found.fields["display_name"] == {"change": 2, "agree": 1}
    assert found.fields["contact_points"] == {"agree": 2, "fill": 1}
    assert found.fields["identifiers"] == {"agree": 3}
    assert found.fields["kind"] == {"agree": 1}  # of the others nobody says anything
    changed = found.examples.pop(("display_name", "change"))
    assert changed in (Example("S1", "Ann M. Lee", "Ann Lee"), Example("S3", "Zoë K.", "Zoë Krüger"))
    assert found.examples == {("contact_points", "fill"): Example("S2", None, ["email 2@lee.example"])}
    assert found.agrees("display_name") == 1 / 3
    assert found.agrees("identifiers") == 1


def test_a_system_that_is_not_written_is_not_compared() -> None:
    made = world()
    with made.store.scratch() as copy:
        assert list(agreement(made.run(copy), "erp", ["party"])) == []
        assert list(agreement(made.run(copy), "shop", ["product"])) == []
