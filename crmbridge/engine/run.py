"""What the stages of one run share: the systems, the flows between them, the store, the clock, the account.

The bridge builds these from config and plugins; the stages only use them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from typing import Any, Literal, Protocol

from crmbridge.identity.policy import Policy
from crmbridge.identity.shape import Shape
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.sdk.connector import Connector, Stream
from crmbridge.sdk.errors import RAISED, CrmbridgeError, FatalError, LimitError, StateError
from crmbridge.sdk.hookspecs import RunEvent
from crmbridge.store.base import Store
from crmbridge.store.rows import NoteRow
from crmbridge_schemas.base import Entity
from crmbridge_schemas.registry import ENTITIES

__all__ = ["Counts", "Flow", "Limits", "Run", "System", "micros", "recovering", "set_back", "told"]

_logger = logging.getLogger("crmbridge.connector")
_OURS = ("crmbridge.bridge", "crmbridge.cli", "crmbridge.engine", "crmbridge.sdk")
Mode = Literal["live", "shadow", "read-only"]


@dataclass(slots=True)
class System:
    """One configured system, opened."""

    name: str
    connector: Connector
    mode: Mode
    streams: Mapping[str, Stream]
    mappings: Mapping[str, Sequence[StreamMapping]]
    """Stream -> its mappings, the first that admits a record takes it."""
    failure: CrmbridgeError | None = None
    """Why this system is out of the rest of the run."""

    def mappings_of(self, entity: str) -> list[StreamMapping]:
        """All mappings of this system for one entity."""
        return [m for some in self.mappings.values() for m in some if m.entity == entity]

    def mapping(self, stream: str, entity: str) -> StreamMapping | None:
        """The mapping of one stream for one entity."""
        return next((m for m in self.mappings.get(stream, ()) if m.entity == entity), None)


@dataclass(frozen=True, slots=True)
class Flow:
    """How one entity travels: which systems take part, who decides, what is created where."""

    entity: str
    shape: Shape
    policy: Policy
    targets: Sequence[str]
    """Systems that are written to."""
    create: Mapping[str, Callable[[Mapping[str, Any]], bool]]
    """System -> whether a golden document is created there; a system without a rule takes none."""
    fingerprint: str
    """Of policy, mappings and connectors: another one has to be agreed to."""
    elsewhere: Sequence[str] = ()
    """Further targets, which this run shall not write to."""


class Limits(Protocol):
    """The safety limits: how many of what may happen before a person is asked."""

    def allows(self, name: str, count: int, total: int, *, first: bool) -> bool:
        """Whether `count` of `total` records may be touched; name: creates, updates, deletes, clears ..."""
        ...

    def describe(self, name: str, *, first: bool) -> str:
        """The limit as it stands in the config."""
        ...


class Counts(Counter[tuple[str, str, str]]):
    """(system, entity, what) -> how many: the account of a run."""

    def of(self, what: str) -> int:
        """The sum over systems and entities."""
        return sum(n for (_, _, kind), n in self.items() if kind == what)


@dataclass(slots=True)
class Run:
    """One run in progress."""

    store: Store
    systems: Mapping[str, System]
    flows: Sequence[Flow]
    """Parents before children."""
    limits: Limits
    clock: Callable[[], datetime]
    emit: Callable[[RunEvent], None]
    wait: Callable[[float], None]
    """Sleep for seconds; a test's world moves its clock instead."""
    id: int = 0
    region: str | None = None
    """Default country of phone numbers, ISO 3166-1 alpha-2."""
    entities: Mapping[str, type[Entity]] = field(default_factory=lambda: ENTITIES)
    """All that there are, those of the deployment too."""
    full: bool = False
    """Read without cursors."""
    trial: bool = False
    """On a copy of the state that is thrown away: nothing is asked that a system tells only once."""
    allowed: frozenset[str] = frozenset()
    """Limits that are lifted for this run."""
    absent: Mapping[str, CrmbridgeError] = field(default_factory=dict)
    """Systems of the config that could not be opened, and why."""
    candidates: set[tuple[str, str, str, str]] = field(default_factory=set)
    """(system, stream, scope, native id) of records that may be what a create of unknown outcome made."""
    patience: int = 24 * 3600 * 1_000_000
    """Microseconds that something may be parked before somebody has to look."""
    shared_by: int = 50
    """So many golden records may share an identity key; one that more share joins nobody."""
    keep_details: int = 90 * 24 * 3600 * 1_000_000
    """Microseconds that is remembered what runs wrote and found."""
    keep_runs: int = 730 * 24 * 3600 * 1_000_000
    """Microseconds that is remembered that there was a run."""
    changed_config: frozenset[str] = frozenset()
    """Entities whose policy, mapping or connectors are others than in the run before."""
    counts: Counts = field(default_factory=Counts)
    refused: set[int] = field(default_factory=set)
    """Dead letters of records that are counted already: a record may be read twice in a run."""
    planned: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(system, entity) -> operations that shall be sent in this run: for showing how far it is."""

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        return micros(self.clock())

    def flow(self, entity: str) -> Flow | None:
        """The flow of one entity, if it is configured."""
        return next((flow for flow in self.flows if flow.entity == entity), None)

    def working(self) -> list[System]:
        """The systems that have not failed in this run."""
        return [system for system in self.systems.values() if system.failure is None]

    def plans_for(self, system: System) -> bool:
        """Whether operations are planned for it: it works, and it may be written or is in shadow."""
        return system.failure is None and system.mode != "read-only"

    def count(self, system: str, entity: str, what: str, number: int = 1) -> None:
        """Add to the account."""
        self.counts[system, entity, what] += number

    def event(self, kind: Any, **parts: Any) -> None:
        """Tell whoever listens."""
        self.emit(RunEvent(kind, str(self.id), self.clock(), **parts))

    @contextmanager
    def stage(self, stage: str, **parts: Any) -> Iterator[Callable[..., None]]:
        """Tell its beginning, how far it is each time that is said, and its end with the count of it all."""
        done = 0

        def progress(count: int, total: int | None = None) -> None:
            nonlocal done
            done += count
            self.event("progress", stage=stage, count=count, total=total, **parts)

        self.event("stage-started", stage=stage, **parts)
        yield progress
        self.event("stage-ended", stage=stage, count=done, **parts)

    def fail(self, system: System, error: CrmbridgeError) -> None:
        """This system is out of the rest of the run; the others go on."""
        system.failure = error
        self.event("finding", system=system.name, text=str(error), details={"level": "error"})

    def stop(self, system: System, error: LimitError) -> None:
        """For safety this system is out of the rest of the run, and what it says travels nowhere; the others
        go on, and the run ends with the exit code of `error`."""
        self.fail(system, error)

    def stopped(self) -> frozenset[str]:
        """The systems that were stopped for safety."""
        return frozenset(s.name for s in self.systems.values() if isinstance(s.failure, LimitError))

    @contextmanager
    def guard(self, system: System, stream: str = "") -> Iterator[None]:
        """What a connector raises puts its system out of the run, and no other: it is foreign code, and may
        raise anything. A limit and a broken state end the run."""
        try:
            yield
        except (LimitError, StateError):
            raise
        except RAISED as error:
            self.fail(system, told(error, "/".join(part for part in (system.name, stream) if part)))

    def note(self, kind: str, system: str, entity: str, golden_id: str, path: str, text: str) -> None:
        """Keep something that a person should be able to look up."""
        row = NoteRow(self.id, kind, system, entity, golden_id, path, text, at=self.now())
        self.store.put_notes([row])
        self.count(system, entity, kind)


def told(error: Exception | SystemExit, place: str) -> CrmbridgeError:
    """What a connector raised, as an error that a person understands; whoever looks for its cause gets the
    traceback. place: `system` or `system/stream`."""
    if error.__cause__ is None or not isinstance(error, CrmbridgeError):  # else it was told already
        _logger.debug("%s: the traceback of what failed", place, exc_info=error)
    if isinstance(error, CrmbridgeError):
        return error
    at = _raised_at(error)
    text = f"{place}: the connector failed: {type(error).__name__}: {error}" + (f" ({at})" if at else "")
    failure = FatalError(text)
    failure.__cause__ = error
    return failure


def _raised_at(error: Exception | SystemExit) -> str:
    """`kasse.py:41`: the last line of the connector that was being run; empty where none was."""
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in walk_tb(error.__traceback__)
        if not str(frame.f_globals.get("__name__")).startswith(_OURS)
    ]
    if not frames:
        return ""
    file = frames[0][0]  # what that calls in turn is a library's
    return f"{Path(file).name}:{[line for name, line in frames if name == file][-1]}"


def recovering(system: str) -> str:
    """The setting that stands from `systems recover` until something is written to this system again."""
    return f"recovering:{system}"


def set_back(system: str, stream: str) -> str:
    """The setting that stands from `systems recover SYSTEM` until this stream was read in full."""
    return f"set-back:{system}:{stream}"


def micros(moment: datetime) -> int:
    """An aware instant as microseconds since 1970 UTC."""
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
