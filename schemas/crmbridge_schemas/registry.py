"""All canonical entities by name, and how they depend on each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from crmbridge_schemas.base import Entity, field_meta, list_element
from crmbridge_schemas.billing import Invoice, Payment
from crmbridge_schemas.custom import CustomEntity, CustomField, CustomSchemaError, new_entity, with_fields
from crmbridge_schemas.fulfilment import Shipment
from crmbridge_schemas.insight import CustomerSummary
from crmbridge_schemas.party import Party, PartyRelation
from crmbridge_schemas.product import Price, Product
from crmbridge_schemas.purchase import PurchaseOrder
from crmbridge_schemas.sales import Opportunity, SalesOrder
from crmbridge_schemas.service import Case, Interaction
from crmbridge_schemas.stock import Location, StockLevel

__all__ = ["ENTITIES", "build", "entity_meta", "references", "write_order"]

ENTITIES: Mapping[str, type[Entity]] = {
    entity.entity_name: entity
    for entity in (
        Party,
        PartyRelation,
        Product,
        Price,
        Location,
        StockLevel,
        Opportunity,
        SalesOrder,
        PurchaseOrder,
        Shipment,
        Invoice,
        Payment,
        Case,
        Interaction,
        CustomerSummary,
    )
}
"""The entities of this package."""


def build(
    custom_fields: Mapping[str, Mapping[str, CustomField]] | None = None,
    custom_entities: Mapping[str, CustomEntity] | None = None,
    plugin_entities: Mapping[str, type[Entity]] | None = None,
) -> dict[str, type[Entity]]:
    """The entities of a deployment: those of this package, of plugins and of its configuration.

    Raises CustomSchemaError, whose `path` leads to the declaration that cannot be.
    """
    entities = dict(ENTITIES)
    for name, plugin_entity in (plugin_entities or {}).items():
        if name in entities:
            raise CustomSchemaError(("plugins", name), f"the entity `{name}` exists already")
        entities[name] = plugin_entity
    for name, declared in (custom_entities or {}).items():
        if name in entities:
            raise CustomSchemaError(("custom_entities", name), f"the entity `{name}` exists already")
        entities[name] = new_entity(name, declared)
    for name, fields in (custom_fields or {}).items():
        if name not in entities:
            raise CustomSchemaError(
                ("custom_fields", name),
                f"there is no entity `{name}`; there are {', '.join(sorted(entities))}",
            )
        entities[name] = with_fields(entities[name], fields)
    _check_references(entities, custom_fields or {})
    return entities


def _check_references(
    entities: Mapping[str, type[Entity]], custom_fields: Mapping[str, Mapping[str, CustomField]]
) -> None:
    for name, entity in entities.items():
        for field in entity.model_fields:
            target = field_meta(entity, field).refers_to
            if target is not None and target not in entities:
                added = field in custom_fields.get(name, {})
                section = ("custom_fields", name) if added else ("custom_entities", name, "fields")
                raise CustomSchemaError(
                    (*section, field),
                    f"refers to `{target}`, which is no entity; there are {', '.join(sorted(entities))}",
                )


def references(entity: type[Entity]) -> frozenset[str]:
    """The entities that records of this one refer to, in their own fields and in their lists."""
    found = set()
    for name in entity.model_fields:
        found.add(field_meta(entity, name).refers_to)
        element = list_element(entity, name)
        if element is not None:
            found.update(field_meta(element, part).refers_to for part in element.model_fields)
    return frozenset(target for target in found if target is not None)


def write_order(entities: Mapping[str, type[Entity]], names: Collection[str] | None = None) -> list[str]:
    """Names of entities, each after those that it refers to, so that parents are written before children.

    An entity that refers to itself (a party's parent) does not count; in a cycle of entities the order is
    that of `entities`. Always the same for the same input.
    """
    wanted = entities if names is None else {name: entities[name] for name in entities if name in names}
    order: dict[str, None] = {}
    open_: set[str] = set()

    def add(name: str) -> None:
        if name in order or name in open_:
            return
        open_.add(name)
        for parent in sorted(references(wanted[name])):
            if parent in wanted:
                add(parent)
        order[name] = None

    for name in wanted:
        add(name)
    return list(order)


def entity_meta(entity: type[Entity]) -> dict[str, Any]:
    """What the engine knows of an entity beside its fields, as JSON-ready data."""
    return {
        "entity": entity.entity_name,
        "experimental": entity.experimental,
        "matched": entity.matched,
        "document": entity.document,
        "natural_key": list(entity.natural_key),
        "references": sorted(references(entity)),
    }
