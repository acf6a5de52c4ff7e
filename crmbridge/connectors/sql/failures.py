"""What a database's error means for the engine: whose fault it is, and what would help.

Texts are the database's own first line. Never the statement or its values: these are people's data.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, StatementError

from crmbridge.sdk import AuthError, ConfigError, CrmbridgeError, FatalError, RetryableError

__all__ = ["about_one_row", "lost", "reason", "translate"]

# PostgreSQL's error codes (Appendix A of its manual): the first two characters are the class.
_ROW_CLASSES = {"21", "22", "23", "44", "P0"}
_ROW_CODES = {"42804", "42846", "42883", "428C9"}
"""Datatype mismatches, and a value for a generated column."""
_RETRY_CLASSES = {"08", "40", "53", "57"}
_RETRY_CODES = {"55P03", "55006"}
_LOST_CODES = {"57P01", "57P02", "57P03"}

_SQLITE_ROW = {
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_RANGE,
}
_SQLITE_RETRY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_BAD_LOGIN = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    'role "',
    "access denied",
    "login failed",
)


def about_one_row(error: StatementError) -> bool:
    """Whether the database refuses this row's values, so that the other rows can go on."""
    if not isinstance(error, DBAPIError):
        return True  # a value that the driver cannot even send
    if lost(error):
        return False
    state = _sqlstate(error)
    if state:
        return state[:2] in _ROW_CLASSES or state in _ROW_CODES
    code = _sqlite_code(error)
    if code is not None:
        return code in _SQLITE_ROW
    return isinstance(error, IntegrityError | DataError)


def lost(error: StatementError) -> bool:
    """Whether the connection is gone, so that nobody can say what became of the last statement."""
    if not isinstance(error, DBAPIError):
        return False
    return (
        error.connection_invalidated
        or _sqlstate(error) in _LOST_CODES
        or _sqlite_code(error) == sqlite3.SQLITE_IOERR
    )


def reason(error: StatementError) -> str:
    """The database's message without statement and values."""
    lines = str(error.orig if error.orig is not None else error).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__


def translate(error: StatementError, place: str) -> CrmbridgeError:
    """The error that the engine understands. `place` is the database, for people, without secrets."""
    text = f"{place}: {reason(error)}"
    state, code = _sqlstate(error), _sqlite_code(error)
    if code is not None:
        return _from_sqlite(code, text)
    if state:
        return _from_sqlstate(state, text)
    message = str(error.orig).lower()
    if any(sign in message for sign in _BAD_LOGIN):
        return AuthError(_last_line(error, place), hint="check `url` and `password` of this system")
    if "database " in message and "does not exist" in message:
        return ConfigError(_last_line(error, place), hint="check the database's name in `url`")
    if lost(error) or isinstance(error, OperationalError):
        return RetryableError(f"{place} cannot be reached: {reason(error)}")
    return FatalError(text)


def _from_sqlstate(state: str, text: str) -> CrmbridgeError:
    if state.startswith("28"):
        return AuthError(text, hint="check `url` and `password` of this system")
    if state == "42501":
        return FatalError(text, hint="grant this login the right, or take the stream out of `streams`")
    if state == "3D000":
        return ConfigError(text, hint="check the database's name in `url`")
    if state in {"42P01", "42703", "3F000"}:
        return ConfigError(text, hint="the table's definition and `streams` no longer agree")
    if state[:2] in _RETRY_CLASSES or state in _RETRY_CODES:
        return RetryableError(text)
    return FatalError(text)


def _from_sqlite(code: int, text: str) -> CrmbridgeError:
    known: dict[int, Callable[[], CrmbridgeError]] = {
        # No ConfigError: a drive that is not mounted today must not stop the other systems.
        sqlite3.SQLITE_CANTOPEN: lambda: FatalError(
            f"{text}; there is no such file, or it may not be opened",
            hint="correct `url`, or put the file back",
        ),
        sqlite3.SQLITE_READONLY: lambda: FatalError(
            text, hint="give the user of crmbridge the right to write the file"
        ),
        sqlite3.SQLITE_PERM: lambda: FatalError(
            text, hint="give the user of crmbridge the right to open the file"
        ),
        sqlite3.SQLITE_NOTADB: lambda: FatalError(
            f"{text}: this is no SQLite file", hint="correct `url`, or put the file back"
        ),
        sqlite3.SQLITE_CORRUPT: lambda: FatalError(text, hint="restore the file from a backup"),
        sqlite3.SQLITE_FULL: lambda: FatalError(text, hint="make room on the disk"),
    }
    if code in _SQLITE_RETRY:
        return RetryableError(text, hint="another program writes to the file; it is tried again")
    return known[code]() if code in known else FatalError(text)


def _sqlstate(error: StatementError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _sqlite_code(error: StatementError) -> int | None:
    """The primary result code; extended codes carry it in the low byte (sqlite.org/rescode.html)."""
    if not isinstance(error.orig, sqlite3.Error):
        return None
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code & 0xFF if code is not None else sqlite3.SQLITE_ERROR


def _last_line(error: StatementError, place: str) -> str:
    """A driver that tries several addresses says the cause last."""
    return f"{place}: {str(error.orig).strip().splitlines()[-1]}"
