"""Plan files: what `plan --out` saves and `apply` reads. JSON Lines: a header, then the operations."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from crmbridge.engine.operations import Planned, decode, encode
from crmbridge.sdk.errors import ConfigError

__all__ = ["SavedPlan", "load_plan", "save_plan"]

VERSION = 1


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan file that was read."""

    path: Path
    made_at: str
    operations: tuple[Planned, ...]
    undo: tuple[int, int] | None = None
    """Of a plan that undoes a run: the run, and the time at which its old values are said again."""


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
    """Read a plan file. Raises ConfigError where it is none, with the line."""
    try:
        with path.open(encoding="utf-8") as file:
            header = json.loads(file.readline() or "null")
            if not isinstance(header, dict) or header.get("crmbridge_plan") != VERSION:
                raise ConfigError("this is no plan of this version of crmbridge", position=f"{path}:1:1")
            operations = tuple(_operation(line, f"{path}:{number}:1") for number, line in enumerate(file, 2))
    except OSError as error:
        raise ConfigError(f"cannot read the plan {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError("this is no plan of crmbridge", position=f"{path}:1:1") from None
    undo = header.get("undo")
    return SavedPlan(path, str(header.get("made_at")), operations, tuple(undo) if undo else None)


def _operation(line: str, position: str) -> Planned:
    try:
        return decode(line)
    except Exception:  # noqa: BLE001 - whatever is wrong with the line, it is no operation
        raise ConfigError("this line is no operation of a plan", position=position) from None
