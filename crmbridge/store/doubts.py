"""Pairs of records that share a key and were not joined: who may be one, and waits for a person.

A pair is *open* while both records are there and of two golden records that no person told apart. So it goes
by itself when one of them is deleted, or both become one, or somebody has decided, and comes back when that
is taken back. Who took it back that two are one has looked at them: that pair is open again only with what
they have come to share since. A merge that a system reports about two who were told apart is open until it is
decided anew.

Beside them stand links that are doubtful (`TURNED`): pairs of one golden record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crmbridge.store.database import Database, insert
from crmbridge.store.rows import OpenPair

__all__ = ["MERGED", "TURNED", "Doubts"]

MERGED = "merged:"
"""Begins the key of a pair that a system merged, though a person had told the two apart."""
TURNED = "kind"
"""The key of two records that are linked, of which one says person and one organization: a doubtful link."""
_COLUMNS = ("one", "other", "key", "since")
_IS_MERGE = f"substr(d.key, 1, {len(MERGED)}) = '{MERGED}'"
_HELD = f"SELECT d.one, d.other, d.key FROM doubts AS d WHERE d.one AMONG :ids AND NOT {_IS_MERGE}"
_ADD = f"{insert('doubts', _COLUMNS)} ON CONFLICT (one, other, key) DO UPDATE SET since = excluded.since"
_DROP = "DELETE FROM doubts WHERE one = ? AND other = ? AND key = ?"
_WITH_KEY = "SELECT one, other FROM doubts WHERE key = :key AND one AMONG :ids AND other AMONG :ids"
# Golden records that were told apart, or of which it was taken back that they are one, and when last. `apart`
# is the lower word of the two.
_SAID = """
    WITH said AS (
        SELECT x.golden_id AS one, y.golden_id AS other, min(j.verdict) AS verdict, max(j.at) AS at
        FROM judged AS j JOIN records AS x ON x.id = j.one JOIN records AS y ON y.id = j.other
        WHERE j.verdict IN ('apart', 'asked') GROUP BY x.golden_id, y.golden_id)
"""
_NEW = "(said.at IS NULL OR said.at < d.since)"
_WAITING = f"""
    FROM records AS a JOIN doubts AS d ON d.one = a.id JOIN records AS b ON b.id = d.other
    LEFT JOIN said ON said.one = a.golden_id AND said.other = b.golden_id
    WHERE d.key <> '{TURNED}' AND ((coalesce(said.verdict, 'asked') = 'asked'
            AND a.status IN ('live', 'out') AND b.status IN ('live', 'out'))
        OR ({_IS_MERGE} AND {_NEW}))
"""
_OPEN = f"{_WAITING} AND {_NEW}"
_PAIRS = f"{_OPEN} AND a.golden_id < b.golden_id"
_COUNT = f"{_SAID} SELECT count(*) FROM (SELECT DISTINCT a.golden_id, b.golden_id {_PAIRS}) AS pairs"
_LIST = f"{_SAID} SELECT a.entity, a.golden_id, b.golden_id, min(d.since) {_PAIRS}"
_OF_SYSTEM = """
    AND (a.stream_id IN (SELECT id FROM streams WHERE system = :system)
        OR b.stream_id IN (SELECT id FROM streams WHERE system = :system))
"""
_LISTED = " GROUP BY a.entity, a.golden_id, b.golden_id ORDER BY 4, 1, 2, 3 LIMIT :limit"
_AMONG = f"""
    {_SAID} SELECT DISTINCT a.golden_id, b.golden_id {_PAIRS}
    AND a.golden_id AMONG :ids AND b.golden_id AMONG :ids
"""
_TWINS = f"""
    {_SAID} SELECT {_NEW}, a.golden_id, b.golden_id, d.one, d.other, d.key {_WAITING}
    AND a.golden_id AMONG :ids AND a.golden_id <> b.golden_id ORDER BY d.one, d.other, d.key
"""
# Those of which no person said that they are one all the same.
_TURNED = f"""
    FROM doubts AS d JOIN records AS a ON a.id = d.one JOIN records AS b ON b.id = d.other
    WHERE d.key = '{TURNED}' AND d.one < d.other AND a.golden_id = b.golden_id
    AND a.status IN ('live', 'out') AND b.status IN ('live', 'out')
    AND NOT EXISTS (SELECT 1 FROM judged AS j WHERE j.one = d.one AND j.other = d.other AND j.verdict = 'one')
"""
_TURNED_LIST = (
    f"SELECT a.entity, d.one, d.other, d.since {_TURNED} ORDER BY d.since, d.one, d.other LIMIT :limit"
)
# Too many records first, which the index alone tells; then too many golden records.
_GENERIC = """
    SELECT k.entity, k.key, count(DISTINCT r.golden_id) AS shared FROM identity_keys AS k
    JOIN records AS r ON r.id = k.record_id
    JOIN (SELECT entity, key FROM identity_keys GROUP BY entity, key HAVING count(*) > :shared_by) AS many
        ON many.entity = k.entity AND many.key = k.key
    GROUP BY k.entity, k.key HAVING count(DISTINCT r.golden_id) > :shared_by ORDER BY shared DESC, k.key
"""


class Doubts:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def doubts(self, record_ids: Sequence[int]) -> set[tuple[int, int, str]]:
        return set(self.database.rows(_HELD, {"ids": self.database.ids(record_ids)}))

    def put_doubts(
        self, new: Iterable[tuple[int, int, str]], gone: Iterable[tuple[int, int, str]], at: int
    ) -> None:
        self.database.write_many(_DROP, _both_ways(gone))
        self.database.write_many(_ADD, ((*pair, at) for pair in _both_ways(new)))

    def doubts_by(self, key: str, record_ids: Sequence[int]) -> set[tuple[int, int, str]]:
        rows = self.database.rows(_WITH_KEY, {"key": key, "ids": self.database.ids(record_ids)})
        return {(one, other, key) for one, other in rows}

    def count_open_pairs(self) -> int:
        return int(self.database.value(_COUNT))

    def open_pairs(self, entity: str | None, system: str | None, limit: int) -> list[OpenPair]:
        text = _LIST + (" AND a.entity = :entity" if entity else "") + (_OF_SYSTEM if system else "")
        values: dict[str, Any] = {"entity": entity, "system": system, "limit": limit}
        return [OpenPair(*row) for row in self.database.rows(text + _LISTED, values)]

    def open_among(self, golden_ids: Sequence[str]) -> set[tuple[str, str]]:
        return set(self.database.rows(_AMONG, {"ids": self.database.ids(golden_ids)}))

    def twins(self, golden_ids: Sequence[str]) -> dict[str, dict[str, list[tuple[int, int, str]]]]:
        rows = self.database.rows(_TWINS, {"ids": self.database.ids(golden_ids)})
        opened = {(one, other) for is_new, one, other, *_ in rows if is_new}
        found: dict[str, dict[str, list[tuple[int, int, str]]]] = {}
        for _, one, other, *pair in rows:
            if (one, other) in opened:
                found.setdefault(one, {}).setdefault(other, []).append(tuple(pair))
        return found

    def count_turned(self) -> int:
        return int(self.database.value(f"SELECT count(*) {_TURNED}"))

    def turned(self, limit: int) -> list[tuple[str, int, int, int]]:
        return self.database.rows(_TURNED_LIST, {"limit": limit})

    def generic_keys(self, shared_by: int) -> list[tuple[str, str, int]]:
        return self.database.rows(_GENERIC, {"shared_by": shared_by})


def _both_ways(pairs: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    return sorted({way for one, other, key in pairs for way in ((one, other, key), (other, one, key))})
