"""The connector `memory`: it speaks to a system in memory as a connector speaks to any system."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from crmbridge.connectors.memory.system import FIRST_TOKEN, Fault, MemorySystem, Row
from crmbridge.sdk.connector import (
    Capabilities,
    Connector,
    Context,
    Cursor,
    FieldInfo,
    Finding,
    Operation,
    Page,
    Record,
    RemoteMerge,
    Result,
    ResultStatus,
    Stream,
)
from crmbridge.sdk.errors import AnswerLostError, ConfigError, CursorExpiredError, FatalError, RetryableError

__all__ = ["MemoryConnector", "MemorySettings"]

_ANSWERS: dict[Fault, ResultStatus] = {"reject": "rejected", "conflict": "conflict", "unsure": "uncertain"}


class MemorySettings(BaseModel):
    """A system of this process, by the name under which it was put into `MemoryConnector.systems`."""

    model_config = ConfigDict(extra="forbid")

    world: str


class MemoryConnector(Connector):
    """Speaks to a `MemorySystem`."""

    settings_model = MemorySettings
    speaks_http = False
    systems: dict[str, MemorySystem] = {}  # noqa: RUF012 - the one place where a config finds a system in memory

    def __init__(self, settings: MemorySettings, context: Context) -> None:
        super().__init__(settings, context)
        found = self.systems.get(settings.world)
        if found is None:
            raise ConfigError(f"there is no memory system {settings.world!r} in this process")
        self.memory = found
        self._oddly("open")
        if found.behaviour.rotates_tokens:  # kept before it is used: a process may end in between
            context.session["token"] = found.log_in(context.session.get("token", FIRST_TOKEN))

    def _oddly(self, method: str) -> list[Any]:
        """What a method gives where `Behaviour.odd` makes it misbehave."""
        how = self.memory.behaviour.odd.get(method)
        if how == "raises":
            raise RuntimeError(f"{method} is broken")
        if how == "exits":
            sys.exit(0)
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
        listed = (row for row in self._listing().rows(stream) if not self._hidden(row))
        rows = sorted(listed, key=self._position)
        if not full:
            since = self._since(cursor)
            rows = [row for row in rows if self._position(row) >= since]
        for start in range(0, max(1, len(rows)), b.page_size):
            page = self._page(rows, start, full=full)
            if b.repeats_deletes:
                page.tombstones = list(self.memory.graves.get(stream, ()))
            yield page

    def _listing(self) -> MemorySystem:
        return self.memory.replica or self.memory

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
        telling = b.deletes in ("feed", "flag") or (b.deletes == "archive" and not full)
        gone = [row for row in part if row.deleted] if telling else []
        return Page(
            records=[self.memory.record(row) for row in part if not row.deleted],
            tombstones=[self.memory.tombstone(row) for row in gone],
            merges=[_merged(row) for row in gone if row.merged_into],
            cursor=self._cursor(part[-1]) if part and b.changed_since else None,
            complete=full and start + b.page_size >= len(rows),
            total=len(rows),
            server_time=self.memory.clock(),
            high_water=self._listing().sequence if b.cursor == "sequence" else None,
        )

    def list_ids(self, stream: str) -> Iterator[Sequence[tuple[str, str]]] | None:
        if odd := self._oddly("list_ids"):
            return iter(odd)
        rows = (row for row in self._listing().rows(stream) if not row.deleted and not self._hidden(row))
        return iter([[(row.scope, row.id) for row in rows]])

    def push(self, stream: str, operations: Sequence[Operation]) -> Iterable[Result]:
        yield from self._oddly("push")
        if self.context.read_only:
            raise FatalError(f"{self.context.system} was opened for reading only")
        if self.memory.behaviour.batch_answers == "whole":
            self.memory.refuse_whole(operations)
        for operation in operations:
            fault: Fault = self.memory.faults.pop(0) if self.memory.faults else ""
            if fault == "lost before":
                raise AnswerLostError("the connection broke before the answer")
            if fault == "retryable":
                raise RetryableError("busy, come again")
            if fault in _ANSWERS:
                yield Result(operation.id, _ANSWERS[fault], reason="planted")
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
            if fault == "broken after":
                raise RuntimeError("push is broken")
            yield self._trimmed(operation, result)

    def _trimmed(self, operation: Operation, result: Result) -> Result:
        """Where records are not returned, a create says the new id, and an update nothing at all."""
        if result.record is not None and not self.memory.behaviour.returns_record:
            made = Record(result.record.native_id, {}, scope=result.record.scope)
            result.record = None if operation.native_id else made
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


def _merged(row: Row) -> RemoteMerge:
    survivor = row.merged_into or ""
    return RemoteMerge(row.id, survivor.removeprefix(f"{row.scope}:"), row.scope)
