"""What targets lack, since when, and why: what a plan could not give them yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter

from crmbridge.store.database import Database, columns_of, select, upsert
from crmbridge.store.rows import OwedRow

__all__ = ["Owed"]

_COLUMNS = columns_of(OwedRow)
_VALUES = attrgetter(*_COLUMNS)
_PUT = upsert("owed", _COLUMNS, ("golden_id", "system"))
_DROP = "DELETE FROM owed WHERE golden_id = ? AND system = ?"
_OWED = select("owed", _COLUMNS)
_HELD = f"{_OWED} WHERE golden_id AMONG :ids"
_SINCE = f"{_OWED} WHERE why = :why AND since <= :before ORDER BY since, golden_id, system LIMIT :limit"
_COUNT = "SELECT count(*) FROM owed WHERE why = :why AND since <= :before"
_RELEASE = "UPDATE goldens SET dirty = TRUE WHERE id IN (SELECT golden_id FROM owed WHERE system = :system)"
_SETTLE = """
    DELETE FROM owed WHERE why = 'parked' AND EXISTS (
        SELECT 1 FROM intents AS i
        WHERE i.golden_id = owed.golden_id AND i.system = owed.system AND i.run = :run
            AND i.status IN ('done', 'rejected', 'sent', 'accepted', 'uncertain'))
"""


class Owed:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def put_owed(
        self, golden_ids: Sequence[str], rows: Iterable[OwedRow], keep: Collection[tuple[str, str]] = ()
    ) -> None:
        wanted = list(rows)
        held = self._held_of(golden_ids)
        gone = held.keys() - {(row.golden_id, row.system) for row in wanted} - set(keep)
        self.database.write_many(_DROP, sorted(gone))
        self._put(wanted, held)

    def add_owed(self, rows: Iterable[OwedRow]) -> None:
        wanted = list(rows)
        self._put(wanted, self._held_of([row.golden_id for row in wanted]))

    def _held_of(self, golden_ids: Sequence[str]) -> dict[tuple[str, str], OwedRow]:
        found = self.database.rows(_HELD, {"ids": self.database.ids(golden_ids)})
        return {(row.golden_id, row.system): row for row in (OwedRow(*each) for each in found)}

    def _put(self, wanted: Iterable[OwedRow], held: Mapping[tuple[str, str], OwedRow]) -> None:
        """What was owed for the same reason before is owed since then."""
        for row in wanted:
            before = held.get((row.golden_id, row.system))
            if before is not None and before.why == row.why:
                row.since = before.since
        self.database.write_many(
            _PUT, (_VALUES(row) for row in wanted if held.get((row.golden_id, row.system)) != row)
        )

    def release_owed(self, system: str) -> None:
        self.database.write(_RELEASE, {"system": system})

    def settle_owed(self, run: int) -> None:
        self.database.write(_SETTLE, {"run": run})

    def owed(self, why: str, before: int, limit: int) -> list[OwedRow]:
        rows = self.database.rows(_SINCE, {"why": why, "before": before, "limit": limit})
        return [OwedRow(*row) for row in rows]

    def count_owed(self, why: str, before: int) -> int:
        return int(self.database.value(_COUNT, {"why": why, "before": before}))
