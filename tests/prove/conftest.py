"""A PostgreSQL server of our own: in a temporary folder, on a free port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

INSTALL = "PostgreSQL is missing: apt-get install postgresql (Debian), brew install postgresql (macOS)"
PASSWORD = "canary-Öß%@:/-42"


@dataclass(frozen=True)
class Postgres:
    """A running server. Its superuser `crmbridge` logs in with PASSWORD."""

    host: str
    port: int
    bin: Path
    data: Path

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user="crmbridge",
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def new_database(self) -> str:
        """The name of a database of its own."""
        name = f"shop_{uuid4().hex}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name


def _bin() -> Path:
    pg_config = shutil.which("pg_config")
    folders = []
    if pg_config:
        said = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True)
        folders.append(Path(said.stdout.strip()))
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.fail(INSTALL)


def _user() -> str | None:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _as(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _run(user: str | None, *command: str | Path) -> None:
    line = [str(part) for part in command]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd="/", **_as(user))
    if done.returncode != 0:
        pytest.fail(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


@contextmanager
def _stopped_afterwards(user: str | None, pg_ctl: Path, data: Path) -> Iterator[None]:
    """Stops the server and removes its folder, also when the tests are killed: then a pipe closes."""
    script = 'read _; "$0" --pgdata "$1" --wait --mode immediate stop; rm -rf "$(dirname "$1")"'
    watcher = subprocess.Popen(
        ["sh", "-c", script, pg_ctl, data],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        **_as(user),
    )
    try:
        yield
    finally:
        watcher.communicate(timeout=60)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole session. Fails, never skips, where there is none."""
    folder, user = _bin(), _user()
    home = Path(tempfile.mkdtemp(prefix="crmbridge-pg-"))
    try:
        (home / "password").write_text(PASSWORD)
        if user is not None:
            for path in (home, home / "password"):
                shutil.chown(path, user)
        data, port = home / "data", _free_port()
        _run(
            user,
            folder / "initdb",
            *("--pgdata", data, "--username", "crmbridge", "--pwfile", home / "password"),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )
        options = (
            f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off "
            "-c full_page_writes=off -c shared_buffers=32MB -c max_connections=30"
        )
        control = (folder / "pg_ctl", "--pgdata", data)
        log = home / "log"
        with _stopped_afterwards(user, folder / "pg_ctl", data):
            _run(user, *control, "--wait", "--timeout", "60", "--log", log, "--options", options, "start")
            yield Postgres("127.0.0.1", port, folder, data)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """One for all tests of a module."""
    return postgres.new_database()


@pytest.fixture
def url(postgres: Postgres, database: str) -> str:
    """Of a state that is empty: a schema of its own."""
    schema = f"state_{uuid4().hex}"
    with postgres.connect(database) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")  # type: ignore[call-overload]
    login = f"crmbridge:{quote(PASSWORD, safe='')}@{postgres.host}:{postgres.port}"
    return f"postgresql+psycopg://{login}/{database}?options=-csearch_path%3D{schema}"
