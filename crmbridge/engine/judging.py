"""What a person says about two golden records: that they are one, or that they are two. It holds until it is
taken back, whatever the systems say: no later meeting overrules it.

merge   both become one; what differs is planned by the next sync, by the ordinary rules
apart   they stay two, and are not asked about again
undo    the one or the other is taken back: members and ids are as before
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from crmbridge.engine.doubtful import doubtful_links
from crmbridge.engine.doubts import foremost
from crmbridge.engine.facts import current_id
from crmbridge.engine.linking import Word, join_by_hand, move, place_of
from crmbridge.engine.links import BY_HAND
from crmbridge.engine.run import Run
from crmbridge.identity.policy import HUB
from crmbridge.sdk.errors import ConfigError
from crmbridge.store.doubts import MERGED
from crmbridge.store.rows import GoldenRow, JudgementRow, RecordRow

__all__ = ["apart", "judgement", "judgements", "merge", "undo"]

CHUNK = 500


def merge(run: Run, one: str, other: str, word: Word) -> JudgementRow:
    """Two golden records are one: the first joins the second, whose id stays. Of one alone, it is said that
    its doubtful links are right."""
    if current_id(run.store, one) == (alone := current_id(run.store, other)):
        said = _one_all_the_same(run, alone, word)
        if said is not None:
            return said
    one, other, rows = _sides(run, one, other)
    if _are_apart(run, one, other):
        raise ConfigError(
            f"{one} and {other} were told apart",
            hint="crmbridge identity judgements lists that; crmbridge identity undo ID takes it back",
        )
    said = _said("one", rows, one, other, word)
    said.moved = json.dumps([row.id for row in run.store.records_of([one])[one]])
    said.at = run.now()
    said.id = run.store.put_judgement(said, _pairs(rows, one, other))
    join_by_hand(run, one, other, f"{said.places} are one, {word}")
    return said


def _one_all_the_same(run: Run, golden_id: str, word: Word) -> JudgementRow | None:
    """Of the links of a person and an organization in it; None where there are none."""
    found = [(x.one, x.other) for x in doubtful_links(run) if x.one.golden_id == golden_id]
    if not found:
        return None
    places = " and ".join(dict.fromkeys(place_of(row) for pair in found for row in pair))
    entity = found[0][0].entity
    said = JudgementRow("one", entity, golden_id, golden_id, places, word.by, word.why, run.now(), "[]")
    said.id = run.store.put_judgement(said, [(ours.id, theirs.id) for ours, theirs in found])
    run.store.journal(golden_id, BY_HAND, f"{said.places} are one, {word}", said.at)
    return said


def apart(run: Run, one: str, other: str, word: Word) -> JudgementRow:
    """Two golden records are two, whatever they share."""
    one, other, rows = _sides(run, one, other)
    store = run.store
    open_pairs = store.twins([one]).get(one, {}).get(other)
    if open_pairs is None and _are_apart(run, one, other):
        raise ConfigError(f"{one} and {other} are told apart already", hint="crmbridge identity judgements")
    lost = _merged_away(rows[one], rows[other], open_pairs or ())
    if lost is not None and lost.golden_id == other:
        one, other = other, one
    said = _said("apart", rows, one, other, word)
    said.at = run.now()
    kept = {golden_id: [row for row in some if row is not lost] for golden_id, some in rows.items()}
    if lost is not None:  # what its system merged away is of the one that it was merged into
        said.moved = json.dumps([lost.id])
        store.set_links([(lost.id, other)])
    said.id = store.put_judgement(said, _pairs(kept, one, other))
    store.mark_dirty([one, other])
    for golden_id in (one, other):
        store.journal(golden_id, "told apart", f"{said.places} are two, {word}", said.at)
    return said


def undo(run: Run, judgement_id: int, word: Word) -> JudgementRow:
    """A judgement is taken back: the records that it moved return, and who shares what is looked at anew."""
    said, store = judgement(run, judgement_id), run.store
    if said.revoked_at:
        raise ConfigError(
            f"judgement {said.id} is taken back already", hint="crmbridge identity judgements lists them"
        )
    what = "are one" if said.verdict == "one" else "are two"
    text = f"that {said.places} {what} (judgement {said.id}) is taken back, {word}"
    said.revoked_at, said.revoked_by, said.revoked_why = run.now(), word.by, word.why
    store.revoke_judgement(said.id, word.by, word.why, said.revoked_at)
    other = current_id(store, said.other)
    if said.verdict == "one":
        _revive(run, said.one)
    one = current_id(store, said.one)
    for row in store.records_by_id(json.loads(said.moved)):
        if row.golden_id == other != one:
            move(run, row, one, text)
    both = sorted({one, current_id(store, other)})
    store.mark_unresolved(both)
    store.mark_dirty(both)
    for golden_id in both:
        store.journal(golden_id, "revoked", text, said.revoked_at)
    return said


def judgements(run: Run) -> Iterator[JudgementRow]:
    """All that were made, the first ones first."""
    after = 0
    while rows := run.store.judgements(after, CHUNK):
        after = rows[-1].id
        yield from rows


def judgement(run: Run, judgement_id: int) -> JudgementRow:
    """One of them. Raises ConfigError where there is none of this id."""
    found = run.store.judgements(judgement_id - 1, 1)
    if not found or found[0].id != judgement_id:
        raise ConfigError(
            f"there is no judgement {judgement_id}", hint="crmbridge identity judgements lists them"
        )
    return found[0]


def _are_apart(run: Run, one: str, other: str) -> bool:
    return run.store.parted([one]).get(one, {}).get(other) == "apart"


def _sides(run: Run, one: str, other: str) -> tuple[str, str, dict[str, list[RecordRow]]]:
    """The two golden records as they are called now, with the records that systems have of them."""
    store = run.store
    one, other = current_id(store, one), current_id(store, other)
    goldens = store.goldens([one, other])
    for golden_id in (one, other):
        if golden_id not in goldens:
            raise ConfigError(f"there is no golden record {golden_id!r}", hint="crmbridge find TEXT")
    entities = {row.entity for row in goldens.values()}
    rows = store.records_of([one, other])
    found = {g: [row for row in rows.get(g, ()) if row.system != HUB] for g in (one, other)}
    if one == other:
        place = place_of(found[one][-1]) if found[one] else "SYSTEM/STREAM/ID"
        hint = f"crmbridge links unlink {place}, if one of its records is somebody else"
        raise ConfigError(f"both are {one} already", hint=hint)
    if len(entities) > 1:
        raise ConfigError(f"{one} and {other} are a {' and a '.join(sorted(entities))}")
    empty = next((g for g, some in found.items() if not some), None)
    if empty is not None:
        raise ConfigError(f"{empty} has no records any more")
    return one, other, found


def _said(
    verdict: Literal["one", "apart"], rows: dict[str, list[RecordRow]], one: str, other: str, word: Word
) -> JudgementRow:
    places = " and ".join(place_of(foremost(rows[golden_id])) for golden_id in (one, other))
    return JudgementRow(verdict, rows[one][0].entity, one, other, places, word.by, word.why)


def _pairs(rows: dict[str, list[RecordRow]], one: str, other: str) -> list[tuple[int, int]]:
    return [(ours.id, theirs.id) for ours in rows[one] for theirs in rows[other]]


def _merged_away(
    ours: Sequence[RecordRow], theirs: Sequence[RecordRow], pairs: Sequence[tuple[int, int, str]]
) -> RecordRow | None:
    """The record that a system merged into one of the other golden record, if that is what is asked about."""
    asked = {number for *both, key in pairs if key.startswith(MERGED) for number in both}
    gone = (row for row in (*ours, *theirs) if row.id in asked and row.status not in ("live", "out"))
    return next(gone, None)


def _revive(run: Run, golden_id: str) -> None:
    """A golden record that was merged away is one of its own again."""
    row: GoldenRow | None = run.store.goldens([golden_id]).get(golden_id)
    if row is not None and row.merged_into:
        row.merged_into, row.dirty = None, True
        run.store.put_goldens([row])
