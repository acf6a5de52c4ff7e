"""A few memory systems, their mappings and policies, and a clock that only tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crmbridge.connectors.memory import Behaviour, MemoryConnector, MemorySystem
from crmbridge.engine import sync as pipeline
from crmbridge.engine.contract import Checked
from crmbridge.engine.operations import Planned
from crmbridge.engine.run import Flow, Run, System
from crmbridge.engine.titles import titled
from crmbridge.identity.policy import Policy
from crmbridge.identity.shape import shape_of
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.compile import compile_mapping
from crmbridge.mapping.compiler import Target, Toolbox
from crmbridge.mapping.spec import FileSpec
from crmbridge.mapping.transforms import builtin_codecs
from crmbridge.sdk.connector import Context
from crmbridge.store.base import Store
from crmbridge.store.rows import RunRow
from crmbridge.store.sql import open_store
from crmbridge.yamlfile import loads, validate
from crmbridge_schemas.registry import ENTITIES

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)


class NoLimits:
    """Everything is allowed: most laws are not about limits."""

    def allows(self, name: str, count: int, total: int, *, first: bool) -> bool:
        return True

    def describe(self, name: str, *, first: bool) -> str:
        return "none"


def mapping(text: str, system: str, behaviour: Behaviour) -> StreamMapping:
    """Compile a mapping from YAML."""
    document = loads(text, f"{system}.yaml")
    spec = validate(document, FileSpec)
    toolbox = Toolbox(ENTITIES, builtin_codecs("DE", "UTC"), {}, ("DE", "UTC"))
    absent: Any = None if behaviour.absent_means == "null" else Target("x").absent
    compiled, errors = compile_mapping(document, spec, toolbox, Target(system, absent, behaviour.child_ids))
    assert compiled is not None, errors
    return compiled


@dataclass
class World:
    """Systems and the bridge between them."""

    mappings: Mapping[str, list[str]]
    """System -> mapping files as text."""
    policies: list[Policy]
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    create: Mapping[str, Mapping[str, Callable[[Any], bool]]] | None = None
    """Entity -> system -> create rule; None: everything is created everywhere."""
    targets: Mapping[str, list[str]] | None = None
    limits: Any = field(default_factory=NoLimits)
    state: str = "sqlite://"

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        self.memory: dict[str, MemorySystem] = {}
        self.compiled: dict[str, list[StreamMapping]] = {}
        for name, texts in self.mappings.items():
            behaviour = self.behaviours.get(name, Behaviour())
            self.compiled[name] = [mapping(text, name, behaviour) for text in texts]
            self.memory[name] = MemorySystem({m.stream for m in self.compiled[name]}, self.clock, behaviour)
            self.memory[name].name = name
        self.store: Store = open_store(self.state, now=lambda: int(self.clock().timestamp() * 1_000_000))

    def run(self, store: Store | None = None, **options: Any) -> Run:
        """A new run."""
        store = store or self.store
        systems = {name: self._system(name, store) for name in self.memory}
        run = Run(
            store,
            systems,
            [self._flow(policy) for policy in self.policies],
            self.limits,
            self.clock,
            self.events.append,
            self.clock.sleep,
            region="DE",
            trial=store is not self.store,
            **options,
        )
        with store.transaction():
            run.id = store.begin_run(RunRow(command="sync", started_at=run.now()))
        return run

    def sync(self, **options: Any) -> pipeline.Outcome:
        """One sync, a minute after the last; first syncs are taken as approved."""
        self.clock.sleep(60)
        run = self.run(**options)
        with self.store.transaction():
            for flow in run.flows:
                for system in flow.targets:
                    self.store.put_setting(f"approved:{flow.entity}:{system}", "test")
        return pipeline.sync(run, accept_config=True)

    def plan(self) -> list[Planned]:
        """What a sync would write."""
        self.clock.sleep(60)
        with self.store.scratch() as copy:
            run = self.run(copy)
            pipeline.plan(run)
            return list(titled(pipeline.operations(run), copy))

    def apply(self, planned: Iterable[Planned], **options: Any) -> pipeline.Outcome:
        """Apply a saved plan."""
        self.clock.sleep(60)
        return pipeline.apply(self.run(), planned, **options)

    def live(self, system: str, stream: str = "customers") -> dict[str, dict[str, Any]]:
        """What is in a system now."""
        return self.memory[system].live(stream)

    def only(self, system: str, stream: str = "customers") -> dict[str, Any]:
        """The one record of a system."""
        (found,) = self.live(system, stream).values()
        return found

    def _system(self, name: str, store: Store) -> System:
        context = Context(
            name, Path(), store.session(name), self.clock, lambda: 0.5, read_only=False, http=_no_http
        )
        connector = MemoryConnector.on(self.memory[name], context)
        streams = {stream.name: stream for stream in connector.streams()}
        by_stream: dict[str, list[StreamMapping]] = {}
        for one in self.compiled[name]:
            by_stream.setdefault(one.stream, []).append(one)
        return System(name, Checked(name, connector), "live", streams, by_stream)

    def _flow(self, policy: Policy) -> Flow:
        targets = (self.targets or {}).get(policy.entity, list(policy.systems))
        rules = (self.create or {}).get(policy.entity)
        create = dict.fromkeys(targets, _always) if rules is None else dict(rules)
        mapped = [m for some in self.compiled.values() for m in some if m.entity == policy.entity]
        policy = replace(policy, constants={(m.system, m.stream): m.constants() for m in mapped})
        return Flow(policy.entity, shape_of(ENTITIES[policy.entity], "DE"), policy, targets, create, "1")


def _always(_: Any) -> bool:
    return True


def _no_http(*_: Any, **__: Any) -> Any:
    raise AssertionError("a memory system has no network")
