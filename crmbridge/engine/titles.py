"""What people call a record: its name, number or subject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from crmbridge.engine.facts import party_name
from crmbridge.engine.operations import Planned, chunks
from crmbridge.store.base import Store

__all__ = ["title_of", "titled"]

CHUNK = 500


def title_of(entity: str, doc: Mapping[str, Any]) -> str:
    """What people call it: its name, number or subject."""
    if entity == "party":
        return party_name(doc)
    named = (doc.get(name) for name in ("number", "name", "subject", "sku", "display_name"))
    return str(next((value for value in named if value), ""))


def titled(operations: Iterable[Planned], store: Store) -> Iterator[Planned]:
    """The operations, each with what people call the record that is written."""
    for some in chunks(operations, CHUNK):
        rows = store.goldens(list({one.golden_id for one in some}))
        titles = {row.id: title_of(row.entity, msgspec.json.decode(row.doc)) for row in rows.values()}
        for one in some:
            one.title = titles.get(one.golden_id, "")
            yield one
