"""Writing sales orders, and moving them on: Tryton's clients fill in much that its API leaves empty.

A new order gets what a person's client would have filled in: the party's addresses, the unit and the taxes
of each product. An address that the order brings along is looked for among the party's, and added to them
where it is new, since an order in Tryton can only refer to one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crmbridge.sdk.connector import ListPatch, Operation
from crmbridge.sdk.errors import RecordError
from crmbridge_tryton.rpc import WarnedError
from crmbridge_tryton.writing import TableWriter, native_id, with_warnings_skipped

__all__ = ["SaleWriter"]

_PARTY = "party.party"
_ADDRESS = "party.address"
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
        parties = {self._party(operation) for operation in operations}
        addresses = self._addresses_of(parties)
        products = self._products_of([line for op in operations for line in op.data.get("lines") or []])
        rows = []
        for operation in operations:
            data = dict(operation.data)
            party = self._party(operation)
            for name in _USES:
                data[name] = self._address(party, name, data.get(name), addresses[party])
            data["lines"] = [self._line(line, products) for line in data.get("lines") or []]
            rows.append(self.models.values(self.model, data))
        made: list[int] = self.rpc.write(f"model.{self.model}.create", rows)
        return made

    def update(self, operations: Sequence[Operation]) -> list[int]:
        """Drafts may change; of later orders Tryton lets little more than the reference change."""
        for operation in operations:
            lines = operation.data.get("lines")
            if isinstance(lines, ListPatch) and lines.add:
                products = self._products_of(lines.add)
                lines.add = [self._line(line, products) for line in lines.add]
        return super().update(operations)

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

    def _party(self, operation: Operation) -> int:
        party = operation.data.get("party")
        if party is None:
            raise RecordError("a sales order needs a party")
        return self.models.reference(_PARTY, party)

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
        parts = {key: value for key, value in (given or {}).items() if value is not None}
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

    def _products_of(self, lines: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
        """Unit and taxes of the products in these lines."""
        ids = sorted(set(self._product_ids(lines)))
        if not ids:
            return {}
        names = ["sale_uom", "default_uom", "customer_taxes_used"]
        rows = self.rpc.read("model.product.product.read", ids, names)
        return {row["id"]: row for row in rows}

    def _product_ids(self, lines: Sequence[Mapping[str, Any]]) -> Iterator[int]:
        for line in lines:
            if line.get("product") is not None:
                yield self.models.reference("product.product", line["product"])

    def _line(self, line: Mapping[str, Any], products: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
        data = {"type": "line", **line}
        if data.get("product") is None:
            return data
        product = products[self.models.reference("product.product", data["product"])]
        if not data.get("unit"):
            data["unit"] = {"id": product["sale_uom"] or product["default_uom"]}
        if "taxes" not in data:
            data["taxes"] = [{"id": tax} for tax in product["customer_taxes_used"] or []]
        return data


def _reached(state: str, wanted: str) -> bool:
    """Tryton goes on by itself (a confirmed order is processed at once): further on is there, too."""
    if state == wanted:
        return True
    if wanted == "draft" or state not in _FORWARD or wanted not in _FORWARD:
        return False
    return _FORWARD.index(state) > _FORWARD.index(wanted)
