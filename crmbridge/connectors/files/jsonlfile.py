"""JSON Lines files: one JSON object a line, UTF-8 (RFC 8259, https://jsonlines.org).

Lines that do not change are copied character by character; in a changed one the other names keep their
order and values, numbers every digit.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crmbridge.connectors.files.encoding import Encoding, where_broken
from crmbridge.connectors.files.exactjson import dumps, loads
from crmbridge.connectors.files.table import Changes, DamagedError, Row, blank_to_none

__all__ = ["JsonlTable"]


class JsonlTable:
    """One JSON Lines file. Each line has names of its own, so there is no list of columns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] = []
        self.dialect = "utf-8, JSON Lines"
        self.warnings: list[str] = []
        self.no_creates = ""
        self.free_names = True
        self._mark = b""
        if path.exists():
            with path.open("rb") as file:
                self._mark = codecs.BOM_UTF8 if file.read(3) == codecs.BOM_UTF8 else b""
            if path.stat().st_size == 0:
                raise DamagedError(f"{path.name}:1: the file is empty; a list without rows is one empty line")

    def rows(self) -> Iterator[Row]:
        for number, line, ended in self._lines():
            if not line.strip():
                continue
            try:
                value = loads(line)
                problem = "" if isinstance(value, dict) else "the line is not a JSON object {...}"
            except ValueError as error:
                problem = self._explain(error)
                if not ended and isinstance(error, json.JSONDecodeError):
                    raise DamagedError(
                        f"{self.position(number)}: the file breaks off in its last line: {problem}"
                    ) from error
            if problem:
                yield Row(number, {}, problem, line)
            else:
                yield Row(number, {name: _blank(item) for name, item in value.items()})

    def position(self, number: int) -> str:
        return f"{self.path.name}:{number}"

    def refusal(self, column: str, value: Any) -> str:
        try:
            dumps(value).encode()
        except (TypeError, ValueError, RecursionError) as error:
            return f"{column}: cannot be written as JSON: {error}"
        return ""

    def write(self, target: Path, changes: Changes) -> None:
        with target.open("w", encoding="utf-8", newline="") as out:
            out.write(self._mark.decode())
            pending, last_ended, spaced = "", True, None
            for number, line, ended in self._lines():
                last_ended = ended
                if spaced is None and line.strip():
                    spaced = '": ' in line
                if number in changes.deletes:
                    continue
                cells = changes.cells(number)
                out.write(pending + (_changed(line, cells) if cells else line))
                pending = "\n"
            for data in changes.creates:
                out.write(pending + dumps(data, compact=not spaced))
                pending = "\n"
            if last_ended or not pending:  # a list without rows is one empty line, never an empty file
                out.write("\n")

    def _lines(self) -> Iterator[tuple[int, str, bool]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(len(self._mark))
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode()
                except UnicodeDecodeError as error:
                    raise DamagedError(where_broken(self.path, Encoding("utf-8", self._mark))) from error
                yield number, text.removesuffix("\n"), text.endswith("\n")

    def _explain(self, error: ValueError) -> str:
        if isinstance(error, json.JSONDecodeError):
            return f"not valid JSON at column {error.colno}: {error.msg}"
        return f"not usable JSON: {error}"


def _changed(line: str, cells: dict[str, Any]) -> str:
    tail = "\r" if line.endswith("\r") else ""
    value = loads(line)
    return dumps({**value, **cells}, compact='": ' not in line) + tail


def _blank(value: Any) -> Any:
    return blank_to_none(value) if isinstance(value, str) else value
