"""Cells of a CSV file that a spreadsheet program would run as a formula (CWE-1236).

Excel, LibreOffice and WPS take a cell that starts with = + - @ (also as full-width characters), a tab or a
carriage return as a formula. We write such text with a leading apostrophe and take that apostrophe away
when reading, so the value survives. Two shapes are written as they are, because digits alone can do no harm
and other programs read these files too: numbers (`-5`, `+1.50`) and phone numbers (`+49 30 1234-0`).

`unescape(escape(text)) == text` for every text: text that has apostrophes before a formula gets one more.
"""

from __future__ import annotations

import re

__all__ = ["escape", "is_formula", "unescape"]

_START = "=+-@\t\r＝＋－＠"
_HARMLESS = re.compile(r"[-+][0-9]+(?:[.,][0-9]+)*|\+[0-9][0-9 ()/.\-]*", re.ASCII)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet program may take this text for a formula when it opens a CSV file."""
    if not text.startswith(("\t", "\r")):
        text = text.lstrip()
    return text.startswith(tuple(_START)) and not _HARMLESS.fullmatch(text)


def escape(text: str) -> str:
    """The text as it is written into a cell."""
    return "'" + text if is_formula(text.lstrip("'")) else text


def unescape(cell: str) -> str:
    """The text that a cell stands for."""
    return cell[1:] if cell.startswith("'") and is_formula(cell.lstrip("'")) else cell
