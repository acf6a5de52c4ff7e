"""What targets lack, since when, and why: what a plan could not give them yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter

import sqlalchemy as sa

from crmbridge.store.database import Database, columns_of, upsert
from crmbridge.store.rows import OwedRow
from crmbridge.store.tables import goldens, intents, owed

__all__ = ["Owed"]

_OWED = columns_of(OwedRow)
_VALUES = attrgetter(*_OWED)
_PUT = upsert(owed, _OWED, ("golden_id", "system"))
_DROP = "DELETE FROM owed WHERE golden_id = ? AND system = ?"
_SETTLED = ("done", "rejected", "sent", "accepted", "uncertain")


class Owed:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._columns = sa.select(*(owed.c[name] for name in _OWED))
        self._held = self._columns.where(database.among(owed.c.golden_id))

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
        found = self.database.rows(self._held, {"ids": self.database.ids(golden_ids)})
        return {(row.golden_id, row.system): OwedRow(*row) for row in found}

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
        theirs = sa.select(owed.c.golden_id).where(owed.c.system == system)
        self.database.write(sa.update(goldens).where(goldens.c.id.in_(theirs)).values(dirty=sa.true()))

    def settle_owed(self, run: int) -> None:
        sent = sa.exists().where(
            intents.c.golden_id == owed.c.golden_id,
            intents.c.system == owed.c.system,
            intents.c.run == run,
            intents.c.status.in_(_SETTLED),
        )
        self.database.write(sa.delete(owed).where(owed.c.why == "parked", sent))

    def owed(self, why: str, before: int, limit: int) -> list[OwedRow]:
        chosen = self._columns.where(owed.c.why == why, owed.c.since <= before)
        ordered = chosen.order_by(owed.c.since, owed.c.golden_id, owed.c.system).limit(limit)
        return [OwedRow(*row) for row in self.database.rows(ordered)]

    def count_owed(self, why: str, before: int) -> int:
        counted = sa.select(sa.func.count()).where(owed.c.why == why, owed.c.since <= before)
        return int(self.database.value(counted))
