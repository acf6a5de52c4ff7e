"""The contract, asked of each answer of a connector: what breaks it is told in the contract's words, with the
place in the connector's code.

A connector is foreign code. What it gives is looked at here, once, so that no stage has to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args

from crmbridge.engine.run import told
from crmbridge.sdk import connector as sdk
from crmbridge.sdk.connector import (
    Capabilities,
    Connector,
    Cursor,
    FieldInfo,
    Finding,
    Operation,
    Page,
    Record,
    Reject,
    RemoteMerge,
    Result,
    Stream,
    Tombstone,
)
from crmbridge.sdk.errors import CrmbridgeError, FatalError

__all__ = ["Checked", "ContractError"]

T = TypeVar("T")
_TEXTS: dict[type, tuple[str, ...]] = {
    Record: ("native_id", "scope"),
    Tombstone: ("native_id", "scope"),
    Reject: ("position", "scope"),
    RemoteMerge: ("loser", "survivor", "scope"),
}
_STATUSES = get_args(sdk.ResultStatus)
_KINDS = frozenset(get_args(sdk.OperationKind))
_DELETES = get_args(sdk.Deletes)
_LEVELS = ("ok", "warning", "error")


class ContractError(FatalError):
    """A connector gave what no connector may give. What it was asked for may have been carried out or not."""


class Checked(Connector):
    """A connector whose answers keep to the contract, or raise ContractError. What else it raises is an error
    that a person understands; `push` raises whatever it raises."""

    def __init__(self, system: str, checked: Connector) -> None:
        self.system = system
        self.checked = checked

    def check(self) -> Iterator[Finding]:
        ask = _Ask(self, "check")
        for finding in ask.each(self.checked.check, Finding):
            ask.require(finding.level in _LEVELS, f"a Finding of level {finding.level!r}", _LEVELS)
            for name in ("text", "hint"):
                ask.require_text(finding, name)
            yield finding

    def streams(self) -> list[Stream]:
        ask = _Ask(self, "streams")
        found = list(ask.each(self.checked.streams, Stream))
        for stream in found:
            for name in ("name", "key", "label"):
                ask.require_text(stream, name)
            ask.check_capabilities(stream)
        return found

    def pull(self, stream: str, cursor: Cursor) -> Iterator[Page]:
        ask = _Ask(self, "pull", stream)
        for page in ask.each(lambda: self.checked.pull(stream, cursor), Page):
            ask.check_page(page)
            yield page

    def push(self, stream: str, operations: Sequence[Operation]) -> Iterator[Result]:
        ask, answered = _Ask(self, "push", stream), set()
        for result in ask.items(self.checked.push(stream, operations), Result):
            ask.check_result(result)
            if result.operation_id in answered:
                ask.breach(
                    f"answered the operation {result.operation_id} twice", "answer each operation once"
                )
            answered.add(result.operation_id)
            yield result

    def get_many(self, stream: str, native_ids: Sequence[str]) -> Iterator[Record]:
        yield from self._records("get_many", stream, lambda: self.checked.get_many(stream, native_ids))

    def search(self, stream: str, key: str, value: str) -> Iterator[Record]:
        yield from self._records("search", stream, lambda: self.checked.search(stream, key, value))

    def _records(self, method: str, stream: str, call: Any) -> Iterator[Record]:
        ask = _Ask(self, method, stream)
        for record in ask.each(call, Record):
            ask.check_record(record)
            yield record

    def list_ids(self, stream: str) -> Iterator[Sequence[tuple[str, str]]] | None:
        ask = _Ask(self, "list_ids", stream)
        listing = ask.call(lambda: self.checked.list_ids(stream))
        return None if listing is None else self._ids(ask, listing)

    def _ids(self, ask: _Ask, listing: Any) -> Iterator[Sequence[tuple[str, str]]]:
        for chunk in ask.each(lambda: listing, list | tuple):
            for key in chunk:
                sound = isinstance(key, tuple) and list(map(type, key)) == [str, str]
                ask.require(sound, f"the key {key!r}", "(scope, native id), both text")
            yield chunk

    def poll(self, handles: Sequence[str]) -> Iterator[Result]:
        ask = _Ask(self, "poll")
        for result in ask.each(lambda: self.checked.poll(handles), Result):
            ask.check_result(result)
            yield result

    def discover(self, stream: str) -> Mapping[str, FieldInfo]:
        ask = _Ask(self, "discover", stream)
        found: Any = ask.call(lambda: self.checked.discover(stream))
        if not isinstance(found, Mapping) or not all(isinstance(f, FieldInfo) for f in found.values()):
            ask.breach(f"returned {_a(found)}", "return a mapping of names to FieldInfos")
        return found

    def fingerprint(self) -> str:
        ask = _Ask(self, "fingerprint")
        mark: object = ask.call(self.checked.fingerprint)
        if not isinstance(mark, str):
            ask.breach(f"returned {_a(mark)}", "return text")
        return mark

    def close(self) -> None:
        self.checked.close()


class _Ask:
    """One call of a connector's method, and where its code stands."""

    def __init__(self, of: Checked, method: str, stream: str = "") -> None:
        self.where = f"{of.system}/{stream}" if stream else of.system
        self.method = method
        self._connector = of.checked
        self._answer: Any = None

    # calling

    def call(self, call: Any) -> Any:
        """What a method returns. Raises a CrmbridgeError, whatever it raises."""
        try:
            return call()
        except CrmbridgeError:
            raise
        except Exception as error:  # a connector may raise anything
            raise told(error, self.where) from error

    def each(self, call: Any, kind: Any) -> Iterator[Any]:
        """What a method yields, all of one kind. Raises a CrmbridgeError, whatever it raises."""
        try:
            yield from self.items(call(), kind)
        except CrmbridgeError:
            raise
        except Exception as error:
            raise told(error, self.where) from error

    def items(self, answer: Iterable[T], kind: type[T]) -> Iterator[T]:
        """What a method yields, all of one kind."""
        self._answer = answer
        if not isinstance(answer, Iterable):
            self.breach(f"returned {_a(answer)}", f"yield {_name(kind)}s")
        for item in answer:
            if not isinstance(item, kind):
                self.breach(f"yielded {_a(item)}", f"yield {_name(kind)}s")
            yield item

    # judging

    def breach(self, what: str, duty: str) -> NoReturn:
        """Tell what a method did and what it has to do."""
        raise ContractError(
            f"{self.where}: {self._place()}: {self.method} {what}, it has to {duty}",
            hint="that is a mistake in the connector, not in your data: tell whoever wrote it",
        )

    def require(self, sound: object, gave: str, duty: object) -> None:
        if not sound:
            duty = " or ".join(map(repr, duty)) if isinstance(duty, tuple) else duty
            self.breach(f"gave {gave}", f"be {duty}")

    def require_text(self, part: Any, name: str) -> None:
        value = getattr(part, name)
        if not isinstance(value, str):
            self.require(False, f"a {type(part).__name__} whose {name} is {value!r}", "text")

    def check_page(self, page: Page) -> None:
        for name, kind in _PARTS:
            part = getattr(page, name)
            if not isinstance(part, Sequence):
                self.breach(f"gave a Page whose {name} are {_a(part)}", "give a list there")
            for one in part:
                if not isinstance(one, kind):
                    self.breach(f"gave a Page with {_a(one)} among its {name}", f"give {_name(kind)}s there")
                if isinstance(one, Record):
                    self.check_record(one)
                else:
                    for text in _TEXTS[kind]:
                        self.require_text(one, text)
        self._require_time(page, "server_time")
        try:
            json.dumps(page.cursor)
        except (TypeError, ValueError):
            self.require(False, f"a Page whose cursor is {_a(page.cursor)}", "a JSON value")

    def check_record(self, record: Record) -> None:
        # Of each record of each page, so the usual case comes first.
        if type(record.native_id) is not str or type(record.scope) is not str:
            for name in _TEXTS[Record]:
                self.require_text(record, name)
        if type(record.data) is not dict:
            self.require(False, f"a Record whose data are {_a(record.data)}", "a dict")
        if record.version is not None:
            self.require_text(record, "version")
        if record.modified is not None or record.created is not None:
            self._require_time(record, "modified")
            self._require_time(record, "created")

    def _require_time(self, part: Any, name: str) -> None:
        value = getattr(part, name)
        if value is not None and (not isinstance(value, datetime) or value.utcoffset() is None):
            gave = f"a {type(part).__name__} whose {name} is {value!r}"
            self.require(False, gave, "a datetime with an offset, or None")

    def check_result(self, result: Result) -> None:
        self.require_text(result, "operation_id")
        self.require(result.status in _STATUSES, f"a Result of status {result.status!r}", _STATUSES)
        if result.record is not None:
            if not isinstance(result.record, Record):
                self.breach(f"gave a Result with {_a(result.record)}", "give a Record there, or None")
            self.check_record(result.record)
        if result.status == "accepted":
            self.require_text(result, "handle")

    def check_capabilities(self, stream: Stream) -> None:
        able: Any = stream.capabilities
        if not isinstance(able, Capabilities):
            self.breach(f"gave {_a(able)} for what {stream.name} can do", "give Capabilities there")
        operations: Any = able.operations
        odd = {operations} if isinstance(operations, str) else set(operations) - _KINDS
        if odd:
            known = f"any of {', '.join(sorted(_KINDS))}"
            self.require(
                False, f"{stream.name} the operations {', '.join(map(repr, odd))}", f"a set of {known}"
            )
        self.require(able.deletes in _DELETES, f"{stream.name} the deletes {able.deletes!r}", _DELETES)

    # where it stands

    def _place(self) -> str:
        """`kasse.py:41`: the line that gave it, or the one in which the method begins."""
        answer, frame = self._answer, None
        while (here := getattr(answer, "gi_frame", None)) is not None and _is_foreign(here.f_code):
            frame, answer = here, answer.gi_yieldfrom
        if frame is not None:
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        for method in (self.method, "pull"):  # the sdk's own get_many and search give what pull gives
            code = getattr(getattr(type(self._connector), method), "__code__", None)
            if code is not None and _is_foreign(code):
                return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
        return type(self._connector).__name__


_PARTS: tuple[tuple[str, type], ...] = (
    ("records", Record),
    ("tombstones", Tombstone),
    ("merges", RemoteMerge),
    ("rejects", Reject),
)


def _is_foreign(code: Any) -> bool:
    return bool(code.co_filename != sdk.__file__)


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", "list")


def _a(value: object) -> str:
    """What kind of thing it is; not its value, which may be somebody's data."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"
