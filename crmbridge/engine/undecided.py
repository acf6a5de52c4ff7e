"""What a record is given while a person has to decide about one of its fields.

Under `manual` each keeps what it says itself. What we wrote over that, by a decision which was taken back,
gives way to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from crmbridge.identity.link import UNSET, FieldState
from crmbridge.identity.survive import Decision, Golden

__all__ = ["OWN", "in_the_meantime", "is_kept", "undecided_below"]

OWN = "own"
"""The rule of a decision that is no more than the record's own word."""


def in_the_meantime(decision: Decision, state: FieldState | None, system: str) -> Decision:
    """What the record of this field state, in `system`, shall hold: what was agreed, or its own word again,
    unless that was said before the others agreed."""
    own = state.own if state else None
    if state is None or own is None or not decision.waits or not _has_lost_its_own(state):
        return decision
    overtaken = own.time < decision.winner.time
    is_word = own.value is not None or own.time > 0
    return Decision(own, system, OWN) if is_word and not overtaken else decision


def is_kept(decision: Decision, state: FieldState | None) -> bool:
    """Whether the field is left as it is: it holds the record's own word, or nothing was ever agreed on."""
    return decision.waits and (not decision.system or (state is not None and state.speaks))


def undecided_below(golden: Golden, path: str) -> Iterator[str]:
    """The parts of an element about which a person has to decide."""
    for conflict in golden.conflicts:
        if conflict.undecided and conflict.path.startswith(f"{path}/"):
            yield conflict.path


def _has_lost_its_own(state: FieldState) -> bool:
    return state.lent is not None or state.seen is UNSET
