"""What a worksheet's cell means, and how a value is written into one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from openpyxl.utils.datetime import from_excel, to_excel

from crmbridge.connectors.files.formulas import is_formula
from crmbridge.connectors.files.table import Worded, blank_to_none, iso_moment, plain_number
from crmbridge.connectors.files.xlsxstyles import Styles, is_padding
from crmbridge.connectors.files.xmlbytes import text_content

__all__ = ["MAX_TEXT", "cell_writer", "padded", "shown"]

MAX_TEXT = 32_767
"""Characters that Excel keeps in one cell."""
_EXACT_DIGITS = 15  # that many survive in the binary fractions that Excel computes with
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
"""Reads back as the same text."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?)?|\d\d:\d\d:\d\d")


def shown(value: object) -> Any:
    """What openpyxl read, as a JSON-like value: fractions exactly as typed, dates and times in ISO 8601.

    A sheet knows no time zone, so times have no offset. Midnight is a date.
    """
    if isinstance(value, str):
        return blank_to_none(_ESCAPED.sub(_character, value))
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return str(value)


def padded(value: object, code: str) -> object:
    """What `shown` gave, with the zeros that a format such as `00000` puts before a number: who numbers
    customers or writes postal codes so means the zeros, and other systems have them as text."""
    if type(value) is int and value >= 0 and is_padding(code):
        return str(value).zfill(len(code))
    return value


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code <= 0xDFFF else chr(code)


def _number(value: float) -> int | Decimal | None:
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else Decimal(repr(value))


def cell_writer(styles: Styles, epoch: datetime) -> Callable[[str, str, int | None, str, object], str]:
    """A function from (prefix, reference, style, kind, value) to a cell's XML; `kind` is the type (`n`, `b`)
    of what the cell, or the column above it, holds.

    Text is written as text, never as a formula, and marked as such where it looks like one. Among numbers and
    truth values it becomes one where it is one; ISO dates become dates in cells formatted so. A number with
    more digits than Excel keeps is written as text.
    """

    def write(prefix: str, reference: str, style: int | None, kind: str, value: object) -> str:
        if isinstance(value, str):
            form = styles.kind(style or 0)
            width = styles.padding(style or 0)
            if width and not isinstance(value, Worded):
                value = _unpadded(value, width)
            else:
                value = _typed(value, form if form == "text" else kind or form)
        moment = _serial(value, epoch) if isinstance(value, str) and styles.is_date(style or 0) else ""
        content = _content(prefix, value, moment)
        if content.startswith(' t="inlineStr"') and isinstance(value, str) and is_formula(value):
            style = styles.quoted(style or 0)
        start = f'<{prefix}c r="{reference}"' + (f' s="{style}"' if style else "")
        if value is None:
            return f"{start}/>" if style else ""
        return f"{start}{content}</{prefix}c>"

    return write


def _typed(text: str, kind: str) -> object:
    """The number or truth value that stands in the text, in a place for such; None where it is blank. Leading
    zeros and all else that a number does not keep stay text."""
    if blank_to_none(text) is None:
        return None
    if kind == "b":
        truth = text.typed if isinstance(text, Worded) else {"true": True, "false": False}.get(text)
        return truth if isinstance(truth, bool) else text
    if kind == "n":
        number = text.typed if isinstance(text, Worded) else _NUMBER.fullmatch(text) and Decimal(text)
        return number if isinstance(number, Decimal) and _is_exact(number) else text
    return text


def _unpadded(text: str, width: int) -> object:
    """The number that is shown as this text with so many digits; the text itself where there is none."""
    if blank_to_none(text) is None:
        return None
    if text.isascii() and text.isdigit() and str(int(text)).zfill(width) == text:
        number = Decimal(text)
        return number if _is_exact(number) else text
    return text


def _content(prefix: str, value: object, moment: str) -> str:
    if isinstance(value, bool):
        return f' t="b"><{prefix}v>{int(value)}</{prefix}v>'
    if isinstance(value, int | Decimal) and _is_exact(Decimal(value)):
        moment = plain_number(value)
    if moment:
        return f"><{prefix}v>{moment}</{prefix}v>"
    text = plain_number(value) if isinstance(value, int | Decimal) else str(value)
    return (
        f' t="inlineStr"><{prefix}is><{prefix}t xml:space="preserve">{text_content(text)}'
        f"</{prefix}t></{prefix}is>"
    )


def _is_exact(value: Decimal) -> bool:
    digits = len(value.normalize().as_tuple().digits)
    return digits <= _EXACT_DIGITS and -300 < value.adjusted() < 300


def _serial(text: str, epoch: datetime) -> str:
    """The day number of a date or time; "" where Excel would show another moment than `text` says."""
    text = iso_moment(text)
    if not _MOMENT.fullmatch(text):
        return ""
    try:
        moment = time.fromisoformat(text) if text[2] == ":" else datetime.fromisoformat(text)
        serial = to_excel(moment, epoch)  # type: ignore[no-untyped-call]
        same = shown(from_excel(serial, epoch)) == shown(moment)
    except (ValueError, OverflowError):
        return ""
    return repr(serial) if same and serial >= 0 else ""
