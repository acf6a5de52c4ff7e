"""The state as a file: what is refused, how it is told, and that it is untouched then."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from crmbridge.sdk.errors import ConfigError, LockedError, StateError
from crmbridge.store import SqlStore, open_store
from crmbridge.store.migrations import NEWEST
from crmbridge.store.sqlite import APPLICATION_ID
from crmbridge.store.tables import NUMBERED, TABLES
from tests.store.suite import now, other_process, put, record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "state.db"


@pytest.fixture
def state(path: Path) -> Path:
    """A state with some records, closed."""
    path.parent.mkdir()
    with closing(opened(path)) as store:
        put(store, *(record(f"k{n}", seen=f'{{"name": "{"x" * 200}"}}') for n in range(300)))
    return path


def opened(path: Path) -> SqlStore:
    store = open_store(f"sqlite:///{path}", now=now)
    assert isinstance(store, SqlStore)
    return store


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(path: Path) -> StateError:
    """The error with which a state is refused; it and its log are as before."""
    before = files(path.parent)
    before.pop(f"{path.name}-shm", None)  # SQLite's index of the log: made anew by whoever opens it
    with pytest.raises(StateError) as caught:
        opened(path)
    after = files(path.parent)
    assert {name: after[name] for name in before} == before
    assert all(name.endswith(("-wal", "-shm")) for name in after.keys() - before.keys())
    assert caught.value.exit_code == 13
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# made and opened


def test_a_new_state_is_for_its_owner_only(path: Path) -> None:
    path.parent.mkdir()
    mask = os.umask(0)
    try:
        with closing(opened(path)) as store, store.lock("sync"):
            put(store, record("1"))
            names = {file.name for file in path.parent.iterdir()}
            assert names == {"state.db", "state.db-wal", "state.db-shm", "state.db.lock"}
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    finally:
        os.umask(mask)


def test_a_state_knows_what_it_is(state: Path) -> None:
    with closing(sqlite3.connect(state)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    assert (application, version, journal) == (APPLICATION_ID, NEWEST, "wal")


def test_what_is_committed_is_on_the_disk(state: Path) -> None:
    with closing(opened(state)) as store:
        assert store._database.value("PRAGMA synchronous") == 2


def test_the_migrations_lead_to_the_tables(state: Path) -> None:
    with closing(sqlite3.connect(state)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        columns = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}
    del columns["sqlite_sequence"]
    assert {name: {column[1] for column in found} for name, found in columns.items()} == {
        name: set(expected) for name, expected in TABLES.items()
    }
    numbered = {
        name for name, found in columns.items() for column in found if column[1:3] == ("id", "INTEGER")
    }
    assert numbered == set(NUMBERED)


def test_a_relative_name_is_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///sta te ü.db", now=now).close()
    assert [file.name for file in tmp_path.iterdir()] == ["sta te ü.db"]


def test_many_open_a_new_state_at_once(path: Path) -> None:
    path.parent.mkdir()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with closing(opened(path)) as store:
                assert store.setting("schema") == str(NEWEST)
        except BaseException as error:  # noqa: BLE001 (shown by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_state_killed_while_it_is_made_is_made_again(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    change(path, f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA journal_mode = WAL")
    with closing(opened(path)) as store:
        put(store, record("1"))


@pytest.mark.parametrize("url", ["mysql://host/db", "state.db", "", "oracle://x"])
def test_another_kind_of_address_is_a_mistake_in_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///state\.db"):
        open_store(url, now=now)


# refused


def test_a_newer_state_is_refused(state: Path) -> None:
    change(state, f"PRAGMA user_version = {NEWEST + 1}")
    error = refused(state)
    assert "newer" in error.message
    assert "install that version again" in str(error.hint)


def test_a_newer_state_of_a_killed_process_is_refused_with_its_log(state: Path) -> None:
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        f"c.execute('PRAGMA user_version = {NEWEST + 1}'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, state], check=False)
    assert state.with_name("state.db-wal").stat().st_size > 0
    assert "newer" in refused(state).message


def test_a_number_that_only_the_settings_have_is_believed(state: Path) -> None:
    change(state, "UPDATE settings SET value = '99' WHERE key = 'schema'")
    with pytest.raises(StateError, match="newer"):
        opened(state)
    change(state, "UPDATE settings SET value = 'x' WHERE key = 'schema'")
    with pytest.raises(StateError, match="damaged"):
        opened(state)


@pytest.mark.parametrize("content", [b"name;email\n", b"\0" * 5000, b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert "damaged" in refused(path).message


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    path.parent.mkdir()
    change(path, "CREATE TABLE customers (id)")
    assert "of another program" in refused(path).message


def test_a_truncated_state_is_refused(state: Path) -> None:
    os.truncate(state, state.stat().st_size // 2)
    assert "damaged" in refused(state).message


def test_a_state_with_a_damaged_page_is_refused(state: Path) -> None:
    content = state.read_bytes()
    size = int.from_bytes(content[16:18])  # https://www.sqlite.org/fileformat.html#page_size
    for at in range(0, len(content), size):
        state.write_bytes(content[:at] + bytes(size) + content[at + size :])
        told = refused(state).message
        assert "damaged" in told
        assert "***" not in told, "SQLite's heading says nothing"


def test_any_damage_is_a_refusal_or_harmless(state: Path) -> None:
    """Damage inside of a value shows nowhere; then the state opens, and can be read."""
    content = state.read_bytes()
    chosen = random.Random(7)
    for _ in range(60):
        at = chosen.randrange(len(content) - 64)
        for extra in ("-wal", "-shm"):
            state.with_name(state.name + extra).unlink(missing_ok=True)
        state.write_bytes(damaged := content[:at] + chosen.randbytes(64) + content[at + 64 :])
        try:
            with closing(opened(state)) as store:
                store.known("shop", "customers", [f"k{n}" for n in range(300)])
        except StateError:
            assert state.read_bytes() == damaged


def test_damage_that_is_met_later_is_told_too(state: Path) -> None:
    with closing(opened(state)) as store:
        assert store.check() == []
        store._database.run_text("PRAGMA writable_schema = ON")
        with store.transaction():
            store._database.run_text("UPDATE sqlite_master SET rootpage = 3 WHERE name = 'records_golden'")
        store._database.run_text("PRAGMA writable_schema = RESET")
        assert any("damaged" in line for line in store.check())


# out of reach


def test_a_missing_folder_is_named(path: Path) -> None:
    with pytest.raises(StateError, match="does not exist") as caught:
        opened(path)
    assert f"mkdir -p {path.parent}" in str(caught.value.hint)


def test_a_folder_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be opened for writing"):
        opened(tmp_path)


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """A folder of an ordinary user; the superuser, whom no permission stops, becomes one."""
    mine = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        if mine == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(mine)
            os.chmod(folder, 0o700)  # noqa: PTH101


def _forbid_folder(path: Path) -> None:
    path.parent.chmod(0o555)


def _forbid_new_file(path: Path) -> None:
    path.unlink()
    path.parent.chmod(0o555)


def _forbid_file(path: Path) -> None:
    path.chmod(0)


def _forbid_writing(path: Path) -> None:
    path.chmod(0o400)


@pytest.mark.parametrize("forbid", [_forbid_folder, _forbid_new_file, _forbid_file, _forbid_writing])
def test_missing_rights_are_told(forbid: Callable[[Path], None]) -> None:
    with ordinary_user() as folder:
        path = folder / "state.db"
        opened(path).close()
        forbid(path)
        with pytest.raises(StateError) as caught:
            opened(path)
        assert "the right to write" in str(caught.value.hint)


def test_a_full_disk_loses_nothing_that_was_committed(state: Path) -> None:
    with closing(opened(state)) as store:
        store._database.run_text("PRAGMA max_page_count = 80")
        with pytest.raises(StateError, match="the disk is full"):
            put(store, *(record(f"big{n}", seen="x" * 4000) for n in range(100)))
        assert len(store.records_in("shop", "customers", 0, 999)) == 300
        store._database.run_text("PRAGMA max_page_count = 8000")
        put(store, record("later"))
        assert store.check() == []


def test_a_transaction_that_the_disk_has_ended_is_not_written_to(state: Path) -> None:
    """SQLite rolls all of it back by itself: what follows must not be committed alone."""
    with closing(opened(state)) as store:
        with suppress(StateError), store.transaction():
            store._database.run_text("ROLLBACK")
            with pytest.raises(RuntimeError, match="undid the whole transaction"):
                store.put_setting("a", "1")
            raise StateError("it ends there")
        assert store.setting("a") is None


def test_another_writer_is_waited_for_and_then_told(state: Path) -> None:
    with closing(opened(state)) as store, closing(sqlite3.connect(state, isolation_level=None)) as other:
        store._database.run_text("PRAGMA busy_timeout = 50")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockedError, match="another process is writing"), store.transaction():
            pytest.fail("two write at once")
        assert store.setting("schema") == str(NEWEST), "reading goes on"
        other.execute("ROLLBACK")
        put(store, record("1"))


# lock and scratch


def test_a_lock_says_nothing_when_its_holder_wrote_nothing(state: Path) -> None:
    with closing(opened(state)) as first, closing(opened(state)) as second, first.lock("sync"):
        state.with_name("state.db.lock").write_text("")
        with pytest.raises(LockedError, match="does not say which"), second.lock("plan"):
            pytest.fail("two hold the lock")


def test_the_copy_of_a_scratch_has_no_name(state: Path) -> None:
    with closing(opened(state)) as store:
        before = {file.name for file in state.parent.iterdir()}
        with store.scratch() as copy:
            put(copy, record("1"))
            assert {file.name for file in state.parent.iterdir()} == before


def test_copies_left_by_a_killed_process_are_removed(state: Path) -> None:
    left = state.with_name(".crmbridge-plan-abc")
    left.write_bytes(b"personal data")
    with closing(opened(state)) as store, store.scratch():
        assert not left.exists()


def test_a_state_in_memory_keeps_the_same_rules() -> None:
    with closing(open_store("sqlite://", now=now)) as store:
        put(store, record("1"))
        with store.scratch() as copy, store.lock("sync"):
            put(copy, record("2"))
            assert len(copy.records_in("shop", "customers", 0, 9)) == 2
        assert len(store.records_in("shop", "customers", 0, 9)) == 1


def test_a_reader_sees_whole_transactions_of_another_process(state: Path) -> None:
    with closing(opened(state)) as store, other_process(f"sqlite:///{state}", "written"):
        assert len(store.records_in("shop", "customers", 0, 99_999)) == 300


def test_an_older_copy_of_the_state_gives_itself_away(state: Path) -> None:
    beside = state.with_name("state.db.last-run")
    with closing(opened(state)) as store:
        assert store.later_run() is None
        store.put_history(1, "begin")
        before = beside.read_text()
        store.put_history(1, "end")
        assert store.later_run() is None
        after = beside.read_text()
        beside.write_text(before)  # the process died between the state and the file
        assert store.later_run() is None
        store.put_history(2, "next")
        beside.write_text(after.replace("end 1", "other 7"))
        assert store.later_run() == 7
        beside.write_text("🌼")  # nothing that we wrote
        assert store.later_run() is None
        beside.unlink()
        assert store.later_run() is None
    assert not list(state.parent.glob("*.new"))


def test_a_disk_that_takes_no_more_is_told_with_what_to_do(state: Path) -> None:
    """A limit of the process on the size of its files makes SQLite speak of an I/O error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(opened(state)) as store:
        put(store, record("before"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (state.stat().st_size // 4, hard))
        try:
            with pytest.raises(StateError) as caught:
                put(store, *(record(f"more{n}", seen="x" * 500) for n in range(3000)))
            with pytest.raises(StateError, match=r"cannot grow|refuses"), store.scratch():
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(state) in caught.value.message
    assert "what was not finished is undone" in caught.value.message
    assert "make room on that disk" in str(caught.value.hint)
