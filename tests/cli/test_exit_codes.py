"""Each exit code, reached by the real command."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from crmbridge.bridge import Bridge
from crmbridge.cli.interrupt import PATIENCE
from crmbridge.store.sql import open_store
from tests.cli.conftest import CONFIG, CUSTOMERS, Place


def test_0_when_all_agree_and_nothing_is_written_twice(agreed: Place) -> None:
    done = agreed.run("sync", "--json")
    assert (done.code, done.lines[-1]["verdict"]) == (0, "done")
    assert [row[0] for row in agreed.shop()] == ["Ann Lee", "王小明", "ليلى حداد"]
    assert agreed.run("plan", "--detailed-exitcode").code == 0


def test_1_when_a_system_drops_out_and_the_others_go_on(place: Place) -> None:
    place.odd("does: fatal")
    done = place.run("sync")
    assert done.code == 1
    assert "odd dropped out: no way" in done.err
    place.odd("does: busy")
    assert place.run("plan").code == 1


@pytest.mark.parametrize("command", [["sync"], ["plan"], ["check"], ["map", "preview", "odd", "people"]])
def test_1_when_a_connector_ends_the_process_which_it_cannot(place: Place, command: list[str]) -> None:
    place.odd("does: exit")
    done = place.run(*command)
    assert done.code == 1
    assert "SystemExit: 0" in done.out + done.err


def test_1_with_one_line_and_the_traceback_in_a_file_for_what_should_not_happen(
    place: Place, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path_factory.mktemp("kept")
    monkeypatch.setattr("tempfile.tempdir", str(kept))
    place.odd("pages: 2")
    plugin = place.folder / "odd_plugin.py"
    text = plugin.read_text().replace("import BaseModel,", "import BaseModel, field_validator,")
    broken = (
        "    @field_validator('pages')\n    def count(cls, value): return value / 0\n\n\nclass OddConnector"
    )
    plugin.write_text(text.replace("\n\nclass OddConnector", broken))
    done = place.run("map", "preview", "odd", "people")
    assert done.code == 1
    (file,) = kept.glob("crmbridge-*.log")
    assert str(file) in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert "Traceback" in place.run("map", "preview", "odd", "people", "--debug").err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("systems: [", "crmbridge.yaml:"),
        (CONFIG.replace("between: [sales, shop]", "between: [sales, shopp]"), "crmbridge.yaml:9:"),
        (CONFIG.replace("connector: sql", "connector: sqll"), "there is no connector 'sqll'"),
        (CONFIG.replace("country: DE", "country: DE\ncountry: FR"), "crmbridge.yaml:3:"),
        (CONFIG.replace('"sqlite:///shop.db"', '"${env:NOT_SET_ANYWHERE}"'), "NOT_SET_ANYWHERE"),
    ],
)
def test_2_for_a_wrong_config_with_its_place(place: Place, wrong: str, told: str) -> None:
    place.config(wrong)
    done = place.run("sync", "--json")
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
    (line,) = done.lines
    assert (line["type"], line["error"], line["exit_code"]) == ("error", "ConfigError", 2)


def test_2_for_a_wrong_command_line(place: Place) -> None:
    assert place.run("frobnicate").code == 2
    assert "there are creates" in place.run("sync", "--allow", "everything").err
    assert "there are sales, shop" in place.run("sync", "--only-into", "nowhere").err
    assert place.run("--config", "missing.yaml", "sync").code == 2
    assert place.run("apply", "crmbridge.yaml").code == 2
    assert place.run("runs", "show", "77").code == 2
    assert place.run("dead-letters", "show", "77").code == 2


def test_2_without_a_config_says_how_to_get_one(place: Place) -> None:
    (place.folder / "crmbridge.yaml").unlink()
    done = place.run("sync")
    assert done.code == 2
    assert "crmbridge init" in done.err


def test_the_config_is_found_in_a_folder_above(agreed: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(agreed.folder / "sales")
    assert agreed.run("sync").code == 0


def test_3_when_a_record_is_a_dead_letter_and_the_others_arrive(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("030 1234567", "not a number") + "004,Zoé,zoe@x.example,,\n")
    done = agreed.run("sync")
    assert done.code == 3
    assert "open: 1 dead letter\n  hint: crmbridge dead-letters list shows why, crmbridge retry" in done.err
    assert "uncertain" not in done.err
    assert "Zoé" in [row[0] for row in agreed.shop()]


def test_4_for_a_first_sync_with_the_command_that_applies_it(place: Place) -> None:
    done = place.run("sync")
    assert done.code == 4
    assert "written for the first time" in done.out
    assert "To write it: crmbridge apply crmbridge-plan.jsonl" in done.out
    assert place.shop() == []
    assert place.run("plan", "--detailed-exitcode").code == 4
    assert place.run("plan").code == 0
    assert place.run("apply", "crmbridge-plan.jsonl").code == 0
    assert len(place.shop()) == 3


def test_4_for_a_changed_mapping_until_it_is_accepted(agreed: Place) -> None:
    path = agreed.folder / "mappings" / "sales.yaml"
    path.write_text(path.read_text().replace("display_name: Name", "display_name: Extra"))
    done = agreed.run("sync", "--json")
    assert done.code == 4
    assert "changed" in done.of("summary")[0]["reasons"][0]
    assert agreed.run("sync", "--accept-config").code == 0
    assert agreed.shop()[0][0] == "keep"


def test_5_beyond_a_limit_until_it_is_lifted_once(agreed: Place) -> None:
    agreed.config(CONFIG + "limits: {creates: 0}\n")
    agreed.customers(CUSTOMERS + "004,Zoé,zoe@x.example,,\n")
    done = agreed.run("sync", "--json")
    assert done.code == 5
    assert done.of("error")[0]["error"] == "LimitError"
    assert "--allow creates" in done.of("error")[0]["hint"]
    assert done.of("summary")[0]["command_to_apply"] == "crmbridge apply crmbridge-plan.jsonl --allow creates"
    assert len(agreed.shop()) == 3
    assert agreed.run("plan").code == 0
    assert agreed.run("plan", "--detailed-exitcode").code == 5
    assert agreed.run("sync", "--allow", "creates").code == 0
    assert len(agreed.shop()) == 4


HOLDING = """
@hookimpl
def crmbridge_run_event(event):
    if event.kind == "run-started":
        from pathlib import Path
        (holding,) = Path().glob("state.db.lock")
        Path("held").write_text(holding.read_text())
"""


def test_who_finds_the_state_locked_is_told_the_command_that_holds_it(agreed: Place) -> None:
    with (agreed.folder / "odd_plugin.py").open("a") as file:
        file.write(HOLDING)
    assert agreed.run("sync", "--only-into", "shop", "-c", "crmbridge.yaml").code == 0
    held = (agreed.folder / "held").read_text()
    assert "sync --only-into shop -c crmbridge.yaml" in held


def test_what_is_no_command_tells_the_name_of_what_it_does_and_no_word_of_its_host(
    agreed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (agreed.folder / "odd_plugin.py").open("a") as file:
        file.write(HOLDING)
    monkeypatch.setattr(sys, "argv", ["host", "serve", "--token", "canary-4711"])
    with Bridge.open(agreed.folder / "crmbridge.yaml") as bridge:
        assert bridge.sync().exit_code == 0
    held = (agreed.folder / "held").read_text()
    assert "sync" in held
    assert "canary-4711" not in held


def test_11_while_another_run_holds_the_lock(agreed: Place) -> None:
    other = open_store(f"sqlite:///{agreed.folder}/state.db", now=lambda: 1)
    with other.lock("sync by cron"):
        done = agreed.run("sync")
    other.close()
    assert done.code == 11
    assert "sync by cron" in done.err
    assert agreed.run("sync").code == 0


def test_12_for_refused_credentials(place: Place) -> None:
    place.odd("does: auth")
    assert place.run("sync").code == 12
    assert place.run("check").code == 12
    assert place.run("plan").code == 12


def test_13_for_a_state_that_cannot_be_used(agreed: Place) -> None:
    (agreed.folder / "state.db").write_bytes(b"this is no database" * 400)
    done = agreed.run("sync")
    assert done.code == 13
    assert "hint" in done.err


def test_13_for_another_instance_until_it_is_rebound(place: Place) -> None:
    place.odd("instance: one, pages: 1")
    assert place.run("sync").code == 4
    place.odd("instance: two, pages: 1")
    done = place.run("sync")
    assert done.code == 13
    assert "crmbridge systems rebind odd" in done.err
    assert place.run("systems", "rebind", "odd", typed="n\n").code == 1
    assert place.run("sync").code == 13
    assert place.run("systems", "rebind", "odd", "--yes").code == 0
    assert place.run("sync").code == 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_between_two_pages_and_what_was_read_stays(
    place: Place, number: signal.Signals, code: int
) -> None:
    marker = place.folder / "reading"
    place.odd(f"marker: {marker}, pages: 1000000")
    process = place.process("sync", "--json")
    _wait_for(marker)
    begun = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == code
    assert time.monotonic() - begun < PATIENCE, "stopped by the alarm, not between two pages"
    assert "what was begun is finished first" in told
    assert f"stopped by {number.name}" in told
    assert "Traceback" not in told
    store = open_store(f"sqlite:///{place.folder}/state.db", now=lambda: 1)
    read = len(store.records_in("odd", "people", 0, 10_000_000))
    assert store.stream("odd", "people").cursor == str(read)
    store.close()
    assert place.run("runs", "list", "--json").lines[0]["exit_code"] == code


def test_a_second_signal_does_not_wait_for_a_system_that_hangs(place: Place) -> None:
    marker = place.folder / "reading"
    place.odd(f"marker: {marker}, pages: 3, does: hang")
    process = place.process("sync")
    _wait_for(marker)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "finished first" not in process.stderr.readline():
        assert process.poll() is None
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - begun < 4
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_when_all_is_done_changes_nothing(place: Place, number: signal.Signals) -> None:
    late = place.folder / "late"
    late.mkdir()
    text = f"import atexit, os\natexit.register(lambda: os.kill(os.getpid(), {number.value}))\n"
    (late / "sitecustomize.py").write_text(text)  # imported first, so that its handler runs last
    place.path.insert(0, str(late))
    process = place.process("check")
    out, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (0, "")
    assert "Ready" in out


WAITING = "import pathlib, time\npathlib.Path({marker!r}).write_text('here')\ntime.sleep(60)\n"


@pytest.mark.parametrize("stage", ["import", "plugin", "reading"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_any_moment_ends_with_one_line(
    place: Place, stage: str, number: signal.Signals, code: int
) -> None:
    """While modules are imported, while the config's plugins are, and while a system is looked at."""
    marker = place.folder / "marker"
    if stage == "import":
        (place.folder / "early").mkdir()
        (place.folder / "early" / "typer.py").write_text(WAITING.format(marker=str(marker)))
        place.path.insert(0, str(place.folder / "early"))
    elif stage == "plugin":
        (place.folder / "odd_plugin.py").write_text(WAITING.format(marker=str(marker)))
    else:
        place.odd(f"marker: {marker}, pages: 5, does: hang")
    process = place.process("map", "preview", "odd" if stage == "reading" else "sales", "people", "-n", "9")
    _wait_for(marker)
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == code
    assert told.splitlines()[0].startswith(f"stopped by {number.name}")
    assert len(told.splitlines()) == 1


def _wait_for(path: object) -> None:
    from pathlib import Path

    end = time.monotonic() + 30
    while not Path(str(path)).exists():
        assert time.monotonic() < end
        time.sleep(0.02)
