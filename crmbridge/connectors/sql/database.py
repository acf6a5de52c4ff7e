"""The connection to a database: how it is opened, what a transaction is there, whose clock it has."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from crmbridge.connectors.sql.failures import translate
from crmbridge.connectors.sql.settings import SqlSettings
from crmbridge.sdk import ConfigError, Context

__all__ = ["BrokenText", "Database", "dump_json", "load_json"]

_NOW = {
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    "postgresql": "SELECT clock_timestamp()",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
    "mssql": "SELECT SYSUTCDATETIME()",
}
_USUAL = ("sqlite", "postgresql", "mysql", "mariadb", "oracle", "mssql")
_ROW_LOCKS = {"sqlite", "postgresql", "mysql", "mariadb", "oracle"}
"""Where a row that was read for writing stays as it is: FOR UPDATE, or SQLite's one writer."""


class BrokenText:
    """What SQLite holds as text but is not UTF-8."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


def load_json(text: str | bytes) -> Any:
    """JSON without loss: fractions are Decimal. Raises ValueError."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def dump_json(value: Any) -> str:
    """JSON without loss: Decimal is written as a number with all its digits."""
    return _json.encode(value).decode()


_json = msgspec.json.Encoder(decimal_format="number")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Database:
    """One database. Opens nothing before the first `reading` or `writing`."""

    def __init__(self, settings: SqlSettings, context: Context) -> None:
        self.timeout = settings.timeout
        self.url = _url(settings, context)
        self.engine = _engine(self.url, settings.timeout)
        self.dialect = self.engine.dialect.name
        self.snapshots = self.dialect in {"sqlite", "postgresql"}
        """Whether `reading` sees one state from beginning to end, whatever is written meanwhile."""
        self.row_values = self.dialect in {"sqlite", "postgresql", "mysql", "mariadb"}
        """Whether it compares (a, b) > (1, 2); then an index on both columns serves a page."""
        self.locks_rows = self.dialect in _ROW_LOCKS

    @property
    def place(self) -> str:
        """Where it is, for people: never with a login or password."""
        if self.dialect == "sqlite":
            return str(self.url.database)
        port = f":{self.url.port}" if self.url.port else ""
        return f"{self.url.host or 'localhost'}{port}/{self.url.database or ''}"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only transaction; where `snapshots` holds, one snapshot."""
        options: dict[str, Any] = {}
        if self.dialect == "postgresql":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._connected(options) as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that the caller commits; it is rolled back otherwise."""
        options: dict[str, Any] = {"crmbridge_write": True}
        if not self.locks_rows:
            options["isolation_level"] = "SERIALIZABLE"
        with self._connected(options) as connection:
            yield connection

    @contextmanager
    def _connected(self, options: dict[str, Any]) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection.execution_options(**options)
        except ModuleNotFoundError as error:
            raise _no_driver(self.url, error) from error
        except DBAPIError as error:
            # The cause is left out: its text and frames hold statements and what was in them.
            raise translate(error, self.place) from None

    def now(self, connection: Connection) -> datetime | None:
        """The database's clock, aware; None where it isn't known how to ask."""
        if self.dialect not in _NOW:
            return None
        value = connection.exec_driver_sql(_NOW[self.dialect]).scalar_one()
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)

    def fingerprint(self, root: Path) -> str:
        """Which database this is; another file or server answers differently. A file is known by where it
        lies seen from `root`, so that the folder of a config can be moved."""
        if self.dialect == "sqlite":
            return f"sqlite:{os.path.relpath(Path(str(self.url.database)).resolve(), root.resolve())}"
        if self.dialect == "postgresql":
            with self.reading() as connection:
                row = connection.exec_driver_sql(
                    "SELECT system_identifier, d.oid, d.datname FROM pg_control_system(), pg_database d"
                    " WHERE d.datname = current_database()"
                ).one()
            return "postgresql:" + ":".join(map(str, row))
        return f"{self.dialect}:{self.place}"

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def _url(settings: SqlSettings, context: Context) -> URL:
    try:
        url = sa.make_url(settings.url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"{context.system}: `url` is not an SQLAlchemy URL",
            hint="it looks like postgresql://user@host/database or sqlite:///folder/file.db; "
            "special characters in a password are written as %40, or the password goes below `password`",
        ) from None
    if settings.password is not None:
        url = url.set(password=settings.password.get_secret_value())
    if url.drivername == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        return url
    if url.database in (None, "", ":memory:"):
        raise ConfigError(
            f"{context.system}: an SQLite database in memory is empty at every start",
            hint="name a file: sqlite:///folder/file.db",
        )
    return url.set(database=str((context.root / url.database).absolute()))


def _engine(url: URL, timeout: int) -> Engine:
    backend = url.get_backend_name()
    options: dict[str, Any] = {"hide_parameters": True}
    try:
        if backend == "sqlite":
            path = str(url.database)
            engine = sa.create_engine(
                "sqlite://", creator=lambda: _open_sqlite(path, timeout), poolclass=sa.NullPool, **options
            )
            sa.event.listen(engine, "begin", _begin_sqlite)
            return engine
        if backend == "postgresql":
            options["json_deserializer"], options["json_serializer"] = load_json, dump_json
            options["connect_args"] = {
                "connect_timeout": timeout,
                "keepalives_idle": 30,
                "application_name": "crmbridge",
            }
        engine = sa.create_engine(url, pool_size=2, pool_pre_ping=True, **options)
    except NoSuchModuleError:
        raise ConfigError(
            f"`url`: SQLAlchemy does not know the database {url.drivername!r}",
            hint=_meant(url)
            + "install its dialect into the environment of crmbridge, or correct the word before ://",
        ) from None
    except ModuleNotFoundError as error:
        raise _no_driver(url, error) from error
    if backend == "postgresql":
        sa.event.listen(engine, "begin", lambda connection: _begin_postgresql(connection, timeout))
    if engine.dialect.driver == "psycopg":
        from crmbridge.connectors.sql.postgresql import read_all_dates

        sa.event.listen(engine, "connect", read_all_dates)
    return engine


def _open_sqlite(path: str, timeout: int) -> sqlite3.Connection:
    # mode=rw: a mistyped path is an error, not a new and empty database.
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode=rw",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = _text
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _text(raw: bytes) -> str | BrokenText:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return BrokenText(raw)


def _begin_sqlite(connection: Connection) -> None:
    # A writer that begins as a reader may find that it can't become one; IMMEDIATE waits at the start.
    writes = connection.get_execution_options().get("crmbridge_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection, timeout: int) -> None:
    if connection.get_execution_options().get("crmbridge_write"):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{timeout}s'")


def _meant(url: URL) -> str:
    close = get_close_matches(url.get_backend_name(), _USUAL, n=1)
    return f"did you mean {close[0]!r}? " if close else ""


def _no_driver(url: URL, error: ModuleNotFoundError) -> ConfigError:
    name = "'crmbridge[postgres]'" if url.get_backend_name() == "postgresql" else error.name
    name = "mysqlclient" if name == "MySQLdb" else name
    return ConfigError(
        f"`url`: the database driver {error.name} is not installed", hint=f"run: pip install {name}"
    )
