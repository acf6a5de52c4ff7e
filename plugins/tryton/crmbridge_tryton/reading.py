"""Reading a table of Tryton: all of it, what changed, these ids, or what matches.

Changes are found by `last_modified_at` (the time of the last write, or else of the making), of the model
itself and of its parts, merged in order of time. Tryton's times are those of the transaction's start, so a
long one commits rows that look old already; hence reading goes back by an overlap.

Deleted rows leave nothing behind. Records are found missing by a listing of all ids. Of a deleted address or
e-mail address it can only be told that one is gone: of the ids up to the highest known one, fewer are left.
Then the cursor counts as expired, and a full read finds out whose it was.

A cursor is `{"since": time, "counts": {model: [highest id, rows up to it]}}`; inside a full read it also has
`"after": id`, where an interrupted one goes on.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crmbridge.sdk.connector import Page, Record, RemoteMerge, Tombstone
from crmbridge.sdk.errors import CursorExpiredError, FatalError, RecordError
from crmbridge_tryton.models import Models
from crmbridge_tryton.rpc import Rpc
from crmbridge_tryton.streams import Company, Part, Table

__all__ = ["ReadOptions", "TableReader", "changed_rows", "chunks", "count_rows", "latest_change"]

_TIME = "last_modified_at"
_STAMP = "_timestamp"
_MADE = "create_date"
_EDITORS = ("write_uid", "create_uid")
_ROWS = 1000  # of a part, of which only ids and times are read
_MOST_FOUND = 100
_MOST_REMEMBERED = 100_000  # beyond it, records are read twice rather than kept in mind
# Tryton keeps a number as people write it and, for looking it up, without blanks and dots.
_COMPACT = {
    "contact_mechanisms.value": "contact_mechanisms.value_compact",
    "identifiers.code": "identifiers.code_compact",
}
_ALIASES = {"ean": "identifiers.code"}
Counts = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    company: Company
    page_size: int = 200
    overlap: timedelta = timedelta(minutes=5)
    more_paths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Stream -> further fields to read, as dotted paths."""


class TableReader:
    """Reads one table. Everything is read anew at each call; only definitions are kept."""

    def __init__(self, rpc: Rpc, models: Models, table: Table, options: ReadOptions) -> None:
        self._rpc = rpc
        self._models = models
        self._table = table
        self._options = options
        self._paths: list[str] | None = None

    @property
    def company(self) -> Company:
        """The company that we work for."""
        return self._options.company

    @property
    def scope(self) -> str:
        """The company that the table's records belong to; "" where all companies share them."""
        return str(self.company.id) if self._table.company else ""

    # -- pages -----------------------------------------------------------------------------

    def pages(self, cursor: Any) -> Iterator[Page]:
        """All records (cursor None), or those that changed since. CursorExpiredError after a delete."""
        try:
            counts = {
                part.model: count_rows(self._rpc, self._models, part.model)
                for part in self._table.models
                if part.counted
            }
            if cursor is None or "after" in cursor:
                yield from self._everything(cursor, counts)
            else:
                self._check_nothing_vanished(cursor["counts"])
                yield from self._changes(cursor["since"], counts)
        except RecordError as error:
            raise FatalError(
                f"Tryton does not let us read {self._table.model}: {error.message}",
                hint="give the user the rights that README names; `crmbridge check` lists them",
            ) from error

    def _everything(self, cursor: Any, counts: Counts) -> Iterator[Page]:
        fresh = cursor is None
        # The position for the next pull is taken before the reading: what changes meanwhile is read again.
        goal = {"since": self._latest(), "counts": counts} if fresh else _without(cursor, "after")
        after = 0 if fresh else int(cursor["after"])
        model = self._table.model
        total = self._rpc.read(f"model.{model}.search_count", self._domain([["id", ">", after]]))
        last = False
        while not last:
            rows = self._rows([["id", ">", after]], [["id", "ASC"]], self._options.page_size)
            last = len(rows) < self._options.page_size
            after = rows[-1]["id"] if rows else after
            page = self._page(rows, goal if last else {**goal, "after": after})
            # Only a listing that this very call began has certainly held every record.
            page.complete = last and fresh
            page.total = total
            yield page

    def _changes(self, since: str | None, counts: Counts) -> Iterator[Page]:
        newest = datetime.fromisoformat(since) if since else None
        start = newest - self._options.overlap if newest else None
        parts = [changed_rows(self._rpc, self._models, part, start) for part in self._table.models]
        wanted: dict[int, None] = {}
        read_after: dict[int, int] = {}
        for change in heapq.merge(*parts, key=lambda row: row.time):
            # A record that was read after this change had been seen shows the change already.
            wanted.update(dict.fromkeys(r for r in change.records if read_after.get(r, -1) < change.call))
            newest = max(newest or change.time, change.time)
            if len(wanted) >= self._options.page_size:
                if len(read_after) > _MOST_REMEMBERED:
                    read_after.clear()
                read_after.update(dict.fromkeys(wanted, self._rpc.calls))
                yield self._page(self._rows_of(list(wanted)), _cursor(newest, counts))
                wanted.clear()
        yield self._page(self._rows_of(list(wanted)), _cursor(newest, counts))

    def _check_nothing_vanished(self, known: Counts) -> None:
        for model, (highest, rows) in known.items():
            left = count_rows(self._rpc, self._models, model, highest)[1]
            if left < rows:
                raise CursorExpiredError(
                    f"{rows - left} rows of {model} were deleted in Tryton, which does not say whose"
                )

    def _latest(self) -> str | None:
        times = [latest_change(self._rpc, self._models, part.model) for part in self._table.models]
        return max((time for time in times if time), default=None)

    def _page(self, rows: Sequence[Mapping[str, Any]], cursor: Any) -> Page:
        records: list[Record] = []
        tombstones: list[Tombstone] = []
        merges: list[RemoteMerge] = []
        for row in rows:
            record, active, survivor = self._record(row)
            if survivor is not None:
                merges.append(RemoteMerge(record.native_id, survivor, record.scope))
            elif active:
                records.append(record)
            else:
                gone = Tombstone(record.native_id, record.scope, at=record.modified, archived=True)
                tombstones.append(gone)
        return Page(records, tombstones, merges, cursor=cursor, server_time=self._rpc.server_time)

    def ids(self) -> Iterator[Sequence[str]]:
        """The ids of all records, archived ones too."""
        method = f"model.{self._table.model}.search"
        after = 0
        last = False
        while not last:
            ids = self._rpc.read(method, self._domain([["id", ">", after]]), 0, _ROWS, [["id", "ASC"]])
            last = len(ids) < _ROWS
            after = ids[-1] if ids else after
            yield [str(item) for item in ids]

    # -- single records --------------------------------------------------------------------

    def get(self, native_ids: Sequence[str]) -> Iterator[Record]:
        """These records, in this order; those that are gone or archived are left out."""
        for some in chunks([int(item) for item in native_ids], self._options.page_size):
            yield from self._page(self._rows_of(some), None).records

    def search(self, key: str, value: str) -> Iterator[Record]:
        """Active records whose field is exactly `value`; numbers also as Tryton normalises them."""
        key = _ALIASES.get(key, key)
        domain: list[Any] = [[key, "=", value]]
        compact = _COMPACT.get(key)
        if compact and self._models.find(self._table.model, compact):
            domain = ["OR", domain, [[compact, "=", value]]]
        yield from self._page(self._rows([domain], [["id", "ASC"]], _MOST_FOUND), None).records

    # -- rows ------------------------------------------------------------------------------

    def paths(self) -> list[str]:
        """What is read of each record, of what this Tryton has."""
        if self._paths is None:
            model = self._table.model
            more = self._options.more_paths.get(model, ())
            stamps = [
                f"{prefix}{name}"
                for prefix in ("", *(f"{relation}." for relation in self._table.watched))
                for name in (_TIME, _STAMP)
            ]
            known = self._models.known_paths(model, (*self._table.paths, *more))
            self._paths = list(
                dict.fromkeys([*known, *stamps, _MADE, *(f"{by}.rec_name" for by in _EDITORS)])
            )
        return self._paths

    def _rows(self, domain: list[Any], order: list[Any] | None, limit: int | None) -> list[dict[str, Any]]:
        method = f"model.{self._table.model}.search_read"
        found: list[dict[str, Any]] = self._rpc.read(
            method, self._domain(domain), 0, limit, order, self.paths()
        )
        return found

    def _rows_of(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        if not ids:
            return []
        rows = {row["id"]: row for row in self._rows([["id", "in", list(ids)]], None, None)}
        return [rows[item] for item in ids if item in rows]

    def _domain(self, domain: list[Any]) -> list[Any]:
        extra: list[Any] = [list(clause) for clause in self._table.domain if isinstance(clause, tuple)]
        if self._table.company:
            extra.append(["company", "=", self.company.id])
        return [*domain, *extra, *_any_active(self._models, self._table.model)]

    def _record(self, row: Mapping[str, Any]) -> tuple[Record, bool, str | None]:
        """The record, whether it is active, and the id of the record that replaced it, if one did."""
        model = self._table.model
        data = self._models.record(model, row)
        stamps = {f"{model},{data['id']}": data.pop(_STAMP)}
        times = [data.pop(_TIME)]
        made = data.pop(_MADE)
        written_by, made_by = (data.pop(by) for by in _EDITORS)
        for relation in self._table.watched:
            field_def = self._models.fields(model)[relation]
            for part in _objects(data.get(relation)):
                stamps[f"{field_def.relation},{part['id']}"] = part.pop(_STAMP)
                times.append(part.pop(_TIME))
        active = data.pop("active", True)
        template = data.get("template")
        if isinstance(template, dict):
            active = template.pop("active", True) and active
        replaced = data.pop("replaced_by", None)
        if self._table.show:
            self._table.show(data, self.company)
        newest = max(time for time in times if time)
        editor = written_by or made_by
        record = Record(
            data["id"],
            data,
            version=json.dumps(stamps, separators=(",", ":")),
            modified=datetime.fromisoformat(newest),
            scope=self.scope,
            created=datetime.fromisoformat(made),
            # Who edited a part is not asked; the record's own editor would be the wrong one.
            modified_by=editor["rec_name"] if editor and newest == times[0] else None,
        )
        return record, active, replaced["id"] if replaced else None


# -- rows of any model -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChangedRow:
    time: datetime
    records: tuple[int, ...]
    """The records that show this row."""
    call: int
    """The number of the call that brought it."""


def changed_rows(rpc: Rpc, models: Models, part: Part, start: datetime | None) -> Iterator[ChangedRow]:
    """Rows of a part that changed at `start` or later, in order of time."""
    names = [_TIME] if part.path == "id" else [_TIME, part.path]
    domain: list[Any] = [[_TIME, ">=", start]] if start else []
    while True:
        rows = rpc.read(
            f"model.{part.model}.search_read",
            [*domain, *_any_active(models, part.model)],
            0,
            _ROWS,
            [[_TIME, "ASC"], ["id", "ASC"]],
            names,
        )
        call = rpc.calls
        for row in rows:
            yield ChangedRow(row[_TIME], tuple(_leads_to(row[part.path])), call)
        if len(rows) < _ROWS:
            return
        time, row_id = rows[-1][_TIME], rows[-1]["id"]
        domain = [["OR", [[_TIME, ">", time]], [[_TIME, "=", time], ["id", ">", row_id]]]]


def latest_change(rpc: Rpc, models: Models, model: str) -> str | None:
    """The newest time of change in a model; None where it has no rows."""
    domain = _any_active(models, model)
    rows = rpc.read(f"model.{model}.search_read", domain, 0, 1, [[_TIME, "DESC"]], [_TIME])
    return rows[0][_TIME].isoformat() if rows else None


def count_rows(rpc: Rpc, models: Models, model: str, highest: int | None = None) -> list[int]:
    """[the highest id, or the one given; how many rows have an id up to it]"""
    domain = _any_active(models, model)
    if highest is None:
        ids = rpc.read(f"model.{model}.search", domain, 0, 1, [["id", "DESC"]])
        highest = int(ids[0]) if ids else 0
    return [highest, rpc.read(f"model.{model}.search_count", [["id", "<=", highest], *domain])]


def chunks(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _leads_to(value: Any) -> Iterator[int]:
    """The ids in a many2one, a one2many or a reference (`stock.shipment.out,5`)."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str) and value.partition(",")[2].isdigit():
        yield int(value.partition(",")[2])


def _any_active(models: Models, model: str) -> list[Any]:
    """Archived rows too: Tryton leaves them out of every search that does not mention `active`."""
    return [["active", "in", [True, False]]] if "active" in models.fields(model) else []


def _objects(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _without(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != key}


def _cursor(newest: datetime | None, counts: Counts) -> dict[str, Any]:
    return {"since": newest.isoformat() if newest else None, "counts": counts}
