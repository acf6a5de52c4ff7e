"""The `files` connector: a folder of CSV, TSV, XLSX and JSON Lines files, read and written back.

A stream is a file, or one sheet of a workbook. A row is a record, its native id the value of its key column
(or of several, joined). A row number is no key: rows move. Streams without `key` are read-only, and each
row is known by its content, so that a changed row is another record; `add_id: true` gives each row an id of
its own.

Every read is a full one. A file that is open elsewhere, locked, being written or torn is an error, never
data. Each batch is one write, whole or not at all, and what was written is read back before it takes the
old file's place.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from crmbridge.connectors.files.atomic import locked, replacing, steady
from crmbridge.connectors.files.batch import Batch
from crmbridge.connectors.files.csvfile import CsvTable
from crmbridge.connectors.files.jsonlfile import JsonlTable
from crmbridge.connectors.files.listing import Listing
from crmbridge.connectors.files.settings import FilesSettings
from crmbridge.connectors.files.sources import Source, find_files, find_sources, sheet_source
from crmbridge.connectors.files.table import DamagedError, Table
from crmbridge.sdk import (
    Capabilities,
    ConfigError,
    Connector,
    Context,
    CrmbridgeError,
    Cursor,
    FatalError,
    FieldInfo,
    Finding,
    Operation,
    Page,
    Record,
    Result,
    RetryableError,
    Stream,
)
from crmbridge.sdk.remedy import remedy

__all__ = ["FilesConnector"]

_PAGE = 1000
_BATCH_SIZE = 5000
_FRESH_SECONDS = 60
_SHOWN_REJECTS = 3


class FilesConnector(Connector):
    """See the module's docstring; the settings are `FilesSettings`."""

    settings_model: ClassVar[type[BaseModel]] = FilesSettings
    speaks_http = False
    settings: FilesSettings

    def __init__(self, settings: FilesSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._listings: dict[str, tuple[bytes, Listing]] = {}
        """The last listing by stream, with the hash of the file that it is of."""

    # -- what there is

    def streams(self) -> Sequence[Stream]:
        return [
            Stream(
                name,
                key=", ".join(source.settings.key_columns) or "(content)",
                capabilities=_capabilities(source),
                label=source.path.name + (f", sheet {source.sheet}" if source.sheet else ""),
            )
            for name, source in self._sources().items()
        ]

    def discover(self, stream: str) -> Mapping[str, FieldInfo]:
        source = self._source(stream)
        listing = self._listing(source)
        page = next(listing.pages(_PAGE))
        names = list(listing.columns) or list(
            dict.fromkeys(name for record in page.records for name in record.data)
        )
        keys = source.settings.key_columns
        writable = bool(_capabilities(source).operations)
        found = {}
        for name in names:
            values = [record.data.get(name) for record in page.records]
            can_write = writable and name not in listing.computed_columns
            found[name] = FieldInfo(
                type=_type_of(values),
                on_create=can_write,
                on_update=can_write and name not in keys,
                required=name in keys and not source.settings.add_id,
            )
        return found

    def fingerprint(self) -> str:
        """The folder as seen from the configuration: stays when both move together, and when files change."""
        place = (self.context.root / self.settings.path).resolve()
        root = self.context.root.resolve()
        return f"files:{place.relative_to(root) if place.is_relative_to(root) else place}"

    def check(self) -> Iterable[Finding]:
        try:
            sources = self._sources()
            folder, _ = find_files(self.settings, self.context.root)
        except CrmbridgeError as error:
            yield Finding("error", error.message, error.hint or "")
            return
        if not sources:
            yield Finding("warning", f"{folder} holds no .csv, .tsv, .xlsx or .jsonl file")
        for source in sources.values():
            yield from self._check_stream(source)

    def _check_stream(self, source: Source) -> Iterator[Finding]:
        name = source.stream
        if source.problem:
            yield Finding("error", f"{name}: {source.problem}")
            return
        if source.settings.create and not source.path.exists():
            yield Finding("ok", f"{name}: {source.path.name} does not exist yet; the first write makes it")
            return
        try:
            listing = self._listing(source)
            with self._explaining(source):
                table = _open(source)
        except CrmbridgeError as error:
            yield Finding("error", f"{name}: {error.message}", error.hint or "")
            return
        yield Finding("ok", f"{name}: {source.path.name}, {table.dialect}, {listing.count()} rows")
        yield from (Finding("warning", f"{name}: {text}") for text in table.warnings)
        if listing.no_creates:
            yield Finding("warning", f"{name}: no row can be added: {listing.no_creates}")
        yield from _check_keys(source, listing, declared=name in self.settings.files)
        if _capabilities(source).operations and not _writable(source.path):
            yield Finding(
                "error", f"{name}: {source.path} or its folder is write-protected", "change its rights"
            )

    # -- reading

    def pull(self, stream: str, cursor: Cursor) -> Iterable[Page]:
        yield from self._listing(self._source(stream)).pages(_PAGE)

    def get_many(self, stream: str, native_ids: Sequence[str]) -> Iterator[Record]:
        found = self._listing(self._source(stream)).find(native_ids)
        yield from (entry.record for entry in found.values())

    def search(self, stream: str, key: str, value: str) -> Iterator[Record]:
        yield from self._listing(self._source(stream)).matching(key, value)

    def close(self) -> None:
        self._listings.clear()

    # -- writing

    def push(self, stream: str, operations: Sequence[Operation]) -> Iterable[Result]:
        source = self._source(stream)
        if not _capabilities(source).operations or self.context.read_only:
            raise FatalError(f"{self.context.system}/{stream} is read-only")
        if not source.path.exists() and not source.settings.create:
            raise FatalError(f"{source.path} does not exist", hint="put it back, or declare `create: true`")
        with self._explaining(source), locked(source.path) as state:
            table = _open(source)
            listing = self._listing_of(source, table)
            batch = Batch(table, listing, source.settings)
            batch.decide(operations)
            if not batch.is_empty:
                with replacing(source.path, state) as fresh:
                    table.write(fresh, batch.changes)
                    listing = self._read_back(source, fresh, (table, listing, batch))
        yield from _answers(batch, listing)

    def _read_back(self, source: Source, fresh: Path, written: tuple[Table, Listing, Batch]) -> Listing:
        """The listing of the file that is about to take the old one's place, if it is as it has to be."""
        old, before, batch = written
        try:
            table = _open(source._replace(path=fresh))
            listing = Listing(table, source.settings)
        except (DamagedError, ConfigError) as error:
            raise FatalError(
                f"{source.path}: our changed copy cannot be read back, so it was not used",
                hint=f"declare `encoding:` and `delimiter:` for it (so far read as {old.dialect})",
            ) from error
        rows = before.count() + len(batch.changes.creates) - len(batch.changes.deletes)
        keys = [answer[1] for answer in batch.answers if isinstance(answer, tuple)]
        same_form = table.dialect == old.dialect or not source.path.exists()
        if not same_form or listing.count() != rows or len(listing.find(keys)) != len(set(keys)):
            raise FatalError(
                f"{source.path}: our changed copy does not read back as it should, so it was not used",
                hint=f"declare `encoding:` and `delimiter:` (read as {old.dialect}, then as {table.dialect})",
            )
        self._listings[source.stream] = (_digest(fresh), listing)
        return listing

    # -- files

    def _sources(self) -> dict[str, Source]:
        return find_sources(self.settings, self.context.root)

    def _source(self, stream: str) -> Source:
        sources = self._sources()
        source = sources.get(stream) or sheet_source(stream, sources)
        if source is None:
            known = ", ".join(sources) or "none"
            raise FatalError(
                f"{self.context.system}: there is no stream {stream!r}; streams are {known}",
                hint="a sheet that was added renames the streams of a workbook: name them in `files:`",
            )
        if source.problem:
            raise FatalError(f"{self.context.system}/{stream}: {source.problem}")
        return source

    def _listing(self, source: Source) -> Listing:
        """All rows of the file as it is now; read again only when its content has changed."""
        if source.settings.create and not source.path.exists():
            return Listing(_open(source), source.settings)
        with self._explaining(source), steady(source.path):
            return self._listing_of(source)

    def _listing_of(self, source: Source, table: Table | None = None) -> Listing:
        digest = _digest(source.path)
        known = self._listings.get(source.stream)
        if known and known[0] == digest:
            return known[1]
        listing = Listing(table or _open(source), source.settings)
        self._listings[source.stream] = (digest, listing)
        return listing

    @contextlib.contextmanager
    def _explaining(self, source: Source) -> Iterator[None]:
        """Turn what a damaged file or a full disk raises into the errors that the engine knows."""
        try:
            yield
        except DamagedError as error:
            if not error.hint and self._is_fresh(source.path):
                hint = "it changed a moment ago: perhaps it is still being written"
                raise RetryableError(str(error), hint=hint) from error
            raise FatalError(str(error), hint=error.hint or None) from error
        except OSError as error:
            help_ = remedy(error, "read and write that file and its folder")
            text = f"{source.path}: {error.strerror or error}; nothing was written"
            raise FatalError(text, hint=help_) from error
        except sqlite3.Error as error:
            raise FatalError(f"{source.path}: the temporary folder cannot hold its rows: {error}") from error

    def _is_fresh(self, path: Path) -> bool:
        age = self.context.now().timestamp() - path.stat().st_mtime if path.exists() else _FRESH_SECONDS
        return age < _FRESH_SECONDS


def _open(source: Source) -> Table:
    if source.kind == "csv":
        return CsvTable(source.path, source.settings)
    if source.kind == "jsonl":
        return JsonlTable(source.path)
    # openpyxl costs a tenth of a second, which who has no workbook need not wait for.
    from crmbridge.connectors.files.xlsxfile import XlsxTable

    return XlsxTable(source.path, source.sheet or source.stream, source.settings)


def _digest(path: Path) -> bytes:
    """Of the content: the time of a file's last change is too coarse to tell two states apart."""
    digest = blake2b(digest_size=16)
    if path.exists():
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.digest()


def _answers(batch: Batch, listing: Listing) -> Iterator[Result]:
    for answer in batch.answers:
        if isinstance(answer, Result):
            yield answer
        else:
            operation, key = answer
            yield Result.done(operation, listing.find([key])[key].record)


def _capabilities(source: Source) -> Capabilities:
    settings = source.settings
    keys = settings.key_columns
    return Capabilities(
        computes=False,
        operations={"create", "update", "delete"} if keys and settings.write else set(),
        deletes="sweep" if keys else "never",
        versions=True,
        versions_repeat=True,
        search_mark=keys[0] if settings.add_id else None,
        search_keys=keys if len(keys) == 1 else (),
        batch_size=_BATCH_SIZE,
        absent_means=settings.absent_means,
        required=set() if settings.add_id else set(keys),
        cannot_clear=set(keys),
    )


def _type_of(values: Iterable[Any]) -> str:
    types = {type(value) for value in values if value is not None}
    for name, allowed in (
        ("boolean", {bool}),
        ("integer", {int}),
        ("decimal", {int, Decimal}),
        ("list", {list}),
    ):
        if types and types <= allowed:
            return name
    return "object" if types == {dict} else "string"


def _check_keys(source: Source, listing: Listing, *, declared: bool) -> Iterator[Finding]:
    name, keys = source.stream, source.settings.key_columns
    if not keys:
        yield Finding(
            "warning" if declared else "ok",
            f"{name}: has no key, so it is read-only, and a changed row counts as another record",
            f"declare the column that tells rows apart: `files: {name}: key: COLUMN`, or `add_id: true`",
        )
    for column in source.settings.key:
        if listing.columns and column not in listing.columns and not source.settings.add_id:
            yield Finding("error", f"{name}: the key column {column!r} is not in {source.path.name}")
    if count := listing.reject_count():
        examples = "; ".join(f"{position}: {reason}" for position, reason in listing.problems(_SHOWN_REJECTS))
        yield Finding(
            "warning", f"{name}: {count} rows cannot be used, and no delete is seen meanwhile: {examples}"
        )
    if listing.missing_ids:
        yield Finding("ok", f"{name}: rows without {keys[0]} get one with our next write to the file")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
