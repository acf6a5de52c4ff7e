"""Linked records of which one says person and one organization: they wait until they agree, are parted, or a
person has said that they are one all the same. Nothing is moved or parted because of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from crmbridge.engine.doubts import told_turned
from crmbridge.engine.run import Run
from crmbridge.store.rows import RecordRow

__all__ = ["DoubtfulLink", "doubtful_links", "waiting"]

CHUNK = 500


@dataclass(frozen=True, slots=True)
class DoubtfulLink:
    """Two records of one golden record that may be two."""

    one: RecordRow
    other: RecordRow
    kinds: tuple[str, str]
    """What each of them says that it is."""
    since: int
    text: str
    """All that in words."""


def waiting(run: Run, limit: int) -> tuple[int, list[str]]:
    """How many links wait for a person, and a line for each of the first of them."""
    count = run.store.count_turned()
    return count, [one.text for one in doubtful_links(run, limit)] if count else []


def doubtful_links(run: Run, limit: int | None = None) -> Iterator[DoubtfulLink]:
    """Those that wait, the oldest first; limit: so many at most."""
    pairs = run.store.turned(2**62 if limit is None else limit)
    for start in range(0, len(pairs), CHUNK):
        some = pairs[start : start + CHUNK]
        rows = {
            row.id: row
            for row in run.store.records_by_id(sorted({side for _, *sides, _ in some for side in sides}))
        }
        for _, one, other, since in some:
            known = [(rows[side], json.loads(rows[side].seen)) for side in (one, other)]
            kinds = [doc.get("kind") or "" for _, doc in known]
            yield DoubtfulLink(rows[one], rows[other], (kinds[0], kinds[1]), since, told_turned(*known))
