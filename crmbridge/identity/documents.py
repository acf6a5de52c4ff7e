"""Documents that change hands: who owns an order, what its owner accepted, and what others ask of the owner.

Until it is accepted, the first owner's word counts. What the second owner accepted is its record as it was
then, whoever said that before. Later changes by others are requests: told, neither carried out nor undone.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmbridge.identity.link import UNSET, Link, Statement
from crmbridge.identity.policy import Policy
from crmbridge.identity.shape import Shape, element_path

__all__ = ["accepted_by", "is_carried", "owner_of", "travelling_delete"]


def accepted_by(shape: Shape, policy: Policy, links: Sequence[Link]) -> Link | None:
    """The record, living or gone, in which the second owner accepted the document."""
    owner, statuses = policy.owner, list(shape.status_order)
    if owner is None:
        return None
    for link in links:
        held = link.holds(shape.status_field or "")
        reached = held in statuses and statuses.index(held) >= statuses.index(owner.until)
        if reached and link.system == owner.then:
            return link
    return None


def owner_of(policy: Policy, accepted: Link | None) -> str:
    """The system that owns the document, also where it has deleted or archived it since."""
    assert policy.owner is not None
    return policy.owner.first if accepted is None else policy.owner.then


def is_carried(accepted: Link, path: str) -> bool:
    """Whether the accepted record would show what is said at `path`."""
    name, _, rest = path.partition("/")
    if not rest or element_path(name, rest.partition("/")[0]) in _shown(accepted, name):
        return accepted.holds(path) is not UNSET
    return bool(accepted.elements.get(name))


def _shown(link: Link, name: str) -> set[str]:
    return {element_path(name, element_id) for element_id in link.shown(name)}


def travelling_delete(
    shape: Shape, policy: Policy, links: Sequence[Link]
) -> tuple[tuple[str, int] | None, list[tuple[str, Statement]]]:
    """The delete that the others should follow, one that no living record was edited after; and what is asked
    of the owner of a document, deletes by others.

    A customer who is no longer named by an order or a colleague is not deleted; a relation that is no longer
    named is."""
    if policy.deletes == "keep":
        return None, []
    gone = [x for x in links if not x.alive and not x.deleted_by_us and x.gone_at]
    if shape.model.matched:
        gone = [x for x in gone if not x.further]
    if policy.source is not None:
        gone = [link for link in gone if link.system == policy.source]
    asked: list[Link] = []
    if policy.owner is not None:
        owner = owner_of(policy, accepted_by(shape, policy, links))
        asked = [link for link in gone if link.system != owner and any(x.alive for x in links)]
        gone = [link for link in gone if link.system == owner]
    requests = [(link.system, Statement(None, link.gone_at, link.record_id)) for link in asked]
    latest = max(gone, key=lambda link: link.gone_at, default=None)
    if latest is None or any(link.last_edit() > latest.gone_at for link in links if link.alive):
        return None, requests
    return (latest.system, latest.gone_at), requests
