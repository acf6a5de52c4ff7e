"""Operations that were saved before they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

import sqlalchemy as sa

from crmbridge.store.database import Database, columns_of, upsert
from crmbridge.store.rows import IntentRow
from crmbridge.store.tables import goldens, intents, owed

__all__ = ["Intents"]

_INTENT = columns_of(IntentRow)
_VALUES = attrgetter(*_INTENT)
_PUT = upsert(intents, _INTENT, ("id",))
_ASIDE = ("parked", "stale", "conflict")
_OPEN = ("sent", "accepted", "uncertain")


class Intents:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def _find(self, *conditions: sa.ColumnElement[bool], limit: int | None = None) -> list[IntentRow]:
        c = intents.c
        statement = sa.select(*(c[name] for name in _INTENT)).where(*conditions)
        ordered = statement.order_by(c.run, c.position, c.id).limit(limit)
        return [IntentRow(*row) for row in self.database.rows(ordered)]

    def put_intents(self, rows: Iterable[IntentRow]) -> None:
        self.database.write_many(_PUT, map(_VALUES, rows))

    def intents(
        self, run: int, system: str | None, statuses: Sequence[str], after: int, limit: int
    ) -> list[IntentRow]:
        c = intents.c
        conditions = [c.run == run, c.status.in_(statuses), c.position > after, *_of(system)]
        return self._find(*conditions, limit=limit)

    def intent_goldens(
        self, system: str, golden_ids: Sequence[str], kind: str, statuses: Sequence[str], since: int = 0
    ) -> dict[str, str]:
        c = intents.c
        wanted = sa.select(c.golden_id, c.scope).where(
            self.database.among(c.golden_id),
            c.system == system,
            c.kind == kind,
            c.status.in_(statuses),
            c.updated_at >= since,
        )
        rows = self.database.rows(wanted, {"ids": self.database.ids(golden_ids)})
        return {row.golden_id: row.scope for row in rows}

    def intents_of(self, golden_ids: Sequence[str], statuses: Sequence[str]) -> list[IntentRow]:
        c = intents.c
        chosen = sa.select(*(c[name] for name in _INTENT)).where(
            self.database.among(c.golden_id), c.status.in_(statuses)
        )
        rows = self.database.rows(
            chosen.order_by(c.run, c.position, c.id), {"ids": self.database.ids(golden_ids)}
        )
        return [IntentRow(*row) for row in rows]

    def count_intents(self, run: int) -> dict[tuple[str, str, str], int]:
        c = intents.c
        first, between = intents.alias(), intents.alias()
        same_run = sa.and_(first.c.run == run, first.c.kind.in_(("create", "update")))
        run_before = sa.and_(
            first.c.run < run,
            first.c.kind == "create",
            ~sa.exists().where(
                between.c.run > first.c.run, between.c.run < run, between.c.system == first.c.system
            ),
        )
        counted_already = sa.exists().where(
            first.c.golden_id == c.golden_id,
            first.c.system == c.system,
            first.c.status.not_in(_ASIDE),
            same_run | run_before,
        )
        counted = sa.select(c.system, c.entity, c.kind, sa.func.count()).where(
            c.run == run, c.status.not_in(_ASIDE), sa.or_(c.kind != "transition", ~counted_already)
        )
        rows = self.database.rows(counted.group_by(c.system, c.entity, c.kind))
        return {(system, entity, kind): count for system, entity, kind, count in rows}

    def open_intents(self, system: str | None) -> list[IntentRow]:
        return self._find(intents.c.status.in_(_OPEN), *_of(system))

    def intents_with(self, statuses: Sequence[str], limit: int) -> list[IntentRow]:
        return self._find(intents.c.status.in_(statuses), limit=limit)

    def move_intents(self, loser: str, survivor: str) -> None:
        mine = intents.c.golden_id == loser
        self.database.write(sa.update(intents).where(mine).values(golden_id=survivor), {})
        self.database.write(sa.delete(owed).where(owed.c.golden_id == loser))

    def drop_intents(self, statuses: Sequence[str], ids: Sequence[str] | None = None) -> None:
        chosen: list[sa.ColumnElement[bool]] = [intents.c.status.in_(statuses)]
        parameters = {}
        if ids is not None:
            chosen.append(self.database.among(intents.c.id))
            parameters["ids"] = self.database.ids(ids)
        touched = goldens.c.id.in_(sa.select(intents.c.golden_id).where(*chosen))
        self.database.write(sa.update(goldens).where(touched).values(dirty=sa.true()), parameters)
        self.database.write(sa.delete(intents).where(*chosen), parameters)


def _of(system: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if system is None else [intents.c.system == system]
