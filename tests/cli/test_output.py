"""What is printed, to whom, and what never is."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from crmbridge.cli.messages import MESSAGES
from crmbridge_schemas.docstrings import Described
from tests.cli.conftest import CONFIG, CUSTOMERS, Place, checked

CANARY = "kanarien+Vogel/4711 #x"


@pytest.mark.parametrize("does", ["auth", "fatal", "crash", "busy", ""])
def test_no_output_holds_a_secret(
    place: Place, does: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path_factory.mktemp("kept")
    monkeypatch.setattr("tempfile.tempdir", str(kept))
    place.env["ODD_PASSWORD"] = CANARY
    place.odd(f"does: '{does}'")
    said = []
    for command in (["sync"], ["check"], ["plan"], ["map", "preview", "odd", "people"], ["discover", "odd"]):
        for more in ([], ["--json"], ["-vv", "--debug"]):
            done = place.run(*command, *more)
            said += [done.out, done.err]
    said += [path.read_text() for path in kept.iterdir()]
    log = place.folder / "bridge.log"
    said.append(log.read_text())
    assert log.stat().st_mode & 0o077 == 0
    everything = "\n".join(said)
    assert "logging in with ***" in everything
    for form in (CANARY, json.dumps(CANARY)[1:-1], "kanarien%2BVogel", "Vogel/4711"):
        assert form not in everything


def test_no_output_holds_a_secret_that_was_written_out_under_whatever_name(
    place: Place, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path_factory.mktemp("kept")
    monkeypatch.setattr("tempfile.tempdir", str(kept))
    canaries = ["canary-consumer", "canary-pwd", "canary-query", "canary-pin"]
    settings = 'consumer_key: canary-consumer, pwd: canary-pwd, pin: canary-pin, url: "http://x/?api_key=canary-query"'
    for does in ("auth", "fatal", "crash", "", "auth, pages: wrong", "auth, pwds: canary-pwd"):
        place.odd(f"does: {does}, {settings}")
        said = []
        for command in (["check"], ["sync", "-vv", "--debug"], ["sync", "--json"], ["discover", "odd"]):
            done = place.run(*command)
            said += [done.out, done.err]
        said += [path.read_text() for path in kept.iterdir()]
        said += [path.read_text() for path in place.folder.glob("bridge.log")]
        assert [canary for canary in canaries if canary in "\n".join(said)] == []
    place.odd(f"does: auth, {settings}")
    done = place.run("check", "--json")
    told = [line["text"] for line in done.of("finding") if "a secret is written out" in line["text"]]
    assert [text.split(": ")[1] for text in told] == [
        f"systems.odd.{name}" for name in ("consumer_key", "pwd", "pin", "url")
    ]


def test_a_secret_that_was_written_out_is_masked_and_warned_of(place: Place) -> None:
    place.odd("does: fatal")
    path = place.folder / "crmbridge.yaml"
    path.write_text(path.read_text().replace("${env:ODD_PASSWORD}", CANARY))
    done = place.run("check")
    assert "a secret is written out here" in " ".join(done.out.split())
    assert CANARY not in done.out + done.err


def test_json_lines_keep_people_s_text_apart(place: Place) -> None:
    for args in (
        ["plan", "--json"],
        ["sync", "--json"],
        ["--json", "check"],
        ["apply", "crmbridge-plan.jsonl", "--json"],
        ["runs", "list", "--json"],
        ["runs", "show", "--json", "2"],
        ["systems", "list", "--json"],
        ["plugins", "--json"],
        ["discover", "shop", "--json"],
        ["map", "preview", "sales", "customers", "--json"],
        ["find", "wang", "--json"],
        ["show", "wang", "--json"],
        ["explain", "--json", "Ann Lee"],
        ["dead-letters", "list", "--json"],
    ):
        done = place.run(*args)
        assert done.code in (0, 4), (args, done.err)
        for line in done.out.splitlines():
            checked(line)
        assert done.out or args[0] == "dead-letters", args


def test_the_json_of_a_plan_says_what_from_where(place: Place) -> None:
    operations = place.run("plan", "--json").of("operation")
    found = {one["label"]: one for one in operations}
    assert set(found) == {"Ann Lee", "王小明", "ليلى حداد"}
    changes = {change["path"].rpartition("/")[2]: change for change in found["王小明"]["changes"]}
    assert changes["display_name"] == {"path": "display_name", "new": "王小明", "origin": "sales"}
    assert changes["value"]["new"] == "wang@x.example"


def test_every_message_is_described() -> None:
    kinds = [model.model_fields["type"].default for model in MESSAGES]
    assert len(set(kinds)) == len(kinds)
    for model in MESSAGES:
        described = model.model_json_schema(schema_generator=Described)["properties"]
        assert [name for name, one in described.items() if name != "type" and "description" not in one] == []


def test_colours_and_bars_are_for_terminals_only(place: Place) -> None:
    piped = place.process("plan")
    out, err = piped.communicate(timeout=60)
    assert "\x1b" not in out + err
    assert "Ann Lee" in out
    assert "\x1b[" in _in_terminal(place, "plan")
    assert "\x1b[3" not in _in_terminal(place, "plan", "--no-color")
    place.env["NO_COLOR"] = "1"
    assert "\x1b[3" not in _in_terminal(place, "plan")


def _in_terminal(place: Place, *args: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "crmbridge", *args],
        cwd=place.folder,
        env={**os.environ, **place.env, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    process.wait(timeout=30)
    os.close(ours)
    return said.decode()


def test_values_cannot_steer_the_terminal(place: Place) -> None:
    place.customers(CUSTOMERS.replace("Ann Lee", "Ann\x1b[31m\u202eLee [bold]x[/bold]"))
    done = place.run("plan")
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert "Ann␛[31m" in done.out
    assert "[bold]x[/bold]" in done.out


def test_quiet_leaves_what_was_asked_for(agreed: Place) -> None:
    assert agreed.run("sync", "--quiet").err == ""
    assert agreed.run("sync").err != ""
    assert "Nothing would be written" in agreed.run("-q", "plan").out


def test_global_options_stand_before_and_after_the_command(agreed: Place) -> None:
    other = agreed.folder / "other.yaml"
    (agreed.folder / "crmbridge.yaml").rename(other)
    assert agreed.run("sync").code == 2
    for args in (
        ["--config", "other.yaml", "sync"],
        ["sync", "-c", "other.yaml"],
        ["sync", "--config=other.yaml"],
    ):
        assert agreed.run(*args, "--json").lines[-1]["exit_code"] == 0


def test_an_environment_has_a_state_of_its_own(agreed: Place) -> None:
    (agreed.folder / "crmbridge.try.yaml").write_text("timezone: Asia/Shanghai\n")
    done = agreed.run("sync", "--env", "try")
    assert (agreed.folder / "state.try.db").exists()
    assert "--env try" in done.out or done.code == 0
    assert agreed.run("runs", "list", "--env", "try", "--json").lines[-1]["id"] == 1


def test_a_reader_that_leaves_is_no_error(place: Place) -> None:
    process = place.process("schema", "party")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) in (0, 141)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


def test_version_and_help_load_little(place: Place) -> None:
    start = "import sys; sys.argv[1:] = [{!r}]\nfrom crmbridge.cli.main import run\n"
    code = start + "try: run()\nfinally: print(*sys.modules)"
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def modules(option: str) -> set[str]:
        command = [sys.executable, "-c", code.format(option)]
        done = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    assert not modules("--version") & {"typer", "rich", "pydantic", "crmbridge.bridge", "logging"}
    heavy = {"pydantic", "sqlalchemy", "msgspec", "httpx", "openpyxl", "crmbridge.bridge", "crmbridge.sdk"}
    assert not modules("--help") & heavy


ANY = [
    "check", "discover sales", "map preview sales customers", "plan", "plan --out p.plan", "sync",
    "find Ann", "show 001", "show 001 --html x.html", "explain 001", "conflicts list",
    "identity duplicates", "identity judgements", "links list 001", "dead-letters list", "runs list",
    "runs show 2", "runs undo 2", "uncertain list", "systems list", "systems pause shop",
    "systems resume shop", "systems agreement shop", "plugins", "schema", "schema party", "schema config",
    "schema output", "retry", "demo play", "find", "plan --nonsense", "nonsense", "runs show x",
    "dead-letters show 7", "apply gone.plan",
]  # fmt: skip


@pytest.mark.parametrize("command", ANY)
def test_each_line_of_json_is_a_message_of_the_documented_schema(agreed: Place, command: str) -> None:
    done = agreed.run(*command.split(), "--json")
    told = [line["exit_code"] for line in done.lines if line["type"] == "error"]
    assert told == ([done.code] if done.code else [])


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("init new", "erp\nfiles\nsales\n\n"),
        ("systems rebind shop", "y\n"),
        ("systems remove shop", "n\n"),
        ("systems recover", "n\n"),
    ],
)
def test_questions_leave_standard_output_to_json(agreed: Place, command: str, typed: str) -> None:
    done = agreed.run(*command.split(), "--json", typed=typed)
    assert {line["type"] for line in done.lines} <= {"error"}
    assert done.err


def test_the_schema_of_a_schema_line_is_the_one_that_is_printed(place: Place) -> None:
    listed = [line["name"] for line in place.run("schema", "--json").of("schema")]
    assert {"party", "config", "mapping", "output"} <= set(listed)
    (line,) = place.run("schema", "party", "--json").of("schema")
    assert line["definition"] == json.loads(place.run("schema", "party").out)


def test_a_run_without_workbooks_loads_nothing_for_them(place: Place) -> None:
    code = (
        "import sys; from pathlib import Path; from crmbridge.bridge import Bridge\n"
        "Bridge.open(Path('crmbridge.yaml')).close(); print(*sys.modules)"
    )
    path = {**os.environ, **place.env, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=place.folder, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not {"openpyxl", "babel", "stdnum", "email_validator", "typer"} & set(done.stdout.split())


def test_logs_are_text_or_json(agreed: Place) -> None:
    for form in ("json", "text"):
        file = agreed.folder / f"{form}.log"
        agreed.config(CONFIG + f"log: {{file: {file.name}, format: {form}, level: info}}\n")
        assert agreed.run("sync").code == 0
        lines = file.read_text().splitlines()
        assert any("run-ended" in line for line in lines)
        if form == "json":
            assert {"time", "level", "logger", "message"} <= json.loads(lines[0]).keys()
    assert Path("json.log").stat().st_mode & 0o077 == 0
    assert "run-started" in agreed.run("sync", "-v").err
