"""Whether a changed JSON Schema still takes every record that the old one took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["incompatibilities"]

Schema = Mapping[str, Any]

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "const", "multipleOf", "uniqueItems")
_META = (
    "identity",
    "merge_key",
    "merge_as",
    "merge_alike",
    "merge_apart",
    "refers_to",
    "computed",
    "status",
    "survivorship",
)
"""What of `x-crmbridge` decides what stored data mean: who is one, which elements meet, what wins. It must
not change."""
_KEPT = ("personal",)
"""What of `x-crmbridge` may be added, and stays: what was personal would be shown."""


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """What a writer or mapping made for `old` can no longer do with `new`; empty where nothing.

    Both are JSON Schemas as `crmbridge_schemas.generate` writes them. New optional fields, new values of an
    enumeration and wider types are compatible. Each item names the place: `addresses[].city: ...`.
    """
    found = list(_entity(old.get("x-crmbridge", {}), new.get("x-crmbridge", {})))
    found += _Comparison(old.get("$defs", {}), new.get("$defs", {})).compare("", old, new)
    return found


def _entity(old: Schema, new: Schema) -> Iterable[str]:
    if new.get("experimental") and not old.get("experimental"):
        yield "the entity was stable and is now experimental"
    for key in ("entity", "natural_key", "matched", "document"):
        if old.get(key) != new.get(key):
            yield f"{key} was {_json(old.get(key))} and is now {_json(new.get(key))}"


class _Comparison:
    def __init__(self, old_definitions: Schema, new_definitions: Schema) -> None:
        self.old_definitions = old_definitions
        self.new_definitions = new_definitions
        self.open: set[tuple[str, str]] = set()
        """Pairs of definitions that are being compared: a type may contain itself."""

    def compare(self, place: str, old: Schema, new: Schema) -> list[str]:
        found = list(_meta(place, old, new))
        pair = (old["$ref"], new["$ref"]) if "$ref" in old and "$ref" in new else None
        if pair in self.open:
            return found
        if pair:
            self.open.add(pair)
        old, new = _resolved(old, self.old_definitions), _resolved(new, self.new_definitions)
        if "anyOf" in old or "anyOf" in new:
            found += self._alternatives(place, old, new)
        else:
            found += self._one(place, old, new)
        if pair:
            self.open.discard(pair)
        return found

    def _alternatives(self, place: str, old: Schema, new: Schema) -> list[str]:
        """Each old alternative must be taken by one of the new."""
        found: list[str] = []
        choices = new.get("anyOf", [new])
        for option in old.get("anyOf", [old]):
            attempts = [self.compare(place, option, choice) for choice in choices]
            if all(attempts):
                kinds = [_kind(choice) for choice in choices]
                found += (
                    attempts[kinds.index(_kind(option))] if _kind(option) in kinds else _lost(place, option)
                )
        return found

    def _one(self, place: str, old: Schema, new: Schema) -> list[str]:
        found = [*_type(place, old, new), *_limits(place, old, new)]
        if found:
            return found
        return [*self._properties(place, old, new), *self._items(place, old, new)]

    def _properties(self, place: str, old: Schema, new: Schema) -> list[str]:
        found = []
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            inside = f"{place}.{name}" if place else name
            if name in after:
                found += self.compare(inside, schema, after[name])
            else:
                found.append(f"{inside}: was removed")
        for name in new.get("required", ()):
            if name not in old.get("required", ()):
                found.append(f"{place}.{name}: is now required" if place else f"{name}: is now required")
        if old.get("additionalProperties", True) is not False and new.get("additionalProperties") is False:
            found.append(f"{place or 'the entity'}: no longer takes further properties")
        return found

    def _items(self, place: str, old: Schema, new: Schema) -> list[str]:
        if "items" not in new:
            return []
        return self.compare(f"{place}[]", old.get("items", {}), new["items"])


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _meta(place: str, old: Schema, new: Schema) -> Iterable[str]:
    if not place:
        return
    if "default" in old and old["default"] != new.get("default"):
        yield f"{place}: the default was {_json(old['default'])} and is now {_json(new.get('default'))}"
    before, after = old.get("x-crmbridge", {}), new.get("x-crmbridge", {})
    for key in _META:
        if before.get(key) != after.get(key):
            yield f"{place}: {key} was {_json(before.get(key))} and is now {_json(after.get(key))}"
    for key in _KEPT:
        if key in before and before[key] != after.get(key):
            yield f"{place}: {key} was {_json(before[key])} and is now {_json(after.get(key))}"
    if after.get("required") and not before.get("required"):
        yield f"{place}: is now required"
    if before.get("status") and after.get("status"):
        yield from _order(place, _values(old), _values(new))


def _order(place: str, old: list[str], new: list[str]) -> Iterable[str]:
    """The values of a status stand in the order in which a document passes them; new ones may lie between."""
    before, after = ([v for v in values if v in old and v in new] for values in (old, new))
    if before != after:
        yield f"{place}: the order was {_json(before)} and is now {_json(after)}"


def _values(schema: Schema) -> list[str]:
    return [value for option in schema.get("anyOf", [schema]) for value in option.get("enum", ())]


def _type(place: str, old: Schema, new: Schema) -> Iterable[str]:
    before, after = _types(old), _types(new)
    if after is None:
        return
    if before is None or not all(t in after or (t == "integer" and "number" in after) for t in before):
        yield f"{place}: the type was {_json(old.get('type', 'any'))} and is now {_json(new['type'])}"


def _types(schema: Schema) -> list[str] | None:
    types = schema.get("type")
    return [types] if isinstance(types, str) else types


def _limits(place: str, old: Schema, new: Schema) -> Iterable[str]:
    if "enum" in new:
        before = old.get("enum", [old["const"]] if "const" in old else None)
        if before is None:
            yield f"{place}: is now limited to {_json(new['enum'])}"
        elif lost := [value for value in before if value not in new["enum"]]:
            yield f"{place}: no longer takes {_json(lost)}"
    for key in _EXACT:
        if key in new and new[key] != old.get(key):
            yield f"{place}: {key} was {_json(old.get(key))} and is now {_json(new[key])}"
    for keys, sign in ((_LOWER_BOUNDS, 1), (_UPPER_BOUNDS, -1)):
        for key in keys:
            if key in new and (key not in old or sign * new[key] > sign * old[key]):
                yield f"{place}: {key} was {_json(old.get(key))} and is now {_json(new[key])}"


def _kind(schema: Schema) -> str:
    return "object" if "$ref" in schema else _json(schema.get("type"))


def _lost(place: str, option: Schema) -> list[str]:
    what = option.get("type") or str(option.get("$ref", "a form")).rpartition("/")[2]
    return [f"{place}: no longer takes {what}"]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
