"""Stored values as JSON, exact and with their type: what cursors are made of."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from crmbridge.connectors.sql.database import BrokenText
from crmbridge.connectors.sql.values import BadValueError

__all__ = ["from_json", "to_json"]

_TO_JSON: tuple[tuple[type[Any], str, Callable[[Any], str]], ...] = (
    (datetime, "datetime", lambda value: value.isoformat()),
    (date, "date", lambda value: value.isoformat()),
    (time, "time", lambda value: value.isoformat()),
    (Decimal, "decimal", str),
    (float, "float", float.hex),
    (uuid.UUID, "uuid", str),
    (bytes, "bytes", lambda value: base64.b64encode(value).decode()),
    (BrokenText, "broken", lambda value: base64.b64encode(value.raw).decode()),
    (memoryview, "bytes", lambda value: base64.b64encode(value).decode()),
)
_FROM_JSON: dict[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "float": float.fromhex,
    "uuid": uuid.UUID,
    "broken": lambda text: BrokenText(base64.b64decode(text)),
    "bytes": base64.b64decode,
}


def to_json(value: Any) -> Any:
    """A stored value as JSON: `{"datetime": "..."}`; text, whole numbers and NULL stand for themselves."""
    if value is None or type(value) in (str, int, bool):
        return value
    for of, tag, text in _TO_JSON:
        if isinstance(value, of):
            return {tag: text(value)}
    raise BadValueError(f"a {type(value).__name__} cannot be a key or cursor")


def from_json(value: Any) -> Any:
    """The reverse of `to_json`. Raises ValueError."""
    if not isinstance(value, dict):
        return value
    try:
        ((tag, text),) = value.items()
        return _FROM_JSON[tag](text)
    except (KeyError, TypeError, InvalidOperation, binascii.Error) as error:
        raise ValueError("this is no stored value") from error
