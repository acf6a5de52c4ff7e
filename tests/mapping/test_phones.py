"""Phone numbers without country code: whose they are is what the record's own address says."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge import yamlfile
from crmbridge.mapping import Mapping
from crmbridge.mapping.compile import compile_mapping
from crmbridge.mapping.compiler import Target, Toolbox
from crmbridge.mapping.errors import MappingError
from crmbridge.mapping.spec import FileSpec
from crmbridge.mapping.transforms import builtin_codecs
from crmbridge_schemas.registry import ENTITIES

SLOTS = """
stream: customers
entity: party
fields:
  contact_points: [{slot: phone, const: {type: phone}, fields: {value: {path: phone, as: CODEC}}}]
  addresses: [{slot: main, fields: {country: {path: land, as: iso_country}}}]
"""
CHILDREN = """
stream: customers
entity: party
fields:
  contact_points: {each: phones, const: {type: phone}, fields: {value: {path: number, as: CODEC}}}
  addresses: {each: places, fields: {country: land, role: kind}}
"""
GUESTS = """
stream: orders
entity: sales_order
fields: {number: number}
also:
  guest:
    entity: party
    key: mail
    fields:
      contact_points: [{slot: phone, const: {type: phone}, fields: {value: {path: phone, as: CODEC}}}]
      addresses: [{slot: main, fields: {country: land}}]
"""


def whole(text: str) -> Mapping:
    """The mapping in a config that says `country: DE`."""
    document = yamlfile.loads(text, "m.yaml")
    toolbox = Toolbox(ENTITIES, builtin_codecs("DE", "UTC"), {}, ("DE", "UTC"))
    made, errors = compile_mapping(document, yamlfile.validate(document, FileSpec), toolbox, Target("shop"))
    assert made is not None, errors
    return made


def numbers(doc: dict[str, Any]) -> list[str]:
    return [point["value"] for point in doc["contact_points"]]


def read(text: str, codec: str, native: dict[str, Any]) -> list[str]:
    return numbers(whole(text.replace("CODEC", codec)).read(native))


@pytest.mark.parametrize("codec", ["e164", "phone"])
@pytest.mark.parametrize(
    ("phone", "land", "found"),
    [
        ("044 668 18 00", "Schweiz", "+41446681800"),
        ("044 668 18 00", "CH", "+41446681800"),
        ("044 668 18 00", "Deutschland", "+49446681800"),
        ("044 668 18 00", None, "+49446681800"),
        ("030 123456", "CH", "+4930123456"),
        ("138 0013 8000", "中国", "+8613800138000"),
        ("+41 44 668 18 00", "DE", "+41446681800"),
    ],
)
def test_the_records_own_country_is_asked_first(codec: str, phone: str, land: str | None, found: str) -> None:
    assert read(SLOTS, codec, {"phone": phone, "land": land}) == [found]


def test_children_are_read_by_the_country_of_their_record() -> None:
    phones = [{"number": "044 668 18 00"}, {"number": "030 123456"}]
    places = [{"land": "DE", "kind": "shipping"}, {"land": "CH", "kind": "main"}]
    native = {"phones": phones, "places": places}
    assert read(CHILDREN, "e164", native) == ["+41446681800", "+4930123456"]
    assert read(CHILDREN, "e164", {"phones": phones}) == ["+49446681800", "+4930123456"]


def test_what_the_mapping_says_goes_before_the_record() -> None:
    assert read(SLOTS, "{e164: DE}", {"phone": "044 668 18 00", "land": "CH"}) == ["+49446681800"]


def test_a_further_record_is_read_by_its_own_address() -> None:
    (guest,) = whole(GUESTS.replace("CODEC", "e164")).also
    assert numbers(guest.read({"phone": "044 668 18 00", "land": "CH"})) == ["+41446681800"]
    assert numbers(guest.read({"phone": "044 668 18 00"})) == ["+49446681800"]


def test_a_bad_address_is_told_as_such_and_the_rest_is_read() -> None:
    mapping = whole(SLOTS.replace("CODEC", "e164"))
    native = {"phone": "044 668 18 00", "land": "Nowhere"}
    with pytest.raises(MappingError, match="addresses"):
        mapping.read(native)
    assert numbers(mapping.read_sound(native)) == ["+49446681800"]
    assert numbers(mapping.read_sound({**native, "land": "CH"})) == ["+41446681800"]


def test_a_number_is_written_as_one_of_its_own_country() -> None:
    mapping = whole(SLOTS.replace("CODEC", "e164"))
    element = {"type": "phone", "value": "044 668 18 00"}
    assert mapping.in_country("CH").lists["contact_points"].slots[0].write(element) == {
        "phone": "+41446681800"
    }
    assert mapping.in_country(None).lists["contact_points"].slots[0].write(element) == {
        "phone": "+49446681800"
    }
    assert mapping.in_country("CH").fingerprint == mapping.fingerprint
    assert mapping.in_country("CH") is mapping.in_country("CH").in_country("CH")
