"""Dirty golden records -> merged, saved and planned, a batch at a time: nothing grows with their number.

The two decisions are pure and live elsewhere: `crmbridge.identity.survive.merge` says what is true,
`crmbridge.engine.plan.plan` what has to be written. This module brings them what they need.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from crmbridge.engine import insights, stock
from crmbridge.engine.facts import golden_refs
from crmbridge.engine.links import awaited, link_of, save_link
from crmbridge.engine.openletters import OpenLetters
from crmbridge.engine.operations import Planned, decode, encode, signature
from crmbridge.engine.plan import plan
from crmbridge.engine.planinput import Note, PlanInput, RefState, Target
from crmbridge.engine.run import Flow, Run, System
from crmbridge.identity.link import Link
from crmbridge.identity.policy import HUB
from crmbridge.identity.search import search_terms
from crmbridge.identity.survive import Conflict, Golden, merge, primaries
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.store.rows import ConflictRow, DeadLetterRow, GoldenRow, IntentRow, OwedRow, RecordRow
from crmbridge_schemas.party import country_of

__all__ = ["OPEN", "Summary", "canonical_refs", "intent_of", "merge_one", "plan_dirty", "tentative"]

CHUNK = 500
OPEN = ("sent", "accepted", "uncertain")
"""Of intents whose outcome is not known: nothing else is planned where one of them is."""


@dataclass(slots=True)
class Summary:
    """What a plan holds, counted."""

    operations: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(system, entity, kind) -> operations."""
    clears: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(system, entity, field) -> values emptied."""
    reverts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(system, entity) -> values that an old copy brought back and that are written again."""
    notes: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """Values that lost to others of which nobody knew, by a rule; those that were not known before."""
    undecided: int = 0
    """The same, where a person has to decide."""

    def add(self, planned: Planned) -> None:
        """Count one operation."""
        self.operations[planned.system, planned.entity, planned.kind] += 1
        for change in planned.changes:
            if change.new is None and change.old is not None:
                self.clears[planned.system, planned.entity, change.path.partition("/")[0]] += 1

    @property
    def total(self) -> int:
        """All operations."""
        return self.operations.total()

    def pairs(self) -> set[tuple[str, str]]:
        """(entity, system) pairs that would be written."""
        return {(entity, system) for system, entity, _ in self.operations}


def plan_dirty(run: Run) -> Summary:
    """Merge and plan every dirty golden record; the operations become intents of this run."""
    summary = Summary()
    position, letters = 0, OpenLetters(run)
    for flow in run.flows:
        after = ""
        with run.stage("plan", entity=flow.entity) as progress:
            while ids := run.store.dirty_goldens(flow.entity, after, CHUNK):
                after = ids[-1]
                with run.store.transaction():
                    position = _Batch(run, flow, ids, summary, letters, position).plan()
                progress(len(ids))
    return summary


def merge_one(run: Run, flow: Flow, golden_id: str) -> tuple[Golden, list[Link]]:
    """One golden record, computed anew: for `explain` and `show`."""
    rows = run.store.records_of([golden_id]).get(golden_id, [])
    links = [link_of(row, flow.shape) for row in rows]
    refs = canonical_refs(run, flow, links)
    return merge(flow.shape, flow.policy, links, functools.partial(_canonical_ref, refs)), links


def tentative(run: Run, flow: Flow, ids: Sequence[str]) -> Iterator[tuple[PlanInput, list[Planned]]]:
    """What planning these golden records goes by and comes to; no operation is kept. run: of a copy of the
    state (`Store.scratch`), as merging them saves them."""
    batch = _Batch(run, flow, ids, Summary(), OpenLetters(run), 0)
    for given, operations, _ in batch.planned():
        yield given, operations


Refs = Mapping[tuple[str, str, str], Any]
"""(system, scope, native reference) -> golden reference."""


def _canonical_ref(refs: Refs, link: Link, ref: Any) -> Any:
    """A reference is to a record of the same scope, or to one that all scopes share."""
    key = _ref_key(ref)
    shared = refs.get((link.system, "", key), ref)
    return refs.get((link.system, link.scope, key), shared)


def canonical_refs(run: Run, flow: Flow, links: Iterable[Link]) -> Refs:
    """Every reference that the links hold, as far as what it refers to is known."""
    wanted: dict[tuple[str, str, str | None], dict[str, Any]] = {}
    for link in links:
        for path, state in link.fields.items():
            shape = flow.shape.field(path)
            if shape is None or not shape.is_ref:
                continue
            said = (state.seen, *(s.value for s in (state.own, state.sent, state.over, state.said) if s))
            for value in said:
                if isinstance(value, dict) and "id" in value:
                    key = (link.system, value["entity"], value.get("stream"))
                    wanted.setdefault(key, {})[value["id"]] = value
    found: dict[tuple[str, str, str], Any] = {}
    for (system, entity, stream), values in wanted.items():
        for (scope, native_id), golden in run.store.golden_of(system, entity, list(values), stream).items():
            found[system, scope, _ref_key(values[native_id])] = {"entity": entity, "golden": golden}
    return found


def _ref_key(ref: Any) -> str:
    return f"{ref.get('entity')}\x1f{ref.get('stream')}\x1f{ref.get('id')}" if isinstance(ref, dict) else ""


@dataclass(slots=True)
class _Batch:
    """Some golden records of one entity."""

    run: Run
    flow: Flow
    ids: Sequence[str]
    summary: Summary
    letters: OpenLetters
    position: int
    rows: dict[str, list[RecordRow]] = field(default_factory=dict)
    links: dict[str, list[Link]] = field(default_factory=dict)
    goldens: dict[str, Golden] = field(default_factory=dict)
    docs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Golden id -> its canonical document."""
    natives: dict[str, dict[str, dict[str, RecordRow]]] = field(default_factory=dict)
    """System -> golden id -> scope -> the record there."""
    coming: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """System -> golden id that this plan creates there -> in which scope."""
    expected: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """System -> golden ids whose create there is open or was rejected: they may still come."""
    open: dict[tuple[str, str], set[tuple[str, str]]] = field(default_factory=dict)
    """(golden id, system) -> (stream, scope) of operations whose outcome is not known."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Id -> signature of operations that were refused."""
    owed: list[OwedRow] = field(default_factory=list)
    waiting: set[tuple[str, str]] = field(default_factory=set)
    """(golden id, system) whose operation waits for one that is planned as well."""
    stopped: dict[str, list[Note]] = field(default_factory=dict)
    """Golden id -> why it is not created somewhere, though the config lets it be."""

    def plan(self) -> int:
        if self.flow.entity == insights.SUMMARY and self.flow.policy.source == HUB:
            insights.refresh(self.run, self.flow, self.ids)
        intents: list[IntentRow] = []
        for given, operations, notes in self.planned():
            golden_id = given.golden_id
            self._settle_letters(golden_id, operations, notes)
            intents.extend(self._intent(one) for one in operations if self._is_sendable(one))
            self._keep_notes(golden_id, notes)
        self.run.store.put_intents(intents)
        self.run.store.put_owed(self.ids, self.owed, self.waiting)
        self.run.store.clear_dirty(self.ids)
        return self.position

    def planned(self) -> Iterator[tuple[PlanInput, list[Planned], list[Note]]]:
        """Each golden record, merged and planned."""
        self._merge_all()
        self._find_references()
        for golden_id in self.ids:
            given = self._input(golden_id)
            operations, notes = plan(given)
            yield given, operations, [*notes, *self.stopped.get(golden_id, ())]

    def _is_sendable(self, planned: Planned) -> bool:
        """Not what was refused just so, and nothing that a system says which was stopped for safety."""
        if self.rejected.get(planned.id) == signature(planned):
            return False
        stopped = sorted({c.source for c in planned.changes} & self.run.stopped())
        if stopped:
            why = f"{stopped[0]} says so, and was stopped for safety"
            self._owe(planned.golden_id, planned.system, "held", why)
            return False
        if planned.waits_for:
            self.waiting.add((planned.golden_id, planned.system))
        return True

    def _owe(self, golden_id: str, system: str, why: Any, detail: str) -> None:
        self.owed.append(OwedRow(golden_id, system, self.flow.entity, why, detail, self.run.now()))

    def _settle_letters(self, golden_id: str, operations: Iterable[Planned], notes: Iterable[Note]) -> None:
        """What was given up on in a system where nothing is left to write is settled."""
        stuck = {n.system for n in notes if n.kind in ("impossible", "unwritable", "parked")}
        busy = stuck | {one.system for one in operations}
        able = {s.name for s in self.run.working() if s.mode != "read-only" and s.name in self.flow.targets}
        self.letters.settle(golden_id, able - busy)

    # merging

    def _merge_all(self) -> None:
        store, shape = self.run.store, self.flow.shape
        self.rows = store.records_of(self.ids)
        for golden_id in self.ids:
            self.links[golden_id] = [link_of(row, shape) for row in self.rows.get(golden_id, ())]
        refs = canonical_refs(self.run, self.flow, (one for some in self.links.values() for one in some))
        saved: list[GoldenRow] = []
        relabelled: list[RecordRow] = []
        conflicts: list[ConflictRow] = []
        terms: dict[str, Iterable[str]] = {}
        references: dict[str, Iterable[str]] = {}
        searched = self.flow.policy.source != HUB
        summarized = insights.is_wanted(self.run, self.flow.entity)
        former = [msgspec.json.decode(r.doc) for r in store.goldens(self.ids).values()] if summarized else []
        for golden_id in self.ids:
            golden = merge(
                shape,
                self.flow.policy,
                self.links[golden_id],
                functools.partial(_canonical_ref, refs),
            )
            self.goldens[golden_id] = golden
            doc = golden.doc(shape)
            self.docs[golden_id] = doc
            saved.append(GoldenRow(golden_id, self.flow.entity, _json(doc), updated_at=self.run.now()))
            said = self.links[golden_id]
            terms[golden_id] = search_terms(doc, shape, said) if searched else ()
            references[golden_id] = sorted(golden_refs(doc) | _awaited(golden))
            conflicts.extend(self._conflict(golden_id, conflict) for conflict in golden.conflicts)
            if golden.relabelled:
                pairs = zip(self.links[golden_id], self.rows[golden_id], strict=True)
                relabelled.extend(save_link(link, row, shape) for link, row in pairs)
        store.put_goldens(saved)
        store.put_records(relabelled)
        store.put_search(terms)
        store.put_references(references)
        self._count_conflicts(store.put_conflicts(conflicts))
        if summarized:
            docs = [*former, *self.docs.values()]
            parties = insights.touched(self.run, self.flow.entity, self.ids, docs)
            insights.touch(self.run, parties)
        if self.flow.entity == stock.ORDER:
            store.mark_dirty(stock.stocks_of(store, self.docs.values()))
        elif self.flow.entity == stock.STOCK and self.flow.policy.source:
            self._take_off_promised(self.flow.policy.source)

    def _take_off_promised(self, source: str) -> None:
        products = sorted({r for g in self.goldens.values() for r in golden_refs(g.value("product"))})
        streams = {one.stream for some in self.links.values() for one in some if one.system == source}
        read_at = min((self.run.store.stream(source, s).read_started for s in streams), default=0)
        sums = stock.promised(self.run.store, source, products, read_at) if products else {}
        for golden_id, golden in self.goldens.items():
            for text in stock.take_off(golden, sums):
                self.run.note("unit", source, self.flow.entity, golden_id, "available", text)

    def _count_conflicts(self, new: Iterable[ConflictRow]) -> None:
        for row in new:
            if row.undecided:
                self.summary.undecided += 1
            else:
                self.summary.lost += 1

    def _conflict(self, golden_id: str, conflict: Conflict) -> ConflictRow:
        return ConflictRow(
            golden_id,
            self.flow.entity,
            conflict.path,
            _json([conflict.winner[0], conflict.winner[1].value, conflict.winner[1].time]),
            _json([[system, said.value, said.time] for system, said in conflict.losers]),
            conflict.rule,
            conflict.too_close,
            conflict.undecided,
            self.run.now(),
            self.run.id,
        )

    # what planning asks for

    def _find_references(self) -> None:
        store = self.run.store
        referred = sorted(set().union(*map(golden_refs, self.docs.values())))
        for name in self.flow.targets:
            self.natives[name] = store.natives_of(name, referred) if referred else {}
            self.coming[name] = self._being_created(name, referred, ["planned"])
            self.expected[name] = self._being_created(name, referred, [*OPEN, "rejected"])
        for row in store.intents_of(self.ids, [*OPEN, "rejected"]):
            if row.status != "rejected":
                places = self.open.setdefault((row.golden_id, row.system), set())
                places.add((row.stream, row.scope))
            elif self.flow.entity not in self.run.changed_config:
                self.rejected[row.id] = signature(decode(row.payload))

    def _being_created(
        self, system: str, golden_ids: Sequence[str], statuses: Sequence[str]
    ) -> Mapping[str, str]:
        """Golden id -> the scope in which a create of one of these statuses is to be."""
        if not golden_ids:
            return {}
        return self.run.store.intent_goldens(system, golden_ids, "create", statuses)

    def _native_ref(self, system: str, scope: str, ref: Any) -> RefState:
        """What a record of this scope may refer to: one of the same scope, or one that all scopes share."""
        golden_id = ref.get("golden") if isinstance(ref, dict) else None
        if golden_id is None:
            return RefState("unknown")
        found = self.natives[system].get(golden_id, {})
        rows = [row for row in (found.get(scope), found.get("")) if row is not None]
        for row in rows:
            if row.status == "live":
                return RefState("native", {"entity": row.entity, "stream": row.stream, "id": row.native_id})
        if self.coming[system].get(golden_id) in (scope, ""):
            return RefState("pending")
        may_return = any(row.status == "out" for row in rows)
        if may_return or golden_id in self.expected[system] or self._may_follow(system, golden_id):
            return RefState("unknown")
        return RefState("impossible")

    def _may_follow(self, system: str, golden_id: str) -> bool:
        """A record of the same entity that this run plans just now, or has still to plan, and may create."""
        doc, rule = self.docs.get(golden_id), self.flow.create.get(system)
        if doc is None:
            row = self.run.store.goldens([golden_id]).get(golden_id)
            if row is None or not row.dirty or row.entity != self.flow.entity:
                return False
            doc = msgspec.json.decode(row.doc)
        return rule is not None and (not doc or rule(doc))

    def _scope_of_new(self, system: str, scopes: Sequence[str], doc: Mapping[str, Any]) -> str:
        """Where a new record belongs: in the first of the stream's scopes that has all it refers to, as an
        order belongs to the company of its customer; else in the first one."""
        possible = list(scopes)
        for golden_id in sorted(golden_refs(doc)):
            rows = self.natives[system].get(golden_id, {})
            places = {scope for scope, row in rows.items() if row.status == "live"}
            if golden_id in self.coming[system]:
                places.add(self.coming[system][golden_id])
            if places and "" not in places:
                possible = [scope for scope in possible if scope in places]
        return next(iter([*possible, *scopes]), "")

    def _input(self, golden_id: str) -> PlanInput:
        golden = self.goldens[golden_id]
        doc = self.docs[golden_id]
        country = country_of(doc)
        targets: list[Target] = []
        for name in (*self.flow.targets, *self.flow.elsewhere):
            system = self.run.systems.get(name) if name in self.flow.targets else None
            if system is None or not self.run.plans_for(system):
                self._owe(golden_id, name, "away", "")
                continue
            for target in self._targets(system, golden_id, doc):
                if self._is_open(golden_id, target):
                    self._owe(golden_id, name, "open", "an operation of unknown outcome")
                else:
                    targets.append(replace(target, mapping=target.mapping.in_country(country)))
        return PlanInput(
            golden_id,
            golden,
            self.links[golden_id],
            targets,
            self.flow.shape.in_country(country),
            self.flow.policy,
            self._native_ref,
            self.run.now(),
            country,
        )

    def _is_open(self, golden_id: str, target: Target) -> bool:
        """A create is one wherever it was to be: while it is open, no other one is planned."""
        places = self.open.get((golden_id, target.system), set())
        return (target.mapping.stream, target.scope) in places or (target.create and bool(places))

    def _targets(self, system: System, golden_id: str, doc: Mapping[str, Any]) -> Iterator[Target]:
        """Each scope in which the golden record has a record; where it has none at all, the one in which it
        would be created."""
        there = [x for x in self.links[golden_id] if x.status != "lost"]
        linked = [x for x in primaries(there) if x.system == system.name]
        for link in linked:
            mapping = system.mapping(link.stream, self.flow.entity) if link.alive else None
            if mapping is not None:
                able = system.streams[mapping.stream].capabilities
                yield Target(system.name, mapping, able, create=False, scope=link.scope)
        if not linked:
            yield from self._target_of_new(system, golden_id, doc)

    def _target_of_new(self, system: System, golden_id: str, doc: Mapping[str, Any]) -> Iterator[Target]:
        able = [m for m in system.mappings_of(self.flow.entity) if _creates(system, m)]
        mapping = next((m for m in able if m.fits(doc)), None)
        rule = self.flow.create.get(system.name)
        if rule is None or not rule(doc):
            return
        if mapping is None:
            self.stopped.setdefault(golden_id, []).extend(_unwritable(system.name, able, doc))
            return
        twin = self.letters.twin(system.name, self.flow, doc)
        if twin is not None:
            text = f"may be {twin}, which is a dead letter: it is not created before that one is mended"
            self.stopped.setdefault(golden_id, []).append(Note("parked", system.name, "", text))
            return
        capabilities = system.streams[mapping.stream].capabilities
        scope = self._scope_of_new(system.name, capabilities.scopes, doc)
        if self._subject_is_there(system.name, scope, mapping, doc):
            yield Target(system.name, mapping, capabilities, create=True, scope=scope)

    def _subject_is_there(
        self, system: str, scope: str, mapping: StreamMapping, doc: Mapping[str, Any]
    ) -> bool:
        """An insight about somebody who has no record in a system, and gets none, has no place there."""
        if self.flow.policy.source != HUB or not mapping.writes("party"):
            return True
        return self._native_ref(system, scope, doc.get("party")).state in ("native", "pending")

    # results

    def _intent(self, planned: Planned) -> IntentRow:
        self.position += 1
        self.summary.add(planned)
        self.run.planned[planned.system, planned.entity] += 1
        self.summary.reverts[planned.system, planned.entity] += self._reverts(planned)
        return intent_of(self.run, planned, self.position)

    def _reverts(self, planned: Planned) -> int:
        link = next((x for x in self.links[planned.golden_id] if x.record_id == planned.record_id), None)
        states = [link.fields.get(change.path) for change in planned.changes] if link else []
        return sum(1 for state in states if state is not None and state.fell_back)

    def _keep_notes(self, golden_id: str, notes: Iterable[Note]) -> None:
        for note in notes:
            if note.kind in ("parked", "held"):
                self._owe(golden_id, note.system, note.kind, f"{note.path} {note.text}")
            if note.since and self._is_told(golden_id, note):
                continue
            self.summary.notes[note.kind] += 1
            self.run.note(note.kind, note.system, self.flow.entity, golden_id, note.path, note.text)
            if note.kind in ("impossible", "unwritable"):
                self._dead_letter(golden_id, note)

    def _is_told(self, golden_id: str, note: Note) -> bool:
        """It is found whenever the golden record is planned: it is told once."""
        told = self.run.store.notes(None, golden_id, 1000, note.kind)
        return any((n.system, n.path, n.text) == note[1:4] and n.at >= note.since for n in told)

    def _dead_letter(self, golden_id: str, note: Note) -> None:
        now = self.run.now()
        letter = DeadLetterRow(
            "operation",
            note.system,
            note.stream,
            golden_id,
            f"{note.path}: {note.text}",
            _json(self.docs[golden_id]),
            self.flow.entity,
            golden_id,
        )
        letter.first_at = letter.last_at = now
        letter.run = self.run.id
        self.run.store.put_dead_letter(letter)
        self.run.count(note.system, self.flow.entity, "dead letter")


def intent_of(run: Run, planned: Planned, position: int) -> IntentRow:
    """The intent of this run that an operation becomes. position: its place among them."""
    now = run.now()
    return IntentRow(
        planned.id,
        run.id,
        planned.system,
        planned.stream,
        planned.entity,
        planned.kind,
        planned.golden_id,
        encode(planned),
        record_id=planned.record_id,
        native_id=planned.native_id,
        scope=planned.scope,
        created_at=now,
        updated_at=now,
        position=position,
    )


def _unwritable(system: str, able: Iterable[StreamMapping], doc: Mapping[str, Any]) -> Iterator[Note]:
    """Why a record fits no mapping, where that is a value that cannot be written."""
    for mapping in able:
        error = mapping.unwritable(doc)
        if error is not None:
            yield Note("unwritable", system, error.field, str(error), mapping.stream)
            return


def _creates(system: System, mapping: StreamMapping) -> bool:
    return "create" in system.streams[mapping.stream].capabilities.operations


def _awaited(golden: Golden) -> set[str]:
    """Records that are referred to and that nobody has read yet: once they come, this is planned again."""
    found: set[str] = set()
    for decision in golden.decisions.values():
        ref = decision.winner.value
        if isinstance(ref, dict) and "entity" in ref and "id" in ref:
            found.add(awaited(decision.system, ref["entity"], ref["id"]))
    return found


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
