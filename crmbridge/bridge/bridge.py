"""The composition root: config + plugins + store -> a bridge that plans, applies and syncs.

    with Bridge.open(Path("crmbridge.yaml")) as bridge:
        outcome = bridge.sync()

Nothing else reads the environment or the machine's clock, opens a connection or makes a client.
"""

from __future__ import annotations

import functools
import json
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from pydantic import BaseModel

from crmbridge.bridge.guard import guard_state
from crmbridge.bridge.loading import load_plugins
from crmbridge.config import Config, Secrets, check_survivorship, load_config, meant, raise_all
from crmbridge.engine import repair, steward
from crmbridge.engine import sync as pipeline
from crmbridge.engine.contract import Checked
from crmbridge.engine.flows import FlowMaker
from crmbridge.engine.planfile import SavedPlan, guard_place, load_plan, save_plan
from crmbridge.engine.prune import forgotten
from crmbridge.engine.run import Flow, Run, System, micros, told
from crmbridge.engine.titles import titled
from crmbridge.engine.undo import Undo, plan_undo
from crmbridge.mapping.load import Mappings, read_mappings
from crmbridge.plugins import Plugins
from crmbridge.sdk.connector import Connector, Context
from crmbridge.sdk.errors import RAISED, ConfigError, CrmbridgeError
from crmbridge.sdk.hookspecs import RunEvent
from crmbridge.sdk.http import HttpClient, Surroundings
from crmbridge.sdk.redact import Redactor
from crmbridge.store.base import Store
from crmbridge.store.rows import ConflictRow, RunRow
from crmbridge.store.sql import open_store
from crmbridge_schemas.base import Entity

__all__ = ["Bridge", "Options", "settings_models"]

_IDENTITY = "identity"
_DAY = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """How one run differs from an ordinary one."""

    allow: frozenset[str] = frozenset()
    """Limits that are lifted once."""
    only_into: str | None = None
    """Write to this system only."""
    full: bool = False
    """Read without cursors."""
    accept_config: bool = False
    """A changed mapping or policy needs no approval of its own."""
    link_only: bool = False
    """Read and match, and write nothing."""


@dataclass(slots=True)
class Bridge:
    """Everything that a config describes, ready to run."""

    config: Config
    plugins: Plugins
    entities: Mapping[str, type[Entity]]
    mappings: Mappings
    store: Store
    redact: Redactor
    clock: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep
    listeners: list[Callable[[RunEvent], None]] = field(default_factory=list)
    written: Mappings = field(init=False)
    """The mappings as they are written; `mappings` get bound to each system that is opened."""
    _connectors: dict[str, Connector] = field(default_factory=dict)
    _exit: ExitStack = field(default_factory=ExitStack)
    mistakes: list[ConfigError] | None = None
    """What is wrong with mappings, where it is only told; None: it is raised."""
    called_by: str = ""
    """The command line, for whoever finds the state locked by it; without one the run says its name alone."""

    def __post_init__(self) -> None:
        self.written = self.mappings

    # -- opening and closing -------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        path: Path,
        environment: str | None = None,
        *,
        tolerant: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Read the config and its mappings and open the state. No system is spoken to yet. `tolerant`: what
        is wrong with mappings, or with one system's settings, stops nothing yet; such a bridge only looks.

        Raises ConfigError with every mistake and its place; StateError for a state that can't be used.
        """
        config = load_config(path, environment)
        plugins = load_plugins(tuple(config.root / one for one in config.settings.plugins))
        entities = config.entities(plugins.schemas())
        shipped, wrong = _look_at_systems(config, plugins)
        mappings, mistakes = read_mappings(
            config, shipped, entities, plugins.codecs(), plugins.functions(), plugins.version
        )
        mistakes += check_survivorship(config.settings, config.document, plugins.survivorship())
        if not tolerant:
            raise_all([*wrong, *mistakes])
        redact = Redactor(config.written_secrets(settings_models(config, plugins)))
        secrets = Secrets(os.environ, config.root, redact.add)
        try:
            store = open_store(config.state_url(secrets), now=lambda: micros(clock()))
        except ConfigError as error:
            raise config.document.error(("state",), error.message, error.hint) from error
        told = mistakes if tolerant else None
        return cls(config, plugins, entities, mappings, store, redact, clock, sleep, mistakes=told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back connections and the state."""
        for name, connector in self._connectors.items():
            self._exit.callback(self._close, name, connector)
        self._connectors = {}
        self._exit.callback(self.store.close)
        self._exit.close()

    def _close(self, name: str, connector: Connector) -> None:
        try:
            connector.close()
        except RAISED as error:
            text = f"{told(error, name)}, when it was closed"
            self._emit(RunEvent("finding", "", self.clock(), system=name, text=text))

    # -- systems -------------------------------------------------------------------------------

    def connector(self, name: str, store: Store | None = None) -> Connector:
        """The connector of one system, made at first use. Raises ConfigError for its settings."""
        if name not in self._connectors:
            settings = self.config.systems.get(name)
            if settings is None:
                text = f"there is no system {name!r} in {self.config.path}"
                raise ConfigError(text, hint=meant(name, self.config.systems))
            kind = _kind(self.config, self.plugins, name)
            raise_all(_wrong_settings(self.config, name, kind))
            secrets = self._secrets()
            own = self.config.system_settings(name, kind.settings_model, secrets)
            with _placing(self.config, name):
                self._connectors[name] = _made(kind, name, own, self._context(name, store or self.store))
        return self._connectors[name]

    def _secrets(self) -> Secrets:
        return Secrets(os.environ, self.config.root, self.redact.add)

    def _context(self, name: str, store: Store) -> Context:
        http = functools.partial(
            HttpClient,
            settings=self.config.http_settings(name, self._secrets()),
            surroundings=Surroundings(self.clock, random.random, self.sleep, self.redact),
        )
        return Context(
            system=name,
            root=self.config.root,
            session=store.session(name),
            now=self.clock,
            random=random.random,
            read_only=self.config.systems[name].mode != "live",
            http=http,
        )

    def system(self, name: str) -> System:
        """One system, opened and bound to its mappings. Raises the connector's error."""
        with _placing(self.config, name):
            connector = Checked(name, self.connector(name))
            streams = {stream.name: stream for stream in connector.streams()}
        try:
            self.mappings = self.mappings.bind(name, list(streams.values()))
        except ConfigError as error:
            if self.mistakes is None:
                raise
            self.mistakes.append(error)
        mapped = {stream: self.mappings.of_stream(name, stream) for stream in streams}
        return System(name, connector, self.config.systems[name].mode, streams, mapped)

    def _open_all(self) -> tuple[dict[str, System], dict[str, CrmbridgeError]]:
        """The systems that could be opened, and why the others could not."""
        found: dict[str, System] = {}
        failed: dict[str, CrmbridgeError] = {}
        paused = {row.name for row in self.store.systems() if row.paused}
        for name in self.config.systems:
            if name in paused:
                continue
            try:
                found[name] = self.system(name)
            except ConfigError:
                raise
            except RAISED as error:
                failed[name] = told(error, name)
        return found, failed

    # -- runs ----------------------------------------------------------------------------------

    def sync(self, options: Options = Options(), *, keep: Path | None = None) -> pipeline.Outcome:
        """Bring all systems into agreement; see `crmbridge.engine.sync`. `keep`: where a plan that a person
        has to look at is saved."""
        if keep is not None:
            guard_place(keep)
        with self._running("sync", self.store, options) as run:
            if options.link_only:
                return self._ended(run, pipeline.link(run))
            saver = functools.partial(self._save, path=keep) if keep else None
            return self._ended(run, pipeline.sync(run, accept_config=options.accept_config, keep=saver))

    def plan(
        self, options: Options = Options(), *, out: Path | None = None
    ) -> tuple[pipeline.Outcome, SavedPlan]:
        """What `sync` would write, and the plan, saved in `out` or else kept until the bridge is closed.
        Nothing is sent, and nothing that `sync` relies on moves."""
        path = out or self._temporary() / "plan.jsonl"
        guard_place(path)
        with self.store.lock("plan"):
            self._identify()
            with self.store.scratch() as copy:
                with self._told("plan", copy, options) as run:
                    outcome = pipeline.plan(run)
                    self._save(run, path)
                    self._tell_end(run, outcome.exit_code)
                return outcome, load_plan(path)

    def apply(self, path: Path, options: Options = Options(), *, strict: bool = False) -> pipeline.Outcome:
        """Send what a saved plan holds and is still true."""
        saved = load_plan(path)
        if saved.state != self.store.setting(_IDENTITY):
            raise ConfigError(
                f"this plan was made with another state than that of {self.config.path}",
                position=f"{path}:1:1",
                hint="apply it where it was made, with the same --config and --env, or make a new plan",
            )
        if saved.undo is not None:
            return self._apply_undo(saved, options, strict=strict)
        with self._running("apply", self.store, options) as run:
            return self._ended(run, pipeline.apply(run, saved, strict=strict))

    @contextmanager
    def _running(self, command: str, store: Store, options: Options) -> Iterator[Run]:
        with (
            store.lock(self.redact(self.called_by) or command),
            self._told(command, store, options, begun=self._put_history) as run,
        ):
            yield run

    @contextmanager
    def _told(
        self, command: str, store: Store, options: Options, begun: Callable[[Run], None] = lambda _: None
    ) -> Iterator[Run]:
        """A run that listeners hear of, whatever ends it."""
        run = self._run(command, store, options)
        guard_state(run, self.config)
        begun(run)
        run.event("run-started", text=command)
        try:
            yield run
        except BaseException as error:
            exit_code = getattr(error, "exit_code", 1)
            self._cut_off(run, exit_code)
            self._tell_end(run, exit_code, text=str(error) if isinstance(error, Exception) else "stopped")
            raise

    def _tell_end(self, run: Run, exit_code: int, text: str = "") -> None:
        run.event("run-ended", count=exit_code, text=text, details=_account(run))

    def _run(self, command: str, store: Store, options: Options) -> Run:
        systems, failed = self._open_all()
        run = Run(
            store,
            systems,
            self.flows(options.only_into),
            self.config.settings.limits,
            self.clock,
            self._emit,
            self.sleep,
            region=self.config.settings.country,
            entities=self.entities,
            full=options.full,
            allowed=options.allow,
            absent=failed,
            trial=store is not self.store,
            patience=int(self.config.settings.limits.parked_hours * 3_600_000_000),
            shared_by=self.config.settings.limits.shared_by,
            keep_details=self.config.settings.keep.details_days * _DAY,
            keep_runs=self.config.settings.keep.runs_days * _DAY,
        )
        with store.transaction():
            run.id = store.begin_run(RunRow(command=command, started_at=run.now()))
        return run

    def looking(self) -> Run:
        """A run that only looks at the state: no system is opened, and nothing is written."""
        limits, region = self.config.settings.limits, self.config.settings.country
        run = Run(self.store, {}, self.flows(), limits, self.clock, self._emit, self.sleep, region=region)
        return replace(run, shared_by=limits.shared_by, entities=self.entities)

    def _cut_off(self, run: Run, exit_code: int) -> None:
        """Keep how far a run came that did not get to its end; what ended it is told by whoever called."""
        row = RunRow(run.id, "", 0, run.now(), exit_code, json.dumps(_account(run)))
        with suppress(CrmbridgeError), run.store.transaction():
            run.store.end_run(row)

    def _ended(self, run: Run, outcome: pipeline.Outcome) -> pipeline.Outcome:
        row = RunRow(run.id, "", 0, run.now(), outcome.exit_code, json.dumps(_account(run)))
        self._put_history(run)
        with self.store.transaction():
            self.store.end_run(row)
            for system in run.working():
                known = {one.name: one for one in self.store.systems()}.get(system.name)
                if known is not None:
                    known.last_success = run.now()
                    self.store.put_system(known)
        self._tell_end(run, outcome.exit_code)
        return outcome

    def _save(self, run: Run, path: Path) -> None:
        operations = titled(pipeline.operations(run), run.store, self.entities)
        save_plan(path, self.clock(), operations, {"state": self._identify()})

    def _identify(self) -> str:
        """What tells the state from all others; given to it when the first plan is made."""
        known = self.store.setting(_IDENTITY)
        if known is None:
            known = secrets.token_hex(16)
            with self.store.transaction():
                self.store.put_setting(_IDENTITY, known)
        return known

    def _temporary(self) -> Path:
        """A folder that goes with the bridge, and that nobody else can read."""
        return Path(self._exit.enter_context(TemporaryDirectory(prefix="crmbridge-")))

    def _emit(self, event: RunEvent) -> None:
        for listener in self.listeners:
            listener(event)
        self.plugins.emit(event)

    def _put_history(self, run: Run) -> None:
        """At the begin of a run and at its end: a copy of the state from before, or from in between, is told
        from the state itself."""
        self.store.put_history(run.id, secrets.token_hex(8))

    # -- what people look after ----------------------------------------------------------------

    def retry(
        self, letters: Sequence[int] | None, options: Options = Options(), *, keep: Path | None = None
    ) -> pipeline.Outcome:
        """A sync that first tries these dead letters again (None: all); parked and uncertain operations are
        tried by every sync."""
        if keep is not None:
            guard_place(keep)
        with self._running("retry", self.store, options) as run:
            found = self.store.dead_letters("open")
            repair.replay(run, [one for one in found if letters is None or one.id in letters])
            saver = functools.partial(self._save, path=keep) if keep else None
            return self._ended(run, pipeline.sync(run, accept_config=options.accept_config, keep=saver))

    def plan_undo(self, undone: int, out: Path) -> tuple[pipeline.Outcome, SavedPlan, Undo]:
        """A plan that brings back what a run wrote over, saved in `out`. Nothing is sent or moved.

        Raises ConfigError where that is no longer known.
        """
        self._require_details(undone)
        guard_place(out)
        with self.store.lock("runs undo"), self.store.scratch() as copy:
            with self._told("runs undo", copy, Options()) as run:
                undo = Undo()
                outcome = pipeline.plan(run, lambda run: plan_undo(run, undone, undo))
                more = {"state": self._identify(), "undo": undone}
                save_plan(out, self.clock(), titled(pipeline.operations(run), copy, self.entities), more)
                self._tell_end(run, outcome.exit_code)
            return outcome, load_plan(out), undo

    def _apply_undo(self, saved: SavedPlan, options: Options, *, strict: bool) -> pipeline.Outcome:
        undone = saved.undo or 0
        self._require_details(undone)
        with self._running("apply", self.store, options) as run:
            planner = functools.partial(plan_undo, undone=undone, undo=Undo())
            return self._ended(run, pipeline.apply_undo(run, saved, planner, strict=strict))

    def _require_details(self, run: int) -> None:
        if run <= forgotten(self.store):
            raise ConfigError(
                f"run {run} cannot be undone: what it wrote over is forgotten",
                hint="keep: {details_days: ...} in the config says how long that is kept from now on",
            )

    def drop_letters(self, ids: Sequence[int]) -> None:
        """Give dead letters up for good."""
        with self.store.lock("dead-letters drop"), self.store.transaction():
            for letter in ids:
                self.store.settle_dead_letter(letter, "dropped")

    def decide(self, ruling: steward.Ruling) -> tuple[ConflictRow, Any]:
        """A person says which value a conflict ends in; it travels with the next sync."""
        with self.store.lock("conflicts decide"), self.store.transaction():
            return steward.decide(self.looking(), ruling)

    def withdraw(self, ruling: steward.Ruling) -> ConflictRow:
        """What a person decided about a conflict is void."""
        with self.store.lock("conflicts withdraw"), self.store.transaction():
            return steward.withdraw(self.looking(), ruling)

    @contextmanager
    def ruling(self, command: str) -> Iterator[Run]:
        """A person says something about the state, by `command`: all of it is kept, or nothing."""
        with self.store.lock(command), self.store.transaction():
            yield self.looking()

    # -- flows ---------------------------------------------------------------------------------

    def flows(self, only_into: str | None = None) -> list[Flow]:
        """How each entity travels, parents before children."""
        return self.flow_maker().flows(only_into)

    def flow_maker(self) -> FlowMaker:
        """What makes them."""
        rules = self.plugins.survivorship()
        version = self.plugins.version
        return FlowMaker(self.config, self.entities, self.written, self.mappings, rules, version)


def _account(run: Run) -> dict[str, int]:
    return {"/".join(key): count for key, count in sorted(run.counts.items())}


def _look_at_systems(config: Config, plugins: Plugins) -> tuple[dict[str, Path | None], list[ConfigError]]:
    """System -> the folder of its connector's own mappings; and what is wrong with the systems' settings."""
    shipped: dict[str, Path | None] = {}
    wrong: list[ConfigError] = []
    for name in config.systems:
        try:
            kind = _kind(config, plugins, name)
        except ConfigError as error:
            wrong.append(error)
            continue
        shipped[name] = kind.mappings
        wrong += _wrong_settings(config, name, kind)
    return shipped, wrong


def _made(kind: type[Connector], name: str, settings: BaseModel, context: Context) -> Connector:
    try:
        return kind(settings, context)
    except RAISED as error:
        raise told(error, name) from error


@contextmanager
def _placing(config: Config, name: str) -> Iterator[None]:
    """What a connector finds wrong with its settings gets its place in the config."""
    try:
        yield
    except ConfigError as error:
        raise config.placed(name, error) from error


def settings_models(config: Config, plugins: Plugins) -> dict[str, type[BaseModel]]:
    """System -> the settings of its connector, where there is one of that name."""
    found: dict[str, type[BaseModel]] = {}
    for name in config.systems:
        with suppress(ConfigError):
            found[name] = _kind(config, plugins, name).settings_model
    return found


def _wrong_settings(config: Config, name: str, kind: type[Connector]) -> list[ConfigError]:
    """What is wrong with the settings of a system, as far as it shows without secrets."""
    mistake = config.settings_mistakes(name, kind.settings_model)
    wrong = [mistake] if mistake is not None else []
    system = config.systems[name]
    if not kind.speaks_http and "network" in system.model_fields_set:
        text = f"systems.{name}.network: {system.connector} does not speak HTTP, so nothing would heed this"
        hint = "leave it out; how a database is reached stands in its url"
        wrong.append(config.document.error(("systems", name, "network"), text, hint, of="key"))
    return wrong


def _kind(config: Config, plugins: Plugins, name: str) -> type[Connector]:
    """The connector of a system. Raises ConfigError with the place where it is named."""
    try:
        return plugins.connector(config.systems[name].connector)
    except ConfigError as error:
        raise config.document.error(("systems", name, "connector"), error.message, error.hint) from None
