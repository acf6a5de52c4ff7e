"""The insight `customer_summary`: what somebody who picks up the phone wants to know of a customer.

It is computed from the golden documents around a party and kept as a record of the pseudo-system `hub`, so
that the ordinary merge, plan and push write it: one way, since the hub is the only source of its flow, and
never an input to the party itself. Nothing in it depends on the day: an unchanged state plans nothing.

A party that is merged away, or that no system has any more, takes its summary along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from crmbridge.config import Config
from crmbridge.engine import facts
from crmbridge.engine.facts import Dossier
from crmbridge.engine.links import golden_id_for, link_of, save_link
from crmbridge.engine.run import Flow, Run
from crmbridge.identity.link import Reading, Stamp, observe
from crmbridge.identity.policy import HUB, Policy
from crmbridge.identity.shape import shape_of
from crmbridge.mapping.load import Mappings
from crmbridge.store.base import Store
from crmbridge.store.rows import GoldenRow, RecordRow
from crmbridge_schemas.base import Entity

__all__ = ["INPUTS", "SUMMARY", "begin", "flows", "is_wanted", "refresh", "touch", "touched"]

SUMMARY = "customer_summary"
VERSION = "1"
"""Of the rules below; another one is written everywhere."""
INPUTS = frozenset({"party", "sales_order", "invoice", "case", "interaction"})
"""The entities that a summary is computed from."""
CHUNK = 500


def flows(
    config: Config,
    entities: Mapping[str, type[Entity]],
    mappings: Mappings,
    connector: Callable[[str], str],
    only_into: str | None = None,
) -> list[Flow]:
    """The one-way flows of the insights that the config asks for. Raises ConfigError with the place.

    connector: system -> its connector and the version of that.
    """
    return [
        _flow(config, entities, mappings, connector, name, only_into) for name in config.settings.insights
    ]


def _flow(
    config: Config,
    entities: Mapping[str, type[Entity]],
    mappings: Mappings,
    connector: Callable[[str], str],
    name: str,
    only_into: str | None,
) -> Flow:
    insight, sync, place = config.settings.insights[name], config.settings.sync, ("insights", name)
    if name != SUMMARY:
        raise config.document.error(place, f"{name} is no insight", f"there is {SUMMARY}", of="key")
    if name in sync:
        raise config.document.error(place, f"{name} is under sync:, too", "leave it out there", of="key")
    mapped = mappings.of_entity(insight.system, name)
    if [m.stream for m in mapped] != [insight.stream]:
        text = f"{insight.system} needs one mapping for {name}, of the stream {insight.stream}"
        hint = f"a file in mappings/ says system: {insight.system}, stream: {insight.stream}, entity: {name}"
        raise config.document.error(place, text, hint, of="key")
    targets = [insight.system] if only_into in (None, insight.system) else []
    kind = connector(insight.system)
    parts = [VERSION, *sorted(sync.keys() & INPUTS), kind, *(m.fingerprint for m in mapped)]
    return Flow(
        name,
        shape_of(entities[name]),
        Policy(name, (insight.system,), source=HUB, deletes="delete"),
        targets,
        dict.fromkeys(targets, _always),
        hashlib.sha256("\x1f".join(parts).encode()).hexdigest(),
    )


def _always(_: Mapping[str, Any]) -> bool:
    return True


def is_wanted(run: Run, entity: str) -> bool:
    """Whether a change of this entity may change a summary that is written anywhere."""
    flow = run.flow(SUMMARY)
    return entity in INPUTS and flow is not None and flow.policy.source == HUB


def begin(run: Run) -> None:
    """Every party gets its summary looked at: the insight is new in the config, or its mapping changed."""
    after = ""
    while ids := run.store.golden_ids("party", after, CHUNK):
        after = ids[-1]
        with run.store.transaction():
            touch(run, ids)


def touched(run: Run, entity: str, golden_ids: Sequence[str], docs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The golden parties whose summaries a batch of golden records may change.

    docs: their documents as they were and as they are now.
    """
    if entity != "party":
        return sorted({party for doc in docs for party in facts.golden_refs(doc.get("party"))})
    twins = facts.possible_twins(run.store, golden_ids)
    return sorted({*golden_ids, *(other for found in twins.values() for other in found)})


def touch(run: Run, parties: Sequence[str]) -> None:
    """These parties' summaries, and those that name one of them as a duplicate, will be computed again."""
    store = run.store
    known = {row.native_id: row for row in store.records(HUB, SUMMARY, parties)}
    new = [
        RecordRow(HUB, SUMMARY, party, SUMMARY, unresolved=False) for party in parties if party not in known
    ]
    _found(store, new, run.now())
    _revive(store, [row for row in known.values() if row.status != "live"], run.now())
    summaries = [row.golden_id for row in known.values() if row.golden_id]
    naming = store.goldens(store.referring(parties)).values()
    store.mark_dirty([*summaries, *(row.id for row in naming if row.entity == SUMMARY)])


def _found(store: Store, rows: Sequence[RecordRow], now: int) -> None:
    """Summaries of parties that have none; rows that the target shows already for them are theirs."""
    keys = {_key(row.native_id): row for row in rows}
    holders = store.records_with_keys(SUMMARY, sorted(keys)) if keys else {}
    shown = {number for held in holders.values() for number, golden_id in held if golden_id}
    living = {row.id for row in (store.records_by_id(sorted(shown)) if shown else ()) if row.status == "live"}
    founded = []
    for key, row in keys.items():
        mine = (golden_id for number, golden_id in holders.get(key, ()) if number in living)
        row.golden_id = next(mine, None)
        if row.golden_id is None:
            row.golden_id = golden_id_for(row)
            founded.append(GoldenRow(row.golden_id, SUMMARY, updated_at=now))
    store.put_goldens(founded)
    store.put_records(rows)
    saved = store.records(HUB, SUMMARY, [row.native_id for row in rows])
    store.put_keys(SUMMARY, {row.id: [_key(row.native_id)] for row in saved})
    store.mark_dirty([row.golden_id for row in rows if row.golden_id])


def _revive(store: Store, rows: Sequence[RecordRow], now: int) -> None:
    """A party is back whose summary went with it. A row that was deleted never comes back under its old
    golden id, so it gets a new one."""
    back = store.records_of([row.native_id for row in rows])
    for row in rows:
        if not facts.lives(back.get(row.native_id, ())) or row.golden_id is None:
            continue
        others = store.records_of([row.golden_id])[row.golden_id]
        if any(one.status in ("gone", "archived") for one in others if one.system != HUB):
            row.golden_id = golden_id_for(row, str(row.gone_at))
            store.put_goldens([GoldenRow(row.golden_id, SUMMARY, updated_at=now)])
        row.status, row.gone_at = "live", 0
        store.put_records([row])


def _key(party: str) -> str:
    """The natural key of a summary, as records of the target stream have it, too."""
    return f"key:{party}"


# -- computing ---------------------------------------------------------------------------------


def refresh(run: Run, flow: Flow, golden_ids: Sequence[str]) -> None:
    """Compute these summaries anew and put what changed into the hub's records."""
    store = run.store
    rows = [row for some in store.records_of(golden_ids).values() for row in some if row.system == HUB]
    dossiers = facts.gather(store, [row.native_id for row in rows])
    records = {party: dossier.records[party] for party, dossier in dossiers.items()}
    twins = facts.probable_twins(store, sorted(dossiers))
    travels = frozenset(other.entity for other in run.flows)
    changed = []
    for row in rows:
        dossier = dossiers[row.native_id]
        if not facts.lives(records[row.native_id]):
            if row.status == "live":
                row.status, row.gone_at = "gone", run.now()
                changed.append(row)
            continue
        link = link_of(row, flow.shape)
        # A stamp that counts: the same state gives the same plan, whenever it is made.
        reading = Reading(flow.shape, Stamp(link.last_edit() + 1), versioned=True)
        if observe(link, summary(dossier, twins[row.native_id], travels), reading).changed:
            changed.append(save_link(link, row, flow.shape))
    store.put_records(changed)


def summary(dossier: Dossier, twins: Mapping[str, Sequence[str]], travels: frozenset[str]) -> dict[str, Any]:
    """The canonical document. What an entity would say that does not travel here is null, not zero.

    twins: other golden parties that may be the same -> the keys that they share.
    """
    twin = min(twins, key=lambda other: (-len(twins[other]), other), default=None)
    return {
        "party": {"entity": "party", "golden": dossier.id},
        "version": VERSION,
        "display_name": facts.party_name(dossier.doc) or None,
        "owner": dossier.doc.get("owner"),
        **_last_contact(_own(dossier, "interaction")),
        **_last_order(_own(dossier, "sales_order")),
        **_invoices(_own(dossier, "invoice"), known="invoice" in travels),
        "open_cases": sum(map(facts.is_open_case, _own(dossier, "case"))) if "case" in travels else None,
        "probable_duplicate": {"entity": "party", "golden": twin} if twin else None,
    }


def _own(dossier: Dossier, entity: str) -> list[Mapping[str, Any]]:
    """The documents of the party itself, not those that only name it as the one who gets the goods."""
    return [doc for doc in dossier.of(entity) if dossier.id in facts.golden_refs(doc.get("party"))]


def _last_contact(contacts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    last = max(contacts, key=lambda doc: facts.instant_of(doc.get("occurred_at")), default={})
    return {
        "last_contact_at": last.get("occurred_at"),
        "last_contact_channel": last.get("channel"),
        "last_contact_by": last.get("actor"),
        "last_contact_outcome": last.get("outcome"),
    }


def _last_order(orders: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    last = max(filter(facts.is_placed, orders), key=facts.order_moment, default={})
    return {
        "last_order_number": last.get("number"),
        "last_order_at": last.get("ordered_at"),
        "last_order_total": last.get("gross_total"),
    }


def _invoices(invoices: Iterable[Mapping[str, Any]], *, known: bool) -> dict[str, Any]:
    still_open = [doc for doc in invoices if facts.is_open_invoice(doc)]
    amounts = [doc.get("open_amount") for doc in still_open]
    totals = facts.sums(amounts)
    amount = None
    if len(totals) == 1 and None not in amounts:
        ((currency, total),) = totals.items()
        amount = facts.money(total, currency)
    return {"open_invoices": len(still_open) if known else None, "open_amount": amount}
