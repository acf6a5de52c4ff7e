"""What people look at: dead letters, runs, writes, conflicts, notes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter

import sqlalchemy as sa

from crmbridge.store.database import Database, columns_of, literal, upsert
from crmbridge.store.rows import ConflictRow, DeadLetterRow, NoteRow, RunRow, WriteRow
from crmbridge.store.tables import conflicts, dead_letters, notes, runs, writes

__all__ = ["DeadLetters", "Reports"]


_LETTER = columns_of(DeadLetterRow)
_RUN = columns_of(RunRow)
_WRITE = columns_of(WriteRow)
_CONFLICT = columns_of(ConflictRow)
_NOTE = columns_of(NoteRow)
# Without the id, which stands last and is given by the database.
_WRITE_VALUES = attrgetter(*_WRITE[:-1])
_CONFLICT_VALUES = attrgetter(*_CONFLICT[:-1])
_NOTE_VALUES = attrgetter(*_NOTE[:-1])
_PUT_WRITE = upsert(writes, _WRITE[:-1], ("id",))
_PUT_NOTE = upsert(notes, _NOTE[:-1], ("id",))
_PUT_CONFLICT = upsert(conflicts, (*_CONFLICT[:-1], "digest"), ("digest",))


class DeadLetters:
    """See the protocol for what each method promises. A letter is never refused for what is in it."""

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self.database = database
        self.now = now
        d = dead_letters.c
        self._letters = sa.select(*(d[name] for name in _LETTER)).order_by(d.id)
        self._open = d.status == literal("open")
        self._of = self._open & sa.and_(
            d.kind == sa.bindparam("of_kind"),
            d.system == sa.bindparam("of_system"),
            d.stream == sa.bindparam("of_stream"),
        )

    def put_dead_letter(self, row: DeadLetterRow) -> int:
        d = dead_letters.c
        at = row.last_at or self.now()
        row = replace(
            row,
            native_id=_keepable(row.native_id),
            scope=_keepable(row.scope),
            error=_keepable(row.error),
            raw=_keepable(row.raw),
            first_at=row.first_at or at,
            last_at=at,
        )
        key = {"of_kind": row.kind, "of_system": row.system, "of_stream": row.stream}
        mine = sa.and_(self._of, d.scope == row.scope, d.native_id == row.native_id)
        before = self.database.rows(self._letters.where(mine), key)
        if not before:
            values = {name: getattr(row, name) for name in _LETTER if name != "id"}
            self.database.write(sa.insert(dead_letters).values(**values).inline())
            return int(self.database.value(sa.select(sa.func.max(d.id))))
        letter = DeadLetterRow(*before[0])
        changed = {
            name: getattr(row, name) for name in ("error", "raw", "entity", "golden_id", "last_at", "run")
        }
        self.database.write(
            sa.update(dead_letters).where(d.id == letter.id).values(attempts=letter.attempts + 1, **changed)
        )
        return letter.id

    def dead_letters(self, status: str | None = "open", system: str | None = None) -> list[DeadLetterRow]:
        statement = self._letters
        if status is not None:
            statement = statement.where(dead_letters.c.status == status)
        if system is not None:
            statement = statement.where(dead_letters.c.system == system)
        return [DeadLetterRow(*row) for row in self.database.rows(statement)]

    def open_letters(
        self, kind: str, system: str, stream: str, keys: Iterable[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        d = dead_letters.c
        wanted = {(_keepable(scope), _keepable(native_id)): (scope, native_id) for scope, native_id in keys}
        key = {"of_kind": kind, "of_system": system, "of_stream": stream}
        ids = self.database.ids({native_id for _, native_id in wanted})
        among = self._of & self.database.among(d.native_id)
        rows = self.database.rows(sa.select(d.scope, d.native_id).where(among), {**key, "ids": ids})
        return {wanted[row.scope, row.native_id] for row in rows if (row.scope, row.native_id) in wanted}

    def count_letters(self, kind: str, system: str, stream: str, after: int) -> tuple[int, int]:
        key = {"of_kind": kind, "of_system": system, "of_stream": stream}
        d = dead_letters.c
        counted = sa.select(sa.func.count(), sa.func.max(d.id)).where(self._of, d.id > after)
        ((count, latest),) = self.database.rows(counted, key)
        return count, latest or 0

    def count_open_letters(self) -> int:
        return int(self.database.value(sa.select(sa.func.count()).where(self._open)))

    def dead_letter(self, letter_id: int) -> DeadLetterRow | None:
        rows = self.database.rows(self._letters.where(dead_letters.c.id == letter_id))
        return DeadLetterRow(*rows[0]) if rows else None

    def settle_dead_letter(self, letter_id: int, status: str) -> None:
        self.database.write(
            sa.update(dead_letters).where(dead_letters.c.id == letter_id).values(status=status)
        )

    def settle_dead_letters_of(
        self, kind: str, system: str, stream: str, keys: Iterable[tuple[str, str]]
    ) -> None:
        among = self.database.among(dead_letters.c.native_id)
        by_scope: dict[str, list[str]] = {}
        for scope, native_id in keys:
            by_scope.setdefault(_keepable(scope), []).append(_keepable(native_id))
        for scope, native_ids in by_scope.items():
            self.database.write(
                sa.update(dead_letters)
                .where(self._of, dead_letters.c.scope == sa.bindparam("of_scope"), among)
                .values(status="replayed"),
                {
                    "of_kind": kind,
                    "of_system": system,
                    "of_stream": stream,
                    "of_scope": scope,
                    "ids": self.database.ids(native_ids),
                },
            )

    def settle_older_letters(self, kind: str, system: str, stream: str, run: int, since: int) -> None:
        d = dead_letters.c
        older = self._of & ((d.run != run) | (d.last_at < since))
        key = {"of_kind": kind, "of_system": system, "of_stream": stream}
        self.database.write(sa.update(dead_letters).where(older).values(status="replayed"), key)


class Reports:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self.database = database
        self.now = now

    def begin_run(self, row: RunRow) -> int:
        values = {name: getattr(row, name) for name in _RUN if name != "id"}
        values["started_at"] = row.started_at or self.now()
        self.database.write(sa.insert(runs).values(**values).inline())
        return int(self.database.value(sa.select(sa.func.max(runs.c.id))))

    def end_run(self, row: RunRow) -> None:
        values = {"ended_at": row.ended_at or self.now(), "exit_code": row.exit_code, "counts": row.counts}
        self.database.write(sa.update(runs).where(runs.c.id == row.id).values(**values))

    def runs(self, limit: int) -> list[RunRow]:
        statement = sa.select(*(runs.c[name] for name in _RUN)).order_by(runs.c.id.desc()).limit(limit)
        return [RunRow(*row) for row in self.database.rows(statement)]

    def put_writes(self, rows: Iterable[WriteRow]) -> None:
        self.database.write_many(_PUT_WRITE, map(_WRITE_VALUES, rows))

    def writes(self, run: int, after: tuple[int, int], limit: int) -> list[WriteRow]:
        place = sa.tuple_(writes.c.record_id, writes.c.id)
        statement = (
            sa.select(*(writes.c[name] for name in _WRITE))
            .where(writes.c.run == run, place > after)
            .order_by(writes.c.record_id, writes.c.id)
            .limit(limit)
        )
        return [WriteRow(*row) for row in self.database.rows(statement)]

    def put_conflicts(self, rows: Iterable[ConflictRow]) -> None:
        self.database.write_many(_PUT_CONFLICT, ((*_CONFLICT_VALUES(row), _digest(row)) for row in rows))

    def conflicts(self, golden_id: str | None, run: int | None, limit: int) -> list[ConflictRow]:
        statement = (
            sa.select(*(conflicts.c[name] for name in _CONFLICT)).order_by(conflicts.c.id).limit(limit)
        )
        if golden_id is not None:
            statement = statement.where(conflicts.c.golden_id == golden_id)
        if run is not None:
            statement = statement.where(conflicts.c.run == run)
        return [ConflictRow(*row) for row in self.database.rows(statement)]

    def put_notes(self, rows: Iterable[NoteRow]) -> None:
        self.database.write_many(_PUT_NOTE, map(_NOTE_VALUES, rows))

    def notes(
        self, run: int | None, golden_id: str | None, limit: int, kind: str | None = None
    ) -> list[NoteRow]:
        statement = sa.select(*(notes.c[name] for name in _NOTE)).order_by(notes.c.id).limit(limit)
        if run is not None:
            statement = statement.where(notes.c.run == run)
        if golden_id is not None:
            statement = statement.where(notes.c.golden_id == golden_id)
        if kind is not None:
            statement = statement.where(notes.c.kind == kind)
        return [NoteRow(*row) for row in self.database.rows(statement)]


def _digest(row: ConflictRow) -> bytes:
    key = hashlib.blake2b(digest_size=16)
    for text in (row.golden_id, row.path, row.winner, row.losers):
        key.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
    return key.digest()


def _keepable(text: str) -> str:
    """The text with an escape for what no database may hold; nothing is lost, and it can be shown."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
