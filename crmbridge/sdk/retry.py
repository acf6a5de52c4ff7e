"""When to try again, and how fast to go: retries with a budget, and a rate budget shared by threads."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, TypeVar

import tenacity

from crmbridge.sdk.errors import RetryableError

__all__ = ["RateBudget", "Retrier", "RetryPolicy", "parse_http_date", "parse_retry_after"]

logger = logging.getLogger(__name__)
T = TypeVar("T")

_LONGEST_RETRY_AFTER = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try again. Times are seconds.

    The wait before attempt n+1 is drawn evenly from 0 to `first_wait * 2**(n-1)`, at most `longest_wait`
    ("full jitter": https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Where the
    system says how long to wait, it is that long plus a random part of `first_wait`.
    """

    attempts: int = 5
    """Per call, the first one included. 1: never again."""
    first_wait: float = 0.5
    longest_wait: float = 60.0
    """A system that asks for more is not waited for: the error goes up at once, with what it asked for."""
    wait_per_call: float = 120.0
    """Waiting that one call may add up."""
    wait_in_all: float = 900.0
    """Waiting that all calls of one client (in one run) may add up."""


class Retrier:
    """Calls a function again while it raises RetryableError, within the policy's budgets.

    random: uniform in [0, 1). sleep: waits that many seconds. Safe to share between threads.
    """

    def __init__(
        self, policy: RetryPolicy, *, random: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self.policy = policy
        self._random = random
        self._sleep = sleep
        self._left = policy.wait_in_all
        self._lock = Lock()

    def call(self, function: Callable[[], T]) -> T:
        """The function's result, or the last error. Errors of other classes go up at once."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RetryableError),
            wait=self._wait,
            stop=self._gives_up,
            sleep=self._sleep,
            before_sleep=_log_wait,
            retry_error_callback=_raise_last,
        )
        return retrying(function)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        policy = self.policy
        asked = _error(state).retry_after
        if asked is not None:
            # Not all threads and systems at the same instant: that is what the limit was about.
            return asked + self._random() * policy.first_wait
        ceiling = policy.first_wait * 2.0 ** (state.attempt_number - 1)
        return self._random() * min(policy.longest_wait, ceiling)

    def _gives_up(self, state: tenacity.RetryCallState) -> bool:
        policy = self.policy
        wait = state.upcoming_sleep
        asked = _error(state).retry_after or 0.0
        if state.attempt_number >= policy.attempts or asked > policy.longest_wait:
            return True
        if state.idle_for + wait > policy.wait_per_call:
            return True
        with self._lock:
            if wait > self._left:
                return True
            self._left -= wait
        return False


def _error(state: tenacity.RetryCallState) -> RetryableError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, RetryableError)
    return error


def _log_wait(state: tenacity.RetryCallState) -> None:
    logger.debug("attempt %d failed, next one in %.1f s", state.attempt_number, state.upcoming_sleep)


def _raise_last(state: tenacity.RetryCallState) -> Any:
    error = _error(state)
    if state.attempt_number > 1:
        error.message += f" (tried {state.attempt_number} times)"
    raise error


def parse_http_date(text: str) -> datetime | None:
    """An HTTP date (RFC 9110, 5.6.7, the old forms included) as an aware UTC instant; None if it is none."""
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3): a number of seconds or an HTTP date.

    now: the answering system's clock (its `Date` header), since its date is meant on that clock.
    A date in the past is 0; more than a day counts as a day; None where there is no usable value.
    """
    text = (value or "").strip()
    try:
        seconds = float(text)
    except ValueError:
        instant = parse_http_date(text)
        if instant is None:
            return None
        seconds = (instant - now).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


class RateBudget:
    """What a system lets us do per second, in its own units (requests, points), shared by all threads.

    A bucket of `burst` units that refills with `per_second`. `take` waits until there is enough, first come,
    first served. What the system says in its answers corrects the count: it knows of other clients too.

    per_second, burst: units. now: the clock. sleep: waits that many seconds.
    units_left: reads the units left from an answer's headers (names in any case); None where they don't say.
    """

    def __init__(
        self,
        per_second: float,
        burst: float,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        units_left: Callable[[Mapping[str, str]], float | None] | None = None,
    ) -> None:
        if per_second <= 0 or burst <= 0:
            raise ValueError("a rate budget needs per_second and burst above 0")
        self._per_second = per_second
        self._burst = burst
        self._now = now
        self._sleep = sleep
        self._units_left = units_left
        self._level = burst
        self._at = now()
        self._lock = Lock()

    def take(self, units: float = 1.0) -> None:
        """Use up that many units; returns when they are there."""
        with self._lock:
            self._refill()
            # The level goes below zero: who comes later waits behind us.
            self._level -= units
            wait = -self._level / self._per_second
        if wait > 0:
            self._sleep(wait)

    def correct(self, units: float) -> None:
        """The system says that so many units are left now."""
        with self._lock:
            self._refill()
            self._level = min(units, self._burst)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Correct the count by an answer's headers, where they say something."""
        left = self._units_left(headers) if self._units_left else None
        if left is not None:
            self.correct(left)

    def pause(self, seconds: float) -> None:
        """The system wants silence for so long: nothing is left, and nothing comes back before."""
        with self._lock:
            self._refill()
            self._level = min(self._level, -seconds * self._per_second)

    def _refill(self) -> None:
        now = self._now()
        # A clock that was set back must not take units away.
        passed = max((now - self._at).total_seconds(), 0.0)
        self._level = min(self._level + passed * self._per_second, self._burst)
        self._at = now
