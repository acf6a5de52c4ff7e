"""What people said about pairs of records: that they are not the same real-world thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crmbridge.store.database import Database, upsert

__all__ = ["Judgements"]

_PUT = upsert("judgements", ("one", "other"), ("one", "other"))
_DROP = "DELETE FROM judgements WHERE one = ? AND other = ?"
_OF = "SELECT one, other FROM judgements WHERE one AMONG :ids"


class Judgements:
    """See the protocol for what each method promises. A pair is kept both ways, to be found from either."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def tell_apart(self, pairs: Iterable[tuple[int, int]]) -> None:
        self.database.write_many(_PUT, _both_ways(pairs))

    def forget_apart(self, pairs: Iterable[tuple[int, int]]) -> None:
        self.database.write_many(_DROP, _both_ways(pairs))

    def told_apart(self, record_ids: Sequence[int]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {}
        for one, other in self.database.rows(_OF, {"ids": self.database.ids(record_ids)}):
            found.setdefault(one, set()).add(other)
        return found


def _both_ways(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted({pair for one, other in pairs for pair in ((one, other), (other, one))})
