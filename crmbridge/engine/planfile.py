"""Plan files: what `plan --out` saves and `apply` reads. JSON Lines: a header, then the operations.

A plan may be long: it is written and read an operation at a time.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from crmbridge.engine.operations import Planned, decode, encode
from crmbridge.sdk.errors import ConfigError

__all__ = ["SavedPlan", "load_plan", "save_plan"]

VERSION = 1


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan file. Its operations are read whenever they are gone through, so the file has to stay."""

    path: Path
    made_at: str
    count: int
    """How many operations it holds."""
    undo: tuple[int, int] | None = None
    """Of a plan that undoes a run: the run, and the time at which its old values are said again."""

    def __iter__(self) -> Iterator[Planned]:
        with _opened(self.path) as file:
            _header(file, self.path)
            yield from _operations(file, self.path)


def save_plan(path: Path, made_at: datetime, operations: Iterable[Planned], more: Mapping[str, Any]) -> None:
    """Write a plan. It holds data: only its owner may read it.

    more: further parts of the header.
    """
    header = {"crmbridge_plan": VERSION, "made_at": made_at.isoformat(), "by": socket.gethostname(), **more}
    temporary = path.with_name(path.name + ".part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for operation in operations:
            file.write(encode(operation) + "\n")
    temporary.replace(path)


def load_plan(path: Path) -> SavedPlan:
    """Read a plan file through. Raises ConfigError where it is none, with the line."""
    with _opened(path) as file:
        header = _header(file, path)
        count = sum(1 for _ in _operations(file, path))
    undo = header.get("undo")
    return SavedPlan(path, str(header.get("made_at")), count, tuple(undo) if undo else None)


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the plan {path}: {error.strerror}") from None


def _header(file: TextIO, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(file.readline() or "null")
    except (ValueError, OSError):
        raise ConfigError("this is no plan of crmbridge", position=f"{path}:1:1") from None
    if not isinstance(header, dict) or header.get("crmbridge_plan") != VERSION:
        raise ConfigError("this is no plan of this version of crmbridge", position=f"{path}:1:1")
    return header


def _operations(file: TextIO, path: Path) -> Iterator[Planned]:
    number = 2
    try:
        for line in file:
            yield _operation(line, f"{path}:{number}:1")
            number += 1
    except UnicodeDecodeError:
        raise ConfigError("this line is no operation of a plan", position=f"{path}:{number}:1") from None


def _operation(line: str, position: str) -> Planned:
    try:
        return decode(line)
    except Exception:  # noqa: BLE001 - whatever is wrong with the line, it is no operation
        raise ConfigError("this line is no operation of a plan", position=position) from None
