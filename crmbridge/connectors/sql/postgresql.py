"""PostgreSQL's dates reach further than Python's: `infinity`, years before 1 and after 9999.

One such value would make a whole page unreadable; it is read as PostgreSQL's text for it instead.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from psycopg import Connection, DataError
from psycopg.types import datetime as standard

__all__ = ["read_all_dates"]

Data = bytes | bytearray | memoryview


class _DateLoader(standard.DateLoader):
    def load(self, data: Data) -> date | str:  # type: ignore[override]
        try:
            return super().load(data)
        except DataError:
            return bytes(data).decode()


class _TimestampLoader(standard.TimestampLoader):
    def load(self, data: Data) -> datetime | str:  # type: ignore[override]
        try:
            return super().load(data)
        except DataError:
            return bytes(data).decode()


class _TimestamptzLoader(standard.TimestamptzLoader):
    def load(self, data: Data) -> datetime | str:  # type: ignore[override]
        try:
            return super().load(data)
        except DataError:
            return bytes(data).decode()


def read_all_dates(connection: Connection[Any], _record: object) -> None:
    """For SQLAlchemy's event `connect`."""
    connection.adapters.register_loader("date", _DateLoader)
    connection.adapters.register_loader("timestamp", _TimestampLoader)
    connection.adapters.register_loader("timestamptz", _TimestamptzLoader)
