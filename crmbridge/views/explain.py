"""Why a golden field has its value: what each system said and when, which rule decided, what lost and why.

The merge is computed anew from the state; nothing about it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from crmbridge.config import meant
from crmbridge.engine.golden import merge_one
from crmbridge.engine.run import Flow, Run
from crmbridge.engine.steward import reason_for
from crmbridge.identity.link import UNSET, FieldState, Link, Statement
from crmbridge.identity.policy import HUB
from crmbridge.identity.survive import Decision, Golden
from crmbridge.sdk.errors import ConfigError
from crmbridge.views.view import golden_row

__all__ = ["Explained", "Lost", "Said", "explain"]


@dataclass(frozen=True, slots=True)
class Lost:
    """A value that did not win."""

    system: str
    native_id: str
    value: Any
    time: int
    when: str
    why: str
    """A sentence."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one record says of the field."""

    system: str
    stream: str
    native_id: str
    status: str
    text: str
    """In plain words: what it holds, its own last word, what we sent, what it held before."""
    own: Any = None
    seen: Any = None
    sent: Any = None
    before: Any = None


@dataclass(frozen=True, slots=True)
class Explained:
    """One golden field."""

    path: str
    """`legal_name`, `contact_points/ID/value`; `contact_points/ID` only for an element that is gone."""
    label: str
    """The same for people: `legal name`, `contact points (phone, +4930123456): value`."""
    value: Any
    system: str
    """Where the value originated."""
    native_id: str
    time: int
    """Microseconds since 1970 UTC; 0 at first contact."""
    when: str
    """The same for people."""
    rule: str
    because: str
    """The rule as a sentence."""
    lost: tuple[Lost, ...] = ()
    conflicts: tuple[str, ...] = ()
    """Values that were said without knowledge of each other, a sentence each."""
    said: tuple[Said, ...] = ()


def explain(run: Run, golden_id: str, path: str | None = None, *, zone: tzinfo = UTC) -> list[Explained]:
    """Every field of a golden record, or those at or below `path` (`legal_name`, `contact_points`).

    Raises ConfigError for an unknown id or field, and where the config no longer syncs the entity.
    """
    row = golden_row(run.store, golden_id)
    flow = run.flow(row.entity)
    if flow is None:
        raise ConfigError(f"{golden_id} is a {row.entity}, which the config does not sync any more")
    golden, links = merge_one(run, flow, row.id)
    paths = _ordered(flow, golden)
    wanted = [p for p in paths if path is None or p == path or p.startswith(path + "/")]
    if path is not None and not wanted and path.partition("/")[0] not in flow.shape.model.model_fields:
        raise ConfigError(
            f"a {row.entity} has no field {path!r}", hint=meant(path, flow.shape.model.model_fields)
        )
    by_id = {link.record_id: link for link in links}
    teller = _Teller(flow, golden, by_id, zone, run.store.history(row.id))
    told = (one for one in wanted if one == path or not _is_there(one, golden))
    return [teller.field(one) for one in told]


def _is_there(path: str, golden: Golden) -> bool:
    """The presence of an element that is there: its parts say more."""
    return path.count("/") == 1 and golden.value(path) is True


def _ordered(flow: Flow, golden: Golden) -> list[str]:
    """The paths in the order of the schema, elements together."""
    names = list(flow.shape.model.model_fields)
    return sorted(golden.decisions, key=lambda p: (names.index(p.partition("/")[0]), p))


@dataclass(frozen=True, slots=True)
class _Teller:
    """One golden record being explained."""

    flow: Flow
    golden: Golden
    links: Mapping[int, Link]
    zone: tzinfo
    history: Sequence[tuple[int, str, str]]
    """The golden record's journal."""

    def field(self, path: str) -> Explained:
        """One field."""
        decision = self.golden.decisions[path]
        won = decision.winner
        return Explained(
            path,
            self._label(path),
            won.value,
            decision.system,
            self._native(won),
            won.time,
            self._when(won.time),
            decision.rule,
            self._because(path, decision),
            tuple(self._lost(path, decision, system, said) for system, said in decision.lost),
            tuple(self._conflicts(path)),
            tuple(self._said(link, path) for link in self.links.values() if path in link.fields),
        )

    def _label(self, path: str) -> str:
        name, _, rest = path.partition("/")
        words = name.replace("_", " ")
        if not rest:
            return words
        element_id, _, inner = rest.partition("/")
        key = self.flow.shape.lists[name].merge_key(self.golden.element(name, element_id))
        named = f"{words} ({', '.join(filter(None, key))})" if any(key) else words
        return f"{named}: {inner.replace('_', ' ')}" if inner else named

    def _native(self, said: Statement) -> str:
        link = self.links.get(said.origin)
        return link.native_id if link else ""

    def _when(self, time: int) -> str:
        if time == 0:
            return "at first contact"
        moment = datetime.fromtimestamp(time / 1_000_000, self.zone)
        return moment.strftime("%Y-%m-%d %H:%M:%S ") + (moment.tzname() or "")

    # why it won

    def _because(self, path: str, decision: Decision) -> str:
        system = decision.system
        name = path.partition("/")[0]
        sentences = {
            "only": f"only {system} says anything",
            "first contact": f"unchanged since first contact, and {system} comes first in the config",
            "latest": f"{system} changed it last",
            "authority": f"{system} decides about {name}",
            "owner": f"{system} owns this document now",
            "accepted": "the document was accepted so, and its owner decides about changes",
            "source": f"the config takes it from {system} alone",
            "manual": "a person has to decide; until then the agreed value stays",
            "consent": "a withdrawal wins over a grant, unless there is a later opt-in with its source",
            "fills a gap": f"no record of its own says anything; {system} mentions it elsewhere",
            "last resort": f"no living record says anything; {system} said it before it was deleted",
        }
        if decision.rule == "source" and system == HUB:
            return "crmbridge computes it"
        if decision.waits and not system:
            return "a person has to decide, and nothing is known that was agreed before"
        if decision.rule == "decided":
            return f"a person decided: {reason_for(self.history, path)}"
        return sentences.get(decision.rule, f"the rule {decision.rule} chose it")

    # what lost

    def _lost(self, path: str, decision: Decision, system: str, said: Statement) -> Lost:
        why = self._why_lost(path, decision, system, said)
        return Lost(system, self._native(said), said.value, said.time, self._when(said.time), why)

    def _why_lost(self, path: str, decision: Decision, system: str, said: Statement) -> str:
        won = decision.winner
        if decision.rule not in _BY_PRECEDENCE:
            return self._because(path, decision)
        policy, name = self.flow.policy, path.partition("/")[0]
        if decision.rule == "owner":
            return f"{decision.system} owns this document now"
        if policy.authority_rank(name, system) > policy.authority_rank(name, decision.system):
            return f"{decision.system} decides about {name} before {system}"
        if won.time > said.time:
            earlier = self._when(said.time)
            return f"{system} said it {earlier}, and {decision.system} changed it later"
        return f"{decision.system} comes before {system} in the config"

    def _conflicts(self, path: str) -> list[str]:
        told = []
        for conflict in self.golden.conflicts:
            if conflict.path != path:
                continue
            others = " and ".join(f"{system} says {_text(said.value)}" for system, said in conflict.losers)
            first, won = conflict.winner
            text = f"{first} says {_text(won.value)} and {others}, none knowing of the other"
            if conflict.undecided:
                text += "; a person has to decide"
            elif conflict.too_close:
                text += "; the times are too close to tell which was first"
            told.append(text)
        return told

    # what each record says

    def _said(self, link: Link, path: str) -> Said:
        state = link.fields[path]
        own, sent = state.own, state.sent
        return Said(
            link.system,
            link.stream,
            link.native_id,
            link.status,
            "; ".join(self._sentences(link, state)),
            own.value if own else None,
            _known(state.seen),
            sent.value if sent else None,
            _known(state.before),
        )

    def _sentences(self, link: Link, state: FieldState) -> Sequence[str]:
        told = []
        if link.system == HUB and state.seen is UNSET and state.own is not None:
            return [f"a person decided {_text(state.own.value)}, {self._when(state.own.time)}"]
        if not link.alive:
            told.append(f"was deleted {self._when(link.gone_at)}" + (" by us" if link.deleted_by_us else ""))
        told.append("says nothing now" if state.seen is UNSET else f"holds {_text(state.seen)}")
        if state.sent is not None:
            origin = self.links.get(state.sent.origin)
            source = f", which came from {origin.system}" if origin and origin is not link else ""
            undone = f"; that was undone {self._when(state.undone)}" if state.undone else ""
            told.append(f"we sent {_text(state.sent.value)}{source}{undone}")
        if state.own is not None and (state.sent is not None or state.own.value != state.seen):
            told.append(f"its own last word is {_text(state.own.value)}, {self._when(state.own.time)}")
        elif state.own is not None:
            told.append("as its own word, " + self._when(state.own.time))
        if state.before is not UNSET:
            told.append(f"before that it held {_text(state.before)}")
        return told


_BY_PRECEDENCE = frozenset(
    {"only", "first contact", "latest", "authority", "owner", "fills a gap", "last resort"}
)


def _known(value: Any) -> Any:
    return None if value is UNSET else value


def _text(value: Any) -> str:
    if value is None:
        return "nothing (it was emptied)"
    if isinstance(value, dict):  # 4000 EUR; 2 PCE; party par_...
        return " ".join(str(part) for part in value.values() if part is not None)
    return repr(value) if isinstance(value, str) else str(value)
