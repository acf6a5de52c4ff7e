"""A customer's 360-degree record: all that the systems know of one party, in one object.

found = customer(bridge.looking(), "par_k3x...")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from crmbridge.engine import facts
from crmbridge.engine.golden import merge_one
from crmbridge.engine.links import BY_HAND
from crmbridge.engine.run import Run
from crmbridge.engine.titles import title_of
from crmbridge.identity.policy import HUB
from crmbridge.sdk.errors import ConfigError
from crmbridge.store.base import Store
from crmbridge.store.rows import GoldenRow, RecordRow
from crmbridge.views.customer360 import (
    CaseView,
    Customer360,
    Duplicate,
    GoldenField,
    Held,
    InvoiceView,
    LineView,
    LinkView,
    OrderView,
    Relative,
    ShipmentView,
    TouchPoint,
)

__all__ = ["customer", "golden_row"]

MERGES = ("merged", BY_HAND)
"""Events of the journal that say of a golden record that it is another one now."""


def golden_row(store: Store, golden_id: str) -> GoldenRow:
    """The golden record of this id or of the one it was merged into. Raises ConfigError if there is none."""
    current = facts.current_id(store, golden_id)
    row = store.goldens([current]).get(current)
    if row is None:
        hint = "crmbridge find TEXT shows the ids"
        raise ConfigError(f"there is no golden record {golden_id!r}", hint=hint)
    return row


def customer(run: Run, golden_id: str) -> Customer360:
    """The 360-degree record of a party; the id of one of its documents leads to it, too.

    Raises ConfigError where there is none.
    """
    store = run.store
    row = golden_row(store, golden_id)
    if row.entity != "party":
        party = facts.golden_refs(msgspec.json.decode(row.doc).get("party"))
        if not party:
            raise ConfigError(
                f"{golden_id} is a {row.entity} that belongs to no party",
                hint=f"crmbridge explain {golden_id} shows its fields",
            )
        row = golden_row(store, party.pop())
    reader = _Reader(run, row)
    made = Customer360(row.id, facts.party_name(reader.doc), reader.doc.get("kind"), reader.doc.get("owner"))
    made.merged = reader.merged()
    made.fields = reader.fields()
    links = [_link(record) for record in reader.records.get(row.id, ())]
    made.links = [link for link in links if link.status in ("live", "out")]
    made.tombstones = [link for link in links if link.status not in ("live", "out")]
    made.orders = [reader.order(g, d) for g, d in reader.newest("sales_order", "ordered_at", "ordered_on")]
    made.shipments = [reader.shipment(g, d) for g, d in reader.newest("shipment", "shipped_at", "planned_on")]
    made.invoices = [reader.invoice(g, d) for g, d in reader.newest("invoice", "issued_on")]
    totals = facts.sums(one.open_amount for one in made.invoices if one.open)
    made.open_amounts = {c: facts.money(total, c)["amount"] for c, total in sorted(totals.items())}
    made.cases = [reader.case(g, d) for g, d in reader.newest("case", "opened_at")]
    made.touch_points = [reader.touch_point(g, d) for g, d in reader.newest("interaction", "occurred_at")]
    made.duplicates = reader.duplicates()
    made.relatives = reader.relatives()
    return made


def _link(row: RecordRow) -> LinkView:
    return LinkView(
        row.system,
        row.stream,
        row.native_id,
        row.status,
        row.scope,
        row.part,
        row.read_at,
        row.gone_at,
        row.deleted_by_us,
    )


class _Reader:
    """What is needed of the store for one party, read once."""

    def __init__(self, run: Run, row: GoldenRow) -> None:
        self.run, self.store, self.id = run, run.store, row.id
        own = facts.gather(self.store, [row.id])[row.id]
        self.doc, self.records = own.doc, own.records
        self.documents = {entity: dict(docs) for entity, docs in own.documents.items()}
        for other in facts.gather(self.store, sorted(own.documents.get("sales_order", {}))).values():
            for entity in ("shipment", "case"):
                for golden_id, doc in other.documents.get(entity, {}).items():
                    self.documents.setdefault(entity, {})[golden_id] = doc
                    self.records[golden_id] = other.records[golden_id]
        self.names = self._names()

    def _names(self) -> dict[str, str]:
        """Golden id -> title, of all that the documents refer to."""
        docs = [self.doc, *(doc for docs in self.documents.values() for doc in docs.values())]
        wanted = sorted(set().union(*map(facts.golden_refs, docs)))
        found = self.store.goldens(wanted).values()
        return {
            row.id: title_of(row.entity, msgspec.json.decode(row.doc), self.run.entities) for row in found
        }

    def newest(self, entity: str, *times: str) -> list[tuple[str, Mapping[str, Any]]]:
        """(golden id, document) of one entity, by the first of `times` that a document has."""
        found = sorted(self.documents.get(entity, {}).items())
        return sorted(found, key=lambda item: facts.instant_of(_first(item[1], times)), reverse=True)

    # the party itself

    def merged(self) -> list[str]:
        """The ids in the journal that say so and lead here."""
        history = self.store.history(self.id)
        said = [details.partition(" ")[0] for _, event, details in history if event in MERGES]
        return sorted({one for one in said if facts.current_id(self.store, one) == self.id} - {self.id})

    def fields(self) -> list[GoldenField]:
        """The golden fields that have a value, in the order of the schema."""
        flow = self.run.flow("party")
        if flow is None:
            return []
        golden, _ = merge_one(self.run, flow, self.id)
        asked = {"/".join(one.path.split("/")[:2]) for one in golden.conflicts if one.undecided}
        made: list[GoldenField] = []
        for name in flow.shape.model.model_fields:
            paths = [f"{name}/{e}" for e in golden.elements(name)] if name in flow.shape.lists else [name]
            for path in paths:
                decision = golden.decisions.get(path)
                if decision is None or (decision.winner.value is None and path not in asked):
                    continue
                value = decision.winner.value
                if name in flow.shape.lists:
                    element = golden.element(name, path.partition("/")[2])
                    value = {key: element[key] for key in flow.shape.lists[name].fields if key in element}
                won, lost = decision.winner, len(decision.lost)
                waits = path in asked
                made.append(GoldenField(path, value, decision.system, won.time, decision.rule, lost, waits))
        return made

    def duplicates(self) -> list[Duplicate]:
        """Parties that share a key with this one, were not joined, and wait for a person."""
        twins = facts.possible_twins(self.store, [self.id])[self.id]
        docs = {g: msgspec.json.decode(row.doc) for g, row in self.store.goldens(sorted(twins)).items()}
        made = []
        for golden_id, kinds in sorted(twins.items()):
            name = facts.party_name(docs.get(golden_id, {}))
            made.append(Duplicate(golden_id, name, f"has the same {' and '.join(kinds)}"))
        return made

    def relatives(self) -> list[Relative]:
        """The organization that it is part of, its contact persons, and declared relations."""
        parents = facts.golden_refs(self.doc.get("parent"))
        made = [Relative(parent, self.names.get(parent, ""), "part of") for parent in parents]
        for golden_id, doc in sorted(self.documents.get("party", {}).items()):
            if self.id in facts.golden_refs(doc.get("parent")):
                made.append(Relative(golden_id, facts.party_name(doc), "has part"))
        for _, doc in sorted(self.documents.get("party_relation", {}).items()):
            word = str(doc.get("type") or "related to").replace("_", " ")
            for end, text in (("to_party", word), ("from_party", f"is the other end of: {word}")):
                others = facts.golden_refs(doc.get(end)) - {self.id}
                made.extend(Relative(other, self.names.get(other, ""), text) for other in others)
        return made

    # its documents

    def order(self, golden_id: str, doc: Mapping[str, Any]) -> OrderView:
        """One order with its lines."""
        return OrderView(
            golden_id,
            str(doc.get("number") or ""),
            doc.get("issuer"),
            doc.get("channel"),
            doc.get("ordered_at") or doc.get("ordered_on"),
            doc.get("status"),
            doc.get("fulfilment_status"),
            doc.get("payment_status"),
            tuple(self._line(line) for line in doc.get("lines") or ()),
            doc.get("net_total"),
            doc.get("tax_total"),
            doc.get("gross_total"),
            self._held(golden_id),
        )

    def _line(self, line: Mapping[str, Any]) -> LineView:
        named = [self._title(line.get("product")), line.get("description"), line.get("sku")]
        return LineView(
            str(next((name for name in named if name), "")),
            line.get("sku"),
            line.get("quantity"),
            line.get("unit_price"),
            line.get("net_amount"),
            line.get("status"),
        )

    def shipment(self, golden_id: str, doc: Mapping[str, Any]) -> ShipmentView:
        """One shipment."""
        events = sorted(doc.get("events") or (), key=lambda e: facts.instant_of(e.get("occurred_at")))
        last = events[-1] if events else {}
        told = [last.get("description") or last.get("type"), last.get("place")]
        return ShipmentView(
            golden_id,
            str(doc.get("number") or ""),
            self._title(doc.get("order")),
            doc.get("status"),
            doc.get("carrier"),
            doc.get("tracking_number"),
            doc.get("shipped_at"),
            doc.get("delivered_at"),
            doc.get("expected_on"),
            ", ".join(str(part) for part in told if part),
            self._held(golden_id),
        )

    def invoice(self, golden_id: str, doc: Mapping[str, Any]) -> InvoiceView:
        """One invoice."""
        return InvoiceView(
            golden_id,
            str(doc.get("number") or ""),
            doc.get("kind"),
            doc.get("status"),
            facts.is_open_invoice(doc),
            doc.get("issued_on"),
            doc.get("due_date"),
            doc.get("gross_total"),
            doc.get("open_amount"),
            self._held(golden_id),
        )

    def case(self, golden_id: str, doc: Mapping[str, Any]) -> CaseView:
        """One case."""
        return CaseView(
            golden_id,
            str(doc.get("number") or ""),
            doc.get("subject"),
            doc.get("category"),
            doc.get("status"),
            facts.is_open_case(doc),
            doc.get("priority"),
            doc.get("assignee"),
            doc.get("opened_at"),
            doc.get("closed_at"),
            doc.get("resolution"),
            self._title(doc.get("order")),
            self._held(golden_id),
        )

    def touch_point(self, golden_id: str, doc: Mapping[str, Any]) -> TouchPoint:
        """One contact."""
        return TouchPoint(
            golden_id,
            doc.get("occurred_at"),
            doc.get("channel"),
            doc.get("direction"),
            doc.get("actor"),
            doc.get("subject"),
            doc.get("content"),
            doc.get("outcome"),
            doc.get("next_action_at"),
            self._held(golden_id),
        )

    def _held(self, golden_id: str) -> tuple[Held, ...]:
        rows = [row for row in self.records.get(golden_id, ()) if row.system != HUB and not row.part]
        return tuple(_held(row) for row in rows)

    def _title(self, ref: Any) -> str:
        return next((self.names.get(golden_id, "") for golden_id in facts.golden_refs(ref)), "")


def _held(row: RecordRow) -> Held:
    seen = msgspec.json.decode(row.seen)
    live = row.status in ("live", "out")
    return Held(row.system, row.stream, row.native_id, live, seen.get("status"), seen.get("gross_total"))


def _first(doc: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((doc[name] for name in names if doc.get(name)), None)
