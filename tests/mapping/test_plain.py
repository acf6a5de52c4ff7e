"""The short way to canonical JSON says what the model says, or declines."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, Field, ValidationError, field_validator

from crmbridge.mapping.plain import plain_text
from crmbridge_schemas.base import Entity, Money, Ref, Text
from crmbridge_schemas.party import Party
from crmbridge_schemas.registry import ENTITIES
from tests.schemas.strategies import records

JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.sampled_from(["nul\x00", "half \ud83d", "Mu\u0308ller", "\\u0000", "CN\n", "2026-02-30", "1e5", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
LAW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def by_model(entity: type[Entity], found: dict[str, Any]) -> str | None:
    try:
        return entity.model_validate(found).model_dump_json(exclude_unset=True)
    except (ValidationError, ValueError):
        return None


def plain(entity: type[Entity], found: dict[str, Any]) -> str | None:
    made = plain_text(entity)
    assert made is not None
    return made(found)


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES)
def test_it_writes_what_the_model_writes(entity: type[Entity]) -> None:
    @LAW
    @given(records(entity))
    def check(found: dict[str, Any]) -> None:
        assert plain(entity, found) in (by_model(entity, found), None)

    check()


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES)
def test_it_takes_nothing_that_the_model_refuses(entity: type[Entity]) -> None:
    @LAW
    @given(records(entity), st.dictionaries(st.sampled_from([*entity.model_fields, "more"]), JUNK))
    def check(found: dict[str, Any], junk: dict[str, Any]) -> None:
        assert plain(entity, {**found, **junk}) in (by_model(entity, {**found, **junk}), None)

    check()


def test_ordinary_records_go_the_short_way() -> None:
    found = {
        "kind": "person",
        "display_name": "Jürgen Müller",
        "birth_date": "1970-01-31",
        "identifiers": [{"scheme": "customer-no", "value": 1001}],
        "contact_points": [{"id": "slot:email", "type": "email", "value": "محمد@example.org"}],
        "addresses": [{"lines": ["中山大道 24"], "country": "CN"}],
        "credit_limit": {"amount": "11474.280", "currency": "EUR"},
        "note": None,
    }
    assert plain(Party, found) == by_model(Party, found) is not None


@pytest.mark.parametrize("text", ["Mu\u0308ller", "a\x00b", "half \ud83d"])
def test_text_that_has_to_be_looked_at_goes_the_long_way(text: str) -> None:
    assert plain(Party, {"display_name": text}) is None


class _Checked(Entity):
    entity_name: ClassVar[str] = "checked"

    code: Text | None = None

    @field_validator("code")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()


class _Renamed(Entity):
    entity_name: ClassVar[str] = "renamed"

    code: Text | None = Field(None, alias="Code")


class _Either(Entity):
    entity_name: ClassVar[str] = "either"

    what: Money | Ref | None = None


class _Own(Entity):
    entity_name: ClassVar[str] = "own"

    code: Annotated[Text, AfterValidator(str.upper)] | None = None


def test_a_model_with_checks_of_its_own_decides_itself() -> None:
    assert plain_text(_Checked) is None
    assert plain_text(_Renamed) is None
    assert plain_text(_Either) is None
    assert plain(_Own, {"code": "ab"}) == by_model(_Own, {"code": "ab"}) == '{"code":"AB"}'
