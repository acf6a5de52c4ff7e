"""Linked parties in few words: what each system said, and when."""

from __future__ import annotations

from typing import Any

from crmbridge.identity.link import FieldState, Link, Reading, Stamp, Statement, observe, wrote
from crmbridge.identity.policy import Policy
from crmbridge.identity.shape import shape_of
from crmbridge.identity.survive import Golden, merge
from crmbridge_schemas.registry import ENTITIES

PARTY = shape_of(ENTITIES["party"])
SYSTEMS = ("shop", "crm", "erp")


def record(record_id: int, **doc: Any) -> Link:
    """What one system held at first contact: record 1 is the shop's, 2 the CRM's, 3 the ERP's."""
    link = Link(record_id, SYSTEMS[record_id - 1], "customers", f"n{record_id}")
    says(link, 0, **doc)
    return link


def says(link: Link, time: int, slack: int = 0, *, versioned: bool = True, **doc: Any) -> list[str]:
    """The record is read again; the paths in which it said something new."""
    return observe(link, doc, Reading(PARTY, Stamp(time, slack), versioned)).changed


def copies(link: Link, name: str, winner: Statement, held: Any = None, at: int = 0) -> None:
    """The bridge writes a golden value into a record."""
    wrote(link, name, winner, winner.value if held is None else held, at)


def merged(*links: Link, **policy: Any) -> Golden:
    """The golden record of the links."""
    return merge(PARTY, Policy("party", SYSTEMS, **policy), links, lambda link, ref: {"golden": link.system})


def own(link: Link, path: str) -> Statement:
    """The record's own last word."""
    state: FieldState = link.fields[path]
    assert state.own is not None
    return state.own
