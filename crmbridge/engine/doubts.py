"""Records that share a key and were not joined: kept until the evidence goes or a person has said.

The state holds pairs of records (`crmbridge.store.doubts`); what people look at are pairs of golden records.
A record that is resolved has all its pairs found anew. A key that too many golden records share makes a pair
only beside the same name, and none where too many bear that name, too: then both say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crmbridge.engine import insights
from crmbridge.engine.facts import kind_of
from crmbridge.engine.linking import place_of
from crmbridge.engine.run import Flow, Run
from crmbridge.engine.titles import title_of
from crmbridge.identity.match import Verdict, compare
from crmbridge.store.doubts import MERGED, TURNED
from crmbridge.store.rows import GoldenRow, OpenPair, RecordRow

__all__ = [
    "DOUBT",
    "LOOSE",
    "MOST_ALIKE",
    "Doubts",
    "GenericValue",
    "OpenDoubt",
    "Side",
    "called",
    "foremost",
    "generic_values",
    "kinds_differ",
    "open_doubts",
    "told_turned",
    "waiting",
]

DOUBT = "possible duplicate"
"""The kind of note of a run that finds two records which may be one."""
LOOSE = "doubtful link"
"""The kind of note about a record that may be another customer than the one that it is linked to."""
MOST_ALIKE = 500
"""So many records that share a generic key are looked through for the same name."""
CHUNK = 200
Pair = tuple[int, int, str]
"""Two record ids, the smaller one first, and the key that they share."""


def called(row: RecordRow, doc: Mapping[str, Any] | None = None) -> str:
    """A record as people know it; doc: what it says, where that is at hand."""
    name = title_of(row.entity, doc or json.loads(row.seen))
    return f"{row.system} {row.native_id}" + (f" ({name})" if name else "")


def foremost(rows: Sequence[RecordRow]) -> RecordRow:
    """Of the records of a golden record the one that is shown for all of them."""
    return min(rows, key=lambda row: (row.status != "live", row.part != "", row.id))


def kinds_differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether one of two documents says person and the other organization."""
    return len({one.get("kind"), other.get("kind")} - {None}) > 1


Known = tuple[RecordRow, Mapping[str, Any]]
"""A record, and what it says."""


def told_turned(one: Known, other: Known) -> str:
    """A doubtful link in words."""
    ours, theirs = (f"{called(row, doc)} says {doc.get('kind')}" for row, doc in (one, other))
    return f"{ours}, {theirs}; if they are two: crmbridge links unlink {place_of(one[0])}"


@dataclass(slots=True)
class Doubts:
    """Those of the records that are resolved together."""

    run: Run
    flow: Flow
    docs: Mapping[int, Mapping[str, Any]]
    found: set[Pair] = field(default_factory=set)
    linked: set[Pair] = field(default_factory=set)
    """Keys that records of one golden record share."""

    def add(self, one: int, other: int, key: str) -> None:
        """These two share this key, which does not say that they are two."""
        self.found.add((min(one, other), max(one, other), key))

    def add_linked(self, one: int, other: int, key: str) -> None:
        """These two are one, and share this key."""
        self.linked.add((min(one, other), max(one, other), key))

    def save(
        self,
        rows: Sequence[RecordRow],
        golden: Mapping[int, str],
        generic: Iterable[str],
        newly: Mapping[str, Sequence[int]],
    ) -> None:
        """Keep the pairs of these records, and tell of those that are new.

        golden: record id -> the golden record that it is of now; generic: keys that too many share; newly:
        those that have become so just now -> the records that have them.
        """
        store = self.run.store
        linked = [row.id for row in rows if row.golden_id]  # what is new here has none yet
        held = store.doubts(linked) if linked else set()
        for key, holders in newly.items():
            by_key = store.doubts_by(key, holders)
            self._look_through(key, by_key)
            held |= by_key
        wanted = {p for p in self.found if (golden[p[0]] == golden[p[1]]) == (p[2] == TURNED)}
        for key, crowd in self._crowds(wanted, golden, set(generic)).items():
            wanted -= {pair for pair in wanted if pair[2] == key and not crowd.isdisjoint(_records([pair]))}
            held |= store.doubts_by(key, sorted(crowd))
        held = {(min(one, other), max(one, other), key) for one, other, key in held}
        wanted |= self._told_one(linked) | self._still_turned(held - wanted)
        if wanted != held:
            self._put(rows, wanted - held, held - wanted, golden, set(generic))

    def _told_one(self, records: Sequence[int]) -> set[Pair]:
        """What those share of whom a person said that they are one: should that be taken back, it is known
        which of it the person had seen."""
        told = self.run.store.judged(records, "one") if records and self.linked else {}
        pairs = {(min(one, other), max(one, other)) for one, others in told.items() for other in others}
        return {(one, other, key) for one, other, key in self.linked if (one, other) in pairs}

    def _still_turned(self, held: Iterable[Pair]) -> set[Pair]:
        """Doubtful links that stay so, though the records share nothing any more."""
        turned = [pair for pair in held if pair[2] == TURNED]
        rows = self.run.store.records_by_id(sorted(_records(turned)))
        golden = {row.id: row.golden_id for row in rows}
        docs = {row.id: self.docs.get(row.id) or json.loads(row.seen) for row in rows}
        return {
            (one, other, key)
            for one, other, key in turned
            if golden.get(one) == golden.get(other) is not None and kinds_differ(docs[one], docs[other])
        }

    def _put(
        self,
        rows: Sequence[RecordRow],
        new: set[Pair],
        gone: set[Pair],
        golden: Mapping[int, str],
        generic: set[str],
    ) -> None:
        store = self.run.store
        sides = sorted({golden[side] for side in _records(new)})
        before = store.open_among(sides) if new else set()
        store.put_doubts(sorted(new), sorted(gone), self.run.now())
        if insights.is_wanted(self.run, self.flow.entity):
            left = {golden[side] for side in _records(gone) if side in golden}
            store.mark_dirty(sorted(left.union(sides)))
        if new:
            self._tell_turned(rows, {pair for pair in new if pair[2] == TURNED}, golden)
            self._tell(rows, new, store.open_among(sides) - before, golden, generic)

    def _look_through(self, key: str, before: Iterable[Pair]) -> None:
        """This key has just become generic: of its pairs only those with the same name stay."""
        pairs = {pair for pair in self.found if pair[2] == key}
        self.found -= pairs
        for one, other, _ in pairs | {pair for pair in before if pair[0] < pair[1]}:
            if self._judge(one, other, key, generic=True) is not Verdict.DIFFERENT:
                self.add(one, other, key)

    def _crowds(
        self, wanted: Iterable[Pair], golden: Mapping[int, str], generic: set[str]
    ) -> dict[str, set[int]]:
        """Generic key -> records that share it, and a name with too many."""
        partners: dict[str, dict[int, set[int]]] = {}
        for one, other, key in wanted:
            if key in generic:
                by_record = partners.setdefault(key, {})
                by_record.setdefault(one, set()).add(other)
                by_record.setdefault(other, set()).add(one)
        found: dict[str, set[int]] = {}
        for key, by_record in partners.items():
            for record, others in by_record.items():
                if len({golden[other] for other in others}) > self.run.shared_by:
                    found.setdefault(key, set()).update((record, *others))
        return found

    def _judge(self, one: int, other: int, key: str, *, generic: bool) -> Verdict:
        if not self.flow.shape.model.matched:
            return Verdict.SAME
        return compare(self.docs.get(one, {}), self.docs.get(other, {}), key, generic=generic)

    # telling

    def _tell(
        self,
        rows: Sequence[RecordRow],
        new: set[Pair],
        opened: set[tuple[str, str]],
        golden: Mapping[int, str],
        generic: set[str],
    ) -> None:
        """Each record of a pair of golden records that this run has opened."""
        told: dict[tuple[int, str], dict[str, int]] = {}
        batch = {row.id: row for row in rows}
        for one, other, key in sorted(new):
            row, twin = (other, one) if other in batch else (one, other)
            ours, theirs = golden[row], golden[twin]
            if row in batch and (min(ours, theirs), max(ours, theirs)) in opened:
                told.setdefault((row, theirs), {})[key] = twin
        for (row, theirs), keys in told.items():
            text = f"{called(batch[row], self.docs.get(row))} {self._why(row, keys, generic)}"
            name = batch[row].system
            self.run.note(DOUBT, name, self.flow.entity, theirs, "", f"{text} {self._other(theirs)}")

    def _tell_turned(self, rows: Sequence[RecordRow], new: Iterable[Pair], golden: Mapping[int, str]) -> None:
        """Nothing is moved or parted because of it."""
        batch = {row.id for row in rows}
        pairs = [(one, other) if one in batch else (other, one) for one, other, _ in sorted(new)]
        found = {row.id: row for row in self.run.store.records_by_id(sorted({s for p in pairs for s in p}))}
        told_one = self.run.store.judged([one for one, _ in pairs], "one") if pairs else {}
        for one, other in pairs:
            if found[other].status in ("live", "out") and other not in told_one.get(one, ()):
                docs = [self.docs.get(side) or json.loads(found[side].seen) for side in (one, other)]
                text = told_turned(*(zip((found[one], found[other]), docs, strict=True)))
                self.run.note(LOOSE, found[one].system, self.flow.entity, golden[one], "kind", text)

    def _why(self, row: int, keys: Mapping[str, int], generic: set[str]) -> str:
        shared = ", ".join(map(kind_of, keys))
        if keys.keys() <= generic:
            return f"shares {shared}, as more than {self.run.shared_by} others do, and the name with"
        if any(self._judge(row, twin, key, generic=False) is Verdict.SAME for key, twin in keys.items()):
            return f"shares {shared} with"
        return f"shares {shared} but differs in name or kind from"

    def _other(self, golden_id: str) -> str:
        """A record of a golden record, as people know it."""
        shown = foremost(self.run.store.records_of([golden_id])[golden_id])
        return called(shown, self.docs.get(shown.id))


def _records(pairs: Iterable[Pair]) -> set[int]:
    return {side for one, other, _ in pairs for side in (one, other)}


# -- what waits for a person -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """One golden record of an open pair."""

    golden_id: str
    name: str
    kind: str | None
    records: Sequence[RecordRow]
    """Those that share a key with the other side."""


@dataclass(frozen=True, slots=True)
class OpenDoubt:
    """Two golden records that may be one, with the evidence."""

    entity: str
    one: Side
    other: Side
    shared: Sequence[tuple[str, str]]
    """(kind, value) of each key that both have."""
    why: str
    """Why they were not joined."""
    since: int

    def __str__(self) -> str:
        kinds = ", ".join(dict.fromkeys(kind for kind, _ in self.shared))
        ours, theirs = (called(side.records[0]) for side in (self.one, self.other))
        return f"{ours} and {theirs} share {kinds}: {self.why}"


class GenericValue(NamedTuple):
    """A key that too many golden records share: it is evidence of nothing."""

    entity: str
    kind: str
    value: str
    shared_by: int


def generic_values(run: Run) -> list[GenericValue]:
    """Those of entities that are matched by their keys, the most shared ones first."""
    matched = {flow.entity for flow in run.flows if flow.shape.model.matched}
    found = run.store.generic_keys(run.shared_by)
    return [GenericValue(entity, *_value(key), n) for entity, key, n in found if entity in matched]


def waiting(run: Run, limit: int) -> tuple[int, list[str]]:
    """How many pairs wait for a person, and a line for each of the first of them."""
    count = run.store.count_open_pairs()
    return count, [str(one) for one in open_doubts(run, limit=limit)] if count else []


def open_doubts(
    run: Run, entity: str | None = None, system: str | None = None, limit: int | None = None
) -> Iterator[OpenDoubt]:
    """The pairs that wait for a person, the oldest first; limit: so many at most."""
    pairs = run.store.open_pairs(entity, system, 2**62 if limit is None else limit)
    for start in range(0, len(pairs), CHUNK):
        yield from _with_evidence(run, pairs[start : start + CHUNK])


def _with_evidence(run: Run, pairs: Sequence[OpenPair]) -> Iterator[OpenDoubt]:
    twins = run.store.twins(sorted({pair.one for pair in pairs}))
    goldens = run.store.goldens(sorted({side for pair in pairs for side in (pair.one, pair.other)}))
    found = [(pair, twins[pair.one][pair.other]) for pair in pairs]
    ids = sorted({number for _, members in found for one, other, _ in members for number in (one, other)})
    rows = {row.id: row for row in run.store.records_by_id(ids)}
    parted = run.store.parted(sorted({pair.one for pair in pairs}))
    for pair, members in found:
        one, other = (
            _side(run, goldens[pair.one], [rows[number] for number, _, _ in members]),
            _side(run, goldens[pair.other], [rows[number] for _, number, _ in members]),
        )
        whys = [_judged(run, pair.entity, rows[a], rows[b], key) for a, b, key in members]
        if parted.get(pair.one, {}).get(pair.other) == "asked":
            whys.append((1, "that they are one was taken back"))
        why = min(whys)[1]
        keys = sorted({key for _, _, key in members})
        yield OpenDoubt(pair.entity, one, other, [_value(key) for key in keys], why, pair.since)


def _side(run: Run, golden: GoldenRow, rows: Iterable[RecordRow]) -> Side:
    doc = json.loads(golden.doc)
    records = list({row.id: row for row in rows}.values())
    return Side(golden.id, title_of(golden.entity, doc, run.entities), doc.get("kind"), records)


def _judged(run: Run, entity: str, one: RecordRow, other: RecordRow, key: str) -> tuple[int, str]:
    """Why these two were not joined; what weighs most has the lowest number."""
    if key.startswith(MERGED):
        return 0, f"{one.system} merged them, and they were told apart before"
    docs = json.loads(one.seen), json.loads(other.seen)
    kinds = {doc.get("kind") for doc in docs} - {None}
    if len(kinds) > 1:
        return 2, f"one is a {' and one an '.join(sorted(kinds, reverse=True))}"
    flow = run.flow(entity)
    if flow is None or not flow.shape.model.matched or compare(*docs, key) is Verdict.SAME:
        return 3, "each is linked with others already, or the key is shared by many"
    return 4, "their names differ"


def _value(key: str) -> tuple[str, str]:
    if key.startswith("id:"):
        _, scheme, _, value = key.split(":", maxsplit=3)
        return scheme, value
    kind, _, value = key.partition(":")
    return ("merge in", value) if f"{kind}:" == MERGED else (kind, value.replace("\x1f", " "))
