"""The tables of the state as they are now, with their columns. How an older state gets here: migrations/.

Text is compared by code point (on PostgreSQL by its collation "C"), so that ids have one order everywhere.
Small columns stand before the long documents: SQLite then reads them without following overflow pages.
"""

from __future__ import annotations

__all__ = ["NUMBERED", "TABLES"]

_TABLES = {
    "settings": "key value",
    "sessions": "system key value",
    "systems": "name connector fingerprint paused clock_offset last_success",
    "streams": """id system stream cursor read_started complete_at live_count reading_since high_water
        listed_until""",
    # A record names its stream by number: that keeps its indexes small, and a system is renamed in one place.
    "records": """id stream_id native_id scope part entity golden_id status raw_hash version mapped_by read_at
        gone_at deleted_by_us unresolved former seen state""",
    # What a listing that is being read has shown so far.
    "listing": "record_id stream_id",
    # What a complete listing lacked.
    "missing": "record_id stream_id",
    # What one run remembers: the operations of a plan that is applied.
    "marks": "mark item",
    "identity_keys": "entity key record_id",
    # Pairs of records, both ways, that share a key and were not joined.
    "doubts": "one other key since",
    # What people said about who is who, and the pairs of records, both ways, that it is about.
    "judgements": """id verdict entity one other places said_by why at moved revoked_at revoked_by
        revoked_why""",
    "judged": "one other judgement verdict at",
    "goldens": "id entity dirty merged_into updated_at doc decisions",
    "refs": "golden_id target",
    "terms": "term golden_id",
    "journal": "id golden_id event details at",
    "intents": """id run system stream entity kind golden_id payload status record_id native_id scope handle
        reason attempts not_before created_at updated_at position""",
    # What a target lacks and cannot be given yet.
    "owed": "golden_id system entity why detail since",
    "dead_letters": """kind system stream native_id error raw entity golden_id scope id status attempts
        first_at last_at run""",
    "runs": "id command started_at ended_at exit_code counts",
    "writes": "run intent system record_id golden_id path before after at id",
    # `digest` is of (golden_id, path, winner, losers): values may be longer than an index entry may be.
    "conflicts": "golden_id entity path winner losers rule too_close undecided at run id digest",
    "notes": "run kind system entity golden_id path text at id",
}
TABLES = {name: tuple(columns.split()) for name, columns in _TABLES.items()}

NUMBERED = (
    *("streams", "records", "journal", "judgements", "dead_letters", "runs", "writes", "conflicts", "notes"),
)
"""Those whose ids are numbers that the database gives."""
