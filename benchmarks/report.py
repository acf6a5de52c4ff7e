"""Measurements -> ratios, judged against targets: a table, results.json and docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import ROOT, Measured, middle

__all__ = ["FIND", "Raw", "Result", "report"]

Raw = dict[tuple[int, str, str], list[Measured]]
"""(number of customers, job, what it did) -> each run. 0 customers: nothing to do with any."""

MILLION = 1_000_000
HUNDRED = 100_000
FIND = "find, the slowest question"
FOLDER = ROOT / "benchmarks"
LIBRARIES = ("httpx", "msgspec", "orjson", "pydantic", "sqlalchemy", "dlt", "duckdb", "pyarrow")


@dataclass(frozen=True, slots=True)
class Result:
    """One figure; `target` and `ok` are None where none is set."""

    name: str
    value: float
    unit: str
    target: str | None = None
    ok: bool | None = None


def report(raw: Raw, *, keep: bool) -> int:
    """Print everything, and with `keep` write it. 1 if a target is missed, else 0."""
    medians = {key: middle(runs) for key, runs in raw.items()}
    judged = list(_judged(medians))
    text = _markdown(judged, raw, medians)
    print(text)
    if keep:
        _write(text, [*judged, *_figures(medians)])
    return int(any(result.ok is False for result in judged))


def _write(text: str, results: list[Result]) -> None:
    figures = [asdict(result) for result in results]
    (FOLDER / "results.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (ROOT / "docs" / "performance.md").write_text(text, encoding="utf-8")


# -- ratios and targets ------------------------------------------------------------------------


def _judged(medians: Mapping[tuple[int, str, str], Measured]) -> Iterator[Result]:
    sizes = sorted({size for size, _, _ in medians if size})
    for size in sizes:
        of_size = {(job, what): found for (count, job, what), found in medians.items() if count == size}
        yield from _ratios(size, of_size)
    for job in ("crmbridge, cursor", "crmbridge, full compare"):
        for what in ("load", "second run"):
            small, large = medians.get((HUNDRED, job, what)), medians.get((MILLION, job, what))
            if small and large:
                growth = large.memory / small.memory
                yield _at_most(f"{job}, {what}: memory at 1,000,000 against 100,000", growth, "x", 1.1)
                yield _at_most(f"{job}, {what}: memory at 1,000,000", large.memory, "MB", 150)
    yield _at_most("crmbridge --version", medians[0, "crmbridge --version", "start"].wall, "s", 0.15)


def _ratios(size: int, of: Mapping[tuple[str, str], Measured]) -> Iterator[Result]:
    def target(limit: float, *judged_sizes: int) -> float | None:
        return limit if size in judged_sizes else None

    def ratio(what: str, slower: str, faster: str) -> tuple[float, float]:
        one, other = of[slower, what], of[faster, what]
        return one.cpu / other.cpu, one.wall / other.wall

    n = f"{size:,}"
    cpu, wall = ratio("load", "crmbridge, cursor", "floor, cursor")
    yield _at_most(f"{n}: load against the floor, CPU", cpu, "x", target(2.0, HUNDRED, MILLION))
    yield Result(f"{n}: load against the floor, wall", round(wall, 2), "x")
    cpu, wall = ratio("load", "dlt to DuckDB, parquet", "crmbridge, cursor")
    yield _at_least(
        f"{n}: load, dlt's fast path against crmbridge, CPU", cpu, "x", target(2.0, HUNDRED, MILLION)
    )
    yield _at_least(
        f"{n}: load, dlt's fast path against crmbridge, wall", wall, "x", target(2.0, HUNDRED, MILLION)
    )
    cpu, wall = ratio("second run", "crmbridge, cursor", "floor, cursor")
    yield _at_most(
        f"{n}: second run by cursor against the floor, CPU", cpu, "x", target(2.0, HUNDRED, MILLION)
    )
    yield Result(f"{n}: second run by cursor against the floor, wall", round(wall, 2), "x")
    cpu, wall = ratio("second run", "crmbridge, full compare", "floor, full compare")
    yield _at_most(
        f"{n}: second run by full compare against the floor, CPU", cpu, "x", target(1.2, HUNDRED, MILLION)
    )
    yield Result(f"{n}: second run by full compare against the floor, wall", round(wall, 2), "x")
    if ("crmbridge", "whole sync") in of:
        rate = size / of["crmbridge", "whole sync"].wall
        yield _at_least(
            f"{n}: whole sync into an empty second system", rate, "records/s", target(5000, HUNDRED)
        )
    if ("crmbridge", FIND) in of:
        slowest = of["crmbridge", FIND].wall * 1000
        yield _at_most(f"{n}: {FIND}", slowest, "ms", target(100, HUNDRED))


def _at_most(name: str, value: float, unit: str, limit: float | None) -> Result:
    if limit is None:
        return Result(name, round(value, 2), unit)
    return Result(name, round(value, 2), unit, f"<= {limit:g}", value <= limit)


def _at_least(name: str, value: float, unit: str, limit: float | None) -> Result:
    if limit is None:
        return Result(name, round(value, 2), unit)
    return Result(name, round(value, 2), unit, f">= {limit:g}", value >= limit)


def _figures(medians: Mapping[tuple[int, str, str], Measured]) -> Iterator[Result]:
    for (size, job, what), found in sorted(medians.items()):
        name = f"{size:,}: {job}, {what}" if size else f"{job}, {what}"
        yield Result(f"{name}: wall", round(found.wall, 3), "s")
        yield Result(f"{name}: CPU", round(found.cpu, 3), "s")
        yield Result(f"{name}: peak memory", round(found.memory, 1), "MB")


# -- for people --------------------------------------------------------------------------------


_INTRODUCTION = (
    "Written by `make bench`, never by hand. Customers of 15 fields come from a paginated API on the same",
    "machine, 1,000 a page. The *floor* is a hand-written script of 25 lines that keeps a copy of them in",
    "SQLite: no model, no mapping, no state. *crmbridge* maps, validates and keeps what each record said;",
    "the start of the program is included. The *second run* finds 1 % of the customers changed, 0.1 % new,",
    "and 0.1 % deleted. Look at the ratios: a busy machine is slow for everybody. What was not measured",
    "is not listed.",
)


def _markdown(judged: list[Result], raw: Raw, medians: Mapping[tuple[int, str, str], Measured]) -> str:
    lines = ["# Performance", "", *_INTRODUCTION, ""]
    lines += ["| what | value | target | |", "|---|--:|--:|---|"]
    words = {True: "met", False: "MISSED", None: ""}
    lines += [f"| {r.name} | {r.value:g} {r.unit} | {r.target or ''} | {words[r.ok]} |" for r in judged]
    lines += [
        "",
        f"Medians of {_rounds(raw)} runs; the range of the CPU seconds shows how quiet the machine was.",
        "",
    ]
    lines += ["| customers | job | run | wall s | CPU s | CPU range | CPU µs a customer | peak MB |"]
    lines += ["|--:|---|---|--:|--:|--:|--:|--:|"]
    for (size, job, what), runs in sorted(raw.items()):
        found, cpu = medians[size, job, what], [run.cpu for run in runs]
        count = f"{size:,}" if size else ""
        each = f"{found.cpu / size * 1e6:.1f}" if size else ""
        lines.append(
            f"| {count} | {job} | {what} | {found.wall:.2f} | {found.cpu:.2f} |"
            f" {min(cpu):.2f}-{max(cpu):.2f} | {each} | {found.memory:.0f} |"
        )
    return "\n".join([*lines, "", *_machine(), ""])


def _rounds(raw: Raw) -> int:
    return min(len(runs) for runs in raw.values())


def _machine() -> list[str]:
    names = ", ".join(f"{name} {version(name)}" for name in ("crmbridge", *LIBRARIES))
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    python = f"Python {platform.python_version()} ({platform.platform()})"
    return [
        f"Measured on {datetime.now(UTC):%Y-%m-%d}.",
        f"Machine: {os.cpu_count()} x {_processor()}; load average at the end: {load}.",
        f"{python}; {names}.",
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if sys.platform == "linux" and info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
