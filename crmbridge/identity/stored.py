"""What the store keeps of a link: its document as last seen, and the state that does not follow from that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from crmbridge.identity.link import UNSET, FieldState, Link, Statement, element_id_of, flatten
from crmbridge.identity.shape import Shape

__all__ = ["Kept", "dump", "dump_part", "kept", "load", "load_part", "seen_doc"]


class Kept(NamedTuple):
    """What the store kept of a link, decoded."""

    doc: dict[str, Any]
    fields: dict[str, Any]
    elements: dict[str, dict[str, str]]


def kept(seen: str, state: str | None) -> Kept:
    """Both texts of `dump`."""
    extra = msgspec.json.decode(state) if state else {}
    return Kept(msgspec.json.decode(seen), extra.get("fields", {}), extra.get("elements", {}))


def load(link: Link, shape: Shape, found: Kept) -> Link:
    """Fill `link` from what the store kept of it."""
    link.elements = found.elements
    for path, value in flatten(shape, link, found.doc).items():
        link.fields[path] = FieldState(value, Statement(value, 0, link.record_id))
    for path, parts in found.fields.items():
        link.fields[path] = _field_from(parts, link.fields.get(path), link.record_id)
    return link


def load_part(link: Link, shape: Shape, found: Kept, names: Collection[str]) -> Link:
    """The same with no more than these fields; see `dump_part`."""
    fields = {path: parts for path, parts in found.fields.items() if path.partition("/")[0] in names}
    return load(link, shape, Kept(_some(found.doc, names), fields, _some(found.elements, names)))


def dump(link: Link, shape: Shape) -> tuple[str, str | None]:
    """What the store keeps: the document as last seen, and what of the state does not follow from it."""
    return _dumped(link, seen_doc(link, shape), _fields_to(link), link.elements)


def dump_part(link: Link, shape: Shape, found: Kept, names: Collection[str]) -> tuple[str, str | None]:
    """The same for a link of which only `names` were loaded from `found`: the rest stays."""
    doc = found.doc | seen_doc(link, shape, names)
    fields = {path: parts for path, parts in found.fields.items() if path.partition("/")[0] not in names}
    ordered = {name: doc[name] for name in (*shape.scalars, *shape.lists) if name in doc}
    return _dumped(link, ordered, fields | _fields_to(link), found.elements | link.elements)


def _some(found: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in names}


def _fields_to(link: Link) -> dict[str, Any]:
    return {path: parts for path, state in link.fields.items() if (parts := _field_to(state, link.record_id))}


def _dumped(
    link: Link, doc: dict[str, Any], fields: dict[str, Any], elements: Mapping[str, dict[str, str]]
) -> tuple[str, str | None]:
    extra: dict[str, Any] = {"fields": fields} if fields else {}
    known = {name: ids for name, ids in elements.items() if ids}
    if known and (extra or not _ids_are_own(link, known)):
        extra["elements"] = known
    return _compact(doc), _compact(extra) if extra else None


def seen_doc(link: Link, shape: Shape, names: Collection[str] | None = None) -> dict[str, Any]:
    """The canonical document as the record holds it now. names: no more than these fields."""
    doc: dict[str, Any] = {}
    for name in (*shape.scalars, *shape.lists) if names is None else names:
        if name in shape.lists:
            shown = link.shown(name)
            if shown or link.elements.get(name):
                doc[name] = [{"id": local, **link.element(name, eid)} for eid, local in shown.items()]
        elif (value := link.holds(name)) is not UNSET:
            doc[name] = value
    return doc


def _ids_are_own(link: Link, elements: Mapping[str, Mapping[str, str]]) -> bool:
    return all(
        element_id == element_id_of(link, name, local)
        for name, known in elements.items()
        for local, element_id in known.items()
    )


def _field_to(state: FieldState, record_id: int) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if state.own != Statement(state.seen, 0, record_id):
        parts["own"] = _own_to(state.own)
    if state.seen is None:
        parts["null"] = 1
    if state.sent:
        parts["sent"] = list(state.sent)
    if state.sent and state.undone:
        parts["undone"] = state.undone
    if state.before is not UNSET:
        parts["before"] = state.before
    if state.over:
        parts["over"] = list(state.over)
    if state.shared != state.over:
        parts["shared"] = list(state.shared) if state.shared else None
    if state.said:
        parts["said"] = _own_to(state.said)
    if state.writes:
        parts["writes"] = state.writes
    return parts if set(parts) != {"null"} else {}


def _own_to(own: Statement | None) -> list[Any] | None:
    return [own.value, own.time, own.slack] if own else None


def _own_from(parts: list[Any] | None, record_id: int) -> Statement | None:
    return Statement(parts[0], parts[1], record_id, parts[2]) if parts else None


def _field_from(parts: Mapping[str, Any], plain: FieldState | None, record_id: int) -> FieldState:
    state = plain or FieldState()
    if "own" in parts:
        state.own = _own_from(parts["own"], record_id)
    if "null" in parts:
        state.seen = None
    state.sent = Statement(*parts["sent"]) if "sent" in parts else None
    state.undone = parts.get("undone", 0)
    state.before = parts.get("before", UNSET)
    state.over = Statement(*parts["over"]) if "over" in parts else None
    shared = parts.get("shared", parts.get("over"))
    state.shared = Statement(*shared) if shared else None
    state.said = _own_from(parts.get("said"), record_id)
    state.writes = [(value, at) for value, at in parts.get("writes", ())]
    return state


def _compact(data: Any) -> str:
    return msgspec.json.encode(data).decode()
