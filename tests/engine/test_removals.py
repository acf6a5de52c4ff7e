"""Records that went: deleted, merged, out of the listing, or with so many others that it cannot be right."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine import sync as pipeline
from crmbridge.identity.policy import Policy
from crmbridge.sdk.errors import LimitError
from tests.engine.test_lookup import CUSTOMERS
from tests.engine.test_read import rows
from tests.engine.world import NoLimits, World


def people(*names: str, policy: Any = "keep", **behaviour: Any) -> World:
    """They are in the shop and in a CRM that behaves as told."""
    mappings = {"shop": [CUSTOMERS], "crm": [CUSTOMERS]}
    policies = [Policy("party", ["shop", "crm"], deletes=policy)]
    made = World(mappings, policies, {"crm": Behaviour(**behaviour)})
    for number, name in enumerate(names, 1):
        said = {"name": name, "mail": f"{number}@lee.example"}
        made.memory["shop"].add("customers", f"s{number}", **said)
        made.memory["crm"].add("customers", f"c{number}", **said)
    made.sync()
    return made


def row(made: World, native_id: str, system: str = "crm") -> Any:
    return rows(made, system, native_id)[""]


def account(made: World, **options: Any) -> dict[str, int]:
    """What the next sync counts in the CRM."""
    made.clock.sleep(60)
    run = made.run(**options)
    pipeline.sync(run, accept_config=True)
    return {what: count for (system, _, what), count in run.counts.items() if system == "crm"}


# -- deletes


@pytest.mark.parametrize("deletes", ["feed", "sweep"])
def test_a_deleted_record_is_gone_and_counted_once(deletes: Any) -> None:
    made = people("Ann Lee", "Bo Ek", deletes=deletes)
    made.memory["crm"].remove("customers", "c1")
    assert account(made, full=True)["gone"] == 1
    assert row(made, "c1").status == "gone"
    assert "gone" not in account(made, full=True)
    assert row(made, "c2").status == "live"
    assert row(made, "s1", "shop").status == "live"


def test_a_delete_counts_from_when_it_was_made() -> None:
    made = people("Ann Lee")
    made.clock.sleep(600)
    made.memory["crm"].remove("customers", "c1")
    removed = made.run().now()
    made.clock.sleep(600)
    made.sync()
    assert abs(row(made, "c1").gone_at - removed) < 5_000_000


def test_what_had_left_the_listing_before_is_deleted_by_nobody() -> None:
    made = people("Ann Lee", policy="delete", hidden_when={"note": frozenset({"private"})})
    behaviour = made.memory["crm"].behaviour
    behaviour.deletes = "sweep"
    made.memory["crm"].edit("customers", "c1", note="private")
    assert account(made, full=True) == {"out of scope": 1}
    assert row(made, "c1").status == "out"
    made.memory["crm"].remove("customers", "c1")
    assert made.sync(full=True).summary.total == 0
    assert made.live("shop").keys() == {"s1"}


def test_a_delete_that_is_told_again_is_none_once_the_record_was_seen_alive() -> None:
    made = people("Ann Lee", repeats_deletes=True)
    made.memory["crm"].remove("customers", "c1")
    made.sync()
    assert row(made, "c1").status == "gone"
    made.clock.sleep(60)
    made.memory["crm"].bring_back("customers", "c1")
    made.sync()
    made.sync()
    assert (row(made, "c1").status, row(made, "c1").gone_at) == ("live", 0)


# -- merges


def test_a_merge_in_a_system_moves_the_link_and_deletes_nobody() -> None:
    made = people("Ann Lee", "Ann M. Lee", policy="delete")
    ann, other = row(made, "c1").golden_id, row(made, "c2").golden_id
    made.memory["crm"].join("customers", "c1", "c2")
    made.sync()
    assert row(made, "c1").golden_id == row(made, "c2").golden_id == other
    assert (row(made, "c1").status, row(made, "c1").gone_at) == ("gone", 0)
    assert row(made, "s1", "shop").golden_id == other
    (merged,) = [text for _, event, text in made.store.history(ann) if event == "merged"]
    assert merged == f"into {other}: crm merged c1 into c2"
    assert len(made.live("shop")) == 2
    assert made.sync().summary.total == 0
    assert made.sync(full=True).summary.total == 0


def test_a_merge_into_a_record_that_nobody_has_read_waits_for_it_out_of_scope() -> None:
    made = people("Ann Lee", hidden_when={"note": frozenset({"private"})})
    golden_id = row(made, "c1").golden_id
    made.memory["crm"].add("customers", "c9", name="Ann M. Lee", note="private")
    made.memory["crm"].join("customers", "c1", "c9")
    made.sync()
    assert (row(made, "c9").status, row(made, "c9").golden_id) == ("out", golden_id)
    assert row(made, "c9").unresolved is False
    made.memory["crm"].edit("customers", "c9", note="VIP")
    made.sync()
    assert row(made, "c9").status == "live"
    assert made.live("shop")["s1"]["note"] == "VIP"


# -- what cannot be right


class Strict(NoLimits):
    """Not one record may vanish."""

    def allows(self, name: str, count: int, total: int, *, first: bool) -> bool:
        return name != "vanished" or count < 1

    def describe(self, name: str, *, first: bool) -> str:
        return f"none for {name}"


def test_a_listing_that_lacks_too_much_stops_its_system_and_no_other() -> None:
    made = people("Ann Lee", "Bo Ek", "Zoë", policy="delete")
    made.memory["crm"].behaviour.deletes = "sweep"
    made.sync(full=True)
    made.limits = Strict()
    for native_id in ("c1", "c2"):
        made.memory["crm"].remove("customers", native_id)
    made.memory["shop"].edit("customers", "s3", note="VIP")
    outcome = made.sync(full=True)
    error = outcome.failed["crm"]
    assert isinstance(error, LimitError)
    assert str(error).startswith(
        "crm/customers lists 1 records, and 2 of the 3 known ones are missing; the limit is none for vanished"
    )
    assert (error.limit, error.flag) == ("limits.vanished", "--allow vanished")
    assert outcome.exit_code == 5
    assert row(made, "s3", "shop").status == "live"
    assert {row(made, native_id).status for native_id in ("c1", "c2")} == {"live"}
    done = made.sync(full=True, allowed=frozenset({"vanished"}))
    assert done.exit_code == 0
    assert {row(made, native_id).status for native_id in ("c1", "c2")} == {"gone"}
    assert made.live("shop").keys() == {"s3"}


def test_a_counter_that_went_back_stops_its_system_until_that_is_allowed() -> None:
    made = people("Ann Lee")
    made.memory["crm"].sequence = 0
    made.memory["crm"].streams["customers"]["c1"].changed = 0
    error = made.sync().failed["crm"]
    assert isinstance(error, LimitError)
    assert "it moved backwards" in str(error)
    assert error.flag == "--allow backwards"
    made.events.clear()
    assert made.sync(allowed=frozenset({"backwards"})).exit_code == 0
    assert any("reading customers in full" in event.text for event in made.events)
    assert made.sync().exit_code == 0
