"""The story that `make demo` tells: what a person would type and do, step by step.

Each step is a command of crmbridge or something that somebody does in between. Whoever tells the story runs
the commands in the demo folder and prints what they say; nothing here prints or knows the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openpyxl import load_workbook

__all__ = ["CUSTOMER", "STORY", "Step", "change_phone"]

CUSTOMER = "K-1004"
"""Café Lumière: in all three systems, spelled three ways, with orders, a complaint and calls."""
NEW_PHONE = "0033 1 99 00 77 01"
PLAN = "first.plan"

_DONE_BUT_ONE = 3
"""Exit code of a run that is done but for some records: complaint R-707 is a dead letter."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the story; it has either a command or something to do."""

    title: str
    """What it is about, a sentence."""
    command: tuple[str, ...] = ()
    """The arguments of `crmbridge`, to be run with the folder as working directory."""
    exit_code: int = 0
    """With which that command ends."""
    act: Callable[[Path], str] | None = None
    """Does something in the folder and says what, in a sentence."""


def change_phone(folder: Path) -> str:
    """Give the customer another phone number in the Excel list, as somebody in sales would."""
    path = folder / "sales-team" / "customers.xlsx"
    book = load_workbook(path)
    sheet = book["Customers"]
    column = next(number for number, cell in enumerate(sheet[1]) if cell.value == "Phone")
    cell = next(cells[column] for cells in sheet.iter_rows() if cells[0].value == CUSTOMER)
    old, cell.value = cell.value, NEW_PHONE
    book.save(path)
    return f"{path.name}, sheet Customers, cell {cell.coordinate}: {old} becomes {NEW_PHONE}"


STORY = (
    Step(
        "Three systems hold the same customers, each in its own way. What would be written?",
        ("plan", "--show", "2", "--out", PLAN),
    ),
    Step(
        "It looks right, so the plan is applied. One complaint cannot be read; it is kept for a person.",
        ("apply", PLAN),
        _DONE_BUT_ONE,
    ),
    Step("One customer, from all three systems:", ("show", CUSTOMER)),
    Step(
        "Sales and the CRM disagree on the credit limit. Who won, and why?",
        ("explain", CUSTOMER, "credit_limit"),
    ),
    Step("Somebody in sales changes the customer's phone number in Excel:", act=change_phone),
    Step("The new number reaches the shop and the CRM:", ("sync",), _DONE_BUT_ONE),
    Step("Once more: what would be written now? Nothing.", ("plan",)),
)
"""The steps in order."""
