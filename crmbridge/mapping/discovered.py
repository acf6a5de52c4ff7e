"""Comparing a mapping with the fields that the system really has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from crmbridge.config import meant
from crmbridge.mapping.apply import AlsoMapping
from crmbridge.mapping.apply import Mapping as CompiledMapping
from crmbridge.mapping.list_rules import ListRule
from crmbridge.mapping.rules import FieldRule
from crmbridge.mapping.vocabulary import misspelt, of_fields
from crmbridge.sdk.connector import FieldInfo, Finding

__all__ = ["check_against", "missing_columns"]


def check_against(
    mapping: CompiledMapping,
    discovered: Mapping[str, FieldInfo],
    *,
    creates: bool = True,
    writes: bool = True,
) -> list[Finding]:
    """What does not fit between a mapping and what `discover` found; nothing where nothing is known.

    creates: whether records are created by this mapping, so that required fields have to be written; writes:
    whether anything can be written there at all.
    """
    if not discovered:
        return []
    findings = [finding for one in (mapping, *mapping.also) for finding in _check_one(one, discovered)]
    for field in mapping.fields.values():
        if writes and field.write is not None:
            findings += _check_writable(mapping, field, discovered)
    for name, value in mapping.on_create.items():
        findings += _check_set(mapping, name, value, discovered)
    written = {name.split(".")[0] for name in _written(mapping)} | set(mapping.on_create)
    for name, info in discovered.items():
        if creates and info.required and info.on_create and name not in written:
            text = (
                f"{mapping.position}: {mapping.stream} requires {name!r}, which this mapping does not write"
            )
            findings.append(
                Finding("warning", text, "map it, or set it with on_create:, before creating records")
            )
    return findings


def _check_one(mapping: CompiledMapping, discovered: Mapping[str, FieldInfo]) -> Iterator[Finding]:
    """What it reads, and what its conditions look at."""
    rules: list[FieldRule | ListRule] = [*mapping.fields.values(), *mapping.lists.values()]
    for rule in rules:
        field = rule.field if isinstance(rule, ListRule) else rule.name
        for source in rule.sources:
            yield from _check_path(mapping.stream, f"{rule.position}: {field}", source, discovered)
    record = of_fields(mapping.stream, discovered)
    conditions = [(mapping.places["when"], "when", mapping.when, record)]
    if isinstance(mapping, AlsoMapping):
        conditions.append((mapping.places["key"], "key", mapping.content_key, record))
    for one in mapping.lists.values():
        inside = of_fields(one.native or "", _inside(one.native or "", discovered))
        conditions.append((one.position, f"{one.field}: when", one.when, inside))
    for position, name, expression, of in conditions:
        for problem in misspelt(expression, of) if expression is not None else ():
            text, _, hint = problem.partition("; ")
            yield Finding("error", f"{position}: {name}: {text}", hint)
        for field in sorted(expression.compared) if expression is not None else ():
            text = f'{position}: {name}: "{field}" in double quotes is the name of a field'
            yield Finding("warning", text, f"if the text is meant, write {field!r} in single quotes")


def _inside(path: str, discovered: Mapping[str, FieldInfo]) -> Mapping[str, FieldInfo]:
    """The fields of the children of a native list; nothing where they are not known."""
    for name in path.split("."):
        discovered = discovered[name].fields if name in discovered else {}
    return discovered


def _check_set(
    mapping: CompiledMapping, name: str, value: object, discovered: Mapping[str, FieldInfo]
) -> Iterator[Finding]:
    """A field that every create sets."""
    place = f"{mapping.places[name]}: on_create"
    wrong = list(_check_path(mapping.stream, place, name, discovered))
    yield from wrong
    info = discovered.get(name)
    if wrong or info is None:
        return
    if not info.on_create:
        yield Finding("error", f"{place}: {mapping.stream} does not let {name!r} be written", "leave it out")
    elif info.choices and isinstance(value, str) and value not in info.choices:
        yield Finding("error", f"{place}: {name} is never {value!r}", meant(value, info.choices))


def missing_columns(mapping: CompiledMapping, columns: Collection[str]) -> list[Finding]:
    """Which columns the mapping speaks of that a table with these columns does not have."""
    wanted: dict[str, str] = {}
    for one in (*mapping.also, mapping):
        rules: list[FieldRule | ListRule] = [*one.fields.values(), *one.lists.values()]
        asked = {"when": one.when, "key": one.content_key if isinstance(one, AlsoMapping) else None}
        for place, expression in asked.items():
            wanted |= dict.fromkeys(expression.names if expression is not None else (), one.places[place])
        wanted |= {path: rule.position for rule in rules for path in rule.sources}
    return [
        Finding("error", f"{path!r} ({position})", _single_quotes(mapping, path) or meant(path, columns))
        for path, position in sorted(wanted.items())
        if not _has(columns, path)
    ]


def _single_quotes(mapping: CompiledMapping, name: str) -> str:
    """What is meant by a field that a condition names in double quotes, and that there is not."""
    conditions = (one.when for one in (mapping, *mapping.also))
    if not any(name in condition.compared for condition in conditions if condition is not None):
        return ""
    return f"in double quotes it is the name of a column; for the text write {name!r} in single quotes"


def _has(columns: Collection[str], path: str) -> bool:
    if path in columns:
        return True
    parts = path.split(".")
    above = (".".join(parts[:length]) for length in range(1, len(parts)))
    return any(
        name in columns and not any(column.startswith(f"{name}.") for column in columns) for name in above
    )


def _written(mapping: CompiledMapping) -> Iterator[str]:
    for rule in mapping.fields.values():
        if rule.write is not None:
            yield from rule.native
    for list_rule in mapping.lists.values():
        if list_rule.writable:
            yield from list_rule.native_fields


def _check_path(stream: str, place: str, path: str, discovered: Mapping[str, FieldInfo]) -> Iterator[Finding]:
    fields = discovered
    for name in path.split("."):
        if path in fields:  # a name that has dots itself
            return
        info = fields.get(name)
        if info is None:
            yield Finding("error", f"{place}: {stream} has no field {path!r}", meant(name, fields))
            return
        if not info.fields:
            return
        fields = info.fields


def _check_writable(
    mapping: CompiledMapping, rule: FieldRule, discovered: Mapping[str, FieldInfo]
) -> Iterator[Finding]:
    for name in rule.native:
        info = discovered.get(name)
        if info is not None and not info.on_create and not info.on_update and not rule.transition:
            text = f"{rule.position}: {rule.name}: {mapping.stream} does not let {name!r} be written"
            yield Finding("error", text, "add write: never")
