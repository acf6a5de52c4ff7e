"""Plan files: what `plan --out` saves and `apply` reads. JSON Lines: a header, the operations, an end.

A plan may be long: it is written and read an operation at a time. The end says how many operations there are
and what their digest is, so that a plan which was cut off or edited is told from a whole one.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from crmbridge.engine.operations import Planned, decode, encode
from crmbridge.sdk.errors import ConfigError

__all__ = ["SavedPlan", "guard_place", "load_plan", "save_plan"]

VERSION = 2
NEW_PLAN = "make a new plan: crmbridge plan --out FILE"


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan file. Its operations are read whenever they are gone through, so the file has to stay."""

    path: Path
    made_at: str
    count: int
    """How many operations it holds."""
    state: str
    """The identity of the state that it was made with."""
    undo: int | None = None
    """Of a plan that undoes a run: the run."""

    def __iter__(self) -> Iterator[Planned]:
        with _opened(self.path) as file:
            _, first = _header(file, self.path)
            yield from _operations(file, self.path, first)


def guard_place(path: Path) -> None:
    """Raises ConfigError where no plan can be saved, or where something else stands that would be lost."""
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}", hint="make it, or name another file")
    if path.exists() and not _is_plan(path):
        text = f"{path} is there and is no plan, so it is not written over"
        raise ConfigError(text, hint="move it, or name another file")


def _is_plan(path: Path) -> bool:
    """Also one that is not whole, or of another version."""
    try:
        with path.open(encoding="utf-8") as file:
            header = json.loads(file.readline() or "null")
    except (ValueError, OSError):
        return False
    return isinstance(header, dict) and "crmbridge_plan" in header


def save_plan(path: Path, made_at: datetime, operations: Iterable[Planned], more: Mapping[str, Any]) -> None:
    """Write a plan. It holds data: only its owner may read it.

    more: further parts of the header. Raises ConfigError where it cannot be written.
    """
    guard_place(path)
    header = {"crmbridge_plan": VERSION, "made_at": made_at.isoformat(), "by": socket.gethostname(), **more}
    temporary = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            _write(file, json.dumps(header), operations)
        temporary.replace(path)
    except OSError as error:
        text = f"cannot write the plan {path}: {error.strerror}"
        raise ConfigError(text, hint="name another file") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def _write(file: TextIO, header: str, operations: Iterable[Planned]) -> None:
    digest, count = hashlib.sha256(header.encode()), 0
    file.write(header + "\n")
    for operation in operations:
        line = encode(operation)
        digest.update(line.encode())
        count += 1
        file.write(line + "\n")
    file.write(json.dumps({"operations": count, "sha256": digest.hexdigest()}) + "\n")


def load_plan(path: Path) -> SavedPlan:
    """Read a plan file through. Raises ConfigError with the line where it is none, or not as it was saved."""
    with _opened(path) as file:
        header, first = _header(file, path)
        count = sum(1 for _ in _operations(file, path, first))
    made_at, state = str(header.get("made_at")), str(header.get("state"))
    return SavedPlan(path, made_at, count, state, header.get("undo"))


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the plan {path}: {error.strerror}", hint=NEW_PLAN) from None


def _header(file: TextIO, path: Path) -> tuple[dict[str, Any], str]:
    """The header, and its line."""
    position = f"{path}:1:1"
    try:
        line = file.readline().rstrip("\n")
        header = json.loads(line or "null")
    except (ValueError, OSError):
        header = None
    if not isinstance(header, dict) or "crmbridge_plan" not in header:
        raise ConfigError("this is no plan of crmbridge", position=position, hint=NEW_PLAN)
    if header["crmbridge_plan"] != VERSION:
        raise ConfigError("this plan is of another version of crmbridge", position=position, hint=NEW_PLAN)
    return header, line


def _operations(file: TextIO, path: Path, header: str) -> Iterator[Planned]:
    """Raises ConfigError where the file is not as it was saved; what came before that line is void then."""
    digest, number = hashlib.sha256(header.encode()), 1
    for line in _lines(file, path):
        number += 1
        end = _end(line)
        if end is not None:
            _compare(end, number - 2, digest.hexdigest(), f"{path}:{number}:1")
            break
        digest.update(line.encode())
        yield _operation(line, f"{path}:{number}:1")
    else:
        text = "the plan breaks off here: it was not saved or copied whole"
        raise ConfigError(text, position=f"{path}:{number}:1", hint=NEW_PLAN)
    if next(_lines(file, path), None) is not None:
        text = "there is something behind the end of the plan"
        raise ConfigError(text, position=f"{path}:{number + 1}:1", hint=NEW_PLAN)


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    try:
        for line in file:
            yield line.rstrip("\n")
    except UnicodeDecodeError:
        raise ConfigError(f"the plan {path} is no text in UTF-8", hint=NEW_PLAN) from None


def _end(line: str) -> dict[str, Any] | None:
    if not line.startswith('{"operations":'):
        return None
    try:
        end: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return end


def _compare(end: Mapping[str, Any], count: int, digest: str, position: str) -> None:
    if end.get("operations") != count:
        text = f"the plan holds {count} operations, and {end.get('operations')} were saved"
        raise ConfigError(text, position=position, hint=NEW_PLAN)
    if end.get("sha256") != digest:
        text = "the plan was edited after it was saved: it is applied as it is, or not at all"
        raise ConfigError(text, position=position, hint=NEW_PLAN)


def _operation(line: str, position: str) -> Planned:
    try:
        return decode(line)
    except Exception:  # noqa: BLE001 - whatever is wrong with the line, it is no operation
        raise ConfigError("this line is no operation of a plan", position=position, hint=NEW_PLAN) from None
