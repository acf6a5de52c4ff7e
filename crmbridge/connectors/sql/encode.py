"""What is bound for the fields of an operation, and the two ways in which an operation fails by itself."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crmbridge.connectors.sql.columntimes import column_times
from crmbridge.connectors.sql.database import Database
from crmbridge.connectors.sql.source import Source
from crmbridge.connectors.sql.texttime import TimeStyle, parse_time
from crmbridge.connectors.sql.values import BadValueError, Field, Values

__all__ = ["Encoder", "RefusedError", "StaleError", "Styles"]

Styles = MutableMapping[sa.ColumnElement[Any], TimeStyle | None]
"""How each column writes its times; None: in no style that is known."""


class RefusedError(Exception):
    """The operation cannot be carried out and will not be able to: it is rejected."""


class StaleError(Exception):
    """The row is not what it was when the operation was planned: a conflict."""


class Encoder:
    """Encodes values for one table in one transaction."""

    def __init__(
        self,
        values: Values,
        connection: Connection,
        database: Database,
        styles: Styles,
        times: Collection[str] = (),
    ) -> None:
        """styles: what is known already, shared by the transactions of one run, since it takes a scan.
        times: names of columns of texts that hold times although they are not declared so."""
        self.values = values
        self._connection = connection
        self._database = database
        self._styles = styles
        self._times = times

    def row(self, fields: Mapping[str, Field], data: Mapping[str, Any]) -> dict[str, Any]:
        """Column -> what to bind. Raises RefusedError, naming the column."""
        row = {}
        for name, value in data.items():
            field = fields.get(name)
            if field is None:
                near = difflib.get_close_matches(name, fields, n=1)
                raise RefusedError(
                    f"there is no column {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
            if field.generated:
                raise RefusedError(f"{name}: the database computes this column; it cannot be written")
            row[name] = self.value(field, value)
        return row

    def value(self, field: Field, value: Any) -> Any:
        """What to bind for one value."""
        style = self._style(field)
        if style is not None and field.name in self._times and isinstance(value, str):
            time = parse_time(value, self.values.zone)
            value = value if time is None else style.format(time, self.values.zone)
        try:
            return self.values.encode(field, value, style)
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
        if field.name in self._times and self._style(field) is None:
            odd = column_times(self._connection, field.column).odd
            raise RefusedError(f"{field.name} holds texts such as {odd!r}; a time in that style is not known")
        return self.value(field, now.isoformat())

    def _style(self, field: Field) -> TimeStyle | None:
        """A time in a column of texts is written as those that it holds already, or it would sort wrong."""
        if field.name not in self._times and not (self.values.loose and field.kind == "datetime"):
            return None
        if field.column not in self._styles:
            self._styles[field.column] = column_times(self._connection, field.column).written
        return self._styles[field.column]
