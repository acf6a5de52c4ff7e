"""From one batch of operations to the changes of a file: which can be done, and why the others cannot."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from crmbridge.connectors.files.exactjson import dumps
from crmbridge.connectors.files.listing import Entry, Listing, join_key, key_text
from crmbridge.connectors.files.settings import ID_COLUMN, FileSettings
from crmbridge.connectors.files.table import (
    Changes,
    Table,
    Worded,
    blank_to_none,
    iso_moment,
    plain_number,
    worded,
)
from crmbridge.sdk import Operation, Result

__all__ = ["Batch"]


class Batch:
    """Decides each operation against the rows as they are now. The file is locked meanwhile."""

    def __init__(self, table: Table, listing: Listing, settings: FileSettings) -> None:
        self.changes = Changes(last_row=listing.last_row())
        self.answers: list[Result | tuple[Operation, str]] = []
        """In the order of the operations: the result, or the native id to read back for it."""
        self._table, self._listing, self._settings = table, listing, settings
        self._key_columns = settings.key_columns
        self._columns = set(table.columns)
        self._touched: set[str] = set()
        if settings.add_id:
            self._add_missing_ids()

    def decide(self, operations: Sequence[Operation]) -> None:
        """Fill `changes` and `answers`."""
        keys = [
            key
            for key in (operation.native_id or self._new_key(operation) for operation in operations)
            if key
        ]
        found = self._listing.find(keys)
        for operation in operations:
            if operation.kind == "create":
                answer = self._create(operation, found)
            elif operation.kind == "update":
                answer = self._update(operation, found)
            elif operation.kind == "delete":
                answer = self._delete(operation, found)
            else:
                answer = Result.rejected(operation, f"a file knows no operation {operation.kind!r}")
            self.answers.append(answer)

    @property
    def is_empty(self) -> bool:
        """Whether the file stays as it is."""
        return not (self.changes.updates or self.changes.deletes or self.changes.creates)

    def _add_missing_ids(self) -> None:
        column = self._key_columns[0]
        if self._table.columns and column not in self._columns:
            self._add_column(column, len(self.changes.new_columns))
        if self._listing.missing_ids:
            self.changes.missing_id = self._listing.missing_id

    def _add_column(self, column: str, place: int) -> None:
        self._columns.add(column)
        self.changes.new_columns.insert(place, column)
        if column == ID_COLUMN:
            self.changes.hidden_column = column

    def _add_columns(self, names: Iterable[str]) -> None:
        """Each behind the one that stands before it in the operation: so in the order of the mapping, which
        leaves out what is empty."""
        new = self.changes.new_columns
        place = 0
        for name in names if self._settings.create else ():
            if name not in self._columns:
                self._add_column(name, place)
            place = new.index(name) + 1 if name in new else place

    # -- one operation

    def _create(self, operation: Operation, found: dict[str, Entry]) -> Result | tuple[Operation, str]:
        data = worded(operation)
        key = self._new_key(operation)
        if not key:
            names = ", ".join(self._key_columns)
            return Result.rejected(operation, f"a new row needs its key ({names}), or declare `add_id: true`")
        if self._settings.add_id:
            data[self._key_columns[0]] = key
        if key in found:
            entry = found[key]
            if all(same(entry.record.data.get(name), value) for name, value in data.items()):
                return Result.done(operation, entry.record)  # an earlier try of this very create
            where = self._table.position(entry.number)
            return Result.rejected(operation, f"{where} has the key {key!r} already")
        refusal = self._listing.problem(key) or self._listing.no_creates or self._refusal(data)
        if not refusal and key in self._touched:
            refusal = f"another operation of the same batch has the key {key!r}"
        if refusal:
            return Result.rejected(operation, refusal)
        self._add_columns(data)
        self._touched.add(key)
        self.changes.creates.append(data)
        return operation, key

    def _update(self, operation: Operation, found: dict[str, Entry]) -> Result | tuple[Operation, str]:
        entry = self._entry(operation, found)
        if isinstance(entry, Result):
            return entry
        for name in self._key_columns:
            if name in operation.data and key_text(entry.record.data.get(name)) != key_text(
                operation.data[name]
            ):
                return Result.rejected(operation, f"{name} is the key of the row and cannot be changed")
        data = {
            name: value
            for name, value in worded(operation).items()
            if name not in self._key_columns
            and not (name in entry.computed and same(entry.record.data.get(name), value))
        }
        if computed := sorted(entry.computed & set(data)):
            where = self._table.position(entry.number)
            return Result.rejected(operation, f"{where}: the cell in column {computed[0]!r} holds a formula")
        if refusal := self._refusal(data):
            return Result.rejected(operation, refusal)
        if not data:
            return Result.done(operation, entry.record)
        self._add_columns(data)
        self._touched.add(entry.record.native_id)
        self.changes.updates[entry.number] = data
        return operation, entry.record.native_id

    def _delete(self, operation: Operation, found: dict[str, Entry]) -> Result:
        entry = self._entry(operation, found)
        if isinstance(entry, Result):
            gone = entry.status == "conflict" and operation.native_id not in found
            return Result.done(operation) if gone else entry
        self._touched.add(entry.record.native_id)
        self.changes.deletes.add(entry.number)
        return Result.done(operation)

    def _entry(self, operation: Operation, found: dict[str, Entry]) -> Entry | Result:
        """The row that an update or delete is about, or why it must not be touched."""
        key = operation.native_id or ""
        if key not in found:
            if problem := self._listing.problem(key):
                return Result.rejected(operation, problem)
            return Result.conflict(operation, f"no row has the key {key!r} any more")
        if key in self._touched:
            return Result.conflict(operation, "another operation of the same batch changes this row")
        entry = found[key]
        if operation.version is not None and operation.version != entry.record.version:
            return Result.conflict(
                operation, f"{self._table.position(entry.number)} changed since it was read"
            )
        return entry

    def _refusal(self, data: dict[str, Any]) -> str:
        for name, value in data.items():
            refusal = self._table.refusal(name, value)
            if name not in self._columns:
                refusal = refusal or self._new_column_refusal(name)
            if refusal:
                return refusal
        return ""

    def _new_column_refusal(self, name: str) -> str:
        if self._table.free_names:
            return ""
        if self._table.columns and not self._settings.create:
            return f"there is no column {name!r}; the columns are {', '.join(self._table.columns)}"
        if not name or name != unicodedata.normalize("NFC", name.strip()):
            return f"a column cannot be called {name!r}"
        return self._table.refusal(name, name)

    def _new_key(self, operation: Operation) -> str:
        """The native id of a create, the same for each try: "" when the operation does not say it."""
        if operation.kind != "create":
            return ""
        parts = [key_text(operation.data.get(name)) for name in self._key_columns]
        if all(parts):
            return join_key(parts)
        if not self._settings.add_id:
            return ""
        return operation.mark or blake2b(operation.id.encode(), digest_size=16).hexdigest()


def same(cell: Any, value: Any) -> bool:
    """Whether `cell` is what writing `value` leaves: in a text file "5" is the number 5, blank is empty, and
    a cell may hold the number that a text stands for."""
    if isinstance(value, Worded) and cell == value.typed:
        return True
    return cell == value or _as_text(cell) == _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return plain_number(value)
    if isinstance(value, str):
        return iso_moment(blank_to_none(value) or "").removesuffix("T00:00:00")
    return dumps(value) if value is not None else ""
