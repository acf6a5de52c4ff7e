"""Mutation testing: does a test fail when one small thing in the engine or a mapping breaks?

    make mutants                              500 mutants, two at a time
    make mutants ARGS="--count 50 --seed 7"   fewer, others
    make mutants ARGS="--folder mapping"      of the mappings only
    make mutants ARGS="--only engine/plan.py" those of the chosen ones whose id holds the text

The 500 are of the engine, of the merge (`identity/`) and of the mappings; `--folder views` tries what shows
records. A seed always chooses the same mutants of the same source, out of all but those that
`equivalent.yaml` names with a reason. Each is tried in a copy of the project against the unit tests and
scenarios of its layer that run the changed line: its module's own tests first, then the quickest, until one
fails. What survives is printed with its change and written to `.mutants/results.json` with the
rest. Exit code 1: fewer than 85 % were noticed (a test that never ends has noticed), not all could be tried
in time, or a test fails without any mutant.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import yaml

from tests.mutation import forked
from tests.mutation.operators import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".mutants" / "results.json"
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
TARGET = 85
ENGINE = ("tests/identity", "tests/engine", "tests/views", "tests/scenarios", "tests/cli")
AREAS: dict[str, tuple[str, ...]] = {
    "crmbridge/mapping/*.py": ("tests/mapping", "tests/scenarios"),
    "crmbridge/engine/*.py": ENGINE,
    "crmbridge/views/*.py": ENGINE,
    "crmbridge/identity/*.py": ENGINE,
    "crmbridge/mapping/jsonschema.py": ("tests/cli", "tests/test_config.py"),
}
"""What can be mutated and the tests that should notice; the last line that names a file holds."""
FOLDERS = ("engine", "identity", "mapping")
"""What is mutated unless other folders are asked for."""
SLOW = "tests/engine/test_laws.py"
"""Left out: they try hundreds of worlds, and no mutant would wait for them."""
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant."""

    mutant: Mutant
    status: str
    """killed, survived or timeout."""
    killed_by: str
    tests: int
    """How many tests run the changed line and were there to notice."""
    seconds: float
    """CPU time."""
    diff: str

    @property
    def id(self) -> str:
        return name_of(self.mutant)


@dataclass(frozen=True)
class Equivalent:
    """A mutant that is the same program to everybody who uses it: it is left out."""

    file: str
    was: str
    now: str
    why: str

    @property
    def diff(self) -> str:
        return f"- {self.was}\n+ {self.now}"


def name_of(mutant: Mutant) -> str:
    """What a person calls it."""
    return f"{mutant.file}:{mutant.line} {mutant.operator} at byte {mutant.start}"


def suites_of(root: Path, folders: Sequence[str] = FOLDERS) -> dict[str, list[str]]:
    """Mutated file of these folders -> the folders or files with its tests."""
    found = {}
    for pattern, tests in AREAS.items():
        for path in sorted(root.glob(pattern)):
            if path.name != "__init__.py" and path.parent.name in folders:
                found[path.relative_to(root).as_posix()] = [f for f in tests if (root / f).exists()]
    return found


def equivalent() -> list[Equivalent]:
    """The mutants that no test can notice, each with its reason."""
    return [Equivalent(**one) for one in yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8"))]


def possible_mutants(root: Path, files: Iterable[str]) -> dict[str, list[Mutant]]:
    """All mutants of the files without the equivalent ones."""
    same = {(one.file, one.diff) for one in equivalent()}
    found = {}
    for file in files:
        source = (root / file).read_bytes()
        found[file] = [one for one in mutants_of(file, source) if (file, one.diff(source)) not in same]
    return found


def choose(by_file: dict[str, list[Mutant]], count: int, seed: int) -> list[Mutant]:
    """`count` mutants: at least one of each file, beyond that each file by its number of places."""
    chance = random.Random(seed)
    first, rest = [], []
    for file in sorted(by_file):
        shuffled = chance.sample(by_file[file], len(by_file[file]))
        first.extend(shuffled[:1])
        rest.extend(shuffled[1:])
    more = max(count - len(first), 0)
    chosen = first + chance.sample(rest, min(more, len(rest)))
    return chance.sample(chosen, min(count, len(chosen)))


def noticing(mutant: Mutant, suites: Sequence[str], baseline: forked.Baseline, budget: float) -> list[str]:
    """The tests that run what is changed: the module's own first, then the quickest, as many as `budget`
    seconds allow."""
    first, last = mutant.lines
    if any(first <= line <= last for line in baseline.collected.get(mutant.file, [])):
        last = 0  # every test may have something that was made with it

    def reaches(test: str) -> bool:
        lines = baseline.reached[test].get(mutant.file, [])
        return any(first <= line <= last for line in lines) if last else bool(lines)

    tests = [test for test in baseline.reached if test.startswith(tuple(suites)) and reaches(test)]
    path = Path(mutant.file)
    own = f"tests/{path.parent.name}/test_{path.stem}"
    ordered = sorted(tests, key=lambda test: (not test.startswith(own), baseline.seconds[test], test))
    sums = accumulate(baseline.seconds[test] for test in ordered)
    return [test for test, so_far in zip(ordered, sums, strict=True) if so_far <= budget] or ordered[:1]


def copy_project(target: Path) -> Path:
    """The project, to plant mutants in."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
    shutil.copytree(ROOT, target, ignore=ignored)
    return target


def without_mutants(copies: list[Path], suites: set[str], files: set[str]) -> forked.Baseline:
    """One run of all the tests, shared out evenly over as many processes as there are copies."""

    def watch(number: int) -> None:
        forked.enter(copies[number])
        tests = [*sorted(suites), f"--ignore={SLOW}"]
        watching = forked.Watching(copies[number], files, (number, len(copies)))
        forked.measure(tests, watching, _answer(copies[number]))

    workers = [FORK.Process(target=watch, args=(number,)) for number in range(len(copies))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = forked.Baseline()
    for copy in copies:
        if not _answer(copy).is_file():
            sys.exit("The tests do not run in a copy of the project: try `make test` first.")
        found.add(forked.Baseline(**json.loads(_answer(copy).read_text(encoding="utf-8"))))
    return found


def _answer(copy: Path) -> Path:
    return copy.parent / f"{copy.name}.json"


def work_off(copy: Path, modules: list[str], tasks: SimpleQueue[Any], verdicts: SimpleQueue[Any]) -> None:
    """One worker: plants mutant after mutant in its copy."""
    forked.enter(copy)
    forked.warm_up(modules, [f"crmbridge.{folder}" for folder in (*FOLDERS, "views")])
    while (task := tasks.get()) is not None:
        mutant, tests = task
        path = copy / mutant.file
        source = path.read_bytes()
        try:
            path.write_bytes(mutant.apply(source))
            status, by, seconds = forked.run_tests(tests, copy.parent / f"{copy.name}.txt")
        finally:
            path.write_bytes(source)
        verdicts.put(Verdict(mutant, status, by, len(tests), seconds, mutant.diff(source)))


def try_all(
    chosen: list[Mutant], copies: list[Path], suites: dict[str, list[str]], options: argparse.Namespace
) -> dict[str, Any]:
    """Try every mutant, telling as it goes; returns what `results.json` holds."""
    ends = time.monotonic() + 60 * options.minutes
    files = {mutant.file for mutant in chosen}
    baseline = without_mutants(copies, {suite for file in files for suite in suites[file]}, files)
    tell(
        f"{len(baseline.seconds)} tests take {sum(baseline.seconds.values()):.0f} s (watched, one at a time)"
    )
    for test in baseline.failed:
        tell(f"FAILS WITHOUT ANY MUTANT, left out: {test}")
    tasks: SimpleQueue[Any] = FORK.SimpleQueue()
    answers: SimpleQueue[Any] = FORK.SimpleQueue()
    workers = [FORK.Process(target=work_off, args=(c, baseline.modules, tasks, answers)) for c in copies]
    for worker in workers:
        worker.start()
    verdicts: list[Verdict] = []
    waiting = list(reversed(chosen))
    sent = 0
    while waiting or sent:
        if time.monotonic() > ends:
            waiting.clear()
        while waiting and sent < 2 * len(workers):
            mutant = waiting.pop()
            tests = noticing(mutant, suites[mutant.file], baseline, options.budget)
            if tests:
                tasks.put((mutant, {test: 3 + 5 * baseline.seconds[test] for test in tests}))
                sent += 1
            else:
                diff = mutant.diff((copies[0] / mutant.file).read_bytes())
                uncalled = Verdict(mutant, "survived", "", 0, 0.0, diff)
                verdicts.append(told(uncalled, len(verdicts), len(chosen)))
        if sent:
            verdicts.append(told(answers.get(), len(verdicts), len(chosen)))
            sent -= 1
    for _ in workers:
        tasks.put(None)
    for worker in workers:
        worker.join()
    if not verdicts:
        sys.exit(f"The tests alone took more than {options.minutes} minutes: no mutant was tried.")
    return {"fails_without_mutant": baseline.failed, **summary(verdicts)}


def told(verdict: Verdict, before: int, total: int) -> Verdict:
    """Tell about a mutant."""
    by = verdict.killed_by.rpartition("::")[2] if verdict.status == "killed" else f"{verdict.tests} tests"
    tell(f"{before + 1:4}/{total} {verdict.status:8} {verdict.seconds:6.1f} s  {verdict.id}  ({by})")
    return verdict


def tell(text: str) -> None:
    """One line on the screen, at once."""
    print(text, flush=True)


def summary(verdicts: list[Verdict]) -> dict[str, Any]:
    """The counts, by file and in all, and every mutant."""
    files: dict[str, Counter[str]] = {}
    mutants = []
    for one in sorted(verdicts, key=lambda v: (v.mutant.file, v.mutant.start)):
        files.setdefault(one.mutant.file, Counter())[one.status] += 1
        said = {"id": one.id, "status": one.status, "killed_by": one.killed_by, "seconds": one.seconds}
        mutants.append({**said, "tests": one.tests, "diff": one.diff})
    noticed = sum(one.status != "survived" for one in verdicts)
    percent = round(100 * noticed / len(verdicts), 1)
    return {
        "count": len(verdicts),
        "noticed_percent": percent,
        "target_percent": TARGET,
        "files": {file: dict(counts) for file, counts in files.items()},
        "mutants": mutants,
    }


def print_summary(results: dict[str, Any]) -> None:
    """The table and the survivors."""
    tell(f"\n{'file':40} killed survived timeout")
    for file, counts in results["files"].items():
        tell(f"{file:40} " + " ".join(f"{counts.get(s, 0):7}" for s in ("killed", "survived", "timeout")))
    for one in results["mutants"]:
        if one["status"] == "survived":
            tell(f"\n{one['id']} (run by {one['tests']} tests)\n{one['diff']}")
    tell(f"\nseed {results['seed']}: {results['noticed_percent']} % of {results['count']} noticed")
    tell(
        f"(at least {TARGET} % wanted), in {results['minutes']} minutes; details: {RESULTS.relative_to(ROOT)}"
    )


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="make mutants", description="mutation testing")
    parser.add_argument("--count", type=int, default=500, help="how many mutants (500)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument("--minutes", type=int, default=45, help="start no further mutant after these (45)")
    parser.add_argument(
        "--budget", type=float, default=120, help="watched seconds of tests for each mutant (120)"
    )
    parser.add_argument(
        "--folder",
        action="append",
        choices=[*FOLDERS, "views"],
        help="mutate this one only (engine, identity and mapping); may be given again",
    )
    parser.add_argument("--only", default="", help="of the chosen ones those whose id holds this text")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [copy_project(Path(folder) / str(number)) for number in range(options.jobs)]
        suites = suites_of(copies[0], options.folder or FOLDERS)
        by_file = possible_mutants(copies[0], suites)
        chosen = [m for m in choose(by_file, options.count, options.seed) if options.only in name_of(m)]
        tell(f"{len(chosen)} of {sum(map(len, by_file.values()))} possible mutants, seed {options.seed}")
        if not chosen:
            return 2
        results = try_all(chosen, copies, suites, options)
    results = {"seed": options.seed, "minutes": round((time.monotonic() - began) / 60, 1), **results}
    all_tried = results["count"] == len(chosen)
    results["ok"] = results["noticed_percent"] >= TARGET and all_tried and not results["fails_without_mutant"]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print_summary(results)
    return 0 if results["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
