"""The state in a PostgreSQL database, or in a schema of its own there (`?options=-csearch_path%3Dname`)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from crmbridge.sdk.errors import ConfigError, LockedError
from crmbridge.store.database import Database, upsert
from crmbridge.store.failures import told, translate_postgres
from crmbridge.store.tables import NUMBERED, TABLES

__all__ = ["Postgres"]

_LOCK = 0x43524D42
_TRY = f"SELECT pg_try_advisory_lock({_LOCK}, hashtext(current_schema()))"
_FREE = f"SELECT pg_advisory_unlock({_LOCK}, hashtext(current_schema()))"
# Numbers go on after the largest one that was copied.
_CONTINUE = """
    SELECT setval(pg_get_serial_sequence('pg_temp.{name}', 'id'), max(id)) FROM pg_temp.{name}
    HAVING max(id) > 0
"""
_HOLDER = "SELECT value FROM settings WHERE key = 'holder'"
_PUT_HOLDER = upsert("settings", ("key", "value"), ("key",))


class Postgres:
    """One database."""

    def __init__(self, address: Mapping[str, Any]) -> None:
        """address: parameters of libpq: https://www.postgresql.org/docs/current/libpq-connect.html"""
        self.address = address
        port = f":{address['port']}" if "port" in address else ""
        self.place = f"{address.get('host', 'localhost')}{port}/{address.get('dbname', '')}"
        self._locked = False

    def connect(self, newest: int) -> Database:
        """Open it."""
        return self._open()

    def _open(self) -> Database:
        try:
            import psycopg
        except ImportError:
            raise ConfigError(
                "`state`: the driver for PostgreSQL is not installed",
                hint="run: pip install 'crmbridge[postgres]'",
            ) from None
        try:
            connection = psycopg.connect(**self.address, autocommit=True)
        except psycopg.Error as error:
            raise translate_postgres(error, self.place) from None
        return Database(connection, "postgresql", self.place)

    @contextmanager
    def lock(self, database: Database, holder: str, now: Callable[[], int]) -> Iterator[None]:
        """Be the only run. The server frees the lock when the connection ends: it is the one that writes, so
        that who has lost the lock can write no more."""
        if self._locked or not database.value(_TRY):
            raise LockedError(
                f"another run works on this state: {told(database.value(_HOLDER) or '')}",
                hint="wait for it to end, then try again",
            )
        self._locked = True
        try:
            who = {"pid": os.getpid(), "host": socket.gethostname(), "command": holder, "since": now()}
            with database.transaction():
                database.write_many(_PUT_HOLDER, [("holder", json.dumps(who))])
            yield
        finally:
            self._locked = False
            if not database.connection.closed:
                database.value(_FREE)

    @contextmanager
    def scratch(self, source: Database) -> Iterator[Database]:
        """A connection in which temporary tables stand before the real ones. They go with it."""
        with closing(self._open()) as database:
            schema = database.value("SELECT quote_ident(current_schema())")
            database.run_text("SET default_transaction_isolation = 'repeatable read'")
            with database.transaction():
                for name in TABLES:
                    database.run_text(f"CREATE TEMPORARY TABLE {name} (LIKE {schema}.{name} INCLUDING ALL)")
                    database.run_text(f"INSERT INTO pg_temp.{name} SELECT * FROM {schema}.{name}")
                    if name in NUMBERED:
                        database.run_text(_CONTINUE.format(name=name))
            database.run_text("ANALYZE")
            yield database

    def history(self) -> str | None:
        """Nothing is kept beside a database: a restored one has to be told by `systems recover`."""
        return None

    def put_history(self, text: str) -> None:
        """See `history`."""

    def damages(self, database: Database) -> list[str]:
        """The server looks after its files itself."""
        return []
