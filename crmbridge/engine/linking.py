"""What a person says about who is who: links taken apart and put together again, and lost creates.

Everything here can be taken back, stands in the journal of the golden records that it touches, and changes
no system by itself: it changes what the next plan sees.

unlink      a record is somebody else: it gets a golden record of its own, and is never joined again with
            those that it was linked with
relink      that is taken back
adopt       a record is what a create of unknown outcome made
undo        such a create never happened, or its record was taken for ours wrongly
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from crmbridge.engine.links import BY_HAND, golden_id_for, join_goldens, link_of, save_link
from crmbridge.engine.operations import decode
from crmbridge.engine.run import Run
from crmbridge.identity.link import FORMER, UNSET, Statement
from crmbridge.identity.policy import HUB
from crmbridge.sdk.errors import ConfigError
from crmbridge.store.rows import GoldenRow, IntentRow, JudgementRow, RecordRow

__all__ = [
    "BY_PEOPLE",
    "Ruled",
    "Word",
    "adopt",
    "candidates",
    "join_by_hand",
    "move",
    "place_of",
    "record_at",
    "relink",
    "uncertain",
    "undo",
    "unlink",
]

BY_PEOPLE = ("unlinked", "relinked", "adopted", "undone", "told apart", BY_HAND, "revoked")
"""Events of the journal that say so."""
OPEN = ("sent", "accepted", "uncertain")
MOST = 10_000
SHOWN = 20
"""So many candidates are listed for one create."""


@dataclass(frozen=True, slots=True)
class Word:
    """Who says so, and why."""

    by: str
    why: str

    def __str__(self) -> str:
        return f"by {self.by}: {self.why}"


@dataclass(frozen=True, slots=True)
class Ruled:
    """What became of a record, or of the golden record of an operation."""

    place: str
    """SYSTEM/STREAM/ID; empty for an operation that left no record."""
    golden_id: str
    """The golden record that it belongs to now."""
    before: str
    """The one that it belonged to before."""


def record_at(run: Run, place: str, scope: str = "") -> RecordRow:
    """The record at SYSTEM/STREAM/ID, as `place_of` gives it. Raises ConfigError where there is none, or one
    for each scope."""
    system, _, rest = place.partition("/")
    stream, _, native_id = rest.partition("/")
    ids = {native_id, native_id.partition("#")[0]} - {""}
    rows = run.store.records(system, stream, sorted(ids)) if ids else []
    now = [row for row in rows if not row.part.startswith(FORMER)]
    found = [row for row in now if place_of(row) == place and scope in ("", row.scope)]
    if not found:
        raise ConfigError(
            f"no record {place!r} is known", hint="it is written SYSTEM/STREAM/ID, and has to be read first"
        )
    if len(found) > 1:
        scopes = ", ".join(row.scope for row in found)
        hint = f"add --scope, one of {scopes}; for identity, give the golden id"
        raise ConfigError(f"{place!r} is {len(found)} records", hint=hint)
    return found[0]


# -- links -------------------------------------------------------------------------------------


def unlink(run: Run, row: RecordRow, word: Word) -> Ruled:
    """Give a record a golden record of its own. Values that came from the others fall back."""
    store, before = run.store, row.golden_id
    mates = [one for one in _records(run, before) if one.id != row.id and one.system != HUB]
    if before is None or not mates:
        raise ConfigError(f"{place_of(row)} is linked with no other record")
    _keep_its_words(run, row)
    alone = GoldenRow(_fresh_id(run, row), row.entity, updated_at=run.now())
    places = f"{place_of(row)} and {place_of(mates[0])}"
    said = JudgementRow("apart", row.entity, before, alone.id, places, word.by, word.why, run.now())
    said.moved = json.dumps([row.id])
    store.put_judgement(said, ((row.id, mate.id) for mate in mates))
    store.put_goldens([alone])
    _set_link(run, row, alone.id)
    _plan_referring(run, before)
    _journal(run, before, "unlinked", f"{place_of(row)}, now {alone.id}, {word}")
    _journal(run, alone.id, "unlinked", f"{place_of(row)} from {before}, {word}")
    return Ruled(place_of(row), alone.id, before)


def relink(run: Run, row: RecordRow, word: Word) -> Ruled:
    """Take back that a record is somebody else: it is of the golden record again that it was parted from."""
    store, before = run.store, row.golden_id or ""
    others = store.records_by_id(sorted(store.judged([row.id], "apart").get(row.id, ())))
    goldens = [one.golden_id for one in others if one.golden_id not in (None, before)]
    if not goldens:
        raise ConfigError(f"{place_of(row)} was not unlinked from anything that is still there")
    target = max(dict.fromkeys(goldens), key=goldens.count) or ""
    _forget_apart(run, row, [one for one in others if one.golden_id == target], word)
    move(run, row, target, f"{place_of(row)} relinked, {word}")
    _journal(run, target, "relinked", f"{place_of(row)} from {before}, {word}")
    return Ruled(place_of(row), target, before)


def _forget_apart(run: Run, row: RecordRow, others: Iterable[RecordRow], word: Word) -> None:
    """That a record is something else than these is taken back."""
    for judgement_id in run.store.forget_apart((row.id, one.id) for one in others):
        run.store.revoke_judgement(judgement_id, word.by, word.why, run.now())


def move(run: Run, row: RecordRow, target: str, why: str) -> None:
    """A record belongs to `target`, with all of its golden record where nobody else is left there."""
    store, before = run.store, row.golden_id
    if before is None:
        store.set_links([(row.id, target)])
        return
    if [one for one in _records(run, before) if one.id != row.id and one.system != HUB]:
        _set_link(run, row, target)
        _plan_referring(run, before)
    else:
        _join(run, before, target, why, "merged")


def join_by_hand(run: Run, loser: str, survivor: str, why: str) -> None:
    """A person says that two golden records are one."""
    _join(run, loser, survivor, why, BY_HAND)


def _join(run: Run, loser: str, survivor: str, why: str, event: str) -> None:
    """What is being created for one where the other is there already is not waited for."""
    store = run.store
    moved = _records(run, loser)
    there = {one.system for one in (*moved, *_records(run, survivor))}
    opened = [one for one in store.intents_of([loser], OPEN) if one.kind == "create"]
    store.drop_intents(OPEN, [one.id for one in opened if one.system in there])
    join_goldens(store, loser, survivor, why, run.now(), event)
    if any(one.unresolved for one in moved):
        store.mark_unresolved([survivor])


def _set_link(run: Run, row: RecordRow, golden_id: str) -> None:
    """It belongs there; what it is known by is looked at as it would have been."""
    run.store.set_links([(row.id, golden_id)])
    if row.unresolved:
        run.store.mark_unresolved([golden_id])


def _plan_referring(run: Run, golden_id: str) -> None:
    """What refers to a golden record that a record leaves may mean that record."""
    referring = run.store.referring([golden_id])
    run.store.mark_unresolved(referring)  # their natural keys may hold it
    run.store.mark_dirty(referring)


def _keep_its_words(run: Run, row: RecordRow) -> None:
    """A record that a create ended in holds what was taken for our write. It is somebody else's, so these are
    its own words, but for what we wrote into it later."""
    flow = run.flow(row.entity)
    if flow is None or not _creates_of(run, row):
        return
    link = link_of(row, flow.shape)
    done = run.store.intents_of([row.golden_id or ""], ["done"])
    ours = {c.path for one in done if one.record_id == row.id for c in decode(one.payload).changes}
    for path, state in link.fields.items():
        if state.own is None and state.seen is not UNSET and path not in ours:
            state.own = Statement(state.seen, 0, row.id)
    run.store.put_records([save_link(link, row, flow.shape)])


# -- creates of unknown outcome ----------------------------------------------------------------


def uncertain(run: Run) -> list[IntentRow]:
    """The operations whose outcome nobody knows, the oldest first."""
    return run.store.intents_with(["uncertain"], MOST)


def candidates(run: Run, row: IntentRow) -> list[RecordRow]:
    """Records that may be what a create made: the one that it ended in, and those that wait for it."""
    named = run.store.records(row.system, row.stream, [row.native_id]) if row.native_id else []
    found = {one.id: one for one in named if not one.part}
    after = 0
    while row.kind == "create" and (rows := run.store.unresolved(row.entity, after, MOST)):
        after = rows[-1].id
        waiting = (one for one in rows if (one.system, one.stream) == (row.system, row.stream))
        found.update({one.id: one for one in waiting if one.golden_id is None and not one.part})
    return list(found.values())[:SHOWN]


def adopt(run: Run, intent_id: str, row: RecordRow, word: Word) -> Ruled:
    """The record is what this create made: it is linked, and what differs is planned as at first contact."""
    intent, store = _uncertain(run, intent_id), run.store
    if intent.kind != "create" or (row.system, row.stream) != (intent.system, intent.stream):
        raise ConfigError(f"{place_of(row)} cannot be what {intent.kind} {intent.id} made")
    before = row.golden_id or ""
    if before and [one for one in _records(run, before) if one.id != row.id and one.system != HUB]:
        raise ConfigError(
            f"{place_of(row)} is linked to {before} with other records",
            hint=f"crmbridge links unlink {place_of(row)}, if it is not theirs",
        )
    _forget_apart(run, row, _records(run, intent.golden_id), word)
    intent.status, intent.reason, intent.updated_at = "done", f"adopted {word}", run.now()
    intent.native_id, intent.scope = row.native_id, row.scope
    store.put_intents([intent])
    if before != intent.golden_id:
        move(run, row, intent.golden_id, f"{place_of(row)} adopted, {word}")
    store.mark_dirty([intent.golden_id, *store.referring([intent.golden_id])])
    _journal(run, intent.golden_id, "adopted", f"{place_of(row)} as what {intent.id} made, {word}")
    return Ruled(place_of(row), intent.golden_id, before)


def undo(run: Run, which: str, word: Word) -> Ruled:
    """A create never happened (`which`: its id), or its record was taken for ours wrongly (SYSTEM/STREAM/ID).
    The golden record is planned anew: where it still has no record, it gets one."""
    if "/" not in which:
        intent = _uncertain(run, which)
        run.store.drop_intents(["uncertain"], [intent.id])
        _journal(run, intent.golden_id, "undone", f"{intent.kind} {intent.id} in {intent.system}, {word}")
        return Ruled("", intent.golden_id, intent.golden_id)
    row = record_at(run, which)
    made = _creates_of(run, row)
    if not made:
        raise ConfigError(
            f"{which} is in no create of ours that is remembered",
            hint=f"crmbridge links unlink {which}, if it is somebody else",
        )
    ruled = unlink(run, row, word)
    run.store.drop_intents(["done"], [one.id for one in made])
    return ruled


def _creates_of(run: Run, row: RecordRow) -> list[IntentRow]:
    """Our creates that ended in this record."""
    done = run.store.intents_of([row.golden_id or ""], ["done"])
    place = (row.system, row.stream)
    return [one for one in done if one.kind == "create" and (one.system, one.stream) == place]


def _uncertain(run: Run, intent_id: str) -> IntentRow:
    found = next((one for one in uncertain(run) if one.id == intent_id), None)
    if found is None:
        raise ConfigError(
            f"there is no uncertain operation {intent_id!r}", hint="crmbridge uncertain list shows them"
        )
    return found


def _records(run: Run, golden_id: str | None) -> list[RecordRow]:
    return run.store.records_of([golden_id]).get(golden_id, []) if golden_id else []


def _fresh_id(run: Run, row: RecordRow) -> str:
    salt = "unlinked"
    while run.store.goldens([golden_id_for(row, salt)]):
        salt += "'"
    return golden_id_for(row, salt)


def place_of(row: RecordRow) -> str:
    """SYSTEM/STREAM/ID; of a further record of a native one ID#NAME:KEY, as references name it."""
    further = f"#{row.part}" if row.part and not row.part.startswith(FORMER) else ""
    return f"{row.system}/{row.stream}/{row.native_id}{further}"


def _journal(run: Run, golden_id: str, event: str, text: str) -> None:
    run.store.journal(golden_id, event, text, run.now())
