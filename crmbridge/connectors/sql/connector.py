"""The connector `sql`: tables, views and queries of any database that SQLAlchemy speaks to.

Tested against SQLite and PostgreSQL. A stream is read in one transaction: by its `cursor` column what
changed, otherwise all of it, page by page along the key. It is written in batches, each a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from crmbridge.connectors.sql.check import check
from crmbridge.connectors.sql.database import Database
from crmbridge.connectors.sql.describe import describe, fields
from crmbridge.connectors.sql.read import Reader
from crmbridge.connectors.sql.settings import SqlSettings
from crmbridge.connectors.sql.source import Source, Sources
from crmbridge.connectors.sql.values import Values
from crmbridge.connectors.sql.write import Writer
from crmbridge.sdk import (
    ConfigError,
    Connector,
    Context,
    Cursor,
    FatalError,
    FieldInfo,
    Finding,
    Operation,
    Page,
    Record,
    Result,
    Stream,
)

__all__ = ["SqlConnector"]


class SqlConnector(Connector):
    """Reads and writes the tables of one database."""

    settings_model = SqlSettings
    speaks_http = False

    def __init__(self, settings: SqlSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._batch_size = settings.batch_size
        self._database = Database(settings, context)
        self._sources = Sources(context.system, settings, self._database)
        values = Values(ZoneInfo(settings.timezone), loose=self._database.dialect == "sqlite")
        self._reader = Reader(self._database, values, settings.page_size)
        self._writer = Writer(self._database, self._reader)

    def check(self) -> Iterable[Finding]:
        return check(self._database, self._sources, self._reader)

    def streams(self) -> Sequence[Stream]:
        return [self._stream(self._sources.source(name)) for name in self._sources.names()]

    def _stream(self, source: Source) -> Stream:
        sample: object = None
        if source.cursor is not None:
            query = sa.select(source.cursor.column).where(source.cursor.column.is_not(None)).limit(1)
            with self._database.reading() as connection:
                sample = connection.execute(query).scalar_one_or_none()
        return describe(source, self._database, self._batch_size, sample)

    def pull(self, stream: str, cursor: Cursor) -> Iterable[Page]:
        return self._reader.pull(self._sources.source(stream), cursor)

    def push(self, stream: str, operations: Sequence[Operation]) -> Iterable[Result]:
        source = self._sources.source(stream)
        if self.context.read_only or not source.settings.write:
            raise FatalError(
                f"{self.context.system}/{stream}: is read-only",
                hint="a stream is written only with `write: true`",
            )
        return self._writer.push(source, operations)

    def get_many(self, stream: str, native_ids: Sequence[str]) -> Iterator[Record]:
        return self._reader.get_many(self._sources.source(stream), native_ids)

    def search(self, stream: str, key: str, value: str) -> Iterator[Record]:
        source = self._sources.source(stream)
        if key not in source.fields:
            raise ConfigError(f"{self.context.system}/{stream}: there is no column {key!r} to search in")
        return self._reader.search(source, key, value)

    def discover(self, stream: str) -> Mapping[str, FieldInfo]:
        return fields(self._sources.source(stream))

    def fingerprint(self) -> str:
        return self._database.fingerprint(self.context.root)

    def close(self) -> None:
        self._database.close()
