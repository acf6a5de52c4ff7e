"""Forgetting what is old and settled, so that the state does not grow for ever."""

from __future__ import annotations

from typing import Any

from crmbridge.store.database import Database

__all__ = ["Pruning"]

_RUN_BEFORE = "SELECT max(id) FROM runs WHERE started_at < :at"
_WRITES = "SELECT id FROM writes WHERE run <= :run"
_NOTES = "SELECT id FROM notes WHERE run <= :run"
_CONFLICTS = """
    SELECT id FROM conflicts AS c WHERE run <= :run
    AND (NOT undecided OR EXISTS (
        SELECT 1 FROM conflicts AS later
        WHERE later.golden_id = c.golden_id AND later.path = c.path AND later.id > c.id AND later.undecided))
    AND golden_id NOT IN (
        SELECT r.golden_id FROM records AS r JOIN streams AS s ON s.id = r.stream_id
        WHERE s.system = :decided_in AND r.golden_id IS NOT NULL)
"""
# A record that a person gave up on stays given up on.
_LETTERS = """
    SELECT id FROM dead_letters
    WHERE (status = 'replayed' OR status = 'dropped' AND kind = 'operation') AND last_at < :before
"""
_REFUSALS = """
    SELECT id FROM intents AS i WHERE status = 'rejected' AND run <= :run AND EXISTS (
        SELECT 1 FROM intents AS later
        WHERE later.golden_id = i.golden_id AND later.run > i.run AND later.status IN ('done', 'rejected')
        AND later.system = i.system AND later.stream = i.stream
        AND later.scope = i.scope AND later.kind = i.kind)
"""
_DONE = """
    SELECT id FROM intents AS i WHERE status = 'done' AND run <= :run AND updated_at < :before
    AND run < (SELECT max(run) FROM intents AS latest WHERE latest.system = i.system)
"""
_RUNS = "SELECT id FROM runs WHERE id <= :run"


class Pruning:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def run_before(self, at: int) -> int:
        return self.database.value(_RUN_BEFORE, {"at": at}) or 0

    def prune_writes(self, run: int, limit: int) -> int:
        return self._delete("writes", _WRITES, limit, run=run)

    def prune_notes(self, run: int, limit: int) -> int:
        return self._delete("notes", _NOTES, limit, run=run)

    def prune_conflicts(self, run: int, decided_in: str, limit: int) -> int:
        return self._delete("conflicts", _CONFLICTS, limit, run=run, decided_in=decided_in)

    def prune_letters(self, before: int, limit: int) -> int:
        return self._delete("dead_letters", _LETTERS, limit, before=before)

    def prune_refusals(self, run: int, limit: int) -> int:
        return self._delete("intents", _REFUSALS, limit, run=run)

    def prune_done(self, run: int, before: int, limit: int) -> int:
        return self._delete("intents", _DONE, limit, run=run, before=before)

    def prune_runs(self, run: int, limit: int) -> int:
        return self._delete("runs", _RUNS, limit, run=run)

    def _delete(self, table: str, chosen: str, limit: int, **values: Any) -> int:
        """At most `limit` rows; how many they were."""
        rows = self.database.rows(f"{chosen} LIMIT :limit", {**values, "limit": limit})
        # The table's name is ours.
        self.database.write_many(f"DELETE FROM {table} WHERE id = ?", rows)
        return len(rows)
