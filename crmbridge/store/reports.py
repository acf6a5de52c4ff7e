"""What people look at: dead letters, runs, writes, conflicts, notes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from msgspec.structs import asdict, replace

from crmbridge.store.database import Database, columns_of, insert, matching, select, upsert
from crmbridge.store.rows import ConflictRow, DeadLetterRow, NoteRow, RunRow, WriteRow

__all__ = ["DeadLetters", "Reports"]

# Ids are given by the database.
_LETTER = columns_of(DeadLetterRow, without="id")
_RUN = columns_of(RunRow, without="id")
_WRITE = columns_of(WriteRow, without="id")
_CONFLICT = columns_of(ConflictRow, without="id")
_NOTE = columns_of(NoteRow, without="id")
_LETTER_VALUES, _RUN_VALUES = attrgetter(*_LETTER), attrgetter(*_RUN)
_WRITE_VALUES, _NOTE_VALUES = attrgetter(*_WRITE), attrgetter(*_NOTE)

_LETTERS = select("dead_letters", columns_of(DeadLetterRow))
_PUT_LETTER = insert("dead_letters", _LETTER)
# The indexes of open and of dropped letters are limited by these very words.
_PLACE = "kind = :kind AND system = :system AND stream = :stream"
_OF = f"status = 'open' AND {_PLACE}"
_ONE = "scope = :scope AND native_id = :native_id"
_MINE = f"{_LETTERS} WHERE {_OF} AND {_ONE}"
_GIVEN_UP = f"SELECT id FROM dead_letters WHERE status = 'dropped' AND {_PLACE} AND {_ONE} AND raw = :raw"
_GIVE_UP = f"UPDATE dead_letters SET status = 'dropped' WHERE {_OF} AND {_ONE}"
_REPEATED = """
    UPDATE dead_letters SET attempts = attempts + CASE WHEN run = :run THEN 0 ELSE 1 END, error = :error,
        raw = :raw, entity = :entity, golden_id = :golden_id, last_at = :last_at, run = :run
    WHERE id = :id
"""
_LAST_LETTER = "SELECT max(id) FROM dead_letters"
_OPEN_KEYS = f"SELECT scope, native_id FROM dead_letters WHERE {_OF} AND native_id AMONG :ids"
_COUNT_OF = f"SELECT count(*), max(id) FROM dead_letters WHERE {_OF} AND id > :after"
_REASONS = (
    "SELECT one.native_id, alike.many, one.error FROM dead_letters one JOIN (SELECT min(id) AS id, count(*) "
    f"AS many FROM dead_letters WHERE {_OF} AND id > :after GROUP BY error) alike ON one.id = alike.id "
    "ORDER BY one.id LIMIT :number"
)
_COUNT_OPEN = "SELECT count(*) FROM dead_letters WHERE status = 'open'"
_LETTER_OF_ID = f"{_LETTERS} WHERE id = :id"
_SETTLE = "UPDATE dead_letters SET status = :status WHERE id = :id"
_REPLAYED = f"UPDATE dead_letters SET status = 'replayed' WHERE {_OF}"
_REPLAYED_OF = f"{_REPLAYED} AND scope = :scope AND native_id AMONG :ids"
_REPLAYED_OLDER = f"{_REPLAYED} AND (run <> :run OR last_at < :since)"

_PUT_RUN = insert("runs", _RUN)
_LAST_RUN = "SELECT max(id) FROM runs"
_END_RUN = "UPDATE runs SET ended_at = :ended_at, exit_code = :exit_code, counts = :counts WHERE id = :id"
_RUNS = f"{select('runs', columns_of(RunRow))} ORDER BY id DESC LIMIT :limit"
_PUT_WRITE = insert("writes", _WRITE)
_WRITES = f"""{select("writes", columns_of(WriteRow))}
    WHERE run = :run AND (record_id, id) > (:record_id, :id) ORDER BY record_id, id LIMIT :limit
"""
_KNOWN_CONFLICTS = "SELECT digest FROM conflicts WHERE golden_id AMONG :ids"
# One that waits still was found by the run that met it first.
_PUT_CONFLICT = f"""{upsert("conflicts", (*_CONFLICT, "digest"), ("digest",))}
    WHERE NOT (conflicts.undecided AND excluded.undecided)
"""
_CONFLICTS = select("conflicts", columns_of(ConflictRow))
_UNDECIDED = f"{_CONFLICTS} WHERE undecided ORDER BY id LIMIT :limit"
_PUT_NOTE = insert("notes", _NOTE)
_NOTES = select("notes", columns_of(NoteRow))
_PAGE = " ORDER BY id LIMIT :limit"


class DeadLetters:
    """See the protocol for what each method promises. A letter is never refused for what is in it."""

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self.database = database
        self.now = now

    def put_dead_letter(self, row: DeadLetterRow) -> int:
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
        if row.kind == "record" and self.database.rows(_GIVEN_UP, asdict(row)):
            self.database.write(_GIVE_UP, asdict(row))
            return 0
        before = self.database.rows(_MINE, asdict(row))
        if before:
            letter = DeadLetterRow(*before[0])
            self.database.write(_REPEATED, {**asdict(row), "id": letter.id})
            return letter.id
        self.database.write_many(_PUT_LETTER, [_LETTER_VALUES(row)])
        return int(self.database.value(_LAST_LETTER))

    def dead_letters(self, status: str | None = "open", system: str | None = None) -> list[DeadLetterRow]:
        chosen = {"status": status, "system": system}
        rows = self.database.rows(f"{_LETTERS}{matching(chosen)} ORDER BY id", chosen)
        return [DeadLetterRow(*row) for row in rows]

    def open_letters(
        self, kind: str, system: str, stream: str, keys: Iterable[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        wanted = {(_keepable(scope), _keepable(native_id)): (scope, native_id) for scope, native_id in keys}
        ids = self.database.ids({native_id for _, native_id in wanted})
        found = self.database.rows(_OPEN_KEYS, {**_of(kind, system, stream), "ids": ids})
        return {wanted[scope, native_id] for scope, native_id in found if (scope, native_id) in wanted}

    def count_letters(self, kind: str, system: str, stream: str, after: int) -> tuple[int, int]:
        ((count, latest),) = self.database.rows(_COUNT_OF, {**_of(kind, system, stream), "after": after})
        return count, latest or 0

    def letter_reasons(
        self, kind: str, system: str, stream: str, after: int, number: int
    ) -> list[tuple[str, int, str]]:
        chosen = {**_of(kind, system, stream), "after": after, "number": number}
        return [(native_id, many, error) for native_id, many, error in self.database.rows(_REASONS, chosen)]

    def count_open_letters(self) -> int:
        return int(self.database.value(_COUNT_OPEN))

    def dead_letter(self, letter_id: int) -> DeadLetterRow | None:
        rows = self.database.rows(_LETTER_OF_ID, {"id": letter_id})
        return DeadLetterRow(*rows[0]) if rows else None

    def settle_dead_letter(self, letter_id: int, status: str) -> None:
        self.database.write(_SETTLE, {"id": letter_id, "status": status})

    def settle_dead_letters_of(
        self, kind: str, system: str, stream: str, keys: Iterable[tuple[str, str]]
    ) -> None:
        by_scope: dict[str, list[str]] = {}
        for scope, native_id in keys:
            by_scope.setdefault(_keepable(scope), []).append(_keepable(native_id))
        for scope, native_ids in by_scope.items():
            theirs = {"scope": scope, "ids": self.database.ids(native_ids)}
            self.database.write(_REPLAYED_OF, {**_of(kind, system, stream), **theirs})

    def settle_older_letters(self, kind: str, system: str, stream: str, run: int, since: int) -> None:
        self.database.write(_REPLAYED_OLDER, {**_of(kind, system, stream), "run": run, "since": since})


def _of(kind: str, system: str, stream: str) -> dict[str, Any]:
    return {"kind": kind, "system": system, "stream": stream}


class Reports:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self.database = database
        self.now = now

    def begin_run(self, row: RunRow) -> int:
        begun = replace(row, started_at=row.started_at or self.now())
        self.database.write_many(_PUT_RUN, [_RUN_VALUES(begun)])
        return int(self.database.value(_LAST_RUN))

    def end_run(self, row: RunRow) -> None:
        ended = replace(row, ended_at=row.ended_at or self.now())
        self.database.write(_END_RUN, asdict(ended))

    def runs(self, limit: int) -> list[RunRow]:
        return [RunRow(*row) for row in self.database.rows(_RUNS, {"limit": limit})]

    def put_writes(self, rows: Iterable[WriteRow]) -> None:
        self.database.write_many(_PUT_WRITE, map(_WRITE_VALUES, rows))

    def writes(self, run: int, after: tuple[int, int], limit: int) -> list[WriteRow]:
        record_id, row_id = after
        values = {"run": run, "record_id": record_id, "id": row_id, "limit": limit}
        return [WriteRow(*row) for row in self.database.rows(_WRITES, values)]

    def put_conflicts(self, rows: Sequence[ConflictRow]) -> list[ConflictRow]:
        if not rows:
            return []
        flag = self.database.flag
        ids = self.database.ids({row.golden_id for row in rows})
        known = {bytes(digest) for (digest,) in self.database.rows(_KNOWN_CONFLICTS, {"ids": ids})}
        new = [row for row in rows if _digest(row) not in known]
        self.database.write_many(
            _PUT_CONFLICT,
            (
                (
                    *(row.golden_id, row.entity, row.path, row.winner, row.losers, row.rule),
                    *(flag(row.too_close), flag(row.undecided), row.at, row.run, _digest(row)),
                )
                for row in rows
            ),
        )
        return new

    def conflicts(self, golden_id: str | None, run: int | None, limit: int) -> list[ConflictRow]:
        chosen = {"golden_id": golden_id, "run": run}
        return self._conflicts(f"{_CONFLICTS}{matching(chosen)}{_PAGE}", {**chosen, "limit": limit})

    def undecided_conflicts(self, limit: int) -> list[ConflictRow]:
        return self._conflicts(_UNDECIDED, {"limit": limit})

    def _conflicts(self, text: str, values: Mapping[str, Any]) -> list[ConflictRow]:
        found = [ConflictRow(*row) for row in self.database.rows(text, values)]
        for row in found:  # SQLite's are numbers
            row.too_close, row.undecided = row.too_close == 1, row.undecided == 1
        return found

    def put_notes(self, rows: Iterable[NoteRow]) -> None:
        self.database.write_many(_PUT_NOTE, map(_NOTE_VALUES, rows))

    def notes(
        self, run: int | None, golden_id: str | None, limit: int, kind: str | None = None
    ) -> list[NoteRow]:
        chosen = {"run": run, "golden_id": golden_id, "kind": kind}
        rows = self.database.rows(f"{_NOTES}{matching(chosen)}{_PAGE}", {**chosen, "limit": limit})
        return [NoteRow(*row) for row in rows]


def _digest(row: ConflictRow) -> bytes:
    key = hashlib.blake2b(digest_size=16)
    for text in (row.golden_id, row.path, row.winner, row.losers):
        key.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
    return key.digest()


def _keepable(text: str) -> str:
    """The text with an escape for what no database may hold; nothing is lost, and it can be shown."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
