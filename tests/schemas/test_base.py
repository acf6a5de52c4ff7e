"""What the base types promise: three states, exact numbers, one form of text and time, clear refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from crmbridge_schemas.base import (
    Element,
    Entity,
    Money,
    Quantity,
    Ref,
    canonical,
    field_meta,
    instant,
    list_element,
    normal_form,
)
from crmbridge_schemas.party import Party
from crmbridge_schemas.registry import ENTITIES
from crmbridge_schemas.sales import SalesOrder
from tests.schemas.strategies import records


def party(**fields: Any) -> dict[str, Any]:
    return canonical(Party.model_validate(fields))


def refusal(entity: type[Entity], **fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        entity.model_validate(fields)
    (error,) = caught.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES)
def test_every_entity_comes_back_unchanged_with_its_three_states(entity: type[Entity]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(records(entity))
    def check(given_record: dict[str, Any]) -> None:
        first = canonical(entity.model_validate(given_record))
        assert first.keys() == given_record.keys()
        assert {name for name, value in first.items() if value is None} == {
            name for name, value in given_record.items() if value is None
        }
        stored = json.loads(json.dumps(first))
        again = canonical(entity.model_validate(stored))
        assert again == first
        normal = normal_form(entity, first)
        assert normal_form(entity, normal) == normal

    check()


def test_unset_null_and_value_stay_apart() -> None:
    assert party() == {}
    assert party(note=None) == {"note": None}
    assert party(note="") == {"note": ""}
    assert party(contact_points=None) == {"contact_points": None}
    assert party(contact_points=[]) == {"contact_points": []}
    assert party(contact_points=[{"type": "email", "value": "a@b.example", "label": None}]) == {
        "contact_points": [{"type": "email", "value": "a@b.example", "label": None}]
    }


@pytest.mark.parametrize(
    ("given_number", "text"),
    [
        ("12345678901234567.89", "12345678901234567.89"),
        (Decimal("12345678901234567890123456789012345.67"), "12345678901234567890123456789012345.67"),
        ("19.90", "19.9"),
        ("100", "100"),
        (Decimal("1E+3"), "1000"),
        ("1E-10", "0.0000000001"),
        ("-0.00", "0"),
        (7, "7"),
    ],
)
def test_numbers_are_exact_and_have_one_form(given_number: Any, text: str) -> None:
    money = Money.model_validate({"amount": given_number, "currency": "EUR"})
    assert money.amount == Decimal(str(given_number))
    assert canonical(money) == {"amount": text, "currency": "EUR"}


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_equal_numbers_are_equal_text(number: Decimal) -> None:
    def text(value: Decimal) -> Any:
        return canonical(Quantity(value=value, unit="KGM"))["value"]

    assert Decimal(text(number)) == number
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    assert text(Decimal((sign, (*digits, 0), exponent - 1))) == text(number)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1,5", "", True])
def test_what_is_no_finite_number_is_refused(number: Any) -> None:
    assert refusal(Party, credit_limit={"amount": number, "currency": "EUR"}).startswith(
        "credit_limit.amount: "
    )


def test_text_is_nfc_in_every_script_and_otherwise_untouched() -> None:
    assert party(display_name="Mu\u0308ller") == {"display_name": "M\u00fcller"}
    for text in ("  王小明\t", "شركة النور", "👩\u200d👩\u200d👧", "Straße 10½ ﬁ", "ｶﾀｶﾅ", "\U00020bb7野家"):
        assert party(display_name=text) == {"display_name": text}


def test_text_in_lists_is_nfc_too() -> None:
    address = {"lines": ["Cafe\u0301", "2. Stock"], "city": "Zu\u0308rich"}
    assert party(addresses=[address])["addresses"] == [{"lines": ["Café", "2. Stock"], "city": "Zürich"}]


def test_nul_and_half_surrogates_are_refused_with_their_position() -> None:
    assert "NUL at position 3" in refusal(Party, display_name="Ann\x00a")
    assert "U+D83D" in refusal(Party, display_name="Ann \ud83d")
    assert "position 4" in refusal(Party, display_name="Ann \ud83d")
    assert refusal(Party, addresses=[{"lines": ["a", "b\x00"]}]).startswith("addresses.0.lines.1: ")
    assert refusal(Party, parent={"entity": "party", "id": "7\x00"}).startswith("parent.id: ")
    assert refusal(Party, parent={"entity": "party", "id": "7\udc00"}).startswith("parent.id: ")
    assert refusal(Party, parent={"entity": "party", "id": ""}).startswith("parent.id: ")


def test_native_ids_are_handed_back_as_they_came() -> None:
    assert party(parent={"entity": "party", "id": "Mu\u0308ller"})["parent"]["id"] == "Mu\u0308ller"


def test_a_number_where_text_is_meant_is_its_digits() -> None:
    address = party(addresses=[{"id": 77, "postal_code": 50667}])["addresses"][0]
    assert address == {"id": "77", "postal_code": "50667"}
    assert party(parent={"entity": "party", "id": Decimal(12)})["parent"]["id"] == "12"
    assert refusal(Party, display_name=True).startswith("display_name: ")


def test_an_instant_keeps_its_offset_and_utc_has_one_form() -> None:
    def written(text: str) -> Any:
        return canonical(SalesOrder.model_validate({"ordered_at": text}))["ordered_at"]

    assert written("2026-03-29T14:05:00+02:00") == "2026-03-29T14:05:00+02:00"
    assert {written(f"2026-03-29T12:05:00{zone}") for zone in ("Z", "+00:00", "-00:00", ".000Z")} == {
        "2026-03-29T12:05:00Z"
    }
    assert instant(written("2026-03-29T14:05:00.25+05:30")) == datetime.fromisoformat(
        "2026-03-29T14:05:00.250000+05:30"
    )


def test_equal_instants_are_equal_after_normal_form_also_in_lists_and_values() -> None:
    def normal(text: str) -> Any:
        consent = {"state": "granted", "at": text}
        record = canonical(
            Party.model_validate(
                {"contact_points": [{"type": "email", "value": "a@b.example", "consent": consent}]}
            )
        )
        assert instant(record["contact_points"][0]["consent"]["at"]).utcoffset() == instant(text).utcoffset()
        return normal_form(Party, record)["contact_points"][0]["consent"]["at"]

    assert normal("2026-03-29T14:05:00.5+02:00") == normal("2026-03-29T07:05:00.500-05:00")
    assert normal("2026-03-29T14:05:00+02:00") == "2026-03-29T12:05:00Z"
    assert normal("0001-01-01T00:00:00+08:00") == "0001-01-01T00:00:00+08:00"


def test_normal_form_leaves_its_input_alone() -> None:
    record = canonical(SalesOrder.model_validate({"ordered_at": "2026-03-29T14:05:00+02:00", "number": "1"}))
    assert normal_form(SalesOrder, record) == {"ordered_at": "2026-03-29T12:05:00Z", "number": "1"}
    assert record["ordered_at"] == "2026-03-29T14:05:00+02:00"
    assert normal_form(SalesOrder, {"ordered_at": None}) == {"ordered_at": None}


@pytest.mark.parametrize(
    "moment", [1_700_000_000, Decimal(1_700_000_000_000), "1700000000", "2026-03-29T14:05:00"]
)
def test_what_is_no_instant_is_refused_and_not_guessed(moment: Any) -> None:
    assert refusal(SalesOrder, ordered_at=moment).startswith("ordered_at: ")


@pytest.mark.parametrize(
    "day", [19_800_101, "19800101", "2026-02-30", "2026-03-29T00:00:00", datetime(2026, 3, 29, tzinfo=UTC)]
)
def test_what_is_no_date_is_refused_and_not_guessed(day: Any) -> None:
    assert refusal(Party, birth_date=day).startswith("birth_date: ")


def test_a_value_has_one_form_whoever_left_what_out() -> None:
    short = SalesOrder.model_validate(
        {
            "ship_to": {"city": "Köln"},
            "lines": [{"quantity": {"value": "1"}, "unit_price": {"amount": 2, "currency": "EUR"}}],
        }
    )
    long = SalesOrder.model_validate(
        {
            "ship_to": {"city": "Köln", "country": None, "lines": None},
            "lines": [
                {
                    "quantity": {"value": "1.0", "unit": "C62"},
                    "unit_price": {"amount": "2.00", "currency": "EUR", "tax_included": None},
                }
            ],
        }
    )
    assert canonical(short) == canonical(long)
    assert canonical(short)["lines"][0]["quantity"] == {"value": "1", "unit": "C62"}
    assert canonical(Ref(entity="party", id="7")) == {"entity": "party", "id": "7"}


def test_what_the_model_does_not_have_is_refused_by_name() -> None:
    assert refusal(Party, first_name="Ann").startswith("first_name: Extra inputs")
    assert refusal(Party, contact_points=[{"type": "pager", "value": "1"}]).startswith(
        "contact_points.0.type: "
    )


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES)
def test_set_lists_hold_flat_elements_with_a_natural_key(entity: type[Entity]) -> None:
    for name in entity.model_fields:
        element = list_element(entity, name)
        if element is not None:
            assert issubclass(element, Element)
            assert any(field_meta(element, part).merge_key for part in element.model_fields)
            assert not any(list_element(element, part) for part in element.model_fields)
