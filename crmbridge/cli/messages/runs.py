"""Lines of `--json` about runs: what they do, and what they leave to people."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from crmbridge.cli.messages.base import Message

__all__ = [
    "ChangePart",
    "ConflictMessage",
    "DeadLetterMessage",
    "DecisionMessage",
    "NoteMessage",
    "OperationMessage",
    "RulingMessage",
    "RunMessage",
    "SummaryMessage",
    "UncertainMessage",
    "WriteMessage",
]


class ChangePart(BaseModel):
    """One field of an operation."""

    model_config = ConfigDict(extra="forbid")

    path: str
    """The canonical field; `LIST/ELEMENT` and `LIST/ELEMENT/FIELD` for elements of lists."""
    old: Any = None
    """What the record holds now."""
    new: Any = None
    """What it shall hold; left out where it is emptied."""
    origin: str = ""
    """The system in which the value originated."""


class OperationMessage(Message):
    """One operation of a plan."""

    type: Literal["operation"] = "operation"
    id: str
    """The same for the same operation, whenever it is planned."""
    kind: str
    """create, update, archive, delete or transition."""
    system: str
    """Where it would be written."""
    stream: str
    """The object type there."""
    entity: str
    """The canonical type."""
    golden_id: str
    """The golden record."""
    native_id: str | None = None
    """The record there; left out for creates."""
    label: str = ""
    """Its name, number or title, as far as it is known."""
    changes: list[ChangePart] = []
    """What would be written."""
    waits_for: list[str] = []
    """Golden ids that need a record in that system first."""


class SummaryMessage(Message):
    """How a plan, an apply or a sync ended; the last line."""

    type: Literal["summary"] = "summary"
    command: str
    """plan, apply, sync, retry, dead-letters replay or runs undo."""
    exit_code: int
    """What the command ends with."""
    verdict: str
    """done, approval (a person has to look) or limit (a safety limit stopped it)."""
    run: int | None = None
    """The run's id, where there was one."""
    planned: dict[str, int] = {}
    """`SYSTEM/ENTITY/KIND`: how many operations the plan holds."""
    counts: dict[str, int] = {}
    """`SYSTEM/ENTITY/WHAT`: what was read and written."""
    reasons: list[str] = []
    """Why a person has to look."""
    stale: list[str] = []
    """Operations of the saved plan that are no longer true: at most 100."""
    stale_count: int = 0
    """How many they are in all."""
    failed: dict[str, str] = {}
    """System: why it dropped out."""
    open_problems: int = 0
    """Dead letters, uncertain operations and what is parked too long, as of now."""
    lost: int = 0
    """Conflicts that were met first and decided by a rule, so that a value lost: `conflicts list --all`."""
    undecided: int = 0
    """Conflicts that were met first and wait for a person: `conflicts list`."""
    duplicates: int = 0
    """Pairs of golden records that may be one and wait for a person: `identity duplicates`."""
    doubtful_links: int = 0
    """Linked records of which one says person and one organization, which wait for a person: the same."""
    conflicts: int = 0
    """Conflicts that wait for a person: `conflicts list`."""
    waiting: list[str] = []
    """What is parked too long, and what it waits for: the longest first, at most 100."""
    plan: str | None = None
    """The file in which the plan was saved."""
    command_to_apply: str | None = None
    """The command that applies it."""


class NoteMessage(Message):
    """Something a run found that is no write."""

    type: Literal["note"] = "note"
    run: int
    """The run's id."""
    kind: str
    """overruled, reverted, altered, closed, held, kept, parked, possible duplicate, doubtful link ..."""
    system: str
    """The system that it is about."""
    entity: str
    """The canonical type."""
    golden_id: str
    """The golden record."""
    path: str
    """The canonical field."""
    text: str
    """What was found."""


class RunMessage(Message):
    """One run."""

    type: Literal["run"] = "run"
    id: int
    """Its id."""
    command: str
    """What was run."""
    started_at: str
    """When it began."""
    ended_at: str | None = None
    """When it ended; left out while it goes on, and where it was cut off."""
    exit_code: int | None = None
    """What it ended with."""
    counts: dict[str, int] = {}
    """`SYSTEM/ENTITY/WHAT`: what was read and written."""
    forgotten: bool = False
    """Whether it is no longer known what exactly it wrote and found: see `keep` in the config."""


class WriteMessage(Message):
    """One field that a run wrote."""

    type: Literal["write"] = "write"
    run: int
    """The run's id."""
    system: str
    """Where."""
    golden_id: str
    """The golden record."""
    created: bool = False
    """The record was created by this."""
    path: str
    """The canonical field."""
    before: Any = None
    """What it held."""
    after: Any = None
    """What was written."""


class ConflictMessage(Message):
    """Two systems had changed one field differently."""

    type: Literal["conflict"] = "conflict"
    id: int
    """Its id, for `conflicts show` and `conflicts decide`."""
    run: int
    """The run's id."""
    entity: str
    """The canonical type."""
    golden_id: str
    """The golden record."""
    path: str
    """The canonical field."""
    winner: Any
    """System, value and time of what won."""
    losers: Any
    """The same of each that lost."""
    rule: str
    """What decided."""
    too_close: bool = False
    """The times differ by less than they are known."""
    undecided: bool = False
    """A person has to decide."""


class DecisionMessage(Message):
    """A person decided a conflict, or withdrew that."""

    type: Literal["decision"] = "decision"
    conflict: int
    """The conflict's id."""
    entity: str
    """The canonical type."""
    golden_id: str
    """The golden record."""
    path: str
    """The canonical field."""
    value: Any = None
    """What it shall be; null where the field shall be empty, and where a decision is withdrawn."""
    withdrawn: bool = False
    """The decision is void, the field is decided by its rule again."""
    by: str
    """Who said so."""
    why: str
    """The reason given."""


class UncertainMessage(Message):
    """One operation whose outcome nobody knows."""

    type: Literal["uncertain"] = "uncertain"
    id: str
    """Its id, for `uncertain adopt` and `uncertain undo`."""
    kind: str
    """create, update, archive, delete or transition."""
    system: str
    """Where it was sent."""
    stream: str
    """The object type there."""
    entity: str
    """The canonical type."""
    golden_id: str
    """The golden record."""
    label: str = ""
    """Its name, number or title, as far as it is known."""
    since: str
    """Since when."""
    why: str
    """Why nobody knows."""
    candidates: list[str] = []
    """Records that may be what it made: SYSTEM/STREAM/ID, at most 20."""


class RulingMessage(Message):
    """A person said who is who, or what became of an operation."""

    type: Literal["ruling"] = "ruling"
    command: str
    """links unlink, links relink, uncertain adopt or uncertain undo."""
    place: str | None = None
    """The record, SYSTEM/STREAM/ID; left out for an operation that made none."""
    golden_id: str
    """The golden record that it belongs to now."""
    before: str = ""
    """The one that it belonged to before."""
    by: str
    """Who said so."""
    why: str
    """The reason given."""


class DeadLetterMessage(Message):
    """One dead letter."""

    type: Literal["dead_letter"] = "dead_letter"
    id: int
    """Its id."""
    kind: str
    """record (could not be read) or operation (could not be written)."""
    status: str
    """open, replayed or dropped."""
    system: str
    """The system."""
    stream: str
    """The object type."""
    native_id: str
    """The record; for creates the golden id."""
    entity: str = ""
    """The canonical type."""
    error: str
    """What is wrong."""
    attempts: int
    """In how many runs it was tried."""
    first_at: str
    """When it failed first."""
    last_at: str
    """When it failed last."""
    raw: Any = None
    """The whole payload; only in `dead-letters show`."""
