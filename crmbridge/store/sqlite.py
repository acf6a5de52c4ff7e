"""The state in one SQLite file: opening, refusing, locking, copying."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crmbridge.sdk.errors import LockedError, StateError
from crmbridge.store.database import Database
from crmbridge.store.failures import damaged, newer, refused, told, translate_sqlite, unlockable, unwritable

__all__ = ["APPLICATION_ID", "Sqlite", "file_lock"]

APPLICATION_ID = 0x43524D42
"""`CRMB`: what `file` and SQLite know our files by."""
_MAGIC = b"SQLite format 3\0"
_PAGE_SIZE = 8192
"""Bytes; records of the usual size then need no overflow pages."""
_CHECKED_WHOLE = 64 << 20
"""Up to this size (bytes) the whole file is checked when it is opened: less than half a second."""
_BUSY_SECONDS = 10
_COPY = ".crmbridge-plan-"


class Sqlite:
    """One file, or with None one database in memory that this process alone has."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.place = str(path or "in memory")

    def connect(self, newest: int) -> Database:
        """Open it, and make it when it does not exist. Refuses what this version may not open, untouched."""
        if self.path is None:
            return _database(_open(":memory:"), self.place)
        try:
            _make(self.path)
            _probe(self.path, newest)
            connection = _open(_address(self.path, "rw"))
            _make_durable(connection)
        except sqlite3.Error as error:
            raise translate_sqlite(error, self.place) from None
        except UnicodeDecodeError:  # SQLite quotes the names of damaged tables as they are
            raise damaged(self.place, "the names of its tables are no text") from None
        return _database(connection, self.place)

    @contextmanager
    def lock(self, database: Database, holder: str, now: Callable[[], int]) -> Iterator[None]:
        """Be the only run on this file; in memory there can be no other."""
        if self.path is None:
            yield
        else:
            with file_lock(self.path.with_name(f"{self.path.name}.lock"), holder, now):
                yield

    @contextmanager
    def scratch(self, source: Database) -> Iterator[Database]:
        """A private copy that nobody else can open, and that is gone when this ends or the process dies."""
        place = f"{self.place} (the copy that the plan is made on)"
        try:
            if self.path is None:
                source.connection.backup(copy := _open(":memory:"))
            else:
                copy = _copied(source.connection, self.path.parent)
        except sqlite3.Error as error:
            raise translate_sqlite(error, place) from None
        except OSError as error:
            raise refused(error, place) from None
        with closing(_database(copy, place)) as database:
            yield database

    def history(self) -> str | None:
        """What was last kept beside the file; None: nothing was, or the state is in memory."""
        if self.path is None:
            return None
        try:
            return self._beside.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise unwritable(str(self._beside), str(error)) from None

    def put_history(self, text: str) -> None:
        """Keep this beside the file, whole or not at all."""
        if self.path is None:
            return
        try:
            new = self._beside.with_name(f"{self._beside.name}.new")
            with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._beside)
        except OSError as error:
            raise refused(error, str(self._beside)) from None

    @property
    def _beside(self) -> Path:
        assert self.path is not None
        return self.path.with_name(f"{self.path.name}.last-run")

    def damages(self, database: Database) -> list[str]:
        """What the file's own structure has to say."""
        found = [line for row in database.rows("PRAGMA integrity_check(20)") for line in _plain(row[0])]
        return [] if found == ["ok"] else [f"the file is damaged: {line}" for line in found]


def _probe(path: Path, newest: int) -> None:
    """Raise StateError when the file is no state that this version may open. Changes nothing."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise damaged(str(path), "it is not an SQLite database")
    with closing(_open(_address(path, "ro"))) as connection:
        _examine(connection, path, newest)


def _examine(connection: sqlite3.Connection, path: Path, newest: int) -> None:
    def pragma(name: str) -> Any:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application, version = pragma("application_id"), pragma("user_version")
    if application != APPLICATION_ID and (tables or application):
        raise StateError(
            f"{path} is an SQLite database of another program; nothing was changed in it",
            hint="name another file below `state` in crmbridge.yaml",
        )
    if version > newest:
        raise newer(str(path), version, newest)
    if pragma("page_count") * pragma("page_size") > _CHECKED_WHOLE:
        return
    finding = pragma("quick_check(1)")
    if finding != "ok":
        raise damaged(str(path), next(_plain(finding)))


def _plain(finding: str) -> Iterator[str]:
    """What a check of SQLite found, line by line, without its headings."""
    lines = [line.strip() for line in finding.splitlines()]
    yield from [line for line in lines if line and not line.startswith("***")] or lines


def _make(path: Path) -> None:
    if not path.parent.is_dir():
        raise StateError(
            f"the folder {path.parent} of the state does not exist", hint=f"run: mkdir -p {path.parent}"
        )
    try:
        # Customers' data: for this user only.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise refused(error, str(path)) from None


def _address(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"


def _open(address: str) -> sqlite3.Connection:
    # Transactions are begun by us; any thread may use it, one at a time.
    return sqlite3.connect(
        address,
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _copied(source: sqlite3.Connection, folder: Path) -> sqlite3.Connection:
    """A copy in a file that has no name any more, so that it goes with its connection."""
    _remove_left(folder)
    handle, name = tempfile.mkstemp(prefix=_COPY, dir=folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        copy = _open(_address(Path(name), "rw"))
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy)
        # It keeps nothing beside it: that would have the name, and outlive it.
        copy.execute("PRAGMA journal_mode = MEMORY")
    finally:
        Path(name).unlink()
        os.close(handle)
    return copy


def _remove_left(folder: Path) -> None:
    """Remove copies of processes that died while they made one: nobody holds their lock."""
    for path in folder.glob(f"{_COPY}*"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _make_durable(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA journal_mode = WAL")
    # What was committed before something was sent must be there after a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 2000")


def _database(connection: sqlite3.Connection, place: str) -> Database:
    connection.execute("PRAGMA cache_size = -32768")
    return Database(connection, "sqlite", place)


@contextmanager
def file_lock(path: Path, holder: str, now: Callable[[], int]) -> Iterator[None]:
    """Hold a lock that the kernel frees when the process dies; the file says who holds it."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise unlockable(error) from None
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"another run works on this state: {told(file.read())}",
                hint="wait for it to end, then try again",
            ) from None
        _tell(file, {"pid": os.getpid(), "host": socket.gethostname(), "command": holder, "since": now()})
        try:
            yield
        finally:
            file.truncate(0)


def _tell(file: Any, who: dict[str, Any]) -> None:
    try:
        file.truncate(0)
        file.seek(0)
        file.write(json.dumps(who, ensure_ascii=False))
        file.flush()
    except OSError as error:
        raise refused(error, file.name) from None
