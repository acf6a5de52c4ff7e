"""How far a system agrees with the others, field by field: for a look before the first write into it.

What agrees is what planning finds nothing to write for, in the record's own precision and normal form; so
this asks the planner, on a copy of the state that is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from crmbridge.engine.golden import tentative
from crmbridge.engine.operations import Planned
from crmbridge.engine.planinput import PlanInput
from crmbridge.engine.run import Flow, Run
from crmbridge.identity.link import UNSET, Link
from crmbridge.identity.survive import primaries

__all__ = ["Agreement", "Example", "Verdict", "agreement"]

PAGE = 500

Verdict = Literal["agree", "fill", "change", "clear", "wins", "waits"]
"""Of one field of one record: nothing differs | empty here, and would be filled | would be changed | would be
emptied | another system holds something else, and this one's word wins | a person has to decide."""


@dataclass(frozen=True, slots=True)
class Example:
    """The first record with a verdict."""

    native_id: str
    here: Any
    """What this system holds."""
    elsewhere: Any
    """What it would hold, or what another system holds against it."""


@dataclass(slots=True)
class Agreement:
    """One entity in one system: its records that other systems have as well, by field."""

    entity: str
    linked: int = 0
    """Records here that another system has too."""
    only_here: int = 0
    create: int = 0
    """Records that would be created here."""
    fields: dict[str, dict[Verdict, int]] = field(default_factory=dict)
    """Field -> verdict -> records, of those for which the field is said here or elsewhere."""
    examples: dict[tuple[str, Verdict], Example] = field(default_factory=dict)

    def agrees(self, name: str) -> float:
        """The share of the compared records that agree in this field, 0..1."""
        counts = self.fields[name]
        return counts.get("agree", 0) / sum(counts.values())


def agreement(run: Run, system: str, entities: Sequence[str]) -> Iterator[Agreement]:
    """How far `system` agrees with the others, by entity. run: of a copy of the state; see `tentative`."""
    for flow in run.flows:
        if flow.entity in entities and system in flow.targets:
            yield _of_entity(run, flow, system)


def _of_entity(run: Run, flow: Flow, system: str) -> Agreement:
    found, after = Agreement(flow.entity), ""
    while ids := run.store.golden_ids(flow.entity, after, PAGE):
        after = ids[-1]
        with run.store.transaction():
            for given, operations in tentative(run, flow, ids):
                _look(found, given, [one for one in operations if one.system == system], system)
    return found


def _look(found: Agreement, given: PlanInput, operations: Sequence[Planned], system: str) -> None:
    found.create += sum(one.kind == "create" for one in operations)
    alive = [link for link in primaries(given.links) if link.status == "live" and not link.part]
    others = [link for link in alive if link.system != system]
    for target in given.targets:
        link = next((x for x in alive if (x.system, x.scope) == (system, target.scope)), None)
        if target.system != system or link is None:
            continue
        if not others:
            found.only_here += 1
            continue
        found.linked += 1
        changed = [c for one in operations if one.scope == link.scope for c in one.changes]
        for name in (*given.shape.scalars, *given.shape.lists):
            if target.mapping.writes(name) or name == target.mapping.transition_field:
                changes = [(c.old, c.new) for c in changed if c.path.partition("/")[0] == name]
                _judge(found, given, name, link, others, changes)


def _judge(
    found: Agreement,
    given: PlanInput,
    name: str,
    link: Link,
    others: Iterable[Link],
    changes: Sequence[tuple[Any, Any]],
) -> None:
    verdict, elsewhere = _verdict(given, name, link, others, changes)
    if verdict is None:
        return
    counts = found.fields.setdefault(name, {})
    counts[verdict] = counts.get(verdict, 0) + 1
    if verdict != "agree" and (name, verdict) not in found.examples:
        here = _held(given, name, link)
        found.examples[name, verdict] = Example(link.native_id, None if here is UNSET else here, elsewhere)


def _verdict(
    given: PlanInput, name: str, link: Link, others: Iterable[Link], changes: Sequence[tuple[Any, Any]]
) -> tuple[Verdict | None, Any]:
    """The verdict, and what stands against what this record holds; None where nobody says anything."""
    here, known = _held(given, name, link), [_held(given, name, other) for other in others]
    if here is UNSET and all(held is UNSET for held in known):
        return None, None
    if changes:
        wanted = _wanted(given, name)
        if all(new is None for _, new in changes):
            return "clear", wanted
        return ("fill" if here in (UNSET, None, []) else "change"), wanted
    decision = given.golden.decisions.get(name)
    if any(one.undecided and one.path.startswith(f"{name}/") for one in given.golden.conflicts):
        return "waits", next((held for held in known if held not in (UNSET, here)), None)
    if decision is None or given.shape.scalars[name].is_ref:  # a list, or each system's own reference
        return "agree", None
    against = [held for held in known if held is not UNSET and not given.shape.same(name, here, held)]
    if against and decision.waits:
        return "waits", against[0]
    return ("wins", against[0]) if against and decision.system == link.system else ("agree", None)


def _held(given: PlanInput, name: str, link: Link) -> Any:
    """What a record holds: a value, or the elements of a list; UNSET where it does not carry the field."""
    if name in given.shape.scalars:
        return link.holds(name)
    if name not in link.elements:
        return UNSET
    return _texts(given, name, (link.element(name, one) for one in link.shown(name)))


def _wanted(given: PlanInput, name: str) -> Any:
    golden = given.golden
    if name in given.shape.scalars:
        return golden.value(name)
    return _texts(given, name, (golden.element(name, one) for one in golden.elements(name)))


def _texts(given: PlanInput, name: str, elements: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each element of a list, its parts in the order of the schema."""
    fields = given.shape.lists[name].fields
    parts = ([one[inner] for inner in fields if one.get(inner) is not None] for one in elements)
    return [" ".join(" ".join(p) if isinstance(p, list) else str(p) for p in some) for some in parts]
