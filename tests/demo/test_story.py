"""The story of `make demo`, run step by step on the bridge itself."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import openpyxl
import pytest

from crmbridge.bridge import Bridge, Options
from crmbridge.demo import write
from crmbridge.demo.story import CUSTOMER, STORY
from crmbridge.engine.golden import merge_one
from crmbridge.engine.operations import Planned
from crmbridge.engine.sync import Outcome


@dataclass
class Told:
    """What came of the story: one entry for each plan, apply and sync."""

    folder: Path
    plans: list[list[Planned]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The story, told once."""
    folder = tmp_path_factory.mktemp("story") / "tea"
    write(folder)
    result = Told(folder)
    for step in STORY:
        if step.act is not None:
            result.acts.append(step.act(folder))
        elif step.command[0] in ("plan", "apply", "sync"):
            with Bridge.open(folder / "crmbridge.yaml") as bridge:
                run(bridge, step.command, result)
            if step.command[0] != "plan":
                assert result.outcomes[-1].exit_code == step.exit_code, result.outcomes[-1]
    return result


def run(bridge: Bridge, command: tuple[str, ...], result: Told) -> None:
    """One command, as the command line would carry it out."""
    match command:
        case ("plan", *options):
            out = bridge.config.root / options[-1] if "--out" in options else None
            outcome, operations = bridge.plan(out=out)
            result.plans.append(list(operations))
            assert outcome.failed == {}
        case ("apply", name):
            result.outcomes.append(bridge.apply(bridge.config.root / name))
        case ("sync",):
            result.outcomes.append(bridge.sync())


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own after the first plan, for tests that go on from there."""
    folder = tmp_path_factory.mktemp("applied") / "tea"
    write(folder)
    with Bridge.open(folder / "crmbridge.yaml") as bridge:
        for step in STORY[:2]:
            run(bridge, step.command, Told(folder))
    return folder


@pytest.fixture
def bridge(told: Told) -> Iterator[Bridge]:
    with Bridge.open(told.folder / "crmbridge.yaml") as opened:
        yield opened


def test_the_first_plan_gives_each_system_what_it_lacks(told: Told) -> None:
    kinds = {(operation.system, operation.entity, operation.kind) for operation in told.plans[0]}
    assert {
        ("sales", "party", "create"),
        ("sales", "party", "update"),
        ("shop", "party", "update"),
        ("crm", "party", "create"),
        ("crm", "party", "update"),
        ("crm", "product", "create"),
        ("crm", "product", "update"),
        ("crm", "sales_order", "create"),
        ("crm", "invoice", "create"),
        ("sales", "customer_summary", "create"),
        ("sales", "case", "create"),
        ("sales", "interaction", "create"),
    } <= kinds
    assert ("shop", "party", "create") not in kinds


def test_the_applied_plan_leaves_one_row_to_a_person(told: Told) -> None:
    applied = told.outcomes[0]
    assert (applied.verdict, applied.failed, applied.stale, applied.open_problems) == ("done", {}, [], 1)


def test_every_system_keeps_what_it_is_given(told: Told, bridge: Bridge) -> None:
    assert [note for note in bridge.store.notes(None, None, 1000) if note.kind == "altered"] == []


def test_the_edit_reaches_the_other_systems_and_nothing_else_changes(told: Told) -> None:
    assert told.acts == [
        "customers.xlsx, sheet Customers, cell F5: 0033 1 99 00 12 34 becomes 0033 1 99 00 77 01"
    ]
    written = {key: count for key, count in told.outcomes[1].summary.operations.items() if key[1] == "party"}
    assert written == {("shop", "party", "update"): 1, ("crm", "party", "update"): 1}
    with closing(sqlite3.connect(told.folder / "shop.db")) as database:
        phones = database.execute("SELECT phone FROM customers WHERE number = 'W-2003'").fetchall()
    assert phones == [("+33199007701",)]
    with (told.folder / "crm-export" / "accounts.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["Kundennr"]: row for row in csv.DictReader(file, delimiter=";")}
    assert rows["C-3004"]["Telefon"] == "+33199007701"


def test_in_the_end_there_is_nothing_to_do(told: Told) -> None:
    assert STORY[-1].command == ("plan",)
    assert told.plans[-1] == []


def test_the_customer_of_the_story_is_in_all_systems_and_disputed(told: Told, bridge: Bridge) -> None:
    """Otherwise `show` and `explain` would have little to tell."""
    flow = next(flow for flow in bridge.flows() if flow.entity == "party")
    golden_id = bridge.store.golden_of("sales", "party", [CUSTOMER], "customers")["", CUSTOMER]
    with bridge._running("sync", bridge.store, Options()) as running:
        golden, links = merge_one(running, flow, golden_id)
    assert {link.system for link in links} == {"sales", "shop", "crm"}
    limit = golden.decisions["credit_limit"]
    assert (limit.system, limit.rule) == ("sales", "authority")
    assert [(system, said.value["amount"]) for system, said in limit.lost] == [("crm", "2500.5")]


def test_the_summary_says_what_one_wants_to_know_of_a_customer(told: Told) -> None:
    sheet = openpyxl.load_workbook(told.folder / "sales-team" / "customers.xlsx")["Customers 360"]
    header, *rows = sheet.iter_rows(values_only=True)
    lines = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert lines["K-1004"] == {
        "Customer no": "K-1004",
        "Name": "Café Lumière SARL",
        "Owner": "c.martin",
        "Last contact": "2026-03-16 09:03:00",
        "How": "phone",
        "By": "Zhao Lei",
        "Outcome": "arrived, customer content",
        "Last order": "2026-1030",
        "Ordered": "2026-02-27 15:11:20",
        "Order total": 732,
        "Currency": "EUR",
        "Open invoices": 1,
        "To be paid": 732,
        "Open complaints": 1,
        "Perhaps the same as": None,
    }
    assert lines["K-1009"]["Perhaps the same as"] == "K-1010"
    assert lines["K-1017"]["Perhaps the same as"] == "W-2015"


def test_what_a_person_changes_in_the_shop_by_hand_is_seen(applied: Path) -> None:
    with closing(sqlite3.connect(applied / "shop.db")) as database, database:
        database.execute("UPDATE customers SET phone = '+44 7700 900199' WHERE number = 'W-2022'")
    with Bridge.open(applied / "crmbridge.yaml") as bridge:
        _, plan = bridge.plan()
        operations = list(plan)
    assert sorted((one.system, one.native_id, one.changes[0].new) for one in operations) == [
        ("crm", "W-2022", "+447700900199"),
        ("sales", "W-2022", "+447700900199"),
    ]


def test_the_broken_complaint_arrives_when_the_mapping_is_corrected_as_the_readme_says(
    applied: Path,
) -> None:
    mapping = applied / "mappings" / "crm-complaints.yaml"
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace("offen: open,", "offen: open, in Klärung: open,"), encoding="utf-8")
    with Bridge.open(applied / "crmbridge.yaml") as bridge:
        assert bridge.sync().verdict == "approval"
        assert bridge.sync(Options(accept_config=True)).exit_code == 0
    rows = openpyxl.load_workbook(applied / "sales-team" / "service.xlsx")["Complaints"].values
    assert "R-707" in {row[0] for row in rows}


def test_the_workbook_keeps_what_is_not_ours(told: Told) -> None:
    book = openpyxl.load_workbook(told.folder / "sales-team" / "customers.xlsx")
    customers = book["Customers"]
    header = [cell.value for cell in customers[1]]
    assert header[-3:] == ["Priority", "Last visit", "Limit + 10 %"]
    assert customers["Q5"].value == '=IF(L5="","",L5*1.1)'
    assert book["Targets 2026"]["C6"].value == "=SUM(C2:C5)"
