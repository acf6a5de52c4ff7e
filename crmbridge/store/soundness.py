"""Whether what the tables say fits together."""

from __future__ import annotations

import sqlalchemy as sa

from crmbridge.store.database import Database
from crmbridge.store.systems import NO_STREAM
from crmbridge.store.tables import goldens, identity_keys, records, references, streams

__all__ = ["contradictions"]


def contradictions(database: Database) -> list[str]:
    """Problems as sentences; each says how many, and names the first."""
    survivor = goldens.alias()
    known = sa.select(goldens.c.id)
    stream_ids, record_ids = sa.select(streams.c.id), sa.select(records.c.id)
    checks = {
        "records belong to no stream": sa.select(records.c.id).where(
            records.c.stream_id != NO_STREAM, records.c.stream_id.not_in(stream_ids)
        ),
        "records are linked to a golden record that does not exist": sa.select(records.c.id).where(
            records.c.golden_id.is_not(None), records.c.golden_id.not_in(known)
        ),
        "identity keys belong to no record": sa.select(identity_keys.c.record_id).where(
            identity_keys.c.record_id.not_in(record_ids)
        ),
        "golden records were merged into one that does not exist": sa.select(goldens.c.id).where(
            goldens.c.merged_into.is_not(None), goldens.c.merged_into.not_in(sa.select(survivor.c.id))
        ),
        "golden records refer to others but do not exist": sa.select(references.c.golden_id).where(
            references.c.golden_id.not_in(known)
        ),
    }
    found = []
    for problem, statement in checks.items():
        rows = statement.distinct().subquery()
        count = database.value(sa.select(sa.func.count()).select_from(rows))
        if count:
            first = database.value(sa.select(sa.func.min(rows.c[0])))
            found.append(f"{count} {problem}; the first is {first}")
    return found
