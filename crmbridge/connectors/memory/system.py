"""The system in memory itself: how it behaves, what its users do to its records, and what its API answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from crmbridge.sdk.connector import Deletes, ListPatch, Operation, Record, Result, Tombstone
from crmbridge.sdk.errors import AuthError, RecordError

__all__ = ["FIRST_TOKEN", "Behaviour", "Fault", "MemorySystem", "Row"]

FIRST_TOKEN = "token 0"  # noqa: S105 - no secret
EVERYTHING = frozenset({"create", "update", "archive", "delete", "transition"})


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
    deletes: Deletes = "feed"
    """feed: each delete is told, also in a full reading. flag: likewise, and what is deleted is only marked.
    archive: reading by cursor tells what was archived since, and a full listing leaves it out. sweep and
    never: nothing is told."""
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
    insists_untold: frozenset[str] = frozenset()
    """Required to create a record as well, and no schema of it says so."""
    cannot_clear: frozenset[str] = frozenset()
    max_lengths: dict[str, int] = field(default_factory=dict)
    """Longer text is cut, silently."""
    most_children: dict[str, int] = field(default_factory=dict)
    """Child list -> so many children it keeps; further ones are dropped, silently."""
    keeps_children: frozenset[str] = frozenset()
    """Child lists of which a child that is removed by a write stays, silently."""
    stores: Callable[[str, Any], Any] | None = None
    """(field, value) -> what is kept: trimming, upper case, rounding, another phone format."""
    closed_when: dict[str, frozenset[str]] = field(default_factory=dict)
    accepts_first: bool = False
    """Writes are accepted with a handle and done when polled."""
    odd: dict[str, Literal["raises", "exits", "nonsense"]] = field(default_factory=dict)
    """Method of the connector (`open` for its making) -> how it misbehaves, as foreign code may."""
    numbers: dict[str, str] = field(default_factory=dict)
    """Field -> prefix: given by the system on create, as an ERP gives customer numbers."""
    composite: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Stream of associations -> the fields that make up its native ids, so that there is one of each pair and
    neither end of it can be changed."""
    rotates_tokens: bool = False
    """Logging in costs the token and gives another one, which has to be kept."""
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
    archived: bool = False
    """Of a deleted one: it is only hidden, and can be brought back."""
    merged_into: str | None = None
    created_at: datetime | None = None
    scope: str = ""
    """The company that it belongs to."""

    @property
    def place(self) -> str:
        """What tells it from all others of its stream."""
        return _place(self.scope, self.id)


Fault = Literal[
    "",
    "lost before",
    "lost after",
    "lost half",
    "broken after",
    "unread",
    "retryable",
    "reject",
    "conflict",
    "unsure",
]
"""lost half: only the first field was written; broken after: it was written, and then the connector raises
what no connector should; unread: the next `get_many` fails; unsure: it was not done, and the system cannot
tell."""


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
        self.replica: MemorySystem | None = None
        """What listings are read from, where that lags behind: a copy of this system of some time ago."""
        self.accepted: dict[str, tuple[str, Operation]] = {}
        self.graves: dict[str, list[Tombstone]] = {}
        """Stream -> every delete there was."""
        self.name = "memory"
        self.token, self._logins = FIRST_TOKEN, 0
        self._next_id = 0

    # what its users do

    def add(self, stream: str, native_id: str | None = None, **data: Any) -> str:
        """A user creates a record; `de:7` is number 7 of the company `de`."""
        scope = ""
        if native_id is not None and self.has_scopes(stream):
            scope, _, native_id = native_id.rpartition(":")
        if stream in self.behaviour.composite:
            native_id = "~".join(str(data.get(name)) for name in self.behaviour.composite[stream])
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
        """A user deletes a record, or archives it where that is all that the system knows."""
        self._remove(stream, native_id, archived=self.behaviour.deletes in ("flag", "archive"))

    def _remove(self, stream: str, native_id: str, *, archived: bool) -> None:
        row = self.streams[stream][native_id]
        row.deleted, row.archived = True, archived
        self._touch(row)
        self.graves.setdefault(stream, []).append(self.tombstone(row))

    def tombstone(self, row: Row) -> Tombstone:
        """What the API tells of a deleted record."""
        return Tombstone(row.id, row.scope, row.modified if self.behaviour.times else None, row.archived)

    def bring_back(self, stream: str, native_id: str) -> None:
        """A user takes a record out of the bin."""
        row = self.streams[stream][native_id]
        row.deleted = row.archived = False
        self._touch(row)

    def set_back(self, to: MemorySystem) -> None:
        """An operator restores a backup: `to` is a copy of this system of some time ago."""
        self.streams, self.sequence = copy.deepcopy(to.streams), to.sequence

    def join(self, stream: str, loser: str, survivor: str) -> None:
        """A user merges two records."""
        row = self.streams[stream][loser]
        row.deleted, row.merged_into = True, survivor
        self._touch(row)

    def lag(self) -> None:
        """The replica that listings are read from follows no more; `catch_up` ends it."""
        self.replica = MemorySystem((), self.now, self.behaviour)
        self.replica.set_back(self)

    def catch_up(self) -> None:
        """The replica holds what this system holds."""
        self.replica = None

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
            value = self._patched(row.data.get(name) or [], value, name)
        if isinstance(value, list) and all(isinstance(child, dict) for child in value):
            value = value[: self.behaviour.most_children.get(name)]
            return [self._kept_child(name, child) for child in value]
        limit = self.behaviour.max_lengths.get(name)
        if limit is not None and isinstance(value, str):
            value = value[:limit]
        return self.behaviour.stores(name, value) if self.behaviour.stores else value

    def _kept_child(self, name: str, child: dict[str, Any]) -> dict[str, Any]:
        kept = {k: self._kept(Row("", {}), f"{name}.{k}", v) for k, v in child.items()}
        key = self.behaviour.child_ids.get(name)
        if key and not kept.get(key):
            self._next_id += 1
            kept[key] = f"c{self._next_id}"
        return kept

    def _patched(self, children: list[dict[str, Any]], patch: ListPatch, name: str) -> list[dict[str, Any]]:
        key = self.behaviour.child_ids[name]
        removed = () if name in self.behaviour.keeps_children else patch.remove
        kept = [{**c, **patch.change.get(str(c[key]), {})} for c in children if str(c[key]) not in removed]
        return [*kept, *copy.deepcopy(patch.add)]

    # what the connector asks

    def log_in(self, token: str) -> str:
        """Another token for this one, which is worth nothing from now on. Raises AuthError."""
        if token != self.token:
            raise AuthError(f"{self.name}: this token was used before")
        self._logins += 1
        self.token = f"token {self._logins}"
        return self.token

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
        if operation.kind == "delete":
            self.remove(stream, row.place)
            return Result.done(operation)
        if operation.kind == "archive":
            self._remove(stream, row.place, archived=True)
            return Result.done(operation)
        if operation.kind == "transition":
            self._set(row, {"state": operation.transition})
            return Result.done(operation, self.record(row))
        if fixed := operation.data.keys() & set(self.behaviour.composite.get(stream, ())):
            return Result.rejected(operation, f"{', '.join(sorted(fixed))} cannot be changed")
        return self._update(row, operation)

    def refuse_whole(self, operations: Sequence[Operation]) -> None:
        """One bad operation, and nothing of the batch is carried out. Raises RecordError."""
        for operation in operations:
            if missing := self._missing(operation):
                raise RecordError(f"{missing} must not be empty")

    def _missing(self, operation: Operation) -> str:
        b = self.behaviour
        names = b.required | b.insists_untold if operation.kind == "create" else ()
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
        ends = self.behaviour.composite.get(stream)
        if ends and any(
            [r.data.get(e) for e in ends] == [data.get(e) for e in ends] for r in self._live(stream)
        ):
            return Result.rejected(operation, f"there is one of this {' and '.join(ends)} already")
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


def _place(scope: str, native_id: str) -> str:
    return f"{scope}:{native_id}" if scope else native_id
