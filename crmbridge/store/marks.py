"""What one run has to remember of many things: kept here, so that its memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from crmbridge.store.database import Database, upsert
from crmbridge.store.tables import marks

__all__ = ["Marks"]

_PUT = upsert(marks, ("mark", "item"), ("mark", "item"))


class Marks:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._mine = marks.c.mark == sa.bindparam("of_mark")
        self._among = sa.and_(self._mine, database.among(marks.c.item))

    def put_marks(self, mark: str, items: Iterable[str]) -> None:
        self.database.write_many(_PUT, ((mark, item) for item in items))

    def marked(self, mark: str, items: Iterable[str]) -> set[str]:
        parameters = {"of_mark": mark, "ids": self.database.ids(items)}
        rows = self.database.rows(sa.select(marks.c.item).where(self._among), parameters)
        return {row.item for row in rows}

    def count_marks(self, mark: str) -> int:
        counted = sa.select(sa.func.count()).where(self._mine)
        return int(self.database.value(counted, {"of_mark": mark}))

    def drop_marks(self, mark: str, items: Iterable[str] | None = None) -> None:
        parameters = {"of_mark": mark}
        if items is None:
            self.database.write(sa.delete(marks).where(self._mine), parameters)
        else:
            parameters["ids"] = self.database.ids(items)
            self.database.write(sa.delete(marks).where(self._among), parameters)
