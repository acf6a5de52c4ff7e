"""What to do where the operating system refuses a file or a folder."""

from __future__ import annotations

import errno
import getpass

__all__ = ["remedy"]


def remedy(error: OSError, right: str) -> str | None:
    """What helps, None where that is not known. right: what was wanted, as in `read it`."""
    if error.errno in (errno.EACCES, errno.EPERM):
        place = f"; ls -ld {error.filename} shows who has it" if error.filename else ""
        return f"give {_user()} the right to {right}{place}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on that disk, then run the same command again"
    if error.errno == errno.EROFS:
        return "that disk is mounted read-only: mount it for writing, or name another place"
    return None


def _user() -> str:
    try:
        return f"the user {getpass.getuser()}"
    except (KeyError, OSError):  # one without a name, as containers have them
        return "this user"
