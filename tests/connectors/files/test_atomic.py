"""Whole or not at all: locks, changes under our hands, and a process killed in the middle."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

from crmbridge.connectors.files.atomic import locked, replacing, steady
from crmbridge.sdk import FatalError, RetryableError

TEXT = "id,n\n1,a\n"


@pytest.fixture
def path(files):
    return files.write("p.csv", TEXT)


@pytest.fixture
def stream(files, path):
    return files.stream("p", key="id")


@pytest.mark.parametrize("name", ["~$p.csv", ".~lock.p.csv#"])
def test_a_file_that_is_open_elsewhere_is_neither_read_nor_written(files, stream, path, name):
    files.write(name, ",eve,desk-3,02.05.2024 09:00,file:///home/eve;")
    for use in (stream.records, lambda: stream.create(id="2")):
        with pytest.raises(RetryableError, match="open in") as raised:
            use()
        assert "close it there" in str(raised.value)
    assert path.read_text() == TEXT
    if name.startswith("."):
        assert "eve has it open" in str(raised.value)
    assert [finding.level for finding in stream.connector.check()] == ["error"]


def hold_lock(path, kind):
    """Another process that holds a lock until its input ends."""
    code = f"import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.{kind}(f, fcntl.LOCK_EX); "
    code += "print('held', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("kind", ["flock", "lockf"])
def test_a_locked_file_is_neither_read_nor_written(stream, path, kind):
    process = hold_lock(path, kind)
    for use in (stream.records, lambda: stream.create(id="2")):
        with pytest.raises(RetryableError, match="locked by another program"):
            use()
    process.communicate("\n")
    assert stream.create(id="2").status == "done"


def test_two_writers_in_one_folder_exclude_each_other(files, path):
    with locked(path), pytest.raises(RetryableError, match="locked"), locked(files.root / "other.csv"):
        pass


def test_a_change_while_reading_is_an_error(path):
    with pytest.raises(RetryableError, match="changed while it was read"), steady(path):
        path.write_text(TEXT + "2,b\n")


def test_a_change_while_writing_wins_over_ours(path, names):
    def write_while_they_write():
        with locked(path) as state, replacing(path, state) as fresh:
            fresh.write_text("ours")
            path.write_text("theirs")

    with pytest.raises(RetryableError, match="changed while we wrote"):
        write_while_they_write()
    assert path.read_text() == "theirs"
    assert names() == ["p.csv"]


def test_an_error_while_writing_leaves_nothing_behind(path, names):
    with pytest.raises(ValueError, match="x"), locked(path) as state, replacing(path, state):
        raise ValueError("x")
    assert path.read_text() == TEXT
    assert names() == ["p.csv"]


def test_a_kill_before_the_file_is_replaced_leaves_the_old_one_whole(stream, path, names):
    code = """
        import os, signal, sys
        from pathlib import Path
        from crmbridge.connectors.files.atomic import locked, replacing
        path = Path(sys.argv[1])
        with locked(path) as state, replacing(path, state) as fresh:
            fresh.write_text("half of a new fi")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == TEXT
    assert names() == [".crmbridge-new.p.csv", "p.csv"]
    assert [s.name for s in stream.connector.streams()] == ["p"]
    assert stream.create(id="2", n="b").status == "done"
    assert path.read_text() == TEXT + "2,b\n"
    assert names() == ["p.csv"]


def test_mode_and_owner_are_kept(stream, path):
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = path.stat()
    stream.create(id="2")
    after = path.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_a_new_file_has_the_usual_mode(files):
    files.stream("s", file="new.csv", key="id", create=True).create(id="1")
    usual = files.root / "usual"
    usual.touch()
    assert stat.S_IMODE((files.root / "new.csv").stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_nothing_to_do_writes_nothing(stream, path):
    before = path.stat()
    assert stream.update("1").status == "done"
    assert stream.update("9", n="x").status == "conflict"
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino


def test_a_copy_that_does_not_read_back_is_not_used(files, names):
    """With our new cell, semicolons would look like the delimiter at the next read."""
    path = files.write("p.csv", "id,a;b;c\n1,x\n")
    stream = files.stream("p", key="id")
    with pytest.raises(FatalError, match="our changed copy"):
        stream.update("1", **{"a;b;c": "x;y;z"})
    assert path.read_text() == "id,a;b;c\n1,x\n"
    assert names() == ["p.csv"]
    assert files.stream("p", key="id", delimiter=",").update("1", **{"a;b;c": "x;y;z"}).status == "done"


def test_a_full_disk_is_said_and_nothing_is_lost(files):
    """Done in a small file system of its own where the rights allow, else with a limit on file sizes."""
    rows = "".join(f"{n},{'x' * 100}\n" for n in range(2000))
    path = files.write("p.csv", "id,n\n" + rows)
    code = """
        import resource, signal, sys
        from datetime import UTC, datetime
        from pathlib import Path
        from crmbridge.connectors.files import FilesConnector, FilesSettings
        from crmbridge.sdk import Context, FatalError, Operation
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        context = Context("sales", Path(sys.argv[1]), {}, lambda: datetime.now(UTC), lambda: 0.5, False, None)
        connector = FilesConnector(FilesSettings(path=".", files={"p": {"key": "id"}}), context)
        list(connector.pull("p", None))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            list(connector.push("p", [Operation("1", "create", data={"id": "new", "n": "x"})]))
        except FatalError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(files.root)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "nothing was written" in done.stdout, done.stderr
    assert path.read_text() == "id,n\n" + rows
    assert sorted(p.name for p in files.root.iterdir()) == ["p.csv"]


def test_reading_only_needs_no_right_to_write(files, stream, path):
    path.chmod(0o444)
    assert list(stream.rows()) == ["1"]
    if os.geteuid() != 0:
        with pytest.raises(FatalError, match="Permission denied"):
            stream.create(id="2")


def test_our_own_lock_ends_with_the_write(stream, path):
    stream.create(id="2")
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
