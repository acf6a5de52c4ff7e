"""Twelve bugs of the kind that sync engines have, each planted into a copy: the suite finds every one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = ["tests/scenarios"]

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

BUGS: dict[str, tuple[str, str, str]] = {
    # name: (file, what stands there, what the bug makes of it)
    "strict cursor": (
        "crmbridge/connectors/memory/connector.py",
        "if self._position(row) >= since",
        "if self._position(row) > since",
    ),
    "no echo rule": (
        "crmbridge/engine/native.py",
        "wrote(link, change.path, statement, holds, reading.at, _stood_there(change))",
        "pass",
    ),
    "what was sent is forgotten": (
        "crmbridge/engine/plan.py",
        "if state and state.sent and same(path, state.sent.value, desired, element):",
        "if False:",
    ),
    "a lost clear": (
        "crmbridge/identity/survive.py",
        "        if own.time == 0:\n            return None\n",
        "        if own.value is None:\n            return None\n",
    ),
    "no tombstone": (
        "crmbridge/engine/removals.py",
        '            row.status, row.raw_hash = status, b""\n',
        '            row.golden_id, row.status, row.raw_hash = None, status, b""\n',
    ),
    "authority by holder": (
        "crmbridge/identity/survive.py",
        (
            "        link = self.links.get(said.origin) or self.dead.get(said.origin)\n"
            '        return link.system if link else ""\n'
        ),
        HOLDER,
    ),
    "first contact by time": (
        "crmbridge/engine/intake.py",
        "read_at=self.read_at,\n            )",
        IMPORT_DATE,
    ),
    "a list replaced whole": (
        "crmbridge/engine/native.py",
        "    for child, local in _with_locals(out.shape.lists[name], rule, out.record):\n",
        "    for child, local in ():\n",
    ),
    "a stale plan applied": (
        "crmbridge/engine/sync.py",
        '            run.store.drop_intents(["planned"], left)\n',
        "            pass\n",
    ),
    "parked and forgotten": (
        "crmbridge/engine/golden.py",
        'self._owe(golden_id, note.system, note.kind, f"{note.path} {note.text}")',
        "pass",
    ),
    "the limit after the first write": (
        "crmbridge/engine/sync.py",
        "    if outcome.limit is not None:\n",
        "    if outcome.limit is not None:\n        _push_all(run)\n",
    ),
    "a dead letter that stops the page": (
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


def run_suite(copy: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(copy), str(copy / "schemas")])
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "2", "-p", "no:cacheprovider", *SUITE]
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


def test_without_a_planted_bug_the_suite_passes(copy: Path) -> None:
    found = run_suite(copy)
    assert found.returncode == 0, found.stdout[-3000:]
    where = [sys.executable, "-c", "import crmbridge; print(crmbridge.__file__)"]
    paths = {**os.environ, "PYTHONPATH": str(copy)}
    told = subprocess.run(where, cwd=copy, env=paths, capture_output=True, text=True, check=True)
    assert str(copy) in told.stdout, "the copy is not what was tested"


@pytest.mark.parametrize("name", BUGS)
def test_the_suite_finds(name: str, copy: Path) -> None:
    file, sound, broken = BUGS[name]
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert text.count(sound) == 1, f"{file} no longer holds the text that the bug {name!r} replaces"
    path.write_text(text.replace(sound, broken), encoding="utf-8")
    try:
        found = run_suite(copy)
    finally:
        path.write_text(text, encoding="utf-8")
    assert "FAILED tests/scenarios" in found.stdout, f"nobody noticed: {name}\n{found.stdout[-1500:]}"
