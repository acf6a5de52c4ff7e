"""Ctrl-C and SIGTERM: what was begun is finished, then the command ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmbridge.sdk.hookspecs import RunEvent

__all__ = ["Interrupted", "Stopper"]

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


class Stopper:
    """Remembers a signal until the work reaches a place where it can stop; see `listen`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._asked: int | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Signals are ours inside."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._ask) for number in numbers}
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
