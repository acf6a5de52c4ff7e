"""A mapping against the fields that a system or a table really has."""

from __future__ import annotations

import pytest

from crmbridge.mapping.discovered import check_against, missing_columns
from crmbridge.sdk.connector import FieldInfo
from tests.mapping.making import compiled

NESTED = """
name: name
note: place.floor.name
stage: {path: place.city, write: never}
"""


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        ({"name", "place.floor.name", "place.city"}, []),
        ({"name", "place"}, []),  # one column with all of it, as JSON
        ({"name", "place.floor", "place.city"}, []),
        ({"name", "place", "place.city"}, ["place.floor.name"]),  # it is written out, and lacks the rest
        ({"nmae", "place"}, ["name"]),
        ({"name", "placefloor"}, ["place.city", "place.floor.name"]),
    ],
)
def test_a_column_is_there_by_its_name_or_inside_one_that_holds_objects(
    columns: set[str], missing: list[str]
) -> None:
    found = missing_columns(compiled(NESTED), columns)
    assert [finding.text.split("'")[1] for finding in found] == missing


def test_a_missing_column_is_told_with_its_place_and_what_is_like_it() -> None:
    (found,) = missing_columns(compiled("name: name"), {"nmae"})
    assert (found.text, found.hint) == ("'name' (m.yaml:4:9)", "did you mean 'nmae'?")


def test_what_a_create_needs_is_told_unless_it_or_a_part_of_it_is_written() -> None:
    fields = {
        "name": FieldInfo("name", required=True),
        "place": FieldInfo("place", required=True),
        "shelf": FieldInfo("shelf", required=True),
        "rack": FieldInfo("rack", required=True),
    }
    mapping = compiled(NESTED, head="on_create: {shelf: 7}\n")
    (found,) = check_against(mapping, fields)
    assert "requires 'rack'" in found.text
    assert check_against(mapping, fields, creates=False) == []


def test_a_create_needs_nothing_of_what_a_list_or_a_slot_writes() -> None:
    fields = {name: FieldInfo(name, required=True) for name in ("mails", "phone")}
    listed = compiled("points: {each: mails, fields: {type: type, value: value}}")
    slotted = compiled("points: [{slot: phone, const: {type: phone}, fields: {value: phone}}]")
    assert ["'phone'" in one.text for one in check_against(listed, fields) if "requires" in one.text] == [
        True
    ]
    assert ["'mails'" in one.text for one in check_against(slotted, fields) if "requires" in one.text] == [
        True
    ]
