"""How a run goes: its stages, in their order and each of them once, and what it does about a lost state."""

from __future__ import annotations

from typing import Any

from crmbridge.engine import repair
from crmbridge.engine import sync as pipeline
from crmbridge.engine.prune import forgotten as forgotten_until
from crmbridge.engine.run import recovering
from crmbridge.identity.policy import Policy
from tests.engine.test_doubts import CUSTOMERS, add, world
from tests.engine.world import World


def told(made: World) -> list[tuple[Any, ...]]:
    """The last run's events, without their texts and times."""
    events, made.events = made.events, []
    return [(e.kind, e.stage, e.system or e.entity, e.count) for e in events if e.kind != "stage-ended"]


def ends(made: World) -> list[tuple[Any, ...]]:
    """The stages that ended, with what was done in each."""
    return [(e.stage, e.system or e.entity, e.count) for e in made.events if e.kind == "stage-ended"]


def test_each_stage_is_told_once_with_how_far_it_is() -> None:
    made = World({"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("erp", "crm"))])
    add(made, "erp/E1", "Ann Lee", mail="ann@lee.example")
    add(made, "erp/E2", "Bo Ek", mail="bo@ek.example")
    made.sync()
    assert ends(made) == [
        ("pull", "erp", 2),
        ("pull", "crm", 0),
        ("resolve", "party", 2),
        ("plan", "party", 2),
        ("push", "erp", 0),
        ("push", "crm", 2),
        ("resolve", "party", 2),
        ("plan", "party", 0),
    ]
    assert told(made) == [
        ("stage-started", "pull", "erp", 0),
        ("progress", "pull", "erp", 2),
        ("stage-started", "pull", "crm", 0),
        ("progress", "pull", "crm", 0),
        ("stage-started", "resolve", "party", 0),
        ("progress", "resolve", "party", 2),
        ("stage-started", "plan", "party", 0),
        ("progress", "plan", "party", 2),
        ("stage-started", "push", "erp", 0),
        ("stage-started", "push", "crm", 0),
        ("progress", "push", "crm", 2),
        ("stage-started", "resolve", "party", 0),  # what was written may be known by something new
        ("progress", "resolve", "party", 2),
        ("stage-started", "plan", "party", 0),
    ]
    made.sync()
    stages = [(stage, name) for kind, stage, name, _ in told(made) if kind == "stage-started"]
    once = [("pull", "erp"), ("pull", "crm"), ("resolve", "party"), ("plan", "party")]
    assert stages == [*once, ("push", "erp"), ("push", "crm"), *once[2:]]


def forgotten(made: World, *systems: str) -> None:
    """The state as if it had been made before anything was written into these systems."""
    with made.store.transaction():
        for name in systems:
            repair.remove_system(made.store, ["party"], name)
        made.store.drop_intents(["done"])
        repair.recover(made.store, ["party"], [(name, "customers") for name in made.memory], None)


def test_what_a_restored_state_does_not_know_is_found_by_the_mark_of_its_create() -> None:
    made = World({"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("erp", "crm"))])
    for number, name in enumerate(("ليلى", "Bo Ek"), 1):
        add(made, f"crm/C{number}", name)
    made.sync()
    forgotten(made, "erp")
    assert made.store.setting(recovering("erp"))
    assert made.plan() == []
    outcome = made.sync()
    assert outcome.summary.total == 0
    assert (len(made.live("erp")), len(made.live("crm"))) == (2, 2)
    assert made.store.setting(recovering("erp")) is None
    for native_id in ("C1", "C2"):
        (row,) = made.store.records("crm", "customers", [native_id])
        assert row.golden_id is not None
        assert len(made.store.records_of([row.golden_id])[row.golden_id]) == 2
        *_, (_, event, text) = made.store.history(row.golden_id)
        assert event == "merged"
        assert text.endswith("has the mark of its create")


def test_a_recovery_lasts_until_every_system_could_be_written() -> None:
    made = world()
    forgotten(made)
    made.sync()
    assert made.store.setting(recovering("erp")) is None
    forgotten(made)
    with made.store.scratch() as copy:
        pipeline.plan(made.run(copy))
    assert made.store.setting(recovering("erp"))


def test_what_is_old_is_forgotten_at_the_end_of_a_run_and_not_by_a_look_at_a_plan() -> None:
    made = World({"erp": [CUSTOMERS], "crm": [CUSTOMERS]}, [Policy("party", ("erp", "crm"))])
    add(made, "erp/E1", "Ann Lee", mail="ann@lee.example")
    made.sync()
    (first,) = [run.id for run in made.store.runs(9)]
    assert made.store.writes(first, (-1, 0), 9)
    for _ in range(2):
        made.sync()
    made.plan()
    assert forgotten_until(made.store) == 0
    with made.store.scratch() as copy:
        pipeline.plan(made.run(copy, keep_details=1))
        assert copy.writes(first, (-1, 0), 9)
    made.sync(keep_details=1)
    assert made.store.writes(first, (-1, 0), 9) == []
    assert forgotten_until(made.store) > first
