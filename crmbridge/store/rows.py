"""The rows that a store keeps: plain data. What their times, texts and ids are, base.py says.

They are no dataclasses: such classes are made in a tenth of the time, at each start, and their objects in a
third.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

__all__ = [
    "ConflictRow",
    "DeadLetterRow",
    "GoldenRow",
    "IntentRow",
    "JudgementRow",
    "KnownRecord",
    "NoteRow",
    "OpenPair",
    "OwedRow",
    "Parting",
    "RecordRow",
    "RunRow",
    "StreamRow",
    "SystemRow",
    "WriteRow",
]

RecordStatus = Literal["live", "gone", "archived", "out", "lost"]
IntentStatus = Literal[
    "planned", "sent", "accepted", "done", "uncertain", "rejected", "conflict", "parked", "stale"
]


class RecordRow(msgspec.Struct):
    """A record of a system, with its link and its base. Unique: (system, stream, native_id, scope, part)."""

    system: str
    stream: str
    native_id: str
    entity: str
    scope: str = ""
    part: str = ""
    """For a further canonical record of the same native one (`also:`): its name and content key."""
    id: int = 0
    """0 until it is first put."""
    golden_id: str | None = None
    status: RecordStatus = "live"
    raw_hash: bytes = b""
    version: str | None = None
    seen: str = "{}"
    """Canonical document as last read (JSON)."""
    state: str | None = None
    """What of the field states does not follow from `seen` (JSON)."""
    mapped_by: str = ""
    """Fingerprint of the mapping that made `seen`."""
    read_at: int = 0
    gone_at: int = 0
    deleted_by_us: bool = False
    unresolved: bool = True
    """Its identity has to be looked at: it is new, or its keys may have changed."""
    former: str = ""
    """What tells the last states that it was in before this one, with blanks between."""


class KnownRecord(msgspec.Struct, gc=False):
    """The little that decides whether a record has to be looked at again."""

    id: int
    raw_hash: bytes
    mapped_by: str
    status: str
    version: str | None
    read_at: int


class GoldenRow(msgspec.Struct):
    """One golden record as last computed: for finding and showing. The truth is in the records."""

    id: str
    entity: str
    doc: str = "{}"
    decisions: str = "{}"
    """Path -> origin, stamp, rule and losers (JSON)."""
    dirty: bool = True
    """Something that it depends on changed: it has to be merged and planned."""
    merged_into: str | None = None
    updated_at: int = 0


Parting = Literal["apart", "asked"]
"""Why two golden records do not become one by themselves: a person said that they are two, or took back that
they are one, and is asked again."""


class JudgementRow(msgspec.Struct):
    """What a person said about two golden records: that they are one, or that they are two."""

    verdict: Literal["one", "apart"]
    entity: str
    one: str
    """Golden ids, as they were then."""
    other: str
    """The one that stayed, where both became one; the new one, where a record was parted."""
    places: str
    """For people: the records that it was said of."""
    said_by: str
    why: str
    at: int = 0
    moved: str = "[]"
    """The ids of the records that it moved (JSON): from `one` to `other`."""
    revoked_at: int = 0
    """0: it holds."""
    revoked_by: str = ""
    revoked_why: str = ""
    id: int = 0


class OpenPair(NamedTuple):
    """Two golden records that may be one, which nobody has decided yet."""

    entity: str
    one: str
    other: str
    since: int


class SystemRow(msgspec.Struct):
    """What is remembered of a system."""

    name: str
    connector: str = ""
    fingerprint: str = ""
    paused: bool = False
    clock_offset: int = 0
    """Its clock minus ours when last measured, microseconds."""
    last_success: int = 0


class StreamRow(msgspec.Struct):
    """How far a stream was read, and what was agreed about it."""

    system: str
    stream: str
    cursor: str | None = None
    """Opaque JSON; None: nothing read yet, or always read in full."""
    read_started: int = 0
    """When the last complete pull began: what changed before it has been seen."""
    complete_at: int = 0
    """When a complete listing was last read."""
    live_count: int = 0
    """Records in that listing."""
    reading_since: int = 0
    """When the pull that is not finished began; 0: none is under way."""
    high_water: str | None = None
    """The system's own counter of changes when last seen (JSON): it never moves backwards."""


class IntentRow(msgspec.Struct):
    """One operation, saved before it is sent."""

    id: str
    run: int
    system: str
    stream: str
    entity: str
    kind: str
    golden_id: str
    payload: str
    """The planned operation (JSON)."""
    status: IntentStatus = "planned"
    record_id: int | None = None
    native_id: str | None = None
    scope: str = ""
    """In which scope of the system it happens."""
    handle: str | None = None
    reason: str = ""
    attempts: int = 0
    not_before: int = 0
    created_at: int = 0
    updated_at: int = 0
    position: int = 0
    """Order within the run: parents before children."""


class OwedRow(msgspec.Struct):
    """What a target lacks of a golden record and cannot be given yet. Unique: (golden_id, system)."""

    golden_id: str
    system: str
    entity: str
    why: Literal["away", "open", "parked", "held"]
    """away: the target took no part; open: an operation of unknown outcome is in the way; parked: it waits
    for a record that it refers to; held: it carries what a system says that was stopped for safety, or
    a field keeps changing there among the same values."""
    detail: str = ""
    """For people: what it waits for."""
    since: int = 0


class DeadLetterRow(msgspec.Struct):
    """A record or an operation given up on, kept whole, replayable."""

    kind: Literal["record", "operation"]
    system: str
    stream: str
    native_id: str
    """Of the record; for a create the golden id."""
    error: str
    raw: str
    """The whole payload (JSON)."""
    entity: str = ""
    golden_id: str | None = None
    scope: str = ""
    id: int = 0
    status: Literal["open", "replayed", "dropped"] = "open"
    attempts: int = 1
    first_at: int = 0
    last_at: int = 0
    run: int = 0


class RunRow(msgspec.Struct):
    """One run of the engine."""

    id: int = 0
    command: str = ""
    started_at: int = 0
    ended_at: int = 0
    exit_code: int | None = None
    counts: str = "{}"
    """What was read and written, by system and entity (JSON)."""


class WriteRow(msgspec.Struct):
    """One field that a run wrote over: what `runs undo` needs."""

    run: int
    intent: str
    system: str
    record_id: int
    golden_id: str
    path: str
    before: str
    """JSON; the text `unset` for a field that held nothing."""
    after: str
    at: int = 0
    id: int = 0


class ConflictRow(msgspec.Struct):
    """Two systems changed one field differently. Unique: (golden_id, path, winner, losers)."""

    golden_id: str
    entity: str
    path: str
    winner: str
    """System, value, stamp (JSON)."""
    losers: str
    rule: str
    too_close: bool = False
    undecided: bool = False
    at: int = 0
    run: int = 0
    id: int = 0


class NoteRow(msgspec.Struct):
    """Something a run found that is no write: overruled, reverted, altered, closed, held ..."""

    run: int
    kind: str
    system: str
    entity: str
    golden_id: str
    path: str
    text: str
    at: int = 0
    id: int = 0
