"""Twelve bugs of the kind that sync engines have, each planted into a copy: a scenario of the rule that it
breaks finds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.scenarios.runner import load, scenario_files

ROOT = Path(__file__).parents[2]
SCENARIOS = {path.stem: load(path)["rules"] for path in scenario_files()}

STRICT = """\
        for record, before in pairs:
            if record.modified and micros(record.modified) <= self.row.read_started:
                continue
"""
HOLDER = """\
        holders = [x for x in self.links.values() if any(s.seen == said.value for s in x.fields.values())]
        holders.sort(key=lambda x: self.policy.rank(x.system))
        return holders[0].system if holders else ""
"""
IMPORT_DATE = """read_at=self.read_at,
                state=json.dumps(
                    {
                        "fields": {
                            "display_name": {
                                "own": [
                                    mapping.read(record.data).get("display_name"),
                                    micros(record.modified) if record.modified else 0,
                                    0,
                                ]
                            }
                        }
                    }
                ),
            )"""

BUGS: dict[str, tuple[str, str, str, str]] = {
    # name: (the rule that it breaks, file, what stands there, what the bug makes of it)
    "strict cursor": (
        "pull.cursor-inclusive",
        "crmbridge/engine/intake.py",
        "        for record, before in pairs:\n",
        STRICT,
    ),
    "no echo rule": (
        "merge.origin-kept",
        "crmbridge/engine/native.py",
        "wrote(link, change.path, statement, holds, at, _stood_there(change))",
        "pass",
    ),
    "what was sent is forgotten": (
        "merge.sent-while-seen",
        "crmbridge/engine/plan.py",
        "if state and sent and same(path, sent.value, desired, element):",
        "if False:",
    ),
    "a lost clear": (
        "merge.clear-propagates",
        "crmbridge/identity/survive.py",
        "        if own.time == 0:\n            return None\n",
        "        if own.value is None:\n            return None\n",
    ),
    "no tombstone": (
        "plan.deletes-keep",
        "crmbridge/engine/removals.py",
        '            row.status, row.raw_hash = status, b""\n',
        '            row.golden_id, row.status, row.raw_hash = None, status, b""\n',
    ),
    "authority by holder": (
        "merge.authority",
        "crmbridge/identity/survive.py",
        (
            "        link = self.links.get(said.origin) or self.dead.get(said.origin)\n"
            '        return link.system if link else ""\n'
        ),
        HOLDER,
    ),
    "first contact by time": (
        "merge.first-contact",
        "crmbridge/engine/intake.py",
        "read_at=self.read_at,\n            )",
        IMPORT_DATE,
    ),
    "a list replaced whole": (
        "list.replace-keeps-others",
        "crmbridge/engine/native.py",
        "    for child, local in _with_locals(out.shape.lists[name], rule, out.record):\n",
        "    for child, local in ():\n",
    ),
    "a stale plan applied": (
        "plan.stale-operation",
        "crmbridge/engine/sync.py",
        '            run.store.drop_intents(["planned"], left)\n',
        "            pass\n",
    ),
    "parked and forgotten": (
        "plan.parked",
        "crmbridge/engine/golden.py",
        'self._owe(golden_id, note.system, note.kind, f"{note.path} {note.text}")',
        "pass",
    ),
    "the limit after the first write": (
        "plan.limit",
        "crmbridge/engine/sync.py",
        "    if outcome.limit is not None:\n",
        "    if outcome.limit is not None:\n        _push_all(run)\n",
    ),
    "a dead letter that stops the page": (
        "pull.bad-record",
        "crmbridge/engine/intake.py",
        "        except (MappingError, ValueError, RecursionError) as error:\n",
        "        except ZeroDivisionError as error:\n",
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, to plant bugs in."""
    target = tmp_path_factory.mktemp("planted") / "crmbridge"
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, target, ignore=ignored)
    return target


def run_scenarios(copy: Path, names: Iterable[str]) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(copy), str(copy / "schemas")])
    wanted = [f"tests/scenarios/test_scenarios.py::test_scenario[{name}]" for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *wanted]
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


def showing(rule: str) -> list[str]:
    """The scenarios that show a rule."""
    return [name for name, rules in SCENARIOS.items() if rule in rules]


def test_without_a_planted_bug_the_scenarios_pass(copy: Path) -> None:
    found = run_scenarios(copy, sorted({name for rule, *_ in BUGS.values() for name in showing(rule)}))
    assert found.returncode == 0, found.stdout[-3000:]
    where = [sys.executable, "-c", "import crmbridge; print(crmbridge.__file__)"]
    paths = {**os.environ, "PYTHONPATH": str(copy)}
    told = subprocess.run(where, cwd=copy, env=paths, capture_output=True, text=True, check=True)
    assert str(copy) in told.stdout, "the copy is not what was tested"


@pytest.mark.parametrize("name", BUGS)
def test_a_scenario_of_the_rule_finds(name: str, copy: Path) -> None:
    rule, file, sound, broken = BUGS[name]
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert text.count(sound) == 1, f"{file} no longer holds the text that the bug {name!r} replaces"
    path.write_text(text.replace(sound, broken), encoding="utf-8")
    try:
        found = run_scenarios(copy, showing(rule))
    finally:
        path.write_text(text, encoding="utf-8")
    failed = [
        one
        for one in showing(rule)
        if f"FAILED tests/scenarios/test_scenarios.py::test_scenario[{one}]" in found.stdout
    ]
    assert failed, f"no scenario of {rule} noticed: {name}\n{found.stdout[-1500:]}"
