"""What is not written again, though it differs: what the people of a system emptied under `clear: ignore`,
and what the system did not take as it was asked for. Both end when the golden value changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crmbridge.engine.operations import Change
from crmbridge.identity.link import UNSET, Link
from crmbridge.identity.policy import Policy
from crmbridge.identity.shape import element_path
from crmbridge.identity.survive import Decision
from crmbridge.mapping.list_rules import ListRule

__all__ = ["asked_in_vain", "element_is_left_out", "is_left_empty", "is_left_in_vain", "slot_is_left_empty"]

Decisions = Mapping[str, Decision]
Same = Callable[[str, Any, Any], bool]


def is_left_empty(policy: Policy, link: Link, path: str, decision: Decision) -> bool:
    """`clear: ignore`: who emptied a field, or a part of an element, is left alone until it changes."""
    emptied = link.holds(path) is None and _emptied(link, path)
    return bool(emptied) and _is_ignored(policy, path) and decision.winner.time <= emptied


def element_is_left_out(
    policy: Policy, link: Link, rule: ListRule, element_id: str, found: Decisions
) -> bool:
    """The same for an element that was removed: none of what this system shows of it has changed since."""
    emptied = _emptied(link, element_path(rule.field, element_id))
    return bool(emptied) and _is_ignored(policy, rule.field) and _newest(rule, element_id, found) <= emptied


def slot_is_left_empty(
    policy: Policy, link: Link, rule: ListRule, slot: str, new: str, found: Decisions
) -> bool:
    """The same for a slot that was emptied: the element `new` is no newer than that. slot: its id."""
    shown = link.elements.get(rule.field, {}).get(slot)
    emptied = _emptied(link, element_path(rule.field, shown)) if shown else 0
    return bool(emptied) and _is_ignored(policy, rule.field) and _newest(rule, new, found) <= emptied


def asked_in_vain(link: Link, path: str, changes: Sequence[Change], same: Same) -> bool:
    """The system was asked for the element at `path` with just these parts, and does not show it."""
    sent = {
        inner: state.sent.value
        for inner, state in link.fields.items()
        if state.sent is not None and state.sent.value is not None and _is_of(inner, path)
    }
    wanted = {change.path: change.new for change in changes if change.new is not None}
    return sent.keys() == wanted.keys() and all(same(inner, sent[inner], wanted[inner]) for inner in sent)


def is_left_in_vain(link: Link, path: str, decision: Decision) -> bool:
    """The system was asked to remove this element, and shows it still."""
    state = link.fields.get(path)
    sent = state.sent if state else None
    return sent is not None and sent.value is None and decision.winner.time <= sent.time


def _emptied(link: Link, path: str) -> int:
    """When its own people emptied it, microseconds; 0 where it is not empty, or they never said anything."""
    state = link.fields.get(path)
    own = state.own if state and state.seen in (None, UNSET) else None
    return own.time if own is not None and own.value is None else 0


def _is_ignored(policy: Policy, path: str) -> bool:
    return path.partition("/")[0] in policy.ignore_clear


def _newest(rule: ListRule, element_id: str, found: Decisions) -> int:
    """The time of the latest word about what this system shows of an element."""
    paths = (element_path(rule.field, element_id, inner) for inner in rule.element_fields)
    return max((found[path].winner.time for path in paths if path in found), default=0)


def _is_of(inner: str, path: str) -> bool:
    return inner == path or inner.startswith(f"{path}/")
