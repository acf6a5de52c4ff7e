"""What each command does, apart from exit codes and the form of its output."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from crmbridge.cli.app import app
from crmbridge.engine.operations import Change, Planned, encode
from crmbridge.identity.link import Statement
from crmbridge.store.rows import IntentRow
from crmbridge.store.sql import open_store
from tests.cli.conftest import CONFIG, CUSTOMERS, Place

FOURTH = "004,Zoé,zoe@x.example,,\n"


# -- plan, apply, sync -------------------------------------------------------------------------


def test_a_plan_shows_old_and_new_and_whence(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anna Lee").replace("030 1234567", "030 7654321"))
    done = agreed.run("plan")
    assert "shop: update 1 party" in done.out
    assert "~ Anna Lee (1)" in done.out
    assert re.search(r"display_name +Ann Lee → Anna Lee +from sales", done.out)
    assert "+49301234567 → +49307654321" in done.out
    assert agreed.shop()[0][0] == "Ann Lee"


def test_a_long_plan_is_cut_unless_all_is_wanted(place: Place) -> None:
    done = place.run("plan", "--show", "1")
    assert "and 2 more" in done.out
    assert "王小明" not in done.out + place.run("plan", "--show", "1").out.replace("Ann Lee", "")
    assert "王小明" in place.run("plan", "--show", "0").out


def test_apply_leaves_out_what_is_no_longer_true(place: Place) -> None:
    assert place.run("plan", "--out", "p.jsonl").code == 0
    place.customers(CUSTOMERS.replace("Ann Lee", "Ann-Marie Lee") + FOURTH)
    strict = place.run("apply", "p.jsonl", "--strict")
    assert strict.code == 4
    assert place.shop() == []
    done = place.run("apply", "p.jsonl")
    assert "1 operations of the plan are no longer true" in done.err
    assert [row[0] for row in place.shop()] == ["王小明", "ليلى حداد"]


def test_only_into_and_link_only_write_nowhere_else(agreed: Place) -> None:
    agreed.customers(CUSTOMERS + FOURTH)
    assert agreed.run("sync", "--link-only").code == 0
    assert agreed.run("sync", "--only-into", "sales").code == 0
    assert len(agreed.shop()) == 3
    assert agreed.run("sync").code == 0
    assert len(agreed.shop()) == 4


def test_plan_moves_nothing(agreed: Place) -> None:
    agreed.customers(CUSTOMERS + FOURTH)
    before = agreed.run("runs", "list", "--json").lines
    for _ in range(2):
        assert "create 1 party" in agreed.run("plan").out
    assert agreed.run("runs", "list", "--json").lines == before


# -- runs --------------------------------------------------------------------------------------


def test_undo_puts_back_what_a_run_wrote_over_and_touches_nothing_else(agreed: Place) -> None:
    wrong = CUSTOMERS.replace("Ann Lee", "Wrong").replace("wang@x.example", "wrong@x.example")
    agreed.customers(wrong)
    assert agreed.run("sync").code == 0
    run = agreed.run("runs", "list", "--json").lines[0]["id"]
    shown = agreed.run("runs", "show", str(run))
    assert re.search(r"display_name +Ann Lee +Wrong", shown.out)
    done = agreed.run("runs", "undo", str(run))
    assert "2 values of 2 golden records would be as before" in done.err
    assert agreed.shop()[0][0] == "Wrong"
    assert agreed.run("apply", f"crmbridge-undo-{run}.jsonl").code == 0
    assert agreed.shop() == [
        ("Ann Lee", "ann@x.example", "+49301234567"),
        ("王小明", "wang@x.example", None),
        ("ليلى حداد", "layla@x.example", None),
    ]
    assert (agreed.folder / "sales" / "customers.csv").read_text() == wrong
    done = agreed.run("sync")
    assert "2 undone" in done.err
    assert "All systems agree" not in done.err
    assert agreed.shop()[0][0] == "Ann Lee"
    assert re.search(
        r"shop 1: holds 'Ann Lee'; we sent 'Wrong'.*; that was undone", agreed.run("explain", "001").out
    )
    agreed.customers(wrong.replace("Wrong", "Right"))
    assert agreed.run("sync").code == 0
    assert agreed.shop()[0][0] == "Right"
    assert agreed.run("plan", "--detailed-exitcode").code == 0


def test_undo_leaves_what_was_changed_since_and_what_was_created(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Wrong") + FOURTH)
    assert agreed.run("sync").code == 0
    run = agreed.run("runs", "list", "--json").lines[0]["id"]
    agreed.shop("UPDATE customers SET full_name = 'Right' WHERE id = 1")
    assert agreed.run("sync").code == 0
    done = agreed.run("runs", "undo", str(run))
    assert "values changed since" in done.err
    assert "Not undone: 4 values of records that the run created" in done.err
    assert "Nothing would be written" in done.out


def test_undo_counts_what_was_changed_since_and_not_read_yet(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Wrong").replace("王小明", "错"))
    assert agreed.run("sync").code == 0
    run = agreed.run("runs", "list", "--json").lines[0]["id"]
    agreed.shop("UPDATE customers SET full_name = 'Right' WHERE id = 1")
    done = agreed.run("runs", "undo", str(run))
    assert "1 values of 1 golden records would be as before" in done.err
    assert "Not undone: 1 values changed since" in done.err


def test_undo_says_again_what_can_be_said_of_a_record_that_was_partly_changed_since(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Wrong").replace("ann@x.example", "wrong@x.example"))
    assert agreed.run("sync").code == 0
    run = agreed.run("runs", "list", "--json").lines[0]["id"]
    agreed.shop("UPDATE customers SET full_name = 'Right' WHERE id = 1")
    assert agreed.run("sync").code == 0
    done = agreed.run("runs", "undo", str(run))
    assert "1 values of 1 golden records would be as before" in done.err
    assert "Not undone: 1 values changed since" in done.err
    assert agreed.run("apply", f"crmbridge-undo-{run}.jsonl").code == 0
    assert agreed.shop()[0][:2] == ("Right", "ann@x.example")


def test_undo_leaves_whole_elements_of_lists(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("030 1234567", ""))
    assert agreed.run("sync").code == 0
    run = agreed.run("runs", "list", "--json").lines[0]["id"]
    done = agreed.run("runs", "undo", str(run))
    assert "elements that the run removed from a list" in done.err
    assert "agree" not in done.out


def test_undo_leaves_what_a_later_run_wrote(agreed: Place) -> None:
    for name in ("Wrong", "Right"):
        agreed.customers(CUSTOMERS.replace("Ann Lee", name))
        assert agreed.run("sync").code == 0
    run = agreed.run("runs", "list", "--json").lines[1]["id"]
    done = agreed.run("runs", "undo", str(run))
    assert "0 values of 0 golden records" in done.err
    assert "Nothing would be written" in done.out


def long_ago(place: Place, run: int, days: int) -> None:
    """The runs up to this one, and what they did, were so many days earlier."""
    with closing(sqlite3.connect(place.folder / "state.db")) as state, state:
        for table, column, which in (("runs", "started_at", "id"), ("intents", "updated_at", "run")):
            earlier = f"UPDATE {table} SET {column} = {column} - ? WHERE {which} <= ?"
            state.execute(earlier, (days * 86_400_000_000, run))


def test_of_an_old_run_is_said_that_its_details_are_forgotten(agreed: Place) -> None:
    for name in ("Wrong", "Right"):
        agreed.customers(CUSTOMERS.replace("Ann Lee", name))
        assert agreed.run("sync").code == 0
    right, wrong = (line["id"] for line in agreed.run("runs", "list", "--json").lines[:2])
    assert agreed.run("runs", "undo", str(wrong)).code == 0
    assert "forgotten" not in agreed.run("runs", "list").out + agreed.run("runs", "show", str(wrong)).out
    long_ago(agreed, wrong, 91)
    assert agreed.run("sync").code == 0

    assert f"What the runs up to {wrong} wrote and found is forgotten" in agreed.run("runs", "list").out
    shown = {line["id"]: line["forgotten"] for line in agreed.run("runs", "list", "--json").lines}
    assert (shown[wrong], shown[right]) == (True, False)
    done = agreed.run("runs", "show", str(wrong))
    assert "What it wrote and found is forgotten (keep: details_days): it cannot be undone" in done.out
    assert "To undo it" not in done.err
    assert re.search(r"display_name +Wrong +Right", agreed.run("runs", "show", str(right)).out)
    for command in (("runs", "undo", str(wrong)), ("apply", f"crmbridge-undo-{wrong}.jsonl")):
        done = agreed.run(*command)
        assert (done.code, f"run {wrong} cannot be undone: what it wrote over is forgotten" in done.err) == (
            2,
            True,
        )
    assert "1 values of 1 golden records" in agreed.run("runs", "undo", str(right)).err


def test_how_long_runs_are_remembered_is_configured(agreed: Place) -> None:
    first = agreed.run("runs", "list", "--json").lines[-1]["id"]
    agreed.config(CONFIG + "keep: {details_days: 10, runs_days: 30}\n")
    long_ago(agreed, first, 29)
    assert agreed.run("sync").code == 0
    assert "is forgotten" in agreed.run("runs", "show", str(first)).out
    long_ago(agreed, first, 2)
    assert agreed.run("sync").code == 0
    done = agreed.run("runs", "show", str(first))
    assert (done.code, f"run {first} is no longer listed (keep: runs_days)" in done.err) == (2, True)
    assert "there is no run 999" in agreed.run("runs", "show", "999").err


def test_an_undo_that_is_not_applied_changes_nothing(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anna"))
    assert agreed.run("sync").code == 0
    run = agreed.run("runs", "list", "--json").lines[0]["id"]
    assert agreed.run("runs", "undo", str(run)).code == 0
    agreed.config(CONFIG + "limits: {updates: 0}\n")
    assert agreed.run("apply", f"crmbridge-undo-{run}.jsonl").code == 5
    agreed.config(CONFIG)
    assert agreed.run("plan", "--detailed-exitcode").code == 0
    assert agreed.shop()[0][0] == "Anna"


# -- links -------------------------------------------------------------------------------------


def test_a_record_is_unlinked_and_relinked_with_who_and_why_in_the_journal(agreed: Place) -> None:
    listed = agreed.run("links", "list", "Ann Lee", "--json").lines
    assert [(one["system"], one["native_id"]) for one in listed] == [("sales", "001"), ("shop", "1")]
    word = ("--by", "王小明", "--why", "her mother")
    done = agreed.run("links", "unlink", "shop/customers/1", *word, "--json")
    (ruling,) = done.lines
    assert (ruling["before"], ruling["by"], ruling["why"]) == (listed[0]["golden_id"], "王小明", "her mother")
    assert "links relink shop/customers/1" in done.err
    shown = agreed.run("links", "list", ruling["before"])
    assert "shop/customers/1" in shown.out
    assert "by 王小明: her mother" in shown.out
    assert agreed.run("links", "unlink", "shop/customers/1", *word).code == 2
    assert agreed.run("links", "relink", "shop/customers/1", *word).code == 0
    assert agreed.run("plan", "--detailed-exitcode").code == 0
    told = agreed.run("explain", ruling["before"]).out
    assert "unlinked" in told
    assert "relinked" in told
    assert agreed.run("links", "relink", "shop/customers/1", *word).code == 2


def test_explain_and_runs_show_tell_what_people_said(agreed: Place) -> None:
    """Before the run that went by it, and, while none has, at the last one."""
    agreed.run("links", "unlink", "shop/customers/1", "--by", "Eve", "--why", "her sister")
    last = agreed.run("runs", "list", "--json").lines[0]["id"]
    waiting = agreed.run("runs", "show", str(last), "--json")
    assert {(one["event"], "by Eve: her sister" in one["text"]) for one in waiting.of("event")} == {
        ("unlinked", True)
    }
    assert "the next run goes by it" in agreed.run("runs", "show", str(last)).out
    agreed.run("sync")
    assert agreed.run("runs", "show", str(last), "--json").of("event") == []
    then = agreed.run("runs", "show", str(last + 1), "--json").of("event")
    assert [one["event"] for one in then] == ["unlinked", "unlinked"]
    for golden in {one["golden_id"] for one in then}:
        (said,) = agreed.run("explain", golden, "--json").of("event")
        assert (said["event"], said["golden_id"]) == ("unlinked", golden)
        assert "What people said about who this is" in agreed.run("explain", golden).out


def test_a_record_that_nobody_knows_cannot_be_unlinked(agreed: Place) -> None:
    for place in ("shop/customers/99", "shop", "shop/people/1"):
        done = agreed.run("links", "unlink", place, "--why", "x")
        assert (done.code, place in done.err, "SYSTEM/STREAM/ID" in done.err) == (2, True, True)


def test_what_is_uncertain_is_listed_shown_and_settled(agreed: Place) -> None:
    (ann, _) = agreed.run("links", "list", "Ann Lee", "--json").lines
    said = Change("display_name", None, "Ann Lee", Statement("Ann Lee", 0, 1), "sales")
    planned = Planned("c1", "create", "shop", "customers", "party", ann["golden_id"], changes=[said])
    row = IntentRow("c1", 1, "shop", "customers", "party", "create", ann["golden_id"], encode(planned))
    row.status, row.reason, row.native_id = "uncertain", "nobody says when it was made", "2"
    with (
        closing(open_store(f"sqlite:///{agreed.folder}/state.db", now=lambda: 0)) as store,
        store.transaction(),
    ):
        store.put_intents([row])
    (listed,) = agreed.run("uncertain", "list", "--json").lines
    assert (listed["id"], listed["label"], listed["candidates"]) == ("c1", "Ann Lee", ["shop/customers/2"])
    assert "nobody says when" in agreed.run("uncertain", "list").out
    shown = agreed.run("uncertain", "show", "c1").out
    assert "may be shop/customers/2" in shown
    assert "display_name: Ann Lee" in shown
    refused = agreed.run("uncertain", "adopt", "c1", "shop/customers/2", "--why", "x")
    assert (refused.code, "with other records" in refused.err) == (2, True)
    assert agreed.run("uncertain", "undo", "c1", "--why", "x").code == 0
    assert agreed.run("uncertain", "list", "--json").lines == []
    assert agreed.run("plan", "--detailed-exitcode").code == 0


def test_where_nothing_is_uncertain_that_is_said(agreed: Place) -> None:
    assert "No operation is uncertain" in agreed.run("uncertain", "list").out
    for words in (
        ("show", "abc"),
        ("adopt", "abc", "shop/customers/1", "--why", "x"),
        ("undo", "abc", "--why", "x"),
    ):
        done = agreed.run("uncertain", *words)
        assert (done.code, "no uncertain operation 'abc'" in done.err) == (2, True)
    taken = agreed.run("uncertain", "undo", "sales/customers/001", "--why", "x")
    assert (taken.code, "links unlink sales/customers/001" in taken.err) == (2, True)


# -- dead letters ------------------------------------------------------------------------------


def test_a_dead_letter_is_shown_whole_and_settled_once_its_cause_is_gone(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("030 1234567", "not a number"))
    assert agreed.run("sync").code == 3
    (letter,) = agreed.run("dead-letters", "list", "--json").lines
    shown = agreed.run("dead-letters", "show", str(letter["id"]))
    assert '"Phone": "not a number"' in shown.out
    assert '"Extra": "keep"' in shown.out
    again = agreed.run("dead-letters", "replay", str(letter["id"]))
    assert again.code == 3
    assert "0 of 1 dead letters are settled" in again.err
    assert agreed.run("dead-letters", "list", "--json").lines[0]["attempts"] == 2, "once more"
    again = agreed.run("dead-letters", "replay", str(letter["id"]), "--json")
    assert again.of("summary")[0]["counts"] == {"sales/party/dead letter": 1}
    agreed.customers(CUSTOMERS)
    done = agreed.run("retry")
    assert (done.code, "1 of 1 dead letters are settled" in done.err) == (0, True)
    assert agreed.run("dead-letters", "list", "--json").lines == []
    assert agreed.run("dead-letters", "list", "--all", "--json").lines[0]["status"] == "replayed"


def test_a_refused_write_is_planned_anew_when_it_is_replayed(place: Place) -> None:
    place.odd("refuses: Ann Lee, pages: 0")
    assert place.run("sync").code == 4
    assert place.run("apply", "crmbridge-plan.jsonl").code == 3
    (letter,) = place.run("dead-letters", "list", "--json").lines
    assert (letter["kind"], letter["error"]) == ("operation", "this name is refused here")
    assert place.run("sync").code == 3
    assert place.run("dead-letters", "list", "--json").lines[0]["attempts"] == 1
    assert place.run("dead-letters", "replay", str(letter["id"])).code == 3
    assert place.run("dead-letters", "list", "--json").lines[0]["attempts"] == 2
    place.odd("pages: 0")
    assert place.run("dead-letters", "replay", str(letter["id"])).code == 0


def test_a_letter_that_is_dropped_is_forgotten(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("030 1234567", "not a number"))
    assert agreed.run("sync").code == 3
    (letter,) = agreed.run("dead-letters", "list", "--json").lines
    assert agreed.run("dead-letters", "drop", "99").code == 2
    (dropped,) = agreed.run("dead-letters", "drop", str(letter["id"]), "--json").of("dead_letter")
    assert (dropped["id"], dropped["status"]) == (letter["id"], "dropped")
    for command in ("replay", "drop"):
        again = agreed.run("dead-letters", command, str(letter["id"]))
        assert (again.code, f"dead letter {letter['id']} is not open: it was dropped" in again.err) == (
            2,
            True,
        )
    assert "no dead letters" in agreed.run("dead-letters", "list").out
    assert agreed.run("sync").code == 0, "the record has not changed"
    agreed.customers(CUSTOMERS.replace("030 1234567", "still not a number"))
    assert agreed.run("sync").code == 3
    agreed.customers(CUSTOMERS.replace("030 1234567", "not a number"))
    assert agreed.run("sync").code == 0
    assert "no dead letters" in agreed.run("dead-letters", "list").out


# -- systems -----------------------------------------------------------------------------------


def test_a_paused_system_is_neither_read_nor_written(agreed: Place) -> None:
    assert agreed.run("systems", "pause", "shop").code == 0
    (told,) = agreed.run("systems", "pause", "shop", "--json").lines
    assert (told["type"], told["name"], told["paused"]) == ("system", "shop", True)
    agreed.customers(CUSTOMERS + FOURTH)
    done = agreed.run("sync")
    assert done.code == 0
    assert "paused: shop" in done.err
    assert len(agreed.shop()) == 3
    assert agreed.run("systems", "list", "--json").lines[1]["paused"] is True
    assert agreed.run("systems", "resume", "shop").code == 0
    assert agreed.run("sync").code == 0
    assert len(agreed.shop()) == 4


def test_a_renamed_system_keeps_its_links(agreed: Place) -> None:
    agreed.config(
        CONFIG.replace("shop:", "store:", 1)
        .replace("sales, shop", "sales, store")
        .replace("shop: al", "store: al")
    )
    mapping = agreed.folder / "mappings" / "shop.yaml"
    mapping.write_text(mapping.read_text().replace("system: shop", "system: store"))
    refused = agreed.run("sync")
    assert refused.code == 13
    assert "systems rename" in refused.err
    assert agreed.run("systems", "rename", "shop", "nowhere").code == 2
    assert agreed.run("systems", "rename", "nothing", "store").code == 2
    assert agreed.run("systems", "rename", "shop", "store").code == 0
    assert agreed.run("sync", "--accept-config").code == 0
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anna"))
    assert agreed.run("sync").code == 0
    assert [row[0] for row in agreed.shop()] == ["Anna", "王小明", "ليلى حداد"]


def test_a_removed_system_is_met_anew(agreed: Place) -> None:
    refused = agreed.run("systems", "remove", "shop", "--json", typed="n\n")
    assert refused.code == 1
    assert [(line["type"], line["exit_code"]) for line in refused.lines] == [("error", 1)]
    assert agreed.run("systems", "remove", "shop", "--yes").code == 0
    assert [
        one["name"] for one in agreed.run("systems", "list", "--json").lines if one.get("last_success")
    ] == ["sales"]
    done = agreed.run("sync")
    assert (done.code, len(agreed.shop())) == (0, 3)


# -- looking -----------------------------------------------------------------------------------


def test_check_tells_protection_precision_and_coverage(agreed: Place) -> None:
    mapping = agreed.folder / "mappings" / "shop.yaml"
    mapping.write_text(mapping.read_text().split("  contact_points")[0])
    done = agreed.run("check", "--json")
    assert done.code == 0
    told = {(one["system"], one["topic"]): one["text"] for one in done.lines}
    assert "record versions" in told["sales", "protection"] or "looked up" in told["sales", "protection"]
    assert "contact_points" in told["shop", "coverage"]
    assert ("sales", "coverage") not in told


def test_check_goes_on_after_a_broken_system_and_names_mistakes_of_mappings(place: Place) -> None:
    place.odd("does: fatal")
    mapping = place.folder / "mappings" / "sales.yaml"
    mapping.write_text(mapping.read_text().replace("value: Mail", "value: Mial"))
    done = place.run("check")
    assert done.code == 2
    assert "no way" in done.out
    assert "sales.yaml:7:" in done.out
    assert "did you mean 'Mail'?" in done.out


def test_a_record_that_cannot_be_taken_is_new_in_no_run(place: Place) -> None:
    """It is read again in every run, and is listed as what it is: a dead letter."""
    place.customers(CUSTOMERS.replace("002,王小明,wang@x.example,", "002,王小明,wang@x.example,abc"))
    place.run("sync")
    place.run("apply", "crmbridge-plan.jsonl")
    first, then = [place.run("sync", "--json").code, place.run("sync", "--json").code]
    assert (first, then) == (3, 3)
    runs = place.run("runs", "list", "--json").lines
    assert [run["counts"].get("sales/party/new", 0) for run in runs] == [0, 0, 0, 2]
    assert {run["counts"].get("sales/party/dead letter") for run in runs} == {1}


def test_check_looks_at_every_system_whatever_is_wrong_with_mappings_and_settings(place: Place) -> None:
    """Before the first mapping, too: a login that is wrong is seen then, and not after an hour of writing."""
    place.odd("instanze: a, network: {verify: false}")
    (place.folder / "mappings" / "odd.yaml").unlink()
    mapping = place.folder / "mappings" / "sales.yaml"
    mapping.write_text(mapping.read_text().replace("display_name", "displayname"))
    done = place.run("check")
    assert done.code == 2
    text = " ".join(done.out.split())
    for told in (
        "sales.yaml:5:3: party has no field 'displayname'",
        "crmbridge.yaml:9:3: odd has no mapping for party",
        "crmbridge.yaml:7:",
        "did you mean 'instance'?",
        "certificates are not checked",
        "customers.csv, utf-8, delimiter ,, 3 rows",
    ):
        assert told in text
    place.odd("does: auth")
    mapping.write_text(mapping.read_text().replace("displayname", "display_name") + "  kund: x\n")
    done = place.run("check")
    assert done.code == 2
    assert "sales.yaml:9:3" in done.out
    assert "is refused" in done.out


@pytest.mark.parametrize("command", ["plan", "sync", "conflicts list"])
def test_a_misspelt_setting_of_a_connector_is_told_before_anything_else_is_looked_at(
    place: Place, command: str
) -> None:
    config = (place.folder / "crmbridge.yaml").read_text()
    place.config(
        config.replace("write: true}}}", "wriet: true}}}").replace(
            "{connector: sql,", "{connector: sql, moed: live,"
        )
    )
    (place.folder / "mappings" / "shop.yaml").unlink()
    done = place.run(*command.split())
    assert done.code == 2
    assert (
        "crmbridge.yaml:5:96: systems.sales: files.customers.wriet: unknown key; did you mean 'write'?"
        in done.err
    )
    assert "systems.shop: moed: unknown key; did you mean 'mode'?" in done.err


def test_settings_that_are_known_only_once_secrets_are_resolved_are_no_mistakes(place: Place) -> None:
    place.odd('pages: "${env:NOT_SET}"')
    assert place.run("conflicts", "list").code == 0
    place.odd('pages: "${env:NOT_SET}", instanze: "${env:NOT_SET}"')
    assert "did you mean 'instance'?" in place.run("conflicts", "list").err


def test_check_says_which_fields_a_system_stores_otherwise(agreed: Place) -> None:
    agreed.shop(
        "CREATE TRIGGER short AFTER UPDATE ON customers WHEN length(new.full_name) > 4 BEGIN "
        "UPDATE customers SET full_name = substr(new.full_name, 1, 4) WHERE id = new.id; END"
    )
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anneliese Lee"))
    agreed.run("sync")
    assert "party.display_name is stored otherwise than sent" in agreed.run("check").out


def test_preview_shows_what_gets_lost(place: Place) -> None:
    first, second, _ = place.run("map", "preview", "sales", "customers", "--json").lines
    assert (first["lost"], first["rewritten"]) == ([], ["Phone: '030 1234567' -> '+49301234567'"])
    assert first["unread"] == ["Extra"]
    assert second["back"] == {"Name": "王小明", "Mail": "wang@x.example"}
    place.customers(CUSTOMERS.replace("030 1234567", "?"))
    wrong = place.run("map", "preview", "sales", "customers", "--sample", "1")
    assert wrong.code == 3
    assert "cannot be mapped" in wrong.out


def test_discover_lists_streams_and_fields_even_before_there_are_mappings(place: Place) -> None:
    (place.folder / "mappings" / "shop.yaml").unlink()
    assert "customers" in place.run("discover", "shop").out
    fields = {one["name"]: one["kind"] for one in place.run("discover", "shop", "customers", "--json").lines}
    assert fields == {"id": "integer", "full_name": "text", "email": "text", "phone": "text"}
    assert "did you mean 'customers'?" in place.run("discover", "shop", "customer").err
    assert place.run("discover", "nowhere").code == 2


@pytest.mark.parametrize(
    "text", ["王小明", "wang@x.example", "小明", "002", "sales/customers/002", "sales 002"]
)
def test_find_show_and_explain_take_what_people_know(agreed: Place, text: str) -> None:
    (found,) = agreed.run("find", text, "--json").lines
    assert found["label"] == "王小明"
    shown = agreed.run("show", text)
    assert found["golden_id"] in shown.out
    assert re.search(r"shop +customers +2 +live", shown.out)
    told = agreed.run("explain", found["golden_id"], "display_name")
    assert "from sales 002, at first contact" in told.out


def test_what_names_several_records_is_asked_about(agreed: Place) -> None:
    for text in ("nobody at all", "\udcff", "zz\0", ""):
        assert agreed.run("find", text).out == "Nothing was found.\n"
    assert agreed.run("show", "nobody at all").code == 2
    agreed.customers(CUSTOMERS + "005,Ann Lee,other@x.example,,\n")
    assert agreed.run("sync").code == 0
    done = agreed.run("show", "Ann Lee")
    assert done.code == 2
    assert "names 2 records" in done.err
    assert "has no field 'nme'" in agreed.run("explain", "wang", "nme").err


def test_a_page_is_for_its_owner_and_runs_nothing(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("王小明", "<script>alert(1)</script>"))
    assert agreed.run("sync").code == 0
    assert agreed.run("show", "wang@x.example", "--html", "page.html").code == 0
    page = agreed.folder / "page.html"
    assert page.stat().st_mode & 0o077 == 0
    assert "&lt;script&gt;alert(1)" in page.read_text()
    assert "<script" not in page.read_text()


# -- the rest ----------------------------------------------------------------------------------


def test_plugins_says_what_is_broken(place: Place) -> None:
    (place.folder / "bad.py").write_text("import nothing_of_that_name\n")
    place.config(CONFIG.replace("[./odd_plugin.py]", "[./odd_plugin.py, ./bad.py]"))
    done = place.run("plugins", "--json")
    assert done.code == 1
    found = {one["name"]: one for one in done.lines}
    assert found["odd_plugin"]["connectors"] == ["odd"]
    assert {"files", "memory", "sql"} <= set(found["built-in"]["connectors"])
    assert "ModuleNotFoundError" in found["bad"]["error"]
    assert place.run("plan").code == 0


def test_schemas_are_printed(agreed: Place) -> None:
    output = json.loads(agreed.run("schema", "output").out)
    properties = output["$defs"]["FindingMessage"]["properties"]
    for line in agreed.run("check", "--json").lines:
        assert line.keys() <= properties.keys()
    assert output["discriminator"]["mapping"].keys() >= {"operation", "summary", "error", "note"}
    assert json.loads(agreed.run("schema", "party").out)["$id"] == "urn:crmbridge:entity:party"
    assert json.loads(agreed.run("schema", "config").out)["$schema"].endswith("draft-07/schema#")
    assert "add_id" in agreed.run("schema", "files").out
    assert "mark_column" in agreed.run("schema", "sql").out
    assert "did you mean 'product'?" in agreed.run("schema", "produkt").err
    assert "mapping" in agreed.run("schema").out


def test_init_asks_and_what_it_writes_is_understood(place: Place) -> None:
    typed = (
        "List\nlist\nfiles\n./sales\n../sales\nerp\nodd\nsql\npostgresql://erp@db/erp\n\n"
        "shop\nsql\nsqlite:///../shop.db\n\n"
    )
    done = place.run("init", "fresh", typed=typed)
    assert done.code == 0, done.out + done.err
    text = (place.folder / "fresh" / "crmbridge.yaml").read_text()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=./crmbridge.schema.json"
    assert '    password: "${env:ERP_PASSWORD}"' in text
    assert "SHOP_PASSWORD" not in text
    assert 'path: "../sales"' in text
    assert "sales does not exist" in done.out
    assert "between: [list, erp, shop]" in text
    schema = json.loads((place.folder / "fresh" / "crmbridge.schema.json").read_text())
    assert "path" in schema["definitions"]["connector.files"]["properties"]
    listed = json.loads(place.run("schema", "config").out)["definitions"]
    assert "instance" in listed["connector.odd"]["properties"], "a plugin that the config names"
    checked = place.run("--config", "fresh/crmbridge.yaml", "check")
    assert "list has no mapping for party" in checked.out
    again = place.run("init", "fresh", typed=typed)
    assert again.code == 2
    assert "--force" in again.err


def test_init_offers_systems_that_people_have(place: Place) -> None:
    done = place.run("init", "one", typed="list\nmemory\nfiles\n../sales\n\n")
    assert done.code == 0, done.out
    assert "There are connectors for files, sql" in done.out
    assert "memory" not in done.out.replace("The connector of list: memory", "")
    assert "connector: files" in (place.folder / "one" / "crmbridge.yaml").read_text()


def test_init_with_one_system_is_a_config_and_an_end_of_input_is_an_interruption(place: Place) -> None:
    assert place.run("init", "one", typed="list\nfiles\n../sales\n\n").code == 0
    listed = place.run("--config", "one/crmbridge.yaml", "discover", "list")
    assert (listed.code, "customers" in listed.out) == (0, True), listed.err
    left = place.run("init", "none", typed="list\n")
    assert left.code == 130
    assert not (place.folder / "none").exists()


def test_a_page_that_cannot_be_written_is_the_callers_mistake(agreed: Place) -> None:
    for name in ("nowhere/page.html", "."):
        done = agreed.run("show", "ann@x.example", "--html", name)
        assert done.code == 2
        assert f"{name} cannot be written" in done.err


def test_a_country_that_is_no_code_is_explained(place: Place) -> None:
    place.config((place.folder / "crmbridge.yaml").read_text().replace("country: DE", "country: Germany"))
    done = place.run("check")
    assert done.code == 2
    assert "two capital letters" in done.err
    assert "crmbridge.yaml:2:" in done.err


def test_the_demo_folder_can_be_planned(place: Place) -> None:
    assert place.run("demo", "tea").code == 0
    done = place.run("--config", "tea/crmbridge.yaml", "plan", "--json")
    assert done.code == 0
    assert {one["system"] for one in done.of("operation")} == {"sales", "shop", "crm"}
    assert place.run("demo", "tea").code == 1


def test_completion_is_there_whatever_the_shell_of_the_tests(place: Place) -> None:
    place.env |= {"_CRMBRIDGE_COMPLETE": "source_bash"}
    assert "_CRMBRIDGE_COMPLETE=complete_bash" in place.run().out
    place.env |= {"_CRMBRIDGE_COMPLETE": "complete_bash", "COMP_WORDS": "crmbridge sy", "COMP_CWORD": "1"}
    assert place.run().out.split() == ["sync", "systems"]


def every_command(group: Any, *above: str) -> Iterator[tuple[str, ...]]:
    yield above
    for name, command in getattr(group, "commands", {}).items():
        yield from every_command(command, *above, name)


@pytest.mark.parametrize("command", list(every_command(get_command(app))), ids=" ".join)
def test_help_reads_like_text_for_people(place: Place, command: tuple[str, ...]) -> None:
    place.env["COLUMNS"] = "400"
    done = place.run(*command, "--help")
    assert done.code == 0
    assert not re.search("<|[{}]|\\[\\[|default: \\.\\]", done.out)
    assert all(
        line.rstrip(" │").endswith((".", "]", "help.")) for line in done.out.splitlines() if "│" in line
    )


def test_usage_shows_what_is_needed_and_what_may_be_left_out(place: Place) -> None:
    for command, usage in (
        ("discover", "crmbridge discover [OPTIONS] SYSTEM [STREAM]"),
        ("find", "crmbridge find [OPTIONS] TEXT..."),
        ("init", "crmbridge init [OPTIONS] [DIR]"),
        ("systems rename", "crmbridge systems rename [OPTIONS] OLD NEW"),
    ):
        assert f"Usage: {usage} " in place.run(*command.split(), "--help").out


def test_every_command_has_help(place: Place) -> None:
    listed = place.run("--help").out
    for name in (
        "init", "check", "discover", "map", "plan", "apply", "sync", "find", "show", "explain",
        "dead-letters", "retry", "runs", "systems", "plugins", "schema", "demo",
    ):  # fmt: skip
        assert re.search(rf"\b{name}\b", listed)
        assert place.run(name, "--help").code == 0
    assert Path("state.db").exists() is False


def test_what_a_system_missed_reaches_it_when_it_is_back(place: Place) -> None:
    place.odd("pages: 0")
    place.agree()
    place.odd("pages: 0, does: fatal")
    place.customers(CUSTOMERS + FOURTH)
    assert place.run("sync").code == 1
    place.odd("pages: 0")
    assert "create 1 party" in place.run("plan").out


# -- conflicts ---------------------------------------------------------------------------------


def test_an_edit_that_lost_is_told_once_and_listed_with_both_values(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anna Lee"))
    agreed.shop("UPDATE customers SET full_name = 'Ann-Marie Lee' WHERE id = 1")
    for command in ("plan", "sync"):
        assert "1 conflict was decided by a rule, so that a value lost" in agreed.run(command).err
    assert "conflict" not in agreed.run("sync").err
    listed = agreed.run("conflicts", "list")
    assert "No conflict waits for a person" in listed.out
    assert "conflicts list --all" in listed.err
    every = agreed.run("conflicts", "list", "--all").out
    assert re.search(r"display_name +An\S+ Lee \(\w+\) over An\S+ Lee \(\w+\)", every)
    agreed.config(CONFIG + "    survivorship: {display_name: manual}\n")
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    agreed.shop("UPDATE customers SET full_name = 'Annie Lee' WHERE id = 1")
    done = agreed.run("sync", "--accept-config", "--json")
    assert (done.of("summary")[0]["lost"], done.of("summary")[0]["undecided"]) == (0, 1)


def test_a_person_decides_a_conflict_and_takes_it_back(agreed: Place) -> None:
    agreed.config(CONFIG + "    survivorship: {display_name: manual}\ntimezone: Asia/Shanghai\n")
    assert agreed.run("sync", "--accept-config").code == 0
    assert "No conflict waits" in agreed.run("conflicts", "list").out
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anna Lee"))
    agreed.shop("UPDATE customers SET full_name = 'Ann-Marie Lee' WHERE id = 1")
    for command in ("sync", "plan", "sync"):  # not only the first time
        told = agreed.run(command)
        assert (told.code, "ystems agree" in told.out + told.err) == (0, False)
        assert "1 conflict waits for a person: crmbridge conflicts list" in told.err
        assert agreed.run(command, "--json").of("summary")[0]["conflicts"] == 1
    (waits,) = agreed.run("conflicts", "list", "--json").of("conflict")
    assert (waits["path"], waits["undecided"]) == ("display_name", True)
    (line,) = [line for line in agreed.run("show", "ann@x.example").out.splitlines() if "Ann Lee" in line][
        1:2
    ]
    assert "a person has to decide: conflicts list" in line
    number = str(waits["id"])
    shown = agreed.run("conflicts", "show", number).out
    assert re.search(r"sales: Anna Lee, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d CST", shown)
    assert agreed.run("conflicts", "decide", number, "--why", "?").code == 2
    assert agreed.run("conflicts", "decide", number, "--take", "erp", "--why", "?").code == 2
    assert agreed.run("conflicts", "decide", "99", "X", "--why", "?").code == 2
    why = ("--by", "王小明", "--why", "she told me so")
    (said,) = agreed.run("conflicts", "decide", number, "--take", "shop", *why, "--json").of("decision")
    assert (said["value"], said["by"], said["why"]) == ("Ann-Marie Lee", "王小明", "she told me so")
    assert agreed.run("conflicts", "list", "--json").of("conflict") == []
    assert agreed.run("sync", "--json").of("summary")[0]["conflicts"] == 0
    assert "001,Ann-Marie Lee," in (agreed.folder / "sales" / "customers.csv").read_text()
    told = agreed.run("explain", "ann@x.example", "display_name").out
    assert 'a person decided: "Ann-Marie Lee" by 王小明: she told me so' in told
    assert agreed.run("conflicts", "withdraw", number, *why).code == 0
    assert agreed.run("conflicts", "withdraw", number, *why).code == 2
    (waits,) = agreed.run("conflicts", "list", "--json").of("conflict")
    assert waits["id"] == int(number)


def test_a_conflict_about_an_element_tells_which_and_whether_it_is_there(agreed: Place) -> None:
    agreed.config(CONFIG + "    survivorship: {contact_points: manual}\n")
    assert agreed.run("sync", "--accept-config").code == 0
    agreed.customers(CUSTOMERS.replace("030 1234567", ""))
    agreed.shop("UPDATE customers SET phone = '+49 30 7654321' WHERE id = 1")
    assert agreed.run("sync").code == 0
    listed = agreed.run("conflicts", "list", "--json")
    (waits,) = listed.of("conflict")
    number = str(waits["id"])
    told = agreed.run("runs", "show", str(waits["run"])).out
    assert "Conflicts for a person to decide: 1" in told
    assert " Won " not in told
    shown = agreed.run("show", "ann@x.example").out
    assert "a person has to decide: conflicts list" in shown
    _, *fields = agreed.run("systems", "agreement", "shop", "--json").lines
    (points,) = (one for one in fields if one["field"] == "contact_points")
    assert points["waits"] == 1
    shown = agreed.run("conflicts", "show", number).out
    assert f"Conflict {number}: contact_points (" in shown
    assert "+49 30 7654321" in shown.splitlines()[0]
    assert re.search(r"^  sales: removed, ", shown, re.M)
    assert re.search(r"^  shop: there, ", shown, re.M)
    refused = agreed.run("conflicts", "decide", number, "maybe", "--why", "?")
    assert refused.code == 2
    assert "'maybe' does not say whether this element of contact_points shall be there" in refused.err
    decided = agreed.run("conflicts", "decide", number, "false", "--why", "?")
    assert re.search(r"contact_points \(.*7654321.*\) shall be removed", decided.out + decided.err)
    assert agreed.run("sync").code == 0
    assert agreed.shop("SELECT phone FROM customers WHERE id = 1") == [(None,)]


def test_explain_names_an_element_of_a_list_by_what_people_know_of_it(agreed: Place) -> None:
    told = agreed.run("explain", "ann@x.example", "contact_points").out
    assert "contact points (email, ann@x.example): value: ann@x.example" in told
    assert not re.search(r"contact_points/[0-9a-f]{12}", told)
