"""What must hold between the parts of a config: names that are used exist."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from os.path import commonprefix
from typing import Any

from crmbridge.config.model import EntitySync, Owner, Settings
from crmbridge.sdk.errors import ConfigError
from crmbridge.yamlfile import Document
from crmbridge_schemas.base import status_field

__all__ = [
    "by_place",
    "check_entities",
    "check_settings",
    "check_survivorship",
    "meant",
    "meant_entity",
    "raise_all",
]

Loc = tuple[str | int, ...]
Problem = tuple[Loc, str, bool]
"""Where, what, and whether the key is meant rather than the value."""

ONE_SOURCE = frozenset({"stock_level"})
"""Entities of which the latest change says nothing: two counts of the same shelf are never merged."""

OTHER_NAMES = {
    "party": {"customer", "customers", "client", "contact", "contacts", "account", "accounts", "company",
              "person", "organization", "supplier", "vendor", "lead", "leads", "partner", "parties"},
    "sales_order": {"order", "orders", "sale", "sales_orders"},
    "purchase_order": {"purchase", "purchases", "purchase_orders"},
    "product": {"article", "articles", "item", "items", "products", "sku"},
    "case": {"ticket", "tickets", "complaint", "complaints", "issue", "cases"},
    "interaction": {"activity", "activities", "call", "calls", "event", "meeting"},
    "opportunity": {"deal", "deals", "opportunities", "quote"},
    "stock_level": {"stock", "inventory"},
    "shipment": {"delivery", "deliveries", "shipments"},
    "invoice": {"bill", "bills", "invoices"},
}  # fmt: skip
"""Entity -> what people call it elsewhere."""

MOST_NAMES = 20
"""So many are listed where a name resembles none."""

BUILTIN_RULES = frozenset({"latest", "manual"})
"""Survivorship rules that the config may name beside the plugins'."""


def meant(name: str, known: Iterable[str]) -> str:
    """What to say of a name that does not exist: the one that it resembles, or which ones there are."""
    names = list(known)
    if close := get_close_matches(name, names, n=3):
        # Of those that are about equally close the one that begins alike: `partie` is no `price`.
        return f"did you mean {max(close, key=functools.partial(_likeness, name))!r}?"
    more = ", ..." if len(names) > MOST_NAMES else ""
    return f"there are {', '.join(names[:MOST_NAMES]) or 'none'}{more}"


def _likeness(name: str, other: str) -> tuple[float, int]:
    same = len(commonprefix((name, other)))  # noqa: RUF071 - of characters
    return round(SequenceMatcher(None, other, name).ratio(), 1), same


def meant_entity(name: str, known: Iterable[str]) -> str:
    """The same of an entity, for which other programs have other names."""
    ours = next((entity for entity, others in OTHER_NAMES.items() if name.lower() in others), None)
    names = list(known)
    return f"did you mean {ours!r}?" if ours in names else meant(name, names)


def check_settings(settings: Settings, document: Document) -> None:
    """Every system that is named is configured. Raises one ConfigError for all that is wrong."""
    problems: list[Problem] = []
    for entity, sync in settings.sync.items():
        problems += _check_sync(sync, settings.systems, ("sync", entity))
        if entity in ONE_SOURCE and sync.between is not None:
            text = f"a {entity} has one source, whose count is right: write from: SYSTEM and to: [SYSTEM]"
            problems.append((("sync", entity, "between"), text, True))
    for name, insight in settings.insights.items():
        problems += _unknown(insight.system, settings.systems, ("insights", name, "system"), "system")
    raise_all([_error(document, problem) for problem in problems])


def unknown_systems(document: Document) -> list[ConfigError]:
    """Systems that a sync names and that are not there, of a config that cannot be read as a whole."""
    data = document.data if isinstance(document.data, dict) else {}
    systems, syncs = data.get("systems"), data.get("sync")
    if not isinstance(systems, dict) or not isinstance(syncs, dict):
        return []
    return [
        _error(document, problem)
        for entity, sync in syncs.items()
        if isinstance(sync, dict)
        for key in ("between", "to")
        if isinstance(names := sync.get(key), list)
        for index, name in enumerate(names)
        if isinstance(name, str)
        for problem in _unknown(name, systems, ("sync", entity, key, index), "system")
    ]


def _check_sync(sync: EntitySync, systems: Collection[str], loc: Loc) -> Iterator[Problem]:
    for key, names in (("between", sync.between or []), ("to", sync.to or [])):
        for index, name in enumerate(names):
            yield from _unknown(name, systems, (*loc, key, index), "system")
            if name in names[:index]:
                yield (*loc, key, index), f"{name!r} is named twice", False
    if sync.from_ is not None:
        yield from _unknown(sync.from_, systems, (*loc, "from"), "system")
        if sync.from_ in (sync.to or []):
            yield (*loc, "to"), f"{sync.from_!r} is the source, so it cannot be a target too", False
    taking_part = sync.systems
    if isinstance(sync.create, dict):
        for name in sync.create:
            yield from _unknown(name, sync.targets, (*loc, "create", name), "target of this sync", key=True)
    for field, names in sync.authority.items():
        for index, name in enumerate(names):
            yield from _unknown(name, taking_part, (*loc, "authority", field, index), "system of this sync")
    if sync.owner is not None:
        yield from _check_owner(sync.owner, taking_part, (*loc, "owner"))


def _check_owner(owner: Owner, taking_part: Collection[str], loc: Loc) -> Iterator[Problem]:
    for key, name in (("first", owner.first), ("then", owner.then)):
        yield from _unknown(name, taking_part, (*loc, key), "system of this sync")
    if owner.first == owner.then:
        text = f"{owner.then!r} is the first owner already; for one owner all along, use authority"
        yield (*loc, "then"), text, False


def check_entities(settings: Settings, document: Document, entities: Mapping[str, Any]) -> list[ConfigError]:
    """Entities, fields and states that the config names and that do not exist.

    entities: canonical name -> model, custom ones included.
    """
    problems: list[Problem] = []
    for entity, sync in settings.sync.items():
        loc: Loc = ("sync", entity)
        if entity not in entities:
            problems.append((loc, f"{entity!r} is no entity; {meant_entity(entity, entities)}", True))
            continue
        fields = entities[entity].model_fields
        clear = sync.clear if isinstance(sync.clear, dict) else {}
        for key, named in (
            ("authority", sync.authority),
            ("survivorship", sync.survivorship),
            ("clear", clear),
        ):
            for field in named:
                problems += _unknown(field, fields, (*loc, key, field), f"field of {entity}", key=True)
        if sync.owner is not None:
            problems += _check_until(entity, entities[entity], sync.owner.until, (*loc, "owner"))
    for name in settings.insights:
        problems += _unknown(name, entities, ("insights", name), "entity", key=True)
    return [_error(document, problem) for problem in problems]


def _check_until(entity: str, model: Any, until: str, loc: Loc) -> Iterator[Problem]:
    status = status_field(model)
    if status is None:
        yield loc, f"{entity} has no status, so it has no owner until one; use authority", True
    elif until not in status[1]:
        text = f"{until!r} is no {status[0]} of {entity}; {meant(until, status[1])}"
        yield (*loc, "until"), text, False


def check_survivorship(settings: Settings, document: Document, rules: Collection[str]) -> list[ConfigError]:
    """Survivorship rules that do not exist. rules: the plugins'."""
    known = {*BUILTIN_RULES, *rules}
    return [
        _error(document, problem)
        for entity, sync in settings.sync.items()
        for field, rule in sync.survivorship.items()
        for problem in _unknown(rule, known, ("sync", entity, "survivorship", field), "survivorship rule")
    ]


def _unknown(
    name: str, known: Collection[str], loc: Loc, what: str, *, key: bool = False
) -> Iterator[Problem]:
    if name not in known:
        yield loc, f"{name!r} is no {what}; {meant(name, known)}", key


def _error(document: Document, problem: Problem) -> ConfigError:
    loc, message, key = problem
    return document.error(loc, message, of="key" if key else "value")


def raise_all(errors: list[ConfigError]) -> None:
    """Nothing, or one ConfigError that lists all of them, each with its place."""
    if not errors:
        return
    different = {(error.position, error.message): error for error in errors}
    first, *others = sorted(different.values(), key=by_place)
    lines = [first.message, *(f"{error.where}: {_with_hint(error)}" for error in others)]
    if others and first.hint:
        lines[0] = _with_hint(first)
    raise ConfigError("\n".join(lines), position=first.position, hint=None if others else first.hint)


def by_place(error: ConfigError) -> tuple[str, int, int]:
    """By file, line and column."""
    file, line, column = (error.position or ":0:0").rsplit(":", 2)
    return file, int(line), int(column)


def _with_hint(error: ConfigError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
