"""A planned operation in the system's own words, and the system's answer back in ours."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crmbridge.engine.operations import Change, Planned
from crmbridge.identity.follow import akin
from crmbridge.identity.link import (
    UNSET,
    FieldState,
    Link,
    Reading,
    Statement,
    flatten,
    observe,
    took_back,
    with_local_ids,
    wrote,
)
from crmbridge.identity.shape import ListShape, Shape, element_path
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.list_rules import ListRule
from crmbridge.mapping.paths import merge_into, put_at
from crmbridge.mapping.transforms import TypedText
from crmbridge.sdk.connector import Capabilities, ListPatch, Operation

__all__ = ["Outward", "Settled", "adopt", "placed", "to_operation"]


# -- out ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outward:
    """What translating needs beside the operation."""

    mapping: StreamMapping
    capabilities: Capabilities
    link: Link | None
    """The record as we know it; None for a create."""
    shape: Shape
    record: Mapping[str, Any]
    """The native record as last read, for lists that are replaced as a whole."""


def to_operation(planned: Planned, out: Outward) -> Operation:
    """The operation for the connector; references are native by now. Raises MappingError."""
    operation = Operation(
        planned.id,
        planned.kind,
        native_id=planned.native_id,
        scope=planned.scope,
        version=out.link.version if out.link else None,
    )
    if planned.kind == "transition":
        operation.transition = out.mapping.transition(planned.transition or "")
    elif planned.kind in ("create", "update"):
        data = _data(planned, out)
        operation.typed = {name: said.typed for name, said in data.items() if isinstance(said, TypedText)}
        operation.data = _untyped(data)
    if planned.kind == "create" and out.capabilities.search_mark:
        operation.mark = planned.id
    return operation


def _data(planned: Planned, out: Outward) -> dict[str, Any]:
    scalars: dict[str, Any] = {}
    by_list: dict[str, list[Change]] = {}
    for change in planned.changes:
        name, _, rest = change.path.partition("/")
        if rest:
            by_list.setdefault(name, []).append(change)
        else:
            scalars[name] = change.new
    data: dict[str, Any] = out.mapping.write(scalars)
    if planned.kind == "create":
        for path, constant in out.mapping.on_create.items():
            put_at(data, path, constant)
    for name in {**by_list, **planned.slots}:
        rule = out.mapping.lists[name]
        elements = _elements(by_list.get(name, []))
        if rule.slots:
            merge_into(data, _slot_fields(name, rule, elements, planned, out))
        else:
            put_at(data, rule.native or name, _children(name, rule, elements, out))
    return data


def _untyped(data: Any) -> Any:
    """Connectors get plain text."""
    if isinstance(data, dict):
        return {name: _untyped(part) for name, part in data.items()}
    if isinstance(data, list):
        return [_untyped(part) for part in data]
    if isinstance(data, ListPatch):
        return ListPatch(_untyped(data.add), _untyped(data.change), data.remove)
    return str(data) if isinstance(data, TypedText) else data


def _elements(changes: list[Change]) -> dict[str, dict[str, Any]]:
    """Element id -> changed fields; `None` under "" marks a removal, True an addition."""
    elements: dict[str, dict[str, Any]] = {}
    for change in changes:
        element_id, _, inner = change.path.partition("/")[2].partition("/")
        elements.setdefault(element_id, {})[inner] = change.new
    return elements


def _slot_fields(
    name: str,
    rule: ListRule,
    elements: Mapping[str, dict[str, Any]],
    planned: Planned,
    out: Outward,
) -> dict[str, Any]:
    shown = out.link.shown(name) if out.link else {}
    data: dict[str, Any] = {}
    for slot in rule.slots:
        refilled = planned.slots.get(name, {})
        if slot.name in refilled:
            element_id = refilled[slot.name]
            filled = None if element_id is None else {**slot.const, **_said(elements.get(element_id, {}))}
            merge_into(data, slot.write(filled))
            continue
        edited = next((e for e in elements if shown.get(e) == f"slot:{slot.name}"), None)
        if edited is not None and out.link is not None:
            merge_into(data, slot.write({**out.link.element(name, edited), **_said(elements[edited])}))
    return data


def _said(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {inner: value for inner, value in parts.items() if inner}


def _children(name: str, rule: ListRule, elements: Mapping[str, dict[str, Any]], out: Outward) -> Any:
    if out.capabilities.child_lists.get(rule.native or name) == "patch":
        return _patch(name, rule, elements, out)
    return _whole_list(name, rule, elements, out)


def _patch(name: str, rule: ListRule, elements: Mapping[str, dict[str, Any]], out: Outward) -> ListPatch:
    patch = ListPatch()
    shown = out.link.shown(name) if out.link else {}
    for element_id, parts in elements.items():
        local = shown.get(element_id)
        if local is None:
            patch.add.append(rule.write_element(_said(parts)))
        elif "" in parts and parts[""] is None:
            patch.remove.append(local)
        else:
            patch.change[local] = rule.write_element(_said(parts))
    return patch


def _whole_list(name: str, rule: ListRule, elements: Mapping[str, dict[str, Any]], out: Outward) -> list[Any]:
    """Every child that shall be there: children, and parts of a child, that are not mapped stay as read."""
    shown = out.link.shown(name) if out.link else {}
    ours = {local: element_id for element_id, local in shown.items()}
    children: list[Any] = []
    for child, local in _with_locals(out.shape.lists[name], rule, out.record):
        parts = elements.get(ours.get(local, ""), {})
        if "" in parts and parts[""] is None:
            continue
        children.append(_changed(child, rule.write_element(_said(parts))) if parts else child)
    added = [parts for element_id, parts in elements.items() if element_id not in shown]
    return [*children, *(rule.write_element(_said(parts)) for parts in added)]


def _with_locals(shape: ListShape, rule: ListRule, record: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """The native children, each with the id of its element; "" where the mapping does not take it."""
    pairs = list(rule.children(record))
    locals_ = (local for local, _ in with_local_ids(shape, [e for _, e in pairs if e is not None]))
    for child, element in pairs:
        yield child, "" if element is None else next(locals_)


def _changed(child: Any, parts: Any) -> Any:
    if not isinstance(child, dict):
        return parts
    changed = copy.deepcopy(child)
    merge_into(changed, parts)
    return changed


# -- back --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Settled:
    """What came of a write."""

    altered: list[tuple[str, Any, Any]]
    """(path, asked for, held) where the system keeps something else."""
    news: list[str]
    """Paths in which the record said something of its own."""


def adopt(
    planned: Planned, link: Link, held: Mapping[str, Any], reading: Reading, *, edited_since: bool = False
) -> Settled:
    """Our write is in place: `held` is what the record now says. Changes `link`.

    edited_since: the record was changed after our write; what differs from it, and is no part of it, is an
    edit and not an alteration.
    """
    shape = reading.shape.in_country(planned.country)
    _learn_children(planned, link, held, shape)
    now = flatten(shape, link, held)
    altered: list[tuple[str, Any, Any]] = []
    for change in planned.changes:
        holds = now.get(change.path, UNSET)
        if holds is UNSET:
            holds = None if change.path.count("/") == 1 or change.new is None else change.new
        if edited_since and not _cut(holds, change.new):
            holds = change.new
        if planned.undoes:
            _put_back(link, change, holds, reading.at)
        else:
            _put(link, change, holds, now, reading.at)
        if holds != change.new and not shape.same(
            change.path, holds, change.new, _element(link, change.path)
        ):
            altered.append((change.path, change.new, holds))
    _forget_hidden(planned, link)
    news = observe(link, held, reading)
    return Settled(altered, news.changed)


def _put(link: Link, change: Change, holds: Any, now: Mapping[str, Any], at: int) -> None:
    statement = change.statement._replace(value=change.new)
    wrote(link, change.path, statement, holds, at, _stood_there(change))
    if change.new is None and holds is True:
        _kept_after_all(link, change.path, statement, now, at)


def _put_back(link: Link, change: Change, holds: Any, at: int) -> None:
    """An undo. What only stands in one native field with a value that was put back is as it was."""
    if change.old != change.new:
        took_back(link, change.path, change.statement, holds, at)


def _kept_after_all(link: Link, path: str, sent: Statement, now: Mapping[str, Any], at: int) -> None:
    """The system shows an element that it was told to remove, perhaps with a value that it puts there."""
    for inner, holds in now.items():
        if inner.startswith(f"{path}/") and holds != link.holds(inner):
            wrote(link, inner, sent, holds, at)


def _stood_there(change: Change) -> Any:
    """Before an element was added there was none; before a slot showed it, it showed another."""
    if change.path.count("/") == 1:
        return None
    return UNSET if change.old is None else change.old


def placed(
    planned: Planned,
    link: Link,
    held: Mapping[str, Any],
    shape: Shape,
    mapping: StreamMapping,
    *,
    ours: bool = False,
) -> Planned:
    """Of an operation of unknown outcome, what the record shows: that is our own work and nobody's edit.
    Changes `link`: pass one of which nothing is kept. ours: we made the record, so that only what it lacks
    was not written; what differs was altered by the system, or edited since."""
    _learn_children(planned, link, held, shape)
    now = flatten(shape, link, held)
    added: dict[str, bool] = {}
    for name in {change.path.partition("/")[0] for change in planned.changes if "/" in change.path}:
        children, elements = held.get(name) or (), _added(planned, name)
        whole = ours and len(children) >= len(elements)
        added.update({e: whole or _holds_like(shape.lists[name], x, children) for e, x in elements.items()})

    def is_placed(change: Change) -> bool:
        name, _, rest = change.path.partition("/")
        element_id, _, inner = rest.partition("/")
        if element_id in added:
            return added[element_id]
        if change.new is None and rest and not inner:
            return now.get(change.path) is not True
        holds, element = now.get(change.path), _element(link, change.path)
        if shape.same(change.path, holds, change.new, element):
            return True
        if name in mapping.fields and shape.same(name, holds, mapping.project(name, change.new)):
            return True
        if ours:
            return holds is not None
        return _cut(holds, change.new) and not shape.same(change.path, holds, change.old, element)

    slots = {
        name: {slot: one for slot, one in shown.items() if one is None or added.get(one, False)}
        for name, shown in planned.slots.items()
    }
    return replace(planned, changes=[c for c in planned.changes if is_placed(c)], slots=slots)


def _cut(held: Any, text: Any) -> bool:
    """Whether a system keeps this of a text that it cuts, trims or writes in another case."""
    if not (isinstance(held, str) and isinstance(text, str)):
        return False
    kept = " ".join(held.casefold().split())
    return bool(kept) and " ".join(text.casefold().split()).startswith(kept)


def _holds_like(shape: ListShape, parts: Mapping[str, Any], children: Any) -> bool:
    key = shape.merge_key(parts)
    return bool(key) and any(shape.merge_key(child) == key for child in children)


def _element(link: Link, path: str) -> dict[str, Any]:
    name, _, rest = path.partition("/")
    return link.element(name, rest.partition("/")[0]) if rest else {}


def _learn_children(planned: Planned, link: Link, held: Mapping[str, Any], shape: Shape) -> None:
    """Which native child is which of the elements that we added, or edited in a list without child ids."""
    for name, slots in planned.slots.items():
        known = link.elements.setdefault(name, {})
        for slot, element_id in slots.items():
            if element_id is not None:
                known[f"slot:{slot}"] = element_id
    for name, list_shape in shape.lists.items():
        slotted = set(planned.slots.get(name, {}).values())
        if name not in held:
            continue
        children = held[name] or ()
        written = {e: parts for e, parts in _added(planned, name).items() if e not in slotted}
        written.update(_renamed(planned, link, list_shape, children))
        if written:
            _pair(link, list_shape, written, children)


def _renamed(
    planned: Planned, link: Link, shape: ListShape, children: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Elements without a child id that our edit gave another natural key, as they are to be now."""
    now = {local for local, _ in with_local_ids(shape, children)}
    hidden = {e for e, local in link.shown(shape.name).items() if local.startswith("=") and local not in now}
    renamed: dict[str, dict[str, Any]] = {}
    for change in planned.changes:
        outer, _, rest = change.path.partition("/")
        element_id, _, inner = rest.partition("/")
        if outer == shape.name and inner and element_id in hidden:
            parts = renamed.setdefault(element_id, link.element(outer, element_id))
            parts[inner] = change.new
    return renamed


def _added(planned: Planned, name: str) -> dict[str, dict[str, Any]]:
    added: dict[str, dict[str, Any]] = {}
    for change in planned.changes:
        outer, _, rest = change.path.partition("/")
        element_id, _, inner = rest.partition("/")
        if outer != name:
            continue
        if inner and element_id in added:
            added[element_id][inner] = change.new
        elif not inner and change.new is True:
            added[element_id] = {}
    return added


def _pair(link: Link, shape: ListShape, added: Mapping[str, Mapping[str, Any]], children: Any) -> None:
    """By natural key first, then by a part of it (the type of a number, the post code of an address), then in
    order: what a system altered still has its place, also where it dropped some of the others."""
    known = link.elements.setdefault(shape.name, {})
    for local in [local for local, element_id in known.items() if element_id in added]:
        del known[local]
    fresh = {local: child for local, child in with_local_ids(shape, children) if local not in known}
    waiting = dict(added)
    for agree in (_is_of_one_key, akin):
        for element_id, parts in list(waiting.items()):
            key = shape.merge_key(parts)
            twin = next((x for x, child in fresh.items() if agree(key, shape.merge_key(child))), None)
            if twin is not None:
                known[twin] = element_id
                del fresh[twin], waiting[element_id]
    if len(waiting) == len(fresh):
        for element_id, local in zip(waiting, fresh, strict=True):
            known[local] = element_id


def _is_of_one_key(one: Sequence[str], other: Sequence[str]) -> bool:
    return bool(one) and one == other


def _forget_hidden(planned: Planned, link: Link) -> None:
    """Elements that a slot no longer shows, and removed ones, are no longer held. Where the system was asked
    for one and does not show it, it is kept what was asked."""
    for name in {change.path.partition("/")[0] for change in planned.changes if "/" in change.path}:
        visible = set(link.elements.get(name, {}).values())
        for path, state in link.fields.items():
            outer, _, rest = path.partition("/")
            if outer != name or not rest:
                continue
            element_id, _, inner = rest.partition("/")
            presence = link.fields.get(element_path(name, element_id), FieldState())
            if presence.refused:
                state.seen = UNSET if inner else None
            elif element_id not in visible:
                state.seen, state.sent, state.before = UNSET, None, UNSET
            elif inner and presence.seen is None:
                state.before = state.seen if state.seen is not UNSET else state.before
                state.seen, state.sent = UNSET, None
