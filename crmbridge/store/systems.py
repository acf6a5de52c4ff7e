"""Settings, sessions, systems and streams."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from operator import attrgetter

from crmbridge.store.database import Database, columns_of, select, upsert
from crmbridge.store.rows import StreamRow, SystemRow

__all__ = ["Session", "Systems"]

_NO_STREAM = 0
"""The number that no stream has."""
_SYSTEM = columns_of(SystemRow)
_STREAM = columns_of(StreamRow)
_STREAM_VALUES = attrgetter(*_STREAM)

_SETTING = "SELECT value FROM settings WHERE key = :key"
_PUT_SETTING = upsert("settings", ("key", "value"), ("key",))
_DROP_SETTING = "DELETE FROM settings WHERE key = :key"
_SESSION = "SELECT value FROM sessions WHERE system = :system AND key = :key"
_SESSION_KEYS = "SELECT key FROM sessions WHERE system = :system ORDER BY key"
_PUT_SESSION = upsert("sessions", ("system", "key", "value"), ("system", "key"))
_DROP_SESSION = "DELETE FROM sessions WHERE system = :system AND key = :key"
_SYSTEMS = f"{select('systems', _SYSTEM)} ORDER BY name"
_PUT_SYSTEM = upsert("systems", _SYSTEM, ("name",))
_NAMED = " WHERE system = :system AND stream = :stream"
_STREAM_OF = select("streams", _STREAM) + _NAMED
_STREAM_ID = select("streams", ("id",)) + _NAMED
_PUT_STREAM = upsert("streams", _STREAM, ("system", "stream"))

_NUMBERS = "SELECT id FROM streams WHERE system = :system"
_THEIRS = f"SELECT id FROM records WHERE stream_id IN ({_NUMBERS})"
# SQLite gives the highest id again once its row is gone, and other records name ids as origins: so that row
# stays, emptied, in no stream.
_KEEP_LAST_ID = f"""
    UPDATE records SET stream_id = {_NO_STREAM}, native_id = CAST(id AS TEXT), scope = '', part = '',
        entity = '', status = 'gone', mapped_by = '', seen = '{{}}', raw_hash = :nothing, golden_id = NULL,
        version = NULL, state = NULL, former = '', unresolved = FALSE, deleted_by_us = FALSE
    WHERE id = (SELECT max(id) FROM records) AND stream_id IN ({_NUMBERS})
"""
_REMOVE = (
    f"DELETE FROM identity_keys WHERE record_id IN ({_THEIRS})",
    f"DELETE FROM judged WHERE one IN ({_THEIRS}) OR other IN ({_THEIRS})",
    f"DELETE FROM doubts WHERE one IN ({_THEIRS}) OR other IN ({_THEIRS})",
    _KEEP_LAST_ID,
    f"DELETE FROM records WHERE stream_id IN ({_NUMBERS})",
    *(f"DELETE FROM {table} WHERE stream_id IN ({_NUMBERS})" for table in ("listing", "missing")),
    *(
        f"DELETE FROM {table} WHERE system = :system"
        for table in ("streams", "sessions", "intents", "owed", "dead_letters")
    ),
    "DELETE FROM systems WHERE name = :system",
)
_NAMING = ("streams", "sessions", "intents", "owed", "dead_letters", "writes", "notes")
_RENAME = (
    *(f"UPDATE {table} SET system = :new WHERE system = :old" for table in _NAMING),
    "UPDATE systems SET name = :new WHERE name = :old",
)


class Systems:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, sessions_in: Database | None = None) -> None:
        """`sessions_in`: where sessions are kept, if not in `database`."""
        self.database = database
        self.sessions_in = sessions_in or database

    def setting(self, key: str) -> str | None:
        value: str | None = self.database.value(_SETTING, {"key": key})
        return value

    def put_setting(self, key: str, value: str | None) -> None:
        if value is None:
            self.database.write(_DROP_SETTING, {"key": key})
        else:
            self.database.write_many(_PUT_SETTING, [(key, value)])

    def session(self, system: str) -> MutableMapping[str, str]:
        return Session(self.sessions_in, system)

    def systems(self) -> list[SystemRow]:
        found = [SystemRow(*row) for row in self.database.rows(_SYSTEMS)]
        for row in found:
            row.paused = row.paused == 1  # SQLite's is a number
        return found

    def put_system(self, row: SystemRow) -> None:
        paused = self.database.flag(row.paused)
        values = (row.name, row.connector, row.fingerprint, paused, row.clock_offset, row.last_success)
        self.database.write_many(_PUT_SYSTEM, [values])

    def remove_system(self, name: str) -> None:
        for text in _REMOVE:
            self.database.write(text, {"system": name, "nothing": b""})

    def rename_system(self, old: str, new: str) -> None:
        for text in _RENAME:
            self.database.write(text, {"old": old, "new": new})

    def stream(self, system: str, stream: str) -> StreamRow:
        for row in self.database.rows(_STREAM_OF, {"system": system, "stream": stream}):
            return StreamRow(*row)
        return StreamRow(system, stream)

    def put_stream(self, row: StreamRow) -> None:
        self.database.write_many(_PUT_STREAM, [_STREAM_VALUES(row)])

    def stream_id(self, system: str, stream: str) -> int:
        """The number of a stream; 0 when it is not known yet."""
        return self.database.value(_STREAM_ID, {"system": system, "stream": stream}) or _NO_STREAM

    def make_stream(self, system: str, stream: str) -> int:
        """The number of a stream, which is made when it is not known yet."""
        found = self.stream_id(system, stream)
        if not found:
            self.put_stream(StreamRow(system, stream))
            found = self.stream_id(system, stream)
        return found


class Session(MutableMapping[str, str]):
    """What one system remembers between runs, a token above all: each change is committed at once.

    Inside a transaction a change is refused, for it would be lost with it.
    """

    def __init__(self, database: Database, system: str) -> None:
        self.database = database
        self.system = system

    def __getitem__(self, key: str) -> str:
        value = self.database.value(_SESSION, {"system": self.system, "key": key})
        if value is None:
            raise KeyError(key)
        return str(value)

    def __setitem__(self, key: str, value: str) -> None:
        self._refuse_transaction()
        with self.database.transaction():
            self.database.write_many(_PUT_SESSION, [(self.system, key, value)])

    def __delitem__(self, key: str) -> None:
        self._refuse_transaction()
        with self.database.transaction():
            self[key]
            self.database.write(_DROP_SESSION, {"system": self.system, "key": key})

    def _keys(self) -> list[str]:
        return [key for (key,) in self.database.rows(_SESSION_KEYS, {"system": self.system})]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def _refuse_transaction(self) -> None:
        if self.database.in_transaction:
            raise RuntimeError("a session is changed inside transaction()")
