"""What a connector is. READ THIS FIRST (status: READY).

A *connector* is code that speaks to one kind of system: an ERP, a shop, a folder of
spreadsheets. A *system* is one configured connector with its credentials (`erp`, `shop`).
Each object type of a system is a *stream* (`party.party`, `customers`), each row of it a
*record* with its *native id*. The engine never sees anything of a system but these.

You write a class with four methods. Nothing else is required::

    class AcmeSettings(BaseModel):
        url: str
        token: SecretStr

    class AcmeConnector(Connector):
        settings_model = AcmeSettings

        def __init__(self, settings, context):          # opens nothing yet
            self.http = context.http(settings.url, headers={"Authorization": ...})

        def check(self):                                 # can we log in, and what may we do?
            yield Finding("ok", f"{self.http.get_json('/me')['name']} may read and write customers")

        def streams(self):
            return [Stream("customers", key="id", capabilities=Capabilities(operations={"create", "update"}))]

        def pull(self, stream, cursor):
            rows = self.http.get_json("/customers")
            yield Page([Record(str(r["id"]), r) for r in rows], complete=True)

        def push(self, stream, operations):
            for op in operations:
                row = self.http.post_json("/customers", op.data)
                yield Result.done(op, Record(str(row["id"]), row))

and name it to crmbridge by one hook (see `crmbridge.sdk.hookspecs`)::

    @hookimpl
    def crmbridge_connectors():
        return {"acme": AcmeConnector}

Rules that the engine relies on, each with its reason:

1. `pull` with `cursor=None` reads everything; with a cursor, everything changed since, *inclusive*.
   Reading a record twice is free (it is compared by hash); skipping one loses data.
2. A page's `cursor` says: all up to here has been handed over. It is saved together with the page.
3. `Page.complete` is a proof, not a hope: the last page of a listing that held *every* record that
   this stream has. Records that such a listing lacks count as deleted where `deletes == "sweep"`.
4. `push` answers each operation once. An answer that was lost is `Result.uncertain`, never
   "rejected" and never a silent second try of a create: the engine looks it up.
5. What is declared in `Capabilities` is true. The engine trusts it with people's data.
6. Values are JSON-like: str, int, bool, None, Decimal, list, dict. No float for money: parse with
   Decimal. Instants are ISO 8601 strings with an offset.
7. Raise the errors of `crmbridge.sdk.errors`, by what would help: RetryableError, AuthError,
   RecordError, FatalError, CursorExpiredError.
8. Never log or raise with a secret in it. Never print.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
from pydantic import BaseModel

if TYPE_CHECKING:
    from crmbridge.sdk.http import HttpClient

__all__ = [
    "Capabilities",
    "Connector",
    "Context",
    "Cursor",
    "FieldInfo",
    "Finding",
    "ListPatch",
    "Operation",
    "Page",
    "Record",
    "Reject",
    "RemoteMerge",
    "Result",
    "Stream",
    "Tombstone",
]

Cursor = Any
"""Opaque to the engine: any JSON value that says where reading goes on."""

OperationKind = Literal["create", "update", "archive", "delete", "transition"]
Deletes = Literal["feed", "flag", "archive", "sweep", "never"]


# -- what is read ------------------------------------------------------------------------------


class Record(msgspec.Struct):
    """One row as the system holds it."""

    native_id: str
    data: dict[str, Any]
    """The row: JSON-like values, Decimal for fractions. A key that is missing means what
    `Capabilities.absent_means` says."""
    version: str | None = None
    """What optimistic locking wants back (etag, `_timestamp`, `modified`); opaque."""
    modified: datetime | None = None
    """The system's own time of the last change, aware. Decides between edits, so leave it None
    rather than guess."""
    scope: str = ""
    """Company, channel or organization inside the system, where records belong to one: part of the
    record's key, so that 7 of one company is not 7 of another. Empty: shared by all of them."""
    modified_by: str | None = None
    """Who changed it last, where the system says so: a login or a name."""
    created: datetime | None = None
    """The system's own time of its making, aware. A record that is found in place of a create whose answer
    was lost must not be older than that; where no time is known and no mark of ours, a person has to look."""


@dataclass(slots=True)
class Tombstone:
    """A record that the system says is gone."""

    native_id: str
    scope: str = ""
    at: datetime | None = None
    archived: bool = False
    """True where the system keeps it hidden and can bring it back."""


@dataclass(slots=True)
class RemoteMerge:
    """Somebody merged two records inside the system: `loser` now lives on as `survivor`."""

    loser: str
    survivor: str
    scope: str = ""


@dataclass(slots=True)
class Reject:
    """A row that could not even become a `Record` (a broken line, a duplicated key)."""

    position: str
    """Where it is, for a person: `customers.csv:17` or a native id."""
    reason: str
    """What is wrong and what to do."""
    raw: Any = None
    """The row as it was read, whole; JSON-like."""
    scope: str = ""
    """Of the row, where `position` is a native id."""


@dataclass(slots=True)
class Page:
    """A stretch of a stream. Saved in one transaction together with its cursor."""

    records: Sequence[Record] = ()
    tombstones: Sequence[Tombstone] = ()
    merges: Sequence[RemoteMerge] = ()
    rejects: Sequence[Reject] = ()
    cursor: Cursor = None
    """Where to go on after this page. None: nothing to remember; the next pull starts anew."""
    complete: bool = False
    """Set on the last page of a listing of *every* record: the proof that a sweep needs."""
    total: int | None = None
    """How many records the whole pull will bring, if known: for the progress bar only."""
    server_time: datetime | None = None
    """The system's clock when it answered; corrects its times for skew."""
    columns: Collection[str] | None = None
    """Of a table: its columns, `lines.sku` for those of a child list. A mapping that reads another one stops
    the stream, since a column that was renamed would look like a value that nobody knows. None: each record
    has fields of its own."""
    high_water: int | str | None = None
    """Where the system's own counter of changes stands (a sequence, a log position), if it has one that
    deletes don't lower. Where it is lower than last time the system was set back: the engine stops it."""


# -- what is written ---------------------------------------------------------------------------


@dataclass(slots=True)
class ListPatch:
    """What changes in a child list whose stream declares `child_lists: {name: "patch"}`."""

    add: list[dict[str, Any]] = field(default_factory=list)
    change: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Native child id -> the fields to set."""
    remove: list[str] = field(default_factory=list)
    """Native child ids."""


@dataclass(slots=True)
class Operation:
    """One step of a plan, in the system's own words."""

    id: str
    """The same for the same intent after a crash. Use it as idempotency key where there is one."""
    kind: OperationKind
    native_id: str | None = None
    """None for creates."""
    data: dict[str, Any] = field(default_factory=dict)
    """The fields to set: all for a create, only the changed ones for an update. A child list is a
    whole list (`replace`) or a `ListPatch` (`patch`), as the stream declares. A new child has no id."""
    typed: dict[str, Any] = field(default_factory=dict)
    """Of fields that a mapping writes as text (`12,50`, `ja`): the Decimal or bool that the text stands for.
    Use it where the place holds such a value already, as a cell of a worksheet may."""
    scope: str = ""
    """Of the record; for a create where it belongs: `Capabilities.scopes` says how that is chosen."""
    version: str | None = None
    """The version that was read; a stale one must end in `Result.conflict`."""
    transition: str | None = None
    """For kind `transition`: the native state that the record shall reach."""
    mark: str | None = None
    """For creates in a stream with `search_mark`: leave this text there, so that it can be found."""


ResultStatus = Literal["done", "accepted", "rejected", "conflict", "uncertain"]


@dataclass(slots=True)
class Result:
    """The answer to one operation."""

    operation_id: str
    status: ResultStatus
    record: Record | None = None
    """For `done`: the record as the system now holds it. Give `Record(id, {})` with
    `returns_record=False` in the capabilities where the API does not say; the engine then re-reads."""
    reason: str = ""
    handle: str | None = None
    """For `accepted`: what `poll` wants. Durable: it outlives this process."""

    @classmethod
    def done(cls, operation: Operation, record: Record | None = None) -> Result:
        """It happened. `record` is what the system now holds (None after a delete)."""
        return cls(operation.id, "done", record)

    @classmethod
    def accepted(cls, operation: Operation, handle: str) -> Result:
        """It is queued over there; ask `poll` with `handle`."""
        return cls(operation.id, "accepted", handle=handle)

    @classmethod
    def rejected(cls, operation: Operation, reason: str) -> Result:
        """The system refuses it and would refuse it again: a dead letter with this reason."""
        return cls(operation.id, "rejected", reason=reason)

    @classmethod
    def conflict(cls, operation: Operation, reason: str) -> Result:
        """The record changed since we read it: it is read and planned again."""
        return cls(operation.id, "conflict", reason=reason)

    @classmethod
    def uncertain(cls, operation: Operation, reason: str) -> Result:
        """Sent, outcome unknown: the engine looks it up before anything else happens."""
        return cls(operation.id, "uncertain", reason=reason)


# -- what is declared --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one stream can do. The defaults describe the poorest API there is."""

    operations: frozenset[str] | set[str] = frozenset()
    """Which kinds of `Operation` it takes. Empty: the stream is read-only."""
    changed_since: bool = False
    """`pull` with a cursor brings only what changed. Otherwise every pull is a full read."""
    deletes: Deletes = "never"
    """How deletes show: `feed` and `flag` and `archive` come as tombstones; `sweep` is found by
    what a complete listing lacks; `never`: they don't."""
    versions: bool = False
    """Records carry a `version`, and a write with a stale one ends in a conflict."""
    versions_repeat: bool = False
    """A version is made of the content (a hash): an old copy that is saved again has its old version."""
    upsert_key: str | None = None
    """The native field by which a create becomes an update when the record exists already."""
    search_mark: str | None = None
    """The native field that holds `Operation.mark` and that `search` can look up."""
    search_keys: tuple[str, ...] = ()
    """Native fields that `search` can look up exactly (an e-mail, an order reference)."""
    search_lag: timedelta = timedelta(0)
    """How long a new record may stay invisible to `search`: "not found" counts only after it."""
    batch_size: int = 1
    """How many operations one `push` takes at most."""
    batch_answers: Literal["item", "whole"] = "item"
    """`whole`: one bad operation refuses the batch; the engine then bisects it."""
    computes: bool = True
    """It computes totals and taxes itself, so that they are compared and never written into a record that is
    there; a plain list holds what it is given."""
    returns_record: bool = True
    """`Result.done` carries the record as now held. Otherwise the engine calls `get_many`."""
    child_lists: Mapping[str, Literal["replace", "patch"]] = field(default_factory=dict)
    """Native list field -> whether a write replaces the whole list or patches it by child id."""
    child_ids: Mapping[str, str] = field(default_factory=dict)
    """Native list field -> the key that holds a child's own id. Lists without one match by value."""
    absent_means: Literal["unset", "null"] = "unset"
    """What a missing key in `Record.data` says: nothing, or "empty"."""
    cannot_clear: frozenset[str] | set[str] = frozenset()
    """Native fields that can't be emptied once they have a value; `lines.quantity` is one of children."""
    required: frozenset[str] | set[str] = frozenset()
    """Native fields without which a create is refused, and `lines.quantity` without which a child is."""
    max_lengths: Mapping[str, int] = field(default_factory=dict)
    """Native field -> characters that it holds; longer text is cut or refused by the system."""
    time_resolution: timedelta = timedelta(microseconds=1)
    """The grain of `Record.modified`: two edits inside one grain look equally old."""
    closed_when: Mapping[str, frozenset[str] | set[str]] = field(default_factory=dict)
    """Native field -> values in which the record may no longer change."""
    scopes: tuple[str, ...] = ()
    """The scopes that this stream is read and written in. A create goes into the first one, or into that of
    what it refers to (an order into its customer's). Records of scopes that are not named are left alone:
    neither written nor taken for deleted. Empty: whichever the records say, and creates have none."""

    @property
    def unrepeatable(self) -> bool:
        """An old version cannot come back, so that an old value which does is an edit."""
        return self.versions and not self.versions_repeat


@dataclass(frozen=True, slots=True)
class Stream:
    """One object type of a system."""

    name: str
    key: str = "id"
    """The native field that holds the native id (for `check` and for people)."""
    capabilities: Capabilities = Capabilities()
    label: str = ""


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One native field, as `discover` found it."""

    type: str = "string"
    """string, text, integer, decimal, boolean, date, datetime, reference, list, object"""
    on_create: bool = True
    on_update: bool = True
    required: bool = False
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    custom: bool = False
    label: str = ""
    fields: Mapping[str, FieldInfo] = field(default_factory=dict)
    """For `object` and for `list` of objects: what is inside."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `crmbridge check`."""

    level: Literal["ok", "warning", "error"]
    text: str
    hint: str = ""


# -- what a connector is given -----------------------------------------------------------------


@dataclass(slots=True)
class Context:
    """What the engine hands to a connector when it opens a system. Nothing else is global."""

    system: str
    """The system's name in the config, for messages."""
    root: Path
    """The folder of the config file: relative paths start here."""
    session: MutableMapping[str, str]
    """A durable store for this system alone. What is put here is on disk before the call returns:
    write a rotated refresh token here *before* using it."""
    now: Callable[[], datetime]
    """The clock: aware, UTC. Don't ask the machine's."""
    random: Callable[[], float]
    """Uniform in [0, 1)."""
    read_only: bool
    """No write will come. Write credentials may be missing: everything that reads has to work."""
    http: Callable[..., HttpClient]
    """`http(base_url, headers=..., ...)`: the one way to the network; see `crmbridge.sdk.http`."""


# -- the connector -----------------------------------------------------------------------------


class Connector(ABC):
    """Speaks to one system. Used by one thread at a time. See the module's docstring."""

    settings_model: ClassVar[type[BaseModel]]
    """What stands below `systems: NAME:` in the config, without `connector` and `mode`."""
    mappings: ClassVar[Path | None] = None
    """A folder of mapping files (`*.yaml`) that come with the connector."""
    speaks_http: ClassVar[bool] = True
    """Whether it goes by `context.http`. False, for files and databases: `network:` is a mistake there."""

    def __init__(self, settings: Any, context: Context) -> None:
        self.settings = settings
        self.context = context

    @abstractmethod
    def check(self) -> Iterable[Finding]:
        """Reach the system, log in, look at the rights. Problems are findings, not exceptions."""

    @abstractmethod
    def streams(self) -> Sequence[Stream]:
        """The object types and what can be done with them."""

    @abstractmethod
    def pull(self, stream: str, cursor: Cursor) -> Iterable[Page]:
        """Everything (cursor None) or what changed since `cursor`, page by page.

        Raises CursorExpiredError when the system no longer knows the cursor: the engine then
        reads in full and says so.
        """

    @abstractmethod
    def push(self, stream: str, operations: Sequence[Operation]) -> Iterable[Result]:
        """Carry out at most `batch_size` operations and answer each one.

        Yield a result as soon as it is known: what was yielded is saved even if the rest fails.
        """

    def get_many(self, stream: str, native_ids: Sequence[str]) -> Iterator[Record]:
        """These records, as they are now; ids that are gone are left out. Override it if you can.

        Where several scopes have a record of that id, all of them are meant.
        """
        wanted = set(native_ids)
        for page in self.pull(stream, None):
            yield from (record for record in page.records if record.native_id in wanted)

    def list_ids(self, stream: str) -> Iterator[Sequence[tuple[str, str]]] | None:
        """(scope, native id) of every record, in chunks; its regular end proves that nothing is missing.

        Lets a stream with `changed_since` and deletes by `sweep` find deletes without a full read.
        None: cannot be listed apart from a full read.
        """
        return None

    def search(self, stream: str, key: str, value: str) -> Iterator[Record]:
        """Records whose native field `key` is exactly `value`. Override it if you can."""
        for page in self.pull(stream, None):
            yield from (record for record in page.records if record.data.get(key) == value)

    def poll(self, handles: Sequence[str]) -> Iterable[Result]:
        """What became of accepted operations. Handles that are still busy are left out; one that is left out
        for longer than `limits.parked_hours` is looked up as if its answer was lost.

        Only called with handles that this connector gave; `Result.operation_id` is that of the
        operation which was accepted.
        """
        return ()

    def discover(self, stream: str) -> Mapping[str, FieldInfo]:
        """The fields that this very system has, custom ones included. Empty: unknown."""
        return {}

    def fingerprint(self) -> str:
        """Which instance, database, company this is. Another one must answer differently.

        Guards against a URL that suddenly points at the test system. Empty: can't be told.
        """
        return ""

    def close(self) -> None:
        """Give back connections. Called once, also after errors."""
        return None
