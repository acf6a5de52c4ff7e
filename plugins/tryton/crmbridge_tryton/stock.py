"""How much of each product is in each warehouse: no model, but computed by Tryton from its moves.

A record is `{"id": "12@5", "product": {...}, "location": {...}, "quantity", "forecast_quantity", "unit"}`:
what is there, and what is left after all moves planned up to today, in the product's default unit.

What changed is found by the moves. Planned moves also count when their day comes, without being changed:
so the cursor holds for one day, and the first pull of the next is a full one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from crmbridge.sdk.connector import Capabilities, FieldInfo, Page, Record
from crmbridge.sdk.errors import CursorExpiredError, FatalError, RecordError
from crmbridge_tryton.models import Models, plain_number
from crmbridge_tryton.reading import changed_rows, chunks, latest_change
from crmbridge_tryton.rpc import Rpc
from crmbridge_tryton.streams import Part

__all__ = ["STOCK_CAPABILITIES", "STOCK_FIELDS", "StockReader"]

STOCK_CAPABILITIES = Capabilities(changed_since=True, deletes="sweep")
_NAMED = {"id": FieldInfo("string"), "code": FieldInfo("string")}
STOCK_FIELDS = {
    "id": FieldInfo("string", on_create=False, on_update=False),
    "product": FieldInfo("object", on_create=False, on_update=False, fields=_NAMED),
    "location": FieldInfo("object", on_create=False, on_update=False, fields=_NAMED),
    "quantity": FieldInfo("decimal", on_create=False, on_update=False),
    "forecast_quantity": FieldInfo("decimal", on_create=False, on_update=False),
    "unit": FieldInfo("object", on_create=False, on_update=False, fields={"symbol": FieldInfo("string")}),
}
_PARTS = (Part("stock.move", "product"), Part("product.product", "id"))
_GOODS: list[Any] = [["template.type", "=", "goods"], ["template.consumable", "=", False]]


class StockReader:
    """Reads the levels of all warehouses; `today` is the day up to which planned moves count."""

    def __init__(self, rpc: Rpc, models: Models, page_size: int, overlap: timedelta) -> None:
        self._rpc = rpc
        self._models = models
        self._page_size = page_size
        self._overlap = overlap

    def pages(self, cursor: Any, today: date) -> Iterator[Page]:
        """All levels (cursor None), or those of products that were moved since."""
        try:
            if cursor is None:
                yield from self._everything(today)
            elif cursor["day"] != today.isoformat():
                raise CursorExpiredError("a new day: planned moves of stock have become due")
            else:
                yield from self._changes(cursor, today)
        except RecordError as error:
            raise FatalError(
                f"Tryton does not let us read stock: {error.message}",
                hint="give the user the rights that README names; `crmbridge check` lists them",
            ) from error

    def get(self, native_ids: Sequence[str], today: date) -> Iterator[Record]:
        """These levels; those whose product or warehouse is gone are left out."""
        products = sorted({int(native_id.partition("@")[0]) for native_id in native_ids})
        wanted = set(native_ids)
        for some in chunks(products, self._page_size):
            yield from (record for record in self._levels(some, today) if record.native_id in wanted)

    def ids(self) -> Iterator[Sequence[str]]:
        """The ids of all levels: each product in each warehouse."""
        warehouses = self._rpc.read(
            "model.stock.location.search", [["type", "=", "warehouse"]], 0, None, None
        )
        for products in self._products():
            yield [f"{product}@{warehouse}" for product in products for warehouse in warehouses]

    def _products(self) -> Iterator[list[int]]:
        """All goods, by pages; the last one is not full."""
        after = 0
        while True:
            domain = [["id", ">", after], *_GOODS]
            ids: list[int] = self._rpc.read(
                "model.product.product.search", domain, 0, self._page_size, [["id", "ASC"]]
            )
            yield ids
            if len(ids) < self._page_size:
                return
            after = ids[-1]

    def _everything(self, today: date) -> Iterator[Page]:
        latest = [latest_change(self._rpc, self._models, part.model) for part in _PARTS]
        since = max((time for time in latest if time), default=None)
        for ids in self._products():
            last = len(ids) < self._page_size
            cursor = {"since": since, "day": today.isoformat()} if last else None
            yield Page(
                self._levels(ids, today), cursor=cursor, complete=last, server_time=self._rpc.server_time
            )

    def _changes(self, cursor: Any, today: date) -> Iterator[Page]:
        newest = datetime.fromisoformat(cursor["since"]) if cursor["since"] else None
        start = newest - self._overlap if newest else None
        wanted: dict[int, None] = {}
        parts = [changed_rows(self._rpc, self._models, part, start) for part in _PARTS]
        for change in heapq.merge(*parts, key=lambda row: row.time):
            wanted.update(dict.fromkeys(change.records))
            newest = max(newest or change.time, change.time)
        since = newest.isoformat() if newest else None
        records = [
            record for some in chunks(list(wanted), self._page_size) for record in self._levels(some, today)
        ]
        yield Page(
            records, cursor={"since": since, "day": today.isoformat()}, server_time=self._rpc.server_time
        )

    def _levels(self, products: Sequence[int], today: date) -> list[Record]:
        if not products:
            return []
        warehouses = self._rpc.read(
            "model.stock.location.search_read",
            [["type", "=", "warehouse"]],
            0,
            None,
            [["id", "ASC"]],
            ["code", "name"],
        )
        names = ["code", "quantity", "forecast_quantity", "default_uom.symbol"]
        domain = [["id", "in", list(products)], *_GOODS]
        return [
            _level(row, warehouse)
            for warehouse in warehouses
            for row in self._rpc.read(
                "model.product.product.search_read",
                domain,
                0,
                None,
                [["id", "ASC"]],
                names,
                context={"locations": [warehouse["id"]], "stock_date_end": today, "with_childs": True},
            )
        ]


def _level(row: dict[str, Any], warehouse: dict[str, Any]) -> Record:
    native_id = f"{row['id']}@{warehouse['id']}"
    return Record(
        native_id,
        {
            "id": native_id,
            "product": {"id": str(row["id"]), "code": row["code"]},
            "location": {"id": str(warehouse["id"]), "code": warehouse["code"]},
            "quantity": plain_number(row["quantity"]),
            "forecast_quantity": plain_number(row["forecast_quantity"]),
            "unit": {"symbol": row["default_uom."]["symbol"]},
        },
    )
