"""The set of entities: what is declared of each, and what a deployment may add."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from crmbridge_schemas.base import Entity, Text, canonical, field_meta, list_element, normal_form
from crmbridge_schemas.custom import CustomEntity, CustomField, CustomSchemaError
from crmbridge_schemas.registry import ENTITIES, build, references, write_order

PERSONAL = {
    "party": {
        "display_name",
        "legal_name",
        "given_name",
        "family_name",
        "birth_date",
        "note",
        "credit_limit",
    },
    "contact_points": {"value", "label"},
    "addresses": {"recipient", "lines", "city", "district", "province", "region", "postal_code"},
    "identifiers": {"value"},
    "sales_order": {"bill_to", "ship_to", "note"},
    "shipment": {"ship_to", "tracking_number"},
    "interaction": {"subject", "content", "outcome", "actor"},
    "case": {"subject", "description", "feedback", "assignee"},
}


def fields(declared: dict[str, Any]) -> dict[str, CustomField]:
    return {name: CustomField.model_validate(field) for name, field in declared.items()}


def test_the_first_set_is_there_and_every_field_may_be_unset() -> None:
    assert " ".join(ENTITIES) == (
        "party party_relation product price location stock_level opportunity sales_order purchase_order"
        " shipment invoice payment case interaction customer_summary"
    )
    for entity in ENTITIES.values():
        assert canonical(entity.model_validate({})) == {}
        empty = dict.fromkeys(entity.model_fields)
        assert canonical(entity.model_validate(empty)) == empty


def test_what_identifies_or_is_personal_says_so() -> None:
    party = ENTITIES["party"]
    models = {**ENTITIES, **{name: list_element(party, name) for name in party.model_fields}}
    for model, names in PERSONAL.items():
        unmarked = {name for name in names if field_meta(models[model], name).personal == "none"}
        assert not unmarked, model
    evidence = {name: field_meta(party, name).identity for name in party.model_fields}
    assert evidence["display_name"] == evidence["legal_name"] == "name"
    assert evidence["birth_date"] == "birth"
    assert field_meta(models["contact_points"], "value").identity == "contact"
    assert field_meta(models["identifiers"], "value").identity == "identifier"
    assert field_meta(ENTITIES["product"], "sku").identity == "identifier"
    assert [name for name, entity in ENTITIES.items() if entity.matched] == ["party", "product"]


def test_every_reference_says_to_what_and_every_target_exists() -> None:
    for name, entity in ENTITIES.items():
        for model in [entity, *filter(None, (list_element(entity, field) for field in entity.model_fields))]:
            for field, info in model.model_fields.items():
                is_ref = "Ref" in str(info.annotation)
                assert is_ref == (field_meta(model, field).refers_to is not None), (name, field)
        assert references(entity) <= ENTITIES.keys()
        assert set(entity.natural_key) <= entity.model_fields.keys()


def test_states_and_sums_of_documents_are_never_merged_by_time() -> None:
    for name, entity in ENTITIES.items():
        assert (
            field_meta(entity, "status").status == entity.document
            if "status" in entity.model_fields
            else True
        )
        for field in entity.model_fields:
            if field.endswith("_total") and entity.document:
                assert field_meta(entity, field).computed, (name, field)


def test_parents_are_written_before_children() -> None:
    order = write_order(ENTITIES)
    assert sorted(order) == sorted(ENTITIES)
    for name in order:
        for parent in references(ENTITIES[name]) - {name}:
            assert order.index(parent) < order.index(name)
    assert write_order(ENTITIES, ["payment", "invoice", "party"]) == ["party", "invoice", "payment"]
    backwards = dict(reversed(ENTITIES.items()))
    assert write_order(backwards).index("party") < write_order(backwards).index("sales_order")


def test_a_cycle_of_references_still_gives_an_order() -> None:
    entities = build(
        custom_entities={
            "vehicle": CustomEntity(fields=fields({"keeper": {"type": "ref", "entity": "contract"}})),
            "contract": CustomEntity(fields=fields({"vehicle": {"type": "ref", "entity": "vehicle"}})),
        }
    )
    assert sorted(write_order(entities, ["vehicle", "contract"])) == ["contract", "vehicle"]


def test_custom_fields_of_every_type_behave_like_built_in_ones() -> None:
    declared = fields(
        {
            "nickname": {
                "type": "text",
                "identity": "identifier",
                "personal": "name",
                "description": "Spitzname",
            },
            "points": "integer",
            "rate": "decimal",
            "vip": "boolean",
            "since": "date",
            "seen_at": "instant",
            "budget": "money",
            "consumption": "quantity",
            "referrer": {"type": "ref", "entity": "party"},
            "tags": "text_list",
        }
    )
    party = build({"party": declared})["party"]
    given = {
        "display_name": "李雷",
        "nickname": "Mu\u0308lli",
        "points": 3,
        "rate": "1.50",
        "vip": None,
        "since": "2026-01-31",
        "seen_at": "2026-01-31T08:00:00+08:00",
        "budget": {"amount": "10.00", "currency": "CNY"},
        "consumption": {"value": "2"},
        "referrer": {"entity": "party", "id": "7"},
        "tags": ["a", "b"],
    }
    record = canonical(party.model_validate(given))
    assert record == {
        **given,
        "nickname": "Mülli",
        "rate": "1.5",
        "budget": {"amount": "10", "currency": "CNY"},
        "consumption": {"value": "2", "unit": "C62"},
    }
    assert normal_form(party, record)["seen_at"] == "2026-01-31T00:00:00Z"
    assert canonical(party.model_validate({})) == {}
    assert field_meta(party, "nickname").identity == "identifier"
    assert field_meta(party, "nickname").personal == "name"
    assert field_meta(party, "referrer").refers_to == "party"
    assert list_element(party, "tags") is None
    assert (party.entity_name, party.matched) == ("party", True)
    assert list_element(party, "addresses") is list_element(ENTITIES["party"], "addresses")


def test_building_changes_nothing_in_the_package() -> None:
    before = set(ENTITIES["party"].model_fields)
    build(
        {"party": fields({"nickname": "text"})}, {"vehicle": CustomEntity(fields=fields({"plate": "text"}))}
    )
    assert set(ENTITIES["party"].model_fields) == before
    assert "vehicle" not in ENTITIES
    with pytest.raises(ValidationError):
        ENTITIES["party"].model_validate({"nickname": "x"})


def test_a_custom_entity_is_an_entity() -> None:
    declared = CustomEntity(
        description="A car that we service.",
        fields=fields(
            {"plate": {"type": "text", "required": True}, "keeper": {"type": "ref", "entity": "party"}}
        ),
        natural_key="plate",  # type: ignore[arg-type]
    )
    vehicle = build(custom_entities={"service_vehicle": declared})["service_vehicle"]
    assert (vehicle.entity_name, vehicle.natural_key, vehicle.experimental) == (
        "service_vehicle",
        ("plate",),
        True,
    )
    assert vehicle.__name__ == "ServiceVehicle"
    assert references(vehicle) == {"party"}
    assert field_meta(vehicle, "plate").required
    assert canonical(vehicle.model_validate({"plate": "京A·12345"})) == {"plate": "京A·12345"}
    assert Entity.natural_key == ()


def test_custom_fields_extend_custom_entities_and_those_of_plugins() -> None:
    class Asset(Entity):
        entity_name: ClassVar[str] = "asset"
        name: Text | None = None

    entities = build({"asset": fields({"serial": "text"})}, plugin_entities={"asset": Asset})
    assert set(entities["asset"].model_fields) == {"name", "serial"}


@pytest.mark.parametrize(
    ("custom_fields", "custom_entities", "path", "says"),
    [
        ({"party": {"legal_name": "text"}}, {}, "custom_fields.party.legal_name", "`legal_name` already"),
        ({"partys": {"x": "text"}}, {}, "custom_fields.partys", "no entity `partys`; there are case, "),
        ({"party": {"Loyalty Points": "text"}}, {}, "custom_fields.party.Loyalty Points", "no name"),
        ({"party": {"id": "text"}}, {}, "custom_fields.party.id", "reserved"),
        ({"party": {"copy": "text"}}, {}, "custom_fields.party.copy", "reserved"),
        ({"party": {"model_config": "text"}}, {}, "custom_fields.party.model_config", "reserved"),
        (
            {"party": {"x": {"type": "text", "required": True}}},
            {},
            "custom_fields.party.x",
            "can't be required",
        ),
        (
            {"party": {"x": {"type": "ref", "entity": "car"}}},
            {},
            "custom_fields.party.x",
            "`car`, which is no entity",
        ),
        (
            {"car": {"y": {"type": "ref", "entity": "lorry"}}},
            {"car": {"fields": {"x": "text"}}},
            "custom_fields.car.y",
            "no entity; there are car, case, ",
        ),
        ({}, {"party": {"fields": {"x": "text"}}}, "custom_entities.party", "exists already"),
        ({}, {"a-b": {"fields": {"x": "text"}}}, "custom_entities.a-b", "no name"),
        ({}, {"car": {"fields": {"_x": "text"}}}, "custom_entities.car.fields._x", "no name"),
        (
            {},
            {"car": {"fields": {"x": "text"}, "natural_key": ["y"]}},
            "custom_entities.car.natural_key",
            "no field `y`",
        ),
        (
            {},
            {"car": {"fields": {"x": {"type": "ref", "entity": "lorry"}}}},
            "custom_entities.car.fields.x",
            "`lorry`, which is no entity",
        ),
    ],
)
def test_what_cannot_be_declared_is_named(
    custom_fields: dict[str, Any], custom_entities: dict[str, Any], path: str, says: str
) -> None:
    with pytest.raises(CustomSchemaError) as caught:
        build(
            {entity: fields(declared) for entity, declared in custom_fields.items()},
            {name: CustomEntity.model_validate(declared) for name, declared in custom_entities.items()},
        )
    assert ".".join(caught.value.path) == path
    assert says in caught.value.message
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize(
    "declared",
    [
        "string",
        {"type": "ref"},
        {"type": "text", "entity": "party"},
        {"kind": "text"},
        {"type": "money", "identity": "phone"},
    ],
)
def test_a_declaration_that_means_nothing_is_refused(declared: Any) -> None:
    with pytest.raises(ValidationError):
        CustomField.model_validate(declared)
