"""Writing a batch of operations: one transaction, a savepoint for each operation.

A row that the database refuses is rolled back to its savepoint and rejected; the others go on. What was
written is read back in the same transaction. Nothing is answered before the commit was: when the
connection is lost on the way to it, nothing was written; when it is lost in the commit, nobody knows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError, StatementError

from crmbridge.connectors.sql.children import ChildWriter
from crmbridge.connectors.sql.database import Database
from crmbridge.connectors.sql.encode import Encoder, RefusedError, StaleError, Styles
from crmbridge.connectors.sql.failures import about_one_row, lost, reason
from crmbridge.connectors.sql.read import Held, Key, Reader
from crmbridge.connectors.sql.source import Source
from crmbridge.connectors.sql.values import Field
from crmbridge.sdk import Operation, Record, Reject, Result, Tombstone

__all__ = ["Writer"]


class Writer:
    """Writes to the streams of one database."""

    def __init__(self, database: Database, reader: Reader) -> None:
        self.database = database
        self.reader = reader
        self.styles: Styles = {}

    def push(self, source: Source, operations: Sequence[Operation]) -> Iterator[Result]:
        """Carry out and answer the operations. Raises RetryableError where nothing at all was written."""
        with self.database.writing() as connection:
            results = _Batch(self, connection, source).run(operations)
            try:
                connection.commit()
            except DBAPIError as error:
                if lost(error):
                    results = [_unknown(result, reason(error)) for result in results]
                elif not about_one_row(error):
                    raise
                else:
                    connection.rollback()
                    results = []
                    if len(operations) == 1:
                        results = [Result.rejected(operations[0], reason(error))]
        if results:
            yield from results
            return
        # The commit itself refused some row: alone, each operation gets its own answer.
        for operation in operations:
            yield from self.push(source, [operation])


def _unknown(result: Result, why: str) -> Result:
    if result.status != "done":
        return result
    return Result(result.operation_id, "uncertain", reason=f"the connection was lost in the commit: {why}")


class _Batch:
    """The operations of one transaction."""

    def __init__(self, writer: Writer, connection: Connection, source: Source) -> None:
        self._connection = connection
        self._source = source
        self._database = writer.database
        self._reader = writer.reader
        common = writer.reader.values, connection, writer.database, writer.styles
        self._encoder = Encoder(*common, source.time_texts)
        self._children = [ChildWriter(child, connection, Encoder(*common)) for child in source.children]
        self._locked: Mapping[str, Held] = {}

    def run(self, operations: Sequence[Operation]) -> list[Result]:
        """The results, in the operations' order, as they are if the commit succeeds."""
        wanted = [self._key(operation) for operation in operations]
        self._locked = self._reader.held(
            self._connection, self._source, [key for key in wanted if key], lock=True
        )
        answers: list[Result | Key] = []
        for alike, group in itertools.groupby(operations, self._likeness):
            same = list(group)
            answers += (self._insert_all(same) if alike else None) or [self._one(each) for each in same]
        keys = [answer for answer in answers if isinstance(answer, tuple)]
        now_held = self._reader.held(self._connection, self._source, keys)
        return [
            answer if isinstance(answer, Result) else self._done(operation, answer, now_held)
            for operation, answer in zip(operations, answers, strict=True)
        ]

    def _likeness(self, operation: Operation) -> frozenset[str]:
        """The columns of a plain create: those with the same can be one statement. Empty: not plain."""
        lists = {child.name for child in self._source.children}
        plain = (
            operation.kind == "create"
            and not self._source.settings.upsert
            and not lists & operation.data.keys()
        )
        marked = {""} if operation.mark is not None else set()
        returns = self._database.engine.dialect.insert_returning
        return frozenset({*operation.data, *marked}) if plain and returns else frozenset()

    def _insert_all(self, operations: Sequence[Operation]) -> list[Key] | None:
        """Create all by one statement. None, and nothing written, where one of them has to be told apart."""
        try:
            rows = [self._new_row(operation)[0] for operation in operations]
            if any(isinstance(value, sa.ClauseElement) for row in rows for value in row.values()):
                return None
            columns = [field.column for field in self._source.key]
            statement = sa.insert(self._source.written).returning(*columns, sort_by_parameter_order=True)
            with self._connection.begin_nested():
                keys = [tuple(key) for key in self._connection.execute(statement, rows)]
                if len(keys) != len(rows):
                    raise RefusedError("a trigger left a row out")
        except (RefusedError, InvalidRequestError):
            return None
        except StatementError as error:
            if not about_one_row(error):
                raise
            return None
        return keys

    def _done(self, operation: Operation, key: Key, now_held: Mapping[str, Held]) -> Result:
        held = now_held.get(self._reader.values.native_id(self._source.key, key))
        item = held.item if held else None
        if isinstance(item, Record):
            return Result.done(operation, item)
        if isinstance(item, Tombstone):
            return Result.done(operation)
        why = (
            item.reason
            if isinstance(item, Reject)
            else "it cannot be seen: is there a trigger or a row policy?"
        )
        return Result.uncertain(operation, f"written, but {why}")

    def _one(self, operation: Operation) -> Result | Key:
        """What became of an operation: a final answer, or the key of the row to read back."""
        try:
            with self._connection.begin_nested():
                return self._apply(operation)
        except RefusedError as error:
            return Result.rejected(operation, str(error))
        except StaleError as error:
            return Result.conflict(operation, str(error))
        except StatementError as error:
            if not about_one_row(error):
                raise
            return Result.rejected(operation, reason(error))

    def _apply(self, operation: Operation) -> Result | Key:
        if operation.kind == "create":
            return self._create(operation)
        self._require_scope(operation)
        held = self._held(operation)
        if operation.kind == "delete":
            return self._delete(operation, held)
        if operation.kind == "archive" and self._source.deleted is not None:
            return self._archive(operation, held)
        if operation.kind == "update":
            return self._update(operation, held)
        raise RefusedError(f"a table does not know the operation {operation.kind!r}")

    def _key(self, operation: Operation) -> Key | None:
        return self._reader.parse_key(self._source, operation.scope, operation.native_id or "")

    def _held(self, operation: Operation) -> Held | None:
        """The row that the operation is about. One of that id in another scope is none."""
        key = self._key(operation)
        held = self._locked.get(self._reader.values.native_id(self._source.key, key)) if key else None
        return held if held is not None and held.scope == operation.scope else None

    # -- the kinds

    def _create(self, operation: Operation) -> Key:
        source = self._source
        row, lists = self._new_row(operation)
        given = tuple(row.get(field.name) for field in source.key)
        if source.settings.upsert and None not in given:
            try:
                with self._connection.begin_nested():
                    key = self._insert(row, given)
            except IntegrityError:
                there = self._reader.held(self._connection, source, [given], lock=True)
                if not [held for held in there.values() if held.scope == operation.scope]:
                    raise
                changed, _ = self._split(operation.data)
                self._set(given, self._encoder.row(source.fields, changed))
                key = given
        else:
            key = self._insert(row, given)
        self._write_lists(key, lists)
        return key

    def _new_row(self, operation: Operation) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a create binds, and its child lists."""
        source = self._source
        data, lists = self._split({**source.settings.defaults, **operation.data})
        if source.settings.mark_column and operation.mark is not None:
            data[source.settings.mark_column] = operation.mark
        row = self._encoder.row(source.fields, data)
        row |= self._scope_of(operation, row) | self._touched(row, new=True)
        for field in source.key:
            if row.get(field.name) is None and not field.has_default:
                raise RefusedError(
                    f"{field.name}: the key has no value, and the database does not generate one"
                )
        return row, lists

    def _require_scope(self, operation: Operation) -> Field | None:
        field = self._source.scope
        if field is not None and operation.scope not in self._source.settings.scopes:
            raise RefusedError(f"{field.name}: {operation.scope!r} is none of the stream's `scopes`")
        return field

    def _scope_of(self, operation: Operation, row: Mapping[str, Any]) -> dict[str, Any]:
        """The column of the scope. Nothing else than the operation says it, and no row leaves its scope."""
        field = self._require_scope(operation)
        if field is None:
            return {}
        value = self._reader.scope_value(self._source, operation.scope)
        if row.get(field.name, value) != value:
            raise RefusedError(
                f"{field.name}: the record belongs to {operation.scope!r}; what it belongs to is not written"
            )
        return {field.name: value}

    def _insert(self, row: Mapping[str, Any], given: Key) -> Key:
        statement = sa.insert(self._source.written).values(dict(row))
        found: Sequence[Any] | None
        if self._database.engine.dialect.insert_returning:
            columns = [field.column for field in self._source.key]
            found = self._connection.execute(statement.returning(*columns)).one_or_none()
        else:
            generated = self._connection.execute(statement).inserted_primary_key
            found = given if None not in given else generated
        if found is None:
            raise RefusedError("a trigger of the table left the row out")
        return tuple(found)

    def _update(self, operation: Operation, held: Held | None) -> Key:
        key = self._unchanged(operation, held)
        data, lists = self._split(operation.data)
        row = self._encoder.row(self._source.fields, data)
        self._scope_of(operation, row)
        self._set(key, row)
        self._write_lists(key, lists)
        return tuple(row.get(field.name, part) for field, part in zip(self._source.key, key, strict=True))

    def _archive(self, operation: Operation, held: Held | None) -> Result:
        if held is None or isinstance(held.item, Tombstone):
            return Result.done(operation)
        deleted = self._source.deleted
        assert deleted is not None
        self._set(self._unchanged(operation, held), {deleted.name: self._encoder.deleted_mark(self._source)})
        return Result.done(operation)

    def _delete(self, operation: Operation, held: Held | None) -> Result:
        if held is None:
            return Result.done(operation)
        if not isinstance(held.item, Tombstone):
            self._unchanged(operation, held)
        for child in self._children:
            child.delete_all(held.key)
        self._connection.execute(sa.delete(self._source.written).where(self._at(held.key)))
        return Result.done(operation)

    # -- parts of them

    def _unchanged(self, operation: Operation, held: Held | None) -> Key:
        """The key of the row that the operation is about, if it is still as it was read."""
        if held is None:
            raise StaleError("the row is gone")
        if isinstance(held.item, Tombstone):
            raise StaleError("the row is marked as deleted")
        if isinstance(held.item, Reject):
            raise RefusedError(held.item.reason)
        if operation.version is not None and operation.version != held.item.version:
            raise StaleError("the row was changed since it was read")
        return held.key

    def _set(self, key: Key, row: Mapping[str, Any]) -> None:
        values = {**row, **self._touched(row, new=False)}
        if not values:
            return
        statement = sa.update(self._source.written).where(self._at(key)).values(values)
        if self._connection.execute(statement).rowcount == 0:
            raise StaleError("the row is gone")

    def _at(self, key: Key) -> sa.ColumnElement[bool]:
        parts = zip(self._source.key, key, strict=True)
        return sa.and_(*(field.column == sa.literal(part, type_=field.column.type) for field, part in parts))

    def _touched(self, row: Mapping[str, Any], *, new: bool) -> dict[str, Any]:
        fields = [self._source.fields[name] for name in self._source.settings.touch if name not in row]
        return {field.name: self._encoder.touched(field, new=new) for field in fields}

    def _split(self, data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The columns, and the child lists."""
        lists = {child.name for child in self._source.children}
        return {k: v for k, v in data.items() if k not in lists}, {
            k: v for k, v in data.items() if k in lists
        }

    def _write_lists(self, key: Key, lists: Mapping[str, Any]) -> None:
        for child in self._children:
            if child.name in lists:
                child.write(key, lists[child.name])
