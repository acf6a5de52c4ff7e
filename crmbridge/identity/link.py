"""What each linked record said, holds, was sent and held before: the base of the three-way merge.

For every field of a linked record:

    own     the last value that this record itself said, with its stamp; our writes never change it
    seen    what the record holds, as last read
    sent    what we last asked it to hold, and where that came from; kept while it still holds `seen`
    before  what it held before our last write

A *stamp* is the one time that a change gets when it is first observed. Time 0 is first contact: the value
was there when the record was first read, which is no edit and never wins by time.

A record that nobody but its own system ever touched needs no more than `seen`: then `own` is the same
value at first contact. `crmbridge.identity.stored.dump` writes only what differs from that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import msgspec

from crmbridge.identity.follow import follow_remapped, follow_renamed
from crmbridge.identity.shape import ListShape, Shape, element_path
from crmbridge_schemas.party import country_of

__all__ = [
    "FORMER",
    "UNSET",
    "FieldState",
    "Link",
    "Observation",
    "Reading",
    "Stamp",
    "Statement",
    "Status",
    "digest",
    "element_id_of",
    "flatten",
    "observe",
    "took_back",
    "with_local_ids",
    "wrote",
]


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Any = _Unset()
"""No value at all: the system does not carry the field, or did not say."""

Status = Literal["live", "gone", "archived", "out", "lost"]
"""live; gone or archived (a tombstone); out of scope (it left the stream's `when`); lost: the system was set
back to a time before it had the record, which nobody deleted."""


class Stamp(NamedTuple):
    """When a change was first observed. time: microseconds since 1970 UTC, 0 at first contact; slack: the
    uncertainty of it in microseconds, which never picks a winner."""

    time: int
    slack: int = 0


FIRST_CONTACT = Stamp(0)
FORMER = "#former:"
"""Of the part of a record whose native id was given to somebody else: no name in a mapping begins so."""


class Statement(NamedTuple):
    """A record said `value`. origin: the id of that record."""

    value: Any
    time: int
    origin: int
    slack: int = 0


@dataclass(slots=True)
class FieldState:
    """See the module's docstring."""

    seen: Any = UNSET
    own: Statement | None = None
    sent: Statement | None = None
    before: Any = UNSET
    over: Statement | None = None
    """What stood in the record when `own` was said: the common ancestor of concurrent edits."""
    shared: Statement | None = None
    """What it last had in common with others before it said something of its own, perhaps more than once."""
    said: Statement | None = None
    """The last `own` that was a value, kept while `own` is a null."""
    writes: list[tuple[str, int]] = field(default_factory=list)
    """(short hash, microseconds) of what we wrote since the record last said something new: it shows
    oscillation.
    An edit that only takes our write back, as a workflow over there may do each time, is nothing new."""
    undone: int = 0
    """When `sent` was taken back by the undo of a run, microseconds; 0: it was not. It is not sent again
    until somebody says it anew, or something else."""

    def current(self) -> Statement | None:
        """What the record stands for now: our write while it is in place, else its own word."""
        return self.sent or self.own

    def is_asked_for(self, said: Statement) -> bool:
        """Whether we wrote it; where that was undone, whether nobody has said it anew since."""
        return self.sent is not None and (not self.undone or said.time <= self.undone)

    @property
    def common(self) -> Statement | None:
        """What the record last had in common with others: our write, or what it held at first contact."""
        return self.shared or (self.own if self.own and self.own.time == 0 else None)

    @property
    def lent(self) -> Statement | None:
        """Our write while it is in place, unless it gave the record no more than its own word back."""
        is_own = self.sent and self.own and self.sent[1:3] == self.own[1:3]
        return None if is_own else self.sent

    @property
    def speaks(self) -> bool:
        """It holds a word of its own. A null at first contact is none."""
        own = None if self.lent else self.own
        return own is not None and (own.value is not None or own.time > 0)

    @property
    def refused(self) -> bool:
        """Of the presence of an element: the system was asked for it, and did not take it."""
        return self.seen is None and self.sent is not None and self.sent.value is True

    @property
    def fell_back(self) -> bool:
        """It holds what it held before our last write: an old copy was saved over it."""
        return self.sent is None and self.before is not UNSET and self.seen == self.before


@dataclass(slots=True)
class Link:
    """One record and the golden record it belongs to, with the state of each field."""

    record_id: int
    system: str
    stream: str
    native_id: str
    scope: str = ""
    part: str = ""
    """Set for a further canonical record of the same native one: it fills gaps and is never written. Also for
    one that is gone and whose native id was given to somebody else: then it begins with FORMER."""
    version: str | None = None
    status: Status = "live"
    gone_at: int = 0
    """Stamp of the delete, microseconds: when it was last there, where no time is told. 0 while it lives, and
    where the delete does not travel: a new record superseded it, or it was out of scope before."""
    deleted_by_us: bool = False
    fields: dict[str, FieldState] = field(default_factory=dict)
    elements: dict[str, dict[str, str]] = field(default_factory=dict)
    """Set-list -> native child id -> element id."""

    @property
    def further(self) -> bool:
        """A further record of a native one, and no record of its own."""
        return bool(self.part) and not self.part.startswith(FORMER)

    @property
    def alive(self) -> bool:
        return self.status in ("live", "out")

    def last_edit(self) -> int:
        """The stamp of the latest edit that this record itself made; 0 if it never did."""
        return max((s.own.time for s in self.fields.values() if s.own), default=0)

    def holds(self, path: str) -> Any:
        """What the record holds at `path`; UNSET where it does not say."""
        state = self.fields.get(path)
        return state.seen if state else UNSET

    def known(self, path: str) -> tuple[Any, ...]:
        """What the record holds at `path`, and what it said itself before we wrote over it."""
        state = self.fields.get(path)
        return (state.seen, state.own.value if state.own else UNSET) if state else ()

    def element(self, name: str, element_id: str) -> dict[str, Any]:
        """The fields of one element as this record holds them."""
        prefix = element_path(name, element_id) + "/"
        return {
            path[len(prefix) :]: state.seen
            for path, state in self.fields.items()
            if path.startswith(prefix) and state.seen is not UNSET
        }

    @property
    def country(self) -> str | None:
        """Where the party that it is at home, by the addresses that this record holds."""
        shown = self.shown("addresses")
        return country_of({"addresses": [self.element("addresses", one) for one in shown]}) if shown else None

    def shown(self, name: str) -> dict[str, str]:
        """Element id -> native child id of the elements that this record holds now."""
        return {
            element: local
            for local, element in self.elements.get(name, {}).items()
            if self.holds(element_path(name, element)) is True
        }


@dataclass(slots=True)
class Observation:
    """What one reading brought to light."""

    changed: list[str] = field(default_factory=list)
    """Paths in which the record said something new."""
    reverted: list[str] = field(default_factory=list)
    """Paths that fell back to exactly what we had overwritten: a lost write, not an edit."""


# -- reading -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Reading:
    """The circumstances of one observation."""

    shape: Shape
    stamp: Stamp
    versioned: bool
    """The stream has record versions, so that an old value cannot come back by a stale copy."""
    remapped: bool = False
    """The native record is unchanged and only the mapping differs: stamps stay."""
    new_mapping: bool = False
    """The mapping is another one than last time: fields that it did not have are first contact."""
    set_back: bool = False
    """The system was set back to its backup: what differs is old and nobody's edit."""
    unsaid: Mapping[str, Container[str]] = field(default_factory=dict)
    """List -> native child ids of which the record says nothing this time: those elements stay."""
    at: int = 0
    """When it was read, microseconds."""
    result: Observation = field(default_factory=Observation)


def observe(link: Link, doc: Mapping[str, Any], reading: Reading) -> Observation:
    """Take in what a record holds now (`doc`, canonical); changes `link`, returns what was new."""
    shape = reading.shape.in_country(country_of(doc))
    if shape is not reading.shape:
        reading = replace(reading, shape=shape)
    for name, value in doc.items():
        if name in reading.shape.lists:
            _observe_list(link, reading.shape.lists[name], value or (), reading)
        else:
            _observe_value(link, name, value, reading)
    return reading.result


def _observe_value(link: Link, path: str, value: Any, reading: Reading) -> None:
    state = link.fields.get(path)
    if state is None or (state.seen is UNSET and state.own is None and state.sent is None):
        # Where nothing was said, a null empties nothing: it is no edit that could win by its time.
        first = reading.new_mapping or reading.stamp.time == 0 or value is None
        stamp = FIRST_CONTACT if first else reading.stamp
        link.fields[path] = FieldState(value, Statement(value, stamp.time, link.record_id, stamp.slack))
        reading.result.changed.append(path)
        return
    if _same(link, path, state.seen, value, reading.shape):
        state.seen = value
        return
    reading.result.changed.append(path)
    if reading.remapped:
        _remap(state, value, link.record_id)
    elif reading.set_back or (not reading.versioned and state.before is not UNSET and state.before == value):
        state.seen, state.sent = value, None
        reading.result.reverted.append(path)
    else:
        _edit(state, value, reading.stamp, link.record_id)


def _edit(state: FieldState, value: Any, stamp: Stamp, record_id: int) -> None:
    if value is None and state.own is not None and state.own.value is not None:
        state.said = state.own
    if value is not None:
        state.said = None
    if state.lent is not None or state.own is None or state.own.time == 0:
        state.shared = state.current()
    state.over = state.current()
    state.own = Statement(value, stamp.time, record_id, stamp.slack)
    if value != state.before:
        state.writes.clear()
    state.seen, state.sent, state.before = value, None, UNSET


def _remap(state: FieldState, value: Any, record_id: int) -> None:
    if state.own is not None and state.sent is None:
        state.own = state.own._replace(value=value)
    elif state.own is None and state.sent is None:
        state.own = Statement(value, 0, record_id)
    state.seen = value


def _observe_list(
    link: Link, shape: ListShape, elements: Iterable[Mapping[str, Any]], reading: Reading
) -> None:
    known = link.elements.setdefault(shape.name, {})
    now = dict(with_local_ids(shape, elements))
    fresh = [local for local in now if local not in known]
    shown = link.shown(shape.name)
    missing = [local for local in shown.values() if local not in now]
    if reading.new_mapping and missing and fresh:
        gone = {local: link.element(shape.name, known[local]) for local in missing}
        come = {local: now[local] for local in fresh}
        follow_remapped(shape, known, gone, come, unchanged=reading.remapped)
    unsaid = reading.unsaid.get(shape.name, ())
    missing = [local for local in missing if local in known and local not in unsaid]
    follow_renamed(known, missing, [local for local in fresh if local not in known])
    for local, element in now.items():
        element_id = _id_in(known, link, shape.name, local)
        _observe_value(link, element_path(shape.name, element_id), True, reading)
        for inner, value in element.items():
            if inner != "id":
                _observe_value(link, element_path(shape.name, element_id, inner), value, reading)
    for local in missing:
        if local in known:
            _observe_missing(link, element_path(shape.name, known[local]), reading)


def _observe_missing(link: Link, path: str, reading: Reading) -> None:
    parts = [state for inner, state in link.fields.items() if inner.startswith(path + "/")]
    known = max((now for state in parts if (now := state.current())), key=lambda s: s.time, default=None)
    _observe_value(link, path, None, reading)
    state = link.fields[path]
    if state.seen is not None:
        return
    if path in reading.result.reverted:
        for part in parts:
            part.seen, part.sent, part.before = UNSET, None, UNSET
        return
    if known is not None and (state.over is None or known.time > state.over.time):
        state.over = state.shared = known._replace(value=True)
    for state in parts:
        state.seen, state.sent, state.before = UNSET, None, UNSET


def with_local_ids(
    shape: ListShape, elements: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Elements under their native child id, or under their natural key where they have none."""
    used: dict[str, int] = {}
    for element in elements:
        local = element.get("id") or "=" + "\x1f".join(shape.own_key(element))
        count = used[local] = used.get(local, 0) + 1
        yield (local if count == 1 else f"{local}\x1f{count}"), element


def element_id_of(link: Link, name: str, local: str) -> str:
    """A new element's id: the same for the same record and child, whenever it is first seen."""
    text = "\x1f".join((link.system, link.scope, link.stream, link.native_id, name, local))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()


def _id_in(known: dict[str, str], link: Link, name: str, local: str) -> str:
    """The id of an element, which is known from now on."""
    if local not in known:
        known[local] = element_id_of(link, name, local)
    return known[local]


def _same(link: Link, path: str, one: Any, other: Any, shape: Shape) -> bool:
    if one is UNSET or other is UNSET:
        return one is other
    if one == other:
        return True
    name, _, rest = path.partition("/")
    if "/" not in rest:
        return not rest and shape.same(path, one, other)
    return shape.same(path, one, other, link.element(name, rest.partition("/")[0]))


# -- writing -----------------------------------------------------------------------------------


def wrote(link: Link, path: str, sent: Statement, held: Any, at: int, before: Any = UNSET) -> None:
    """Our write to one field, `at` (microseconds), is in place: the record holds `held`, perhaps altered.

    before: what stood in its place, where that was another element's, or none."""
    state = link.fields.setdefault(path, FieldState())
    state.before = before if state.seen is UNSET else state.seen
    state.sent = sent
    state.seen = held
    state.undone = 0
    state.writes = [*state.writes[-7:], (digest(sent.value), at)]


def took_back(link: Link, path: str, asked: Statement, held: Any, at: int) -> None:
    """Our write of `asked` was undone at `at` (microseconds): the record holds `held`, and is left so."""
    state = link.fields.setdefault(path, FieldState())
    state.before, state.seen, state.sent = state.seen, held, asked
    state.undone = 0 if held == asked.value else at


def digest(value: Any) -> str:
    """A short hash of a value, to recognise it again without keeping it."""
    return hashlib.blake2b(msgspec.json.encode(value, order="sorted"), digest_size=4).hexdigest()


# -- documents ---------------------------------------------------------------------------------


def flatten(shape: Shape, link: Link, doc: Mapping[str, Any]) -> dict[str, Any]:
    """A canonical document as path -> value, with the element ids that `link` knows."""
    flat: dict[str, Any] = {}
    for name, value in doc.items():
        if name not in shape.lists:
            flat[name] = value
            continue
        known = link.elements.setdefault(name, {})
        for local, element in with_local_ids(shape.lists[name], value or ()):
            element_id = _id_in(known, link, name, local)
            flat[element_path(name, element_id)] = True
            for inner, part in element.items():
                if inner != "id":
                    flat[element_path(name, element_id, inner)] = part
    return flat
