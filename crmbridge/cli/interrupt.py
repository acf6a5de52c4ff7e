"""Ctrl-C and SIGTERM: one line and an exit code, whenever they come.

While nothing is open (imports, reading the config) the process ends at once: an exception that is raised
inside an import may be swallowed, or be printed by whoever it hits. Once the state is open they are raised,
so that all is closed. During a run what was begun is finished first.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmbridge.sdk.hookspecs import RunEvent

__all__ = ["Interrupted", "Stopper", "end_at_once", "raising"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)

PATIENCE = 5.0
"""Seconds that the work in hand gets; a system that does not answer must not hold us for minutes."""


class Interrupted(BaseException):
    """A signal ended the command. No Exception, so that no connector swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def name(self) -> str:
        return signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it."""
        return 128 + self.number

    outlook = "what is committed stays; the next run goes on from there"


def end_at_once() -> None:
    """From now on a signal ends the process where it is."""
    for number in SIGNALS:
        signal.signal(number, _leave)
    sys.unraisablehook = _leave_instead
    atexit.register(_ignore)


def _ignore() -> None:
    """All is done, and its exit code stands: Python takes a moment to clear up, with no handler of ours."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def raising() -> Iterator[None]:
    """Inside, a signal is raised as Interrupted; what is closed on the way out is not interrupted again."""
    before = {number: signal.signal(number, _raise) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _: FrameType | None) -> None:
    for one in SIGNALS:
        signal.signal(one, _leave)
    raise Interrupted(number)


def _leave(number: int, _: FrameType | None) -> None:
    os.write(2, f"stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


def _leave_instead(unraisable: sys.UnraisableHookArgs) -> None:
    """A signal that came inside of a callback of Python's own ends the process nevertheless."""
    if isinstance(unraisable.exc_value, Interrupted):
        _leave(unraisable.exc_value.number, None)
    sys.__unraisablehook__(unraisable)


class Stopper:
    """Remembers a signal until the work reaches a place where it can stop; see `listen`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._asked: int | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Signals are ours inside."""
        before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._stop)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self, event: RunEvent) -> None:
        """Called between two pages, between two batches: here nothing is half-way."""
        if self._asked is not None and event.kind in ("progress", "stage-started", "stage-ended"):
            raise Interrupted(self._asked)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None:
            raise Interrupted(number)
        self._asked = number
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        self._tell("stopping: what was begun is finished first; once more stops at once")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise Interrupted(self._asked or number)
