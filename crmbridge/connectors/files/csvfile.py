"""CSV and TSV files (RFC 4180 and what programs make of it).

Reading gives every cell as the text that stands there. Writing copies what does not change, rows and cells,
character by character: quotes, line ends, delimiter, encoding, byte order mark and a missing last line end
stay as they are.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import itertools
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from crmbridge.connectors.files.encoding import detect, for_new_file, where_broken
from crmbridge.connectors.files.formulas import escape, unescape
from crmbridge.connectors.files.settings import FileSettings
from crmbridge.connectors.files.table import Changes, DamagedError, Row, blank_to_none, plain_number

__all__ = ["CsvTable"]

_CANDIDATES = ",;\t|"
_NAMES = {"\t": "tab"}
_SNIFFED_ROWS = 50
_SEP_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)


class _RawRow(NamedTuple):
    line: int
    text: str
    """As it stands in the file, line end included."""
    cells: list[str]
    problem: str


class CsvTable:
    """One CSV or TSV file. A file that does not exist yet has no columns and no rows."""

    def __init__(self, path: Path, settings: FileSettings) -> None:
        self.path = path
        self.columns: list[str] = []
        self.warnings: list[str] = []
        self.no_creates = ""
        self.free_names = False
        self._header: list[str] = []
        self._declared = settings.encoding is not None
        self._skipped = settings.header - 1
        self._new = not path.exists()
        self._delimiter = settings.delimiter or ("\t" if path.suffix.lower() in (".tsv", ".tab") else "")
        if self._new:
            self._encoding = for_new_file(settings.encoding)
            self._delimiter = self._delimiter or ","
        else:
            self._encoding = detect(path, settings.encoding)
            self._read_head()
            if self._encoding.guessed:
                self.warnings.append(f"the encoding {self._encoding.name} is a guess; declare `encoding:`")
        self.dialect = f"{self._encoding}, delimiter {_NAMES.get(self._delimiter, self._delimiter)}"

    # -- reading

    def rows(self) -> Iterator[Row]:
        if self._new:
            return
        names = self._header
        width = len(names)
        for before, raw, after in _with_neighbours(self._body()):
            if not any(cell and not cell.isspace() for cell in raw.cells) and not raw.problem:
                continue
            if raw.problem or len(raw.cells) != width:
                problem = raw.problem or self._width_problem(raw) or self._cut_off(before, raw, after)
                if problem:
                    yield Row(raw.line, {}, problem, _line(raw.text)[0])
                    continue
            cells = raw.cells + [""] * (width - len(raw.cells))
            data = {
                name: None if not cell or cell.isspace() else unescape(cell) if cell[0] == "'" else cell
                for name, cell in zip(names, cells, strict=False)
                if name
            }
            yield Row(raw.line, data)

    def position(self, number: int) -> str:
        return f"{self.path.name}:{number}"

    def _width_problem(self, raw: _RawRow) -> str:
        if any(cell and not cell.isspace() for cell in raw.cells[len(self._header) :]):
            return (
                f"the row has {len(raw.cells)} cells, the header {len(self._header)}: "
                f"put cells that hold {self._delimiter!r} or a line break in double quotes"
            )
        return ""

    def _cut_off(self, before: _RawRow | None, raw: _RawRow, after: _RawRow | None) -> str:
        """Programs leave out empty cells at the end: each row its own, or Excel those of sixteen rows at a
        time. A row that alone is short was cut off, and what it lacks is not empty."""
        width, found = len(self._header), len(raw.cells)
        whole = [row for row in (before, after) if row is not None and row.cells]
        alone = bool(whole) and all(len(row.cells) >= width for row in whole)
        if not alone or found >= width or not (self._ends_empty or found * 2 < width):
            return ""
        return (
            f"the row has {found} of {width} cells: was it cut off? What is empty needs its "
            f"{self._delimiter!r} all the same"
        )

    @functools.cached_property
    def _ends_empty(self) -> bool:
        """Whether empty cells at the end are written out, as far as the first rows show it."""
        first = itertools.islice(self._records(self._delimiter, self._skipped), 1, _SNIFFED_ROWS)
        return any(len(row.cells) == len(self._header) and not row.cells[-1].strip() for row in first)

    def _read_head(self) -> None:
        if self.path.stat().st_size <= len(self._encoding.mark):
            raise DamagedError(f"{self.path.name}:1: the file is empty, without even a header")
        with self._open() as file:
            if match := _SEP_LINE.fullmatch(next(self._lines(file), "")):
                self._delimiter = self._delimiter or match[1]
                self._skipped += 1
        self._delimiter = self._delimiter or self._sniff()
        header = next(self._records(self._delimiter, self._skipped), None)
        where = f"{self.path.name}:{self._skipped + 1}"
        if header is None or not any(cell.strip() for cell in header.cells):
            raise DamagedError(f"{where}: the header is missing; `header:` tells in which row it is")
        if header.problem:
            raise DamagedError(f"{where}: {header.problem}")
        self._header = [unicodedata.normalize("NFC", unescape(cell.strip())) for cell in header.cells]
        self.columns = [name for name in self._header if name]
        if twice := sorted({name for name in self.columns if self.columns.count(name) > 1}):
            raise DamagedError(f"{where}: two columns are called {twice[0]!r}", hint="rename one")

    def _sniff(self) -> str:
        """The delimiter that cuts most of the first rows into as many cells as the header."""
        scores = {}
        for candidate in _CANDIDATES:
            widths = []
            with contextlib.suppress(DamagedError):  # by a wrong delimiter; the right one raises it again
                for row in itertools.islice(self._records(candidate, self._skipped), _SNIFFED_ROWS):
                    widths += [len(row.cells)] if row.cells else []
            even = sum(width == widths[0] for width in widths) / len(widths) if widths else 0
            scores[candidate] = (widths[0] > 1, even, widths[0]) if widths else (False, 0, 0)
        return max(_CANDIDATES, key=lambda candidate: scores[candidate])

    def _body(self) -> Iterator[_RawRow]:
        """The rows below the header. Raises DamagedError when the last one is torn."""
        rows = self._records(self._delimiter, self._skipped)
        next(rows)
        last = None
        for row in rows:
            last = row
            yield row
        if (
            last
            and "".join(last.cells).strip()
            and not _line(last.text)[1]
            and len(last.cells) < len(self._header)
        ):
            raise DamagedError(
                f"{self.path.name}:{last.line}: the file breaks off: its last row has {len(last.cells)} of "
                f"{len(self._header)} cells and no line end"
            )

    def _records(self, delimiter: str, skip: int) -> Iterator[_RawRow]:
        """Each row with its own text. A quote that never closes is a DamagedError: it swallows the rest."""
        with self._open() as file:
            taken: list[str] = []

            def remember() -> Iterator[str]:
                for text in self._lines(file):
                    taken.append(text)
                    yield text

            source = remember()
            for _ in range(skip):
                next(source, None)
            line = 1 + len(taken)
            taken.clear()
            reader = csv.reader(source, delimiter=delimiter, strict=True)
            while True:
                cells: list[str] = []
                problem = ""
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    problem = self._explain(error, line, delimiter)
                yield _RawRow(line, "".join(taken), cells, problem)
                line += len(taken)
                taken.clear()

    def _explain(self, error: csv.Error, line: int, delimiter: str) -> str:
        text = str(error)
        if "end of data" in text or "field limit" in text:
            raise DamagedError(
                f"{self.path.name}:{line}: a double quote that opens in this row is never closed, or a cell "
                f"is longer than {csv.field_size_limit()} characters"
            ) from error
        if "expected after" in text:
            return f"text follows a closing quote, not {delimiter!r}: double the quotes inside a cell"
        return text

    def _lines(self, file: io.TextIOWrapper) -> Iterator[str]:
        try:
            yield from file
        except UnicodeDecodeError as error:
            other = "; correct `encoding:`, or save the file so" if self._declared else ""
            raise DamagedError(where_broken(self.path, self._encoding) + other) from error

    def _open(self) -> io.TextIOWrapper:
        file = self.path.open("rb")
        file.seek(len(self._encoding.mark))
        return io.TextIOWrapper(file, self._encoding.name, newline="")

    # -- writing

    def refusal(self, column: str, value: Any) -> str:
        if not isinstance(value, str | int | Decimal | None):
            return f"{column}: a cell cannot hold a {type(value).__name__}; map its parts to columns"
        text = _text(value)
        try:
            text.encode(self._encoding.name)
        except UnicodeEncodeError as error:
            character = text[error.start]
            return (
                f"{column}: the character {character!r} (U+{ord(character):04X}) does not exist in "
                f"{self._encoding.name}, the encoding of {self.path.name}; save the file as UTF-8"
            )
        if len(text) >= csv.field_size_limit():
            return f"{column}: the text is longer than {csv.field_size_limit()} characters"
        return ""

    def write(self, target: Path, changes: Changes) -> None:
        with target.open("wb") as binary:
            binary.write(self._encoding.mark)
            out = io.TextIOWrapper(binary, self._encoding.name, newline="")
            _Writer(out, self._delimiter).copy(self._everything(changes), changes, self._header)
            out.flush()
            out.detach()

    def _everything(self, changes: Changes) -> Iterator[_RawRow]:
        """All of the file, the lines above the header as row 0 and the header as row -1."""
        if self._new:
            yield _RawRow(-1, "\r\n", [], "")
            return
        with self._open() as file:
            above = "".join(file.readline() for _ in range(self._skipped))
        if above:
            yield _RawRow(0, above, [], "")
        rows = self._records(self._delimiter, self._skipped)
        header = next(rows)
        yield header._replace(line=-1)
        yield from rows


class _Writer:
    """Copies rows and applies changes on the way."""

    def __init__(self, out: io.TextIOWrapper, delimiter: str) -> None:
        self.out = out
        self.delimiter = delimiter
        self.line_end = ""
        self.pending = ""
        self.quote_all = False

    def copy(self, rows: Iterator[_RawRow], changes: Changes, header: list[str]) -> None:
        names = [*header, *changes.new_columns]
        last_end = ""
        for row in rows:
            text, end = (row.text, "") if row.line == 0 else _line(row.text)
            last_end = end
            if row.line == -1:
                self.line_end = end or "\n"
                cells = self._split(text) if header else []
                self.quote_all = bool(cells) and all(cell.startswith('"') for cell in cells)
                text = self.delimiter.join([*cells, *map(self._cell, changes.new_columns)])
            elif row.line in changes.deletes:
                continue
            elif row.line and (cells_to_set := changes.cells(row.line)):
                text = self._changed(text, names, cells_to_set)
            self._emit(text, end)
        for data in changes.creates:
            self.pending = self.pending or self.line_end
            self._emit(self._created(names, data), self.line_end)
        if last_end:
            self.out.write(self.pending)

    def _emit(self, text: str, end: str) -> None:
        self.out.write(self.pending)
        self.out.write(text)
        self.pending = end

    def _changed(self, text: str, names: list[str], new: dict[str, Any]) -> str:
        cells = self._split(text)
        for index, name in enumerate(names):
            if name not in new:
                continue
            cells += [""] * (index + 1 - len(cells))
            if _value(cells[index]) != blank_to_none(_text(new[name])):
                cells[index] = self._cell(_text(new[name]), quoted=cells[index].startswith('"'))
        return self.delimiter.join(cells)

    def _created(self, names: list[str], data: dict[str, Any]) -> str:
        row = self.delimiter.join(self._cell(_text(data.get(name))) if name else "" for name in names)
        return row or '""'

    def _cell(self, text: str, quoted: bool = False) -> str:
        text = escape(text)
        if (
            quoted
            or self.quote_all
            or text != text.strip()
            or any(c in text for c in (self.delimiter, *'"\r\n'))
        ):
            return '"' + text.replace('"', '""') + '"'
        return text

    def _split(self, text: str) -> list[str]:
        """The cells of a row that the csv module accepted, with their quotes."""
        cells: list[str] = []
        start = 0
        while True:
            end = start
            if text.startswith('"', start):
                end = start + 1
                while not (text[end] == '"' and text[end + 1 : end + 2] != '"'):
                    end += 2 if text[end] == '"' else 1
                end += 1
            end = text.find(self.delimiter, end)
            if end < 0:
                return [*cells, text[start:]]
            cells.append(text[start:end])
            start = end + len(self.delimiter)


def _with_neighbours(rows: Iterator[_RawRow]) -> Iterator[tuple[_RawRow | None, _RawRow, _RawRow | None]]:
    before, row = None, next(rows, None)
    while row is not None:
        after = next(rows, None)
        yield before, row, after
        before, row = row, after


def _line(text: str) -> tuple[str, str]:
    """A row's text and its line end."""
    for end in ("\r\n", "\n", "\r"):
        if text.endswith(end):
            return text[: -len(end)], end
    return text, ""


def _value(cell: str) -> str | None:
    if cell.startswith('"'):
        cell = cell[1:-1].replace('""', '"')
    return blank_to_none(unescape(cell))


def _text(value: Any) -> str:
    """What is written for a value. Blank text is an empty cell: it would be read as empty anyway."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return plain_number(value)
    return str(value) if blank_to_none(value) else ""
