"""In which styles a column keeps its times as text, and whether they sort.

A database compares such texts as texts: where two programs write in two styles, a later time may sort before
an earlier one. So the whole column is looked at, not a row of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crmbridge.connectors.sql.texttime import TimeStyle
from crmbridge.connectors.sql.values import Field

__all__ = ["ColumnTimes", "column_times", "is_iso_day", "keeps_text", "starts_with_digit"]

Order = Literal["time", "day", "text", "none"]

_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d(?!\d)", re.ASCII)
_OTHER_DAY = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}(?!\d)", re.ASCII)


def is_iso_day(text: str) -> bool:
    """Whether a text starts with a day as ISO 8601 writes it, so that its order is that of the days."""
    return _ISO_DAY.match(text) is not None


def keeps_text(field: Field, *, loose: bool) -> bool:
    """Whether times in this column are texts to the database."""
    return field.kind in {"text", "other"} or (loose and field.kind in {"datetime", "date"})


def starts_with_digit(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Leaves out words such as `infinity` or `unknown`: they sort behind all times in every collation."""
    return sa.func.substr(column, 1, 1).in_(list("0123456789"))


@dataclass(frozen=True, slots=True)
class ColumnTimes:
    """What a column holds, by one example of each look; the most frequent first. Words are left out."""

    examples: tuple[Any, ...] = ()

    @property
    def styles(self) -> list[TimeStyle]:
        """The styles of full times, each once."""
        found = [TimeStyle.of(example) for example in self.examples if isinstance(example, str)]
        return list(dict.fromkeys(style for style in found if style is not None))

    @property
    def odd(self) -> str | None:
        """An example of what is no ISO 8601 time or day."""
        return next((str(each) for each in self.examples if not is_iso_day(str(each))), None)

    @property
    def order(self) -> Order:
        """How far the column's order can be trusted: all by `time`; by the `day` only, where looks differ;
        as `text`, where a text of fixed length grows; or not at all."""
        texts = [each for each in self.examples if isinstance(each, str)]
        if not texts:
            return "time"
        if self.odd is None:
            looks = {(style.separator, style.suffix) for style in self.styles}
            all_full = len(self.styles) == len(texts) and all(style.sorts for style in self.styles)
            only_days = not self.styles and all(len(text) == 10 for text in texts)
            return "time" if only_days or (all_full and len(looks) == 1) else "day"
        same_length = len(texts) == len(self.examples) and len({len(text) for text in texts}) == 1
        days = any(_ISO_DAY.match(text) or _OTHER_DAY.match(text) for text in texts)
        return "text" if same_length and not days else "none"

    @property
    def written(self) -> TimeStyle | None:
        """The style for a new time: the most frequent that sorts. None: no time is written here."""
        if not self.examples:
            return TimeStyle()
        return next((style for style in self.styles if style.sorts), None) or next(iter(self.styles), None)


def column_times(connection: Connection, column: sa.ColumnElement[Any]) -> ColumnTimes:
    """Look at each value of a column that keeps texts: one scan, done by the database."""
    length = sa.func.length(column)
    # Separator, digits and offset, without telling each time from the other.
    look = (sa.func.substr(column, 11, 1), length, sa.func.substr(column, length - 5, 1))
    query = (
        sa.select(sa.func.min(column))
        .where(column.is_not(None), starts_with_digit(column))
        .group_by(*look)
        .order_by(sa.func.count().desc())
    )
    return ColumnTimes(_unlike(connection.execute(query).scalars().all()))


def _unlike(examples: Sequence[Any]) -> tuple[Any, ...]:
    """One example of each style, and all that have none."""
    found: dict[Any, Any] = {}
    for example in examples:
        style = TimeStyle.of(example) if isinstance(example, str) else None
        found.setdefault(style or (type(example), len(str(example)), str(example)[:1]), example)
    return tuple(found.values())
