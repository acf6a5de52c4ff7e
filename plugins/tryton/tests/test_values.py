"""Values on Tryton's wire: exact there and back."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from crmbridge.sdk import jsontext
from crmbridge_tryton.models import plain_number
from crmbridge_tryton.values import WireNumber, from_wire, to_wire

VALUES = [
    Decimal("12345678901234567.89"),
    Decimal("-0.0100"),
    Decimal("1E+3"),
    date(2026, 2, 28),
    datetime(2026, 11, 21, 20, 47, 33, 528445, tzinfo=UTC),
    time(23, 59, 59, 1),
    timedelta(days=-1, microseconds=250),
    b"\x00\xff",
    "陈 \ud83e\udd8a".encode("utf-16", "surrogatepass").decode("utf-16"),
    True,
    None,
    7,
]


def over_the_wire(value: Any) -> Any:
    """What comes back after a value was written as JSON and read again."""
    return from_wire(jsontext.decode(jsontext.encode(to_wire(value))))


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_went(value: Any) -> None:
    found = over_the_wire({"deep": [[value]]})["deep"][0][0]
    assert found == value
    assert type(found) is type(value)


def test_money_keeps_its_digits_and_never_is_a_float() -> None:
    assert to_wire(Decimal("9.90")) == {"__class__": "Decimal", "decimal": "9.90"}
    assert str(over_the_wire(Decimal("9.90"))) == "9.90"
    with_fraction = from_wire(jsontext.decode(b'{"quantity": 0.1}'))["quantity"]
    assert with_fraction == Decimal("0.1")


def test_a_quantity_is_a_bare_number() -> None:
    assert jsontext.encode(to_wire({"quantity": WireNumber(Decimal("2.50"))})) == b'{"quantity":2.50}'


def test_instants_are_utc_on_the_wire() -> None:
    berlin = datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert to_wire(berlin)["day"] == 30
    assert to_wire(berlin)["hour"] == 23
    assert over_the_wire(berlin) == berlin


@pytest.mark.parametrize(
    "wire",
    [
        {"__class__": "Decimal"},
        {"__class__": "Decimal", "decimal": "ten"},
        {"__class__": "date", "year": 2026, "month": 2, "day": 30},
        {"__class__": "complex", "re": 1},
    ],
)
def test_what_is_no_value_of_tryton_is_refused(wire: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Tryton"):
        from_wire([wire])


@pytest.mark.parametrize(
    ("number", "shown"),
    [("3.0", "3"), ("0.50", "0.5"), ("100.0", "100"), ("-0.0", "0"), ("1e3", "1000"), ("2.345", "2.345")],
)
def test_a_quantity_has_no_idle_zeros(number: str, shown: str) -> None:
    assert format(plain_number(Decimal(number)), "f").removeprefix("-") == shown
