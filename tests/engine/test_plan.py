"""The plan as a pure function: what a golden record and one system's record make of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine.operations import Planned
from crmbridge.engine.plan import OSCILLATION, plan
from crmbridge.engine.planinput import Note, PlanInput, RefState, Target
from crmbridge.identity.link import Link, Reading, Stamp, Statement, observe, wrote
from crmbridge.identity.policy import Owner, Policy
from crmbridge.identity.shape import shape_of
from crmbridge.identity.survive import merge
from crmbridge.mapping.apply import Mapping
from crmbridge.sdk.connector import Capabilities
from crmbridge_schemas.registry import ENTITIES
from tests.engine.world import mapping

PARTY = """
stream: customers
entity: party
fields:
  display_name: {path: name, required: true}
  note: note
  owner: owner
  parent: {path: parent, ref: customers}
  contact_points:
    each: points
    id: key
    fields: {type: type, value: value}
"""
SLOTS = """
stream: customers
entity: party
fields:
  display_name: name
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: mail}}
    - {slot: second, const: {type: email}, fields: {value: mail2}}
"""
ORDER = """
stream: orders
entity: sales_order
fields:
  number: number
  note: note
  party: {path: customer, ref: customers, required: true}
  status: {path: state, write: transition}
  gross_total: {fields: {amount: total}, const: {currency: EUR, tax_included: true}}
"""
ALL = frozenset({"create", "update", "archive", "delete", "transition"})
SYSTEMS = ("shop", "erp", "crm")
Refs = Callable[[str, str, Any], RefState]


def native(system: str, scope: str, golden_ref: Any) -> RefState:
    return RefState("native", {"id": f"{system}:{golden_ref['golden']}"})


def canonical(link: Link, ref: Any) -> Any:
    """A native reference as a golden one: `erp:p1` is p1."""
    return {"golden": ref["id"].partition(":")[2]} if "id" in ref else ref


def record(record_id: int, entity: str = "party", time: int = 0, **doc: Any) -> Link:
    """A record of the shop (1), the ERP (2) or the CRM (3)."""
    link = Link(record_id, SYSTEMS[record_id - 1], "customers", f"n{record_id}", version="v1")
    return says(link, time, entity, **doc)


def says(link: Link, time: int, entity: str = "party", **doc: Any) -> Link:
    observe(link, doc, Reading(shape_of(ENTITIES[entity]), Stamp(time), versioned=True))
    return link


def planned(
    links: Sequence[Link], text: str = PARTY, *, refs: Refs = native, create: bool = True, **options: Any
) -> tuple[list[Planned], list[Note]]:
    """The plan for the ERP. options: fields of Policy, `capabilities`, or `now`."""
    compiled: Mapping = mapping(text, "erp", Behaviour(child_ids={"points": "key"}))
    capabilities = options.pop("capabilities", Capabilities(operations=ALL))
    now = options.pop("now", 10)
    policy = Policy(compiled.entity, SYSTEMS, **options)
    shape = shape_of(ENTITIES[compiled.entity])
    golden = merge(shape, policy, links, canonical)
    target = Target("erp", compiled, capabilities, create)
    return plan(PlanInput("g1", golden, links, [target], shape, policy, refs, now))


def only(found: tuple[list[Planned], list[Note]]) -> Planned:
    (operation,), notes = found
    assert notes == []
    return operation


def changes(operation: Planned) -> dict[str, tuple[Any, Any]]:
    return {change.path: (change.old, change.new) for change in operation.changes}


# -- creating


def test_a_create_carries_every_value_and_says_where_it_comes_from() -> None:
    operation = only(planned([record(1, display_name="王小明", note=None, owner="li")]))
    assert (operation.kind, operation.record_id, operation.native_id) == ("create", None, None)
    assert (operation.system, operation.stream, operation.golden_id) == ("erp", "customers", "g1")
    assert changes(operation) == {"display_name": (None, "王小明"), "owner": (None, "li")}
    assert {change.source for change in operation.changes} == {"shop"}


@pytest.mark.parametrize("status", ["out", "gone"])
def test_nothing_is_created_for_what_is_nowhere_alive(status: Any) -> None:
    shop = record(1, display_name="A")
    shop.status = status
    assert planned([shop]) == ([], [])


def test_nothing_is_created_where_the_rule_forbids_it_or_a_delete_travels() -> None:
    shop, crm = record(1, display_name="A"), record(3, display_name="A")
    assert planned([shop], create=False) == ([], [])
    crm.status, crm.gone_at = "gone", 9
    assert planned([shop, crm], deletes="delete") == ([], [])
    assert only(planned([shop, crm])).kind == "create"


def test_a_create_is_one_intent_whatever_its_values_are_until_there_was_a_record() -> None:
    shop = record(1, display_name="A")
    first = only(planned([shop])).id
    assert only(planned([says(shop, 4, display_name="B")])).id == first
    part = Link(2, "erp", "orders", "n2", part="guest")
    gone = record(2, display_name="A")
    gone.status = "gone"
    assert planned([shop, gone]) == ([], [])
    assert planned([shop, part]) == ([], [])


# -- updating


def test_an_update_carries_what_differs_and_the_version_it_was_read_with() -> None:
    shop, erp = record(1, display_name="A", note="x"), record(2, display_name="A", note="x")
    assert planned([shop, erp]) == ([], [])
    operation = only(planned([says(shop, 5, note="茶"), erp]))
    assert (operation.kind, operation.native_id, operation.version) == ("update", "n2", "v1")
    assert (operation.record_id, changes(operation)) == (2, {"note": ("x", "茶")})
    assert operation.changes[0].statement == Statement("茶", 5, 1)


def test_another_edit_is_another_intent() -> None:
    shop, erp = record(1, display_name="A"), record(2, display_name="A")
    ids = {only(planned([says(shop, time, note="x"), erp])).id for time in (5, 6)}
    assert len(ids) == 1, "the same value said again is no edit"
    assert only(planned([says(shop, 7, note="y"), erp])).id not in ids


def test_a_system_that_cannot_update_gets_nothing() -> None:
    shop, erp = record(1, display_name="A", note="x"), record(2, display_name="A")
    assert planned([shop, erp], capabilities=Capabilities(operations={"create"})) == ([], [])


def test_what_was_sent_is_not_sent_again_though_the_system_altered_it() -> None:
    shop, erp = record(1, display_name="A", note="a"), record(2, display_name="A", note="a")
    says(shop, 5, note="grüner Tee")
    wrote(erp, "note", Statement("grüner Tee", 5, 1), "GRÜNER", 6)
    assert planned([shop, erp]) == ([], [])
    assert changes(only(planned([says(shop, 6, note="weißer Tee"), erp]))) == {
        "note": ("GRÜNER", "weißer Tee")
    }


def test_a_clear_is_written_unless_the_field_has_to_have_a_value() -> None:
    shop, erp = record(1, display_name="A", note="x"), record(2, display_name="A", note="x")
    says(shop, 5, note=None)
    operation = only(planned([shop, erp]))
    assert changes(operation) == {"note": ("x", None)}
    assert operation.clears == 1
    for limited in (
        Capabilities(operations=ALL, cannot_clear={"note"}),
        Capabilities(operations=ALL, required={"note"}),
    ):
        found, (note,) = planned([shop, erp], capabilities=limited)
        assert (found, note.kind, note.path) == ([], "not-cleared", "note")
    says(shop, 6, display_name=None, note="x")
    found, (note,) = planned([shop, erp])
    assert (found, note.kind, note.path) == ([], "not-cleared", "display_name")


def test_who_emptied_a_field_is_left_alone_until_somebody_says_something_newer() -> None:
    shop, erp = record(1, display_name="A", note="x"), record(2, display_name="A", note="x")
    says(erp, 5, note=None)
    ignored: dict[str, Any] = {"ignore_clear": frozenset({"note"})}
    assert planned([shop, erp], **ignored) == ([], [])
    assert changes(only(planned([says(shop, 6, note="y"), erp], **ignored))) == {"note": (None, "y")}


def test_a_value_that_goes_to_and_fro_is_held_until_the_window_has_passed() -> None:
    shop, erp = record(1, display_name="A", note="a"), record(2, display_name="A")
    for time, value in ((1, "b"), (2, "a"), (3, "b")):
        wrote(erp, "note", Statement(value, time, 1), value, time)
    says(shop, 5, note="c")
    assert changes(only(planned([shop, erp]))) == {"note": ("b", "c")}
    wrote(erp, "note", Statement("a", 4, 1), "a", 4)
    says(shop, 6, note="b")
    window = OSCILLATION // timedelta(microseconds=1)
    for now in (6, window, 1 + window - 1):
        found, (note,) = planned([shop, erp], now=now)
        assert (found, note.kind, note.path) == ([], "held", "note")
    assert changes(only(planned([shop, erp], now=1 + window))) == {"note": ("a", "b")}


def test_a_closed_record_is_told_and_not_written() -> None:
    shop, erp = record(1, display_name="A", note="x"), record(2, display_name="A", note="locked")
    says(shop, 5, owner="li")
    closed = Capabilities(operations=ALL, closed_when={"note": {"locked"}})
    found, notes = planned([shop, says(erp, 6, note="locked")], capabilities=closed)
    assert (found, {(n.kind, n.path) for n in notes}) == ([], {("closed", "owner"), ("closed", "note")})
    open_again = Capabilities(operations=ALL, closed_when={"note": {"other"}})
    assert only(planned([shop, erp], capabilities=open_again)).kind == "update"


def test_a_record_that_is_out_of_scope_or_archived_is_not_written() -> None:
    shop, erp = record(1, display_name="A", note="x"), record(2, display_name="B")
    for status in ("out", "archived", "gone"):
        erp.status = status
        assert planned([shop, erp]) == ([], []), status


def test_a_lost_edit_is_told() -> None:
    shop, erp = record(1, display_name="A"), record(2, display_name="A")
    says(shop, 5, note="b")
    says(erp, 6, note="c")
    (operation,), notes = planned([shop, erp], authority={"note": ["shop"]})
    assert changes(operation) == {"note": ("c", "b")}
    assert notes == [Note("overruled", "erp", "note", "'c' lost", since=6)]


# -- deleting


def test_a_delete_follows_the_policy_and_what_the_system_can() -> None:
    shop, erp = record(1, display_name="A"), record(2, display_name="A")
    shop.status, shop.gone_at = "gone", 9
    assert planned([shop, erp]) == ([], [])
    assert only(planned([shop, erp], deletes="delete")).kind == "delete"
    operation = only(planned([shop, erp], deletes="archive"))
    assert (operation.kind, operation.changes) == ("archive", [])
    found, (note,) = planned(
        [shop, erp], deletes="archive", capabilities=Capabilities(operations=ALL - {"archive"})
    )
    assert (found, note.kind, note.system) == ([], "kept", "erp")


# -- references


def order(record_id: int, **doc: Any) -> Link:
    party = {"id": "erp:p1"} if record_id == 2 else {"golden": "p1"}
    return record(record_id, "sales_order", **{"number": "SO-1", "party": party, **doc})


@pytest.mark.parametrize(
    ("state", "sent", "waits", "note"),
    [
        ("native", {"id": "e9"}, [], None),
        ("pending", {"golden": "p1"}, ["p1"], None),
        ("impossible", None, [], "impossible"),
        ("unknown", None, [], "parked"),
    ],
)
def test_a_create_waits_for_what_it_refers_to_or_is_parked(
    state: Any, sent: Any, waits: list[str], note: str | None
) -> None:
    found, notes = planned([order(1)], ORDER, refs=lambda *_: RefState(state, {"id": "e9"}))
    assert [one.kind for one in notes] == ([note] if note else [])
    if sent is None:
        assert found == []
    else:
        assert (changes(found[0])["party"], found[0].waits_for) == ((None, sent), waits)


def test_an_update_leaves_out_a_reference_that_cannot_be_sent_and_waits_only_where_it_must() -> None:
    shop = record(1, display_name="A", note="x", parent={"golden": "p1"})
    erp = record(2, display_name="A")
    for state in ("pending", "impossible", "unknown"):
        operation = only(planned([shop, erp], refs=lambda *_, s=state: RefState(s)))
        assert (changes(operation), operation.waits_for) == ({"note": (None, "x")}, []), state
    waiting = order(2, party=None)
    (operation,), _ = planned([order(1), waiting], ORDER, refs=lambda *_: RefState("pending"))
    assert operation.waits_for == ["p1"]


# -- documents


def test_a_status_is_a_transition_and_only_goes_forward() -> None:
    shop, erp = order(1, status="completed"), order(2, status="placed")
    operation = only(planned([shop, erp], ORDER))
    assert (operation.kind, operation.transition) == ("transition", "completed")
    assert changes(operation) == {"status": ("placed", "completed")}
    back = says(shop, 5, "sales_order", status="draft")
    assert planned([back, erp], ORDER) == ([], [])
    cannot = Capabilities(operations=ALL - {"transition"})
    assert planned([order(1, status="completed"), erp], ORDER, capabilities=cannot) == ([], [])


def test_a_status_that_was_asked_for_is_not_asked_for_again() -> None:
    shop, erp = order(1, status="completed"), order(2, status="placed")
    wrote(erp, "status", Statement("completed", 0, 1), "processing", 3)
    assert planned([shop, erp], ORDER) == ([], [])


def test_a_status_said_by_another_than_the_owner_is_a_request() -> None:
    shop, erp = order(1, status="placed"), order(2, status="placed")
    says(erp, 7, "sales_order", status="cancelled")
    found, notes = planned([shop, erp], ORDER, owner=Owner("shop", "accepted", "crm"))
    assert found == []
    assert [note.kind for note in notes] == ["request"]


def test_what_the_system_computes_is_compared_and_never_written() -> None:
    total = {"amount": "19.5", "currency": "EUR", "tax_included": True}
    shop, erp = order(1, gross_total=total), order(2, gross_total={**total, "amount": "19.50"})
    assert planned([shop, erp], ORDER) == ([], [])
    other = order(2, gross_total={**total, "amount": "20"})
    found, (note,) = planned([shop, other], ORDER)
    assert (found, note.kind, note.path) == ([], "computed", "gross_total")


# -- elements

PHONE = {"type": "phone", "value": "+49301234567"}
MAIL = {"type": "email", "value": "a@example.org"}
SECOND = {"type": "email", "value": "b@example.org"}


def test_elements_are_added_changed_and_removed_one_by_one() -> None:
    shop = record(1, display_name="A", contact_points=[{"id": "1", **PHONE}])
    erp = record(2, display_name="A", contact_points=[{"id": "x", **PHONE}])
    assert planned([shop, erp]) == ([], [])
    says(shop, 5, contact_points=[{"id": "1", **PHONE, "value": "+49307777777"}, {"id": "2", **MAIL}])
    phone, mail = (f"contact_points/{shop.elements['contact_points'][i]}" for i in "12")
    assert changes(only(planned([shop, erp]))) == {
        mail: (None, True),
        f"{mail}/type": (None, "email"),
        f"{mail}/value": (None, "a@example.org"),
        f"{phone}/value": ("+49301234567", "+49307777777"),
    }
    says(shop, 6, contact_points=[])
    assert changes(only(planned([shop, erp]))) == {phone: (True, None)}


REGIONS = """
stream: customers
entity: party
fields:
  display_name: name
  addresses:
    each: places
    id: key
    fields:
      role: role
      city: city
      "province, district, postal_code": {path: region, as: {split: "/"}}
"""


def test_parts_that_share_a_native_text_are_written_together_and_no_others() -> None:
    parts = {"role": "main", "city": "深圳", "province": "广东", "district": "南山", "postal_code": "518000"}
    shop = record(1, display_name="A", addresses=[{"id": "1", **parts}])
    erp = record(2, display_name="A", addresses=[{"id": "x", **parts}])
    assert planned([shop, erp], REGIONS) == ([], [])
    says(shop, 5, addresses=[{"id": "1", **parts, "district": "福田"}])
    place = f"addresses/{shop.elements['addresses']['1']}"
    assert changes(only(planned([shop, erp], REGIONS))) == {
        f"{place}/district": ("南山", "福田"),
        f"{place}/province": ("广东", "广东"),
        f"{place}/postal_code": ("518000", "518000"),
    }
    says(shop, 6, addresses=[{"id": "1", **parts, "city": "Shenzhen"}])
    assert changes(only(planned([shop, erp], REGIONS))) == {f"{place}/city": ("深圳", "Shenzhen")}


def test_a_removed_slot_is_filled_by_the_next_one_that_fits() -> None:
    shop = record(1, display_name="A", contact_points=[{"id": "1", **MAIL}, {"id": "2", **SECOND}])
    first = only(planned([shop], SLOTS))
    one, two = (shop.elements["contact_points"][i] for i in "12")
    assert set(first.slots["contact_points"].values()) == {one, two}
    third = {"type": "email", "value": "c@example.org"}
    erp = record(2, display_name="A", contact_points=[{"id": "slot:email", **MAIL}])
    planned([shop, erp], SLOTS)
    says(shop, 5, contact_points=[{"id": "3", **third}])
    operation = only(planned([shop, erp], SLOTS))
    new = shop.elements["contact_points"]["3"]
    assert operation.slots == {"contact_points": {"email": new}}
    assert changes(operation)[f"contact_points/{new}/value"] == ("a@example.org", "c@example.org")


def test_an_emptied_slot_is_emptied() -> None:
    shop = record(1, display_name="A", contact_points=[{"id": "1", **MAIL}])
    erp = record(2, display_name="A", contact_points=[{"id": "slot:email", **MAIL}])
    assert planned([shop, erp], SLOTS) == ([], [])
    says(shop, 5, contact_points=[])
    operation = only(planned([shop, erp], SLOTS))
    assert operation.slots == {"contact_points": {"email": None}}
    assert [(c.old, c.new) for c in operation.changes] == [(True, None)]


def test_slots_are_filled_by_the_longest_known_first() -> None:
    shop = record(1, display_name="A", contact_points=[])
    says(shop, 5, contact_points=[{"id": "2", **SECOND}])
    says(shop, 9, contact_points=[{"id": "2", **SECOND}, {"id": "1", **MAIL}])
    known = shop.elements["contact_points"]
    slots = only(planned([shop], SLOTS)).slots["contact_points"]
    assert slots == {"email": known["2"], "second": known["1"]}


def test_one_system_that_cannot_take_it_does_not_stop_the_others() -> None:
    links = [record(1, display_name="A", note="x")]
    shape = shape_of(ENTITIES["party"])
    policy = Policy("party", SYSTEMS)
    compiled = mapping(PARTY.replace("note: note", "note: {path: note, as: integer}"), "erp", Behaviour())
    plain = mapping(PARTY, "crm", Behaviour())
    can = Capabilities(operations=ALL)
    targets = [Target("erp", compiled, can, True), Target("crm", plain, can, True)]
    golden = merge(shape, policy, links, canonical)
    given = PlanInput("g1", golden, links, targets, shape, policy, native, 10)
    found, (note,) = plan(given)
    assert [one.system for one in found] == ["crm"]
    assert (note.kind, note.system, note.path) == ("unwritable", "erp", "note")
    assert plan(replace(given, targets=targets[1:])) == (found, [])
