"""Sheets of .xlsx and .xlsm workbooks (ECMA-376).

Reading goes through openpyxl, row by row. Writing does not: openpyxl would drop pictures, pivot tables and
the last results of all formulas. Only the cells that change are written into the XML; see `xlsxsheet`.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
import warnings
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900
from openpyxl.utils.exceptions import InvalidFileException

from crmbridge.connectors.files.settings import FileSettings
from crmbridge.connectors.files.table import Changes, DamagedError, Row
from crmbridge.connectors.files.xlsxcells import MAX_TEXT, cell_writer, padded, shown
from crmbridge.connectors.files.xlsxnew import add_sheet, extend_tables, new_package, recalculate, totals_row
from crmbridge.connectors.files.xlsxpackage import BROKEN_ZIP, Package
from crmbridge.connectors.files.xlsxsheet import SheetEdit, edit_sheet
from crmbridge.connectors.files.xlsxstyles import Styles
from crmbridge.connectors.files.xmlbytes import local

__all__ = ["XlsxTable"]

_MAX_ROWS = 1_048_576
_MAX_COLUMNS = 16_384
_FORMULA = re.compile(rb"<(?:\w+:)?f[ />]")
_BROKEN = (*BROKEN_ZIP, ParseError, LookupError, TypeError, AttributeError, InvalidFileException)


class XlsxTable:
    """One sheet. With `create` the file or the sheet may be missing: then it has no columns and no rows."""

    def __init__(self, path: Path, sheet: str, settings: FileSettings) -> None:
        self.path = path
        self.sheet = sheet
        self.columns: list[str] = []
        self.warnings: list[str] = []
        self.no_creates = ""
        self.free_names = False
        self.dialect = f"sheet {sheet!r}"
        self._header_row = settings.header
        self._names: dict[int, str] = {}
        self._last_column = 0
        self._part = ""
        self._has_formulas = False
        if path.exists():
            self._look(settings.create)

    # -- reading

    def rows(self) -> Iterator[Row]:
        if not self._part:
            return
        first = self._header_row + 1
        formulas = self._cells(first, values=False) if self._has_formulas else None
        for number, cells in self._cells(first, values=True):
            formula_cells = next(formulas)[1] if formulas else ()
            data: dict[str, Any] = dict.fromkeys(self.columns)
            computed = []
            for index, name in self._names.items():
                cell = cells[index - 1] if index <= len(cells) else None
                is_formula = index <= len(formula_cells) and formula_cells[index - 1].data_type == "f"
                if is_formula:
                    computed.append(name)
                if cell is None:
                    continue
                value = shown(cell.value)
                data[name] = padded(value, cell.number_format) if type(value) is int else value
                # An error or a formula that was never computed says nothing; None would say "empty".
                if cell.data_type == "e" or (is_formula and cell.value is None):
                    del data[name]
            if any(value is not None and name not in computed for name, value in data.items()):
                yield Row(number, data, computed=tuple(computed))

    def position(self, number: int) -> str:
        return f"{self.path.name}:{self.sheet}:{number}"

    def _look(self, create: bool) -> None:
        with Package(self.path) as package:
            sheets = {sheet.name: sheet.part for sheet in package.sheets()}
            if self.sheet not in sheets:
                if create:
                    return
                raise DamagedError(
                    f"{self.path.name}: has no sheet {self.sheet!r}, only {', '.join(sheets)}",
                    hint=f"name the sheet as before, or say its new name: sheet: {next(iter(sheets))}",
                )
            self._part = sheets[self.sheet]
            self._has_formulas = _contains_formula(package, self._part)
            self.no_creates = totals_row(package, self._part)
            if any("_xmlsignatures/" in name for name in package.names()):
                self.warnings.append("the workbook is signed; our first write makes the signature invalid")
        header = next(self._cells(self._header_row, values=True), None)
        for cell in header[1] if header else ():
            name = unicodedata.normalize("NFC", str(shown(cell.value) or "").strip())
            if name:
                self._last_column = cell.column
                self._names[cell.column] = name
        self.columns = list(self._names.values())
        where = self.position(self._header_row)
        if not self.columns and not (create and self._is_empty()):
            raise DamagedError(f"{where}: the header is missing", hint="`header:` tells in which row it is")
        if twice := [name for name in self.columns if self.columns.count(name) > 1]:
            raise DamagedError(f"{where}: two columns are called {twice[0]!r}", hint="rename one")

    def _is_empty(self) -> bool:
        return all(cell.value is None for _, cells in self._cells(1, values=False) for cell in cells)

    def _cells(self, first: int, *, values: bool) -> Iterator[tuple[int, Any]]:
        """Row number and cells from row `first` on: last results, or formulas."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about parts that we neither read nor change
                book = load_workbook(self.path, read_only=True, data_only=values)
            with contextlib.closing(book):
                sheet = book[self.sheet]
                sheet.reset_dimensions()
                yield from enumerate(
                    sheet.iter_rows(min_row=first, max_row=_MAX_ROWS, max_col=_MAX_COLUMNS), first
                )
        except _BROKEN as error:
            raise DamagedError(f"{self.path.name}: sheet {self.sheet!r} cannot be read: {error}") from error

    # -- writing

    def refusal(self, column: str, value: Any) -> str:
        if not isinstance(value, str | int | Decimal | None):
            return f"{column}: a cell cannot hold a {type(value).__name__}; map its parts to columns"
        if isinstance(value, Decimal) and not value.is_finite():
            return f"{column}: {value} is not a number that a cell can hold"
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                return f"{column}: a cell holds at most {MAX_TEXT} characters, the text has {len(value)}"
            if any("\ud800" <= character <= "\udfff" for character in value):
                return f"{column}: half of a surrogate pair stands alone; it is no character"
        return ""

    def write(self, target: Path, changes: Changes) -> None:
        with self._package() as package:
            styles = Styles(package)
            part = self._part
            if not self._names:
                part = add_sheet(package, styles, self.sheet, changes)
            edit = self._edit(changes, package, styles)
            if self._names and changes.creates:
                extend_tables(package, part, changes.last_row or self._header_row, len(changes.creates))
            recalculate(package)
            package.save(target, part, lambda source, sink: edit_sheet(source, sink, edit, self._label()))

    def _package(self) -> Package:
        return Package(self.path) if self.path.exists() else new_package(self.sheet)

    def _label(self) -> str:
        return f"{self.path.name}: sheet {self.sheet!r}"

    def _edit(self, changes: Changes, package: Package, styles: Styles) -> SheetEdit:
        names = {name: index for index, name in self._names.items()}
        header: dict[int, object] = {}
        for name in changes.new_columns:
            names[name] = (max(names.values()) if names else 0) + 1
            if self._names:
                header[names[name]] = name
        header_row = self._header_row if self._names else 1
        last_row = max(changes.last_row, header_row)

        def cells(number: int) -> dict[int, object]:
            if number <= header_row:
                return header if number == header_row else {}
            return {names[name]: value for name, value in changes.cells(number).items()}

        return SheetEdit(
            cells=cells,
            emptied=changes.deletes,
            new_rows={
                number: {names[name]: value for name, value in data.items()}
                for number, data in enumerate(changes.creates, last_row + 1)
            },
            model_row=changes.last_row,
            header_row=header_row,
            hidden_column=names.get(changes.hidden_column, 0) if changes.hidden_column else 0,
            last_row=last_row + len(changes.creates),
            last_column=max(names.values()),
            write=cell_writer(styles, _epoch(package)),
        )


def _epoch(package: Package) -> datetime:
    """The day that day numbers count from: 1900, or 1904 in workbooks that come from old Macs."""
    properties = next(
        (e for e in package.elements(package.workbook_part) if local(e.name) == "workbookPr"), None
    )
    in_1904 = properties is not None and properties.attributes.get("date1904", "0") in ("1", "true")
    return CALENDAR_MAC_1904 if in_1904 else CALENDAR_WINDOWS_1900


def _contains_formula(package: Package, part: str) -> bool:
    with package.open(part) as file:
        tail = b""
        try:
            while chunk := file.read(1 << 20):
                if _FORMULA.search(tail + chunk):
                    return True
                tail = chunk[-64:]
        except BROKEN_ZIP as error:
            raise DamagedError(f"{package.name}: its part {part} is damaged") from error
    return False
