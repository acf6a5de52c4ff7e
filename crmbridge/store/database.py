"""One connection to the state: transactions, statements, and errors that say what to do.

Any thread may use it; one at a time gets through, and a transaction keeps the others out until it ends.

Statements are SQL that SQLite and PostgreSQL understand alike. Values stand at names (`:name`) or at question
marks. A list is one value: `column AMONG :ids` is true if the column is in the list that `ids()` makes, so
that one text serves any number of them.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Literal

import msgspec

from crmbridge.sdk.errors import CrmbridgeError
from crmbridge.store.failures import broken_text, translate_postgres, translate_sqlite

__all__ = ["Database", "columns_of", "insert", "matching", "select", "upsert"]

_encode = msgspec.json.Encoder().encode
_AMONG = re.compile(r"AMONG :(\w+)")
_NAME = re.compile(r"(?<!:):(\w+)")
_NOTHING: Mapping[str, Any] = {}


class Database:
    """Runs statements. `place` says where it is, for people, without a password."""

    def __init__(self, connection: Any, dialect: Literal["sqlite", "postgresql"], place: str) -> None:
        """connection: the driver's own; outside of `transaction()` it commits each statement."""
        self.connection = connection
        self.dialect = dialect
        self.place = place
        self._mutex = threading.RLock()
        self._depth = 0
        self.flag: type[int]
        """What truth values are written as. SQLite has none: its driver looks for a way to write each."""
        if dialect == "sqlite":
            self._text, self.flag = _for_sqlite, int
            self._errors: tuple[type[Exception], ...] = (sqlite3.Error, UnicodeEncodeError, OverflowError)
        else:
            import psycopg

            self._text, self.flag = _for_postgres, bool
            self._errors = (psycopg.Error, UnicodeEncodeError)

    # transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Inside another one: all or nothing of that part."""
        with self._mutex:
            level = self._depth
            self._begin(level)
            self._depth = level + 1
            try:
                yield
                self._require_transaction()
                self.run_text(f"RELEASE SAVEPOINT level_{level}" if level else "COMMIT")
            except BaseException:
                self._roll_back(level)
                raise
            finally:
                self._depth = level

    def _begin(self, level: int) -> None:
        if level:
            self._require_transaction()
            self.run_text(f"SAVEPOINT level_{level}")
        else:
            # A writer that begins as a reader may find that it can't become one; so it waits at the start.
            self.run_text("BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN")

    def _roll_back(self, level: int) -> None:
        # After a full disk SQLite has rolled back by itself, and a lost connection has nothing to roll back:
        # the error on its way up is the one to see.
        with suppress(Exception):
            if level:
                self.run_text(f"ROLLBACK TO SAVEPOINT level_{level}")
                self.run_text(f"RELEASE SAVEPOINT level_{level}")
            else:
                self.run_text("ROLLBACK")

    def _require_transaction(self) -> None:
        if self._depth == 0:
            raise RuntimeError("a write to the state outside of transaction()")
        if self.dialect == "sqlite" and not self.connection.in_transaction:
            raise RuntimeError("a write to the state after an error that undid the whole transaction")

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        if not self._mutex.acquire(blocking=False):
            return False
        try:
            return self._depth > 0
        finally:
            self._mutex.release()

    # statements

    def rows(self, text: str, values: Mapping[str, Any] = _NOTHING) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with self._mutex:
            try:
                found: list[tuple[Any, ...]] = self.connection.execute(self._text(text), values).fetchall()
            except self._errors as error:
                # Without the cause: its text may hold what was to be written.
                raise self._told(error) from None
            return found

    def value(self, text: str, values: Mapping[str, Any] = _NOTHING) -> Any:
        """The first column of the first row, or None."""
        found = self.rows(text, values)
        return found[0][0] if found else None

    def write(self, text: str, values: Mapping[str, Any] = _NOTHING) -> None:
        """Run one statement that writes."""
        with self._mutex:
            self._require_transaction()
            try:
                self.connection.execute(self._text(text), values)
            except self._errors as error:
                raise self._told(error) from None

    def write_many(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for many rows, their values at its question marks."""
        given = list(rows)
        with self._mutex:
            self._require_transaction()
            try:
                self.connection.cursor().executemany(self._text(text), given)
            except self._errors as error:
                raise self._told(error) from None

    def run_text(self, text: str) -> None:
        """Run SQL as it is, without values."""
        with self._mutex:
            try:
                self.connection.execute(text)
            except self._errors as error:
                raise self._told(error) from None

    def has_table(self, name: str) -> bool:
        """Whether it is there."""
        if self.dialect == "sqlite":
            text = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = :name"
        else:
            text = "SELECT count(to_regclass(:name))"
        return bool(self.value(text, {"name": name}))

    def close(self) -> None:
        """Give the connection back; what is not committed is lost."""
        with self._mutex:
            self.connection.close()

    def ids(self, ids: Iterable[str] | Iterable[int]) -> Any:
        """The value of a list. Raises RecordError for what can be no id."""
        given = list(ids)
        if any("\0" in item for item in given if isinstance(item, str)):
            raise broken_text("it has a NUL character")
        if self.dialect != "sqlite":
            return given
        try:
            return _encode(given).decode()
        except UnicodeEncodeError as error:
            raise self._told(error) from None

    def _told(self, error: Exception) -> CrmbridgeError:
        if isinstance(error, UnicodeEncodeError):
            return broken_text("it has half of a surrogate pair")
        if isinstance(error, OverflowError):
            return broken_text("a number needs more than 64 bits")
        if isinstance(error, sqlite3.Error):
            return translate_sqlite(error, self.place)
        return translate_postgres(error, self.place)


# Few texts depend on what was asked for: those of a search, by the number of its words.
@lru_cache(maxsize=512)
def _for_sqlite(text: str) -> str:
    return _AMONG.sub(r"IN (SELECT value FROM json_each(:\1))", text)


@lru_cache(maxsize=512)
def _for_postgres(text: str) -> str:
    return _NAME.sub(r"%(\1)s", _AMONG.sub(r"= ANY(:\1)", text)).replace("?", "%s")


def columns_of(row: type[msgspec.Struct], *, without: str = "") -> tuple[str, ...]:
    """The fields of a row class in their order, which are columns of the same names."""
    return tuple(name for name in row.__struct_fields__ if name != without)


# Names are ours; values stand at the marks.


def select(table: str, columns: Iterable[str]) -> str:
    """SQL that reads these columns."""
    return f"SELECT {', '.join(columns)} FROM {table}"


def matching(values: Mapping[str, Any]) -> str:
    """SQL for the rows in which the columns of these names have these values, those that are not None."""
    conditions = [f"{name} = :{name}" for name, value in values.items() if value is not None]
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def insert(table: str, columns: Sequence[str]) -> str:
    """SQL that inserts a row, for `Database.write_many`."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def upsert(table: str, columns: Sequence[str], key: Sequence[str]) -> str:
    """SQL that inserts a row or replaces the one with this key, for `Database.write_many`."""
    changed = [name for name in columns if name not in key]
    update = ", ".join(f"{name} = excluded.{name}" for name in changed)
    action = f"UPDATE SET {update}" if changed else "NOTHING"
    return f"{insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO {action}"
