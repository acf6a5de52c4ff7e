"""The address of a state, as a URL."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from crmbridge.sdk.errors import ConfigError
from crmbridge.store.postgres import Postgres
from crmbridge.store.sqlite import Sqlite

__all__ = ["backend_of"]

# A password may come from a secret as it is: with any character but `@`.
_SERVER = re.compile(
    r"""
    (?: (?P<user>[^:/@]*) (?: : (?P<password>[^@]*) )? @ )?
    (?: \[(?P<address>[^/?\]]+)\] | (?P<host>[^/:?]+) )?
    (?: : (?P<port>\d*) )?
    (?: / (?P<dbname>[^?]*) )?
    (?: \? (?P<options>.*) )?
    """,
    re.VERBOSE,
)


def backend_of(url: str) -> Sqlite | Postgres:
    """Where that is. Raises ConfigError for what is no address, or one of something else."""
    kind, separator, rest = url.partition("://")
    if not separator:
        raise _no_address("is not the URL of a database")
    if kind == "sqlite":
        return _file(rest)
    if kind in {"postgresql", "postgresql+psycopg"}:
        return _server(rest)
    raise _no_address(f"cannot be kept in {kind!r}")


def _file(rest: str) -> Sqlite:
    """The name of the file is as it is, with `%` and `?`."""
    if rest and not rest.startswith("/"):
        raise _no_address("names a server, and SQLite has none: a file comes after three slashes")
    name = rest[1:]
    return Sqlite(Path(name) if name not in {"", ":memory:"} else None)


def _server(rest: str) -> Postgres:
    found = _SERVER.fullmatch(rest)
    if found is None:
        raise _no_address("is not the URL of a database")
    parts = found.groupdict(default="")
    options = dict(parse_qsl(parts.pop("options")))
    parts["host"] = parts.pop("address") or parts["host"]
    return Postgres({name: unquote(part) for name, part in parts.items() if part} | options)


def _no_address(why: str) -> ConfigError:
    return ConfigError(
        f"`state` {why}", hint="it looks like sqlite:///state.db or postgresql+psycopg://user@host/db"
    )
