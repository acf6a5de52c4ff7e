"""From a mapping's YAML to a compiled mapping."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import BaseModel

from crmbridge.config import meant_entity
from crmbridge.mapping.apply import AlsoMapping, Mapping
from crmbridge.mapping.compile_fields import compile_fields
from crmbridge.mapping.compiler import Compiler, EntityType, Target, Toolbox
from crmbridge.mapping.list_rules import ListRule
from crmbridge.mapping.rules import FieldRule, RuleSet
from crmbridge.mapping.spec import AlsoSpec, FileSpec
from crmbridge.mapping.vocabulary import of_model
from crmbridge.sdk.errors import ConfigError
from crmbridge.yamlfile import Document, Loc

__all__ = ["compile_mapping"]


def compile_mapping(
    document: Document, spec: FileSpec, toolbox: Toolbox, target: Target
) -> tuple[Mapping | None, list[ConfigError]]:
    """The compiled mapping, or None and what is wrong with it."""
    compiler = Compiler(document, toolbox, target)
    entity = _entity(compiler, spec.entity, ("entity",))
    for name, also in spec.also.items():
        if also is not None:
            key = compiler.native_expression(also.key, ("also", name, "key"))
            if key is not None:
                compiler.also_keys[name] = key
    if entity is None:
        return None, compiler.errors
    abroad = _abroad(document, spec, toolbox, target)
    parts = _common(compiler, spec, entity, ())
    parts["abroad"] = abroad if compiler.by_country else None
    if spec.create_when is not None:
        parts["create_when"] = compiler.canonical_expression(
            spec.create_when, ("create_when",), of_model(entity)
        )
    also_mappings = [
        made
        for name, also in spec.also.items()
        if also and (made := _also(compiler, spec, name, also, abroad)) is not None
    ]
    mapping = Mapping(
        **parts,
        stream=spec.stream,
        fingerprint=_fingerprint(compiler, spec, entity),
        also=tuple(also_mappings),
        references=tuple(compiler.references),
        on_create=spec.on_create,
    )
    return (None if compiler.errors else mapping), compiler.errors


def _abroad(
    document: Document, spec: FileSpec, toolbox: Toolbox, target: Target
) -> Callable[[str], Mapping | None]:
    """The same mapping as it reads and writes records of another country; compiled once for each."""

    @cache
    def compiled(country: str) -> Mapping | None:
        made, _ = compile_mapping(document, spec, toolbox.in_country(country), target)
        return replace(made, abroad=compiled) if made is not None else None

    return compiled


def _also_abroad(abroad: Callable[[str], Mapping | None], name: str) -> Callable[[str], Mapping | None]:
    def compiled(country: str) -> Mapping | None:
        whole = abroad(country)
        return next((one for one in whole.also if one.name == name), None) if whole else None

    return compiled


def _also(
    compiler: Compiler,
    spec: FileSpec,
    name: str,
    also: AlsoSpec,
    abroad: Callable[[str], Mapping | None],
) -> AlsoMapping | None:
    loc = ("also", name)
    entity = _entity(compiler, also.entity, (*loc, "entity"))
    if entity is None:
        return None
    parts = _common(compiler, also, entity, loc)
    parts["abroad"] = _also_abroad(abroad, name) if compiler.by_country else None
    return AlsoMapping(
        **parts,
        stream=spec.stream,
        fingerprint=_fingerprint(compiler, also, entity),
        name=name,
        content_key=compiler.also_keys.get(name),
    )


def _common(compiler: Compiler, spec: FileSpec | AlsoSpec, entity: EntityType, loc: Loc) -> dict[str, Any]:
    """What `Mapping` and `AlsoMapping` have in common."""
    compiler.loose = compiler.by_country = False
    fields, lists = compile_fields(compiler, spec.fields, entity, (*loc, "fields"), top=True)
    as_one = {name: _without_write(rule) if rule.transition else rule for name, rule in fields.items()}
    as_one |= {name: _read_only_list(rule) for name, rule in lists.items()}
    return {
        "system": compiler.target.system,
        "entity": spec.entity,
        "position": compiler.at(loc),
        "places": {name: compiler.at((*loc, name)) for name in ("when", "key")}
        | {name: compiler.at((*loc, "on_create", name)) for name in getattr(spec, "on_create", ())},
        "model": entity,
        "fields": fields,
        "lists": lists,
        "rules": RuleSet(as_one, compiler.target.absent),
        "when": compiler.native_expression(spec.when, (*loc, "when")),
        "loose": compiler.loose,
    }


def _fingerprint(compiler: Compiler, spec: BaseModel, entity: EntityType) -> str:
    said = {
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"system"}),
        "absent": compiler.target.absent is None,
        "child_ids": dict(compiler.target.child_ids),
        "settings": compiler.toolbox.settings,
        "entity": sorted(entity.model_fields),
        "made_with": sorted(compiler.made_with),
    }
    # Short, since every record keeps it.
    return hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def _entity(compiler: Compiler, name: str, loc: Loc) -> EntityType | None:
    entity = compiler.toolbox.entities.get(name)
    if entity is None:
        compiler.fail(loc, f"unknown entity {name!r}; {meant_entity(name, compiler.toolbox.entities)}")
    compiler.uses("crmbridge_schemas", name)
    return entity


def _without_write(rule: FieldRule) -> FieldRule:
    return FieldRule(
        rule.name,
        rule.position,
        rule.read,
        native=rule.native,
        sources=rule.sources,
        key=rule.key,
        only=rule.only,
    )


def _read_only_list(rule: ListRule) -> FieldRule:
    return FieldRule(
        rule.field,
        rule.position,
        rule.read,
        native=rule.native_fields,
        sources=rule.sources,
        inner=rule.rules,
        only=rule.only,
    )
