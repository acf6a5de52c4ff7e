"""Whether a row is marked as deleted: what the value of the column that says so means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from crmbridge.connectors.sql.values import BadValueError

__all__ = ["is_deleted"]

_NOT = frozenset({"", "0", "false", "f", "no", "n", "off"})
_DELETED = frozenset({"1", "true", "t", "yes", "y", "on", "x", "*", "deleted"})
_MOMENT = re.compile(r"(?P<year>\d{4})-\d\d-\d\d(?!\d)")


def is_deleted(column: str, value: Any, values: Sequence[Any]) -> bool:
    """Whether `value` marks a row as deleted. values: those that do, where the config says them.

    Raises BadValueError for a text of which nobody said what it means: a row that is gone and one that is
    there are too different to guess.
    """
    if values:
        return value in values or (value is not None and _text(value) in set(map(_text, values)))
    if not isinstance(value, str):
        return value not in (None, False, 0)
    text = _text(value)
    moment = _MOMENT.match(text)
    if text in _NOT or (moment is not None and moment["year"] == "0000"):  # MySQL's date that is none
        return False
    if text in _DELETED or moment is not None:
        return True
    raise BadValueError(
        f"{column} holds a text that may or may not mean deleted; say which ones do: "
        f"deleted: {{column: {column}, values: [...]}}"
    )


def _text(value: Any) -> str:
    """As people compare: a column of texts may hold the 1 that the config has as a number, padded."""
    return str(value).strip().casefold()
