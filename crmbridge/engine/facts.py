"""What the golden documents around a party say: the common ground of the 360-degree view and of insights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from crmbridge.identity.policy import HUB
from crmbridge.store.base import Store
from crmbridge.store.rows import GoldenRow, RecordRow
from crmbridge_schemas.base import Money, canonical

__all__ = [
    "Dossier",
    "current_id",
    "gather",
    "golden_refs",
    "instant_of",
    "is_open_case",
    "is_open_invoice",
    "is_placed",
    "kind_of",
    "lives",
    "money",
    "order_moment",
    "party_name",
    "possible_twins",
    "probable_twins",
    "sums",
]

Doc = Mapping[str, Any]
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
NOT_PLACED = frozenset({"draft", "quoted", "cancelled", "rejected"})
SETTLED = frozenset({"resolved", "closed", "cancelled"})
NAMES = ("display_name", "legal_name")


@dataclass(slots=True)
class Dossier:
    """A party and the living documents that refer to it."""

    id: str
    doc: Doc = field(default_factory=dict)
    documents: dict[str, dict[str, Doc]] = field(default_factory=dict)
    """Entity -> golden id -> document."""
    records: dict[str, list[RecordRow]] = field(default_factory=dict)
    """Golden id -> its records, of the party and of each document."""

    def of(self, entity: str) -> list[Doc]:
        """The documents of one entity, in order of their golden ids."""
        return [doc for _, doc in sorted(self.documents.get(entity, {}).items())]


def gather(store: Store, party_ids: Sequence[str]) -> dict[str, Dossier]:
    """Golden party -> its dossier. A document whose records are all gone is left out."""
    parties = store.goldens(party_ids)
    found = {party: Dossier(party, _doc(parties.get(party))) for party in party_ids}
    rows = store.goldens(store.referring(party_ids))
    records = store.records_of([*party_ids, *rows])
    for party in party_ids:
        found[party].records[party] = records.get(party, [])
    for golden_id, row in sorted(rows.items()):
        if row.merged_into is not None or not lives(records.get(golden_id, ())):
            continue
        doc = _doc(row)
        for party in sorted(golden_refs(doc) & found.keys()):
            dossier = found[party]
            dossier.documents.setdefault(row.entity, {})[golden_id] = doc
            dossier.records[golden_id] = records[golden_id]
    return found


def lives(records: Iterable[RecordRow]) -> bool:
    """Whether any system still has it."""
    return any(row.status in ("live", "out") and row.system != HUB for row in records)


def current_id(store: Store, golden_id: str) -> str:
    """The golden id that this one was merged into, as far as that goes; itself where it was not."""
    seen = {golden_id}
    while (row := store.goldens([golden_id]).get(golden_id)) is not None and row.merged_into:
        if row.merged_into in seen:
            break
        golden_id = row.merged_into
        seen.add(golden_id)
    return golden_id


def golden_refs(doc: Any) -> set[str]:
    """The golden ids that a document refers to, also from inside its lists."""
    if isinstance(doc, Mapping):
        if "golden" in doc and "entity" in doc:
            return {doc["golden"]}
        doc = list(doc.values())
    if not isinstance(doc, list):
        return set()
    return set().union(*(golden_refs(part) for part in doc if isinstance(part, Mapping | list)))


def possible_twins(store: Store, parties: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Golden party -> other golden parties that may be the same -> the kinds of the keys that they share.

    They were not joined, and nobody has said yet whether they are one: see `crmbridge.store.doubts`.
    """
    found: dict[str, dict[str, list[str]]] = {party: {} for party in parties}
    for party, twins in store.twins(parties).items():
        for other, members in sorted(twins.items()):
            found[party][other] = list(dict.fromkeys(kind_of(key) for _, _, key in members))
    return found


def probable_twins(store: Store, parties: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Those of `possible_twins` that are no person beside an organization."""
    found = possible_twins(store, parties)
    wanted = sorted({*parties, *(other for twins in found.values() for other in twins)})
    kinds = {golden_id: _doc(row).get("kind") for golden_id, row in store.goldens(wanted).items()}
    return {
        party: {g: keys for g, keys in twins.items() if len({kinds.get(party), kinds.get(g)} - {None}) < 2}
        for party, twins in found.items()
    }


def kind_of(key: str) -> str:
    """The kind of an identity key, without the personal value."""
    parts = key.split(":")
    return parts[1] if parts[0] == "id" else parts[0]


# -- single documents --------------------------------------------------------------------------


def party_name(doc: Doc) -> str:
    """What a party is called; empty where no system says."""
    for name in NAMES:
        if doc.get(name):
            return str(doc[name])
    return " ".join(str(doc[name]) for name in ("given_name", "family_name") if doc.get(name))


def instant_of(value: Any) -> datetime:
    """An instant or a day of a document, for ordering; long ago where it says none."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return LONG_AGO
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def order_moment(order: Doc) -> datetime:
    """When an order was placed, for ordering."""
    return instant_of(order.get("ordered_at") or order.get("ordered_on"))


def is_placed(order: Doc) -> bool:
    """Whether the buyer really ordered: no draft, no offer, not called off."""
    return order.get("status") not in NOT_PLACED


def is_open_invoice(invoice: Doc) -> bool:
    """Whether an invoice was sent out and is not wholly paid. A credit note is nothing to be paid."""
    if invoice.get("kind") == "credit_note":
        return False
    status = invoice.get("status")
    return status == "open" or (status is None and _positive(invoice.get("open_amount")))


def is_open_case(case: Doc) -> bool:
    """Whether somebody still has to settle it."""
    return case.get("status") not in SETTLED


def sums(amounts: Iterable[Any]) -> dict[str, Decimal]:
    """Currency -> the sum of the Money values in it; what is no Money is passed over."""
    found: dict[str, Decimal] = {}
    for value in amounts:
        if isinstance(value, Mapping) and value.get("amount") is not None:
            currency = str(value.get("currency"))
            found[currency] = found.get(currency, Decimal(0)) + Decimal(str(value["amount"]))
    return found


def money(amount: Decimal, currency: str) -> dict[str, Any]:
    """A sum as canonical Money."""
    return canonical(Money(amount=amount, currency=currency))


def _positive(value: Any) -> bool:
    return isinstance(value, Mapping) and Decimal(str(value.get("amount") or 0)) > 0


def _doc(row: GoldenRow | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(row.doc) if row else {}
    return found
