"""What a workbook needs besides cells: new sheets, tables that grow, and a note to compute formulas again."""

from __future__ import annotations

import io
import re
from xml.sax.saxutils import quoteattr

from openpyxl import Workbook
from openpyxl.utils import get_column_letter
from openpyxl.utils.cell import range_boundaries

from crmbridge.connectors.files.table import Changes, DamagedError
from crmbridge.connectors.files.xlsxpackage import Package, relations_part
from crmbridge.connectors.files.xlsxstyles import Styles
from crmbridge.connectors.files.xmlbytes import Element, append_child, local, set_attributes, text_content
from crmbridge.sdk import ConfigError

__all__ = ["add_sheet", "extend_tables", "new_package", "recalculate", "totals_row"]

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
_BAD_NAME = re.compile(r"[\[\]:*?/\\\x00-\x1f]|^'|'$")
_WIDEST = 60


def new_package(sheet: str) -> Package:
    """A workbook with one empty sheet."""
    book = Workbook()
    assert book.active
    book.active.title = _checked(sheet)
    data = io.BytesIO()
    book.save(data)
    return Package(data, "a new workbook")


def add_sheet(package: Package, styles: Styles, name: str, changes: Changes) -> str:
    """Make sheet `name`, or fill the empty one of that name, with a bold and frozen head; return its part."""
    existing = {sheet.name: sheet.part for sheet in package.sheets()}
    part = existing.get(name) or _register(package, _checked(name))
    bold = styles.bold()
    head = "".join(
        f'<c r="{get_column_letter(index)}1" s="{bold}" t="inlineStr"><is><t xml:space="preserve">'
        f"{text_content(column)}</t></is></c>"
        for index, column in enumerate(changes.new_columns, 1)
    )
    columns = "".join(
        f'<col min="{index}" max="{index}" width="{_width(column, changes)}" customWidth="1"/>'
        for index, column in enumerate(changes.new_columns, 1)
    )
    package.changed[part] = (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><worksheet xmlns="{_MAIN}"><sheetViews>'
        '<sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        f"</sheetView></sheetViews><cols>{columns}</cols>"
        f'<sheetData><row r="1">{head}</row></sheetData></worksheet>'
    ).encode()
    return part


def _checked(name: str) -> str:
    if len(name) > 31 or not name or _BAD_NAME.search(name):
        raise ConfigError(
            f"a sheet cannot be called {name!r}",
            hint="at most 31 characters, none of [ ] : * ? / \\, no ' at the ends",
        )
    return name


def _width(column: str, changes: Changes) -> int:
    """Characters that the longest of the first values takes; Chinese, Japanese and Korean ones take two."""
    texts = [column, *(str(data.get(column) or "") for data in changes.creates[:200])]
    return min(_WIDEST, 2 + max(sum(2 if ord(c) > 0x2E80 else 1 for c in text[:_WIDEST]) for text in texts))


def _register(package: Package, name: str) -> str:
    """Name a new sheet's part in the workbook, its relations and the list of content types."""
    number = next(n for n in range(1, 10_000) if f"xl/worksheets/sheet{n}.xml" not in package.names())
    part = f"xl/worksheets/sheet{number}.xml"
    used = {rid for rid, _, _ in package.relations(package.workbook_part)}
    rid = next(f"rId{n}" for n in range(1, 10_000) if f"rId{n}" not in used)
    sheets = [e for e in package.elements(package.workbook_part) if e.parent == "sheets"]
    sheet_id = 1 + max((int(e.attributes["sheetId"]) for e in sheets), default=0)
    parent = _find(package, package.workbook_part, "sheets")
    entry = (
        f"<{parent.prefix}sheet xmlns:rel={quoteattr(_RELATIONS)} name={quoteattr(name)} "
        f'sheetId="{sheet_id}" rel:id="{rid}"/>'
    )
    _append(package, package.workbook_part, "sheets", entry)
    rels = relations_part(package.workbook_part)
    prefix = _find(package, rels, "Relationships").prefix
    kind = f"{_RELATIONS}/worksheet"
    _append(
        package, rels, "Relationships", f'<{prefix}Relationship Id="{rid}" Type="{kind}" Target="/{part}"/>'
    )
    types = "[Content_Types].xml"
    prefix = _find(package, types, "Types").prefix
    _append(package, types, "Types", f'<{prefix}Override PartName="/{part}" ContentType="{_SHEET_TYPE}"/>')
    return part


def totals_row(package: Package, part: str) -> str:
    """Why rows cannot be added: a table on the sheet ends with a row of totals. Or ""."""
    for _, kind, target in package.relations(part):
        if kind == "table":
            table = _find(package, target, "table").attributes
            if int(table.get("totalsRowCount", "0")):
                return (
                    f"the table {table.get('displayName')!r} ends with a row of totals; switch that row off"
                )
    return ""


def extend_tables(package: Package, part: str, last_row: int, rows: int) -> None:
    """Let a table that ends with the last row take in the new rows below it."""
    for _, kind, target in package.relations(part):
        if kind != "table":
            continue
        for name in ("autoFilter", "table"):
            element = next((e for e in package.elements(target) if local(e.name) == name), None)
            if element is None:
                continue
            left, top, right, bottom = range_boundaries(element.attributes["ref"])
            if left and right and bottom == last_row:
                ref = f"{get_column_letter(left)}{top}:{get_column_letter(right)}{last_row + rows}"
                package.changed[target] = set_attributes(package.read(target), element, ref=ref)


def recalculate(package: Package) -> None:
    """Have formulas computed anew when a spreadsheet program opens the file; until then they keep results."""
    part = package.workbook_part
    element = next((e for e in package.elements(part) if local(e.name) == "calcPr"), None)
    if element and element.attributes.get("fullCalcOnLoad") not in ("1", "true"):
        package.changed[part] = set_attributes(package.read(part), element, fullCalcOnLoad="1")


def _find(package: Package, part: str, name: str) -> Element:
    element = next((e for e in package.elements(part) if local(e.name) == name), None)
    if element is None:
        raise DamagedError(f"{package.name}: {part} has no {name}")
    return element


def _append(package: Package, part: str, parent: str, child: str) -> None:
    package.changed[part] = append_child(package.read(part), _find(package, part, parent), child.encode())
