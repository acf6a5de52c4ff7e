"""What a system cannot be without, fields of a record, of an element, and whole lists; and what it closed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from crmbridge.engine.planinput import Target
from crmbridge.identity.link import UNSET, Link
from crmbridge.identity.shape import Shape
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.list_rules import ListRule

__all__ = ["insists", "insists_on_elements", "is_closed", "lacking", "lacking_to_create"]


def insists(target: Target, path: str, local: str = "") -> bool:
    """Whether it takes no null at `path`. local: the native child id of the element."""
    name, _, rest = path.partition("/")
    inner = rest.partition("/")[2]
    rule = target.mapping.lists.get(name)
    if rule is None:
        field = target.mapping.fields[name]
        return field.required or not _kept(target).isdisjoint(field.native)
    if inner:
        return _needs(rule, inner, local, _kept(target))
    slot = rule.slot(local)
    return slot is not None and any(_needs(rule, one, local, _kept(target)) for one in slot.rules.fields())


def insists_on_elements(target: Target, rule: ListRule) -> bool:
    """Whether it refuses that the list is empty."""
    return rule.required or rule.native in _kept(target)


def lacking(target: Target, rule: ListRule, element: Mapping[str, Any], local: str = "") -> list[str]:
    """The fields without which it takes no such element, and which the element does not have.

    local: the slot that is there and shall show it.
    """
    natives = _kept(target) if local else target.capabilities.required
    missing = sorted(inner for inner in rule.element_fields if element.get(inner) is None)
    return [inner for inner in missing if _needs(rule, inner, local, natives)]


def lacking_to_create(
    target: Target, given: Collection[str], slots: Mapping[str, Mapping[str, str | None]]
) -> Iterator[str]:
    """The fields without which it creates no record, and which are not given.

    given: the fields that have a value. slots: list -> slot -> the element that it will show.
    """
    mapping, required = target.mapping, target.capabilities.required
    written = {native for name in mapping.fields.keys() & given for native in mapping.fields[name].native}
    for name, field in mapping.fields.items():
        needed = field.required or not (required - written).isdisjoint(field.native)
        if needed and name not in given and mapping.writes(name):
            yield name
    for name, rule in mapping.lists.items():
        empty = [slot for slot in rule.slots if slot.name not in slots.get(name, {})]
        needed = any(_needs(rule, one, slot.id, required) for slot in empty for one in slot.rules.fields())
        whole = not rule.slots and (rule.required or rule.native in required)
        if rule.writable and (needed or (whole and name not in given)):
            yield name


def is_closed(target: Target, shape: Shape, link: Link) -> bool:
    """Whether the record is in a state in which it may no longer change."""
    for native, values in target.capabilities.closed_when.items():
        for name in shape.scalars:
            held, rule = link.holds(name), target.mapping.fields.get(name)
            if rule is None or native not in rule.native or held is UNSET:
                continue
            if _native_value(target.mapping, name, held, native) in values:
                return True
    return False


def _native_value(mapping: StreamMapping, name: str, held: Any, native: str) -> Any:
    if name == mapping.transition_field:
        return mapping.transition(held)
    return mapping.write({name: held}).get(native)


def _kept(target: Target) -> set[str]:
    return {*target.capabilities.required, *target.capabilities.cannot_clear}


def _needs(rule: ListRule, inner: str, local: str, natives: Collection[str]) -> bool:
    found = rule.of(inner, local)
    if found is None:
        return False
    place = f"{rule.native}." if rule.native else ""
    return found.required or any(f"{place}{native}" in natives for native in found.native)
