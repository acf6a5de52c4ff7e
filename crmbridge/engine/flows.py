"""The flows that a config describes: how each entity travels, parents before children."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crmbridge.config import Config, EntitySync
from crmbridge.engine import insights
from crmbridge.engine.run import Flow
from crmbridge.identity.policy import Owner, Policy, Rule
from crmbridge.identity.shape import shape_of
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.load import Mappings
from crmbridge_schemas.base import Entity
from crmbridge_schemas.registry import write_order

__all__ = ["FlowMaker"]


@dataclass(frozen=True, slots=True)
class FlowMaker:
    """Everything that the flows follow from."""

    config: Config
    entities: Mapping[str, type[Entity]]
    written: Mappings
    """The mappings as they were written."""
    mappings: Mappings
    """The same, as far as they are bound to what the systems can do."""
    rules: Mapping[str, Rule]
    version: Callable[[str, str], str]
    """(hook, name) -> the version of whoever offers what the config names."""

    def flows(self, only_into: str | None = None) -> list[Flow]:
        """All flows; with `only_into` they write to that system only."""
        settings = self.config.settings
        order = write_order(self.entities, settings.sync.keys())
        order.sort(key=lambda entity: entity == "stock_level")  # orders travel before stock
        flows = [self._flow(entity, settings.sync[entity], only_into) for entity in order]
        return flows + self._insights(only_into)

    def _insights(self, only_into: str | None) -> list[Flow]:
        return insights.flows(self.config, self.entities, self.mappings, self._connector, only_into)

    def _flow(self, entity: str, sync: EntitySync, only_into: str | None) -> Flow:
        model = self.entities[entity]
        targets = [name for name in sync.targets if only_into in (None, name)]
        create = {
            name: functools.partial(self._may_create, entity, name)
            for name in targets
            if sync.create_in(name) != "never"
        }
        mappings = [m for system in sync.systems for m in self.written.of_entity(system, entity)]
        policy = _policy(entity, sync, model, self.rules, mappings)
        elsewhere = [name for name in sync.targets if name not in targets]
        fingerprint = self.fingerprint(entity, sync)
        return Flow(
            entity,
            shape_of(model, self.config.settings.country),
            policy,
            targets,
            create,
            fingerprint,
            elsewhere,
        )

    def _may_create(self, entity: str, system: str, doc: Mapping[str, Any]) -> bool:
        return self.mappings.may_create(self.config, entity, system, doc)

    def fingerprint(self, entity: str, sync: EntitySync, called: Mapping[str, str] = {}) -> str:
        """Of all that may change what is written: policy, mappings, connectors, each in its version.

        called: system -> the name that it shall have in the fingerprint.
        """
        parts = [json.dumps(_renamed(sync.model_dump(mode="json"), called), sort_keys=True)]
        parts.extend(self._rules_and_functions(entity, sync))
        for system in sync.systems:
            parts.append(self._connector(system))
            # As written, not as bound to what a system can do: one that is away just now changes nothing.
            parts.extend(m.fingerprint for m in self.written.of_entity(system, entity))
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    def _connector(self, system: str) -> str:
        """The connector of a system and its version."""
        name = self.config.systems[system].connector
        return f"{name} {self.version('crmbridge_connectors', name)}"

    def _rules_and_functions(self, entity: str, sync: EntitySync) -> Iterator[str]:
        """The versions of what the policy names: survivorship rules, functions of `create: {when: ...}`."""
        for rule in sorted(set(sync.survivorship.values())):
            yield self.version("crmbridge_survivorship", rule)
        for system in sync.targets:
            when = self.written.creates.get((entity, system))
            for name in sorted(when.functions) if when else ():
                yield self.version("crmbridge_functions", name)


def _renamed(value: Any, called: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {called.get(key, key): _renamed(part, called) for key, part in value.items()}
    if isinstance(value, list):
        return [_renamed(part, called) for part in value]
    return called.get(value, value) if isinstance(value, str) else value


def _policy(
    entity: str,
    sync: EntitySync,
    model: type[Entity],
    rules: Mapping[str, Rule],
    mappings: Iterable[StreamMapping],
) -> Policy:
    named = {name: rules.get(rule, rule) for name, rule in sync.survivorship.items()}
    owner = Owner(sync.owner.first, sync.owner.until, sync.owner.then) if sync.owner else None
    return Policy(
        entity=entity,
        systems=sync.systems,
        source=sync.from_,
        authority=sync.authority,
        survivorship=named,
        ignore_clear=frozenset(name for name in model.model_fields if sync.ignores_clear(name)),
        deletes=sync.deletes,
        owner=owner,
        constants={(m.system, m.stream): m.constants() for m in mappings},
    )
