"""The tables of the state as they are now. How an older state gets here: migrations/.

Text is compared by code point (on PostgreSQL by its collation "C"), so that ids have one order everywhere.
Small columns stand before the long documents: SQLite then reads them without following overflow pages.
"""

from __future__ import annotations

import sqlalchemy as sa

__all__ = [
    "conflicts",
    "dead_letters",
    "goldens",
    "identity_keys",
    "intents",
    "journal",
    "judgements",
    "listing",
    "marks",
    "metadata",
    "notes",
    "owed",
    "records",
    "references",
    "runs",
    "sessions",
    "settings",
    "streams",
    "systems",
    "terms",
    "writes",
]

metadata = sa.MetaData()
_Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, _Text, primary_key=key, nullable=False)


def _maybe(name: str) -> sa.Column[str | None]:
    return sa.Column(name, _Text, nullable=True)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(create_constraint=False), nullable=False)


def _id() -> sa.Column[int]:
    return sa.Column("id", _Id, primary_key=True, autoincrement=True)


settings = sa.Table("settings", metadata, _text("key", key=True), _text("value"))

sessions = sa.Table("sessions", metadata, _text("system", key=True), _text("key", key=True), _text("value"))

systems = sa.Table(
    "systems",
    metadata,
    _text("name", key=True),
    _text("connector"),
    _text("fingerprint"),
    _flag("paused"),
    _integer("clock_offset"),
    _integer("last_success"),
)

streams = sa.Table(
    "streams",
    metadata,
    _id(),
    _text("system"),
    _text("stream"),
    _maybe("cursor"),
    _integer("read_started"),
    _integer("complete_at"),
    _integer("live_count"),
    _integer("reading_since"),
    _maybe("high_water"),
    sa.UniqueConstraint("system", "stream"),
)

# A record names its stream by number: that keeps its indexes small, and a system is renamed in one place.
records = sa.Table(
    "records",
    metadata,
    _id(),
    _integer("stream_id"),
    _text("native_id"),
    _text("scope"),
    _text("part"),
    _text("entity"),
    _maybe("golden_id"),
    _text("status"),
    sa.Column("raw_hash", sa.LargeBinary, nullable=False),
    _maybe("version"),
    _text("mapped_by"),
    _integer("read_at"),
    _integer("gone_at"),
    _flag("deleted_by_us"),
    _flag("unresolved"),
    _text("seen"),
    _maybe("state"),
    sa.UniqueConstraint("stream_id", "native_id", "scope", "part"),
)

# What a listing that is being read has shown so far.
listing = sa.Table(
    "listing",
    metadata,
    sa.Column("stream_id", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("native_id", key=True),
    _text("scope", key=True),
)

# What one run remembers: the operations of a plan that is applied, the records of one that undoes.
marks = sa.Table("marks", metadata, _text("mark", key=True), _text("item", key=True))

identity_keys = sa.Table(
    "identity_keys",
    metadata,
    _text("entity", key=True),
    _text("key", key=True),
    sa.Column("record_id", sa.BigInteger, primary_key=True, autoincrement=False),
)

# Pairs of records that a person told apart.
judgements = sa.Table(
    "judgements",
    metadata,
    sa.Column("one", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("other", sa.BigInteger, primary_key=True, autoincrement=False),
)

goldens = sa.Table(
    "goldens",
    metadata,
    _text("id", key=True),
    _text("entity"),
    _flag("dirty"),
    _maybe("merged_into"),
    _integer("updated_at"),
    _text("doc"),
    _text("decisions"),
)

references = sa.Table("refs", metadata, _text("golden_id", key=True), _text("target", key=True))

terms = sa.Table("terms", metadata, _text("term", key=True), _text("golden_id", key=True))

journal = sa.Table(
    "journal", metadata, _id(), _text("golden_id"), _text("event"), _text("details"), _integer("at")
)

intents = sa.Table(
    "intents",
    metadata,
    _text("id", key=True),
    _integer("run"),
    _text("system"),
    _text("stream"),
    _text("entity"),
    _text("kind"),
    _text("golden_id"),
    _text("payload"),
    _text("status"),
    sa.Column("record_id", sa.BigInteger),
    _maybe("native_id"),
    _text("scope"),
    _maybe("handle"),
    _text("reason"),
    _integer("attempts"),
    _integer("not_before"),
    _integer("created_at"),
    _integer("updated_at"),
    _integer("position"),
)

# What a target lacks and cannot be given yet.
owed = sa.Table(
    "owed",
    metadata,
    _text("golden_id", key=True),
    _text("system", key=True),
    _text("entity"),
    _text("why"),
    _text("detail"),
    _integer("since"),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    _text("kind"),
    _text("system"),
    _text("stream"),
    _text("native_id"),
    _text("error"),
    _text("raw"),
    _text("entity"),
    _maybe("golden_id"),
    _text("scope"),
    _id(),
    _text("status"),
    _integer("attempts"),
    _integer("first_at"),
    _integer("last_at"),
    _integer("run"),
)

runs = sa.Table(
    "runs",
    metadata,
    _id(),
    _text("command"),
    _integer("started_at"),
    _integer("ended_at"),
    sa.Column("exit_code", sa.Integer),
    _text("counts"),
)

writes = sa.Table(
    "writes",
    metadata,
    _integer("run"),
    _text("intent"),
    _text("system"),
    _integer("record_id"),
    _text("golden_id"),
    _text("path"),
    _text("before"),
    _text("after"),
    _integer("at"),
    _id(),
)

conflicts = sa.Table(
    "conflicts",
    metadata,
    _text("golden_id"),
    _text("entity"),
    _text("path"),
    _text("winner"),
    _text("losers"),
    _text("rule"),
    _flag("too_close"),
    _flag("undecided"),
    _integer("at"),
    _integer("run"),
    _id(),
    # Of (golden_id, path, winner, losers): values may be longer than an index entry may be.
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
)

notes = sa.Table(
    "notes",
    metadata,
    _integer("run"),
    _text("kind"),
    _text("system"),
    _text("entity"),
    _text("golden_id"),
    _text("path"),
    _text("text"),
    _integer("at"),
    _id(),
)
