"""One connection to the state: transactions, statements, and errors that say what to do.

Any thread may use it; one at a time gets through, and a transaction keeps the others out until it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from crmbridge.store.failures import broken_text, translate

__all__ = ["Database", "columns_of", "literal", "upsert"]

_encode = msgspec.json.Encoder().encode


class Database:
    """Runs statements. `place` says where it is, for people, without a password."""

    def __init__(self, connection: sa.Connection, place: str) -> None:
        self.connection = connection
        self.place = place
        self.dialect = connection.dialect.name
        self.driver: Any = connection.connection.driver_connection
        """The database driver's own connection."""
        self._mutex = threading.RLock()
        self._depth = 0

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
        if self.dialect == "sqlite" and not self.driver.in_transaction:
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

    def rows(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """What a query finds."""
        with self._mutex, self._failures():
            return self.connection.execute(statement, parameters).fetchall()

    def value(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row, or None."""
        with self._mutex, self._failures():
            return self.connection.execute(statement, parameters).scalar()

    def write(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> None:
        """Run one statement that writes."""
        with self._mutex, self._failures():
            self._require_transaction()
            self.connection.execute(statement, parameters)

    def write_many(self, text: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run SQL for many rows, their values at its question marks; half the cost of named values."""
        given = list(rows)
        with self._mutex, self._failures():
            self._require_transaction()
            if given:
                self.connection.exec_driver_sql(self._marked(text), given)

    def has_table(self, name: str) -> bool:
        """Whether it is there."""
        with self._mutex, self._failures():
            return sa.inspect(self.connection).has_table(name)

    def close(self) -> None:
        """Give the connection back; what is not committed is lost."""
        with self._mutex:
            self.connection.close()
            self.connection.engine.dispose()

    def run_text(self, text: str) -> None:
        """Run SQL without parameters."""
        with self._mutex, self._failures():
            self.connection.exec_driver_sql(text)

    def _marked(self, text: str) -> str:
        return text if self.dialect == "sqlite" else text.replace("?", "%s")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            # Without the cause: its text may hold what was to be written.
            raise translate(error, self.place) from None
        except UnicodeEncodeError:
            raise broken_text("it has half of a surrogate pair") from None
        except OverflowError:
            raise broken_text("a number needs more than 64 bits") from None

    # the parts of a statement in which the databases differ

    def among(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """`column` is one of the parameter `ids`, which `ids()` makes: one text for any number of them."""
        if self.dialect == "sqlite":
            value = sa.func.json_each(sa.bindparam("ids")).table_valued("value").c.value
            return column.in_(sa.select(value).scalar_subquery())
        return column == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(column.type)))

    def ids(self, ids: Iterable[str] | Iterable[int]) -> Any:
        """The value of the parameter of `among`. Raises RecordError for what can be no id."""
        given = list(ids)
        if any("\0" in item for item in given if isinstance(item, str)):
            raise broken_text("it has a NUL character")
        if self.dialect != "sqlite":
            return given
        with self._failures():
            return _encode(given).decode()


def columns_of(row: type[Any], *, without: str = "") -> tuple[str, ...]:
    """The fields of a row class in their order, which are columns of the same names."""
    return tuple(field.name for field in fields(row) if field.name != without)


def literal(value: str) -> sa.ColumnElement[str]:
    """A constant written into the SQL itself, where an index is limited by it."""
    return sa.literal(value, literal_execute=True)


def upsert(table: sa.Table, columns: Sequence[str], key: Sequence[str]) -> str:
    """SQL that inserts a row or replaces the one with this key, for `Database.write_many`."""
    changed = [name for name in columns if name not in key]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    update = ", ".join(f"{name} = excluded.{name}" for name in changed)
    action = f"UPDATE SET {update}" if changed else "NOTHING"
    # Names are ours; values stand at the marks.
    return (
        f"INSERT INTO {table.name} ({names}) VALUES ({marks}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(key)}) DO {action}"
    )
