"""Who may decide what, for one entity: the config in the form that merging and planning use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from crmbridge.sdk.hookspecs import Candidate

__all__ = ["HUB", "Owner", "Place", "Policy", "Rule"]

HUB = "hub"
"""The pseudo-system of the stewards' values. It outranks every system."""


Rule = Callable[[Sequence[Candidate]], int | None]
"""A plugin's survivorship rule. None: it failed, and a person has to decide, as with `manual`."""

Place = tuple[str, str, str]
"""(field, native child id, field of the element); the latter two are empty for a scalar."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a document: `first` until its status is `until` or beyond, `then` afterwards."""

    first: str
    until: str
    then: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How the records of one entity become one golden record."""

    entity: str
    systems: Sequence[str]
    """In configured order: the earlier wins where nothing else decides."""
    source: str | None = None
    """In `from/to` flows the one system whose statements count."""
    authority: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Field -> systems, the first decides. Ranked by where a value originated."""
    survivorship: Mapping[str, str | Rule] = field(default_factory=dict)
    """Field -> `latest` (default), `manual`, or a plugin's rule."""
    ignore_clear: frozenset[str] = frozenset()
    """Fields in which an emptied value says nothing (`clear: ignore`)."""
    deletes: Literal["keep", "archive", "delete"] = "keep"
    owner: Owner | None = None
    constants: Mapping[tuple[str, str], frozenset[Place]] = field(default_factory=dict)
    """(system, stream) -> what its mapping says, and not its records."""

    def is_constant(self, system: str, stream: str, place: Place) -> bool:
        """Whether a mapping says this, for this element or for all of its list."""
        said = self.constants.get((system, stream), frozenset())
        return place in said or (place[0], "", place[2]) in said

    def rank(self, system: str) -> int:
        """Position in the configured order; the hub comes first, an unknown system last."""
        if system == HUB:
            return -1
        return self.systems.index(system) if system in self.systems else len(self.systems)

    def authority_rank(self, name: str, system: str) -> int:
        """Position among those who may decide the field; all others are equally last."""
        decides = self.authority.get(name, ())
        if system == HUB:
            return -1
        return decides.index(system) if system in decides else len(decides)
