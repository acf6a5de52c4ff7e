"""What people said about who is who: that records are one, or that they are not the same real-world thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Literal

from crmbridge.store.database import Database, columns_of, insert, select, upsert
from crmbridge.store.rows import JudgementRow, Parting

__all__ = ["Judgements"]

_COLUMNS = columns_of(JudgementRow, without="id")
_VALUES = attrgetter(*_COLUMNS)
_ADD = insert("judgements", _COLUMNS)
_LAST = "SELECT max(id) FROM judgements"
_REVOKE = """
    UPDATE judgements SET revoked_at = :at, revoked_by = :by, revoked_why = :why WHERE id = :id
"""
_ALL = f"{select('judgements', columns_of(JudgementRow))} WHERE id > :after ORDER BY id LIMIT :limit"
_PUT_PAIR = upsert("judged", ("one", "other", "judgement", "verdict", "at"), ("one", "other", "judgement"))
_DROP_PAIRS = "DELETE FROM judged WHERE judgement = :id AND verdict = 'apart'"
_ASK_AGAIN = "UPDATE judged SET verdict = 'asked', at = :at WHERE judgement = :id"
_DROP_APART = "DELETE FROM judged WHERE one = ? AND other = ? AND verdict = 'apart'"
_OF = "SELECT one, other FROM judged WHERE one AMONG :ids AND verdict = :verdict"
_ABOUT = "SELECT DISTINCT judgement FROM judged WHERE one AMONG :ids AND verdict = 'apart'"
_LEFT = "SELECT DISTINCT judgement FROM judged WHERE judgement AMONG :ids"
# `apart` is the lower word of the two.
_PARTED = """
    SELECT a.golden_id, b.golden_id, min(j.verdict) FROM records AS a
    JOIN judged AS j ON j.one = a.id AND j.verdict IN ('apart', 'asked') JOIN records AS b ON b.id = j.other
    WHERE a.golden_id AMONG :ids AND b.golden_id IS NOT NULL AND b.golden_id <> a.golden_id
    GROUP BY a.golden_id, b.golden_id
"""


class Judgements:
    """See the protocol for what each method promises. A pair is kept both ways, to be found from either."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def put_judgement(self, row: JudgementRow, pairs: Iterable[tuple[int, int]]) -> int:
        self.database.write_many(_ADD, [_VALUES(row)])
        number = int(self.database.value(_LAST))
        self.database.write_many(
            _PUT_PAIR, ((*pair, number, row.verdict, row.at) for pair in _both_ways(pairs))
        )
        return number

    def revoke_judgement(self, judgement_id: int, by: str, why: str, at: int) -> None:
        self.database.write(_REVOKE, {"id": judgement_id, "by": by, "why": why, "at": at})
        self.database.write(_DROP_PAIRS, {"id": judgement_id})
        self.database.write(_ASK_AGAIN, {"id": judgement_id, "at": at})

    def judgements(self, after: int, limit: int) -> list[JudgementRow]:
        rows = self.database.rows(_ALL, {"after": after, "limit": limit})
        return [JudgementRow(*row) for row in rows]

    def judged(self, record_ids: Sequence[int], verdict: Literal["one", "apart"]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {}
        values = {"ids": self.database.ids(record_ids), "verdict": verdict}
        for one, other in self.database.rows(_OF, values):
            found.setdefault(one, set()).add(other)
        return found

    def forget_apart(self, pairs: Iterable[tuple[int, int]]) -> set[int]:
        given = _both_ways(pairs)
        about = self._ids(_ABOUT, [one for one, _ in given])
        self.database.write_many(_DROP_APART, given)
        return about - self._ids(_LEFT, sorted(about))

    def parted(self, golden_ids: Sequence[str]) -> dict[str, dict[str, Parting]]:
        found: dict[str, dict[str, Parting]] = {}
        for one, other, verdict in self.database.rows(_PARTED, {"ids": self.database.ids(golden_ids)}):
            found.setdefault(one, {})[other] = verdict
        return found

    def _ids(self, text: str, ids: Iterable[int]) -> set[int]:
        return {number for (number,) in self.database.rows(text, {"ids": self.database.ids(ids)})}


def _both_ways(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted({pair for one, other in pairs for pair in ((one, other), (other, one))})
