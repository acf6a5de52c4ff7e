"""The summary that the sheet gets of each customer: computed, one way, and stable while nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crmbridge import demo
from crmbridge.bridge import Bridge
from crmbridge.engine.facts import Dossier
from crmbridge.engine.insights import summary
from crmbridge.engine.operations import Planned
from crmbridge.sdk.errors import ConfigError
from tests.engine import customers
from tests.engine.customers import add, call, golden, invoice, order, summary_of, tea_company
from tests.engine.world import World


def synced() -> World:
    """The tea company after its first sync."""
    world = tea_company()
    customers.fill(world)
    assert world.sync().exit_code == 0
    return world


def row_of(world: World, system: str, native_id: str) -> dict[str, Any]:
    """The summary of a party that has one."""
    found = summary_of(world, system, native_id)
    assert found is not None
    return found


def summaries(planned: list[Planned]) -> list[Planned]:
    return [operation for operation in planned if operation.entity == "customer_summary"]


def test_the_first_sync_writes_what_all_systems_know() -> None:
    world = synced()
    row = row_of(world, "crm", "c1")
    assert (row["name"], row["owner"], row["by"], row["outcome"]) == (
        "王小明",
        "li.na",
        "zhao.lei",
        "茶很好 👍",
    )
    assert row["contacted"] == "2026-02-25 09:00:00"
    assert (row["order"], row["total"], row["currency"]) == ("SO-2", Decimal("12.5"), "EUR")
    assert (row["invoices"], row["open"], row["open_currency"], row["cases"]) == (2, Decimal(20), "EUR", 1)
    quiet = row_of(world, "crm", "c2")
    assert (quiet["name"], quiet["invoices"], quiet["cases"]) == ("مها الأحمد", 0, 0)
    assert not {"order", "by", "outcome", "open", "twin"} & {name for name, value in quiet.items() if value}


def test_nothing_changed_nothing_planned_however_late() -> None:
    world = synced()
    world.clock.sleep(40 * 86_400)
    assert world.plan() == []
    assert world.sync(full=True).summary.operations.total() == 0


def test_each_input_changes_the_summary_in_the_run_that_reads_it() -> None:
    world = synced()
    add(
        world, "crm", "calls", "k3", **call("c1", "2026-03-01T08:00:00+00:00", "li.na", "wants a call in May")
    )
    assert [o.kind for o in summaries(world.plan())] == ["update"]
    world.sync()
    assert row_of(world, "crm", "c1")["outcome"] == "wants a call in May"
    add(world, "shop", "orders", "o3", **order("SO-3", "2026-03-01T10:00:00+00:00", "s1", total="99"))
    world.memory["erp"].edit("invoices", "i1", status="paid", open="0")
    world.memory["crm"].edit("cases", "f1", status="resolved")
    world.memory["crm"].edit("customers", "c1", owner="zhao.lei")
    world.sync()
    row = row_of(world, "crm", "c1")
    assert (row["order"], row["total"], row["owner"]) == ("SO-3", Decimal(99), "zhao.lei")
    assert (row["invoices"], row["open"], row["cases"]) == (1, Decimal("7.5"), 0)
    world.memory["erp"].edit("invoices", "i2", status="paid", open="0")
    world.sync()
    row = row_of(world, "crm", "c1")
    assert (row["invoices"], row.get("open")) == (0, None)
    assert world.plan() == []


def test_what_is_no_order_and_no_debt_does_not_count() -> None:
    world = synced()
    late = "2026-03-01T10:00:00+00:00"
    for number, status in (("D-1", "draft"), ("D-2", "quoted"), ("D-3", "cancelled"), ("D-4", "rejected")):
        add(world, "shop", "orders", number, **order(number, late, "s1", total="7", status=status))
    add(world, "shop", "orders", "gift", **order("G-1", late, "", total="7", ship_to="s1"))
    add(world, "erp", "invoices", "n1", **invoice("N-1", "draft", "5"))
    add(world, "erp", "invoices", "n2", **invoice("N-2", "open", "5", kind="credit_note"))
    world.sync()
    row = row_of(world, "crm", "c1")
    assert (row["order"], row["invoices"], row["open"]) == ("SO-2", 2, Decimal(20))


def test_two_currencies_are_not_added_up() -> None:
    world = synced()
    add(world, "erp", "invoices", "i9", **invoice("RE-9", "open", "100", currency="CNY"))
    world.sync()
    row = row_of(world, "crm", "c1")
    assert (row["invoices"], row.get("open"), row.get("open_currency")) == (3, None, None)


def test_a_document_that_moves_to_another_customer_changes_both_summaries() -> None:
    world = synced()
    world.memory["crm"].edit("cases", "f1", customer="c2")
    world.memory["crm"].edit("calls", "k2", customer="c2")
    world.sync()
    old, new = row_of(world, "crm", "c1"), row_of(world, "crm", "c2")
    assert (old["cases"], old["outcome"]) == (0, "no answer")
    assert (new["cases"], new["outcome"]) == (1, "茶很好 👍")


def test_a_document_that_is_deleted_no_longer_counts() -> None:
    world = synced()
    world.memory["crm"].remove("cases", "f1")
    world.memory["crm"].remove("calls", "k2")
    world.sync()
    row = row_of(world, "crm", "c1")
    assert (row["cases"], row["outcome"]) == (0, "no answer")


def test_an_edit_in_the_sheet_is_overwritten_and_told_and_never_reaches_the_party() -> None:
    world = synced()
    party = golden(world, "crm", "c1")
    before = world.store.goldens([party])[party].doc
    (native_id,) = [i for i, row in world.live("sheet", "summaries").items() if row["name"] == "王小明"]
    world.memory["sheet"].edit("summaries", native_id, owner="somebody else", outcome=None)
    outcome = world.sync()
    row = row_of(world, "crm", "c1")
    assert (row["owner"], row["outcome"]) == ("li.na", "茶很好 👍")
    assert outcome.summary.notes["overruled"] == 2
    assert outcome.summary.operations == {("sheet", "customer_summary", "update"): 1}
    assert world.store.goldens([party])[party].doc == before
    assert world.plan() == []


def test_the_hub_is_no_system_of_the_party() -> None:
    world = synced()
    party = golden(world, "crm", "c1")
    assert {row.system for row in world.store.records_of([party])[party]} == {"shop", "crm", "erp", "sheet"}
    assert "hub" not in {row.name for row in world.store.systems()}


def test_a_probable_duplicate_is_named_on_both_sides_until_it_is_none() -> None:
    world = synced()
    add(world, "crm", "customers", "c3", name="Anna Lehmann", mail="maha@example.org", phone="+493099999999")
    world.sync()
    one, other = golden(world, "crm", "c2"), golden(world, "crm", "c3")
    in_sheet = world.store.natives_of("sheet", [one, other])
    assert row_of(world, "crm", "c2")["twin"] == in_sheet[other][""].native_id
    assert row_of(world, "crm", "c3")["twin"] == in_sheet[one][""].native_id
    assert world.plan() == []
    world.memory["crm"].edit("customers", "c3", mail="anna@example.org")
    world.sync()
    assert [row_of(world, "crm", name).get("twin") for name in ("c2", "c3")] == [None, None]


def test_a_person_and_a_company_with_one_phone_are_no_duplicates() -> None:
    world = synced()
    add(world, "crm", "customers", "c3", name="Tee GmbH", mail="wang@example.org", kind="organization")
    world.sync()
    assert row_of(world, "crm", "c1").get("twin") is None
    assert row_of(world, "crm", "c3").get("twin") is None


def test_a_party_that_is_merged_away_takes_its_summary_along() -> None:
    world = synced()
    add(world, "crm", "customers", "c3", name="Anna Lehmann", mail="anna@example.org")
    add(world, "crm", "calls", "k9", **call("c3", "2026-03-01T17:00:00+00:00", "li.na", "promised an order"))
    world.sync()
    assert len(world.live("sheet", "summaries")) == 3
    assert row_of(world, "crm", "c2").get("outcome") is None
    world.memory["crm"].join("customers", "c3", "c2")
    outcome = world.sync()
    assert outcome.summary.operations["sheet", "customer_summary", "delete"] == 1
    assert len(world.live("sheet", "summaries")) == 2
    assert row_of(world, "crm", "c2")["outcome"] == "promised an order"
    assert world.plan() == []


def test_a_party_that_is_gone_everywhere_has_no_summary_and_gets_one_when_it_is_back() -> None:
    world = synced()
    party = golden(world, "crm", "c2")
    everywhere = world.store.records_of([party])[party]
    for row in everywhere:
        world.memory[row.system].remove("customers", row.native_id)
    world.sync()
    names = [row["name"] for row in world.live("sheet", "summaries").values()]
    assert names == ["王小明"]
    assert world.plan() == []
    for row in everywhere:
        world.memory[row.system].streams["customers"][row.native_id].deleted = False
        world.memory[row.system].edit("customers", row.native_id, name="مها الأحمد")
    world.sync()
    assert row_of(world, "crm", "c2")["name"] == "مها الأحمد"
    assert world.plan() == []


def test_what_happens_to_the_papers_of_somebody_who_is_gone_makes_no_summary() -> None:
    world = synced()
    party = golden(world, "crm", "c1")
    for row in world.store.records_of([party])[party]:
        world.memory[row.system].remove("customers", row.native_id)
    world.sync()
    before = world.store.golden_ids("customer_summary", "", 100)
    world.memory["crm"].edit("cases", "f1", status="resolved")
    assert world.sync().summary.total == 0
    assert world.store.golden_ids("customer_summary", "", 100) == before
    assert [row["name"] for row in world.live("sheet", "summaries").values()] == ["مها الأحمد"]


def test_a_customer_that_is_gone_from_the_sheet_alone_keeps_what_is_computed() -> None:
    world = synced()
    party = golden(world, "crm", "c2")
    world.memory["sheet"].remove("customers", world.store.natives_of("sheet", [party])[party][""].native_id)
    world.sync()
    names = [row["name"] for row in world.live("sheet", "summaries").values()]
    assert sorted(names) == ["مها الأحمد", "王小明"]
    assert world.plan() == []


def test_a_row_that_people_deleted_from_the_sheet_does_not_come_back_with_the_next_order() -> None:
    world = synced()
    (row,) = [i for i, one in world.live("sheet", "summaries").items() if one["name"] == "王小明"]
    world.memory["sheet"].remove("summaries", row)
    world.sync()
    add(world, "shop", "orders", "o9", **order("SO-9", "2026-03-01T10:00:00+00:00", "s1", total="5"))
    world.sync()
    assert [one["name"] for one in world.live("sheet", "summaries").values()] == ["مها الأحمد"]
    assert world.plan() == []


def test_a_sheet_that_people_threw_away_is_written_again() -> None:
    world = synced()
    before = world.live("sheet", "summaries")
    for row in before:
        world.memory["sheet"].remove("summaries", row)
    world.sync(full=True)
    names = [row["name"] for row in before.values()]
    assert [row["name"] for row in world.live("sheet", "summaries").values()] == names
    assert world.plan() == []


def test_a_customer_that_the_sheet_does_not_take_has_no_row_until_it_does() -> None:
    world = tea_company()
    customers.fill(world)
    takes = {"sheet": lambda doc: bool(doc.get("owner")), "shop": _yes, "crm": _yes, "erp": _yes}
    world.create = {"party": takes, "customer_summary": {"sheet": _yes}, **_everywhere()}
    assert world.sync().open_problems == 0
    assert [row["name"] for row in world.live("sheet", "summaries").values()] == ["王小明"]
    world.memory["crm"].edit("customers", "c2", owner="li.na")
    world.sync()
    assert row_of(world, "crm", "c2")["owner"] == "li.na"


def test_a_lost_state_finds_the_rows_that_the_sheet_has() -> None:
    world = synced()
    before = world.live("sheet", "summaries")
    fresh = World(world.mappings, world.policies, world.behaviours)
    fresh.memory = world.memory
    fresh.clock = world.clock
    outcome = fresh.sync()
    assert outcome.open_problems == 0
    assert fresh.live("sheet", "summaries").keys() == before.keys()
    assert [k for k in outcome.summary.operations if k[1] == "customer_summary"] == []


def test_switched_on_later_it_covers_everybody() -> None:
    world = tea_company(insight=False)
    customers.fill(world)
    world.sync()
    assert world.live("sheet", "summaries") == {}
    world.policies = tea_company().policies
    world.sync()
    assert len(world.live("sheet", "summaries")) == 2


def test_a_plan_made_now_is_still_true_when_it_is_applied_later() -> None:
    world = synced()
    world.memory["crm"].edit("cases", "f1", status="resolved")
    planned = world.plan()
    assert len(summaries(planned)) == 1
    world.clock.sleep(3600)
    outcome = world.apply(planned)
    assert [line for line in outcome.stale if "sheet" in line] == []
    assert row_of(world, "crm", "c1")["cases"] == 0


def test_what_does_not_travel_is_unknown_and_not_none() -> None:
    doc = summary(Dossier("par_x"), {}, frozenset({"party", "case"}))
    assert (doc["open_invoices"], doc["open_cases"]) == (None, 0)


def test_the_most_alike_of_several_duplicates_is_named() -> None:
    twins = {"par_a": ["email"], "par_b": ["email", "phone"], "par_c": ["email", "phone"]}
    assert summary(Dossier("par_x"), twins, frozenset())["probable_duplicate"]["golden"] == "par_b"


def test_the_last_contact_is_told_with_its_channel_whom_and_outcome() -> None:
    party = {"entity": "party", "golden": "par_x"}
    calls: dict[str, Mapping[str, Any]] = {
        "int_1": {
            "party": party,
            "occurred_at": "2026-02-03T09:00:00Z",
            "channel": "phone",
            "actor": "li.na",
        },
        "int_2": {"party": party, "occurred_at": "2026-02-02T09:00:00Z", "channel": "visit", "outcome": "好"},
    }
    made = summary(Dossier("par_x", documents={"interaction": calls}), {}, frozenset())
    told = [made.get(f"last_contact_{name}") for name in ("at", "channel", "by", "outcome")]
    assert told == ["2026-02-03T09:00:00Z", "phone", "li.na", None]


def test_a_day_and_an_instant_are_ordered_together() -> None:
    party = {"entity": "party", "golden": "par_x"}
    orders: dict[str, Mapping[str, Any]] = {
        "sal_1": {"number": "1", "party": party, "ordered_on": "2026-02-03"},
        "sal_2": {"number": "2", "party": party, "ordered_at": "2026-02-02T23:00:00+08:00"},
        "sal_3": {"number": "3", "party": party},
    }
    dossier = Dossier("par_x", documents={"sales_order": orders})
    assert summary(dossier, {}, frozenset())["last_order_number"] == "1"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("customer_summary: {system: crm, stream: calls}", "crm needs one mapping for customer_summary"),
        ("customer_summary: {system: sales, stream: calls}", "sales needs one mapping for customer_summary"),
        ("case: {system: sales, stream: customers_360}", "case is no insight"),
    ],
)
def test_an_insight_that_cannot_be_written_is_told_with_its_place(
    tmp_path: Path, written: str, said: str
) -> None:
    demo.write(tmp_path / "tea")
    config = tmp_path / "tea" / "crmbridge.yaml"
    text = config.read_text(encoding="utf-8")
    asked = "customer_summary: {system: sales, stream: customers_360}"
    config.write_text(text.replace(asked, written), encoding="utf-8")
    line = text[: text.index(asked)].count("\n") + 1
    with Bridge.open(config) as bridge, pytest.raises(ConfigError, match=said) as error:
        bridge.flows()
    assert str(error.value.position).endswith(f"crmbridge.yaml:{line}:3")


def test_the_summaries_are_others_once_another_of_their_inputs_travels(tmp_path: Path) -> None:
    demo.write(tmp_path / "tea")
    config = tmp_path / "tea" / "crmbridge.yaml"
    text = config.read_text(encoding="utf-8")

    def fingerprint(left_out: str) -> str:
        lines = [line for line in text.splitlines() if not line.startswith(f"  {left_out}:")]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with Bridge.open(config) as bridge:
            return next(flow.fingerprint for flow in bridge.flows() if flow.entity == "customer_summary")

    assert fingerprint("product") == fingerprint("nothing")
    assert fingerprint("case") != fingerprint("nothing")


def test_a_plan_for_another_system_alone_writes_no_summary(tmp_path: Path) -> None:
    demo.write(tmp_path / "tea")
    with Bridge.open(tmp_path / "tea" / "crmbridge.yaml") as bridge:
        targets = {
            only: next(f.targets for f in bridge.flows(only) if f.entity == "customer_summary")
            for only in (None, "sales", "shop")
        }
        policy = next(f.policy for f in bridge.flows() if f.entity == "customer_summary")
    assert targets == {None: ["sales"], "sales": ["sales"], "shop": []}
    assert policy.deletes == "delete", "a row about somebody who is gone goes"


def _yes(_: Any) -> bool:
    return True


def _everywhere() -> dict[str, dict[str, Any]]:
    systems = ("shop", "crm", "erp", "sheet")
    entities = ("sales_order", "invoice", "shipment", "interaction", "case")
    return {entity: dict.fromkeys(systems, _yes) for entity in entities}
