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
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import crmbridge.connectors
from crmbridge.config import Config, Secrets, load_config
from crmbridge.engine import checkup, repair, steward
from crmbridge.engine import sync as pipeline
from crmbridge.engine.checkup import CheckLine
from crmbridge.engine.flows import FlowMaker
from crmbridge.engine.planfile import SavedPlan, load_plan, save_plan
from crmbridge.engine.run import Flow, Run, System, micros, told
from crmbridge.engine.titles import titled
from crmbridge.mapping.load import Mappings, load_mappings
from crmbridge.plugins import Plugins
from crmbridge.sdk.connector import Connector, Context
from crmbridge.sdk.errors import ConfigError, CrmbridgeError, FatalError, LimitError, StateError
from crmbridge.sdk.hookspecs import RunEvent
from crmbridge.sdk.http import HttpClient, Surroundings
from crmbridge.sdk.redact import Redactor
from crmbridge.store.base import Store
from crmbridge.store.rows import ConflictRow, RunRow, SystemRow
from crmbridge.store.sql import open_store
from crmbridge_schemas.base import Entity

__all__ = ["Bridge", "Options", "load_plugins"]

NOTES = 100_000
"""So many notes of earlier runs are looked at."""


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


def load_plugins(files: tuple[Path, ...] = ()) -> Plugins:
    """Built-in, installed and one-file plugins."""
    plugins = Plugins()
    plugins.add(crmbridge.connectors, "built-in", "built in")
    plugins.add_installed()
    for path in files:
        plugins.add_file(path)
    return plugins


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
    _connectors: dict[str, Connector] = field(default_factory=dict)
    _exit: ExitStack = field(default_factory=ExitStack)
    _written: Mappings = field(init=False)

    def __post_init__(self) -> None:
        self._written = self.mappings

    # -- opening and closing -------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        path: Path,
        environment: str | None = None,
        *,
        mapped: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Read the config and its mappings and open the state. No system is spoken to yet. `mapped=False`
        leaves out the mappings: such a bridge can only discover.

        Raises ConfigError with every mistake and its place; StateError for a state that can't be used.
        """
        config = load_config(path, environment)
        plugins = load_plugins(tuple(config.root / one for one in config.settings.plugins))
        entities = config.entities(plugins.schemas())
        shipped = _shipped(config, plugins)
        mappings = (
            load_mappings(config, shipped, entities, plugins.codecs(), plugins.functions())
            if mapped
            else Mappings(())
        )
        redact = Redactor(config.written_secrets())
        secrets = Secrets(os.environ, config.root, redact.add)
        store = open_store(config.state_url(secrets), now=lambda: micros(clock()))
        return cls(config, plugins, entities, mappings, store, redact, clock, sleep)

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
        except Exception as error:  # noqa: BLE001 - a connector is foreign code, and the work is done
            text = f"{told(error, name)}, when it was closed"
            self._emit(RunEvent("finding", "", self.clock(), system=name, text=text))

    # -- systems -------------------------------------------------------------------------------

    def connector(self, name: str, store: Store | None = None) -> Connector:
        """The connector of one system, made at first use. Raises ConfigError for its settings."""
        if name not in self._connectors:
            settings = self.config.systems.get(name)
            if settings is None:
                known = ", ".join(self.config.systems)
                raise ConfigError(
                    f"there is no system {name!r} in {self.config.path}", hint=f"there are {known}"
                )
            kind = self.plugins.connector(settings.connector)
            secrets = self._secrets()
            own = self.config.system_settings(name, kind.settings_model, secrets)
            self._connectors[name] = kind(own, self._context(name, store or self.store))
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
        connector = self.connector(name)
        streams = {stream.name: stream for stream in connector.streams()}
        if self.mappings.toolbox is not None:
            self.mappings = self.mappings.bind(name, list(streams.values()))
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
            except Exception as error:  # noqa: BLE001 - a connector is foreign code; it may raise anything
                failed[name] = told(error, name)
        return found, failed

    # -- runs ----------------------------------------------------------------------------------

    def sync(self, options: Options = Options(), *, keep: Path | None = None) -> pipeline.Outcome:
        """Bring all systems into agreement; see `crmbridge.engine.sync`. `keep`: where a plan that a person
        has to look at is saved."""
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
        with self.store.lock("plan"), self.store.scratch() as copy:
            run = self._run("plan", copy, options)
            self._guard_state(run)
            outcome = pipeline.plan(run)
            path = out or self._temporary() / "plan.jsonl"
            self._save(run, path)
            return outcome, load_plan(path)

    def apply(self, path: Path, options: Options = Options(), *, strict: bool = False) -> pipeline.Outcome:
        """Send what a saved plan holds and is still true."""
        saved = load_plan(path)
        if saved.undo is not None:
            return self._apply_undo(saved, options, strict=strict)
        with self._running("apply", self.store, options) as run:
            return self._ended(run, pipeline.apply(run, saved, strict=strict))

    @contextmanager
    def _running(self, command: str, store: Store, options: Options) -> Iterator[Run]:
        with store.lock(" ".join([command, *sys.argv[2:]])):
            run = self._run(command, store, options)
            self._guard_state(run)
            self._put_history(run)
            run.event("run-started", text=command)
            try:
                yield run
            except BaseException as error:
                self._cut_off(run, getattr(error, "exit_code", 1))
                raise

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
            full=options.full,
            allowed=options.allow,
            absent=failed,
            trial=store is not self.store,
            patience=int(self.config.settings.limits.parked_hours * 3_600_000_000),
        )
        with store.transaction():
            run.id = store.begin_run(RunRow(command=command, started_at=run.now()))
        return run

    def looking(self) -> Run:
        """A run that only looks at the state: no system is opened, and nothing is written."""
        limits, region = self.config.settings.limits, self.config.settings.country
        return Run(self.store, {}, self.flows(), limits, self.clock, self._emit, self.sleep, region=region)

    def _cut_off(self, run: Run, exit_code: int) -> None:
        """Keep how far a run came that did not get to its end; what ended it is told by whoever called."""
        counts = {"/".join(key): count for key, count in sorted(run.counts.items())}
        row = RunRow(run.id, "", 0, run.now(), exit_code, json.dumps(counts))
        with suppress(CrmbridgeError), self.store.transaction():
            self.store.end_run(row)

    def _ended(self, run: Run, outcome: pipeline.Outcome) -> pipeline.Outcome:
        counts = {"/".join(key): count for key, count in sorted(run.counts.items())}
        row = RunRow(run.id, "", 0, run.now(), outcome.exit_code, json.dumps(counts))
        self._put_history(run)
        with self.store.transaction():
            self.store.end_run(row)
            for system in run.working():
                known = {one.name: one for one in self.store.systems()}.get(system.name)
                if known is not None:
                    known.last_success = run.now()
                    self.store.put_system(known)
        run.event("run-ended", count=outcome.exit_code, details=counts)
        return outcome

    def _save(self, run: Run, path: Path) -> None:
        save_plan(path, self.clock(), titled(pipeline.operations(run), run.store), {})

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

    def _guard_state(self, run: Run) -> None:
        """The state belongs to these systems and no others, and is of now."""
        later = run.store.later_run()
        if later is not None:
            raise LimitError(
                f"the state is older than its last run {later}: it was restored from a backup, and what was "
                "created since would be created again",
                limit="the guard against a state that was set back",
                flag="crmbridge systems recover",
                hint="put the newer state back, or, if there is none: crmbridge systems recover; everything "
                "is then read in full and matched, and nothing is written before a plan was applied",
            )
        known = {row.name: row for row in run.store.systems()}
        lost = sorted(known.keys() - self.config.systems.keys())
        if lost:
            raise StateError(
                f"the state holds links of {', '.join(lost)}, which the config no longer names",
                hint="crmbridge systems rename OLD NEW, or crmbridge systems remove NAME",
            )
        for name, system in run.systems.items():
            if system.failure is not None:
                continue
            mark = ""
            with run.guard(system):
                mark = _fingerprint(system)
            if system.failure is not None:
                continue
            row = known.get(name) or SystemRow(name)
            if row.fingerprint and mark and row.fingerprint != mark:
                raise StateError(
                    f"{name} is another system than before: {mark}; the state is of {row.fingerprint}",
                    hint=f"correct systems.{name} in {self.config.path.name}, or, if it really moved: "
                    f"crmbridge systems rebind {name}",
                )
            row.fingerprint, row.connector = mark or row.fingerprint, self.config.systems[name].connector
            with run.store.transaction():
                run.store.put_system(row)

    # -- what people look after ----------------------------------------------------------------

    def check(self) -> Iterator[CheckLine]:
        """Everything that can be said without reading or writing records, a line each."""
        for warning in self.config.warnings():
            yield CheckLine("warning", "config", f"{warning.position}: {warning.text}", warning.hint)
        for failure in self.plugins.failures:
            yield CheckLine("error", "plugins", f"{failure.plugin}: {failure.error}", exit_code=1)
        for problem in self.store.check():
            yield CheckLine("error", "state", problem, exit_code=StateError.exit_code)
        opened: list[System] = []
        for name in self.config.systems:
            try:
                system = self.system(name)
                yield from checkup.examine_access(system)
                yield self._check_fingerprint(system)
                opened.append(system)
            except Exception as error:  # noqa: BLE001 - a connector is foreign code; the others are looked at too
                yield _failed_check(name, error)
        yield from self._check_mappings(opened)

    def _check_fingerprint(self, system: System) -> CheckLine:
        mark = _fingerprint(system)
        known = {row.name: row.fingerprint for row in self.store.systems()}.get(system.name)
        if not mark:
            text = "cannot tell which instance it is: a wrong address would not be noticed"
            return CheckLine("warning", "access", text, system=system.name)
        if known and known != mark:
            hint = f"correct its address, or, if it really moved: crmbridge systems rebind {system.name}"
            text = f"is {mark}; the state was made with {known}"
            return CheckLine("error", "access", text, hint, system.name, exit_code=StateError.exit_code)
        return CheckLine("ok", "access", f"is {mark}", system=system.name)

    def _check_mappings(self, opened: Sequence[System]) -> Iterator[CheckLine]:
        flows = self.flows()
        held = {
            flow.entity: frozenset(
                name
                for system in self.config.systems
                for mapping in self.mappings.of_entity(system, flow.entity)
                for name in (*mapping.fields, *mapping.lists)
                if mapping.reads(name)
            )
            for flow in flows
        }
        notes = self.store.notes(None, None, NOTES, "altered")
        for system in opened:
            try:
                yield from checkup.examine(system, flows, held, notes)
            except Exception as error:  # noqa: BLE001 - as above
                yield _failed_check(system.name, error)

    def retry(
        self, letters: Sequence[int] | None, options: Options = Options(), *, keep: Path | None = None
    ) -> pipeline.Outcome:
        """A sync that first tries these dead letters again (None: all); parked and uncertain operations are
        tried by every sync."""
        with self._running("retry", self.store, options) as run:
            found = self.store.dead_letters("open")
            repair.replay(run, [one for one in found if letters is None or one.id in letters])
            saver = functools.partial(self._save, path=keep) if keep else None
            return self._ended(run, pipeline.sync(run, accept_config=options.accept_config, keep=saver))

    def plan_undo(self, undone: int, out: Path) -> tuple[pipeline.Outcome, SavedPlan, repair.Undo]:
        """A plan that brings back what a run wrote over, saved in `out`. Nothing is sent or moved."""
        with self.store.lock("runs undo"), self.store.scratch() as copy:
            run = self._run("runs undo", copy, Options())
            self._guard_state(run)
            at = run.now()
            undo = repair.Undo()
            outcome = pipeline.plan(run, lambda run: repair.say_again(run, undone, at, undo))
            operations = repair.of_undone(run, pipeline.operations(run))
            save_plan(out, self.clock(), titled(operations, copy), {"undo": [undone, at]})
            return outcome, load_plan(out), undo

    def _apply_undo(self, saved: SavedPlan, options: Options, *, strict: bool) -> pipeline.Outcome:
        """As `apply`; tried on a copy first, so that values are only said again where they will be sent."""
        assert saved.undo is not None
        undone, at = saved.undo

        def say(run: Run) -> None:
            repair.say_again(run, undone, at, repair.Undo())

        with self.store.lock("apply"), self.store.scratch() as copy:
            run = self._run("apply", copy, options)
            self._guard_state(run)
            outcome = pipeline.would_apply(run, saved, say, strict=strict)
            if outcome.verdict != "done":
                return outcome
        with self._running("apply", self.store, options) as run:
            return self._ended(run, pipeline.apply(run, saved, say, strict=strict))

    def rename_system(self, old: str, new: str) -> None:
        """The state calls a system otherwise from now on, as the config does already."""
        self._known_system(old)
        if new in {row.name for row in self.store.systems()}:
            raise ConfigError(f"the state knows a system {new!r} already")
        if new not in self.config.systems:
            raise ConfigError(
                f"{self.config.path.name} names no system {new!r}", hint="rename it there first, then here"
            )
        with self.store.lock("systems rename"), self.store.transaction():
            repair.rename_system(self.store, self._renamed_flows(old, new), old, new)

    def _renamed_flows(self, old: str, new: str) -> list[tuple[Flow, str]]:
        """Each flow, and the fingerprint that it would have with the system's old name."""
        maker, sync = self._flow_maker(), self.config.settings.sync
        return [
            (flow, maker.fingerprint(flow.entity, sync[flow.entity], {new: old}))
            if flow.entity in sync
            else (flow, flow.fingerprint)
            for flow in maker.flows()
        ]

    def remove_system(self, name: str) -> None:
        """Forget a system and its links. Nothing changes in the system itself."""
        self._known_system(name)
        with self.store.lock("systems remove"), self.store.transaction():
            repair.remove_system(self.store, self.config.settings.sync, name)

    def rebind_system(self, name: str) -> str:
        """The system is another instance on purpose: returns its fingerprint. It is read in full, and what
        would be written there is looked at first."""
        row = self._known_system(name)
        system = self.system(name)
        row.fingerprint = _fingerprint(system)
        with self.store.lock("systems rebind"), self.store.transaction():
            self.store.put_system(row)
            repair.start_over(self.store, self.config.settings.sync, name, system.streams)
        return row.fingerprint

    def recover(self, rolled_back: str | None = None) -> None:
        """The state was restored from a backup, or the system `rolled_back` was: everything of it is read in
        full, and nothing is written anywhere before a plan was applied."""
        if rolled_back is not None and rolled_back not in self.config.systems:
            raise self._no_system(rolled_back)
        streams = {(one.system, one.stream) for one in self._written.all}
        with self.store.lock("systems recover"):
            with self.store.transaction():
                repair.recover(self.store, self.config.settings.sync, streams, rolled_back)
            if rolled_back is None:
                known = self.store.runs(1)
                self.store.put_history(known[0].id if known else 0, secrets.token_hex(8))

    def pause_system(self, name: str, *, paused: bool) -> None:
        """Leave a system alone, or take it up again."""
        known = {row.name: row for row in self.store.systems()}
        if name not in self.config.systems:
            raise self._no_system(name)
        row = known.get(name) or SystemRow(name, self.config.systems[name].connector)
        row.paused = paused
        with self.store.lock("systems pause"), self.store.transaction():
            self.store.put_system(row)

    def _known_system(self, name: str) -> SystemRow:
        for row in self.store.systems():
            if row.name == name:
                return row
        raise self._no_system(name)

    def _no_system(self, name: str) -> ConfigError:
        known = sorted({*self.config.systems, *(row.name for row in self.store.systems())})
        return ConfigError(f"there is no system {name!r}", hint=f"there are {', '.join(known)}")

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
        return self._flow_maker().flows(only_into)

    def _flow_maker(self) -> FlowMaker:
        rules = self.plugins.survivorship()
        return FlowMaker(self.config, self.entities, self._written, self.mappings, rules)


def _shipped(config: Config, plugins: Plugins) -> dict[str, Path | None]:
    shipped: dict[str, Path | None] = {}
    for name, system in config.systems.items():
        try:
            shipped[name] = plugins.connector(system.connector).mappings
        except ConfigError as error:
            raise config.document.error(("systems", name, "connector"), error.message, error.hint) from None
    return shipped


def _fingerprint(system: System) -> str:
    mark: object = system.connector.fingerprint()
    if not isinstance(mark, str):
        raise FatalError(f"{system.name}: the connector gave {mark!r} for a fingerprint")
    return mark


def _failed_check(system: str, error: Exception) -> CheckLine:
    if isinstance(error, CrmbridgeError):
        text = f"{error.where}: {error.message}" if error.where else error.message
        return CheckLine("error", "access", text, error.hint or "", system, exit_code=error.exit_code)
    text = f"the connector failed: {type(error).__name__}: {error}"
    return CheckLine("error", "access", text, system=system, exit_code=1)
