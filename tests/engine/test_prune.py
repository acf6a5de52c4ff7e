"""What is old and settled is forgotten at the end of a run; what a later run goes by stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine import sync as pipeline
from crmbridge.engine.operations import Planned
from crmbridge.engine.prune import forgotten
from crmbridge.engine.undo import Undo, plan_undo
from crmbridge.identity.policy import Policy
from tests.engine.world import World

DAY = 24 * 3600
KEEP = {"keep_details": 10 * DAY * 1_000_000, "keep_runs": 20 * DAY * 1_000_000}
CUSTOMERS = """
stream: customers
entity: party
fields: {display_name: name, note: note}
"""


def people(folder: Path) -> World:
    """Two systems with one customer, of which the second shortens what it is told."""
    cuts = Behaviour(stores=lambda name, value: value[:8] if isinstance(value, str) else value)
    mappings = {"erp": [CUSTOMERS], "crm": [CUSTOMERS]}
    made = World(
        mappings, [Policy("party", ("erp", "crm"))], {"crm": cuts}, state=f"sqlite:///{folder}/state.db"
    )
    made.memory["erp"].add("customers", "1", name="王小明", note="-")
    made.memory["erp"].add("customers", "bad", name="Bo")
    return made


def day(made: World, number: int) -> None:
    """A day on which people in both systems change the same fields, and a record cannot be read."""
    made.clock.sleep(DAY)
    (crm,) = (n for n, row in made.live("crm").items() if row["name"] != "Bo")
    made.memory["erp"].edit(
        "customers", "1", name=f"王小明 of day {number}", note=f"a long note of day {number}"
    )
    made.memory["crm"].edit("customers", crm, note=f"crm {number}")
    made.memory["erp"].edit("customers", "bad", name=[] if number % 2 else "Bo")
    made.sync(**KEEP)


def sizes(folder: Path) -> dict[str, int]:
    """How many rows each table of the state has."""
    with closing(sqlite3.connect(folder / "state.db")) as state:
        names = [name for (name,) in state.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: state.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_the_state_does_not_grow_with_the_number_of_runs(tmp_path: Path) -> None:
    made = people(tmp_path)
    made.sync(**KEEP)
    for number in range(1, 25):
        day(made, number)
    few = sizes(tmp_path)
    assert min(few[name] for name in ("runs", "writes", "notes", "conflicts", "dead_letters", "intents")) > 4
    for number in range(25, 61):
        day(made, number)
    assert sizes(tmp_path) == few
    assert made.store.check() == []
    assert made.plan() == []


def test_a_run_that_is_kept_can_still_be_undone(tmp_path: Path) -> None:
    made = people(tmp_path)
    made.sync(**KEEP)
    for number in range(1, 25):
        day(made, number)
    last = made.store.runs(1)[0].id
    assert forgotten(made.store) == last - 10
    undo = Undo()
    with made.store.scratch() as copy:
        run = made.run(copy)
        pipeline.plan(run, lambda run: plan_undo(run, last, undo))
        planned: list[Planned] = list(pipeline.operations(run))
    assert undo.values > 0
    said = {(one.system, c.path, c.new) for one in planned for c in one.changes}
    assert ("erp", "note", "a long note of day 24") in said
