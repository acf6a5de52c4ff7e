"""Tables that say which values an owner has: its search terms, its references, its identity keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crmbridge.store.database import Database, insert

__all__ = ["Pairs"]


class Pairs:
    """One such table. What an owner has already is not written again: two thirds of the cost."""

    def __init__(
        self, database: Database, table: str, owner: str, value: str, fixed: Sequence[str] = ()
    ) -> None:
        """fixed: the table's further columns."""
        self.database = database
        self._fixed = fixed
        columns = (owner, value, *fixed)
        among = "".join(f" AND {name} = :{name}" for name in fixed)
        # Names are ours; values stand at the marks.
        self._held = f"SELECT {owner}, {value} FROM {table} WHERE {owner} AMONG :ids{among}"
        self._add = insert(table, columns)
        self._remove = f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in columns)}"

    def held(self, owners: Iterable[Any], fixed: Mapping[str, str] | None = None) -> dict[Any, set[str]]:
        """Owner -> its values."""
        found: dict[Any, set[str]] = {}
        for owner, value in self.database.rows(
            self._held, {"ids": self.database.ids(owners), **(fixed or {})}
        ):
            found.setdefault(owner, set()).add(value)
        return found

    def replace(self, wanted: Mapping[Any, Iterable[str]], fixed: Mapping[str, str] | None = None) -> None:
        """Give each owner these values and no others. fixed: the values of the table's further columns."""
        rest = tuple((fixed or {})[name] for name in self._fixed)
        held = set(self.database.rows(self._held, {"ids": self.database.ids(wanted), **(fixed or {})}))
        given = {(owner, value) for owner, values in wanted.items() for value in values}
        self.database.write_many(self._remove, ((*pair, *rest) for pair in sorted(held - given)))
        self.database.write_many(self._add, ((*pair, *rest) for pair in sorted(given - held)))
