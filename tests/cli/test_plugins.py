"""A plugin that misbehaves while the command works: the message names it, and the rest is done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crmbridge.bridge import Bridge
from crmbridge.sdk import RunEvent
from tests.cli.conftest import CONFIG, CUSTOMERS, MAPPINGS, Place

MINE = """
import sys
from datetime import UTC, datetime
from crmbridge.sdk import Codec, hookimpl

def careful(value):
    if value == "Ann Lee":
        {fails}
    return value

def rule(said):
    {rule}

@hookimpl
def crmbridge_codecs(): return {{"careful": Codec(careful, lambda value: value)}}
@hookimpl
def crmbridge_functions(): return {{"careful": careful}}
@hookimpl
def crmbridge_survivorship(): return {{"odd": rule}}
"""
FAILS = ["1 / 0", "raise KeyError(value)", "sys.exit(1)", "return object()", "return {1, 2}"]


def mine(place: Place, fails: str = "pass", rule: str = "return 0", more: str = "") -> None:
    (place.folder / "mine.py").write_text(MINE.format(fails=fails, rule=rule) + more, encoding="utf-8")
    place.config(CONFIG.replace("[./odd_plugin.py]", "[./odd_plugin.py, ./mine.py]"))


@pytest.mark.parametrize("use", ["{path: Name, as: careful}", "{read: careful(Name), write: never}"])
@pytest.mark.parametrize("fails", FAILS)
def test_a_value_that_a_codec_or_function_fails_on_is_a_dead_letter(
    place: Place, fails: str, use: str
) -> None:
    place.env["COLUMNS"] = "400"
    mapping = MAPPINGS["sales"].replace("display_name: Name", f"display_name: {use}")
    (place.folder / "mappings" / "sales.yaml").write_text(mapping, encoding="utf-8")
    mine(place, fails)
    place.run("sync")
    done = place.run("apply", "crmbridge-plan.jsonl")
    assert done.code == 3, done
    assert len(place.shop()) == 2
    (letter,) = place.run("dead-letters", "list", "--json").lines
    assert (letter["system"], letter["native_id"]) == ("sales", "001")
    assert "display_name" in letter["error"]
    mine(place)
    place.customers(CUSTOMERS)
    assert place.run("dead-letters", "replay", str(letter["id"])).code in (0, 4)
    assert place.run("dead-letters", "list", "--json").lines == []


@pytest.mark.parametrize("fails", ["1 / 0", "return None", "return 7", "sys.exit(1)"])
def test_where_a_survivorship_rule_fails_nothing_is_written_over(place: Place, fails: str) -> None:
    mine(place)
    text = (place.folder / "crmbridge.yaml").read_text() + "    survivorship: {display_name: odd}\n"
    place.config(text)
    place.agree()
    mine(place, rule=fails)
    place.config(text)
    place.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    place.shop("UPDATE customers SET full_name = 'Ann Li', email = 'ann@li.example' WHERE id = 1")
    done = place.run("sync", "--accept-config")
    assert "the plugin mine (survivorship rule odd) failed" in done.err
    assert done.err.count("survivorship rule odd") == 1
    assert done.code == 0, done
    assert place.shop()[0][0] == "Ann Li"
    sales = (place.folder / "sales" / "customers.csv").read_text()
    assert "Anne Lee" in sales
    assert "ann@li.example" in sales, "the other fields go on"
    (conflict,) = place.run("conflicts", "list", "--json").lines
    assert conflict["path"] == "display_name"


def test_a_listener_that_raises_is_told_once_and_the_run_goes_on(agreed: Place) -> None:
    listener = "@hookimpl\ndef crmbridge_run_event(event): 1 / 0\n"
    mine(agreed, more=listener)
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    done = agreed.run("sync", "--accept-config")
    assert done.code == 0
    assert agreed.shop()[0][0] == "Anne Lee"
    assert done.err.count("crmbridge_run_event") == 1
    assert "the plugin mine (crmbridge_run_event) failed: ZeroDivisionError" in done.err


HEAR = """
import json, pathlib
@hookimpl
def crmbridge_run_event(event):
    heard = [event.kind, event.stage, event.text if event.kind[:3] == "run" else event.system, event.count]
    with pathlib.Path("heard").open("a") as file:
        print(json.dumps(heard), file=file)
"""


def heard(place: Place) -> list[list[Any]]:
    """What a listener heard since it was asked last, but for how far a stage is."""
    lines = (place.folder / "heard").read_text(encoding="utf-8").splitlines()
    (place.folder / "heard").unlink()
    return [event for line in lines if (event := json.loads(line))[0] not in ("progress", "stage-started")]


READ = [
    ["stage-ended", "pull", "sales", 3],
    ["stage-ended", "pull", "shop", 0],
    ["stage-ended", "resolve", "", 3],
]
PLANNED = ["stage-ended", "plan", "", 3]


def test_a_listener_hears_of_all_stages_of_a_plan_and_of_a_run(place: Place) -> None:
    mine(place, more=HEAR)
    assert place.run("plan", "--out", "first.plan").code == 0
    assert heard(place) == [["run-started", "", "plan", 0], *READ, PLANNED, ["run-ended", "", "", 4]]
    assert place.run("apply", "first.plan").code == 0
    assert heard(place) == [
        ["run-started", "", "apply", 0],
        *READ,
        PLANNED,
        ["stage-ended", "push", "sales", 0],
        ["stage-ended", "push", "shop", 3],
        ["run-ended", "", "", 0],
    ]
    place.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    assert place.run("sync").code == 0
    heard(place)
    assert place.run("runs", "undo", "2", "--out", "undo.plan").code == 0
    first, *_, last = heard(place)
    assert (first[:3], last[0]) == (["run-started", "", "runs undo"], "run-ended")


@pytest.mark.parametrize("command", ["plan", "sync"])
def test_a_listener_hears_of_the_end_of_a_run_that_is_cut_off(place: Place, command: str) -> None:
    def stop(event: RunEvent) -> None:
        if event.stage == "plan":
            raise KeyboardInterrupt

    mine(place, more=HEAR)
    with Bridge.open(place.folder / "crmbridge.yaml") as bridge:
        bridge.listeners.append(stop)
        with pytest.raises(KeyboardInterrupt):
            getattr(bridge, command)()
    assert heard(place) == [["run-started", "", command, 0], *READ, ["run-ended", "", "stopped", 1]]


@pytest.mark.parametrize(
    ("hook", "offer", "name"),
    [
        ("schemas", "from crmbridge_schemas.base import Entity\nclass Party(Entity): pass\n", "party: Party"),
        ("functions", "def no(value): return False\n", "has: no"),
        ("codecs", "", "e164: Codec(str, str)"),
        ("survivorship", "", "manual: rule"),
    ],
)
def test_a_name_of_ours_is_not_taken_by_a_plugin(place: Place, hook: str, offer: str, name: str) -> None:
    key, _, value = name.partition(": ")
    mine(place)
    own = f"{offer}@hookimpl\ndef crmbridge_{hook}(): return {{{key!r}: {value}}}\n"
    (place.folder / "mine.py").write_text(
        f"from crmbridge.sdk import Codec, hookimpl\ndef rule(said): return 0\n{own}"
    )
    done = place.run("plan")
    assert done.code == 0, done
    assert (
        f"(crmbridge_{hook}) failed: '{key}' is offered by crmbridge already: give it another name"
        in done.err
    )


def test_an_operation_that_there_is_not_is_refused_with_its_connector(place: Place) -> None:
    place.odd("does: misspell")
    for command in ("check", "sync", "plan"):
        done = place.run(command)
        told = " ".join((done.out + done.err).split())
        assert done.code == 1
        assert (
            "streams gave people the operations 'updat', it has to be a set of any of archive, create" in told
        )
