"""What a reading keeps of a record: its version, whether it is there, what it says besides."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from crmbridge.config.limits import Limits
from crmbridge.config.model import Keep
from crmbridge.connectors.memory import Behaviour
from crmbridge.engine.run import Run
from crmbridge.identity.policy import Policy
from tests.engine.test_lookup import CUSTOMERS, linked
from tests.engine.world import World, mapping

WITH_EMPLOYER = """
stream: customers
entity: party
fields: {display_name: name, note: note}
also:
  employer:
    entity: party
    key: company
    when: has(company)
    fields: {display_name: company}
"""


def rows(made: World, system: str, native_id: str) -> dict[str, Any]:
    """The records of a native one, by what tells the further ones apart."""
    return {row.part: row for row in made.store.records(system, "customers", [native_id])}


def test_what_was_saved_without_a_change_is_written_in_its_new_version() -> None:
    made = linked()
    made.memory["erp"].edit("customers", "e1", note="a")
    made.sync()
    row = rows(made, "erp", "e1")[""]
    assert row.version == str(made.memory["erp"].streams["customers"]["e1"].version)
    made.memory["shop"].edit("customers", "s1", note="b")
    made.sync()
    assert made.live("erp")["e1"]["note"] == "b"
    assert [kind for kind, *_ in made.memory["erp"].calls] == ["update"]


def test_a_cursor_that_has_expired_is_told_and_everything_is_read() -> None:
    made = linked(cursor_life=timedelta(days=30))
    made.clock.sleep(40 * 24 * 3600)
    made.memory["erp"].edit("customers", "e1", note="b")
    made.events.clear()
    made.sync()
    (told,) = [event.text for event in made.events if event.kind == "finding"]
    assert told.endswith("reading customers in full")
    assert made.live("shop")["s1"]["note"] == "b"


def test_what_a_record_said_besides_ends_and_comes_back() -> None:
    made = World({"shop": [WITH_EMPLOYER]}, [Policy("party", ["shop"])])
    made.memory["shop"].add("customers", "s1", name="Ann Lee", company="Acme")
    made.sync()
    part = "employer:acme"
    assert rows(made, "shop", "s1")[part].status == "live"
    golden_id = rows(made, "shop", "s1")[part].golden_id
    made.memory["shop"].edit("customers", "s1", company=None)
    made.sync()
    ended = rows(made, "shop", "s1")[part]
    assert ended.status != "live"
    made.memory["shop"].edit("customers", "s1", company="Acme")
    made.sync()
    back = rows(made, "shop", "s1")[part]
    assert (back.status, back.gone_at, back.golden_id) == ("live", 0, golden_id)


@pytest.mark.parametrize("deletes", ["feed", "sweep"])
def test_a_record_that_is_back_has_no_time_of_its_delete(deletes: Any) -> None:
    made = linked(deletes=deletes)
    made.memory["erp"].remove("customers", "e1")
    made.sync(full=True)
    gone = rows(made, "erp", "e1")[""]
    assert (gone.status, gone.gone_at > 0, gone.deleted_by_us) == ("gone", True, False)
    made.memory["erp"].bring_back("customers", "e1")
    made.memory["erp"].edit("customers", "e1", note="back")
    made.sync(full=True)
    back = rows(made, "erp", "e1")[""]
    assert (back.status, back.gone_at) == ("live", 0)
    assert made.live("shop")["s1"]["note"] == "back"


def test_a_run_goes_by_the_same_bounds_as_an_empty_config() -> None:
    bounds = {one.name: one.default for one in fields(Run)}
    limits, keep = Limits(), Keep()
    assert bounds["patience"] == limits.parked_hours * 3600 * 1_000_000
    assert bounds["shared_by"] == limits.shared_by
    assert bounds["keep_details"] == keep.details_days * 24 * 3600 * 1_000_000
    assert bounds["keep_runs"] == keep.runs_days * 24 * 3600 * 1_000_000


def test_a_reading_tells_how_far_it_is() -> None:
    made = World({"shop": [CUSTOMERS], "erp": [CUSTOMERS]}, [Policy("party", ["shop", "erp"])])
    made.memory["shop"].add("customers", "s1", name="Ann Lee", mail="ann@lee.example")
    made.events.clear()
    made.sync()
    read = [
        (e.kind, e.text, e.count, e.total) for e in made.events if e.stage == "pull" and e.system == "shop"
    ]
    assert read == [
        ("stage-started", "customers", 0, None),
        ("progress", "customers", 1, 1),
        ("stage-ended", "customers", 1, None),
    ]


def test_one_system_that_is_read_as_its_companies_has_one_stream_of_each() -> None:
    behaviour = Behaviour(scopes=("de", "fr"))
    made = World({"erp": [CUSTOMERS]}, [Policy("party", ["erp"])], {"erp": behaviour})
    for place in ("de:7", "fr:7", "it:7"):
        made.memory["erp"].add("customers", place, name=f"Ann {place}")
    made.sync()
    known = made.store.records("erp", "customers", ["7"])
    assert {row.scope for row in known} == {"de", "fr"}
    assert len({row.golden_id for row in known}) == 2


def test_a_corrected_mapping_reads_every_record_once_more_and_no_more() -> None:
    made = linked()
    made.sync(full=True)

    def read_at() -> int:
        made.sync(full=True)
        return int(rows(made, "erp", "e1")[""].read_at)

    before = read_at()
    assert read_at() == before
    corrected = CUSTOMERS.replace("note: note", "note: {path: note, as: strip}")
    made.compiled["erp"] = [mapping(corrected, "erp", Behaviour())]
    after = read_at()
    assert after > before
    assert read_at() == after
