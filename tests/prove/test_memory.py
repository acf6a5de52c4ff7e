"""What plan, apply and runs undo hold in memory does not grow with the number of operations."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crmbridge.cli.output import Output
from crmbridge.cli.showplan import show_plan
from tests.scenarios.runner import Stage

FEW, MANY = 1_000, 3_000
GROWTH = 1.5


def stage(folder: Path, records: int) -> Stage:
    """An ERP with customers, and a CRM without any."""
    customers = {f"E{n}": {"name": f"王小明 {n}", "mail": f"w{n}@example.cn"} for n in range(records)}
    folder.mkdir()
    quick = {"page_size": 500, "batch_size": 500}
    return Stage(
        folder,
        {
            "config": {"country": "CN", "sync": {"party": {"between": ["erp", "crm"]}}, "limits": LIMITS},
            "systems": {
                "erp": {"mapping": "flat", "behaviour": quick, "records": {"customers": customers}},
                "crm": {"mapping": "flat", "behaviour": quick},
            },
        },
    )


LIMITS = dict.fromkeys(("creates", "updates", "reverts"), "100%") | {
    "first": {"creates": 1_000_000, "updates": 1_000_000}
}


def peak(work: Callable[[], Any]) -> int:
    """The most bytes that Python objects took while this was done, over what was there before."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peaks(folder: Path, records: int) -> dict[str, int]:
    """Of each command, on a plan with that many operations."""
    place, found = stage(folder, records), {}
    customers = place.memory["erp"].streams["customers"]

    def plan() -> None:
        with place.bridge() as bridge:
            _, saved = bridge.plan()
            assert saved.count == records
            show_plan(Output(str, json=False, quiet=True, no_color=True), saved, 5)

    def apply() -> None:
        with place.bridge() as bridge:
            outcome = bridge.apply(folder / "old.plan")
            assert (outcome.verdict, outcome.stale_count, len(outcome.stale)) == ("approval", records, 100)

    def undo() -> None:
        with place.bridge() as bridge:
            last = bridge.store.runs(1)[0].id
            _, saved, undone = bridge.plan_undo(last, folder / "undo.plan")
            assert (saved.count, undone.goldens) == (records, records)

    def write(name: str) -> None:
        with place.bridge() as bridge:
            bridge.plan(out=folder / f"{name}.plan")
            assert bridge.apply(folder / f"{name}.plan").stale_count == 0

    def edit(note: str) -> None:
        for native_id in customers:
            place.memory["erp"].edit("customers", native_id, name=f"{note} {native_id}")

    found["plan"] = peak(plan)
    with place.bridge() as bridge:
        bridge.plan(out=folder / "old.plan")
    edit("李四")
    found["apply"] = peak(apply)
    write("created")
    edit("अर्जुन")
    write("renamed")
    found["undo"] = peak(undo)
    return found


def test_the_peak_of_a_plan_does_not_grow_with_its_operations(tmp_path: Path) -> None:
    peaks(tmp_path / "warm", 100)
    few, many = peaks(tmp_path / "few", FEW), peaks(tmp_path / "many", MANY)
    growth = {command: many[command] / few[command] for command in few}
    assert max(growth.values()) <= GROWTH, (few, many)
