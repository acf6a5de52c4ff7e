"""Processes, measured: wall clock, CPU and memory of each, and the server that they talk to.

This module and `run.py` import nothing large: the peak that the kernel reports for a process is never less
than what its parent had when it was started.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

__all__ = ["ROOT", "Measured", "measure", "middle", "output", "server"]

ROOT = Path(__file__).parents[1]
PER_MEGABYTE = 1 << (20 if sys.platform == "darwin" else 10)
"""The kernel counts memory in bytes on macOS and in kilobytes elsewhere."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a process took, its children included."""

    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """Seconds, user and system."""
    memory: float
    """Peak resident set, megabytes."""


def measure(command: Sequence[str | Path]) -> Measured:
    """Run a command to its end. Raises RuntimeError with what it said if it fails."""
    started = time.perf_counter()
    with subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{said.decode(errors='replace')}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / PER_MEGABYTE)


def middle(runs: Sequence[Measured]) -> Measured:
    """The median of each number."""
    return Measured(*(median(getattr(run, one.name) for run in runs) for one in fields(Measured)))


def output(command: Sequence[str | Path]) -> str:
    """What a command prints."""
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=_environment(), check=True, capture_output=True
    )
    return done.stdout.decode().strip()


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The server with the customers of a folder; its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", folder],
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def _environment() -> dict[str, str]:
    """Ours, with compiled modules kept: what is installed was compiled once, not at every start."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT)}
