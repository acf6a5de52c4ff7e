"""Paging without OFFSET, and what a cursor says.

A full read goes by key. A read of what changed goes by (cursor column, key), so that rows with equal
times are told apart and none falls between two pages. A cursor is one of

    {"by": ["id"], "after": [7]}                                   full read, go on after this key
    {"by": ["updated_at", "id"], "after": [7], "since": ...}       the same; then read what changed since
    {"by": ["updated_at", "id"], "since": {"datetime": "..."}}     what changed since then, inclusive
    {"by": ["updated_at", "id"], "since": ..., "key": [7]}         the same, from this key on

`by` names the columns: a cursor made by other settings is refused, and the stream is read in full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from crmbridge.connectors.sql.columntimes import ColumnTimes, is_iso_day, keeps_text, starts_with_digit
from crmbridge.connectors.sql.database import BrokenText
from crmbridge.connectors.sql.source import Source
from crmbridge.connectors.sql.stored import from_json, to_json
from crmbridge.connectors.sql.texttime import TimeStyle, parse_time
from crmbridge.connectors.sql.values import Field
from crmbridge.sdk import CursorExpiredError

__all__ = ["Position", "beyond", "bound_value", "capped", "plausible", "stepped_back"]

Column = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Position:
    """A cursor, decoded. Values are as the database stores them."""

    after: tuple[Any, ...] | None = None
    """A full read that goes on after this key."""
    since: Any = None
    """Where reading what changed begins, inclusive; None: with the first."""
    key: tuple[Any, ...] | None = None
    """Where among the rows at `since` it begins, inclusive."""

    def dump(self, source: Source) -> dict[str, Any]:
        """The cursor."""
        cursor: dict[str, Any] = {"by": _columns(source)}
        if self.after is not None:
            cursor["after"] = [to_json(value) for value in self.after]
        if source.cursor is not None:
            cursor["since"] = to_json(self.since)
        if self.key is not None:
            cursor["key"] = [to_json(value) for value in self.key]
        return cursor

    @classmethod
    def load(cls, source: Source, cursor: Any) -> Position:
        """Raises CursorExpiredError where the cursor is not one of this stream as it is configured."""
        if not isinstance(cursor, dict) or cursor.get("by") != _columns(source):
            raise CursorExpiredError(
                f"{source.name}: the saved cursor was made with another `key` or `cursor` column"
            )
        try:
            after, key = (
                tuple(map(from_json, cursor[part])) if cursor.get(part) is not None else None
                for part in ("after", "key")
            )
            return cls(after, from_json(cursor.get("since")), key)
        except (TypeError, ValueError) as error:
            raise CursorExpiredError(f"{source.name}: the saved cursor cannot be read") from error


def _columns(source: Source) -> list[str]:
    by = [source.cursor, *source.key] if source.cursor is not None else source.key
    return [field.name for field in by]


def bound_value(column: Column, value: Any) -> Column:
    """A stored value as a parameter. Broken text has to be a text again to sort where it was."""
    if isinstance(value, BrokenText):
        return sa.cast(sa.literal(value.raw), sa.Text)
    return sa.literal(value, type_=column.type)


def beyond(
    columns: Sequence[Column], values: Sequence[Any], *, inclusive: bool, row_values: bool
) -> Condition:
    """The rows behind `values` in the order of `columns`; with `inclusive`, the row at `values` too."""
    bound = [bound_value(column, value) for column, value in zip(columns, values, strict=True)]
    if row_values and len(columns) > 1:
        here, there = sa.tuple_(*columns), sa.tuple_(*bound)
        return here >= there if inclusive else here > there
    condition = columns[-1] >= bound[-1] if inclusive else columns[-1] > bound[-1]
    for column, value in reversed(list(zip(columns[:-1], bound[:-1], strict=True))):
        condition = sa.and_(column >= value, sa.or_(column > value, condition))
    return condition


def stepped_back(value: Any, overlap: int | None, zone: tzinfo, times: ColumnTimes) -> Any:
    """A cursor's value, less the overlap in which rows may still be committed late.

    times: what the column holds, where it keeps texts. Where these don't all sort by time, it is the day
    before, which sorts before every later time in whatever style and with whatever offset that is.
    """
    if isinstance(value, str) and times.order == "day":
        day = date.fromisoformat(value[:10])
        back = timedelta(days=1) + timedelta(seconds=overlap or 0)
        return (day - timedelta(days=math.ceil(back / timedelta(days=1)))).isoformat()
    if isinstance(value, str) and len(times.styles) > 1:
        # They differ in the digits of a second: without any, a time sorts before all of them.
        value = _without_fraction(value)
    if isinstance(value, datetime):
        return _time_stepped_back(value, overlap, zone)
    if isinstance(value, date):
        return value - timedelta(days=1 if overlap is None else overlap)
    if isinstance(value, int | float | Decimal):
        step = 1000 if overlap is None else overlap
        return math.floor(value) - step if isinstance(value, float) else value - step
    if isinstance(value, str):
        return _text_stepped_back(value, overlap, zone)
    return value


def _without_fraction(text: str) -> str:
    style, time = TimeStyle.of(text), parse_time(text, UTC)
    return TimeStyle(style.separator, 0).format(time, UTC) if style and time else text


def _time_stepped_back(time: datetime, overlap: int | None, zone: tzinfo) -> datetime:
    back = timedelta(seconds=10 if overlap is None else overlap)
    if time.tzinfo is not None:
        return time - back
    # In the hour that a clock without zone shows twice in autumn, the second pass would look old.
    first, second = (time.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0) for fold in (0, 1))
    return time - back - max(first - second, timedelta(0))


def _text_stepped_back(text: str, overlap: int | None, zone: tzinfo) -> str:
    style, time = TimeStyle.of(text), parse_time(text, UTC)
    if style is not None and time is not None and style.sorts:
        if style.suffix:
            return style.format(_time_stepped_back(time, overlap, zone), UTC)
        wall = _time_stepped_back(time.replace(tzinfo=None), overlap, zone)
        return style.format(wall.replace(tzinfo=UTC), UTC)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return (day - timedelta(days=1 if overlap is None else overlap)).isoformat() if len(text) == 10 else text


def plausible(field: Field, times: ColumnTimes, *, loose: bool) -> list[Condition]:
    """Which times count for the high-water mark: not `infinity`, nor the words in a loose text column."""
    if keeps_text(field, loose=loose):
        return [starts_with_digit(field.column)] if times.styles or field.kind in {"datetime", "date"} else []
    if field.kind not in {"datetime", "date"}:
        return []
    last: date = date(9999, 12, 31)
    if field.kind == "datetime":
        last = datetime(9999, 12, 31, tzinfo=UTC if field.aware else None)
    return [field.column < sa.literal(last, type_=field.column.type)]


def capped(value: Any, now: datetime | None, zone: tzinfo) -> Any:
    """The high-water mark, but not later than the database's own clock.

    One row dated 2099 would otherwise hide every change until then.
    """
    if now is None:
        return value
    if isinstance(value, datetime):
        return min(value, now if value.tzinfo else now.astimezone(zone).replace(tzinfo=None))
    if isinstance(value, date):
        return min(value, now.astimezone(zone).date())
    style = TimeStyle.of(value) if isinstance(value, str) else None
    if style is not None:
        time = parse_time(value, zone)
        return style.format(now, zone) if time is not None and time > now else value
    today = now.astimezone(zone).date().isoformat()
    if isinstance(value, str) and is_iso_day(value) and value[:10] > today:
        return today
    return value
