"""Runs tests in forked children: what no mutant changes is imported once, a mutant costs its tests only."""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

LOWER = ("crmbridge.sdk", "crmbridge.yamlfile", "crmbridge.config", "crmbridge.plugins", "crmbridge.store")
"""The layers below the mutated ones: they can be imported before there is a mutant."""
MEMORY = 3 << 30
"""Bytes of address space a child may take: some mutants never stop collecting."""


@dataclass
class Baseline:
    """How the tests do without a mutant."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Test -> CPU seconds; those that passed."""
    failed: list[str] = field(default_factory=list)
    reached: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Test -> mutated file -> the lines that it runs; of a function also the first, where it is called."""
    collected: dict[str, list[int]] = field(default_factory=dict)
    """Mutated file -> the lines that run while tests are collected: what their modules make at import."""
    modules: list[str] = field(default_factory=list)
    """What was imported."""

    def add(self, other: Baseline) -> None:
        """What another process found out about other tests."""
        self.seconds |= other.seconds
        self.failed += other.failed
        self.reached |= other.reached
        self.collected |= other.collected
        self.modules += [name for name in other.modules if name not in self.modules]


def enter(copy: Path) -> None:
    """Make `copy` the project that this process and its children import and test."""
    os.chdir(copy)
    sys.path[:0] = [str(copy), str(copy / "schemas")]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "crmbridge")]:
        del sys.modules[name]
    sys.dont_write_bytecode = True


def quick_hypothesis() -> None:
    """The same examples each time, and no search for the smallest one: that it fails is enough."""
    from hypothesis import Phase, settings

    phases = [Phase.explicit, Phase.generate]
    settings.register_profile("mutants", derandomize=True, database=None, deadline=None, phases=phases)
    settings.load_profile("mutants")


def warm_up(modules: Iterable[str], mutated: Iterable[str]) -> None:
    """Import what no mutant changes."""
    for name in modules:
        if name.startswith(LOWER) or name.partition(".")[0] not in (
            "crmbridge",
            "tests",
            "__main__",
            "__mp_main__",
        ):
            try:
                importlib.import_module(name)
            except ImportError:
                continue  # a submodule that only exists while its package loads
    early = [name for name in sys.modules if name.startswith(tuple(mutated))]
    if early:
        raise RuntimeError(f"imported before the mutant was made: {early}; correct LOWER in {__file__}")


class Chosen:
    """Runs the given tests (with the CPU seconds that each may take) in the given order and notes the first
    that fails. One that takes longer ends the process."""

    def __init__(self, tests: dict[str, float]) -> None:
        self.limits = tests
        self.order = {test: place for place, test in enumerate(tests)}
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        signal.setitimer(signal.ITIMER_PROF, self.limits[item.nodeid])
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


class Watching:
    """Notes how long each test takes and which lines of the mutated files it runs. `share`: (which, of how
    many) parts of the tests."""

    def __init__(self, folder: Path, files: set[str], share: tuple[int, int]) -> None:
        self.paths = {str(folder / file): file for file in files}
        self.share = share
        self.result = Baseline()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        number, parts = self.share
        items[:] = items[number::parts]

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, Any, Any]:
        with self._watched(self.result.collected):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        began = time.process_time()
        try:
            with self._watched(self.result.reached.setdefault(item.nodeid, {})):
                return (yield)
        finally:
            self.result.seconds[item.nodeid] = time.process_time() - began

    @contextmanager
    def _watched(self, reached: dict[str, list[int]]) -> Iterator[None]:
        """Adds to `reached` the lines that run meanwhile."""
        unseen: dict[CodeType, set[int]] = {}

        def enters(frame: Any, event: str, arg: Any) -> Any:
            code = frame.f_code
            if code.co_filename not in self.paths:
                return None
            left = unseen.get(code)
            if left is None:
                left = unseen[code] = {line for _, _, line in code.co_lines() if line}
                left.discard(code.co_firstlineno)
            return runs if left else None

        def runs(frame: Any, event: str, arg: Any) -> Any:
            unseen[frame.f_code].discard(frame.f_lineno)
            return runs

        threading.settrace(enters)
        sys.settrace(enters)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)
            reached.update(self._reached(unseen))

    def _reached(self, unseen: dict[CodeType, set[int]]) -> dict[str, list[int]]:
        reached: dict[str, set[int]] = {}
        for code, left in unseen.items():
            lines = {line for _, _, line in code.co_lines() if line} - left
            reached.setdefault(self.paths[code.co_filename], set()).update(lines, [code.co_firstlineno])
        return {file: sorted(lines) for file, lines in reached.items()}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.result.failed.append(report.nodeid)

    def finish(self) -> Baseline:
        """What was seen."""
        for test in self.result.failed:
            self.result.seconds.pop(test, None)
            self.result.reached.pop(test, None)
        self.result.modules = list(sys.modules)
        return self.result


def _pytest(paths: Iterable[str], plugin: object) -> int:
    quick_hypothesis()
    arguments = ["-x"] if isinstance(plugin, Chosen) else []
    fixed = ["--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir=."]
    return int(pytest.main([*arguments, *fixed, *paths], plugins=[plugin]))


def measure(tests: list[str], watching: Watching, answer: Path) -> None:
    """Run these tests once in a child and write the `Baseline` to `answer`."""

    def work() -> int:
        code = _pytest(tests, watching)
        answer.write_text(json.dumps(vars(watching.finish())), encoding="utf-8")
        return code

    code, _ = in_child(work, 3600)
    if code not in (0, 1):
        raise RuntimeError(f"the tests cannot be run without a mutant: pytest ended with {code}")


def run_tests(tests: dict[str, float], answer: Path) -> tuple[str, str, float]:
    """(killed, survived or timeout; the test that noticed; CPU seconds). `tests`: each with its limit in CPU
    seconds."""

    def work() -> int:
        chosen = Chosen(tests)
        code = _pytest(sorted({test.partition("::")[0] for test in tests}), chosen)
        answer.write_text(chosen.failed or ("" if code == 0 else "collection"), encoding="utf-8")
        return code

    answer.write_text("", encoding="utf-8")
    code, seconds = in_child(work, 10 + sum(tests.values()))
    if code in (-signal.SIGPROF, -signal.SIGXCPU, -signal.SIGKILL, -signal.SIGALRM):
        return "timeout", "", seconds
    return ("survived" if code == 0 else "killed"), answer.read_text(encoding="utf-8"), seconds


def in_child(work: Callable[[], int], limit: float) -> tuple[int, float]:
    """(exit code, CPU seconds) of `work` in a forked child that gets `limit` CPU seconds, and ten times that
    of real time."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 3))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(int(limit) * 10 + 10)
            silent = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silent, stream)
            code = work()
        finally:
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), round(used.ru_utime + used.ru_stime, 2)
