"""Finding golden records by what a person types: a name, a phone number, an address, an order number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from crmbridge.engine.facts import current_id, golden_refs, lives, party_name
from crmbridge.engine.titles import title_of
from crmbridge.identity.search import query_terms
from crmbridge.store.base import Store
from crmbridge.store.rows import GoldenRow
from crmbridge_schemas.base import Entity
from crmbridge_schemas.registry import ENTITIES

__all__ = ["Found", "find"]

CANDIDATES = 100
"""So many are looked at for each way of reading what was typed, to show the best of them."""
ORDER = ("party", "sales_order", "invoice", "shipment", "case", "product")
"""The entities that people look for, the first one first; the others come after them."""
TIMES = ("ordered_at", "ordered_on", "issued_on", "opened_at", "shipped_at", "occurred_at")


@dataclass(frozen=True, slots=True)
class Found:
    """One hit."""

    id: str
    """Golden id, merged ones followed."""
    entity: str
    title: str
    """Its name, number or subject."""
    details: str = ""
    """What tells it from others: place and ways to reach a party, status and date of a document."""
    party: str = ""
    """Golden id of the party of a document."""
    party_name: str = ""
    via: str = ""
    """For a party that is shown because of its document: that document's title."""
    exact: bool = False
    """All that was typed is there as whole words or numbers."""
    gone: bool = False
    """No system has it any more."""


def find(
    store: Store,
    text: str,
    *,
    region: str | None = None,
    limit: int = 20,
    streams: Iterable[tuple[str, str]] = (),
    entities: Mapping[str, type[Entity]] = ENTITIES,
) -> list[Found]:
    """Golden records that `text` names, best first; the party of an order stands right behind it.

    text: words of a name in any order and script, a phone number as dialled, an e-mail address, a number of
    an order, invoice or customer, or a golden id. region: where numbers without a country code are from.
    streams: (system, stream) in which `text` may also be the id of a record, where it is nothing else.
    entities: all that there are, those of the deployment too.
    """
    text = "".join(char for char in text if char != "\0" and not "\ud800" <= char <= "\udfff")
    ways = query_terms(text, region)
    rows = _candidates(store, text.strip(), ways)
    terms = store.terms(list(rows))
    exact = {g for g in rows if g == text.strip() or any(terms.get(g, set()).issuperset(w) for w in ways)}
    if not exact:
        named = _by_native_id(store, text.strip(), streams)
        rows, exact = {**named, **rows}, set(named)
    records = store.records_of(list(rows))
    gone = {g for g in rows if not lives(records.get(g, ()))}
    ranked = sorted(rows, key=lambda g: (g not in exact, g in gone, _place(rows[g].entity)))
    chosen = ranked[:limit]
    docs = {golden_id: msgspec.json.decode(rows[golden_id].doc) for golden_id in chosen}
    parties = _parties(store, (docs[g] for g in chosen))
    found: list[Found] = []
    shown: set[str] = set()
    for golden_id in chosen:
        row, doc = rows[golden_id], docs[golden_id]
        title = title_of(row.entity, doc, entities)
        hit = _found(row, doc, title, parties, exact=golden_id in exact, gone=golden_id in gone)
        if golden_id not in shown:
            found.append(hit)
        shown.add(golden_id)
        if hit.party and hit.party not in shown:
            shown.add(hit.party)
            party = parties[hit.party]
            found.append(Found(hit.party, "party", hit.party_name, _details("party", party), via=hit.title))
    return found[:limit]


def _by_native_id(store: Store, text: str, streams: Iterable[tuple[str, str]]) -> dict[str, GoldenRow]:
    """The golden records of those that a system knows under this id; it may be written as messages write it:
    SYSTEM/STREAM/ID or SYSTEM ID."""
    ids: dict[str, None] = {}
    for system, stream in streams:
        written = {text.removeprefix(place) for place in (f"{system}/{stream}/", f"{system} ")} | {text}
        found = store.records(system, stream, sorted(written)) if text else []
        ids.update((current_id(store, row.golden_id), None) for row in found if row.golden_id)
    return dict(store.goldens(list(ids)))


def _candidates(store: Store, text: str, ways: Iterable[Sequence[str]]) -> dict[str, GoldenRow]:
    """The current golden records behind the hits, in the order of the hits."""
    ids = dict.fromkeys([text] if text else [])
    for terms in ways:
        ids.update(dict.fromkeys(store.search(terms, CANDIDATES)))
    rows = store.goldens(list(ids))
    current: dict[str, GoldenRow] = {}
    for golden_id in ids:
        row = rows.get(golden_id)
        if row is not None and row.merged_into is not None:
            survivor = current_id(store, golden_id)
            row = store.goldens([survivor]).get(survivor)
        if row is not None:
            current[row.id] = row
    return current


def _place(entity: str) -> int:
    return ORDER.index(entity) if entity in ORDER else len(ORDER)


def _parties(store: Store, docs: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Golden party -> document, of all that the documents name."""
    wanted = sorted({party for doc in docs for party in golden_refs(doc.get("party"))})
    return {golden_id: msgspec.json.decode(row.doc) for golden_id, row in store.goldens(wanted).items()}


def _found(
    row: GoldenRow,
    doc: Mapping[str, Any],
    title: str,
    parties: Mapping[str, Mapping[str, Any]],
    *,
    exact: bool,
    gone: bool,
) -> Found:
    party = next((p for p in golden_refs(doc.get("party")) if p in parties), "")
    name = party_name(parties[party]) if party else ""
    return Found(row.id, row.entity, title, _details(row.entity, doc), party, name, exact=exact, gone=gone)


def _details(entity: str, doc: Mapping[str, Any]) -> str:
    if entity == "party":
        city = next((a["city"] for a in doc.get("addresses") or () if a.get("city")), None)
        reach = [p.get("value") for p in doc.get("contact_points") or ()]
        numbers = [i.get("value") for i in doc.get("identifiers") or ()]
        parts = [city, *reach[:2], *numbers[:1]]
    else:
        when = next((doc[name] for name in TIMES if doc.get(name)), "")
        parts = [doc.get("status"), str(when)[:10], doc.get("issuer") or doc.get("sku")]
    return " · ".join(str(part) for part in parts if part)
