"""What `crmbridge check` says about a database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crmbridge.connectors.sql.columntimes import ColumnTimes, column_times, keeps_text
from crmbridge.connectors.sql.database import Database
from crmbridge.connectors.sql.read import Reader
from crmbridge.connectors.sql.source import Source, Sources
from crmbridge.connectors.sql.values import Field
from crmbridge.sdk import CrmbridgeError, Finding

__all__ = ["check"]

_MANY_ROWS = 10_000
"""From here on a scan of a table is worth an index."""
_MANY_SCOPES = 50
"""So many are looked for."""
_LARGE_FILE = 10 << 20
"""From here on, in bytes, reading an SQLite file takes long enough that others notice."""


def check(database: Database, sources: Sources, reader: Reader) -> Iterator[Finding]:
    """Reach the database, then look at each stream. Problems are findings."""
    try:
        with database.reading() as connection:
            yield from _connection(database, connection)
        names = sources.names()
    except CrmbridgeError as error:
        yield Finding("error", error.message, error.hint or "")
        return
    for name in names:
        try:
            source = sources.source(name)
            with database.reading() as connection:
                yield from _Check(database, connection, source, reader).findings()
        except CrmbridgeError as error:
            yield Finding("error", str(error.message), error.hint or "")


def _connection(database: Database, connection: Connection) -> Iterator[Finding]:
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    yield Finding("ok", f"connected to {database.dialect} {version}: {database.place}")
    if not database.snapshots:
        yield Finding(
            "warning",
            f"crmbridge cannot read {database.dialect} in one snapshot: deleted rows are not noticed",
            "use a column that marks deleted rows: `deleted`",
        )
    large = database.dialect == "sqlite" and Path(str(database.url.database)).stat().st_size >= _LARGE_FILE
    if large and connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
        yield Finding(
            "warning",
            "other programs wait with their writes while crmbridge reads",
            "switch the file to write-ahead logging once: PRAGMA journal_mode=WAL",
        )


class _Check:
    """Looks at one stream."""

    def __init__(self, database: Database, connection: Connection, source: Source, reader: Reader) -> None:
        self._database = database
        self._reader = reader
        self._connection = connection
        self._source = source

    def findings(self) -> Iterator[Finding]:
        yield from self._key()
        yield from self._scopes()
        yield from self._cursor()
        yield from self._children()
        if self._source.settings.write:
            yield from self._rights()
            yield self._protection()
            yield from self._numbers()

    def _finding(self, level: str, text: str, hint: str = "") -> Finding:
        assert level in {"ok", "warning", "error"}
        return Finding(level, f"{self._source.name}: {text}", hint)  # type: ignore[arg-type]

    def _key(self) -> Iterator[Finding]:
        source = self._source
        names = ", ".join(field.name for field in source.key)
        columns = [field.column for field in source.key]
        empty = self._count(sa.or_(*(column.is_(None) for column in columns)))
        if empty:
            yield self._finding(
                "error", f"{empty} rows have no {names}: they become dead letters", "give them a key"
            )
        if source.key_is_unique:
            yield self._finding("ok", f"{source.place} is read by its key {names}")
            return
        twice = sa.select(*columns).group_by(*columns).having(sa.func.count() > 1).limit(1)
        if self._connection.execute(twice).first() is not None:
            yield self._finding(
                "error",
                f"the key {names} occurs more than once: such rows become dead letters",
                "name a unique `key`",
            )
        elif source.settings.query is None:
            yield self._finding("warning", f"nothing keeps the key {names} unique", "add a unique index")

    def _scopes(self) -> Iterator[Finding]:
        """Which scopes there are, and which of them are left alone."""
        scope, wanted = self._source.scope, self._source.settings.scopes
        if scope is None:
            return
        self._reader.within(self._source)
        held = sa.select(scope.column).select_from(self._source.table).distinct().limit(_MANY_SCOPES)
        values = [value for (value,) in self._connection.execute(held)]
        found = sorted(self._reader.values.native_id([scope], [v]) for v in values if v is not None)
        left = [one for one in found if wanted and one not in wanted]
        yield self._finding("ok", f"{scope.name} tells scopes apart: {', '.join(wanted or found)}")
        if left:
            yield self._finding("ok", f"rows of other scopes are left alone: {', '.join(left)}")
        if None in values:
            count = self._count(scope.column.is_(None))
            what = "are left alone" if wanted else "belong to no scope"
            yield self._finding("warning", f"{count} rows have no {scope.name}: they {what}", "fill it")
        for one in wanted:
            if one not in found and len(values) < _MANY_SCOPES:
                yield self._finding("warning", f"no row has {scope.name} {one!r}", "is it written so?")

    def _cursor(self) -> Iterator[Finding]:
        source, cursor = self._source, self._source.cursor
        if cursor is None:
            yield self._finding("ok", "has no `cursor`: every pull reads all of it")
            return
        if cursor.nullable and (empty := self._count(cursor.column.is_(None))):
            yield self._finding(
                "warning",
                f"{empty} rows have no {cursor.name}: their changes show in full reads only",
                f"fill {cursor.name} by a default and a trigger",
            )
        scans = source.settings.query is None and cursor.name not in source.indexed
        if scans and self._count(sa.true()) >= _MANY_ROWS:
            names = ", ".join([cursor.name, *(field.name for field in source.key)])
            yield self._finding(
                "warning", f"no index serves {cursor.name}: every pull scans the table", f"index ({names})"
            )
        if keeps_text(cursor, loose=self._database.dialect == "sqlite"):
            yield from self._order(cursor, column_times(self._connection, cursor.column))

    def _order(self, cursor: Field, times: ColumnTimes) -> Iterator[Finding]:
        """Whether the texts of the cursor column sort by time."""
        if times.order == "none":
            yield self._finding(
                "error",
                f"{cursor.name} holds texts such as {times.odd!r}, which do not sort by time: every pull "
                "reads the whole table",
                "store times as 2026-01-31 09:00:00, or leave out `cursor`",
            )
        elif times.order == "day":
            looks = " and ".join(repr(each) for each in times.examples[:3])
            yield self._finding(
                "warning",
                f"{cursor.name} holds times in styles that do not sort together ({looks}): every pull reads "
                "what changed since the day before",
                "store all of them in one style, such as 2026-01-31 09:00:00 in UTC",
            )

    def _children(self) -> Iterator[Finding]:
        for child in self._source.children:
            if self._source.cursor is not None:
                yield self._finding(
                    "warning",
                    f"a change in {child.name} shows only if it also changes {self._source.cursor.name}",
                    "let a trigger do that; otherwise the next full read finds it",
                )
            first = {index.columns.keys()[0] for index in child.table.indexes if index.columns}
            first |= {column.name for column in list(child.table.primary_key)[:1]}
            rows = sa.select(sa.func.count()).select_from(child.table)
            many = self._connection.execute(rows).scalar_one() >= _MANY_ROWS
            if many and child.foreign_key[0].name not in first:
                yield self._finding(
                    "warning",
                    f"no index serves {child.name}.{child.foreign_key[0].name}: every page scans that table",
                    f"index ({', '.join(field.name for field in child.foreign_key)})",
                )

    def _rights(self) -> Iterator[Finding]:
        if self._database.dialect == "postgresql":
            tables = [self._source.written, *(child.table for child in self._source.children)]
            missing = [f"{right} on {table.name}" for table in tables for right in self._missing(table)]
            if missing:
                yield self._finding("error", f"this login lacks {', '.join(missing)}", "grant it")
            else:
                yield self._finding("ok", "this login may read and write")
        elif self._database.dialect == "sqlite":
            path = self._database.url.database or ""
            if not os.access(path, os.W_OK):
                yield self._finding("error", f"{path} may not be written", "give crmbridge's user the right")
        else:
            yield self._finding("warning", "whether this login may write shows only when it does")

    def _missing(self, table: sa.Table) -> Sequence[str]:
        parts = [part for part in (table.schema, table.name) if part]
        name = sa.func.concat_ws(".", *(sa.func.quote_ident(part) for part in parts))
        rights = ("SELECT", "INSERT", "UPDATE", "DELETE")
        asked = sa.select(*(sa.func.has_table_privilege(name, right) for right in rights))
        return [
            right
            for right, granted in zip(rights, self._connection.execute(asked).one(), strict=True)
            if not granted
        ]

    def _protection(self) -> Finding:
        what = f"its {self._source.version.name}" if self._source.version else "the whole row"
        return self._finding(
            "ok", f"a write compares {what} first, and keeps the row locked until it is done"
        )

    def _numbers(self) -> Iterator[Finding]:
        if self._database.dialect != "sqlite":
            return
        names = [field.name for field in self._source.fields.values() if field.kind == "decimal"]
        if names:
            yield self._finding(
                "warning", f"SQLite keeps about 15 digits of {', '.join(names)}", "declare exact numbers TEXT"
            )

    def _count(self, condition: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(self._source.table).where(condition)
        return self._connection.execute(query).scalar_one()
