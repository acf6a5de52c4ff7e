"""One worksheet's XML, copied with some cells changed.

The part is streamed: of a row that changes, the cells that don't are copied byte for byte, everything else
is copied as it comes. So formulas with their last results, widths, comments, charts, validation and all
that we know nothing about survive, and memory does not grow with the sheet.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from openpyxl.utils import get_column_letter
from openpyxl.utils.cell import column_index_from_string, coordinate_from_string, range_boundaries

from crmbridge.connectors.files.table import DamagedError
from crmbridge.connectors.files.xmlbytes import local, make_parser, tag_end

__all__ = ["CellWriter", "SheetEdit", "edit_sheet"]

_CHUNK = 1 << 18
_REF = re.compile(rb"\sref=(\"[^\"]*\"|'[^']*')")
_SPANS = re.compile(rb"\sspans=(\"[^\"]*\"|'[^']*')")

CellWriter = Callable[[str, str, int | None, str, object], str]
"""(prefix, reference, style or None, type of what it holds or is like, value) -> the cell's XML."""


@dataclass(slots=True)
class SheetEdit:
    """What to change. Columns are counted from 1."""

    cells: Callable[[int], dict[int, object]]
    """Existing row -> column -> new value; None empties the cell and keeps its format."""
    emptied: set[int]
    """Rows of which every cell is emptied, but for formulas: others may be written in terms of them."""
    new_rows: dict[int, dict[int, object]]
    """Row number -> column -> value, in rising order of rows. The row may exist, without values."""
    model_row: int
    """The row whose formats new rows take; 0 for none."""
    header_row: int
    hidden_column: int
    """A column to hide; 0 for none."""
    last_row: int
    last_column: int
    write: CellWriter


@dataclass(slots=True)
class _Cell:
    column: int
    start: int
    end: int
    style: int | None
    kind: str = "n"
    """The type of its value: ECMA-376, 18.18.11 ST_CellType."""
    filled: bool = False
    formula: bool = False


@dataclass(slots=True)
class _Row:
    number: int
    start: int
    inner: int
    cells: list[_Cell] = field(default_factory=list)


def edit_sheet(source: IO[bytes], sink: IO[bytes], edit: SheetEdit, name: str) -> None:
    """Copy `source` to `sink` with the changes. Raises DamagedError when it is not a worksheet."""
    _Editor(sink, edit, name).run(source)


class _Editor:
    def __init__(self, sink: IO[bytes], edit: SheetEdit, name: str) -> None:
        self.sink, self.edit, self.name = sink, edit, name
        self.parser = make_parser(name)
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.XmlDeclHandler = self.declaration
        self.buffer = bytearray()
        self.base = 0
        """The offset in the part of the buffer's first byte."""
        self.copied = 0
        """The offset up to which the part was written to the sink."""
        self.seen = 0
        """The offset of the parser's last event."""
        self.hold: int | None = None
        """Where the row or the column list starts that is being read: from here on nothing is written yet."""
        self.root = ""
        self.prefix = ""
        self.in_data = False
        self.row: _Row | None = None
        self.last_number = 0
        self.new_rows = list(edit.new_rows.items())
        self.model: dict[int, int | None] = {}
        self.kinds: dict[int, str] = {}
        """Column -> the type of the last value in it, the header left out: what a new value is like."""
        self.column_styles: list[tuple[int, int, int]] = []
        self.columns: list[dict[str, str]] = []
        self.data_start = -1

    def run(self, source: IO[bytes]) -> None:
        try:
            while chunk := source.read(_CHUNK):
                self.buffer += chunk
                self.parser.Parse(chunk, False)
                self.flush()
            self.parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise DamagedError(f"{self.name} is not well-formed XML: {error}") from error
        self.sink.write(self.buffer[self.copied - self.base :])
        if self.root != "worksheet" or self.data_start < 0:
            raise DamagedError(f"{self.name} is not a worksheet")

    def flush(self) -> None:
        upto = self.seen if self.hold is None else self.hold
        if upto > self.copied:
            self.sink.write(self.buffer[self.copied - self.base : upto - self.base])
            self.copied = upto
        del self.buffer[: self.copied - self.base]
        self.base = self.copied

    def replace(self, start: int, end: int, new: bytes) -> None:
        """Write what stands before `start`, then `new` instead of `start` to `end`."""
        self.sink.write(self.buffer[self.copied - self.base : start - self.base])
        self.sink.write(new)
        self.copied = end

    def tag_end(self, start: int) -> int:
        return tag_end(self.buffer, start - self.base) + self.base

    # -- what the parser sees

    def declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if (encoding or "utf-8").lower() not in ("utf-8", "us-ascii"):
            raise DamagedError(f"{self.name} is written in {encoding}; save the workbook again in Excel")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        at = self.seen = self.parser.CurrentByteIndex
        what = local(name)
        if not self.root:
            self.root, self.prefix = what, name[: -len(what)]
        if self.in_data:
            self.start_in_data(what, at, attributes)
        elif what == "dimension":
            self.replace(at, self.tag_end(at), self.dimension(at, attributes.get("ref", "A1")))
        elif what == "cols":
            self.hold = at
        elif what == "col":
            self.note_column(attributes)
        elif what == "sheetData":
            if self.edit.hidden_column and not self.columns:
                self.replace(at, at, self.hidden_columns())
            self.in_data = True
            self.data_start = at

    def start_in_data(self, what: str, at: int, attributes: dict[str, str]) -> None:
        if what == "row":
            self.start_row(at, attributes)
        elif what == "c" and self.row:
            self.start_cell(at, attributes)
        elif what == "f" and self.row:
            self.row.cells[-1].formula = True
        elif what in ("v", "is") and self.row:
            self.row.cells[-1].filled = True

    def end(self, name: str) -> None:
        at = self.seen = self.parser.CurrentByteIndex
        what = local(name)
        if self.in_data:
            if what == "c" and self.row:
                self.row.cells[-1].end = self.tag_end(at)
            elif what == "row" and self.row:
                self.end_row(at)
            elif what == "sheetData":
                self.end_data(at, name)
        elif what == "cols":
            assert self.hold is not None
            if self.edit.hidden_column:
                self.replace(self.hold, self.tag_end(at), self.hidden_columns())
            self.hold = None

    def dimension(self, at: int, old: str) -> bytes:
        tag = bytes(self.buffer[at - self.base : self.tag_end(at) - self.base])
        _, _, column, row = range_boundaries(old)
        column, row = max(column or 1, self.edit.last_column), max(row or 1, self.edit.last_row)
        return _REF.sub(f' ref="A1:{get_column_letter(column)}{row}"'.encode(), tag)

    # -- rows

    def start_row(self, at: int, attributes: dict[str, str]) -> None:
        number = int(attributes.get("r", self.last_number + 1))
        self.last_number = number
        while self.new_rows and self.new_rows[0][0] < number:
            self.replace(at, at, self.new_row(*self.new_rows.pop(0)))
        self.row = _Row(number, at, self.tag_end(at))
        self.hold = at

    def start_cell(self, at: int, attributes: dict[str, str]) -> None:
        assert self.row
        reference = attributes.get("r")
        if reference:
            column = column_index_from_string(coordinate_from_string(reference)[0])
        else:
            column = self.row.cells[-1].column + 1 if self.row.cells else 1
        style = attributes.get("s")
        cell = _Cell(column, at, at, int(style) if style else None, attributes.get("t", "n"))
        self.row.cells.append(cell)

    def end_row(self, at: int) -> None:
        assert self.row
        row, self.row, self.hold = self.row, None, None
        end = self.tag_end(at)
        if row.number > self.edit.header_row:
            self.kinds |= {cell.column: cell.kind for cell in row.cells if cell.filled}
        if row.number == self.edit.model_row:
            self.model = {cell.column: cell.style for cell in row.cells}
        if row.number in self.edit.emptied:
            changes: dict[int, object] = {cell.column: None for cell in row.cells if not cell.formula}
        elif self.new_rows and self.new_rows[0][0] == row.number:
            changes = self.new_rows.pop(0)[1]
        else:
            changes = self.edit.cells(row.number)
        if changes:
            self.replace(row.start, end, self.changed_row(row, changes, end))

    def changed_row(self, row: _Row, changes: dict[int, object], end: int) -> bytes:
        tag = _SPANS.sub(b"", bytes(self.buffer[row.start - self.base : row.inner - self.base]))
        empty = row.inner == end
        content = bytearray(tag[:-2].rstrip() + b">" if empty else tag)
        formulas = {cell.column for cell in row.cells if cell.formula}
        left = {column: value for column, value in sorted(changes.items()) if column not in formulas}
        at = row.inner
        for cell in row.cells:
            content += self.buffer[at - self.base : cell.start - self.base]
            for column in [column for column in left if column < cell.column]:
                content += self.cell(row.number, column, self.column_style(column), left.pop(column))
            if cell.column in left:
                content += self.cell(row.number, cell.column, cell.style, left.pop(cell.column))
            else:
                content += self.buffer[cell.start - self.base : cell.end - self.base]
            at = cell.end
        for column, value in left.items():
            style = row.cells[-1].style if row.number == self.edit.header_row else self.column_style(column)
            content += self.cell(row.number, column, style, value)
        rest = self.buffer[at - self.base : end - self.base]
        return bytes(content + (f"</{self.prefix}row>".encode() if empty else rest))

    def new_row(self, number: int, values: dict[int, object]) -> bytes:
        cells = b"".join(
            self.cell(number, column, self.model.get(column, self.column_style(column)), values.get(column))
            for column in sorted(set(values) | {column for column, style in self.model.items() if style})
        )
        return f'<{self.prefix}row r="{number}">'.encode() + cells + f"</{self.prefix}row>".encode()

    def cell(self, row: int, column: int, style: int | None, value: object) -> bytes:
        reference, kind = f"{get_column_letter(column)}{row}", self.kinds.get(column, "")
        return self.edit.write(self.prefix, reference, style, kind, value).encode()

    def end_data(self, at: int, name: str) -> None:
        self.in_data = False
        rows = b"".join(self.new_row(number, values) for number, values in self.new_rows)
        self.new_rows = []
        if at == self.data_start:  # <sheetData/>
            self.replace(at, self.tag_end(at), f"<{name}>".encode() + rows + f"</{name}>".encode())
        else:
            self.replace(at, at, rows)

    # -- columns

    def note_column(self, attributes: dict[str, str]) -> None:
        self.columns.append(attributes)
        if style := attributes.get("style"):
            self.column_styles.append((int(attributes["min"]), int(attributes["max"]), int(style)))

    def column_style(self, column: int) -> int | None:
        return next((style for low, high, style in self.column_styles if low <= column <= high), None)

    def hidden_columns(self) -> bytes:
        """All column descriptions, the one of the hidden column cut out and written anew."""
        hidden = self.edit.hidden_column
        pieces: list[dict[str, str]] = []
        for attributes in self.columns:
            low, high = int(attributes["min"]), int(attributes["max"])
            for first, last in ((low, min(high, hidden - 1)), (max(low, hidden + 1), high)):
                if first <= last:
                    pieces.append({**attributes, "min": str(first), "max": str(last)})
        pieces.append(
            {"min": str(hidden), "max": str(hidden), "width": "9", "hidden": "1", "customWidth": "1"}
        )
        pieces.sort(key=lambda piece: int(piece["min"]))
        rows = "".join(
            f"<{self.prefix}col " + " ".join(f"{k}={quoteattr(v)}" for k, v in piece.items()) + "/>"
            for piece in pieces
        )
        return f"<{self.prefix}cols>{rows}</{self.prefix}cols>".encode()
