"""A deadline for a whole exchange, down to each read from the socket.

A read time-out starts anew with each byte, so a server that drips one byte a second is never late. Here each
connect, handshake, read and write gets only what is left of the whole. The name look-up is the one step that
the operating system does not let us limit.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

__all__ = ["DeadlineBackend", "DeadlinePassed", "deadline", "mute_libraries"]


_PIECE = 16_384


class DeadlinePassed(httpcore.TimeoutException):
    """The exchange took longer than all of it may take."""


class _Current(threading.local):
    ends: float | None = None
    """`time.monotonic()` at which this thread's exchange has to be over; None: there is none."""


_current = _Current()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """What this thread does on the network inside the block ends after `seconds`, by DeadlinePassed."""
    _current.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        _current.ends = None


def _left(timeout: float | None) -> tuple[float | None, bool]:
    """The time-out for the next step, and whether the deadline (not the step's own time-out) made it."""
    if _current.ends is None:
        return timeout, False
    left = _current.ends - time.monotonic()
    if left <= 0:
        raise DeadlinePassed
    return (left, True) if timeout is None or left < timeout else (timeout, False)


@contextmanager
def _step(timeout: float | None) -> Iterator[float | None]:
    limit, by_deadline = _left(timeout)
    try:
        yield limit
    except (httpcore.ReadTimeout, httpcore.WriteTimeout):
        # A connect that ran out of time stays a ConnectTimeout: it says that nothing was sent.
        if by_deadline:
            raise DeadlinePassed from None
        raise


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _step(timeout) as limit:
            return self._stream.read(max_bytes, limit)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces: the stream below grants the whole time-out to each send that it needs for a buffer.
        for start in range(0, len(buffer), _PIECE):
            with _step(timeout) as limit:
                self._stream.write(buffer[start : start + _PIECE], limit)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with _step(timeout) as limit:
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class DeadlineBackend(httpcore.SyncBackend):
    """Opens connections whose every step keeps to the deadline of the thread that uses them."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        with _step(timeout) as limit:
            return _Stream(super().connect_tcp(host, port, limit, local_address, socket_options))


class _NotInOurExchange(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return _current.ends is None


def mute_libraries(names: Iterable[str]) -> None:
    """Silence these loggers during our own exchanges, and only then.

    httpx logs whole URLs and httpcore whole headers, with tokens and session cookies; what a program that
    uses crmbridge as a library does with httpx itself is still logged.
    """
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _NotInOurExchange) for known in logger.filters):
            logger.addFilter(_NotInOurExchange())
