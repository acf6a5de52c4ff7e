"""What a plan, its applying and an undo hold in memory does not grow with the number of operations."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from crmbridge.cli.output import Output
from crmbridge.cli.showplan import show_plan
from crmbridge.engine import sync as pipeline
from crmbridge.engine.golden import Summary
from crmbridge.engine.operations import Change, Planned, chunks, encode
from crmbridge.engine.planfile import load_plan, save_plan
from crmbridge.engine.run import Run
from crmbridge.engine.titles import titled
from crmbridge.engine.undo import Undo, plan_undo
from crmbridge.identity.link import Statement
from crmbridge.store.base import Store
from crmbridge.store.rows import GoldenRow, IntentRow, WriteRow
from tests.engine.world import START, World

FEW, MANY = 1_000, 5_000
GROWTH = 1.5
AT_ONCE = 500
CRM = "{system: crm, stream: customers, entity: party, fields: {display_name: name}}"


def operations(count: int, name: str = "王小明") -> Iterator[Planned]:
    """So many customers are renamed."""
    for n in range(count):
        changes = [Change("display_name", "Wang", f"{name} {n}", Statement(f"{name} {n}", 5, n), "erp")]
        yield Planned(f"i{n}", "update", "crm", "customers", "party", f"g{n}", record_id=n, changes=changes)


def fill(store: Store, run: int, count: int) -> None:
    """That many operations are planned in this run, and have been written by the run before."""
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        with store.transaction():
            store.put_goldens(GoldenRow(f"g{n}", "party", f'{{"display_name":"王 {n}"}}') for n in numbers)
            store.put_writes(
                WriteRow(run - 1, f"i{n}", "crm", n + 1, f"g{n}", "name", '"a"', '"b"') for n in numbers
            )


def intend(run: Run, planned: Iterator[Planned]) -> Summary:
    """These are planned."""
    for number, some in enumerate(chunks(planned, AT_ONCE)):
        rows = [
            IntentRow(x.id, run.id, x.system, x.stream, x.entity, x.kind, x.golden_id, encode(x))
            for x in some
        ]
        for position, row in enumerate(rows, number * AT_ONCE + 1):
            row.position = position
        with run.store.transaction():
            run.store.put_intents(rows)
    return Summary()


def peak(work: Callable[[], Any]) -> int:
    """The most bytes that Python objects took while this was done, over what was there before."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peaks(folder: Path, count: int) -> dict[str, int]:
    """Of each part of the work, on that many operations."""
    folder.mkdir()
    world = World({"crm": [CRM]}, [], state=f"sqlite:///{folder}/state.db")
    store, path = world.store, folder / "saved.plan"
    world.run()
    run = world.run()
    fill(store, run.id, count)

    def save() -> None:
        save_plan(path, START, titled(operations(count), store), {})
        assert load_plan(path).count == count

    def show() -> None:
        told: list[str] = []
        output = Output(str, json=False, quiet=False, no_color=True)
        output.print = told.append  # type: ignore[method-assign]
        show_plan(output, load_plan(path), 20)
        assert len(told) < 100

    def fits() -> None:
        found = pipeline.apply_undo(world.run(), load_plan(path), lambda r: intend(r, operations(count)))
        assert (found.verdict, found.stale_count) == ("done", 0)

    def fits_no_more() -> None:
        others = lambda r: intend(r, operations(count, "李四"))  # noqa: E731
        found = pipeline.apply_undo(world.run(), load_plan(path), others)
        assert (found.verdict, found.stale_count, len(found.stale)) == ("approval", count, min(count, 100))

    def undo() -> None:
        undone = Undo()
        plan_undo(run, run.id - 1, undone)
        assert undone.goldens == 0

    return {work.__name__: peak(work) for work in (save, show, fits, fits_no_more, undo)}


def test_many_times_as_many_operations_take_the_same_memory(tmp_path: Path) -> None:
    peaks(tmp_path / "first", 10)
    few, many = peaks(tmp_path / "few", FEW), peaks(tmp_path / "many", MANY)
    assert {work: round(many[work] / few[work], 2) for work in few if many[work] > few[work] * GROWTH} == {}
