"""What the three kinds of files have in common: rows with a number, columns, and a list of changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from crmbridge.sdk import Operation

__all__ = [
    "Changes",
    "DamagedError",
    "Row",
    "Table",
    "Worded",
    "blank_to_none",
    "iso_moment",
    "plain_number",
    "worded",
]

_SPACED_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(\.\d{1,6})?)")


class DamagedError(Exception):
    """The file as a whole cannot be trusted: torn, not decodable, not what its name says.

    The message starts with the position (`file:line:column` as far as known). The connector turns it into
    RetryableError while the file is fresh and may still be being written, else into FatalError.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        """What to do. Where it is said the file is whole, but not as it was agreed: waiting does not help."""


@dataclass(slots=True)
class Row:
    """One row that is not blank."""

    number: int
    """Counted from 1 as people see it: the line where it starts, or the sheet's row number."""
    data: dict[str, Any]
    """Column -> value, None where blank. A column is missing where the file does not say its value."""
    problem: str = ""
    """Why it cannot be a record; then `raw` has what stands there."""
    raw: Any = None
    computed: tuple[str, ...] = ()
    """Columns with a formula in this row: not ours to write."""


@dataclass(slots=True)
class Changes:
    """What one batch does to a table."""

    updates: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Row number -> column -> new value."""
    deletes: set[int] = field(default_factory=set)
    creates: list[dict[str, Any]] = field(default_factory=list)
    new_columns: list[str] = field(default_factory=list)
    """Columns to add at the right end, in this order."""
    hidden_column: str = ""
    """Which of them a workbook hides."""
    last_row: int = 0
    """The number of the last row that is not blank; 0 when there is none."""
    missing_id: Callable[[int], tuple[str, str] | None] = lambda number: None
    """Row number -> (id column, id) for rows that lack their id."""

    def cells(self, number: int) -> dict[str, Any]:
        """What to set in row `number`; empty when it stays as it is."""
        cells = self.updates.get(number, {})
        missing = self.missing_id(number)
        return {**cells, missing[0]: missing[1]} if missing else cells


class Worded(str):
    """Text that stands for a number or a truth value, as `12,50` and `ja` do."""

    __slots__ = ("typed",)
    typed: Decimal | bool
    """What a cell holds in its place where such values are real numbers and truth values."""


def worded(operation: Operation) -> dict[str, Any]:
    """The values to set, each text together with what it stands for."""
    data = dict(operation.data)
    for name, typed in operation.typed.items():
        data[name] = Worded(data[name])
        data[name].typed = typed
    return data


class Table(Protocol):
    """One stream's file, opened for reading or for writing a changed copy of it."""

    columns: list[str]
    """Named columns in file order. Empty while there is no header."""
    free_names: bool
    """Whether each row brings names of its own, as in JSON Lines, instead of one header."""
    dialect: str
    """How it is written, for people: `utf-8, delimiter ;`."""
    warnings: list[str]
    """What `check` should tell about the file."""
    no_creates: str
    """Why no row can be added; empty when one can."""

    def rows(self) -> Iterator[Row]:
        """All rows that are not blank, in order. Raises DamagedError."""

    def position(self, number: int) -> str:
        """Where row `number` is, for people: `customers.csv:17`."""

    def refusal(self, column: str, value: Any) -> str:
        """Why a cell cannot hold `value`; empty when it can."""

    def write(self, target: Path, changes: Changes) -> None:
        """Write the changed copy to `target`, an empty file that exists."""


def blank_to_none(text: str) -> str | None:
    """Empty cells and cells with only white space say "empty"."""
    return None if not text or text.isspace() else text


def plain_number(value: int | Decimal) -> str:
    """Digits without an exponent, nothing lost: spreadsheets read 1E+3 as a number but people don't."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def iso_moment(text: str) -> str:
    """A date and time with a blank in between as ISO 8601 has it; any other text as it is."""
    found = _SPACED_MOMENT.fullmatch(text)
    return f"{found[1]}T{found[2]}" if found else text
