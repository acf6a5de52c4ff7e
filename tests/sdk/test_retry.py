"""Retries and their budgets, Retry-After, and the rate budget: all on a clock that moves by sleeping."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from crmbridge.sdk.errors import AnswerLostError, AuthError, FatalError, RetryableError
from crmbridge.sdk.retry import RateBudget, Retrier, RetryPolicy, parse_http_date, parse_retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = NOW
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.time += timedelta(seconds=seconds)


class Flaky:
    """Raises the given errors one after the other, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def retrier(clock: Clock, random: Callable[[], float] = lambda: 1.0, **policy: float) -> Retrier:
    return Retrier(RetryPolicy(**policy), random=random, sleep=clock.sleep)  # type: ignore[arg-type]


def busy(count: int, retry_after: float | None = None) -> Flaky:
    return Flaky(*(RetryableError("busy", retry_after=retry_after) for _ in range(count)))


# -- retries -----------------------------------------------------------------------------------


def test_the_waits_double_up_to_the_longest(clock: Clock) -> None:
    work = busy(6)
    assert retrier(clock, attempts=7, first_wait=1, longest_wait=8).call(work) == "done"
    assert clock.slept == [1, 2, 4, 8, 8, 8]


def test_the_jitter_is_full(clock: Clock) -> None:
    draws = iter([0.0, 0.25, 0.999])
    retrier(clock, lambda: next(draws), attempts=4, first_wait=1).call(busy(3))
    assert clock.slept == [0.0, 0.5, pytest.approx(3.996)]


def test_the_last_error_says_how_often_it_was_tried(clock: Clock) -> None:
    work = busy(9, retry_after=2.0)
    with pytest.raises(RetryableError, match=r"^busy \(tried 3 times\)$") as caught:
        retrier(clock, attempts=3).call(work)
    assert caught.value.retry_after == 2.0
    assert work.calls == 3


@pytest.mark.parametrize("error", [AnswerLostError("?"), AuthError("no"), FatalError("no"), KeyError("bug")])
def test_nothing_else_is_tried_again(clock: Clock, error: Exception) -> None:
    work = Flaky(error)
    with pytest.raises(type(error)):
        retrier(clock).call(work)
    assert (work.calls, clock.slept) == (1, [])


def test_what_the_system_asks_for_is_the_least_that_is_waited(clock: Clock) -> None:
    retrier(clock, lambda: 0.0, first_wait=0.5).call(busy(1, retry_after=7))
    retrier(clock, lambda: 0.5, first_wait=0.5).call(busy(1, retry_after=7))
    assert clock.slept == [7, 7.25]


def test_more_than_the_longest_wait_is_not_waited_for(clock: Clock) -> None:
    work = busy(1, retry_after=61)
    with pytest.raises(RetryableError, match=r"^busy$"):
        retrier(clock, longest_wait=60).call(work)
    assert (work.calls, clock.slept) == (1, [])


def test_one_call_waits_no_longer_than_its_budget(clock: Clock) -> None:
    with pytest.raises(RetryableError):
        retrier(clock, lambda: 0.0, attempts=99, wait_per_call=25).call(busy(99, retry_after=10))
    assert clock.slept == [10, 10]


def test_all_calls_together_wait_no_longer_than_the_budget_of_the_run(clock: Clock) -> None:
    shared = retrier(clock, lambda: 0.0, attempts=2, wait_in_all=25)
    assert shared.call(busy(1, retry_after=10)) == "done"
    assert shared.call(busy(1, retry_after=10)) == "done"
    with pytest.raises(RetryableError):
        shared.call(busy(1, retry_after=10))
    assert clock.slept == [10, 10]
    assert shared.call(busy(1, retry_after=5)) == "done"


# -- Retry-After -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        ("Sun Mar  1 12:00:30 2026", 30.0),
        ("Sun, 01 Mar 2026 14:00:30 +0200", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("99999999999999999999", 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("inf", 86_400.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
        ("一分钟", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


def test_an_http_date_is_an_aware_instant() -> None:
    assert parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert parse_http_date("yesterday") is None


# -- the rate budget ---------------------------------------------------------------------------


def test_a_burst_is_free_and_then_the_rate_holds(clock: Clock) -> None:
    budget = RateBudget(2, 5, now=clock.now, sleep=clock.sleep)
    for _ in range(5):
        budget.take()
    assert clock.slept == []
    for _ in range(4):
        budget.take()
    assert clock.time - NOW == timedelta(seconds=2)


def test_the_bucket_refills_with_time_but_never_overflows(clock: Clock) -> None:
    budget = RateBudget(1, 10, now=clock.now, sleep=clock.sleep)
    budget.take(10)
    clock.time += timedelta(hours=1)
    budget.take(10)
    assert clock.slept == []
    budget.take(3)
    assert clock.slept == [3]


def test_the_answers_correct_the_count_both_ways(clock: Clock) -> None:
    budget = RateBudget(10, 100, now=clock.now, sleep=clock.sleep)
    budget.correct(5)
    budget.take(25)
    assert clock.slept == [2]
    budget.correct(1_000)
    budget.take(100)
    assert clock.slept == [2]
    budget.take(10)
    assert clock.slept == [2, 1]


def test_headers_correct_the_count_where_they_say_something(clock: Clock) -> None:
    budget = RateBudget(
        1,
        40,
        now=clock.now,
        sleep=clock.sleep,
        units_left=lambda h: float(h["left"]) if "left" in h else None,
    )
    budget.learn({"left": "0"})
    budget.learn({})
    budget.take(4)
    assert clock.slept == [4]


def test_a_pause_holds_everybody(clock: Clock) -> None:
    budget = RateBudget(10, 10, now=clock.now, sleep=clock.sleep)
    budget.pause(30)
    budget.take()
    assert clock.slept == [pytest.approx(30.1)]


def test_a_clock_that_is_set_back_takes_nothing_away(clock: Clock) -> None:
    budget = RateBudget(1, 10, now=clock.now, sleep=clock.sleep)
    budget.take(5)
    clock.time -= timedelta(hours=1)
    budget.take(5)
    clock.time += timedelta(seconds=2)
    budget.take(2)
    assert clock.slept == []


def test_threads_share_the_budget(clock: Clock) -> None:
    waits: list[float] = []
    budget = RateBudget(10, 10, now=lambda: NOW, sleep=waits.append)
    threads = [threading.Thread(target=lambda: [budget.take() for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The clock stands still: the 90 that found nothing queue up, each a tenth of a second behind the other.
    assert sorted(waits) == pytest.approx([n / 10 for n in range(1, 91)])


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_a_budget_that_never_fills_is_refused(clock: Clock, rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RateBudget(rate, burst, now=clock.now, sleep=clock.sleep)
