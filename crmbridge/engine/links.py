"""Store rows <-> links with field states, and the small moves of a link that several stages make."""

from __future__ import annotations

import base64
from collections.abc import Collection
from hashlib import blake2b, sha256

import msgspec

from crmbridge.engine.operations import Planned, decode
from crmbridge.identity.link import Link, Stamp
from crmbridge.identity.shape import Shape
from crmbridge.identity.stored import Kept, dump, dump_part, kept, load, load_part
from crmbridge.sdk.connector import Record
from crmbridge.store.base import Store
from crmbridge.store.rows import IntentRow, RecordRow

__all__ = [
    "BY_HAND",
    "awaited",
    "follow",
    "golden_id_for",
    "join_goldens",
    "link_of",
    "part_of",
    "planned_of",
    "print_of",
    "raw_hash",
    "save_link",
    "save_part",
    "stamp_between",
    "supersede_deletes",
    "was_written",
]

_encode = msgspec.json.Encoder(decimal_format="number").encode
BY_HAND = "merged by hand"
"""The event of the journal that a person said of two golden records that they are one."""
FORMER = 5
"""So many earlier states of a record are remembered."""


def link_of(row: RecordRow, shape: Shape) -> Link:
    """The record with its field states."""
    return load(_bare(row), shape, kept(row.seen, row.state))


def part_of(row: RecordRow, shape: Shape, found: Kept, names: Collection[str]) -> Link:
    """The record with the states of these fields alone, which `save_part` puts back. found: what is in it."""
    return load_part(_bare(row), shape, found, names)


def _bare(row: RecordRow) -> Link:
    return Link(
        record_id=row.id,
        system=row.system,
        stream=row.stream,
        native_id=row.native_id,
        part=row.part,
        scope=row.scope,
        version=row.version,
        status=row.status,
        gone_at=row.gone_at,
        deleted_by_us=row.deleted_by_us,
    )


def save_link(link: Link, row: RecordRow, shape: Shape) -> RecordRow:
    """Put the field states back into the row."""
    row.seen, row.state = dump(link, shape)
    return row


def save_part(link: Link, row: RecordRow, shape: Shape, found: Kept, names: Collection[str]) -> RecordRow:
    """Put the states of these fields back into the row; the others stay."""
    row.seen, row.state = dump_part(link, shape, found, names)
    return row


def raw_hash(record: Record) -> bytes:
    """What tells whether a record is the same as last time. Raises ValueError for text that is no Unicode."""
    try:
        return sha256(_encode(record.data)).digest()[:16]
    except (TypeError, UnicodeError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error


def print_of(version: str | None, digest: bytes) -> str:
    """What tells one state of a record from all others; digest: its `raw_hash`."""
    return blake2b((version or "").encode() + b"\x00" + digest, digest_size=8).hexdigest()


def follow(row: RecordRow, version: str | None, digest: bytes) -> None:
    """The record is in this state from now on. Those before are remembered: a replica that lags may serve
    them once more."""
    now = print_of(version, digest)
    if row.raw_hash and (before := print_of(row.version, row.raw_hash)) != now:
        known = [one for one in row.former.split() if one not in (before, now)]
        row.former = " ".join([*known, before][-FORMER:])
    row.version, row.raw_hash = version, digest


def stamp_between(last: int, now: int, said: int | None, grain: int) -> Stamp:
    """The one time of a change that a reading brought to light. last, now: when the record was read before,
    and this time; said: the system's own time of the change, corrected; grain: of that time. Microseconds."""
    if said is None:
        return Stamp(now, max(0, now - last))
    if not last < said <= now:
        return Stamp(min(max(said, last + 1), now), max(grain, now - last))
    return Stamp(said, grain)


def planned_of(row: IntentRow) -> Planned:
    """The operation of an intent, for the golden record that it belongs to now."""
    planned = decode(row.payload)
    planned.golden_id = row.golden_id
    return planned


def golden_id_for(row: RecordRow, salt: str = "") -> str:
    """A new golden id: the first letters of the entity and a hash of the record that founds it."""
    text = "\x1f".join((row.entity, row.system, row.scope, row.stream, row.native_id, row.part, salt))
    code = base64.b32encode(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())
    return f"{row.entity[:3]}_{code.decode().rstrip('=').lower()}"


def awaited(system: str, entity: str, native_id: str) -> str:
    """What stands, among the golden ids that a document refers to, for a record that has not come yet."""
    return "\x1f".join((system, entity, native_id))


def was_written(row: RecordRow) -> bool:
    """Whether it holds something that we asked for."""
    return any("sent" in parts for parts in kept(row.seen, row.state).fields.values())


def supersede_deletes(store: Store, golden_ids: Collection[str]) -> None:
    """Somebody who was deleted somewhere lives again: that delete does not travel any more. Where we had
    carried it out they are missing, and are created anew; what we archived there is still to be had."""
    found = store.records_of(sorted(golden_ids)) if golden_ids else {}
    gone = [
        row for rows in found.values() for row in rows if row.status in ("gone", "archived") and row.gone_at
    ]
    for row in gone:
        row.gone_at = 0
        if row.deleted_by_us and row.status == "gone":
            row.status, row.deleted_by_us = "lost", False
    store.put_records(gone)


def join_goldens(store: Store, loser: str, survivor: str, why: str, now: int, event: str = "merged") -> None:
    """Two golden records are one: the loser's records and open operations move, its id redirects."""
    rows = store.records_of([loser]).get(loser, [])
    store.set_links((row.id, survivor) for row in rows)
    store.move_intents(loser, survivor)
    golden = store.goldens([loser]).get(loser)
    if golden is not None:
        golden.merged_into, golden.dirty = survivor, False
        store.put_goldens([golden])
    referring = store.referring([loser])
    store.mark_unresolved(referring)  # their natural keys may hold it
    store.mark_dirty([survivor, *referring])
    store.journal(survivor, event, f"{loser} joined: {why}", now)
    store.journal(loser, event, f"into {survivor}: {why}", now)
