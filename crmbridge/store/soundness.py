"""Whether what the tables say fits together."""

from __future__ import annotations

from crmbridge.store.database import Database

__all__ = ["contradictions"]

# Each finds `id`.
_CHECKS = {
    # 0: in no stream on purpose, see Systems.
    "records belong to no stream": """
        SELECT id FROM records WHERE stream_id <> 0 AND stream_id NOT IN (SELECT id FROM streams)
    """,
    "records are linked to a golden record that does not exist": """
        SELECT id FROM records WHERE golden_id IS NOT NULL AND golden_id NOT IN (SELECT id FROM goldens)
    """,
    "identity keys belong to no record": """
        SELECT record_id AS id FROM identity_keys WHERE record_id NOT IN (SELECT id FROM records)
    """,
    "possible duplicates are of no record": """
        SELECT one AS id FROM doubts WHERE one NOT IN (SELECT id FROM records)
    """,
    "golden records were merged into one that does not exist": """
        SELECT id FROM goldens WHERE merged_into IS NOT NULL AND merged_into NOT IN (SELECT id FROM goldens)
    """,
    "golden records refer to others but do not exist": """
        SELECT golden_id AS id FROM refs WHERE golden_id NOT IN (SELECT id FROM goldens)
    """,
}


def contradictions(database: Database) -> list[str]:
    """Problems as sentences; each says how many, and names the first."""
    found = []
    for problem, text in _CHECKS.items():
        counted = f"SELECT count(DISTINCT id), min(id) FROM ({text}) AS found"
        ((count, first),) = database.rows(counted)
        if count:
            found.append(f"{count} {problem}; the first is {first}")
    return found
