"""A file's rows as records, checked as a whole before any of them is handed out.

The rows go through a private database on disk that SQLite deletes by itself
(https://sqlite.org/inmemorydb.html, "temporary databases"). So a file that turns out to be torn in its last
line yields nothing, duplicated keys are known before the first page, and memory does not grow with the
file.
"""

from __future__ import annotations

import difflib
import json
import sqlite3
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

from crmbridge.connectors.files.exactjson import dumps
from crmbridge.connectors.files.settings import FileSettings
from crmbridge.connectors.files.table import Row, Table
from crmbridge.sdk import ConfigError, Page, Record, Reject

__all__ = ["Entry", "Listing", "join_key"]

_BATCH = 1000
_NAMED_ROWS = 10
_TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE row (
        number INTEGER PRIMARY KEY, key TEXT, data TEXT NOT NULL, version TEXT NOT NULL,
        computed TEXT NOT NULL, has_key INTEGER NOT NULL, problem TEXT NOT NULL
    );
"""


class Entry(NamedTuple):
    """One row as `Listing.find` gives it."""

    number: int
    record: Record
    computed: frozenset[str]
    """Columns with a formula in this row."""


def join_key(parts: Iterable[str]) -> str:
    """One native id of several key values; different values never give the same id."""
    found = list(parts)
    if len(found) == 1:
        return found[0]
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in found)


class Listing:
    """All rows of one state of a file."""

    def __init__(self, table: Table, settings: FileSettings) -> None:
        self.columns = table.columns
        self.no_creates = table.no_creates
        self._computed: Counter[str] = Counter()
        self.missing_ids = False
        """Whether rows lack the id that `add_id` promises."""
        self._position = table.position
        self._key_columns = settings.key_columns
        self._add_id = settings.add_id
        self._fixed_columns = None if table.free_names or settings.create else self.columns
        # An empty name means a temporary database on disk.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._closer = weakref.finalize(self, self._database.close)
        self._database.executescript(_TABLES)
        self._fill(table, settings)

    # -- making

    def _fill(self, table: Table, settings: FileSettings) -> None:
        batch: list[tuple[Any, ...]] = []
        for row in table.rows():
            batch.append(self._stored(row))
            if len(batch) == _BATCH:
                self._insert(batch)
        self._insert(batch)
        self._database.execute("CREATE INDEX row_key ON row (key)")
        self._check_key(table, settings)
        if self._key_columns:
            self._tell_copies_apart() if self._add_id else None
            self._refuse_duplicates()

    def _check_key(self, table: Table, settings: FileSettings) -> None:
        """Refuse rows whose declared key is not there: each would be another record than before."""
        if not settings.key or not self.count():
            return
        names = self.columns
        if table.free_names:
            some = self._database.execute("SELECT 1 FROM row WHERE has_key LIMIT 1").fetchone()
            if some or not settings.add_id:
                return
            found = self._database.execute("SELECT DISTINCT each.key FROM row, json_each(row.data) AS each")
            names = [name for (name,) in found if isinstance(name, str)]
        for column in settings.key:
            if column not in names:
                raise ConfigError(
                    f"{table.position(settings.header)}: there is no column {column!r}, which is declared as "
                    f"key, only {', '.join(names)}",
                    hint=_key_hint(column, names, settings),
                )

    def _stored(self, row: Row) -> tuple[Any, ...]:
        data = _dumps(row.raw if row.problem else row.data)
        version = blake2b(data.encode(), digest_size=16).hexdigest()
        key, problem = version, row.problem
        has_key = False
        if not problem and self._key_columns:
            parts = [key_text(row.data.get(column)) for column in self._key_columns]
            has_key = all(parts)
            if has_key:
                key = join_key(parts)
            elif not self._add_id:
                problem = self._missing_key(parts)
        self.missing_ids |= not has_key and not problem and self._add_id
        self._computed.update(row.computed)
        computed = json.dumps(row.computed, ensure_ascii=False) if row.computed else ""
        return (row.number, None if problem else key, data, version, computed, has_key, problem)

    def _missing_key(self, parts: list[str]) -> str:
        column = next(name for name, part in zip(self._key_columns, parts, strict=True) if not part)
        return f"the key column {column!r} is empty; fill it in, or declare `add_id: true`"

    def _insert(self, batch: list[tuple[Any, ...]]) -> None:
        self._database.executemany("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?)", batch)
        batch.clear()

    def _tell_copies_apart(self) -> None:
        """Rows without an id that are alike get different ones, in their order."""
        self._database.execute(
            """
            UPDATE row SET key = row.key || '-' || copy.nth FROM (
                SELECT number, row_number() OVER (PARTITION BY key ORDER BY number) AS nth
                FROM row WHERE NOT has_key AND key IS NOT NULL
            ) AS copy WHERE copy.number = row.number AND copy.nth > 1
            """
        )

    def _refuse_duplicates(self) -> None:
        twice = self._database.execute(
            "SELECT key, count(*) FROM row WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1"
        )
        for key, count in twice.fetchall():
            numbers = [
                str(number)
                for (number,) in self._database.execute(
                    "SELECT number FROM row WHERE key = ? ORDER BY number LIMIT ?", (key, _NAMED_ROWS)
                )
            ]
            rows = ", ".join(numbers) + (f" and {count - len(numbers)} more" if count > len(numbers) else "")
            problem = f"{' + '.join(self._key_columns)} {key!r} stands in rows {rows}; each row needs its own"
            if self._add_id:
                problem += " (in a copied row, empty that cell)"
            self._database.execute("UPDATE row SET problem = ? WHERE key = ?", (problem, key))

    # -- reading

    def pages(self, size: int) -> Iterator[Page]:
        """All rows; the last page is complete when each row of the file became a record."""
        query = self._database.execute("SELECT number, key, data, version, problem FROM row ORDER BY number")
        total = self.count()
        complete = not self.reject_count()
        chunk = query.fetchmany(size)
        while True:
            following = query.fetchmany(size)
            records, rejects = [], []
            for number, key, data, version, problem in chunk:
                if problem:
                    rejects.append(Reject(self._position(number), problem, _loads(data)))
                else:
                    records.append(Record(key, _loads(data), version))
            yield Page(
                records,
                rejects=rejects,
                complete=complete and not following,
                total=total,
                columns=self._fixed_columns,
            )
            if not following:
                return
            chunk = following

    @property
    def computed_columns(self) -> set[str]:
        """Columns with a formula in every row. Where only some have one, each such cell is refused alone."""
        rows = self.count()
        return {column for column, count in self._computed.items() if count == rows}

    def find(self, keys: Iterable[str]) -> dict[str, Entry]:
        """The records with these native ids; those that are not there, or there twice, are left out."""
        found = {}
        for key in keys:
            row = self._database.execute(
                "SELECT number, data, version, computed FROM row WHERE key = ? AND problem = ''", (key,)
            ).fetchone()
            if row:
                number, data, version, computed = row
                columns = frozenset(json.loads(computed)) if computed else frozenset()
                found[key] = Entry(number, Record(key, _loads(data), version), columns)
        return found

    def problem(self, key: str) -> str:
        """Why there is no record with this native id although its row is there; or ""."""
        row = self._database.execute("SELECT problem FROM row WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    def matching(self, column: str, value: str) -> Iterator[Record]:
        """Records whose `column` is exactly `value`."""
        if self._key_columns == (column,):
            yield from (entry.record for entry in self.find([value]).values())
            return
        for page in self.pages(_BATCH):
            yield from (record for record in page.records if key_text(record.data.get(column)) == value)

    def missing_id(self, number: int) -> tuple[str, str] | None:
        """The id column and the id that row `number` is to get; None when it has one or is no record."""
        row = self._database.execute(
            "SELECT key FROM row WHERE number = ? AND NOT has_key AND problem = ''", (number,)
        ).fetchone()
        return (self._key_columns[0], row[0]) if row else None

    def problems(self, limit: int) -> list[tuple[str, str]]:
        """Position and reason of the first rows that are no records."""
        query = "SELECT number, problem FROM row WHERE problem <> '' ORDER BY number LIMIT ?"
        return [
            (self._position(number), problem) for number, problem in self._database.execute(query, (limit,))
        ]

    def count(self) -> int:
        """How many rows there are, broken ones included."""
        return int(self._database.execute("SELECT count(*) FROM row").fetchone()[0])

    def reject_count(self) -> int:
        """How many of them are no records."""
        return int(self._database.execute("SELECT count(*) FROM row WHERE problem <> ''").fetchone()[0])

    def last_row(self) -> int:
        """The number of the last row; 0 when there is none."""
        return int(self._database.execute("SELECT ifnull(max(number), 0) FROM row").fetchone()[0])


def _key_hint(column: str, names: list[str], settings: FileSettings) -> str:
    if settings.delimiter and len(names) == 1 and any(mark in names[0] for mark in ",;\t|"):
        return f"the file is not split by {settings.delimiter!r}: correct `delimiter:`, or leave it out"
    close = difflib.get_close_matches(column, names, n=1)
    hints = [f"did you mean {close[0]!r}?"] if close else []
    if not close:
        hints.append("`header:` tells in which row the names of the columns are")
    if settings.add_id:
        hints.append("without `key`, `add_id` makes a column of its own")
    return "; ".join(hints)


def _loads(data: str) -> Any:
    return json.loads(data, parse_float=Decimal)


def _dumps(value: Any) -> str:
    """A row as JSON. Rows of text alone, as in CSV files, take the fast way."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return dumps(value)


def key_text(value: Any) -> str:
    """A key value as text; white space around it is no part of it. Lists and objects are no key."""
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip()
