"""What is bound for the fields of an operation, and the two ways in which an operation fails by itself."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crmbridge.connectors.sql.database import Database
from crmbridge.connectors.sql.source import Source
from crmbridge.connectors.sql.texttime import TimeStyle
from crmbridge.connectors.sql.values import BadValueError, Field, Values

__all__ = ["Encoder", "RefusedError", "StaleError"]


class RefusedError(Exception):
    """The operation cannot be carried out and will not be able to: it is rejected."""


class StaleError(Exception):
    """The row is not what it was when the operation was planned: a conflict."""


class Encoder:
    """Encodes values for one table in one transaction."""

    def __init__(
        self, values: Values, connection: Connection, table: sa.FromClause, database: Database
    ) -> None:
        self.values = values
        self._connection = connection
        self._table = table
        self._database = database
        self._styles: dict[str, TimeStyle] = {}

    def row(self, fields: Mapping[str, Field], data: Mapping[str, Any]) -> dict[str, Any]:
        """Column -> what to bind. Raises RefusedError, naming the column."""
        row = {}
        for name, value in data.items():
            field = fields.get(name)
            if field is None:
                near = difflib.get_close_matches(name, fields, n=1, cutoff=0.5)
                raise RefusedError(
                    f"there is no column {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
            if field.generated:
                raise RefusedError(f"{name}: the database computes this column; it cannot be written")
            row[name] = self.value(field, value)
        return row

    def value(self, field: Field, value: Any) -> Any:
        """What to bind for one value."""
        try:
            return self.values.encode(field, value, self._style(field))
        except BadValueError as error:
            raise RefusedError(str(error)) from error

    def touched(self, field: Field, *, new: bool) -> Any:
        """What an application would set with each write: the present time, or the next number."""
        if field.kind == "integer":
            return 1 if new else sa.func.coalesce(field.column, 0) + 1
        return self._now(field)

    def deleted_mark(self, source: Source) -> Any:
        """What an archive writes into the column that marks deleted rows."""
        assert source.deleted is not None
        assert source.settings.deleted is not None
        field, values = source.deleted, source.settings.deleted.values
        if values:
            return self.value(field, values[0])
        if field.kind in {"datetime", "date"}:
            return self._now(field)
        return self.value(field, field.kind == "boolean" or 1)

    def _now(self, field: Field) -> Any:
        now = self._database.now(self._connection)
        if now is None:
            return sa.func.current_timestamp()
        if field.kind == "date":
            return self.value(field, now.astimezone(self.values.zone).date().isoformat())
        return self.value(field, now.isoformat())

    def _style(self, field: Field) -> TimeStyle | None:
        """SQLite: a time is written as the times that the column holds already."""
        if not self.values.loose or field.kind != "datetime":
            return None
        if field.name not in self._styles:
            sample = sa.select(field.column).where(field.column.is_not(None)).limit(1)
            text = self._connection.execute(sample).scalar_one_or_none()
            style = TimeStyle.of(text) if isinstance(text, str) else None
            self._styles[field.name] = style or TimeStyle()
        return self._styles[field.name]
