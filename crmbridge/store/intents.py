"""Operations that were saved before they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from crmbridge.store.database import Database, columns_of, select, upsert
from crmbridge.store.rows import IntentRow

__all__ = ["Intents"]

_COLUMNS = columns_of(IntentRow)
_VALUES = attrgetter(*_COLUMNS)
_PUT = upsert("intents", _COLUMNS, ("id",))
_INTENTS = select("intents", _COLUMNS)
_IN_ORDER = " ORDER BY run, position, id"
_OF_RUN = f"{_INTENTS} WHERE run = :run AND status AMONG :statuses AND position > :after"
_OF_GOLDENS = f"{_INTENTS} WHERE golden_id AMONG :ids AND status AMONG :statuses{_IN_ORDER}"
_OPEN = f"{_INTENTS} WHERE status IN ('sent', 'accepted', 'uncertain')"
_OF_SYSTEM = " AND system = :system"
_WITH = f"{_INTENTS} WHERE status AMONG :statuses{_IN_ORDER} LIMIT :limit"
_SCOPES = """
    SELECT golden_id, scope FROM intents
    WHERE golden_id AMONG :ids AND system = :system AND kind = :kind AND status AMONG :statuses
        AND updated_at >= :since
"""
_COUNT = """
    SELECT i.system, i.entity, i.kind, count(*) FROM intents AS i
    WHERE i.run = :run AND i.status NOT IN ('parked', 'stale', 'conflict') AND (
        i.kind <> 'transition' OR NOT EXISTS (
            SELECT 1 FROM intents AS first
            WHERE first.golden_id = i.golden_id AND first.system = i.system
                AND first.status NOT IN ('parked', 'stale', 'conflict') AND (
                    (first.run = :run AND first.kind IN ('create', 'update'))
                    OR (first.run < :run AND first.kind = 'create' AND NOT EXISTS (
                        SELECT 1 FROM intents AS between_them
                        WHERE between_them.run > first.run AND between_them.run < :run
                            AND between_them.system = first.system)))))
    GROUP BY i.system, i.entity, i.kind
"""
_MOVE = "UPDATE intents SET golden_id = :survivor WHERE golden_id = :loser"
_OWED_NO_MORE = "DELETE FROM owed WHERE golden_id = :loser"
_CHOSEN = "FROM intents WHERE status AMONG :statuses"
_SOME = " AND id AMONG :ids"


class Intents:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def _find(self, text: str, values: dict[str, Any]) -> list[IntentRow]:
        return [IntentRow(*row) for row in self.database.rows(text, values)]

    def put_intents(self, rows: Iterable[IntentRow]) -> None:
        self.database.write_many(_PUT, map(_VALUES, rows))

    def intents(
        self, run: int, system: str | None, statuses: Sequence[str], after: int, limit: int
    ) -> list[IntentRow]:
        chosen = _OF_RUN if system is None else _OF_RUN + _OF_SYSTEM
        values = {"run": run, "system": system, "statuses": self.database.ids(statuses), "after": after}
        return self._find(f"{chosen}{_IN_ORDER} LIMIT :limit", {**values, "limit": limit})

    def intent_goldens(
        self, system: str, golden_ids: Sequence[str], kind: str, statuses: Sequence[str], since: int = 0
    ) -> dict[str, str]:
        among = {"ids": self.database.ids(golden_ids), "statuses": self.database.ids(statuses)}
        return dict(self.database.rows(_SCOPES, {**among, "system": system, "kind": kind, "since": since}))

    def intents_of(self, golden_ids: Sequence[str], statuses: Sequence[str]) -> list[IntentRow]:
        among = {"ids": self.database.ids(golden_ids), "statuses": self.database.ids(statuses)}
        return self._find(_OF_GOLDENS, among)

    def count_intents(self, run: int) -> dict[tuple[str, str, str], int]:
        rows = self.database.rows(_COUNT, {"run": run})
        return {(system, entity, kind): count for system, entity, kind, count in rows}

    def open_intents(self, system: str | None) -> list[IntentRow]:
        chosen = _OPEN if system is None else _OPEN + _OF_SYSTEM
        return self._find(chosen + _IN_ORDER, {"system": system})

    def intents_with(self, statuses: Sequence[str], limit: int) -> list[IntentRow]:
        return self._find(_WITH, {"statuses": self.database.ids(statuses), "limit": limit})

    def move_intents(self, loser: str, survivor: str) -> None:
        self.database.write(_MOVE, {"loser": loser, "survivor": survivor})
        self.database.write(_OWED_NO_MORE, {"loser": loser})

    def drop_intents(self, statuses: Sequence[str], ids: Sequence[str] | None = None) -> None:
        chosen, values = _CHOSEN, {"statuses": self.database.ids(statuses)}
        if ids is not None:
            chosen, values["ids"] = _CHOSEN + _SOME, self.database.ids(ids)
        touched = f"SELECT golden_id {chosen}"
        self.database.write(f"UPDATE goldens SET dirty = TRUE WHERE id IN ({touched})", values)
        self.database.write(f"DELETE {chosen}", values)
