"""System -> pages -> the store, with checkpoints.

One page is one transaction: its records, its rejects and its cursor. What becomes of a page is in
`crmbridge.engine.intake`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from crmbridge.engine import rejects
from crmbridge.engine.intake import Intake
from crmbridge.engine.rejects import Rejects
from crmbridge.engine.removals import Removals
from crmbridge.engine.run import Run, System, set_back
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.discovered import missing_columns
from crmbridge.sdk.connector import Capabilities, Cursor, Page
from crmbridge.sdk.errors import CursorExpiredError, FatalError, LimitError
from crmbridge.store.rows import StreamRow

__all__ = ["pull_records", "pull_system"]

CHUNK = 1000


def pull_system(run: Run, system: System) -> None:
    """Read every mapped stream of one system. A failure puts this system out of the run, no other."""
    for name in system.streams:
        if system.failure is None and _taken(run, system, name):
            try:
                with run.guard(system, name):
                    _Pull(run, system, name).read()
            except LimitError as error:
                if error.limit == rejects.LIMIT:
                    raise  # the mapping is wrong, not the system
                run.stop(system, error)


def pull_records(run: Run, system: System, stream: str, native_ids: Sequence[str]) -> None:
    """Read these records again, wherever the stream's cursor stands; those that are gone are passed over."""
    try:
        with run.guard(system, stream):
            _Pull(run, system, stream).read_again(native_ids)
    except LimitError as error:
        run.stop(system, error)


def _taken(run: Run, system: System, stream: str) -> list[StreamMapping]:
    """The mappings of a stream for entities of whose sync the system is a part."""
    flows = {flow.entity: flow for flow in run.flows}
    return [
        m
        for m in system.mappings.get(stream, ())
        if m.entity in flows and system.name in flows[m.entity].policy.systems
    ]


@dataclass(slots=True)
class _Pull:
    """One reading of one stream."""

    run: Run
    system: System
    stream: str
    mappings: Sequence[StreamMapping] = field(init=False)
    capabilities: Capabilities = field(init=False)
    row: StreamRow = field(init=False)
    rejects: Rejects = field(init=False)
    removals: Removals = field(init=False)
    intake: Intake = field(init=False)
    listed: int = 0

    def __post_init__(self) -> None:
        run, system = self.run, self.system
        self.mappings = _taken(run, system, self.stream)
        self.capabilities = system.streams[self.stream].capabilities
        self.row = run.store.stream(system.name, self.stream)
        self.rejects = Rejects(run, system, self.stream, self.mappings[0].entity)
        self.removals = Removals(run, system, self.stream)
        self.intake = Intake(run, system, self.stream, self.mappings, self.row, self.rejects, self.removals)

    def read(self) -> None:
        run = self.run
        self._follow_scopes()
        self.row.reading_since = self.row.reading_since or run.now()
        run.event("stage-started", system=self.system.name, stage="pull", text=self.stream)
        try:
            complete = self._pages(self._cursor())
        except CursorExpiredError as error:
            run.event("finding", system=self.system.name, text=f"{error}; reading {self.stream} in full")
            complete = self._pages(None)
        self.rejects.check()
        self._tell_lagging()
        self._finish(complete)
        run.event("stage-ended", system=self.system.name, stage="pull", text=self.stream, count=self.listed)

    def _tell_lagging(self) -> None:
        if lagging := self.intake.lagging:
            text = (
                f"{lagging} {self.stream} were served as they had been before we last knew them, as by "
                f"a replica that lags, and were not taken; was a backup of {self.system.name} restored? Then "
                f"say so: crmbridge systems recover {self.system.name}"
            )
            self.run.event("finding", system=self.system.name, text=text)

    def read_again(self, native_ids: Sequence[str]) -> None:
        self.intake.asked_at = self.run.now()
        for start in range(0, len(native_ids), CHUNK):
            wanted = native_ids[start : start + CHUNK]
            page = Page(list(self.system.connector.get_many(self.stream, wanted)))
            with self.run.store.transaction():
                self.intake.take(page, sweeping=False)
        self.removals.let_leave()

    def _follow_scopes(self) -> None:
        """Of companies that are no longer looked at nothing is known: their records are out of scope. New
        ones are read in full."""
        store, key = self.run.store, f"scopes:{self.system.name}:{self.stream}"
        scopes, after = self.capabilities.scopes, 0
        now = "\x1f".join(sorted(scopes))
        if (store.setting(key) or "") == now:
            return
        with store.transaction():
            store.put_setting(key, now)
            self.row.cursor = None
            while scopes and (rows := store.records_in(self.system.name, self.stream, after, CHUNK)):
                after = rows[-1].id
                left = [row for row in rows if row.status == "live" and row.scope not in scopes]
                for row in left:
                    row.status, row.raw_hash = "out", b""
                store.put_records(left)

    def _cursor(self) -> Cursor:
        """Where reading goes on; None: in full, as whenever the mapping is another than last time, since a
        cursor brings only what has changed over there."""
        if not self.capabilities.changed_since or self.run.full or not self.row.cursor:
            return None
        mapped_by = self.run.store.setting(self._mapped_key)
        if mapped_by != self._mapped_by():
            why = (
                "its mapping changed, or the version of what it uses"
                if mapped_by
                else "the last full read did not end well"
            )
            self.run.event("finding", system=self.system.name, text=f"reading {self.stream} in full: {why}")
            return None
        found: Cursor = json.loads(self.row.cursor)
        return found

    @property
    def _mapped_key(self) -> str:
        return f"mapped:{self.system.name}:{self.stream}"

    def _mapped_by(self) -> str:
        return " ".join(mapping.fingerprint for mapping in self.mappings)

    def _pages(self, cursor: Cursor) -> bool:
        """Take every page; True if together they were a complete listing."""
        store, name = self.run.store, self.system.name
        self.listed = 0
        full, complete = cursor is None, False
        sweeping = full and self._sweeps()
        if full:
            with store.transaction():
                store.put_setting(self._mapped_key, None)
                store.sweep_begin(name, self.stream)
        self.intake.asked_at = began = self.run.now()
        for page in self.system.connector.pull(self.stream, cursor):
            self.removals.guard_high_water(self.row, page, full=full)
            self._check_columns(page)
            with store.transaction():
                self.intake.take(page, sweeping=sweeping)
                if page.cursor is not None:
                    self.row.cursor = json.dumps(page.cursor)
                store.put_stream(self.row)
            self.listed += len(page.records) + len(page.rejects)
            complete = complete or (full and page.complete)
            self.run.event(
                "progress", system=name, stage="pull", text=self.stream, count=self.listed, total=page.total
            )
            self.intake.asked_at = self.run.now()
        if full:
            with store.transaction():
                self.rejects.heal_others(began)
        return complete

    def _sweeps(self) -> bool:
        """Whether a full read shows deletes. Those that a feed would have told are looked for only in a
        stream that was read before."""
        if self.capabilities.deletes == "sweep":
            return True
        return self.capabilities.deletes != "never" and self.row.read_started > 0

    def _check_columns(self, page: Page) -> None:
        """Refuse a table that lacks a mapped column: taken as unset, edits would silently stop flowing."""
        if page.columns is None:
            return
        missing = [each for mapping in self.mappings for each in missing_columns(mapping, page.columns)]
        if missing:
            place = self.system.streams[self.stream].label or "the table"
            told = "; ".join(finding.text for finding in missing)
            raise FatalError(
                f"{self.system.name}/{self.stream}: {place} lacks columns that are mapped: {told}",
                hint=f"{missing[0].hint}; name the column as before, or correct the mapping",
            )

    # the end

    def _finish(self, complete: bool) -> None:
        store, name = self.run.store, self.system.name
        swept = self._sweeps()
        if self.capabilities.deletes == "sweep":
            complete = complete or self._listed_ids()
        if complete:
            self.removals.guard_emptied(self.row, self.listed, swept=swept)
        self.removals.let_leave()
        if complete and swept:
            seen = self.row.read_started
            if self.capabilities.deletes == "sweep":  # a reading that is no complete listing shows no delete
                seen = min(seen, self.row.complete_at)
            self.removals.sweep(since=seen)
        with store.transaction():
            store.sweep_end(name, self.stream)
            store.put_setting(self._mapped_key, self._mapped_by())
            store.put_setting(set_back(name, self.stream), None)
            self.row.read_started, self.row.reading_since = self.row.reading_since, 0
            if complete:
                self.row.complete_at, self.row.live_count = self.run.now(), self.listed
            store.put_stream(self.row)

    def _listed_ids(self) -> bool:
        """A listing of ids alone, for streams that are read by cursor."""
        store, name = self.run.store, self.system.name
        listing = self.system.connector.list_ids(self.stream)
        if listing is None:
            return False
        with store.transaction():
            store.sweep_begin(name, self.stream)
        self.listed = 0
        for keys in listing:
            with store.transaction():
                known = store.known(name, self.stream, [native_id for _, native_id in keys])
                store.sweep_saw(name, self.stream, [known[key].id for key in keys if key in known])
            self.listed += len(keys)
        return True
