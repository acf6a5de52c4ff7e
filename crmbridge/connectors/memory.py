"""`memory`: a real system that lives in this process. The engine's tests stand on it, and vendors read it.

It has ids, versions, a clock, deletes, merges, associations, writes that are accepted now and done
later, lossy storage and failures, each switchable by `Behaviour`. `MemorySystem` is the system itself:
people (tests) edit it directly. `MemoryConnector` speaks to it as a connector speaks to any system, by
copies only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from crmbridge.sdk.connector import (
    Capabilities,
    Connector,
    Context,
    Cursor,
    FieldInfo,
    Finding,
    ListPatch,
    Operation,
    Page,
    Record,
    RemoteMerge,
    Result,
    Stream,
    Tombstone,
)
from crmbridge.sdk.errors import (
    AnswerLostError,
    ConfigError,
    CursorExpiredError,
    RecordError,
    RetryableError,
)

__all__ = ["Behaviour", "Fault", "MemoryConnector", "MemorySettings", "MemorySystem", "Row"]

EVERYTHING = frozenset({"create", "update", "archive", "delete", "merge", "link", "unlink", "transition"})


@dataclass(slots=True)
class Behaviour:
    """How the system behaves. The defaults: a good modern API."""

    changed_since: bool = True
    cursor: Literal["sequence", "time"] = "sequence"
    """What reading goes by: a number that every change raises, or the records' times, as most APIs do."""
    overlap: timedelta = timedelta(0)
    """How far a cursor of times reads back: what is committed late has an earlier time."""
    cursor_life: timedelta | None = None
    """Cursors that are older are refused."""
    deletes: Literal["feed", "sweep", "never"] = "feed"
    repeats_deletes: bool = False
    """The feed tells of every delete again at each read, also of records that were brought back since."""
    hidden_when: dict[str, frozenset[str]] = field(default_factory=dict)
    """Field -> values with which a record is in no listing (it left a role); by its id it is found."""
    versions: bool = True
    times: bool = True
    """Records carry the time of their last change."""
    creation_times: bool = True
    """Records carry the time of their making."""
    clock_skew: timedelta = timedelta(0)
    time_resolution: timedelta = timedelta(microseconds=1)
    page_size: int = 100
    batch_size: int = 50
    batch_answers: Literal["item", "whole"] = "item"
    computes: bool = True
    returns_record: bool = True
    search_mark: str | None = "bridge_mark"
    search_keys: tuple[str, ...] = ()
    search_lag: timedelta = timedelta(0)
    upsert_key: str | None = None
    child_lists: dict[str, Literal["replace", "patch"]] = field(default_factory=dict)
    child_ids: dict[str, str] = field(default_factory=dict)
    absent_means: Literal["unset", "null"] = "unset"
    omits_empty: bool = False
    """Leaves keys without a value out of its answers."""
    operations: frozenset[str] = EVERYTHING
    required: frozenset[str] = frozenset()
    cannot_clear: frozenset[str] = frozenset()
    max_lengths: dict[str, int] = field(default_factory=dict)
    """Longer text is cut, silently."""
    stores: Callable[[str, Any], Any] | None = None
    """(field, value) -> what is kept: trimming, upper case, rounding, another phone format."""
    closed_when: dict[str, frozenset[str]] = field(default_factory=dict)
    accepts_first: bool = False
    """Writes are accepted with a handle and done when polled."""
    odd: dict[str, Literal["raises", "nonsense"]] = field(default_factory=dict)
    """Method of the connector (`open` for its making) -> how it misbehaves, as foreign code may."""
    numbers: dict[str, str] = field(default_factory=dict)
    """Field -> prefix: given by the system on create, as an ERP gives customer numbers."""
    scopes: tuple[str, ...] = ()
    """The companies in it that the API user works for, the first one by default. Record 7 of company `de` is
    then `de:7` to its users."""
    shared: frozenset[str] = frozenset()
    """Streams whose records belong to no company."""


@dataclass(slots=True)
class Row:
    """One record of the system."""

    id: str
    data: dict[str, Any]
    version: int = 1
    changed: int = 0
    """Sequence number of the last change: what `pull` goes by."""
    modified: datetime | None = None
    deleted: bool = False
    merged_into: str | None = None
    created_at: datetime | None = None
    scope: str = ""
    """The company that it belongs to."""

    @property
    def place(self) -> str:
        """What tells it from all others of its stream."""
        return _place(self.scope, self.id)


Fault = Literal["", "lost before", "lost after", "lost half", "unread", "retryable", "reject", "conflict"]
"""lost half: only the first field was written; unread: the next `get_many` fails."""


class MemorySystem:
    """The system itself: streams of rows. Edit it as its users would."""

    def __init__(
        self, streams: Iterable[str], now: Callable[[], datetime], behaviour: Behaviour | None = None
    ):
        self.behaviour = behaviour or Behaviour()
        self.now = now
        self.streams: dict[str, dict[str, Row]] = {name: {} for name in streams}
        self.sequence = 0
        self.calls: list[tuple[str, str, str]] = []
        """(what, stream, place) of every write that reached it."""
        self.faults: list[Fault] = []
        """What happens to the next writes, in order; nothing where it is empty."""
        self.unread = False
        """The next reading of single records fails."""
        self.accepted: dict[str, tuple[str, Operation]] = {}
        self.graves: dict[str, list[Tombstone]] = {}
        """Stream -> every delete there was."""
        self.name = "memory"
        self._next_id = 0

    # what its users do

    def add(self, stream: str, native_id: str | None = None, **data: Any) -> str:
        """A user creates a record; `de:7` is number 7 of the company `de`."""
        scope = ""
        if native_id is not None and self.has_scopes(stream):
            scope, _, native_id = native_id.rpartition(":")
        if not native_id:
            self._next_id += 1
            native_id = str(self._next_id)
        row = Row(native_id, {}, created_at=self.clock(), scope=scope)
        self.streams[stream][row.place] = row
        for name, prefix in self.behaviour.numbers.items():
            data.setdefault(name, f"{prefix}{native_id}")
        self._set(row, data)
        return row.place

    def has_scopes(self, stream: str) -> bool:
        """Whether the stream's records belong to companies."""
        return bool(self.behaviour.scopes) and stream not in self.behaviour.shared

    def edit(self, stream: str, native_id: str, **data: Any) -> None:
        """A user changes fields."""
        self._set(self.streams[stream][native_id], data)

    def commit_late(self, stream: str, native_id: str, late: timedelta, **data: Any) -> None:
        """A change that shows only now, with the time at which its transaction began."""
        row = self.streams[stream][native_id]
        self._set(row, data)
        row.modified = self.clock() - late

    def remove(self, stream: str, native_id: str) -> None:
        """A user deletes a record."""
        row = self.streams[stream][native_id]
        row.deleted = True
        self._touch(row)
        self.graves.setdefault(stream, []).append(Tombstone(row.id, row.scope, row.modified))

    def bring_back(self, stream: str, native_id: str) -> None:
        """A user takes a record out of the bin."""
        row = self.streams[stream][native_id]
        row.deleted = False
        self._touch(row)

    def set_back(self, to: MemorySystem) -> None:
        """An operator restores a backup: `to` is a copy of this system of some time ago."""
        self.streams, self.sequence = copy.deepcopy(to.streams), to.sequence

    def join(self, stream: str, loser: str, survivor: str) -> None:
        """A user merges two records."""
        row = self.streams[stream][loser]
        row.deleted, row.merged_into = True, survivor
        self._touch(row)

    def live(self, stream: str) -> dict[str, dict[str, Any]]:
        """Native id (with its company, `de:7`) -> data of all records that are there."""
        return {place: row.data for place, row in self.streams[stream].items() if not row.deleted}

    def rows(self, stream: str) -> list[Row]:
        """What the API user may see of a stream, deleted ones too."""
        rows = list(self.streams[stream].values())
        return (
            [row for row in rows if row.scope in self.behaviour.scopes] if self.has_scopes(stream) else rows
        )

    def clock(self) -> datetime:
        """The system's own, possibly wrong clock."""
        return self.now() + self.behaviour.clock_skew

    def _touch(self, row: Row) -> None:
        self.sequence += 1
        row.changed, row.version = self.sequence, row.version + 1
        grain = int(self.behaviour.time_resolution / timedelta(microseconds=1)) or 1
        moment = self.clock()
        since = int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
        row.modified = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since - since % grain)

    def _set(self, row: Row, data: dict[str, Any]) -> None:
        for name, value in copy.deepcopy(data).items():
            row.data[name] = self._kept(row, name, value)
        self._touch(row)

    def _kept(self, row: Row, name: str, value: Any) -> Any:
        if isinstance(value, ListPatch):
            value = self._patched(row.data.get(name) or [], value, self.behaviour.child_ids[name])
        if isinstance(value, list) and name in self.behaviour.child_ids:
            return [self._kept_child(name, child) for child in value]
        limit = self.behaviour.max_lengths.get(name)
        if limit is not None and isinstance(value, str):
            value = value[:limit]
        return self.behaviour.stores(name, value) if self.behaviour.stores else value

    def _kept_child(self, name: str, child: dict[str, Any]) -> dict[str, Any]:
        kept = {k: self._kept(Row("", {}), f"{name}.{k}", v) for k, v in child.items()}
        key = self.behaviour.child_ids[name]
        if not kept.get(key):
            self._next_id += 1
            kept[key] = f"c{self._next_id}"
        return kept

    def _patched(self, children: list[dict[str, Any]], patch: ListPatch, key: str) -> list[dict[str, Any]]:
        kept = [
            {**c, **patch.change.get(str(c[key]), {})} for c in children if str(c[key]) not in patch.remove
        ]
        return [*kept, *copy.deepcopy(patch.add)]

    # what the connector asks

    def record(self, row: Row) -> Record:
        """The row as the API shows it: a copy."""
        data = copy.deepcopy(row.data)
        if self.behaviour.omits_empty:
            data = {k: v for k, v in data.items() if v is not None}
        version = str(row.version) if self.behaviour.versions else None
        return Record(
            row.id,
            {"id": row.id, **data},
            version,
            row.modified if self.behaviour.times else None,
            row.scope,
            created=row.created_at if self.behaviour.creation_times else None,
        )

    def carry_out(self, stream: str, operation: Operation) -> Result:
        """One write, with its checks."""
        place = _place(operation.scope, operation.native_id or "")
        self.calls.append((operation.kind, stream, place))
        if operation.kind == "create":
            return self._create(stream, operation)
        row = next((row for row in self.rows(stream) if row.place == place), None)
        if row is None or row.deleted:
            return Result.conflict(operation, "there is no such record")
        if self.behaviour.versions and operation.version not in (None, str(row.version)):
            return Result.conflict(operation, "the record has changed")
        if operation.kind in ("delete", "archive"):
            self.remove(stream, row.place)
            return Result.done(operation)
        if operation.kind == "merge":
            for loser in operation.others:
                self.join(stream, _place(row.scope, loser), row.place)
            done = Result.done(operation, self.record(row))
            done.losers = operation.others
            return done
        if operation.kind in ("link", "unlink"):
            ends = [x for x in row.data.get("links") or [] if x not in operation.others]
            row.data["links"] = [*ends, *operation.others] if operation.kind == "link" else ends
            self._touch(row)
            return Result.done(operation, self.record(row))
        if operation.kind == "transition":
            self._set(row, {"state": operation.transition})
            return Result.done(operation, self.record(row))
        return self._update(row, operation)

    def refuse_whole(self, operations: Sequence[Operation]) -> None:
        """One bad operation, and nothing of the batch is carried out. Raises RecordError."""
        for operation in operations:
            if missing := self._missing(operation):
                raise RecordError(f"{missing} must not be empty")

    def _missing(self, operation: Operation) -> str:
        names = self.behaviour.required if operation.kind == "create" else ()
        return ", ".join(sorted(name for name in names if not operation.data.get(name)))

    def _create(self, stream: str, operation: Operation) -> Result:
        if missing := self._missing(operation):
            return Result.rejected(operation, f"{missing} must not be empty")
        if self.has_scopes(stream) and operation.scope not in self.behaviour.scopes:
            return Result.rejected(operation, f"there is no company {operation.scope!r}")
        data = dict(operation.data)
        if self.behaviour.search_mark and operation.mark:
            data[self.behaviour.search_mark] = operation.mark
        key = self.behaviour.upsert_key
        row = None
        if key and key in data:
            mine = (r for r in self._live(stream) if r.scope == operation.scope)
            row = next((r for r in mine if r.data.get(key) == data[key]), None)
        if row is not None:
            self._set(row, data)
            return Result.done(operation, self.record(row))
        place = self.add(stream, f"{operation.scope}:" if operation.scope else None, **data)
        return Result.done(operation, self.record(self.streams[stream][place]))

    def _update(self, row: Row, operation: Operation) -> Result:
        for name, value in operation.data.items():
            if value is None and name in self.behaviour.required:
                return Result.rejected(operation, f"{name} must not be empty")
        closed = self.behaviour.closed_when
        if any(row.data.get(name) in values for name, values in closed.items()):
            return Result.rejected(operation, "the document is closed")
        kept = {
            k: v for k, v in operation.data.items() if v is not None or k not in self.behaviour.cannot_clear
        }
        self._set(row, kept)
        return Result.done(operation, self.record(row))

    def _live(self, stream: str) -> Iterator[Row]:
        return (row for row in list(self.streams[stream].values()) if not row.deleted)


class MemorySettings(BaseModel):
    """A system of this process, by the name under which it was put into `MemoryConnector.systems`."""

    model_config = ConfigDict(extra="forbid")

    world: str


class MemoryConnector(Connector):
    """Speaks to a `MemorySystem`."""

    settings_model = MemorySettings
    systems: dict[str, MemorySystem] = {}  # noqa: RUF012 - the one place where a config finds a system in memory

    def __init__(self, settings: MemorySettings, context: Context) -> None:
        super().__init__(settings, context)
        found = self.systems.get(settings.world)
        if found is None:
            raise ConfigError(f"there is no memory system {settings.world!r} in this process")
        self.memory = found
        self._oddly("open")

    def _oddly(self, method: str) -> list[Any]:
        """What a method gives where `Behaviour.odd` makes it misbehave."""
        how = self.memory.behaviour.odd.get(method)
        if how == "raises":
            raise RuntimeError(f"{method} is broken")
        return [object()] if how == "nonsense" else []

    def close(self) -> None:
        self._oddly("close")

    @classmethod
    def on(cls, memory: MemorySystem, context: Context) -> MemoryConnector:
        """A connector for a system that is at hand."""
        cls.systems[memory.name] = memory
        return cls(MemorySettings(world=memory.name), context)

    def check(self) -> Iterable[Finding]:
        yield Finding("ok", "in this process")

    def streams(self) -> Sequence[Stream]:
        b = self.memory.behaviour
        if odd := self._oddly("streams"):
            return odd
        capabilities = Capabilities(
            operations=b.operations,
            changed_since=b.changed_since,
            deletes=b.deletes,
            versions=b.versions,
            upsert_key=b.upsert_key,
            search_mark=b.search_mark,
            search_keys=b.search_keys,
            search_lag=b.search_lag,
            batch_size=b.batch_size,
            batch_answers=b.batch_answers,
            returns_record=b.returns_record,
            computes=b.computes,
            child_lists=b.child_lists,
            child_ids=b.child_ids,
            absent_means=b.absent_means,
            cannot_clear=b.cannot_clear,
            required=b.required,
            max_lengths=b.max_lengths,
            time_resolution=b.time_resolution,
            closed_when=b.closed_when,
            scopes=b.scopes,
        )
        return [
            Stream(name, "id", replace(capabilities, scopes=()) if name in b.shared else capabilities)
            for name in self.memory.streams
        ]

    def pull(self, stream: str, cursor: Cursor) -> Iterable[Page]:
        b = self.memory.behaviour
        yield from self._oddly("pull")
        full = cursor is None or not b.changed_since
        if cursor is not None and b.cursor_life is not None and self._age(cursor) > b.cursor_life:
            raise CursorExpiredError(f"{stream}: the cursor is too old")
        listed = (row for row in self.memory.rows(stream) if not self._hidden(row))
        rows = sorted(listed, key=self._position)
        if not full:
            since = self._since(cursor)
            rows = [row for row in rows if self._position(row) >= since]
        for start in range(0, max(1, len(rows)), b.page_size):
            page = self._page(rows, start, full=full)
            if b.repeats_deletes:
                page.tombstones = list(self.memory.graves.get(stream, ()))
            yield page

    def _hidden(self, row: Row) -> bool:
        return any(row.data.get(name) in kept for name, kept in self.memory.behaviour.hidden_when.items())

    def _position(self, row: Row) -> Any:
        """What rows are read in the order of."""
        return row.modified if self.memory.behaviour.cursor == "time" else row.changed

    def _since(self, cursor: Cursor) -> Any:
        if self.memory.behaviour.cursor == "time":
            return datetime.fromisoformat(cursor["at"]) - self.memory.behaviour.overlap
        return cursor["at"]

    def _age(self, cursor: Cursor) -> timedelta:
        return self.memory.now() - datetime.fromisoformat(cursor["made"])

    def _cursor(self, last: Row) -> Cursor:
        at = self._position(last)
        return {
            "at": at.isoformat() if isinstance(at, datetime) else at,
            "made": self.memory.now().isoformat(),
        }

    def _page(self, rows: Sequence[Row], start: int, *, full: bool) -> Page:
        b = self.memory.behaviour
        part = rows[start : start + b.page_size]
        gone = [row for row in part if row.deleted] if b.deletes == "feed" else []
        return Page(
            records=[self.memory.record(row) for row in part if not row.deleted],
            tombstones=[Tombstone(row.id, row.scope, row.modified if b.times else None) for row in gone],
            merges=[_merged(row) for row in gone if row.merged_into],
            cursor=self._cursor(part[-1]) if part and b.changed_since else None,
            complete=full and start + b.page_size >= len(rows),
            total=len(rows),
            server_time=self.memory.clock(),
            high_water=self.memory.sequence if b.cursor == "sequence" else None,
        )

    def list_ids(self, stream: str) -> Iterator[Sequence[tuple[str, str]]] | None:
        if odd := self._oddly("list_ids"):
            return iter(odd)
        rows = (row for row in self.memory.rows(stream) if not row.deleted and not self._hidden(row))
        return iter([[(row.scope, row.id) for row in rows]])

    def push(self, stream: str, operations: Sequence[Operation]) -> Iterable[Result]:
        yield from self._oddly("push")
        if self.memory.behaviour.batch_answers == "whole":
            self.memory.refuse_whole(operations)
        for operation in operations:
            fault: Fault = self.memory.faults.pop(0) if self.memory.faults else ""
            if fault == "lost before":
                raise AnswerLostError("the connection broke before the answer")
            if fault == "retryable":
                raise RetryableError("busy, come again")
            if fault in ("reject", "conflict"):
                yield Result(operation.id, "rejected" if fault == "reject" else "conflict", reason="planted")
                continue
            if self.memory.behaviour.accepts_first:
                handle = f"job-{operation.id}"
                self.memory.accepted[handle] = stream, copy.deepcopy(operation)
                yield Result.accepted(operation, handle)
                continue
            if fault == "lost half":
                operation.data = dict(list(operation.data.items())[:1])
            result = self.memory.carry_out(stream, operation)
            self.memory.unread = fault == "unread"
            if fault in ("lost after", "lost half"):
                raise AnswerLostError("the connection broke before the answer")
            yield self._trimmed(result)

    def _trimmed(self, result: Result) -> Result:
        if result.record is not None and not self.memory.behaviour.returns_record:
            result.record = Record(result.record.native_id, {}, scope=result.record.scope)
        return result

    def poll(self, handles: Sequence[str]) -> Iterable[Result]:
        yield from self._oddly("poll")
        for handle in handles:
            if handle in self.memory.accepted:
                stream, operation = self.memory.accepted.pop(handle)
                yield self.memory.carry_out(stream, operation)

    def get_many(self, stream: str, native_ids: Sequence[str]) -> Iterator[Record]:
        yield from self._oddly("get_many")
        if self.memory.unread:
            self.memory.unread = False
            raise RetryableError("busy, come again")
        wanted = set(native_ids)
        rows = (row for row in self.memory.rows(stream) if row.id in wanted and not row.deleted)
        yield from (self.memory.record(row) for row in rows)

    def search(self, stream: str, key: str, value: str) -> Iterator[Record]:
        yield from self._oddly("search")
        lag = self.memory.behaviour.search_lag
        for row in self.memory.rows(stream):
            visible = row.created_at is None or self.memory.clock() - row.created_at >= lag
            if not row.deleted and visible and str(row.data.get(key)) == value:
                yield self.memory.record(row)

    def discover(self, stream: str) -> dict[str, FieldInfo]:
        names = {name for row in self.memory.streams[stream].values() for name in row.data}
        return {name: FieldInfo(required=name in self.memory.behaviour.required) for name in sorted(names)}

    def fingerprint(self) -> str:
        odd: str | None = next(iter(self._oddly("fingerprint")), None)
        return odd or f"memory:{self.memory.name}"


def _place(scope: str, native_id: str) -> str:
    return f"{scope}:{native_id}" if scope else native_id


def _merged(row: Row) -> RemoteMerge:
    survivor = row.merged_into or ""
    return RemoteMerge(row.id, survivor.removeprefix(f"{row.scope}:"), row.scope)
