"""Values as Tryton's JSON-RPC writes them, and as crmbridge holds them.

JSON has neither decimals nor dates, so Tryton sends objects that name their class:
`{"__class__": "Decimal", "decimal": "9.90"}`, `{"__class__": "date", "year": ..., ...}`
(trytond/protocols/jsonrpc.py). Its instants are UTC without an offset.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["from_wire", "to_wire"]


def from_wire(value: Any) -> Any:
    """Decoded JSON -> Python values: Decimal, aware datetime (UTC), date, time, timedelta, bytes.

    Raises ValueError for a class that Tryton's protocol does not have or that lacks its parts.
    """
    if isinstance(value, list):
        return [from_wire(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = value.get("__class__")
    if name is None:
        return {key: from_wire(item) for key, item in value.items()}
    try:
        return _read_object(name, value)
    except (KeyError, TypeError, ValueError, InvalidOperation, OverflowError) as error:
        raise ValueError(f"no {name} as Tryton writes it: {value!r}") from error


def _read_object(name: str, parts: dict[str, Any]) -> Any:
    match name:
        case "Decimal":
            return Decimal(parts["decimal"])
        case "datetime":
            day = (parts["year"], parts["month"], parts["day"])
            return datetime(*day, *_clock(parts), tzinfo=UTC)
        case "date":
            return date(parts["year"], parts["month"], parts["day"])
        case "time":
            return time(*_clock(parts))
        case "timedelta":
            return timedelta(seconds=float(parts["seconds"]))
        case "bytes":
            return base64.b64decode(parts["base64"])
        case _:
            raise ValueError("an unknown class")


def _clock(parts: dict[str, Any]) -> tuple[int, int, int, int]:
    return parts["hour"], parts["minute"], parts["second"], parts["microsecond"]


def to_wire(value: Any) -> Any:
    """The reverse: Python values -> what can be written as JSON.

    A datetime has to be aware. A Decimal becomes an exact `Decimal` object; where Tryton's field is a
    binary float (a quantity), pass a `WireNumber` instead.
    """
    if isinstance(value, dict):
        return {key: to_wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_wire(item) for item in value]
    if isinstance(value, WireNumber):
        return value.number
    write = _WRITERS.get(type(value))
    return write(value) if write else value


class WireNumber:
    """A Decimal that is to be written as a bare JSON number, with all its digits."""

    def __init__(self, number: Decimal) -> None:
        self.number = number


def _day_parts(day: date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


def _clock_parts(moment: datetime | time) -> dict[str, int]:
    return {
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "microsecond": moment.microsecond,
    }


def _write_datetime(moment: datetime) -> dict[str, Any]:
    utc = moment.astimezone(UTC)
    return {"__class__": "datetime"} | _day_parts(utc) | _clock_parts(utc)


_WRITERS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    Decimal: lambda value: {"__class__": "Decimal", "decimal": format(value, "f")},
    datetime: _write_datetime,
    date: lambda value: {"__class__": "date"} | _day_parts(value),
    time: lambda value: {"__class__": "time"} | _clock_parts(value),
    timedelta: lambda value: {"__class__": "timedelta", "seconds": Decimal(str(value.total_seconds()))},
    bytes: lambda value: {"__class__": "bytes", "base64": base64.b64encode(value).decode()},
}
