"""What a person has to agree to before anything is written, and what they have agreed to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from crmbridge.engine import repair
from crmbridge.engine import sync as pipeline
from crmbridge.engine.sync import Outcome
from crmbridge.identity.policy import Policy
from tests.engine.test_lookup import CUSTOMERS, FIELDS, empty
from tests.engine.world import NoLimits, World


def run_sync(made: World, **options: Any) -> Outcome:
    """A sync for which nothing is agreed to beforehand."""
    made.clock.sleep(60)
    return pipeline.sync(made.run(), **options)


def approved(made: World) -> list[str]:
    return [name for name in ("shop", "erp") if made.store.setting(f"approved:party:{name}")]


def first() -> World:
    """Ann is in the shop, and the ERP is empty."""
    made = empty()
    made.memory["shop"].add("customers", "s1", **FIELDS)
    return made


def test_the_first_write_into_a_system_waits_for_a_plan_that_is_applied() -> None:
    made = first()
    kept: list[int] = []
    outcome = run_sync(made, keep=lambda run: kept.append(len(list(pipeline.operations(run)))))
    assert (outcome.verdict, outcome.exit_code) == ("approval", 4)
    assert outcome.reasons == ["party -> erp would be written for the first time"]
    assert kept == [1]
    assert made.memory["erp"].calls == []
    assert made.apply(made.plan()).exit_code == 0
    assert approved(made) == ["shop", "erp"]  # into the shop nothing had to be written
    made.memory["shop"].edit("customers", "s1", note="b")
    assert run_sync(made).exit_code == 0
    assert made.only("erp")["note"] == "b"


def test_where_both_hold_records_that_agree_an_empty_plan_says_so() -> None:
    made = empty()
    made.apply([])
    assert approved(made) == []  # there was nothing to compare
    for system in made.memory:
        made.memory[system].add("customers", system, **FIELDS)
    made.apply([])
    assert approved(made) == ["shop", "erp"]


def test_after_a_backup_was_restored_the_first_write_waits_again() -> None:
    made = first()
    made.apply(made.plan())
    with made.store.transaction():
        repair.recover(made.store, ["party"], [("erp", "customers"), ("shop", "customers")], None)
    assert approved(made) == []
    made.memory["shop"].edit("customers", "s1", note="b")
    assert run_sync(made).reasons == [
        "party -> erp would be written for the first time since a backup was restored"
    ]


def test_a_changed_flow_waits_where_something_would_be_written() -> None:
    made = first()
    made.apply(made.plan())

    def changed(**options: Any) -> Outcome:
        made.clock.sleep(60)
        run = made.run()
        run.flows = [replace(flow, fingerprint="2") for flow in run.flows]
        return pipeline.sync(run, **options)

    assert changed().verdict == "done"  # there is nothing to write, so nobody is asked
    with made.store.transaction():
        made.store.put_setting("config:party:erp", "1")
    made.memory["shop"].edit("customers", "s1", note="b")
    waits = changed()
    assert (waits.verdict, waits.reasons) == (
        "approval",
        ["mapping, policy or connector of party changed, or the version of what they use"],
    )
    assert made.only("erp")["note"] == "a"
    assert changed(accept_config=True).verdict == "done"
    assert made.only("erp")["note"] == "b"
    assert made.store.setting("config:party:erp") == made.store.setting("config:party:shop") == "2"


@dataclass
class Asked(NoLimits):
    """What the limits were asked about; one of them is reached."""

    reached: str = ""
    asked: list[tuple[str, int, int, bool]] = field(default_factory=list)

    def allows(self, name: str, count: int, total: int, *, first: bool) -> bool:
        self.asked.append((name, count, total, first))
        return name != self.reached

    def describe(self, name: str, *, first: bool) -> str:
        return "none"


def changes(limits: Asked, *, mode: Any = "live") -> Outcome:
    """One create, update and delete in the ERP, and a note that is emptied there."""
    made = World(
        {"shop": [CUSTOMERS], "erp": [CUSTOMERS]}, [Policy("party", ["shop", "erp"], deletes="delete")]
    )
    for number in "123":
        made.memory["shop"].add(
            "customers", f"s{number}", name=f"Ann {number}", note="a", mail=f"{number}@a.de"
        )
    made.sync()
    made.memory["shop"].edit("customers", "s1", note=None)
    made.memory["shop"].remove("customers", "s2")
    made.memory["shop"].add("customers", "s4", name="Bo Ek")
    made.limits = limits
    made.clock.sleep(60)
    run = made.run()
    run.systems["erp"].mode = mode
    calls = len(made.memory["erp"].calls)
    outcome = pipeline.sync(run)
    sent = len(made.memory["erp"].calls) - calls
    assert sent == (3 if outcome.verdict == "done" and mode == "live" else 0)
    return outcome


def test_the_limits_are_asked_about_all_that_would_be_done() -> None:
    limits = Asked()
    assert changes(limits).verdict == "done"
    written = [one for one in limits.asked if one[0] in ("creates", "updates", "deletes", "clears")]
    assert written[:4] == [
        ("creates", 1, 3, False),
        ("deletes", 1, 3, False),
        ("updates", 1, 3, False),
        ("clears", 1, 3, False),
    ]


@pytest.mark.parametrize(
    ("reached", "told"),
    [("deletes", "1 deletes of party in erp"), ("clears", "1 clears of party.note in erp")],
)
def test_beyond_a_limit_nothing_is_written_and_what_lifts_it_is_told(reached: str, told: str) -> None:
    outcome = changes(Asked(reached))
    assert (outcome.verdict, outcome.exit_code) == ("limit", 5)
    assert outcome.limit is not None
    assert outcome.reasons == [str(outcome.limit)]
    assert str(outcome.limit).startswith(f"{told} (3 records there); the limit is none")
    assert (outcome.limit.limit, outcome.limit.flag) == (f"limits.{reached}", f"--allow {reached}")


def test_what_is_only_shown_is_under_no_limit() -> None:
    outcome = changes(Asked("deletes"), mode="shadow")
    assert (outcome.verdict, outcome.limit) == ("done", None)


def test_of_a_first_write_the_limit_of_first_writes_is_told() -> None:
    made = first()
    made.limits = Asked("creates")
    outcome = run_sync(made)
    assert outcome.limit is not None
    assert outcome.limit.limit == "limits.first.creates"
    assert made.limits.asked[-1] == ("creates", 1, 0, True)
