"""What would be written: golden record + what each record holds -> operations. Pure.

For each system that takes the entity:

    record there    the fields in which it should hold something else   -> update
    no record       and the create rule admits it                       -> create
    a delete        that travels                                        -> archive or delete
    the status      of a document whose owner moved on                  -> transition
    nothing else makes a write.

A field needs no write while the record holds the golden value, in the field's normal form and after the
precision that the mapping loses, or while what we last sent is still in place (the system may have altered
it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from crmbridge.engine.findings import findings
from crmbridge.engine.needs import insists, insists_on_elements, is_closed, lacking, lacking_to_create
from crmbridge.engine.operations import Change, Kind, Planned
from crmbridge.engine.planinput import Note, PlanInput, Target
from crmbridge.engine.repeats import (
    asked_in_vain,
    element_is_left_out,
    is_left_empty,
    is_left_in_vain,
    slot_is_left_empty,
)
from crmbridge.engine.undecided import OWN, in_the_meantime, is_kept, undecided_below
from crmbridge.identity.link import UNSET, FieldState, Link, Statement, digest
from crmbridge.identity.policy import HUB
from crmbridge.identity.shape import element_path
from crmbridge.identity.survive import Decision, primaries
from crmbridge.mapping.errors import MappingError
from crmbridge.mapping.list_rules import ListRule, Slot

__all__ = ["OSCILLATION", "plan"]

OSCILLATION = timedelta(days=7)
"""Writes that are further back say nothing about a field that goes to and fro: a customer who is active again
every summer is none."""


def plan(given: PlanInput) -> tuple[list[Planned], list[Note]]:
    """The operations that make every target hold what the golden record says."""
    notes = list(findings(given.golden, given.links))
    operations: list[Planned] = []
    there = [link for link in given.links if link.status != "lost"]
    chosen = {(link.system, link.scope): link for link in primaries(there)}
    for target in given.targets:
        try:
            operations.extend(_plan_for(given, target, chosen.get((target.system, target.scope)), notes))
        except MappingError as error:
            notes.append(Note("unwritable", target.system, error.field, str(error), target.mapping.stream))
    return operations, notes


def _plan_for(given: PlanInput, target: Target, link: Link | None, notes: list[Note]) -> list[Planned]:
    if link is None:
        lives = any(other.status == "live" and _is_of_a_system(given, other) for other in given.links)
        if not target.create or not lives or given.golden.delete is not None:
            return []
        return list(_Step(given, target, _new_link(target), notes).create())
    if link.status != "live" or link.part:
        return []
    step = _Step(given, target, link, notes)
    return list(step.delete() if given.golden.delete else step.update())


def _is_of_a_system(given: PlanInput, link: Link) -> bool:
    """What a person decided about a record keeps nobody alive."""
    return link.system != HUB or given.policy.source == HUB


def _new_link(target: Target) -> Link:
    return Link(0, target.system, target.mapping.stream, "", target.scope)


@dataclass(slots=True)
class _Step:
    """The plan for one golden record in one system."""

    given: PlanInput
    target: Target
    link: Link
    notes: list[Note]
    waits_for: list[str] = field(default_factory=list)
    slots: dict[str, dict[str, str | None]] = field(default_factory=dict)
    blocked: bool = False

    # the four kinds

    def create(self) -> Iterator[Planned]:
        changes = [c for c in self._changes() if c.new is not None]
        if not changes or self.blocked:
            return
        given = {change.path.partition("/")[0] for change in changes}
        missing = list(lacking_to_create(self.target, given, self.slots))
        if missing:
            self._note(
                "unwritable", ", ".join(missing), "no value, and this system creates no record without"
            )
        else:
            yield self._planned("create", changes)

    def update(self) -> Iterator[Planned]:
        changes = list(self._changes())
        if changes and is_closed(self.target, self.given.shape, self.link):
            for change in changes:
                self._note("closed", change.path, "may no longer change there; it differs")
            changes = []
        if changes and not self.blocked and "update" in self.target.capabilities.operations:
            yield self._planned("update", changes)
        yield from self._transition()

    def delete(self) -> Iterator[Planned]:
        wanted: Kind = "archive" if self.given.policy.deletes == "archive" else "delete"
        if wanted in self.target.capabilities.operations:
            yield self._planned(wanted, [])
        else:
            self._note("kept", "", f"this system cannot {wanted} records; it keeps its copy")

    def _transition(self) -> Iterator[Planned]:
        name = self.target.mapping.transition_field
        if name is None or "transition" not in self.target.capabilities.operations:
            return
        for change in self._status(name):
            planned = self._planned("transition", [change])
            planned.transition = change.new
            yield planned

    def _status(self, name: str) -> Iterator[Change]:
        """The status of a document follows its owner's, forward only; what others say is a request."""
        decision, state = self.given.golden.decisions.get(name), self.link.fields.get(name)
        if decision is None or decision.winner.value is None or decision.system == self.link.system:
            return
        wanted, held = decision.winner.value, self.link.holds(name)
        if held == wanted or (state and state.sent and state.sent.value == wanted):
            return
        own = state.own if state else None
        if own is not None and own.time > decision.winner.time:
            text = f"asks for {own.value!r}, which {decision.system} has to decide"
            self._note("request", name, text, since=own.time)
            return
        order = self.given.shape.status_order
        if held not in order or order.index(wanted) > order.index(held):
            yield Change(name, None if held is UNSET else held, wanted, decision.winner, decision.system)

    # fields

    def _changes(self) -> Iterator[Change]:
        mapping = self.target.mapping
        for name in self.given.shape.scalars:
            if name == self.given.shape.status_field and self.link.record_id:
                yield from self._status(name) if mapping.writes(name) else ()
            elif name != mapping.transition_field and mapping.writes(name):
                yield from self._scalar(name)
        for name, rule in mapping.lists.items():
            if rule.slots:
                yield from self._slots(name, rule)
            elif mapping.writes(name):
                yield from self._elements(name, rule)

    def _scalar(self, name: str) -> Iterator[Change]:
        decision = self._decision(name)
        if decision is None:
            return
        if self.given.shape.meta(name).computed and self._computes():
            self._compare_computed(name, decision)
            return
        if is_left_empty(self.given.policy, self.link, name, decision):
            return
        desired = decision.winner.value
        if self.given.shape.scalars[name].is_ref and desired is not None:
            resolved = self._reference(name, desired)
            if resolved is UNSET:
                return
            yield from self._change(name, decision, resolved, resolved)
            return
        projected = desired if desired is None else self.target.mapping.project(name, desired)
        yield from self._change(name, decision, desired, projected)

    def _computes(self) -> bool:
        """Whether totals are this record's own business: a plain list has nobody to add them up."""
        return bool(self.link.record_id) and self.target.capabilities.computes

    def _compare_computed(self, name: str, decision: Decision) -> None:
        held = self.link.holds(name)
        if held is not UNSET and not self.given.shape.same(name, held, decision.winner.value):
            self._note(
                "computed", name, f"is {held!r} here and {decision.winner.value!r} in {decision.system}"
            )

    def _elements(self, name: str, rule: ListRule) -> Iterator[Change]:
        golden, shown, added = self.given.golden, self.link.shown(name), False
        for element_id in self._in_order(name):
            if not self._is_wanted(name, element_id, rule):
                continue
            path = element_path(name, element_id)
            if element_id in shown:
                yield from self._whole_parts(name, element_id, rule)
            elif not self._keeps_its_own(path, golden.decisions[path]):
                changes = self._anew(name, element_id, rule)
                added = added or bool(changes)
                yield from changes
        removed = list(self._removed(name, shown))
        if len(removed) < len(shown) or added or not insists_on_elements(self.target, rule):
            yield from removed
        elif removed:
            self._note("not-cleared", name, "is empty elsewhere, but this system needs one here")

    def _removed(self, name: str, shown: Iterable[str]) -> Iterator[Change]:
        for element_id in shown:
            path = element_path(name, element_id)
            removed = self._decision(path)
            if removed is None or self._keeps_its_own(path, removed):
                continue
            if removed.winner.value is None and not is_left_in_vain(self.link, path, removed):
                yield Change(path, True, None, removed.winner, removed.system)

    def _parts(self, name: str, element_id: str, rule: ListRule) -> Iterator[Change]:
        projected = rule.project_element(self._without_refs(name, element_id))
        for inner in sorted(rule.element_fields):
            path = element_path(name, element_id, inner)
            decision = self._decision(path)
            computed = self.given.shape.lists[name].fields[inner].meta.computed
            if decision is None or (computed and self._computes()):
                continue
            if is_left_empty(self.given.policy, self.link, path, decision):
                continue
            desired = decision.winner.value
            if self.given.shape.lists[name].fields[inner].is_ref and desired is not None:
                desired = self._reference(path, desired)
                if desired is UNSET:
                    continue
                yield from self._change(path, decision, desired, desired)
            else:
                yield from self._change(path, decision, desired, projected.get(inner, desired))

    def _whole_parts(self, name: str, element_id: str, rule: ListRule) -> Iterator[Change]:
        """The parts that differ, and those that share a native text with one of them."""
        changes = {change.path: change for change in self._parts(name, element_id, rule)}
        for group in rule.together:
            paths = [element_path(name, element_id, inner) for inner in group]
            if any(path in changes for path in paths):
                for path in paths:
                    decision = self._decision(path)
                    if decision is None or is_left_empty(self.given.policy, self.link, path, decision):
                        continue
                    if path not in changes:
                        held = self.link.holds(path)
                        old = None if held is UNSET else held
                        said, by = self._said_here(path, decision)
                        changes[path] = Change(path, old, said.value, said, by)
        yield from changes.values()

    def _is_wanted(self, name: str, element_id: str, rule: ListRule) -> bool:
        """Whether this record shall show an element of the golden record, as far as its mapping can."""
        present = self._decision(element_path(name, element_id))
        is_there = present is not None and present.winner.value is True
        return is_there and rule.expresses(self._without_refs(name, element_id))

    def _without_refs(self, name: str, element_id: str) -> dict[str, Any]:
        """An element's plain values as this record shall hold them: references are resolved apart."""
        golden, path = self.given.golden, element_path(name, element_id)
        element, fields = {**golden.element(name, element_id)}, self.given.shape.lists[name].fields
        for part in undecided_below(golden, path):
            decision, held = self._decision(part), self.link.holds(part)
            if decision is not None and self._keeps_its_own(part, decision):
                element[part.rpartition("/")[2]] = None if held is UNSET else held
            elif decision is not None:
                element[part.rpartition("/")[2]] = decision.winner.value
        return {k: v for k, v in element.items() if not (k in fields and fields[k].is_ref)}

    def _slots(self, name: str, rule: ListRule) -> Iterator[Change]:
        current = {local: element for element, local in self.link.shown(name).items()}
        present = [e for e in self._by_seniority(name) if self._is_wanted(name, e, rule)]
        used = {e for local, e in current.items() if e in present}
        for slot in rule.slots:
            local = f"slot:{slot.name}"
            shown = current.get(local)
            chosen = shown if shown in present else self._candidate(name, slot, present, used)
            if chosen is None:
                yield from self._empty_slot(name, slot, shown)
                continue
            used.add(chosen)
            self._compare_slot(name, slot, chosen)
            if chosen == shown:
                yield from self._whole_parts(name, chosen, rule)
            elif changes := self._anew(name, chosen, rule, slot.id, shown):
                self.slots.setdefault(name, {})[slot.name] = chosen
                yield from changes

    def _compare_slot(self, name: str, slot: Slot, chosen: str) -> None:
        """Two systems show different elements in slots of one name, and neither reaches the other.
        Numbers are each system's own."""
        fields = self.given.shape.lists[name].fields.values()
        if any(field.meta.identity == "identifier" for field in fields):
            return
        rank = self.given.policy.rank
        for link in primaries(self.given.links):
            other = next((e for e, local in link.shown(name).items() if local == slot.id), chosen)
            if other != chosen and rank(link.system) < rank(self.link.system) and link.status == "live":
                ours, theirs = self._said(name, chosen), self._said(name, other)
                self._note("apart", name, f"{slot.name} is {ours} here and {theirs} in {link.system}")

    def _said(self, name: str, element_id: str) -> str:
        parts = self.given.golden.element(name, element_id).values()
        return repr(", ".join(", ".join(p) if isinstance(p, list) else str(p) for p in parts))

    def _anew(
        self, name: str, element_id: str, rule: ListRule, slot: str = "", instead: str | None = None
    ) -> list[Change]:
        """All of an element that is not there, unless it is left as it is. slot: the one that shall show it;
        instead: the element that this slot shows now."""
        given, path = self.given, element_path(name, element_id)
        element, state = given.golden.element(name, element_id), self.link.fields.get(path)
        if element_is_left_out(given.policy, self.link, rule, element_id, given.golden.decisions):
            return []
        if (self.link.record_id or not slot) and not self._is_whole(path, rule, element, slot):
            return []
        if state and self._oscillates(state.writes, desired=True):
            self._hold(path, "keeps coming and going; it is not added again")
            return []
        old = self.link.element(name, instead) if instead else {}
        changes = list(self._whole(name, element_id, rule, old))
        vain = asked_in_vain(self.link, path, changes, lambda p, a, b: given.shape.same(p, a, b, element))
        return [] if vain else changes

    def _whole(self, name: str, element_id: str, rule: ListRule, old: Mapping[str, Any]) -> Iterator[Change]:
        path, fields = element_path(name, element_id), self.given.shape.lists[name].fields
        present = self.given.golden.decisions[path]
        yield Change(path, None, True, present.winner, present.system)
        for inner in sorted(rule.element_fields):
            decision = self._decision(f"{path}/{inner}")
            if decision is None or decision.winner.value is None:
                continue
            if fields[inner].meta.computed and self._computes():
                continue
            value = decision.winner.value
            if fields[inner].is_ref:
                value = self._reference(f"{path}/{inner}", value)
            if value is not UNSET:
                yield Change(f"{path}/{inner}", old.get(inner), value, decision.winner, decision.system)

    def _empty_slot(self, name: str, slot: Slot, shown: str | None) -> Iterator[Change]:
        if shown is None:
            return
        path = element_path(name, shown)
        removed = self._decision(path)
        gone = removed is not None and removed.winner.value is None
        if removed is None or not gone or is_left_in_vain(self.link, path, removed):
            return
        if self._may_clear(path, slot.id):
            self.slots.setdefault(name, {})[slot.name] = None
            yield Change(path, True, None, removed.winner, removed.system)

    def _candidate(self, name: str, slot: Slot, present: Sequence[str], used: set[str]) -> str | None:
        free = (e for e in present if e not in used and not self._stays_empty(name, slot, e))
        return next((e for e in free if slot.accepts(self._without_refs(name, e))), None)

    def _stays_empty(self, name: str, slot: Slot, new: str) -> bool:
        """Whether this slot is left without the element `new`: by `clear: ignore`, or because a person has to
        decide about that element, or about the one that its people took out of it."""
        rule, found = self.target.mapping.lists[name], self.given.golden.decisions
        policy, link = self.given.policy, self.link
        paths = [element_path(name, e) for e in (new, link.elements.get(name, {}).get(slot.id)) if e]
        return (
            any(self._keeps_its_own(path, found[path]) for path in paths if path in found)
            or element_is_left_out(policy, link, rule, new, found)
            or slot_is_left_empty(policy, link, rule, slot.id, new, found)
        )

    def _in_order(self, name: str) -> list[str]:
        """Element ids as the records list them, the first record first: an order's lines stay in order."""
        position: dict[str, int] = {}
        for link in self.given.links:
            for index, element_id in enumerate(link.elements.get(name, {}).values()):
                position.setdefault(element_id, index)
        return sorted(self.given.golden.elements(name), key=lambda e: (position.get(e, 0), e))

    def _by_seniority(self, name: str) -> list[str]:
        """Element ids, the longest known first, then in the order of systems."""

        def age(element_id: str) -> tuple[int, int, int, str]:
            decision = self.given.golden.decisions[element_path(name, element_id)]
            said = decision.winner
            return said.time, self.given.policy.rank(decision.system), said.origin, element_id

        return sorted(self.given.golden.elements(name), key=age)

    # one field

    def _decision(self, path: str) -> Decision | None:
        """The golden decision; where its origin has left the cluster, or was taken back while a person has to
        decide, the record's own word."""
        decision = self.given.golden.decisions.get(path)
        state = self.link.fields.get(path)
        if decision is not None:
            return in_the_meantime(decision, state, self.link.system)
        if state is None or state.sent is None:
            return None
        own = state.own or Statement(None, 0, self.link.record_id)
        return Decision(own, self.link.system, OWN)

    def _change(self, path: str, decision: Decision, desired: Any, projected: Any) -> Iterator[Change]:
        state = self.link.fields.get(path)
        held = state.seen if state else UNSET
        element = self._element_of(path)
        same = self.given.shape.same
        if (held is UNSET and desired is None) or self._keeps_its_own(path, decision):
            return
        if held is not UNSET and (same(path, held, desired, element) or same(path, held, projected, element)):
            return
        sent = state.sent if state and state.is_asked_for(decision.winner) else None
        if state and sent and same(path, sent.value, desired, element):
            self._tell_undone(path, state)
            return
        if desired is None and not self._may_clear(path, self._local(path)):
            return
        if state and self._oscillates(state.writes, desired):
            self._hold(path, f"keeps changing among the same values; {desired!r} is not written again")
            return
        yield Change(path, None if held is UNSET else held, desired, decision.winner, decision.system)

    def _tell_undone(self, path: str, state: FieldState) -> None:
        if state.undone:
            text = f"is {state.seen!r} since a run was undone; it is left so until the field changes"
            self._note("undone", path, text, since=state.undone)

    def _keeps_its_own(self, path: str, decision: Decision) -> bool:
        """A person has to decide between this record's word and that of another, or the document's owner."""
        state, asks = self.link.fields.get(path), self.link.record_id in decision.asked
        return is_kept(decision, state) or (asks and state is not None and state.speaks)

    def _said_here(self, path: str, decision: Decision) -> tuple[Statement, str]:
        """What is written of a field that need not change, and who says so."""
        state = self.link.fields.get(path)
        if state is not None and state.own is not None and self._keeps_its_own(path, decision):
            return state.own, self.link.system
        return decision.winner, decision.system

    def _local(self, path: str) -> str:
        name, _, rest = path.partition("/")
        return self.link.shown(name).get(rest.partition("/")[0], "") if rest else ""

    def _element_of(self, path: str) -> Mapping[str, Any] | None:
        name, _, rest = path.partition("/")
        return self.given.golden.element(name, rest.partition("/")[0]) if rest else None

    def _may_clear(self, path: str, local: str = "") -> bool:
        if insists(self.target, path, local):
            self._note("not-cleared", path, "is empty elsewhere, but this system needs a value here")
            return False
        return True

    def _is_whole(self, path: str, rule: ListRule, element: Mapping[str, Any], local: str = "") -> bool:
        """Whether the element has all without which this system does not take it."""
        missing = lacking(self.target, rule, element, local)
        for inner in missing:
            self._note("not-cleared", f"{path}/{inner}", "is empty, and this system needs a value here")
        return not missing

    def _oscillates(self, writes: Sequence[tuple[str, int]], desired: Any) -> bool:
        recent = [value for value, at in writes if at > self._lately()]
        return len(recent) >= 3 and recent.count(digest(desired)) >= 2

    def _lately(self) -> int:
        return self.given.now - OSCILLATION // timedelta(microseconds=1)

    def _hold(self, path: str, text: str) -> None:
        """It is planned anew in each run until it calms down."""
        self._note("held", path, text, since=self._lately())

    def _reference(self, path: str, golden_ref: Any) -> Any:
        """The native reference; the golden one where it is still to come; UNSET where it can't be sent."""
        found = self.given.native_ref(self.target.system, self.target.scope, golden_ref)
        required = self._required(path.partition("/")[0])
        if found.state == "native":
            return found.ref
        if found.state == "pending" and (required or not self.link.record_id):
            self.waits_for.append(golden_ref["golden"])
            return golden_ref
        if required and not self.link.record_id:
            self.blocked = True
            self._note(
                "impossible" if found.state == "impossible" else "parked",
                path,
                f"refers to {golden_ref.get('golden') or golden_ref.get('id')}, which has no record here",
            )
        return UNSET

    def _required(self, name: str) -> bool:
        rule = self.target.mapping.fields.get(name)
        return rule is not None and rule.required

    # results

    def _planned(self, kind: Kind, changes: list[Change]) -> Planned:
        link = self.link
        return Planned(
            id=self._operation_id(kind, changes),
            kind=kind,
            system=self.target.system,
            stream=self.target.mapping.stream,
            entity=self.given.shape.entity,
            golden_id=self.given.golden_id,
            scope=link.scope,
            record_id=link.record_id or None,
            native_id=link.native_id or None,
            version=link.version,
            changes=changes,
            slots=dict(self.slots),
            waits_for=list(dict.fromkeys(self.waits_for)),
            country=self.given.country,
        )

    def _operation_id(self, kind: Kind, changes: Sequence[Change]) -> str:
        """The same for the same intent. A create is one intent whatever its values are."""
        parts: list[Any] = [self.target.system, self.target.mapping.stream, kind, self.given.golden_id]
        if kind == "create":
            parts.append(sum(1 for link in self.given.links if link.system == self.target.system))
        else:
            parts.append(self.link.native_id)
            parts.extend(
                [c.path, c.old, c.new, c.statement.time, self._place(c.statement.origin)] for c in changes
            )
        return hashlib.blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=10).hexdigest()

    def _place(self, record_id: int) -> Any:
        """A record by its name: its number may be another one when the plan is carried out, since a trial run
        gives back what it numbers."""
        found = next((link for link in self.given.links if link.record_id == record_id), None)
        return [found.system, found.stream, found.scope, found.native_id, found.part] if found else record_id

    def _note(self, kind: str, path: str, text: str, since: int = 0) -> None:
        self.notes.append(Note(kind, self.target.system, path, text, self.target.mapping.stream, since))
