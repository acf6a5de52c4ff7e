"""What a person decides about a conflict, as a word of the pseudo-system `hub` that can be taken back.

The hub has one record for each golden record that anything was decided about. What it says takes part in the
ordinary merge and outranks every system, so a decision travels with the next sync like any edit. Who decided,
when and why stands in the golden record's journal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from pydantic import ValidationError

from crmbridge.engine.facts import current_id
from crmbridge.engine.golden import merge_one
from crmbridge.engine.links import link_of, save_link
from crmbridge.engine.run import Flow, Run
from crmbridge.identity.link import FieldState, Statement
from crmbridge.identity.policy import HUB
from crmbridge.identity.survive import Golden
from crmbridge.sdk.errors import ConfigError
from crmbridge.store.rows import ConflictRow, RecordRow
from crmbridge_schemas.base import canonical

__all__ = ["DECIDED", "Ruling", "conflict", "decide", "reason_for", "waiting", "withdraw"]

DECIDED, WITHDRAWN = "decided", "withdrawn"
"""Events of the journal."""
MOST = 100_000
"""So many recorded conflicts are looked at."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a person says about a conflict. One of `text`, `take` and `empty` says which value it shall be."""

    conflict: int
    """The id of the conflict."""
    by: str
    why: str
    text: str | None = None
    """The value as typed: a text, or JSON for an amount, an address ..."""
    take: str | None = None
    """The value that this system said."""
    empty: bool = False
    """The field shall be empty."""


def waiting(run: Run) -> list[ConflictRow]:
    """The conflicts that wait for a person, oldest first: not decided, nor settled by the systems since."""
    latest: dict[tuple[str, str], ConflictRow] = {}
    for row in run.store.undecided_conflicts(MOST):
        latest[row.golden_id, row.path] = row
    undecided: dict[str, set[str]] = {}
    for golden_id, _ in latest:
        if golden_id not in undecided:
            undecided[golden_id] = _undecided(run, golden_id)
    return [row for (golden_id, path), row in latest.items() if path in undecided[golden_id]]


def _undecided(run: Run, golden_id: str) -> set[str]:
    row = run.store.goldens([golden_id]).get(golden_id)
    flow = run.flow(row.entity) if row is not None and row.merged_into is None else None
    if flow is None:
        return set()
    return {one.path for one in merge_one(run, flow, golden_id)[0].conflicts if one.undecided}


def conflict(run: Run, conflict_id: int) -> ConflictRow:
    """One recorded conflict, of the golden record that it is of now. Raises ConfigError if there is none."""
    for row in run.store.conflicts(None, None, MOST):
        if row.id == conflict_id:
            return replace(row, golden_id=current_id(run.store, row.golden_id))
    raise ConfigError(
        f"there is no conflict {conflict_id}", hint="crmbridge conflicts list --all shows their ids"
    )


def decide(run: Run, ruling: Ruling) -> tuple[ConflictRow, Any]:
    """The hub says a value from now on: the conflict, and that value. Raises ConfigError for a bad value."""
    row = conflict(run, ruling.conflict)
    flow = _flow(run, row)
    golden, _ = merge_one(run, flow, row.golden_id)
    value = _value(flow, golden, row, ruling)
    store, now = run.store, run.now()
    mine = _hub_record(run, row)
    link = link_of(mine, flow.shape)
    link.fields[row.path] = FieldState(own=Statement(value, now, mine.id))
    store.put_records([save_link(link, mine, flow.shape)])
    store.mark_dirty([row.golden_id])
    shown = json.dumps(value, ensure_ascii=False)
    store.journal(row.golden_id, DECIDED, f"{row.path}: {shown} by {ruling.by}: {ruling.why}", now)
    return row, value


def withdraw(run: Run, ruling: Ruling) -> ConflictRow:
    """What the hub said about the conflict's field is void. Raises ConfigError where it said nothing."""
    row = conflict(run, ruling.conflict)
    flow = _flow(run, row)
    said = [(mine, link_of(mine, flow.shape)) for mine in _hub_records(run, row)]
    void = [(mine, link) for mine, link in said if link.fields.pop(row.path, None) is not None]
    if not void:
        raise ConfigError(f"nothing was decided about {row.path} of {row.golden_id}")
    run.store.put_records([save_link(link, mine, flow.shape) for mine, link in void])
    run.store.mark_dirty([row.golden_id])
    run.store.journal(row.golden_id, WITHDRAWN, f"{row.path}: by {ruling.by}: {ruling.why}", run.now())
    return row


def reason_for(history: Sequence[tuple[int, str, str]], path: str) -> str:
    """Who decided about a field and why, from a golden record's journal; empty where nobody did."""
    start = f"{path}: "
    found = [text[len(start) :] for _, event, text in history if event == DECIDED and text.startswith(start)]
    return found[-1] if found else ""


def _flow(run: Run, row: ConflictRow) -> Flow:
    flow = run.flow(row.entity)
    if flow is None:
        raise ConfigError(f"{row.golden_id} is a {row.entity}, which the config does not sync any more")
    return flow


def _hub_records(run: Run, row: ConflictRow) -> list[RecordRow]:
    rows = run.store.records_of([row.golden_id]).get(row.golden_id, [])
    return [one for one in rows if one.system == HUB]


def _hub_record(run: Run, row: ConflictRow) -> RecordRow:
    known = _own_hub_record(run, row)
    if known is not None:
        return known
    fresh = RecordRow(HUB, row.entity, row.golden_id, row.entity, golden_id=row.golden_id, unresolved=False)
    fresh.read_at = run.now()
    run.store.put_records([fresh])
    made = _own_hub_record(run, row)
    assert made is not None
    return made


def _own_hub_record(run: Run, row: ConflictRow) -> RecordRow | None:
    """Not that of another golden record, which has joined this one: it goes with it should they be parted."""
    return next((one for one in _hub_records(run, row) if one.native_id == row.golden_id), None)


# -- the value ---------------------------------------------------------------------------------


def _value(flow: Flow, golden: Golden, row: ConflictRow, ruling: Ruling) -> Any:
    if ruling.empty:
        return None
    said = [json.loads(row.winner), *json.loads(row.losers)]
    if ruling.take is not None:
        values = {system: value for system, value, *_ in said}
        if ruling.take not in values:
            known = ", ".join(sorted(values))
            raise ConfigError(f"{ruling.take} said nothing in this conflict", hint=f"there are {known}")
        return values[ruling.take]
    if row.path.count("/") == 1:
        return _presence(row.path, ruling.text or "")
    return _parsed(flow, golden, row.path, ruling.text or "")


def _presence(path: str, text: str) -> bool | None:
    """Whether an element shall be there."""
    if text not in ("true", "false"):
        raise ConfigError(
            f"{text!r} does not say whether this element of {path.partition('/')[0]} shall be there",
            hint="true: it shall; false, or --clear: it shall not",
        )
    return text == "true" or None


def _parsed(flow: Flow, golden: Golden, path: str, text: str) -> Any:
    """The typed text as a value of the field: as it stands where it can be, else as JSON."""
    problem = ""
    for value in (text, *_as_json(text)):
        try:
            return _canonical(flow, golden, path, value)
        except ValidationError as error:
            problem = problem or str(error.errors()[0]["msg"])
    raise ConfigError(
        f"{text!r} is no value of {path.partition('/')[0]}: {problem}",
        hint='amounts and other parts are written as JSON: {"amount": "100", "currency": "EUR"}',
    )


def _canonical(flow: Flow, golden: Golden, path: str, value: Any) -> Any:
    name, _, rest = path.partition("/")
    element_id, _, inner = rest.partition("/")
    if not rest:
        return canonical(flow.shape.model.model_validate({name: value}))[name]
    element: Mapping[str, Any] = {**golden.element(name, element_id), inner: value}
    (found,) = canonical(flow.shape.model.model_validate({name: [element]}))[name]
    return found[inner]


def _as_json(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return []
