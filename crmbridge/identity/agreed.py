"""`manual`: what the records last had in common, and which of them still stand apart.

A record had in common with others what it held at first contact, and every write of ours. What it says
itself after that is its own word, however often it says another, until a person decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crmbridge.identity.link import FieldState, Statement

__all__ = ["agreed", "stands_apart"]


def stands_apart(
    winner: Statement, mine: FieldState, other: Statement, theirs: FieldState, *, same: bool
) -> bool:
    """Whether neither record knew what the other says.

    mine, theirs: the states of their records; same: `other` says what the winner's record had in common with
    others.
    """
    since = mine.common.time if mine.common else -1
    if theirs.sent and theirs.sent.origin == winner.origin and theirs.sent.time > since:
        return False
    if theirs.common and theirs.common[1:3] == winner[1:3]:
        return False
    return other.time > since or (other.time == since == 0 and not same)


def agreed(found: Sequence[Statement], equal: Callable[[Statement, Statement], bool]) -> Statement | None:
    """Of what the records had in common with others, the latest; of first contacts, what two of them said."""
    latest = max(found, key=lambda said: said.time, default=None)
    if latest is None or latest.time:
        return latest
    return next((one for one in found if sum(equal(one, other) for other in found) > 1), None)
