"""Writing sales orders, and moving them on: Tryton's clients fill in much that its API leaves empty.

A new order gets what a person's client would have filled in: the party's addresses, and the unit and taxes
that Tryton itself works out for a line (`on_change`). An address that the order brings along is looked for
among the party's, and added to them where it is new, since an order in Tryton can only refer to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from crmbridge.sdk.connector import ListPatch, Operation
from crmbridge.sdk.errors import RecordError
from crmbridge_tryton.models import as_patch, names_nothing
from crmbridge_tryton.rpc import WarnedError
from crmbridge_tryton.writing import TableWriter, native_id, with_warnings_skipped

__all__ = ["SaleWriter"]

_PARTY = "party.party"
_ADDRESS = "party.address"
_PRODUCT = "product.product"
# Which address of a party an order uses by default: the one marked for it, else the first.
_USES = {"invoice_address": "invoice", "shipment_address": "delivery"}
_SAME_PLACE = ("party_name", "street", "postal_code", "city")
_FORWARD = ("draft", "quotation", "confirmed", "processing", "done")
_NEXT = {"draft": "quote", "quotation": "confirm", "confirmed": "process"}
_BACK = {"cancelled": "cancel", "draft": "draft"}


class SaleWriter(TableWriter):
    """`sale.sale`"""

    def create(self, operations: Sequence[Operation]) -> list[int]:
        """Orders in the state `draft`."""
        parties = {self._party(operation.data) for operation in operations}
        addresses = self._addresses_of(parties)
        filler = _LineFiller(self, self._with_tax_rules(parties))
        rows = []
        for operation in operations:
            data = dict(operation.data)
            party = self._party(data)
            for name in _USES:
                data[name] = self._address(party, name, data.get(name), addresses[party])
            data["lines"] = [filler.fill(line, data, party) for line in as_patch(data.get("lines")).add]
            rows.append(self.models.values(self.model, data))
        made: list[int] = self.rpc.write(f"model.{self.model}.create", rows)
        return made

    def update(self, operations: Sequence[Operation]) -> list[int]:
        """Drafts may change; of later orders Tryton lets little more than the reference change."""
        return super().update([self._completed(operation) for operation in operations])

    def _completed(self, operation: Operation) -> Operation:
        """The operation with what a client would fill in for its new lines and addresses."""
        data = dict(operation.data)
        lines = data.get("lines")
        patched = isinstance(lines, ListPatch) and bool(lines.add)
        if not patched and not _USES.keys() & data.keys():
            return operation
        sale = {**self._header(native_id(operation)), **data}
        party = self._party(sale)
        for name in _USES.keys() & data.keys():
            data[name] = self._address(party, name, data[name], self._addresses_of({party})[party])
        if isinstance(lines, ListPatch):
            filler = _LineFiller(self, self._with_tax_rules({party}))
            added = [filler.fill(line, {**sale, **data}, party) for line in lines.add]
            data["lines"] = replace(lines, add=added)
        return replace(operation, data=data)

    # -- states ----------------------------------------------------------------------------

    def transition(self, operations: Sequence[Operation]) -> list[int]:
        """Press the buttons that lead to the state asked for. One that is reached already is no error."""
        for operation in operations:
            assert operation.transition is not None, "a transition without its state"
            self._move(native_id(operation), operation.transition)
        return [native_id(operation) for operation in operations]

    def _move(self, sale: int, wanted: str) -> None:
        if wanted not in (*_FORWARD, *_BACK):
            states = ", ".join(dict.fromkeys((*_FORWARD, *_BACK)))
            raise RecordError(f"Tryton's orders have no state {wanted!r}; they have {states}")
        state = self._state(sale)
        while not _reached(state, wanted):
            button = _BACK.get(wanted) or _NEXT.get(state)
            if button is None:
                raise RecordError(f"the order is {state} in Tryton; no button leads from there to {wanted}")
            self._press(button, sale)
            state, before = self._state(sale), state
            if state == before:
                raise RecordError(f"the order stays {state} in Tryton after {button!r}")

    def _press(self, button: str, sale: int) -> None:
        def press() -> list[int]:
            self.rpc.write(f"model.{self.model}.{button}", [sale])
            return [sale]

        try:
            press()
        except WarnedError as warning:
            if button not in _NEXT.values():
                raise RecordError(f"Tryton asks to confirm: {warning.message}") from warning
            with_warnings_skipped(self.rpc, press, warning)

    def _state(self, sale: int) -> str:
        rows = self.rpc.read(f"model.{self.model}.read", [sale], ["state"])
        return str(rows[0]["state"])

    # -- what Tryton's clients fill in -----------------------------------------------------

    def _party(self, data: Mapping[str, Any]) -> int:
        if data.get("party") is None:
            raise RecordError("a sales order needs a party")
        return self.models.reference(_PARTY, data["party"])

    def _header(self, sale: int) -> dict[str, Any]:
        """What of an order the taxes of its lines depend on."""
        names = ["party", "currency", "sale_date", *_USES]
        (row,) = self.rpc.read(f"model.{self.model}.read", [sale], names)
        return self.models.record(self.model, row)

    def _with_tax_rules(self, parties: set[int]) -> set[int]:
        """Those of the parties for whom other taxes may hold than the products say."""
        if "customer_tax_rule" not in self.models.fields(_PARTY):
            return set()
        rows = self.rpc.read(f"model.{_PARTY}.read", sorted(parties), ["customer_tax_rule"])
        return {row["id"] for row in rows if row["customer_tax_rule"]}

    def _addresses_of(self, parties: set[int]) -> dict[int, list[dict[str, Any]]]:
        names = ["party", "country", "subdivision", *_SAME_PLACE]
        names += [use for use in _USES.values() if use in self.models.fields(_ADDRESS)]
        domain = [["party", "in", sorted(parties)]]
        order = [["sequence", "ASC NULLS FIRST"], ["id", "ASC"]]
        rows = self.rpc.read(f"model.{_ADDRESS}.search_read", domain, 0, None, order, names)
        found: dict[int, list[dict[str, Any]]] = {party: [] for party in parties}
        for row in rows:
            found[row["party"]].append(row)
        return found

    def _address(
        self, party: int, name: str, given: Any, known: list[dict[str, Any]]
    ) -> dict[str, int] | None:
        """The party's address that an order means, added where the party does not have it."""
        parts = {k: v for k, v in (given or {}).items() if v is not None and not names_nothing(v)}
        if "id" in parts:
            return {"id": self.models.reference(_ADDRESS, parts)}
        if not parts:
            marked = [row for row in known if row.get(_USES[name])]
            return {"id": (marked or known)[0]["id"]} if known else None
        values = self.models.values(_ADDRESS, {**parts, "party": {"id": party}})
        for row in known:
            if all(row.get(key) == values.get(key) for key in (*_SAME_PLACE, "country", "subdivision")):
                return {"id": row["id"]}
        (made,) = self.rpc.write(f"model.{_ADDRESS}.create", [values])
        known.append({"id": made, **values})
        return {"id": made}


class _LineFiller:
    """Lets Tryton work out unit, taxes and (where there is none) price of lines, as its clients do."""

    def __init__(self, writer: SaleWriter, with_tax_rules: set[int]) -> None:
        self._rpc = writer.rpc
        self._models = writer.models
        self._with_tax_rules = with_tax_rules
        self._known: dict[Any, Mapping[str, Any]] = {}

    def fill(self, line: Mapping[str, Any], sale: Mapping[str, Any], party: int) -> dict[str, Any]:
        data = {"type": "line", **line}
        if data.get("product") is None:
            return data
        product = self._models.reference(_PRODUCT, data["product"])
        # Without a tax rule, the customer makes no difference: one question per product is enough.
        key = (product, sale.get("sale_date"), party if party in self._with_tax_rules else None)
        if key not in self._known:
            self._known[key] = self._ask(product, sale, party)
        found = self._known[key]
        if not data.get("unit") and found.get("unit"):
            data["unit"] = {"id": found["unit"]}
        if data.get("unit_price") is None and found.get("unit_price") is not None:
            data["unit_price"] = found["unit_price"]
        if "taxes" not in data:
            # The form in which `on_change` says what a list becomes: [[position, values], ...]
            added = (found.get("taxes") or {}).get("add", [])
            data["taxes"] = [{"id": tax["id"]} for _, tax in added]
        return data

    def _ask(self, product: int, sale: Mapping[str, Any], party: int) -> Mapping[str, Any]:
        names = ("currency", "sale_date", *_USES)
        header = self._models.values("sale.sale", {name: sale[name] for name in names if sale.get(name)})
        values = {f"_parent_sale.{name}": value for name, value in header.items()}
        values |= {"_parent_sale.party": party, "_parent_sale.company": self._rpc.context["company"]}
        # Any id will do for the order: what counts of it is given beside.
        values |= {"type": "line", "product": product, "quantity": 1, "sale": -1}
        answer: Mapping[str, Any] = self._rpc.read("model.sale.line.on_change", values, ["product"])
        return answer


def _reached(state: str, wanted: str) -> bool:
    """Tryton goes on by itself (a confirmed order is processed at once): further on is there, too."""
    if state == wanted:
        return True
    if wanted == "draft" or state not in _FORWARD or wanted not in _FORWARD:
        return False
    return _FORWARD.index(state) > _FORWARD.index(wanted)
