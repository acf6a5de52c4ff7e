"""Writing products. Tryton splits one in two: the template holds what all variants share.

A record of `product.product` shows both, and is written by one call to its template. Beside that:

- `code` is the whole code; Tryton wants the part behind the template's prefix.
- `list_price_used` is the price that counts: the variant's own, else the template's. A new product's price
  goes to the template, as people enter it. Later it is written where it stands; of a template with several
  variants it is never changed, because that would change the others' prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crmbridge.sdk.connector import ListPatch, Operation
from crmbridge.sdk.errors import RecordError
from crmbridge_tryton.models import as_patch
from crmbridge_tryton.streams import EAN
from crmbridge_tryton.writing import TableWriter, native_id, stamps

__all__ = ["ProductWriter"]

_TEMPLATE = "product.template"
_PRICE = "list_price_used"
_PIECE = {"symbol": "u"}


class ProductWriter(TableWriter):
    """`product.product`, written through `product.template`."""

    def create(self, operations: Sequence[Operation]) -> list[int]:
        """One template with one variant each."""
        rows = []
        for operation in operations:
            product, template = self._split(operation.data)
            if "code" in product:
                product["suffix_code"] = product.pop("code")
            if _PRICE in product:
                template["list_price"] = product.pop(_PRICE)
            if ean := product.pop(EAN, None):
                product["identifiers"] = [*as_patch(product.get("identifiers")).add, _ean(ean)]
            row = self.models.values(_TEMPLATE, self._with_defaults(template))
            row["products"] = [["create", [self.models.values(self.model, product)]]]
            rows.append(row)
        templates = self.rpc.write(f"model.{_TEMPLATE}.create", rows)
        made = {row["id"]: row["products"] for row in self._templates(templates, "products")}
        return [made[template][0] for template in templates]

    def update(self, operations: Sequence[Operation]) -> list[int]:
        """Fields of the product and of its template, in one call."""
        ids = [native_id(operation) for operation in operations]
        now = {row["id"]: row for row in self._products(ids)}
        pairs: list[Any] = []
        for operation, product_id in zip(operations, ids, strict=True):
            if product_id not in now:
                raise RecordError(f"the product {product_id} no longer exists in Tryton")
            row = now[product_id]
            product, template = self._split(operation.data)
            if EAN in product:
                product["identifiers"] = _with_ean(product, row)
            if "code" in product:
                product["suffix_code"] = _suffix(product.pop("code"), row["prefix_code"])
            if _PRICE in product:
                place = template if _price_is_shared(row) else product
                place["list_price"] = product.pop(_PRICE)
            values = self.models.values(_TEMPLATE, template)
            values["products"] = [["write", [product_id], self.models.values(self.model, product)]]
            pairs += [[row["template."]["id"]], values]
        self.rpc.write(f"model.{_TEMPLATE}.write", *pairs, context=stamps(operations))
        return ids

    def delete(self, operations: Sequence[Operation]) -> list[int]:
        """The product; its template too, where it was the only variant."""
        ids = [native_id(operation) for operation in operations]
        rows = self._products(ids)
        lone = [row["template."]["id"] for row in rows if len(row["template."]["products"]) == 1]
        others = [row["id"] for row in rows if len(row["template."]["products"]) > 1]
        context = stamps(operations)
        if lone:
            self.rpc.write(f"model.{_TEMPLATE}.delete", lone, context=context)
        if others:
            self.rpc.write(f"model.{self.model}.delete", others, context=context)
        return ids

    def _split(self, data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The product's own fields, and its template's."""
        product = dict(data)
        template = dict(product.pop("template", None) or {})
        template.pop("id", None)
        currency = (product.pop("currency", None) or {}).get("code")
        if currency not in (None, self.reader.company.currency):
            raise RecordError(
                f"prices in Tryton are in {self.reader.company.currency}, so {currency} cannot be written"
            )
        return product, template

    def _with_defaults(self, template: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {"type": "goods", "salable": True, "default_uom": _PIECE, **template}
        if values["salable"]:
            values.setdefault("sale_uom", values.get("default_uom"))
        if "account_category" not in values and "account_category" in self.models.fields(_TEMPLATE):
            # Without accounts an order of it can't be billed. With several, it takes somebody to choose.
            found = self.rpc.read("model.product.category.search", [["accounting", "=", True]], 0, 2, None)
            if len(found) == 1:
                values["account_category"] = {"id": found[0]}
        return values

    def _templates(self, ids: Sequence[int], *names: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.rpc.read(f"model.{_TEMPLATE}.read", list(ids), list(names))
        return rows

    def _products(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        names = ["prefix_code", "list_price", "template.products", "identifiers.type"]
        domain = [["id", "in", list(ids)], ["active", "in", [True, False]]]
        rows: list[dict[str, Any]] = self.rpc.read(
            f"model.{self.model}.search_read", domain, 0, None, None, names
        )
        return rows


def _ean(code: str) -> dict[str, str]:
    return {"type": EAN, "code": code}


def _with_ean(product: dict[str, Any], row: Mapping[str, Any]) -> ListPatch:
    """The changes to the identifiers, and in them the one EAN that the record shows."""
    patch = as_patch(product.get("identifiers"))
    code = product.pop(EAN)
    known = [str(item["id"]) for item in row["identifiers."] if item["type"] == EAN]
    if not known:
        return ListPatch([*patch.add, _ean(code)] if code else patch.add, patch.change, patch.remove)
    if code:
        return ListPatch(patch.add, {**patch.change, known[0]: {"code": code}}, patch.remove)
    return ListPatch(patch.add, patch.change, [*patch.remove, *known])


def _suffix(code: str | None, prefix: str | None) -> str | None:
    if not prefix or code is None:
        return code
    if not code.startswith(prefix):
        raise RecordError(
            f"the code {code!r} must begin with {prefix!r}, the code of the product's template in Tryton"
        )
    return code.removeprefix(prefix)


def _price_is_shared(row: Mapping[str, Any]) -> bool:
    """Whether the price that counts is the template's, and nobody else's."""
    return row["list_price"] is None and len(row["template."]["products"]) == 1
