"""Times that are stored as text, as SQLite does: read, and written in the style that is already there.

SQLite compares such texts as texts. A time written in another style than its neighbours (`T` for the
space, other digits of a second) would sort in the wrong place, and a cursor would skip it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

__all__ = ["TimeStyle", "parse_time"]

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?P<separator>[ T])\d\d:\d\d:\d\d(?:\.(?P<fraction>\d{1,9}))?"
    r"(?P<suffix>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def parse_time(text: str, zone: tzinfo) -> datetime | None:
    """The aware time that a text says, in `zone` where it names none; None where it is no full time."""
    if _TIME.fullmatch(text) is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=zone)


@dataclass(frozen=True, slots=True)
class TimeStyle:
    """How a time looks. The default is SQLite's own style (sqlite.org/lang_datefunc.html)."""

    separator: str = " "
    digits: int | None = None
    """Digits of a second's fraction; None: none, or 6 where the time has a fraction."""
    suffix: str = ""
    """`Z` or an offset; empty: the text is in the system's `timezone`."""

    @classmethod
    def of(cls, text: str) -> TimeStyle | None:
        """The style of a text, or None where it is no time."""
        found = _TIME.fullmatch(text)
        if found is None:
            return None
        return cls(found["separator"], len(found["fraction"] or ""), found["suffix"] or "")

    @property
    def sorts(self) -> bool:
        """Whether texts of this style sort by time."""
        return self.suffix in {"", "Z", "+00:00", "+0000"}

    def format(self, time: datetime, zone: tzinfo) -> str:
        """The text of an aware time. An offset other than UTC's is kept only where it is UTC's own."""
        local = time.astimezone(UTC if self.suffix else zone)
        digits = self.digits if self.digits is not None else (6 if local.microsecond else 0)
        fraction = "." + f"{local.microsecond:06d}".ljust(9, "0")[:digits] if digits else ""
        suffix = self.suffix if self.sorts else "+00:00"
        # isoformat pads the year to four digits, strftime does not.
        return f"{local.date().isoformat()}{self.separator}{local:%H:%M:%S}{fraction}{suffix}"
