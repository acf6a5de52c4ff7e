"""The state in a PostgreSQL database, or in a schema of its own there (`?options=-csearch_path%3Dname`)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from crmbridge.sdk.errors import ConfigError, LockedError
from crmbridge.store.database import Database, upsert
from crmbridge.store.failures import told, translate
from crmbridge.store.tables import metadata, settings

__all__ = ["Postgres"]

_LOCK = 0x43524D42
_TRY = f"SELECT pg_try_advisory_lock({_LOCK}, hashtext(current_schema()))"
_FREE = f"SELECT pg_advisory_unlock({_LOCK}, hashtext(current_schema()))"
# Numbers go on after the largest one that was copied.
_CONTINUE = """
    SELECT setval(pg_get_serial_sequence('pg_temp.{name}', 'id'), max(id)) FROM pg_temp.{name}
    HAVING max(id) > 0
"""
_PUT_HOLDER = upsert(settings, ("key", "value"), ("key",))


class Postgres:
    """One database."""

    def __init__(self, url: sa.URL) -> None:
        port = f":{url.port}" if url.port else ""
        self.place = f"{url.host or 'localhost'}{port}/{url.database or ''}"
        try:
            # Values by position, as the many-row statements have them.
            self.engine = sa.create_engine(
                url,
                paramstyle="format",
                poolclass=sa.NullPool,
                hide_parameters=True,
                isolation_level="AUTOCOMMIT",
            )
        except ModuleNotFoundError:
            raise ConfigError(
                "`state`: the driver for PostgreSQL is not installed",
                hint="run: pip install 'crmbridge[postgres]'",
            ) from None

    def connect(self, newest: int) -> Database:
        """Open it."""
        return self._open()

    def _open(self) -> Database:
        try:
            return Database(self.engine.connect(), self.place)
        except DBAPIError as error:
            raise translate(error, self.place) from None

    @contextmanager
    def lock(self, holder: str, now: Callable[[], int]) -> Iterator[None]:
        """Be the only run. The server frees the lock when the connection ends."""
        key = sa.select(settings.c.value).where(settings.c.key == "holder")
        with closing(self._open()) as database:
            if not database.value(sa.text(_TRY)):
                raise LockedError(
                    f"another run works on this state: {told(database.value(key) or '')}",
                    hint="wait for it to end, then try again",
                )
            who = {"pid": os.getpid(), "host": socket.gethostname(), "command": holder, "since": now()}
            with database.transaction():
                database.write_many(_PUT_HOLDER, [("holder", json.dumps(who))])
            try:
                yield
            finally:
                database.value(sa.text(_FREE))

    @contextmanager
    def scratch(self, source: Database) -> Iterator[Database]:
        """A connection in which temporary tables stand before the real ones. They go with it."""
        with closing(self._open()) as database:
            schema = database.value(sa.text("SELECT quote_ident(current_schema())"))
            database.run_text("SET default_transaction_isolation = 'repeatable read'")
            with database.transaction():
                for table in metadata.sorted_tables:
                    name = table.name
                    database.run_text(f"CREATE TEMPORARY TABLE {name} (LIKE {schema}.{name} INCLUDING ALL)")
                    database.run_text(f"INSERT INTO pg_temp.{name} SELECT * FROM {schema}.{name}")  # noqa: S608
                    if table.autoincrement_column is not None:
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
