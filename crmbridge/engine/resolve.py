"""Records -> golden records: which records are the same real-world thing.

Matched entities (party, product) meet by exact identity keys for now: checked e-mail, phone, tax id and
declared identifiers; `crmbridge.identity.match` judges each meeting. Other entities keep their natural key,
or stay with the record that founded them.

Golden ids are sticky: a record that is linked stays linked. A new record that meets several golden records
joins those with it that nobody wrote anywhere or said anything of, so that the order does not matter.
A linked record that meets another golden record joins it only while it is alone and that one is not parted
from it; otherwise a person has to look (`crmbridge.engine.doubts`).

A key that too many golden records share is generic: it joins nobody any more. What it joined before stays,
and is noted for a person, too: nothing is written because of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crmbridge.engine.doubts import LOOSE, MOST_ALIKE, Doubts, called, kinds_differ
from crmbridge.engine.facts import kind_of
from crmbridge.engine.links import (
    awaited,
    golden_id_for,
    join_goldens,
    supersede_deletes,
    was_written,
)
from crmbridge.engine.run import Flow, Run
from crmbridge.identity.match import Verdict, compare, names_differ
from crmbridge.identity.normalize import identity_keys
from crmbridge.identity.policy import HUB
from crmbridge.store.doubts import TURNED
from crmbridge.store.rows import GoldenRow, Parting, RecordRow

__all__ = ["resolve"]

CHUNK = 500
WAITING = "waiting"


def resolve(run: Run, flow: Flow) -> None:
    """Give every unresolved record of one entity its golden record."""
    after = 0
    doubtful = _doubtful_streams(run, flow)
    waiting: Counter[str] = Counter()
    with run.stage("resolve", entity=flow.entity) as progress:
        while rows := run.store.unresolved(flow.entity, after, CHUNK):
            after = rows[-1].id
            ready = [row for row in rows if row.golden_id or not _is_doubtful(run, row, doubtful)]
            with run.store.transaction():
                batch = _Batch(run, flow, ready)
                batch.resolve()
            waiting.update(batch.waiting)
            progress(len(rows))
    _tell_waiting(run, flow, waiting)


def _tell_waiting(run: Run, flow: Flow, waiting: Mapping[str, int]) -> None:
    """By system; a run resolves several times, and the last time counts."""
    for name in run.systems:
        before, now = run.counts.pop((name, flow.entity, WAITING), 0), waiting.get(name, 0)
        if now:
            run.count(name, flow.entity, WAITING, now)
        if now and now != before:
            keys = ", ".join(flow.shape.model.natural_key)
            text = f"{now} {flow.entity} records wait for what they are known by ({keys}): it has not come"
            run.event("finding", system=name, entity=flow.entity, text=text)


def _is_doubtful(run: Run, row: RecordRow, streams: set[tuple[str, str]]) -> bool:
    key = (row.system, row.stream, row.scope, row.native_id)
    return (row.system, row.stream) in streams or key in run.candidates


def _doubtful_streams(run: Run, flow: Flow) -> set[tuple[str, str]]:
    """(system, stream) in which a new record may be one that we created ourselves: the create has no answer
    yet, and cannot be searched for yet. New records from there wait, or each would be a second customer."""
    doubtful: set[tuple[str, str]] = set()
    for system in run.working():
        for row in run.store.open_intents(system.name):
            if row.entity == flow.entity and row.kind == "create" and row.stream in system.streams:
                lag = system.streams[row.stream].capabilities.search_lag
                if row.status == "accepted" or run.now() - row.updated_at < lag.total_seconds() * 1_000_000:
                    doubtful.add((row.system, row.stream))
    return doubtful


@dataclass(slots=True)
class _Batch:
    """Some records, each resolved in the knowledge of those before it."""

    run: Run
    flow: Flow
    rows: Sequence[RecordRow]
    docs: dict[int, dict[str, Any]] = field(default_factory=dict)
    keys: dict[int, list[str]] = field(default_factory=dict)
    holders: dict[str, list[int]] = field(default_factory=dict)
    """Key -> record ids that have it."""
    generic: dict[str, bool] = field(default_factory=dict)
    """Keys that too many golden records share -> whether they became so in this batch."""
    golden: dict[int, str] = field(default_factory=dict)
    parted: dict[str, dict[str, Parting]] = field(default_factory=dict)
    """Golden id -> those that it is not joined with, by what a person said: see `Store.parted`."""
    founded: list[GoldenRow] = field(default_factory=list)
    doubts: Doubts = field(init=False)
    waiting: Counter[str] = field(default_factory=Counter)
    """System -> records whose natural key refers to one that has not come yet: they stay unresolved."""

    def __post_init__(self) -> None:
        self.doubts = Doubts(self.run, self.flow, self.docs)

    def resolve(self) -> None:
        self._read_keys()
        self.rows = [row for row in self.rows if row.id in self.keys]
        self._load_holders()
        for row in self.rows:
            self._place(row)
        store = self.run.store
        store.put_goldens(self.founded)
        moved = [row for row in self.rows if row.golden_id != self.golden[row.id]]
        store.set_links((row.id, self.golden[row.id]) for row in moved)
        store.mark_resolved(row.id for row in self.rows if row.golden_id == self.golden[row.id])
        store.put_keys(self.flow.entity, self.keys)
        self._wake_referring()
        newly = {key: self.holders[key] for key, is_new in self.generic.items() if is_new}
        self.doubts.save(self.rows, self.golden, self.generic, newly)
        self._note_loose_links()

    def _wake_referring(self) -> None:
        """What refers to a record that has just come is planned again."""
        new = [row for row in self.rows if row.golden_id is None]
        named = {awaited(row.system, row.entity, row.native_id) for row in new if not row.part}
        named.update(self.golden[row.id] for row in new)
        self.run.store.mark_dirty(self.run.store.referring(sorted(named)))

    # evidence

    def _read_keys(self) -> None:
        model = self.flow.shape.model
        for row in self.rows:
            self.docs[row.id] = json.loads(row.seen)
        parents = {} if model.matched else self._parents(model.natural_key)
        fields = self.flow.shape.evidence
        for row in self.rows:
            doc = self.docs[row.id]
            if model.matched:
                keys = identity_keys(doc, region=self.run.region, fields=fields)
                self.keys[row.id] = sorted(set(keys))
            else:
                parts = {n: _key_part(row, doc.get(n), parents) for n in model.natural_key}
                if any(parts[n] is None and self._is_to_come(row, doc.get(n)) for n in parts):
                    self.waiting[row.system] += 1
                else:
                    self.keys[row.id] = _natural_key(parts)

    def _is_to_come(self, row: RecordRow, ref: Any) -> bool:
        """Under a key without it the record would be taken for another, and be made a second time."""
        is_ref = isinstance(ref, dict) and "id" in ref
        return is_ref and row.status == "live" and self.run.flow(ref["entity"]) is not None

    def _parents(self, names: Iterable[str]) -> dict[tuple[str, str, str, str], str]:
        """(system, entity, scope, native id) -> golden id, for references that are part of a natural key."""
        wanted: dict[tuple[str, str, str | None], set[str]] = {}
        for row in self.rows:
            for name in names:
                ref = self.docs[row.id].get(name)
                if isinstance(ref, dict) and "id" in ref:
                    wanted.setdefault((row.system, ref["entity"], ref.get("stream")), set()).add(ref["id"])
        found: dict[tuple[str, str, str, str], str] = {}
        for (system, entity, stream), ids in wanted.items():
            golden = self.run.store.golden_of(system, entity, sorted(ids), stream)
            found.update({(system, entity, *key): g for key, g in golden.items()})
        return found

    def _load_holders(self) -> None:
        wanted = sorted({key for keys in self.keys.values() for key in keys})
        found = self.run.store.records_with_keys(self.flow.entity, wanted) if wanted else {}
        for key, held in found.items():
            # What has lost the key in this batch no longer holds it.
            members = [(record, g) for record, g in held if key in self.keys.get(record, (key,))]
            if self._is_shared_by_too_many(golden for _, golden in members):
                self.generic[key] = False
            looked_at = members[:MOST_ALIKE] if key in self.generic else members
            self.holders[key] = [record for record, _ in looked_at]
            self.golden.update({record: golden for record, golden in looked_at if golden})
        unknown = sorted({r for records in self.holders.values() for r in records} - set(self.docs))
        for row in self.run.store.records_by_id(unknown) if unknown else ():
            self.docs[row.id] = json.loads(row.seen)
        self.golden.update({row.id: row.golden_id for row in self.rows if row.golden_id})
        linked = sorted({row.golden_id for row in self.rows if row.golden_id})
        self.parted = self.run.store.parted(linked) if linked else {}

    # decision

    def _place(self, row: RecordRow) -> None:
        met = self._met(row)
        mine = self.golden.get(row.id)
        if mine is None:
            mine = self._join_or_found(row, met)
        elif met and mine not in met:
            mine = self._meet(row, mine, met)
        self.golden[row.id] = mine
        for key in self.keys[row.id]:
            holders = self.holders.setdefault(key, [])
            if row.id not in holders:
                holders.append(row.id)
            if key not in self.generic and self._is_shared_by_too_many(map(self.golden.get, holders)):
                self.generic[key] = True

    def _is_shared_by_too_many(self, goldens: Iterable[str | None]) -> bool:
        """Natural keys are of one golden record in each scope, however many scopes there are."""
        return self.flow.shape.model.matched and len(set(goldens) - {None}) > self.run.shared_by

    def _met(self, row: RecordRow) -> dict[str, list[str]]:
        """Golden id -> the keys shared with it, strongest meeting first; doubtful ones are noted."""
        met: dict[str, dict[str, None]] = {}
        mine = self.golden.get(row.id, "")
        parted = self.parted.get(mine, {})
        taken = self._taken_by_other_scopes(row) | {g for g, said in parted.items() if said == "apart"}
        for key in self.keys[row.id]:
            for other in self.holders.get(key, ()):
                golden = self.golden.get(other)
                if other == row.id or golden is None or golden in taken:
                    continue
                verdict = self._judge(row, other, key)
                if golden == mine:
                    self.doubts.add_linked(row.id, other, key)
                    if self._kinds_differ(row, other):
                        self.doubts.add(row.id, other, TURNED)
                if verdict is Verdict.SAME and golden not in parted:
                    met.setdefault(golden, {})[key] = None
                if verdict is not Verdict.DIFFERENT and golden != mine:
                    self.doubts.add(row.id, other, key)
        strongest = sorted(met.items(), key=lambda item: (-len(item[1]), item[0]))
        return {golden: list(keys) for golden, keys in strongest}

    def _taken_by_other_scopes(self, row: RecordRow) -> set[str]:
        """Golden documents of which this system has a record in another scope: each company counts its orders
        for itself, so that 1001 of one is not 1001 of the other."""
        if not row.scope or self.flow.shape.model.matched:
            return set()
        met = {self.golden.get(other) for key in self.keys[row.id] for other in self.holders.get(key, ())}
        goldens = sorted(golden for golden in met if golden)
        rows = [*self.rows, *(r for rs in self.run.store.records_of(goldens).values() for r in rs)]
        return {
            self.golden.get(one.id, one.golden_id) or ""
            for one in rows
            if one.system == row.system and one.scope not in ("", row.scope)
        }

    def _judge(self, row: RecordRow, other: int, key: str) -> Verdict:
        if not self.flow.shape.model.matched:
            return Verdict.SAME
        return compare(self.docs[row.id], self.docs.get(other, {}), key, generic=key in self.generic)

    def _kinds_differ(self, row: RecordRow, other: int) -> bool:
        matched = self.flow.shape.model.matched
        return matched and kinds_differ(self.docs[row.id], self.docs.get(other, {}))

    def _join_or_found(self, row: RecordRow, met: Mapping[str, Sequence[str]]) -> str:
        now = self.run.now()
        if met:
            chosen = self._join_met(row, met)
            self.run.store.journal(chosen, "joined", _joined_by(row, met[chosen]), now)
            if self.flow.policy.deletes != "keep":
                supersede_deletes(self.run.store, [chosen])
            return chosen
        golden_id = self._new_id(row)
        self.founded.append(GoldenRow(golden_id, self.flow.entity, updated_at=now))
        self.run.store.journal(golden_id, "created", _place(row), now)
        return golden_id

    def _join_met(self, row: RecordRow, met: Mapping[str, Sequence[str]]) -> str:
        """The golden record that a new record is of: all that it met are one, but for those that were written
        or parted, and those that contradict each other."""
        if len(met) == 1 or not self.flow.shape.model.matched:
            return next(iter(met))
        free = {golden for golden in met if self._is_free(golden)}
        chosen = next((golden for golden in met if golden not in free), next(iter(met)))
        parted, one = self.run.store.parted(sorted(met)), {chosen}
        for other in (golden for golden in met if golden in free and golden != chosen):
            if one.isdisjoint(parted.get(other, {})) and self._agree(
                chosen, other, (*met[chosen], *met[other])
            ):
                self._join(other, chosen, _joined_by(row, met[other]))
                one.add(other)
        return chosen

    def _is_free(self, golden_id: str) -> bool:
        """Nobody wrote it anywhere, or said anything of it: it is what its records say, no more."""
        store = self.run.store
        if any(event not in ("created", "joined") for _, event, _ in store.history(golden_id)):
            return False
        rows = store.records_of([golden_id]).get(golden_id, [])
        if any(row.system == HUB or was_written(row) for row in rows):
            return False
        return not store.intents_of([golden_id], ["sent", "accepted", "uncertain"])

    def _agree(self, one: str, other: str, keys: Iterable[str]) -> bool:
        """Whether no record of the one contradicts one of the other; keys: by which the new one met them. A
        tax id says more than a name."""
        named = not any(key.startswith("id:") for key in keys)
        ours, theirs = self._docs_of(one), self._docs_of(other)
        return not any(kinds_differ(a, b) or (named and names_differ(a, b)) for a in ours for b in theirs)

    def _docs_of(self, golden_id: str) -> list[Mapping[str, Any]]:
        """Of all its records, those of this batch as well."""
        rows = self.run.store.records_of([golden_id]).get(golden_id, [])
        here = {
            r: self.docs[r] for r, golden in self.golden.items() if golden == golden_id and r in self.docs
        }
        return [*({row.id: json.loads(row.seen) for row in rows} | here).values()]

    def _join(self, loser: str, survivor: str, why: str) -> None:
        store, batch = self.run.store, {row.id for row in self.rows}
        store.put_goldens(self.founded)
        self.founded.clear()
        rows = store.records_of([loser]).get(loser, [])
        join_goldens(store, loser, survivor, why, self.run.now(), "joined")
        self._follow(loser, survivor)
        if any(row.unresolved and row.id not in batch for row in rows):
            store.mark_unresolved([survivor])

    def _new_id(self, row: RecordRow) -> str:
        """An id that nobody has: a rebuilt system may give the number of an old record to a new one."""
        salt = ""
        while self.run.store.goldens([golden_id_for(row, salt)]):
            salt += "'"
        return golden_id_for(row, salt)

    def _meet(self, row: RecordRow, mine: str, met: Mapping[str, Sequence[str]]) -> str:
        """A linked record now shares a key with another golden record."""
        other = next(iter(met))
        others = self.run.store.records_of([mine]).get(mine, ())
        if any(other.id != row.id and other.status in ("live", "out") for other in others):
            return mine
        join_goldens(self.run.store, mine, other, _joined_by(row, met[other]), self.run.now())
        self._follow(mine, other)
        return other

    def _follow(self, loser: str, survivor: str) -> None:
        """What is known here of the one is known of the other now."""
        self.golden.update({record: survivor for record, golden in self.golden.items() if golden == loser})
        for parted, said in self.parted.pop(loser, {}).items():
            self.parted.setdefault(survivor, {})[parted] = said
            self.parted.setdefault(parted, {})[survivor] = said

    def _note_loose_links(self) -> None:
        """What was joined by nothing but a key that has just become generic would not be joined today."""
        for key in (key for key, is_new in self.generic.items() if is_new):
            goldens = sorted({self.golden[record] for record in self.holders[key]})
            for golden, rows in self.run.store.records_of(goldens).items():
                history = self.run.store.history(golden)
                for row in rows:
                    if row.id in self.holders[key] and _was_joined_by(key, row, history):
                        text = (
                            f"{self._called(row)} was linked by {kind_of(key)} alone, which more than "
                            f"{self.run.shared_by} share by now; if it is somebody else: crmbridge links "
                            f"unlink {_place(row)}"
                        )
                        self.run.note(LOOSE, row.system, self.flow.entity, golden, "", text)

    def _called(self, row: RecordRow) -> str:
        return called(row, self.docs.get(row.id))


def _key_part(row: RecordRow, value: Any, parents: Mapping[tuple[str, str, str, str], str]) -> Any:
    if isinstance(value, dict) and "id" in value:
        found = (parents.get((row.system, value["entity"], scope, value["id"])) for scope in (row.scope, ""))
        return next((golden for golden in found if golden), None)
    return value


def _natural_key(parts: Mapping[str, Any]) -> list[str]:
    if not parts or any(value in (None, "") for value in parts.values()):
        return []
    return ["key:" + "\x1f".join(str(value) for value in parts.values())]


def _place(row: RecordRow) -> str:
    return f"{row.system}/{row.stream}/{row.native_id}"


def _was_joined_by(key: str, row: RecordRow, history: Sequence[tuple[int, str, str]]) -> bool:
    """This key alone joined the record, and nothing was said about it since."""
    said = [text for _, _, text in history if f"{_place(row)} " in f"{text} "]
    return bool(said) and said[-1].endswith(_joined_by(row, [key]))


def _joined_by(row: RecordRow, keys: Iterable[str]) -> str:
    """How the journal says that a record met others by these keys."""
    return f"{_place(row)} by {', '.join(map(kind_of, keys))}"
