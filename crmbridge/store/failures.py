"""What the databases say when something is wrong, in words that help."""

from __future__ import annotations

import errno
import json
import sqlite3
from datetime import UTC, datetime

from crmbridge.sdk.errors import CrmbridgeError, LockedError, RecordError, StateError
from crmbridge.sdk.remedy import remedy

__all__ = [
    "broken_text",
    "damaged",
    "full",
    "newer",
    "refused",
    "told",
    "translate_postgres",
    "translate_sqlite",
    "unlockable",
    "unwritable",
]

_RESTORE = (
    "restore it from a backup; without one, move the file (and those beside it that end in -wal and -shm) "
    "away: the next run reads every system anew, matches what is there, and stops at the plan"
)


def damaged(place: str, why: str) -> StateError:
    """The state cannot be trusted."""
    return StateError(f"the state {place} is damaged: {why}; nothing was changed in it", hint=_RESTORE)


def newer(place: str, number: int, newest: int) -> StateError:
    """The state was written by a later version."""
    return StateError(
        f"the state {place} was written by a newer crmbridge "
        f"(its number is {number}, this one knows {newest}); nothing was changed in it",
        hint="install that version again, or restore the backup that was made before the upgrade",
    )


def full(place: str) -> StateError:
    """There is no room left for the state."""
    return StateError(
        f"the disk is full: the state {place} cannot grow; what was not finished is undone",
        hint="make room on that disk, then run the same command again",
    )


def refused(error: OSError, place: str) -> StateError:
    """The operating system let a file of the state not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return full(place)
    return unwritable(place, str(error.strerror or error))


def unwritable(place: str, why: str) -> StateError:
    """The state or its folder belongs to someone else."""
    return StateError(
        f"the state {place} cannot be opened for writing: {why}",
        hint="give this user the right to write to the file and to its folder, "
        "or name another file below `state`",
    )


def unlockable(error: OSError) -> StateError:
    """The file by which runs keep out each other belongs to someone else."""
    return StateError(
        f"the lock of the state, {error.filename}, cannot be opened for writing: {error.strerror}",
        hint=remedy(error, "read and write that file") or "remove it while no crmbridge runs",
    )


def broken_text(why: str) -> RecordError:
    """A text that no database and no JSON may hold."""
    return RecordError(
        f"a text of this record cannot be kept: {why}",
        hint="correct it in the system that it comes from, or have the mapping remove that character",
    )


def translate_postgres(error: Exception, place: str) -> CrmbridgeError:
    """The error to raise instead. Its text holds neither the statement nor what was in it."""
    import psycopg

    why = str(error).partition("\n")[0]  # the further lines show values
    if isinstance(error, psycopg.DataError):
        return broken_text(why)
    if isinstance(error, psycopg.IntegrityError):
        return StateError(f"the state {place} refuses a row: {why}")
    if isinstance(error, psycopg.OperationalError):
        return StateError(
            f"the state {place} cannot be reached: {why}",
            hint="is the database server running, and are its address, login and rights right?",
        )
    return StateError(f"the state {place} failed: {why}")


def translate_sqlite(error: sqlite3.Error, place: str) -> CrmbridgeError:
    """The error to raise instead. SQLite's texts name tables and files, never values."""
    # The extended code's low byte is the primary one: https://sqlite.org/rescode.html
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LockedError(
            f"another process is writing to the state {place}", hint="wait for it to end, then try again"
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return damaged(place, str(error))
    if code == sqlite3.SQLITE_FULL:
        return full(place)
    if code == sqlite3.SQLITE_IOERR:  # SQLite does not say which: a full disk is the usual one
        return StateError(
            f"the disk of the state {place} refuses to work ({error}); what was not finished is undone",
            hint="make room on that disk (df shows how much there is) and run the same command again; if "
            "there is room, the disk or its file system is broken: dmesg tells",
        )
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        return unwritable(place, str(error))
    return StateError(f"the state {place} failed: {error}")


def told(text: str) -> str:
    """Who holds a lock, from what the holder wrote."""
    try:
        who = json.loads(text)
        since = f"{datetime.fromtimestamp(who['since'] // 1_000_000, UTC):%Y-%m-%d %H:%M:%S %Z}"
        return f"{who['command']} (process {who['pid']} on {who['host']}, since {since})"
    except (ValueError, KeyError, TypeError):
        return "it does not say which (it is just starting or ending)"
