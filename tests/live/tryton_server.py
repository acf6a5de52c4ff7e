"""A real Tryton on this machine, for tests.

The first use makes a virtual environment with the pinned Tryton and an initialised SQLite database, in a
cache outside the work tree (``$CRMBRIDGE_LIVE_CACHE``, else ``~/.cache/crmbridge-live``); that takes about
two minutes, needs python3-venv and pip's index, and is done again only when the versions or the setup
script change. Every server then works on a copy of that database, so that no test sees another's data.

    python tests/live/tryton_server.py prepare    make the cache, print where it is
    python tests/live/tryton_server.py run        start a server, print how to reach it, stop on Ctrl-C

Anything missing is a LiveSystemError that says which command helps: live tests fail, they never skip.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "tryton_requirements.txt"
SETUP_SCRIPT = HERE / "tryton_setup.py"
ADMIN_PASSWORD = "admin-pass-1"
ACCOUNTS = {
    "service": {"user": "crmbridge", "password": "bridge-pass-1"},
    "clerk": {"user": "clerk", "password": "clerk-pass-1"},
    "guest": {"user": "guest", "password": "guest-pass-1"},
}
MODULES = [
    *("sale", "sale_opportunity", "sale_supply", "purchase", "purchase_request", "web_shop"),
    *("stock", "stock_supply", "account_invoice", "account_invoice_stock"),
]
START_TIMEOUT = 60.0  # seconds


class LiveSystemError(RuntimeError):
    """The real system can't be made or started; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Access:
    """How to reach one database of a running server, as one of its users."""

    url: str
    database: str
    user: str = ACCOUNTS["service"]["user"]
    password: str = ACCOUNTS["service"]["password"]

    def as_user(self, account: str) -> "Access":
        """The same database for another of ACCOUNTS: service, clerk (a person in Tryton) or guest."""
        return dataclasses.replace(self, **ACCOUNTS[account])


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What the cache holds: the programs, and the initialised database to copy."""

    programs: Path
    database: Path


def cache_folder() -> Path:
    return Path(os.environ.get("CRMBRIDGE_LIVE_CACHE") or Path.home() / ".cache" / "crmbridge-live")


def prepare() -> Prepared:
    """The cached environment and database, made first where they are missing or out of date."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    versions = f"{platform.python_version()}\n{REQUIREMENTS.read_text()}"
    script = f"{versions}{SETUP_SCRIPT.read_text()}{MODULES}{ACCOUNTS}{ADMIN_PASSWORD}"
    environment = folder / f"tryton-venv-{_short_hash(versions)}"
    database = folder / f"tryton-{_short_hash(script)}.sqlite"
    with _lock(folder / "tryton.lock"):
        if not (environment / "complete").exists():
            _make_environment(environment)
        if not database.exists():
            _make_database(environment / "bin", database)
    return Prepared(environment / "bin", database)


class TrytonServer:
    """A running trytond on 127.0.0.1 with a fresh copy of the database; use it as a context manager."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._folder = Path(tempfile.mkdtemp(prefix="crmbridge-tryton-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.access = Access("", "crm")

    def __enter__(self) -> Self:
        port = _free_port()
        self.access = Access(f"http://127.0.0.1:{port}", "crm")
        config = _write_config(self._folder, port)
        shutil.copy(self._prepared.database, self._folder / "crm.sqlite")
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._prepared.programs / "trytond", "-c", config, "-d", "crm"], stdout=log, stderr=log
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self) -> None:
        """Until the server stops by itself or Ctrl-C."""
        assert self._process is not None
        self._process.wait()

    def log(self) -> str:
        """The end of what the server wrote, for messages."""
        return (self._folder / "server.log").read_text(errors="replace")[-2000:]

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not _answers(self.access.url):
            assert self._process is not None
            if self._process.poll() is not None:
                code = self._process.returncode
                raise LiveSystemError(f"trytond stopped with exit code {code}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise LiveSystemError(f"trytond does not answer after {START_TIMEOUT:.0f} s:\n{self.log()}")
            time.sleep(0.05)


def _answers(url: str) -> bool:
    body = json.dumps({"id": 1, "method": "common.server.version", "params": []}).encode()
    request = urllib.request.Request(f"{url}/rpc/", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _make_environment(environment: Path) -> None:
    print(f"Installing Tryton into {environment} ...", file=sys.stderr)
    shutil.rmtree(environment, ignore_errors=True)
    _run(
        [sys.executable, "-m", "venv", environment],
        "Install Python's venv module: sudo apt-get install python3-venv",
    )
    _run(
        [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS],
        "pip must reach a package index (PIP_INDEX_URL, HTTPS_PROXY)",
    )
    (environment / "complete").touch()


def _make_database(programs: Path, database: Path) -> None:
    print(f"Initialising the Tryton database {database} (about a minute) ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=database.parent, prefix="tryton-setup-") as name:
        folder = Path(name)
        config = _write_config(folder, port=0)
        new = folder / "crm.sqlite"
        new.touch()  # trytond-admin wants the file to be there
        (folder / "password").write_text(ADMIN_PASSWORD)
        (folder / "accounts.json").write_text(json.dumps(ACCOUNTS))
        advice = f"Remove {programs.parent} and try again"
        admin = [programs / "trytond-admin", "-c", config, "-d", "crm", "--email", "admin@example.org"]
        _run(
            [*admin, "-u", "ir", "res", *MODULES, "--activate-dependencies"],
            advice,
            {"TRYTONPASSFILE": str(folder / "password")},
        )
        _run([programs / "python", SETUP_SCRIPT, config, "crm", folder / "accounts.json"], advice)
        new.rename(database)


def _write_config(folder: Path, port: int) -> Path:
    config = folder / "trytond.conf"
    config.write_text(
        f"[database]\nuri = sqlite://\npath = {folder}\n"
        f"[web]\nlisten = 127.0.0.1:{port}\n"
        "[session]\ntimeout = 3600\n"
    )
    return config


def _run(command: list[str | Path], advice: str, more_env: dict[str, str] | None = None) -> None:
    environment = {**os.environ, **(more_env or {})}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode:
        shown = " ".join(map(str, command))
        tail = (result.stdout + result.stderr)[-2000:]
        raise LiveSystemError(f"{shown}\nfailed with exit code {result.returncode}:\n{tail}\n{advice}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Two test runs must not build the same cache at once; the kernel frees the lock when a holder dies."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    if arguments not in (["prepare"], ["run"]):
        print(__doc__, file=sys.stderr)
        return 2
    # Told to stop by `kill`, it takes the server along instead of leaving it behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        prepared = prepare()
        print(f"programs: {prepared.programs}\ndatabase: {prepared.database}")
        if arguments == ["run"]:
            with TrytonServer(prepared) as server:
                print(f"{server.access.url}  database {server.access.database}", flush=True)
                print("\n".join(f"{a['user']} / {a['password']}" for a in ACCOUNTS.values()), flush=True)
                server.wait()
    except LiveSystemError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
