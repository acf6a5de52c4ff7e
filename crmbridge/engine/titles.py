"""What people call a record: its name, number or subject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from crmbridge.engine.facts import party_name
from crmbridge.engine.operations import Planned, chunks
from crmbridge.store.base import Store
from crmbridge_schemas.base import Entity
from crmbridge_schemas.registry import ENTITIES

__all__ = ["title_of", "titled"]

CHUNK = 500


Entities = Mapping[str, type[Entity]]


def title_of(entity: str, doc: Mapping[str, Any], entities: Entities = ENTITIES) -> str:
    """What people call it: its name, number or subject, else what names it in every system."""
    if entity == "party":
        return party_name(doc)
    named = (doc.get(name) for name in ("number", "name", "subject", "sku", "display_name"))
    return str(next((value for value in named if value), "")) or _natural_key(doc, entities.get(entity))


def _natural_key(doc: Mapping[str, Any], model: type[Entity] | None) -> str:
    """Empty where a part is missing or is a reference, which says nothing to people."""
    parts = [doc.get(name) for name in model.natural_key] if model else []
    return " ".join(str(part) for part in parts) if all(isinstance(p, str | int) for p in parts) else ""


def titled(operations: Iterable[Planned], store: Store, entities: Entities = ENTITIES) -> Iterator[Planned]:
    """The operations, each with what people call the record that is written."""
    for some in chunks(operations, CHUNK):
        rows = store.goldens(list({one.golden_id for one in some}))
        titles = {
            row.id: title_of(row.entity, msgspec.json.decode(row.doc), entities) for row in rows.values()
        }
        for one in some:
            one.title = titles.get(one.golden_id, "")
            yield one
