"""Tables that say which values an owner has: its search terms, its references, its identity keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from crmbridge.store.database import Database

__all__ = ["Pairs"]


class Pairs:
    """One such table. What an owner has already is not written again: two thirds of the cost."""

    def __init__(self, database: Database, table: sa.Table, owner: str, value: str) -> None:
        self.database = database
        self._fixed = tuple(column.name for column in table.c if column.name not in (owner, value))
        columns = (owner, value, *self._fixed)
        conditions = [table.c[name] == sa.bindparam(name) for name in self._fixed]
        self._held = sa.select(table.c[owner], table.c[value]).where(
            database.among(table.c[owner]), *conditions
        )
        # Names are ours; values stand at the marks.
        self._add = (
            f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        )
        self._remove = f"DELETE FROM {table.name} WHERE {' AND '.join(f'{name} = ?' for name in columns)}"  # noqa: S608

    def replace(self, wanted: Mapping[Any, Iterable[str]], fixed: Mapping[str, str] | None = None) -> None:
        """Give each owner these values and no others. fixed: the table's further columns."""
        rest = tuple((fixed or {})[name] for name in self._fixed)
        rows = self.database.rows(self._held, {"ids": self.database.ids(wanted), **(fixed or {})})
        held = {(owner, value) for owner, value in rows}
        given = {(owner, value) for owner, values in wanted.items() for value in values}
        self.database.write_many(self._remove, ((*pair, *rest) for pair in sorted(held - given)))
        self.database.write_many(self._add, ((*pair, *rest) for pair in sorted(given - held)))
