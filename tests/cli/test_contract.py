"""A connector that breaks the contract: what it did, what it has to do, and the place in its code."""

from __future__ import annotations

import pytest

from tests.cli.conftest import ODD, Place

KASSE = """\
from pydantic import BaseModel
from crmbridge.sdk import *
class Settings(BaseModel): ...

class KasseConnector(Connector):
    settings_model = Settings

    def check(self):
        yield Finding("ok", "fine")

    def streams(self):
        return [Stream("people", capabilities=Capabilities(operations={"create", "update"}, batch_size=9))]

    def pull(self, stream, cursor):
        yield Page([])

    def push(self, stream, operations):
        for one in operations:
            yield Result.done(one, Record("n" + one.id, one.data))


@hookimpl
def crmbridge_connectors():
    return {"kasse": KasseConnector}
"""
PULL = "yield Page([])"
PUSH = 'yield Result.done(one, Record("n" + one.id, one.data))'
RECORD = 'Record("7", {"name": "Ann"})'


def kasse(place: Place, old: str = "", new: str = "") -> None:
    """A config with a system whose connector has `new` instead of `old`."""
    assert old in KASSE
    (place.folder / "kasse.py").write_text(KASSE.replace(old, new, 1))
    place.config((ODD % "").replace("connector: odd,", "connector: kasse,").replace("odd_plugin", "kasse"))
    config = (place.folder / "crmbridge.yaml").read_text().replace('password: "${env:ODD_PASSWORD}", ', "")
    place.config(config)
    (place.folder / "mappings" / "shop.yaml").unlink(missing_ok=True)
    (place.folder / "mappings" / "odd.yaml").write_text(
        "system: odd\nstream: people\nentity: party\nfields: {display_name: name}\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (PULL, f"yield {RECORD}", "kasse.py:15: pull yielded a Record, it has to yield Pages"),
        (PULL, f"return [{RECORD}]", "kasse.py:14: pull yielded a Record, it has to yield Pages"),
        (PULL, f"yield from [{RECORD}]", "kasse.py:15: pull yielded a Record, it has to yield Pages"),
        (PULL, "return Page([])", "kasse.py:14: pull returned a Page, it has to yield Pages"),
        (
            PULL,
            "yield Page([Record(7, {})])",
            "15: pull gave a Record whose native_id is 7, it has to be text",
        ),
        (
            PULL,
            "yield Page([{}])",
            "pull gave a Page with a dict among its records, it has to give Records there",
        ),
        (
            PULL,
            "yield Page(iter([]))",
            "pull gave a Page whose records are a list_iterator, it has to give a list",
        ),
        (PULL, 'yield Page([Record("7", [])])', "a Record whose data are a list, it has to be a dict"),
        (PULL, 'yield Page([Record("7", {}, version=3)])', "whose version is 3, it has to be text"),
        (
            PULL,
            'yield Page([Record("7", {}, modified="now")])',
            "whose modified is 'now', it has to be a datetime",
        ),
        (
            PULL,
            "yield Page(tombstones=[Tombstone(7)])",
            "a Tombstone whose native_id is 7, it has to be text",
        ),
        (PULL, "yield Page(cursor={1, 2})", "a Page whose cursor is a set, it has to be a JSON value"),
        (PUSH, "yield None", "kasse.py:19: push yielded None, it has to yield Results"),
        (PUSH, "pass", "kasse.py:17: push returned None, it has to yield Results"),
        (PUSH, "yield one", "kasse.py:19: push yielded an Operation, it has to yield Results"),
        (PUSH, f"yield from [{PUSH[6:]}] * 2", " twice, it has to answer each"),
        (PUSH, 'yield Result(one.id, "good")', "a Result of status 'good', it has to be 'done' or"),
        (
            PUSH,
            'yield Result.done(one, {"id": 1})',
            "gave a Result with a dict, it has to give a Record there",
        ),
    ],
)
def test_what_the_contract_does_not_allow_is_told_in_its_words(
    place: Place, old: str, new: str, says: str
) -> None:
    kasse(place, old, new)
    assert place.run("sync").code in (1, 4)
    done = place.run("apply", "crmbridge-plan.jsonl") if old == PUSH else place.run("sync")
    assert done.code == 1
    assert "odd dropped out: odd/people: kasse.py:" in done.err
    assert says in done.err
    assert "that is a mistake in the connector" in done.err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"ok"',
            '"good"',
            "kasse.py:9: check gave a Finding of level 'good', it has to be 'ok' or 'warning' or",
        ),
        (
            '"ok", "fine"',
            '"ok", None',
            "kasse.py:9: check gave a Finding whose text is None, it has to be text",
        ),
        ('yield Finding("ok", "fine")', "pass", "kasse.py:8: check returned None, it has to yield Findings"),
        (
            '{"create", "update"}',
            '"create"',
            "gave people the operations 'create', it has to be a set of any of",
        ),
        (
            '{"create", "update"}',
            '{"crate"}',
            "gave people the operations 'crate', it has to be a set of any of",
        ),
        (
            'Stream("people", ',
            "Stream(7, ",
            "kasse.py:11: streams gave a Stream whose name is 7, it has to be text",
        ),
        ("batch_size=9", 'deletes="all"', "gave people the deletes 'all', it has to be 'feed' or"),
        ("batch_size=9)", "batch_size=9).x", "odd: the connector failed: AttributeError"),
    ],
)
def test_check_tells_it_too(place: Place, old: str, new: str, says: str) -> None:
    place.env["COLUMNS"] = "400"
    kasse(place, old, new)
    done = place.run("check")
    assert done.code == 1
    assert says in done.out
    assert "this should not have happened" not in done.err


def test_operations_whose_answers_made_no_sense_are_looked_up_and_not_sent_again(place: Place) -> None:
    kasse(place, PUSH, "yield None")
    assert place.run("sync").code == 4
    assert place.run("apply", "crmbridge-plan.jsonl").code == 1
    rows = place.run("uncertain", "list", "--json").lines

    assert all("push yielded None, it has to yield Results" in str(row) for row in rows)


# -- tracebacks --------------------------------------------------------------------------------

SECRET = 'raise KeyError("the key is " + "x" * 12)'


@pytest.mark.parametrize("options", [["--debug"], ["-vv"], ["--debug", "-vv"]])
def test_whoever_asks_for_it_sees_the_traceback_once(place: Place, options: list[str]) -> None:
    kasse(place, PULL, SECRET)
    done = place.run("sync", *options)
    assert done.code == 1
    assert "odd/people: the connector failed: KeyError: " in done.err
    assert "(kasse.py:15)" in done.err
    assert done.err.count("Traceback (most recent call last)") == 1
    assert "in pull" in done.err


def test_the_log_has_it_at_debug_and_the_screen_has_not(place: Place) -> None:
    kasse(place, PULL, SECRET)
    assert "Traceback" not in place.run("sync").err
    log = (place.folder / "bridge.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert "kasse.py" in log


def test_secrets_are_in_no_traceback(place: Place) -> None:
    place.odd("does: crash")
    done = place.run("sync", "--debug")
    assert "Traceback (most recent call last)" in done.err
    assert "ZeroDivisionError: with ***" in done.err
    assert "x" * 12 not in done.err + (place.folder / "bridge.log").read_text()
