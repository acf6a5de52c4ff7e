"""What one run has to remember of many things: kept here, so that its memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable

from crmbridge.store.database import Database, upsert

__all__ = ["Marks"]

_PUT = upsert("marks", ("mark", "item"), ("mark", "item"))
_MARKED = "SELECT item FROM marks WHERE mark = :mark AND item AMONG :ids"
_COUNT = "SELECT count(*) FROM marks WHERE mark = :mark"
_LIST = "SELECT item FROM marks WHERE mark = :mark AND item > :after ORDER BY item LIMIT :limit"
_DROP = "DELETE FROM marks WHERE mark = :mark"
_DROP_SOME = "DELETE FROM marks WHERE mark = :mark AND item AMONG :ids"


class Marks:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def put_marks(self, mark: str, items: Iterable[str]) -> None:
        self.database.write_many(_PUT, ((mark, item) for item in items))

    def marked(self, mark: str, items: Iterable[str]) -> set[str]:
        rows = self.database.rows(_MARKED, {"mark": mark, "ids": self.database.ids(items)})
        return {item for (item,) in rows}

    def count_marks(self, mark: str) -> int:
        return int(self.database.value(_COUNT, {"mark": mark}))

    def marks(self, mark: str, after: str, limit: int) -> list[str]:
        values = {"mark": mark, "after": after, "limit": limit}
        return [item for (item,) in self.database.rows(_LIST, values)]

    def drop_marks(self, mark: str, items: Iterable[str] | None = None) -> None:
        if items is None:
            self.database.write(_DROP, {"mark": mark})
        else:
            self.database.write(_DROP_SOME, {"mark": mark, "ids": self.database.ids(items)})
