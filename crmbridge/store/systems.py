"""Settings, sessions, systems and streams."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import astuple
from typing import Any

import sqlalchemy as sa

from crmbridge.store.database import Database, columns_of, upsert
from crmbridge.store.rows import StreamRow, SystemRow
from crmbridge.store.tables import (
    dead_letters,
    identity_keys,
    intents,
    judgements,
    listing,
    notes,
    owed,
    records,
    sessions,
    settings,
    streams,
    systems,
    writes,
)

__all__ = ["NO_STREAM", "Session", "Systems"]

NO_STREAM = 0
"""The number that no stream has."""

_SYSTEM = columns_of(SystemRow)
_STREAM = columns_of(StreamRow)
_PUT_SETTING = upsert(settings, ("key", "value"), ("key",))
_PUT_SESSION = upsert(sessions, ("system", "key", "value"), ("system", "key"))
_PUT_SYSTEM = upsert(systems, _SYSTEM, ("name",))
_PUT_STREAM = upsert(streams, _STREAM, ("system", "stream"))


class Systems:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, sessions_in: Database | None = None) -> None:
        """`sessions_in`: where sessions are kept, if not in `database`."""
        self.database = database
        self.sessions_in = sessions_in or database
        self._streams = sa.select(*(streams.c[name] for name in _STREAM)).where(
            streams.c.system == sa.bindparam("system"), streams.c.stream == sa.bindparam("stream")
        )
        self._stream_id = self._streams.with_only_columns(streams.c.id)

    def setting(self, key: str) -> str | None:
        value: str | None = self.database.value(sa.select(settings.c.value).where(settings.c.key == key))
        return value

    def put_setting(self, key: str, value: str | None) -> None:
        if value is None:
            self.database.write(sa.delete(settings).where(settings.c.key == key))
        else:
            self.database.write_many(_PUT_SETTING, [(key, value)])

    def session(self, system: str) -> MutableMapping[str, str]:
        return Session(self.sessions_in, system)

    def systems(self) -> list[SystemRow]:
        statement = sa.select(*(systems.c[name] for name in _SYSTEM)).order_by(systems.c.name)
        return [SystemRow(*row) for row in self.database.rows(statement)]

    def put_system(self, row: SystemRow) -> None:
        self.database.write_many(_PUT_SYSTEM, [astuple(row)])

    def remove_system(self, name: str) -> None:
        numbers = sa.select(streams.c.id).where(streams.c.system == name)
        theirs = sa.select(records.c.id).where(records.c.stream_id.in_(numbers))
        self.database.write(sa.delete(identity_keys).where(identity_keys.c.record_id.in_(theirs)))
        parted = judgements.c.one.in_(theirs) | judgements.c.other.in_(theirs)
        self.database.write(sa.delete(judgements).where(parted))
        self._keep_last_id(numbers)
        self.database.write(sa.delete(records).where(records.c.stream_id.in_(numbers)))
        self.database.write(sa.delete(listing).where(listing.c.stream_id.in_(numbers)))
        for table in (streams, sessions, intents, owed):
            self.database.write(sa.delete(table).where(table.c.system == name))
        self.database.write(sa.delete(systems).where(systems.c.name == name))

    def _keep_last_id(self, numbers: sa.Select[Any]) -> None:
        """SQLite gives the highest id again once its row is gone, and other records name ids as origins: so
        that row stays, emptied, in no stream."""
        c, last = records.c, sa.select(sa.func.max(records.c.id)).scalar_subquery()
        nothing = {
            "golden_id": None,
            "version": None,
            "state": None,
            "unresolved": False,
            "deleted_by_us": False,
        }
        named = {"stream_id": NO_STREAM, "native_id": sa.cast(c.id, sa.Text), "scope": "", "part": ""}
        texts = {"entity": "", "status": "gone", "mapped_by": "", "seen": "{}", "raw_hash": b""}
        emptied = sa.update(records).where(c.id == last, c.stream_id.in_(numbers))
        self.database.write(emptied.values(**named, **texts, **nothing))

    def rename_system(self, old: str, new: str) -> None:
        for table in (streams, sessions, intents, owed, dead_letters, writes, notes):
            self.database.write(sa.update(table).where(table.c.system == old).values(system=new))
        self.database.write(sa.update(systems).where(systems.c.name == old).values(name=new))

    def stream(self, system: str, stream: str) -> StreamRow:
        for row in self.database.rows(self._streams, {"system": system, "stream": stream}):
            return StreamRow(*row)
        return StreamRow(system, stream)

    def put_stream(self, row: StreamRow) -> None:
        self.database.write_many(_PUT_STREAM, [astuple(row)])

    def stream_id(self, system: str, stream: str) -> int:
        """The number of a stream; NO_STREAM when it is not known yet."""
        return self.database.value(self._stream_id, {"system": system, "stream": stream}) or NO_STREAM

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
        self._mine = sessions.c.system == system

    def __getitem__(self, key: str) -> str:
        value: Any = self.database.value(sa.select(sessions.c.value).where(self._mine, sessions.c.key == key))
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
            self.database.write(sa.delete(sessions).where(self._mine, sessions.c.key == key))

    def __iter__(self) -> Iterator[str]:
        statement = sa.select(sessions.c.key).where(self._mine).order_by(sessions.c.key)
        return iter([key for (key,) in self.database.rows(statement)])

    def __len__(self) -> int:
        return int(self.database.value(sa.select(sa.func.count()).where(self._mine)))

    def _refuse_transaction(self) -> None:
        if self.database.in_transaction:
            raise RuntimeError("a session is changed inside transaction()")
