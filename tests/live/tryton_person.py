"""Somebody who works in Tryton with a client of their own: independent of the connector under test."""

import base64
from typing import Any

import httpx

from tests.live.tryton_server import Access


def decimal(text: str) -> dict[str, str]:
    """A Decimal as Tryton writes it."""
    return {"__class__": "Decimal", "decimal": text}


class Person:
    """A logged-in user of one database. Values are Tryton's own JSON."""

    def __init__(self, access: Access) -> None:
        self._http = httpx.Client(base_url=f"{access.url}/{access.database}", timeout=60)
        user_id, token, _ = self._post("common.db.login", access.user, {"password": access.password})
        session = base64.b64encode(f"{access.user}:{user_id}:{token}".encode()).decode()
        self._http.headers["Authorization"] = f"Session {session}"

    def call(self, method: str, *params: Any, **context: Any) -> Any:
        """Tryton's answer; RuntimeError with Tryton's words if it refuses."""
        return self._post(f"model.{method}", *params, {"company": 1, "language": "en", **context})

    def create(self, model: str, **values: Any) -> int:
        (made,) = self.call(f"{model}.create", [values])
        return int(made)

    def write(self, model: str, record: int, **values: Any) -> None:
        self.call(f"{model}.write", [record], values)

    def read(self, model: str, record: int, *names: str) -> dict[str, Any]:
        (row,) = self.call(f"{model}.read", [record], list(names))
        return dict(row)

    def count(self, model: str, *domain: list[Any]) -> int:
        return int(self.call(f"{model}.search_count", list(domain)))

    def find(self, model: str, *domain: list[Any]) -> int:
        """The one record that matches."""
        (found,) = self.call(f"{model}.search", list(domain), 0, 2, None)
        return int(found)

    def confirming(self, method: str, *params: Any) -> Any:
        """A call whose questions are answered with yes."""
        return self._insist(f"model.{method}", *params, {"company": 1, "language": "en"})

    def replace_party(self, loser: int, survivor: int) -> None:
        """The wizard that merges two parties."""
        context = {"company": 1, "language": "en"}
        session, _, _ = self._post("wizard.party.replace.create", context)
        answers = {"ask": {"source": loser, "destination": survivor}}
        self._insist("wizard.party.replace.execute", session, answers, "replace", context)
        self._post("wizard.party.replace.delete", session, context)

    def _insist(self, method: str, *params: Any) -> Any:
        while True:
            try:
                return self._post(method, *params)
            except WarningShown as warning:
                self.call("res.user.warning.skip", warning.name, False)

    def _post(self, method: str, *params: Any) -> Any:
        response = self._http.post("/rpc/", json={"id": 1, "method": method, "params": params})
        response.raise_for_status()
        answer = response.json()
        match answer.get("error"):
            case ["UserWarning", [name, message, *_]]:
                raise WarningShown(name, message)
            case None:
                return answer["result"]
            case error:
                raise RuntimeError(f"{method}: {str(error)[:300]}")


class WarningShown(Exception):
    """Tryton asks to confirm."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def make_product(person: Person, code: str, price: str = "9.90", variants: int = 1) -> list[int]:
    """A product with its variants, as a person enters it; their ids."""
    unit = person.find("product.uom", ["symbol", "=", "u"])
    template = person.create(
        "product.template",
        name=f"Product {code}",
        type="goods",
        default_uom=unit,
        salable=True,
        sale_uom=unit,
        list_price=decimal(price),
        account_category=person.find("product.category", ["accounting", "=", True]),
        products=[["create", [{"suffix_code": f"{code}-{n}" if n else code} for n in range(variants)]]],
    )
    ids: list[int] = person.read("product.template", template, "products")["products"]
    return sorted(ids)


def put_into_stock(person: Person, product: int, quantity: int) -> None:
    """Goods arrive from nowhere, which Tryton wants confirmed."""
    move = person.create(
        "stock.move",
        product=product,
        unit=person.find("product.uom", ["symbol", "=", "u"]),
        quantity=quantity,
        from_location=person.find("stock.location", ["type", "=", "supplier"]),
        to_location=person.find("stock.location", ["code", "=", "STO"]),
        unit_price=decimal("4"),
        currency=person.find("currency.currency", ["code", "=", "EUR"]),
    )
    person.confirming("stock.move.do", [move])
