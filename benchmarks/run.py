"""Measure crmbridge against a hand-written floor and a peer, all in the same run on the same data.

python benchmarks/run.py [--quick] [--no-sync]     writes benchmarks/results.json and docs/performance.md

BENCH_SIZES=100000,1000000 says how many customers; --quick means 20,000, which shows that all works, judges
nothing and writes nothing; --no-sync leaves out the whole sync, the slowest job. Every
job is a process of its own and runs three times, in turns with the others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.measure import Measured, measure, output, server
from benchmarks.report import FIND, Raw, report

ROUNDS = 3
SIZES = "100000,1000000"
QUICK = "20000"
SYNC_SIZE = 100_000
SLOW = 100_000
"""Jobs that are far slower than the others are not run with more customers than that."""


@dataclass(frozen=True, slots=True)
class Job:
    """One way to keep a copy of the customers."""

    name: str
    module: str
    mode: str
    kind: str
    """See count.py."""
    slow: bool = False

    def command(self, url: str, folder: Path) -> list[str | Path]:
        """What brings the copy in `folder` up to date."""
        place = folder if self.module == "peer_dlt" else folder / "copy.db"
        words = ["pull", self.mode] if self.module == "ours" else [self.mode]
        return [sys.executable, "-m", f"benchmarks.{self.module}", *words, url, place]


JOBS = (
    Job("floor, cursor", "floor", "cursor", "floor"),
    Job("crmbridge, cursor", "ours", "cursor", "ours"),
    Job("floor, full compare", "floor", "full", "floor"),
    Job("crmbridge, full compare", "ours", "full", "ours"),
    Job("dlt to DuckDB, parquet", "peer_dlt", "duckdb", "duckdb"),
    Job("dlt to SQLite", "peer_dlt", "sqlite", "sqlite", slow=True),
)


def main() -> int:
    """Measure everything. 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20,000 customers: does it work?")
    parser.add_argument("--no-sync", action="store_true", help="leave out the whole sync")
    chosen = parser.parse_args()
    quick = chosen.quick
    sizes = [int(size) for size in (QUICK if quick else os.environ.get("BENCH_SIZES", SIZES)).split(",")]
    raw: Raw = {}
    with tempfile.TemporaryDirectory(prefix="crmbridge-bench-") as name:
        for size in sizes:
            data = Path(name, str(size))
            data.mkdir()
            say(f"making {size:,} customers")
            output([sys.executable, "-m", "benchmarks.data", data, str(size)])
            for number in range(ROUNDS):
                with server(data) as address:
                    one_round(raw, size, number, address, data)
                    if size <= SYNC_SIZE and not chosen.no_sync:
                        whole_sync(raw, size, number, address, data)
            shutil.rmtree(data)
    for _ in range(2 * ROUNDS):
        keep(
            raw,
            0,
            "crmbridge --version",
            "start",
            measure([Path(sys.executable).with_name("crmbridge"), "--version"]),
        )
    return report(raw, keep=not quick)


def one_round(raw: Raw, size: int, number: int, address: str, data: Path) -> None:
    """Every job once."""
    for job in JOBS:
        if job.slow and size > SLOW:
            continue
        say(f"{size:,} customers, round {number + 1} of {ROUNDS}: {job.name}")
        with tempfile.TemporaryDirectory(dir=data) as folder:
            copy = Path(folder)
            for what, version in (("load", "v1"), ("second run", "v2")):
                measured = measure(job.command(f"{address}/{version}/customers", copy))
                keep(raw, size, job.name, what, measured)
                check(job, copy, data, version)


def whole_sync(raw: Raw, size: int, number: int, address: str, data: Path) -> None:
    """Pull, resolve, merge, plan and push into an empty system."""
    say(f"{size:,} customers, round {number + 1} of {ROUNDS}: whole sync")
    with tempfile.TemporaryDirectory(dir=data) as folder:
        command = [sys.executable, "-m", "benchmarks.ours", "sync", f"{folder}/copy.db"]
        target = f"{address}/target{number}/customers"
        measured = measure([*command, f"{address}/v1/customers", target])
        keep(raw, size, "crmbridge", "whole sync", measured)
        expect("whole sync", "ours", Path(folder), 2 * size)
        search = [sys.executable, "-m", "benchmarks.ours", "find", f"{folder}/copy.db"]
        wall, cpu = map(float, output([*search, f"{address}/v1/customers", target]).split())
        memory = measure([*search, f"{address}/v1/customers", target]).memory
        keep(raw, size, "crmbridge", FIND, Measured(wall, cpu, memory))


def keep(raw: Raw, size: int, job: str, what: str, measured: Measured) -> None:
    """Remember one run."""
    raw.setdefault((size, job, what), []).append(measured)


def check(job: Job, copy: Path, data: Path, version: str) -> None:
    """Raises RuntimeError unless the job did its work. Who reads by cursor sees no deletes."""
    first, second = ((data / f"{v}.ids").stat().st_size // 8 for v in ("v1", "v2"))
    expected = second if version == "v2" else first
    if version == "v2" and job.mode != "full":
        expected = first + first // 1000
    expect(f"{job.name} of {version}", job.kind, copy, expected)


def expect(name: str, kind: str, copy: Path, expected: int) -> None:
    """Raises RuntimeError unless so many customers are there."""
    found = int(output([sys.executable, "-m", "benchmarks.count", kind, copy]))
    if found != expected:
        raise RuntimeError(f"{name}: {found:,} customers are there, expected {expected:,}")


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
