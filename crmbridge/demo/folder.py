"""Writing the demo folder: an Excel list, a shop's database and a CRM's CSV export, always the same.

What stands in the three systems is in `data/`, one plain CSV file for each table. Here it gets the forms in
which such data comes: a real workbook with formulas and numbers that were text, a SQLite database, and CSV
files in the encodings of three decades.
"""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from crmbridge.sdk.errors import FatalError

__all__ = ["write"]

_HERE = Path(__file__).parent
_DATA = _HERE / "data"
_SHOP_TABLES = {
    "customers": "shop-customers.csv",
    "products": "shop-products.csv",
    "orders": "shop-orders.csv",
    "order_lines": "shop-order-lines.csv",
    "invoices": "shop-invoices.csv",
}
_CRM_FILES = {
    "accounts.csv": ("crm-accounts.csv", "utf-8-sig", ";"),
    "contacts.csv": ("crm-contacts.csv", "utf-8-sig", ";"),
    "products.csv": ("crm-products.csv", "utf-8", ";"),
    "complaints.csv": ("crm-complaints.csv", "cp1252", ";"),
    "calls.csv": ("crm-calls.csv", "gb18030", ","),
}
"""File -> where its rows are, encoding, delimiter."""


def write(folder: Path) -> None:
    """Write the demo into `folder`, which is made if need be. Raises FatalError if it holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FatalError(f"{folder} is not empty", hint="name a folder that does not exist yet")
    for part in ("mappings", "sales-team", "crm-export"):
        (folder / part).mkdir(parents=True)
    _copy_texts(folder)
    _write_workbook(folder / "sales-team" / "customers.xlsx")
    _write_shop(folder / "shop.db")
    for name, (source, encoding, delimiter) in _CRM_FILES.items():
        _write_csv(folder / "crm-export" / name, _table(source), encoding, delimiter)


def _copy_texts(folder: Path) -> None:
    """By content, not by mode: the package may be write-protected, the copies are there to be edited."""
    template = _HERE / "template"
    for path in (*template.glob("*.*"), *template.glob("mappings/*.yaml")):
        (folder / path.relative_to(template)).write_bytes(path.read_bytes())


def _table(name: str) -> list[list[str]]:
    """The rows of a file in `data/`, the header first."""
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


# -- the CRM's export --------------------------------------------------------------------------


def _write_csv(path: Path, rows: list[list[str]], encoding: str, delimiter: str) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\r\n").writerows(rows)


# -- the shop's database -----------------------------------------------------------------------


def _write_shop(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        # So that the shop can go on writing while somebody reads.
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript((_DATA / "shop.sql").read_text(encoding="utf-8"))
        for table, source in _SHOP_TABLES.items():
            columns, *rows = _table(source)
            values = [[value or None for value in row] for row in rows]
            places = ", ".join("?" * len(columns))
            names = ", ".join(columns)
            database.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", values)  # noqa: S608


# -- the sales team's workbook -----------------------------------------------------------------


def _write_workbook(path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.title = "Customers"
    _fill_customers(sheet, _table("sales-customers.csv"))
    _fill_targets(book.create_sheet("Targets 2026"))
    _fill_header(book.create_sheet("Customers 360"))
    book.properties.creator = "Petra Schulz"
    book.save(path)


def _fill_customers(sheet: Worksheet, rows: list[list[str]]) -> None:
    header, *customers = rows
    sheet.append([*header, "Limit + 10 %"])
    limit = _letter(sheet, header.index("Credit limit"))
    for number, row in enumerate(customers, 2):
        sheet.append([_typed(value) for value in row])
        formula = sheet.cell(number, len(header) + 1, f'=IF({limit}{number}="","",{limit}{number}*1.1)')
        formula.number_format = "#,##0"
    for column in range(1, len(header) + 2):
        widest = max(len(str(sheet.cell(row, column).value or "")) for row in range(1, len(rows) + 1))
        sheet.column_dimensions[_letter(sheet, column - 1)].width = min(widest + 2, 40)
        sheet.cell(1, column).font = Font(bold=True)
    sheet.freeze_panes = "C2"


def _fill_header(sheet: Worksheet) -> None:
    """The columns in an order that reads well; the rows are not ours."""
    widths = {
        "Customer no": 13, "Name": 34, "Owner": 12, "Last contact": 20, "How": 8, "By": 12, "Outcome": 28,
        "Last order": 12, "Ordered": 20, "Order total": 12, "Currency": 10, "Open invoices": 14,
        "To be paid": 12, "Open complaints": 16, "Perhaps the same as": 20,
    }  # fmt: skip
    sheet.append(list(widths))
    for index, width in enumerate(widths.values()):
        sheet.column_dimensions[_letter(sheet, index)].width = width
        sheet.cell(1, index + 1).font = Font(bold=True)
    sheet.freeze_panes = "C2"


def _letter(sheet: Worksheet, index: int) -> str:
    cell = sheet.cell(1, index + 1)
    assert isinstance(cell, Cell)
    return cell.column_letter


def _typed(value: str) -> str | int | date | None:
    """What a spreadsheet makes of what people type: digits become numbers, days become dates."""
    if not value:
        return None
    if value.isascii() and value.isdigit() and not value.startswith("0"):
        return int(value)
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return value


def _fill_targets(sheet: Worksheet) -> None:
    """A sheet that is none of our business; it has to survive."""
    sheet.append(["Owner", "Target (EUR)", "Customers"])
    for row, (owner, target) in enumerate(
        [("Petra Schulz", 90_000), ("Tom Berger", 60_000), ("Claire Martin", 75_000), ("Li Na", 120_000)], 2
    ):
        sheet.append([owner, target, f"=COUNTIF(Customers!M:M,A{row})"])
    sheet.append(["All", "=SUM(B2:B5)", "=SUM(C2:C5)"])
