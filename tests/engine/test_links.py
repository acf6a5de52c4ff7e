"""Which time a change gets that a reading brought to light."""

from __future__ import annotations

import pytest

from crmbridge.engine.links import stamp_between
from crmbridge.identity.link import Stamp


@pytest.mark.parametrize(
    ("said", "stamp"),
    [
        (50, Stamp(50, 3)),
        (100, Stamp(100, 3)),  # while it was read
        (11, Stamp(11, 3)),
        (None, Stamp(100, 90)),  # at any time since it was read before
        (10, Stamp(11, 90)),  # it was not there when it was read before
        (4, Stamp(11, 90)),
        (101, Stamp(100, 90)),  # nothing is changed later than now
    ],
)
def test_a_change_happened_when_the_system_says_but_between_two_readings(
    said: int | None, stamp: Stamp
) -> None:
    assert stamp_between(10, 100, said, 3) == stamp


def test_a_time_is_no_more_exact_than_the_systems_clock() -> None:
    assert stamp_between(10, 100, 4, 1000) == Stamp(11, 1000)


def test_a_clock_that_went_back_makes_no_negative_span() -> None:
    assert stamp_between(100, 90, None, 3) == Stamp(90, 0)
