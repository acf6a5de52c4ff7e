"""Reading: full, what changed, by ids, by a value. Each pull is one read transaction, a page one query
and one more for each child table."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crmbridge.connectors.sql.columntimes import ColumnTimes, column_times, keeps_text
from crmbridge.connectors.sql.database import BrokenText, Database
from crmbridge.connectors.sql.deleted import is_deleted
from crmbridge.connectors.sql.keyset import Position, beyond, bound_value, capped, plausible, stepped_back
from crmbridge.connectors.sql.source import Child, Source
from crmbridge.connectors.sql.values import BadValueError, Values
from crmbridge.sdk import ConfigError, Cursor, CursorExpiredError, Page, Record, Reject, Tombstone

__all__ = ["Held", "Key", "Reader"]

Key = tuple[Any, ...]
Row = Sequence[Any]

_hashed = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Held:
    """A row as it is held now, with its key as the database stores it."""

    key: Key
    item: Record | Tombstone | Reject
    scope: str = ""


class Reader:
    """Reads the streams of one database."""

    def __init__(self, database: Database, values: Values, page_size: int) -> None:
        self.database = database
        self.values = values
        self.page_size = page_size

    # -- pull

    def pull(self, source: Source, cursor: Cursor) -> Iterator[Page]:
        """All records, or what changed since the cursor."""
        position = Position() if cursor is None else Position.load(source, cursor)
        with self.database.reading() as connection:
            pull = _Pull(self, connection, source)
            if cursor is None or position.after is not None:
                yield from pull.full(position if cursor is not None else None)
            else:
                yield from pull.changed(position)

    # -- by ids, by value

    def get_many(self, source: Source, native_ids: Sequence[str]) -> Iterator[Record]:
        """The records that are there; those marked as deleted are not."""
        ids = [i for i in (self.values.parse_id(source.ids, each) for each in dict.fromkeys(native_ids)) if i]
        columns = [field.column for field in source.ids]
        with self.database.reading() as connection:
            for start in range(0, len(ids), self.page_size):
                among = _in(columns, ids[start : start + self.page_size])
                for held in self._rows_where(connection, source, [among, *self.within(source)]):
                    if isinstance(held.item, Record):
                        yield held.item

    def search(self, source: Source, column: str, value: str) -> Iterator[Record]:
        """The records whose column is exactly the value."""
        field = source.fields[column]
        found = self.values.parse_id([field], value)
        if found is None:
            return
        same = field.column == sa.literal(found[0], type_=field.column.type)
        with self.database.reading() as connection:
            last: Key | None = None
            while rows := self.rows(connection, source, source.key, last, [same]):
                for held in self.assemble(connection, source, rows[: self.page_size]):
                    if isinstance(held.item, Record):
                        yield held.item
                if len(rows) <= self.page_size:
                    return
                last = key_of(source, rows[self.page_size - 1])

    def held(
        self, connection: Connection, source: Source, keys: Sequence[Key], *, lock: bool = False
    ) -> dict[str, Held]:
        """What the database holds under these keys, by their texts. `lock`: until the transaction ends."""
        if not keys:
            return {}
        found = self._rows_where(connection, source, [_among(source, keys)], lock=lock)
        return {self.values.native_id(source.key, held.key): held for held in found}

    def _rows_where(
        self,
        connection: Connection,
        source: Source,
        conditions: Sequence[sa.ColumnElement[bool]],
        *,
        lock: bool = False,
    ) -> Iterator[Held]:
        columns = [field.column for field in source.key]
        query = sa.select(*source.columns).where(*conditions).order_by(*columns)
        if lock:
            query = query.with_for_update()
        return self.assemble(connection, source, connection.execute(query).all())

    # -- ids and scopes

    def native_id(self, source: Source, key: Key) -> str:
        """The native id of the row with this key."""
        return self.values.native_id(source.ids, key[-len(source.ids) :])

    def parse_key(self, source: Source, scope: str, native_id: str) -> Key | None:
        """The key of the record; None where no row can have it."""
        ids = self.values.parse_id(source.ids, native_id)
        if ids is None or source.key == source.ids:
            return ids
        found = self.scope_value(source, scope)
        return None if found is None else (found, *ids)

    def scope_value(self, source: Source, scope: str) -> Any:
        """What stands in the column of the scope; None where nothing can."""
        assert source.scope is not None
        found = self.values.parse_id([source.scope], scope)
        return found[0] if found else None

    def within(self, source: Source) -> list[sa.ColumnElement[bool]]:
        """The rows of the scopes that are read; all of them where none is named."""
        if source.scope is None or not source.settings.scopes:
            return []
        values = {one: self.scope_value(source, one) for one in source.settings.scopes}
        for one, value in values.items():
            if value is None:
                raise ConfigError(f"{source.name}: scopes: {one!r} cannot stand in {source.scope.name}")
        return [source.scope.column.in_(values.values())]

    def _scope(self, source: Source, row: Row) -> str:
        if source.scope is None or row[source.scope_at] is None:
            return ""
        return self.values.native_id([source.scope], [row[source.scope_at]])

    # -- rows and records

    def rows(
        self,
        connection: Connection,
        source: Source,
        order: Sequence[Any],
        last: Key | None,
        conditions: Sequence[sa.ColumnElement[bool]] = (),
    ) -> Sequence[Row]:
        """A page of rows behind `last` in the order of these fields, and one row more if there is one."""
        columns = [field.column for field in order]
        chosen = (*conditions, *self.within(source))
        query = sa.select(*source.columns).where(*chosen).order_by(*columns).limit(self.page_size + 1)
        query = query.where(*(field.column.is_not(None) for field in order if field.nullable))
        if last is not None:
            query = query.where(beyond(columns, last, inclusive=False, row_values=self.database.row_values))
        return connection.execute(query).all()

    def assemble(self, connection: Connection, source: Source, rows: Sequence[Row]) -> Iterator[Held]:
        """What the rows are, in their order, with their children."""
        decode = self.values.row_decoder(list(source.fields.values()))
        keys = [key_of(source, row) for row in rows]
        lists = [self._children(connection, source, child, keys) for child in source.children]
        for key, row in zip(keys, rows, strict=True):
            item = self._item(source, key, row, (decode, lists))
            yield Held(key, item, item.scope)

    def _item(
        self, source: Source, key: Key, row: Row, parts: tuple[Callable[[Row], dict[str, Any]], list[_Lists]]
    ) -> Record | Tombstone | Reject:
        decode, lists = parts
        position, scope = f"{source.name}: {[_showable(part) for part in key]}", ""
        try:
            native_id, scope = self.native_id(source, key), self._scope(source, row)
            position = native_id
            data = decode(row)
            for child, found in zip(source.children, lists, strict=True):
                data[child.name] = found.of(self.values.native_id(source.key, key))
            version = self._version(source, data)
            deleted = source.deleted is not None and self._is_deleted(source, data[source.deleted.name])
        except BadValueError as error:
            return Reject(position, f"{error}; correct it in the database", _raw(source, row), scope)
        modified = self._modified(source, row)
        if deleted:
            return Tombstone(native_id, scope, at=modified, archived=True)
        return Record(native_id, data, version=version, modified=modified, scope=scope)

    def _is_deleted(self, source: Source, value: Any) -> bool:
        assert source.settings.deleted is not None
        return is_deleted(source.settings.deleted.column, value, source.settings.deleted.values)

    def _version(self, source: Source, data: dict[str, Any]) -> str | None:
        if source.version is not None:
            value = data[source.version.name]
            return None if value is None else str(value)
        if not source.settings.write:
            return None
        return hashlib.blake2b(_hashed.encode(data), digest_size=16).hexdigest()

    def _modified(self, source: Source, row: Row) -> datetime | None:
        if source.cursor is None or source.cursor.kind not in {"datetime", "text", "other"}:
            return None
        return self.values.time_of(row[source.cursor_at])

    def _children(self, connection: Connection, source: Source, child: Child, keys: Sequence[Key]) -> _Lists:
        shown = child.shown
        lists = _Lists()
        keys = [key for key in keys if not any(isinstance(part, BrokenText) for part in key)]
        if not keys:
            return lists
        decode = self.values.row_decoder(shown)
        foreign = [field.column for field in child.foreign_key]
        query = (
            sa.select(*foreign, *(field.column for field in shown))
            .where(_in(foreign, keys))
            .order_by(*foreign, *(field.column for field in child.order))
        )
        for row in connection.execute(query):
            # By the parent's kinds: a key may be 7 in one table and '7' in the other.
            parent = self.values.native_id(source.key, row[: len(foreign)])
            try:
                lists.add(parent, decode(row[len(foreign) :]))
            except BadValueError as error:
                lists.bad[parent] = f"{child.name}: {error}"
        return lists


class _Lists:
    """The child rows of one page, by the parent's native id."""

    def __init__(self) -> None:
        self._found: dict[str, list[dict[str, Any]]] = {}
        self.bad: dict[str, str] = {}

    def add(self, parent: str, data: dict[str, Any]) -> None:
        self._found.setdefault(parent, []).append(data)

    def of(self, parent: str) -> list[dict[str, Any]]:
        if parent in self.bad:
            raise BadValueError(self.bad[parent])
        return self._found.get(parent, [])


class _Pull:
    """One pull, inside its read transaction."""

    def __init__(self, reader: Reader, connection: Connection, source: Source) -> None:
        self._reader = reader
        self._connection = connection
        self._source = source
        self._now = reader.database.now(connection)
        self._times = self._look()

    def full(self, resumed: Position | None) -> Iterator[Page]:
        """Every row by key. Complete only if this one snapshot held them all and each became a record."""
        source, reader = self._source, self._reader
        proven = resumed is None and reader.database.snapshots
        since = resumed.since if resumed else self._start_of(self._high())
        last = resumed.after if resumed else None
        total = self._count() if resumed is None else None
        while True:
            rows = reader.rows(self._connection, source, source.key, last)
            page = self._page(rows)
            proven = proven and not page.rejects
            page.total = total
            if len(rows) <= reader.page_size:
                page.rejects = [*page.rejects, *self._without_key()]
                page.complete = proven
                page.cursor = Position(since=since).dump(source) if source.cursor is not None else None
                yield page
                return
            last = key_of(source, rows[reader.page_size - 1])
            page.cursor = Position(after=last, since=since).dump(source)
            yield page

    def changed(self, start: Position) -> Iterator[Page]:
        """The rows whose cursor column is at or behind the position."""
        source, reader = self._source, self._reader
        cursor = source.cursor
        assert cursor is not None
        self._check_not_moved_back(start)
        self._check_order()
        resume = self._start_of(self._high())
        order = (cursor, *source.key)
        first: list[sa.ColumnElement[bool]] = []
        if start.since is not None:
            values = (start.since, *(start.key or ()))
            columns = [field.column for field in order[: len(values)]]
            first = [beyond(columns, values, inclusive=True, row_values=reader.database.row_values)]
        last: Key | None = None
        while True:
            rows = reader.rows(self._connection, source, order, last, first if last is None else ())
            page = self._page(rows)
            if len(rows) <= reader.page_size:
                page.cursor = Position(since=resume).dump(source)
                yield page
                return
            row = rows[reader.page_size - 1]
            last = (row[source.cursor_at], *key_of(source, row))
            page.cursor = _earlier(last, resume).dump(source)
            yield page

    def _page(self, rows: Sequence[Row]) -> Page:
        page_size = self._reader.page_size
        items = [
            held.item for held in self._reader.assemble(self._connection, self._source, rows[:page_size])
        ]
        if not self._source.key_is_unique:
            self._refuse_duplicates(rows, items)
        return Page(
            records=[item for item in items if isinstance(item, Record)],
            tombstones=[item for item in items if isinstance(item, Tombstone)],
            rejects=[item for item in items if isinstance(item, Reject)],
            server_time=self._now,
            columns=self._source.names,
        )

    def _refuse_duplicates(self, rows: Sequence[Row], items: list[Record | Tombstone | Reject]) -> None:
        """Rows with one key follow each other. The row behind the page tells of a run that goes on there."""
        source = self._source
        keys = [key_of(source, row) for row in rows]
        for index in range(len(items)):
            if keys[index] in (keys[index - 1 : index] + keys[index + 1 : index + 2]):
                names = ", ".join(field.name for field in source.key)
                items[index] = Reject(
                    self._reader.native_id(source, keys[index]),
                    f"the key ({names}) occurs more than once; name columns that identify a row as `key`",
                    raw=_raw(source, rows[index]),
                    scope=items[index].scope,
                )

    def _without_key(self) -> list[Reject]:
        """Rows that have no id and so can be no records. They are counted, the first ones shown."""
        source = self._source
        empty = [field.column.is_(None) for field in source.key if field.nullable]
        if not empty:
            return []
        limit = 100
        without = (sa.or_(*empty), *self._reader.within(source))
        rows = self._connection.execute(sa.select(*source.columns).where(*without).limit(limit + 1)).all()
        names = ", ".join(field.name for field in source.key)
        rejects = [
            Reject(
                f"{source.name}: row without key",
                f"{names} is NULL; give the row a key",
                raw=_raw(source, row),
            )
            for row in rows[:limit]
        ]
        if len(rows) > limit:
            rejects.append(
                Reject(f"{source.name}: rows without key", f"there are more than {limit} such rows")
            )
        return rejects

    def _count(self) -> int | None:
        if self._source.settings.query is not None:
            return None
        counted = sa.select(sa.func.count()).select_from(self._source.table)
        return self._connection.execute(counted.where(*self._reader.within(self._source))).scalar_one()

    def _high(self) -> Any:
        cursor = self._source.cursor
        if cursor is None:
            return None
        loose = self._reader.values.loose
        conditions = [cursor.column.is_not(None), *plausible(cursor, self._times, loose=loose)]
        highest = sa.select(cursor.column).where(*conditions).order_by(cursor.column.desc()).limit(1)
        value = self._connection.execute(highest).scalar_one_or_none()
        return capped(value, self._now, self._reader.values.zone)

    def _start_of(self, high: Any) -> Any:
        """Where the next pull begins: what is older than this can no longer be committed late."""
        if high is None:
            return None
        return stepped_back(high, self._source.settings.overlap, self._reader.values.zone, self._times)

    def _look(self) -> ColumnTimes:
        cursor = self._source.cursor
        if cursor is None or not keeps_text(cursor, loose=self._reader.values.loose):
            return ColumnTimes()
        return column_times(self._connection, cursor.column)

    def _check_order(self) -> None:
        """Refuse to read by a column whose texts don't sort by time: later changes would be left out."""
        cursor = self._source.cursor
        assert cursor is not None
        if self._times.order == "none":
            raise CursorExpiredError(
                f"{self._source.name}: {cursor.name} holds texts such as {self._times.odd!r}, which do not "
                "sort by time",
                hint="store times as 2026-01-31 09:00:00, or leave out `cursor`",
            )

    def _check_not_moved_back(self, start: Position) -> None:
        """Nothing at or behind the position: rows were removed, or a backup was restored."""
        cursor = self._source.cursor
        assert cursor is not None
        if start.since is None:
            return
        since = bound_value(cursor.column, start.since)
        still = (
            sa.select(sa.literal(1)).select_from(self._source.table).where(cursor.column >= since).limit(1)
        )
        if self._connection.execute(still).first() is None:
            raise CursorExpiredError(
                f"{self._source.name}: the highest {cursor.name} is lower than at the last pull: "
                "rows were removed or a backup was restored"
            )


def _earlier(last: Key, resume: Any) -> Position:
    """Where to go on after a page: behind its last row, unless late commits may still come before it."""
    try:
        settled = last[0] < resume
    except TypeError:  # SQLite: a text here, a number there
        settled = False
    return Position(since=last[0], key=last[1:]) if settled else Position(since=resume)


def key_of(source: Source, row: Row) -> Key:
    return tuple(row[at] for at in source.key_at)


def _among(source: Source, keys: Sequence[Key]) -> sa.ColumnElement[bool]:
    return _in([field.column for field in source.key], keys)


def _in(columns: Sequence[sa.ColumnElement[Any]], keys: Sequence[Key]) -> sa.ColumnElement[bool]:
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return sa.tuple_(*columns).in_(keys)


def _raw(source: Source, row: Row) -> dict[str, Any]:
    return {name: _showable(value) for name, value in zip(source.fields, row, strict=True)}


def _showable(value: Any) -> Any:
    if isinstance(value, BrokenText):
        return base64.b64encode(value.raw).decode()
    return value if value is None or isinstance(value, str | int | Decimal) else str(value)
