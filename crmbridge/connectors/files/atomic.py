"""Reading a file only while nobody writes it, and replacing it whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from crmbridge.sdk import FatalError, RetryableError
from crmbridge.sdk.remedy import remedy

__all__ = ["State", "locked", "replacing", "steady"]

_BUSY = (errno.EAGAIN, errno.EACCES)


def _opened_by(path: Path) -> str:
    """Who has the file open, by the lock files that Excel, WPS and LibreOffice leave beside it; or ""."""
    excel = path.with_name(f"~${path.name}")
    if excel.exists():
        return f"it is open in Excel or WPS ({excel.name})"
    libre = path.with_name(f".~lock.{path.name}#")
    if libre.exists():
        with contextlib.suppress(OSError):
            who = libre.read_text(encoding="utf-8", errors="replace").split(",")
            return f"{(who[0] or who[1] if len(who) > 1 else '') or 'somebody'} has it open in LibreOffice"
        return "it is open in LibreOffice"
    return ""


@contextlib.contextmanager
def steady(path: Path) -> Iterator[None]:
    """What is read in the block is one whole state of the file, else RetryableError is raised at its end."""
    _refuse_open(path)
    with _open_regular(path, os.O_RDONLY) as handle:
        _lock(path, handle, fcntl.LOCK_SH)
        before = _state(path)
        yield
        if _state(path) != before:
            raise RetryableError(f"{path.name} changed while it was read, so nothing of it was used")


State = tuple[int, int, int] | None
"""Which file stands at a path, and in which state: inode, size, time of last change. None: no file."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[State]:
    """Keep out other runs of crmbridge that write in the same folder, and programs that lock the file."""
    with contextlib.ExitStack() as stack:
        _flock(path, stack.enter_context(_descriptor(path.parent, os.O_RDONLY)), fcntl.LOCK_EX)
        _refuse_open(path)
        if path.exists():
            _lock(path, stack.enter_context(_open_regular(path, os.O_RDWR)), fcntl.LOCK_EX)
        yield _state(path)


@contextlib.contextmanager
def replacing(path: Path, before: State) -> Iterator[Path]:
    """Give an empty file beside `path`; when the block ends well, it takes the place of `path` in one step.

    Owner, group, mode and extended attributes (access lists) stay, as far as the rights allow. Raises
    RetryableError and leaves everything as it is when `path` is no longer in the state `before`.
    """
    fresh = path.with_name(f".crmbridge-new.{path.name}")
    fresh.unlink(missing_ok=True)  # a crash left it
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600 if before else 0o666))
    try:
        yield fresh
        _copy_rights(path, fresh)
        _sync(fresh)
        _refuse_open(path)
        if _state(path) != before:
            raise RetryableError(f"{path} was changed while we wrote, so it was left as it is")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync(path.parent)


def _refuse_open(path: Path) -> None:
    if who := _opened_by(path):
        raise RetryableError(
            f"{path} cannot be used now: {who}",
            hint="close it there; if nobody has it open, a crash left the lock file: delete that",
        )


def _state(path: Path) -> State:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _instead(path: Path) -> str:
    """What to do about a file that is not there."""
    alike = sorted(one.name for one in path.parent.glob(f"{glob.escape(path.stem)}.*") if one.is_file())
    if alike:
        return f"there is {alike[0]}: save it as {path.name}, or name that file in `files:`"
    return "put it back, or correct its name in `files:`"


@contextlib.contextmanager
def _descriptor(path: Path, flags: int) -> Iterator[int]:
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FatalError(f"{path} does not exist", hint=_instead(path)) from None
    except OSError as error:
        right = "read it" if flags == os.O_RDONLY else "read and write it"
        raise FatalError(f"{path} cannot be opened: {error.strerror}", hint=remedy(error, right)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _open_regular(path: Path, flags: int) -> Iterator[int]:
    with _descriptor(path, flags) as descriptor:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FatalError(f"{path} is not an ordinary file")
        yield descriptor


def _lock(path: Path, descriptor: int, kind: int) -> None:
    """Both kinds of locks, since programs use either: flock (BSD) and record locks (POSIX)."""
    _flock(path, descriptor, kind)
    _try_lock(path, lambda: fcntl.lockf(descriptor, kind | fcntl.LOCK_NB))


def _flock(path: Path, descriptor: int, kind: int) -> None:
    _try_lock(path, lambda: fcntl.flock(descriptor, kind | fcntl.LOCK_NB))


def _try_lock(path: Path, lock: Callable[[], None]) -> None:
    try:
        lock()
    except OSError as error:
        if error.errno in _BUSY:
            raise RetryableError(f"{path} is locked by another program") from None
        # Other errors mean that this file system has no locks (some network mounts).


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_rights(source: Path, target: Path) -> None:
    if not source.exists():
        return
    status = source.stat()
    for owner in ((status.st_uid, -1), (-1, status.st_gid)):
        with contextlib.suppress(OSError):
            os.chown(target, *owner)
    if hasattr(os, "listxattr"):
        for name in os.listxattr(source):
            with contextlib.suppress(OSError):
                os.setxattr(target, name, os.getxattr(source, name))
    target.chmod(stat.S_IMODE(status.st_mode))
