"""Writing child rows: the lines of an order, the addresses of a customer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crmbridge.connectors.sql.encode import Encoder, RefusedError, StaleError
from crmbridge.connectors.sql.read import Key
from crmbridge.connectors.sql.source import Child
from crmbridge.sdk import ListPatch

__all__ = ["ChildWriter"]


class ChildWriter:
    """Writes one child list of records of one stream, inside a transaction."""

    def __init__(self, child: Child, connection: Connection, encoder: Encoder) -> None:
        self.name = child.name
        self._child = child
        self._connection = connection
        self._encoder = encoder

    def write(self, parent: Key, wanted: Any) -> None:
        """Patch the list, or make it what is given: rows with a known id are changed, others removed."""
        if isinstance(wanted, ListPatch):
            self._patch(parent, wanted)
        elif isinstance(wanted, list):
            self._replace(parent, wanted)
        elif wanted is None:
            self.delete_all(parent)
        else:
            raise RefusedError(f"{self.name}: must be a list")

    def delete_all(self, parent: Key) -> None:
        """Remove all children of a row."""
        self._connection.execute(sa.delete(self._child.table).where(self._of(parent)))

    def _patch(self, parent: Key, patch: ListPatch) -> None:
        for native_id in patch.remove:
            self._connection.execute(sa.delete(self._child.table).where(self._at(parent, native_id)))
        for native_id, data in patch.change.items():
            self._change(parent, native_id, data)
        for data in patch.add:
            self._add(parent, data)

    def _replace(self, parent: Key, wanted: list[Any]) -> None:
        key = self._child.key
        here = sa.select(key.column).where(self._of(parent))
        held = {self._encoder.values.native_id([key], row) for row in self._connection.execute(here)}
        kept = {str(data[key.name]) for data in wanted if data.get(key.name) is not None} & held
        self._patch(parent, ListPatch(remove=sorted(held - kept)))
        for data in wanted:
            native_id = str(data.get(key.name))
            if native_id in kept:
                self._change(
                    parent, native_id, {name: value for name, value in data.items() if name != key.name}
                )
            else:
                self._add(parent, data)

    def _change(self, parent: Key, native_id: str, data: Mapping[str, Any]) -> None:
        row = self._encoder.row(self._child.fields, data)
        if not row:
            return
        statement = sa.update(self._child.table).where(self._at(parent, native_id)).values(row)
        if self._connection.execute(statement).rowcount == 0:
            raise StaleError(f"{self.name}: the row {native_id} is gone")

    def _add(self, parent: Key, data: Mapping[str, Any]) -> None:
        key = self._child.key
        row = self._encoder.row(self._child.fields, data)
        row |= {field.name: part for field, part in zip(self._child.foreign_key, parent, strict=True)}
        if key.name not in row and key.kind == "integer" and not key.has_default:
            highest = sa.select(sa.func.coalesce(sa.func.max(key.column), 0)).where(self._numbered(parent))
            row[key.name] = self._connection.execute(highest).scalar_one() + 1
        self._connection.execute(sa.insert(self._child.table).values(row))

    def _numbered(self, parent: Key) -> sa.ColumnElement[bool]:
        """Among which rows a new number must be new: a key by itself is counted over the whole table."""
        primary = {column.name for column in self._child.table.primary_key}
        return sa.true() if primary == {self._child.key.name} else self._of(parent)

    def _of(self, parent: Key) -> sa.ColumnElement[bool]:
        parts = zip(self._child.foreign_key, parent, strict=True)
        return sa.and_(*(field.column == sa.literal(part, type_=field.column.type) for field, part in parts))

    def _at(self, parent: Key, native_id: str) -> sa.ColumnElement[bool]:
        key = self._encoder.values.parse_id([self._child.key], native_id)
        if key is None:
            raise StaleError(f"{self.name}: there is no row {native_id}")
        return sa.and_(
            self._of(parent), self._child.key.column == sa.literal(key[0], type_=self._child.key.column.type)
        )
