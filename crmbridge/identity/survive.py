"""Which value wins: linked records + policy -> golden record.

A golden record is a pure function of what the records said (`crmbridge.identity.link`), of the links and of
the policy. It is computed, never edited; in whatever order things arrived, the result is the same.

For one field:

1.  Each record has one statement: its own last word. A copy that we wrote is no word of its own.
2.  No statement: a null at first contact (nobody emptied anything), and an emptied value under
    `clear: ignore`, where the value said before it still counts.
3.  A further record of the same native one (`also:`, a guest order's party) only fills gaps. No gap is what
    a living record shows an element of, of that type or role: an order's phone number is not added to those
    of a customer who has one.
4.  A constant of a mapping (`type: phone` of a slot) is no word of its record: it counts where no living
    record says anything.
5.  A record that is gone speaks only where no living record says anything, unless a living record still
    holds its value as our copy.
6.  The winner is the first by authority (of the system where the value *originated*), then by time, then
    by the configured order of systems, then by record. At first contact no time is known, so that
    authority and order decide.
7.  Once a document is accepted, its owner's copy counts (`crmbridge.identity.documents`).
8.  Whatever differs from the winner and was said without knowledge of it is a conflict: recorded.

A set-list is decided element by element: whether an element is there is one field, each part of it another.
An edit of a part is a word for the element's presence at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crmbridge.identity.agreed import agreed, stands_apart
from crmbridge.identity.documents import accepted_by, is_carried, owner_of, travelling_delete
from crmbridge.identity.elements import unify_elements
from crmbridge.identity.link import FieldState, Link, Statement
from crmbridge.identity.policy import HUB, Policy
from crmbridge.identity.shape import Shape, element_path
from crmbridge.sdk.hookspecs import Candidate

__all__ = ["Conflict", "Decision", "Golden", "merge", "primaries"]

NO_VALUE = Statement(None, 0, 0)
NO_FIELDS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Decision:
    """The value of one golden field and why."""

    winner: Statement
    system: str
    rule: str
    """first contact, latest, authority, manual, decided, source, owner, accepted, only, last resort, fills a
    gap, consent, a plugin's name"""
    lost: tuple[tuple[str, Statement], ...] = ()
    """(system, statement) of each different value that lost."""
    waits: bool = False
    """A person has to decide: until then every record keeps its own word."""
    asked: tuple[int, ...] = ()
    """Records whose own word asks the owner of the document for something: they keep it."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Systems said different things about one field, none knowing of the other."""

    path: str
    winner: tuple[str, Statement]
    losers: tuple[tuple[str, Statement], ...]
    rule: str
    too_close: bool
    """The times differ by less than they are known."""
    undecided: bool = False
    """`manual`: the agreed value stays until a person decides."""


@dataclass(slots=True)
class Golden:
    """One merged record: path -> decision, with the conflicts met on the way."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    overruled: list[tuple[str, str, Statement]] = field(default_factory=list)
    """(path, system, statement) of edits that lost against a higher authority."""
    requests: list[tuple[str, str, Statement]] = field(default_factory=list)
    """(path, system, statement) of what the owner of the document is asked for; no path: to delete it."""
    delete: tuple[str, int] | None = None
    """(system, stamp) of a delete that travels."""
    relabelled: bool = False
    """Elements of the links got other ids: the links have to be saved."""
    _lists: dict[str, dict[str, dict[str, Any]]] | None = None

    def value(self, path: str) -> Any:
        """The golden value; None where there is none."""
        decision = self.decisions.get(path)
        return decision.winner.value if decision else None

    def elements(self, name: str) -> list[str]:
        """The ids of the elements that are present."""
        known = self._by_list().get(name, {})
        return sorted(e for e in known if self.decisions[element_path(name, e)].winner.value is True)

    def element(self, name: str, element_id: str) -> Mapping[str, Any]:
        """The fields of one element, without those that are empty."""
        return self._by_list().get(name, {}).get(element_id, NO_FIELDS)

    def _by_list(self) -> dict[str, dict[str, dict[str, Any]]]:
        """List -> element -> its fields; made once, when the decisions are made."""
        if self._lists is None:
            self._lists = {}
            for path, decision in self.decisions.items():
                name, _, rest = path.partition("/")
                if not rest:
                    continue
                element_id, _, inner = rest.partition("/")
                fields = self._lists.setdefault(name, {})
                if not inner:
                    fields.setdefault(element_id, {})
                elif decision.winner.value is not None:
                    fields.setdefault(element_id, {})[inner] = decision.winner.value
            for name, elements in self._lists.items():
                self._lists[name] = {
                    e: f for e, f in elements.items() if element_path(name, e) in self.decisions
                }
        return self._lists

    def doc(self, shape: Shape) -> dict[str, Any]:
        """The golden record as a canonical document."""
        doc = {name: self.decisions[name].winner.value for name in shape.scalars if name in self.decisions}
        for name in shape.lists:
            if name in self._by_list():
                doc[name] = [{"id": eid, **self.element(name, eid)} for eid in self.elements(name)]
        return doc


def primaries(links: Iterable[Link]) -> list[Link]:
    """One record of each system, and of each scope in it: the first linked one that lives and was read, else
    the first. The other records there are duplicates; no value flows between them. What people decided counts
    whichever of two customers, who are one by now, it was said of."""
    chosen: dict[tuple[str, str, int], Link] = {}
    for link in sorted(
        links, key=lambda one: (not (one.alive and one.fields), one.part != "", one.record_id)
    ):
        chosen.setdefault((link.system, link.scope, link.record_id if link.system == HUB else 0), link)
    return list(chosen.values())


def merge(
    shape: Shape, policy: Policy, links: Sequence[Link], canonical_ref: Callable[[Link, Any], Any]
) -> Golden:
    """Merge the records of one real-world thing.

    canonical_ref(link, ref): a native reference that this record holds as one to a golden record.
    """
    chosen = sorted(primaries(links), key=lambda one: (policy.rank(one.system), one.record_id))
    shape = shape.in_country(next((country for one in chosen if (country := one.country)), None))
    golden = Golden(relabelled=unify_elements(shape, chosen))
    dead = {one.record_id: one for one in links if not one.alive}
    accepted = accepted_by(shape, policy, chosen)
    view = _View(shape, policy, {one.record_id: one for one in chosen}, canonical_ref, golden, dead, accepted)
    for path in _paths(chosen):
        view.decide(path)
    golden.delete, asked = travelling_delete(shape, policy, chosen)
    golden.requests.extend(("", system, said) for system, said in asked)
    return golden


def _paths(links: Sequence[Link]) -> list[str]:
    """All paths, the parts of an element before its presence (their edits speak for it)."""
    found = {path for link in links for path in link.fields}
    return sorted(found, key=lambda path: (path.count("/") != 2, path))


@dataclass(slots=True)
class _View:
    """One merge in progress."""

    shape: Shape
    policy: Policy
    links: Mapping[int, Link]
    canonical_ref: Callable[[Link, Any], Any]
    golden: Golden
    dead: Mapping[int, Link]
    """Also those beside a living record of their system, one that they were merged into say."""
    accepted: Link | None
    """The record in which the owner of a document accepted it."""

    def decide(self, path: str) -> None:
        statements, rule = self._statements(path)
        name = path.partition("/")[0]
        ranked = sorted(statements, key=lambda s: self._precedence(name, s))
        asked: list[Statement] = []
        if self.accepted is not None and self._owner_decides(name) and self._is_edited(path):
            ranked, asked, rule = self._as_accepted(self.accepted, path, ranked, rule)
            self.golden.requests.extend((path, self._system(said), said) for said in asked)
        if not ranked:
            return
        winner, named = self._winner(path, ranked)
        rule = named or rule or self._rule(name, ranked, winner)
        different = [s for s in ranked if s is not winner and not self._equal(path, s.value, winner.value)]
        contested = different if self._is_edited(path) else []
        concurrent = [s for s in contested if self._is_concurrent(path, winner, s, rule)]
        if self._decided(winner):
            # What is said later is asked about again where a person has to decide, and loses elsewhere.
            concurrent = [s for s in contested if s.time > winner.time] if rule == "manual" else []
            rule = rule if concurrent else "decided"
        if concurrent:
            self._record_conflict(path, winner, concurrent, rule)
        waits = bool(concurrent) and rule == "manual"
        if waits:
            winner = winner if self._decided(winner) else self._agreed(path) or NO_VALUE
        else:
            self._record_overruled(path, name, winner, contested)
        lost = tuple((self._system(s), s) for s in [*different, *asked])
        by = tuple(said.origin for said in asked)
        self.golden.decisions[path] = Decision(winner, self._system(winner), rule, lost, waits, by)

    def _as_accepted(
        self, accepted: Link, path: str, ranked: list[Statement], rule: str
    ) -> tuple[list[Statement], list[Statement], str]:
        """What counts once a document was accepted, the owner's copy first; what others ask for; the rule."""
        state = accepted.fields.get(path)
        word = self._canonical(accepted, path, state.current() if state else None)
        if any(self._system(s) == HUB for s in ranked) or (word is not None and not self._is_rooted(word)):
            return ranked, [], rule
        if word is None or (word.value is None and not word.time):
            if not is_carried(accepted, path):
                return ranked, [], rule
            asked = [s for s in ranked if s.time and s.origin != accepted.record_id]
            return [s for s in ranked if s not in asked], asked, rule
        others = [s for s in ranked if s[1:3] != word[1:3] and s.origin != accepted.record_id]
        differ = [s for s in others if not self._equal(path, s.value, word.value)]
        asked = [s for s in differ if s.time > word.time and not self._state(path, s).sent]
        left = [s for s in others if s not in asked and s.time <= word.time]
        return [word, *left], asked, "accepted" if left or asked else rule

    def _is_rooted(self, word: Statement) -> bool:
        """Whether the record that said it is still one of these, and no decision that was taken back."""
        return (word.origin in self.links or word.origin in self.dead) and self._system(word) != HUB

    # candidates

    def _statements(self, path: str) -> tuple[list[Statement], str]:
        """What counts as said about `path`, and a rule name where only that could decide."""
        alive = [
            s for link in self._speakers() if link.alive and not link.part and (s := self._word(link, path))
        ]
        copies = [s for link in self._speakers() if link.alive and (s := self._copy_of_the_dead(link, path))]
        if alive or copies:
            return self._without_constants(path, self._unique([*alive, *copies])), ""
        left = [link for link in self._speakers() if not link.further or self._fills_a_gap(link, path)]
        parts = [s for link in left if link.part and link.alive and (s := self._word(link, path))]
        if parts:
            return parts, "fills a gap"
        dead = [s for link in left if not link.alive and (s := self._word(link, path))]
        return dead, "last resort"

    def _fills_a_gap(self, part: Link, path: str) -> bool:
        name, _, rest = path.partition("/")
        if not rest:
            return True
        mine, shape = rest.partition("/")[0], self.shape.lists[name]
        shown = [
            (element_id, link.element(name, element_id))
            for link in self._speakers()
            if link.alive and not link.part
            for element_id in link.shown(name)
        ]
        if any(element_id == mine for element_id, _ in shown):
            return True
        ours = part.element(name, mine)
        return not any(shape.is_of_one_kind(ours, theirs) for _, theirs in shown)

    def _speakers(self) -> Iterator[Link]:
        for link in self.links.values():
            if self.policy.source is None or link.system in (self.policy.source, HUB):
                yield link

    def _word(self, link: Link, path: str) -> Statement | None:
        state = link.fields.get(path)
        own = state.own if state else None
        if path.count("/") == 1:
            own = self._presence(link, path, own)
        if own is None or own.value is not None:
            return self._canonical(link, path, own)
        if own.time == 0:
            return None
        if path.partition("/")[0] in self.policy.ignore_clear and link.system != HUB:
            return self._canonical(link, path, state.said if state else None)
        return own

    def _presence(self, link: Link, path: str, own: Statement | None) -> Statement | None:
        """An edit of a part of an element says that the element is there."""
        edits = [
            state.own
            for inner, state in link.fields.items()
            if inner.startswith(path + "/") and state.own and state.own.time
        ]
        latest = max(edits, key=lambda s: s.time, default=None)
        if latest is None or (own is not None and own.time >= latest.time):
            return own
        return Statement(True, latest.time, latest.origin, latest.slack)

    def _copy_of_the_dead(self, link: Link, path: str) -> Statement | None:
        state = link.fields.get(path)
        sent = state.sent if state else None
        return self._canonical(link, path, sent) if sent and sent.origin in self.dead else None

    def _canonical(self, link: Link, path: str, said: Statement | None) -> Statement | None:
        shape = self.shape.field(path)
        if said is None or shape is None or not shape.is_ref or said.value is None:
            return said
        return said._replace(value=self.canonical_ref(link, said.value))

    def _unique(self, statements: Iterable[Statement]) -> list[Statement]:
        """One statement for each origin: its latest."""
        latest: dict[int, Statement] = {}
        for said in statements:
            if said.origin not in latest or said.time > latest[said.origin].time:
                latest[said.origin] = said
        return list(latest.values())

    def _without_constants(self, path: str, statements: list[Statement]) -> list[Statement]:
        if len(statements) < 2 or not self.policy.constants:
            return statements
        return [s for s in statements if not self._is_constant(path, s)] or statements

    def _is_constant(self, path: str, said: Statement) -> bool:
        link = self.links.get(said.origin)
        if link is None or not self.policy.constants.get((link.system, link.stream)):
            return False
        name, _, rest = path.partition("/")
        element_id, _, inner = rest.partition("/")
        known = link.elements.get(name, {}).items()
        locals_ = [local for local, element in known if element == element_id] if rest else [""]
        return any(self.policy.is_constant(link.system, link.stream, (name, at, inner)) for at in locals_)

    # decision

    def _precedence(self, name: str, said: Statement) -> tuple[int, int, int, int]:
        """What a system computes (a total) is no edit: its time says nothing."""
        system = self._system(said)
        time = 0 if self.shape.meta(name).computed else said.time
        return self._authority(name, system), -time, self.policy.rank(system), said.origin

    def _authority(self, name: str, system: str) -> int:
        if system == HUB:
            return -1
        if self._owner_decides(name):
            return 0 if system == owner_of(self.policy, self.accepted) else 1
        return self.policy.authority_rank(name, system)

    def _owner_decides(self, name: str) -> bool:
        """Whether that is for who owns the document: a field may have an authority of its own."""
        return self.policy.owner is not None and name not in self.policy.authority

    def _winner(self, path: str, ranked: Sequence[Statement]) -> tuple[Statement, str]:
        name = path.partition("/")[0]
        field_shape = self.shape.field(path)
        default = field_shape.meta.survivorship if field_shape else "latest"
        rule = self.policy.survivorship.get(name, default)
        if rule == "manual":
            return ranked[0], "manual"
        if rule == "consent":
            return consent(ranked), "consent"
        if callable(rule):
            index = rule([Candidate(self._system(s), s.value, _moment(s.time)) for s in ranked])
            if index is None:
                return ranked[0], "manual"
            return ranked[index], getattr(rule, "__name__", "plugin")
        return ranked[0], ""

    def _rule(self, name: str, ranked: Sequence[Statement], winner: Statement) -> str:
        if self.policy.source:
            return "source"
        others = [s for s in ranked if s is not winner]
        if not others:
            return "only"
        mine = self._authority(name, self._system(winner))
        if any(self._authority(name, self._system(s)) > mine for s in others):
            return "owner" if self._owner_decides(name) else "authority"
        return "latest" if winner.time else "first contact"

    def _equal(self, path: str, one: Any, other: Any) -> bool:
        name, _, rest = path.partition("/")
        if "/" not in rest:
            return one == other if rest else self.shape.same(path, one, other)
        element_id = rest.partition("/")[0]
        element = next((e for link in self.links.values() if (e := link.element(name, element_id))), None)
        return self.shape.same(path, one, other, element)

    # records of what happened

    def _is_edited(self, path: str) -> bool:
        """Whether people edit it: no total that a system computes, no status that an owner decides."""
        shape = self.shape.field(path)
        owned = self.policy.owner is not None and path == self.shape.status_field
        return not owned and not (shape is not None and shape.meta.computed)

    def _is_concurrent(self, path: str, winner: Statement, other: Statement, rule: str) -> bool:
        if rule != "manual":
            return _concurrent(winner, other, self._over(path, winner), self._over(path, other))
        mine, theirs = (self._state(path, said) for said in (winner, other))
        same = mine.common is not None and self._equal(path, mine.common.value, other.value)
        return stands_apart(winner, mine, other, theirs, same=same)

    def _agreed(self, path: str) -> Statement | None:
        """What the records agreed on before a person was asked. What was decided and taken back is void."""
        found = [
            said
            for link in self.links.values()
            for one in _in_common(link, path)
            if self._state(path, one).own and (said := self._canonical(link, path, one))
        ]
        return agreed(found, lambda one, other: self._equal(path, one.value, other.value))

    def _state(self, path: str, said: Statement) -> FieldState:
        """Of the record that said it."""
        link = self.links.get(said.origin) or self.dead.get(said.origin)
        return (link.fields.get(path) if link else None) or FieldState()

    def _over(self, path: str, said: Statement) -> Statement | None:
        link = self.links.get(said.origin)
        state = link.fields.get(path) if link else None
        return state.over if state and state.own and state.own.time == said.time else None

    def _decided(self, winner: Statement) -> bool:
        """A person said it, through the hub."""
        return self._system(winner) == HUB and self.policy.source != HUB

    def _record_conflict(self, path: str, winner: Statement, others: Sequence[Statement], rule: str) -> None:
        close = any(abs(winner.time - s.time) <= max(winner.slack, s.slack) and s.time for s in others)
        losers = tuple((self._system(s), s) for s in others)
        undecided = rule == "manual"
        self.golden.conflicts.append(
            Conflict(path, (self._system(winner), winner), losers, rule, close and winner.time > 0, undecided)
        )

    def _record_overruled(
        self, path: str, name: str, winner: Statement, different: Sequence[Statement]
    ) -> None:
        mine = self._authority(name, self._system(winner))
        for said in different:
            system = self._system(said)
            if said.time > winner.time and self._authority(name, system) > mine:
                self.golden.overruled.append((path, system, said))
        if self.policy.source and self._is_edited(path):
            self._record_edits_at_targets(path, winner)

    def _record_edits_at_targets(self, path: str, winner: Statement) -> None:
        for link in self.links.values():
            state = link.fields.get(path)
            own = state.own if state and link.system not in (self.policy.source, HUB) else None
            if own is not None and own.time and not self._equal(path, own.value, winner.value):
                self.golden.overruled.append((path, link.system, own))

    def _system(self, said: Statement) -> str:
        link = self.links.get(said.origin) or self.dead.get(said.origin)
        return link.system if link else ""


def _in_common(link: Link, path: str) -> Iterator[Statement]:
    """What a record last had in common with others. Who had a part of an element had the element."""
    state = link.fields.get(path)
    if state is not None:
        yield from (one for one in (state.common, state.lent) if one)
    if path.count("/") == 1:
        parts = (one.common for inner, one in link.fields.items() if inner.startswith(f"{path}/"))
        yield from (common._replace(value=True) for common in parts if common)


def consent(ranked: Sequence[Statement]) -> Statement:
    """A withdrawal wins over a grant, unless the grant is a later opt-in that names its source.

    "Later" by the time at which it was said where both name it, otherwise by when it was observed.
    """
    refused = [s for s in ranked if isinstance(s.value, dict) and s.value.get("state") != "granted"]
    if not refused:
        return ranked[0]
    latest_no = max(refused, key=_said_at)
    opted_in = [
        s
        for s in ranked
        if isinstance(s.value, dict)
        and s.value.get("state") == "granted"
        and s.value.get("source")
        and _said_at(s) > _said_at(latest_no)
    ]
    return max(opted_in, key=_said_at) if opted_in else latest_no


def _said_at(said: Statement) -> float:
    at = said.value.get("at") if isinstance(said.value, dict) else None
    return datetime.fromisoformat(at).timestamp() if at else said.time / 1_000_000


def _concurrent(
    winner: Statement, other: Statement, over: Statement | None, other_over: Statement | None
) -> bool:
    """Neither was said in knowledge of the other.

    An edit knows what it replaced (`over`) and everything before it. Two first contacts are concurrent:
    both were there when we came.
    """
    if winner.time == 0:
        return other.time == 0
    if other_over is not None and _is(other_over, winner):
        return False
    return other.time > (over.time if over else 0)


def _is(one: Statement, other: Statement) -> bool:
    return one.origin == other.origin and one.time == other.time


def _moment(time: int) -> datetime | None:
    return datetime.fromtimestamp(time / 1_000_000, UTC) if time else None
