"""The plan for lists and for documents: order, slots, lists that may not be empty, what is closed."""

from __future__ import annotations

from typing import Any

from crmbridge.engine.planinput import RefState
from crmbridge.identity.link import Statement, wrote
from crmbridge.sdk.connector import Capabilities
from tests.engine.test_plan import (
    ALL,
    MAIL,
    ORDER,
    PHONE,
    SECOND,
    SLOTS,
    changes,
    only,
    order,
    planned,
    record,
    says,
)

MANUAL: dict[str, Any] = {"survivorship": {"note": "manual", "contact_points": "manual"}}


def test_a_create_after_a_record_that_was_lost_is_another_intent() -> None:
    shop, erp = record(1, display_name="A"), record(2, display_name="A")
    first = only(planned([shop]))
    erp.status = "lost"
    again = only(planned([shop, erp]))
    assert (first.kind, again.kind) == ("create", "create")
    assert first.id != again.id


def test_a_value_whose_origin_has_left_gives_way_to_the_records_own() -> None:
    erp = record(2, display_name="A", note="mine")
    wrote(erp, "note", Statement("theirs", 5, 1), "theirs", 6)
    wrote(erp, "owner", Statement("li", 5, 1), "li", 6)
    operation = only(planned([erp]))
    assert changes(operation) == {"note": ("theirs", "mine"), "owner": ("li", None)}
    assert {change.source for change in operation.changes} == {"erp"}


def test_elements_are_created_in_the_order_of_the_first_record() -> None:
    points = [{"id": str(number), "type": "phone", "value": f"+4930{number}"} for number in (5, 3, 9, 1)]
    shop = record(1, display_name="A", contact_points=points)
    found = [c.new for c in only(planned([shop])).changes if c.path.endswith("/value")]
    assert found == ["+49305", "+49303", "+49309", "+49301"]


def test_that_two_systems_show_different_ones_in_slots_of_one_name_is_told_of_the_lower() -> None:
    shop = record(1, display_name="A", contact_points=[{"id": "slot:email", **MAIL}])
    erp = record(2, display_name="A", contact_points=[{"id": "slot:email", **SECOND}])
    text = SLOTS.replace("    - {slot: second, const: {type: email}, fields: {value: mail2}}\n", "")
    found, (note,) = planned([shop, erp], text)
    assert (found, note.kind, note.path) == ([], "apart", "contact_points")
    assert note.text == "email is 'email, b@example.org' here and 'email, a@example.org' in shop"
    crm = record(3, display_name="A", contact_points=[{"id": "slot:email", **MAIL}])
    assert planned([erp, crm], text) == ([], [])  # the CRM is told, if anybody
    shop.status = "gone"
    assert [note.kind for note in planned([shop, erp], text)[1]] == []


def test_a_list_that_may_not_be_empty_keeps_its_last_element() -> None:
    shop = record(1, display_name="A", contact_points=[{"id": "1", **PHONE}, {"id": "2", **MAIL}])
    erp = record(2, display_name="A", contact_points=[{"id": "x", **PHONE}, {"id": "y", **MAIL}])
    phone, mail = (f"contact_points/{shop.elements['contact_points'][i]}" for i in "12")
    needs = Capabilities(operations=ALL, required={"points"})
    assert planned([shop, erp], capabilities=needs) == ([], [])
    says(shop, 5, contact_points=[{"id": "2", **MAIL}])
    assert changes(only(planned([shop, erp], capabilities=needs))) == {phone: (True, None)}
    says(shop, 6, contact_points=[])
    found, (note,) = planned([shop, erp], capabilities=needs)
    assert (found, note.kind, note.path) == ([], "not-cleared", "contact_points")
    assert changes(only(planned([shop, erp]))) == {phone: (True, None), mail: (True, None)}
    says(shop, 7, contact_points=[{"id": "3", **SECOND}])  # all are exchanged, so it is never empty
    exchanged = changes(only(planned([shop, erp], capabilities=needs)))
    assert {path: new for path, (_, new) in exchanged.items() if path.count("/") == 1} == {
        phone: None,
        mail: None,
        f"contact_points/{shop.elements['contact_points']['3']}": True,
    }


def test_an_element_that_lacks_what_the_system_needs_is_not_added_and_told() -> None:
    shop = record(1, display_name="A", contact_points=[{"id": "1", "type": "phone", "value": "+49301"}])
    says(shop, 5, contact_points=[{"id": "1", "type": None, "value": "+49301"}])
    erp = record(2, display_name="A", contact_points=[])
    needs = Capabilities(operations=ALL, required={"points.type"})
    found, (note,) = planned([shop, erp], capabilities=needs)
    assert (found, note.kind) == ([], "not-cleared")
    assert note.path == f"contact_points/{shop.elements['contact_points']['1']}/type"


def test_a_document_is_closed_by_its_status_too() -> None:
    shop, erp = order(1, status="placed"), order(2, status="completed")
    says(shop, 5, "sales_order", note="late")
    closed = Capabilities(operations=ALL, closed_when={"state": {"completed"}})
    found, notes = planned([shop, erp], ORDER, capabilities=closed)
    assert (found, [(note.kind, note.path) for note in notes]) == ([], [("closed", "note")])
    another = Capabilities(operations=ALL, closed_when={"state": {"cancelled"}, "nowhere": {"completed"}})
    assert changes(only(planned([shop, erp], ORDER, capabilities=another))) == {"note": (None, "late")}


def test_a_reference_that_cannot_be_sent_is_told_with_what_it_refers_to() -> None:
    found, (note,) = planned([order(1)], ORDER, refs=lambda *_: RefState("impossible"))
    assert (found, note.path) == ([], "party")
    assert note.text == "refers to p1, which has no record here"
    assert note.stream == "orders"


def test_under_manual_what_two_changed_is_written_to_neither() -> None:
    shop, erp = record(1, display_name="A", note="a"), record(2, display_name="A", note="a")
    assert changes(only(planned([says(shop, 5, note="b"), erp], **MANUAL))) == {"note": ("a", "b")}
    says(erp, 6, note="c")
    assert planned([shop, erp], **MANUAL) == ([], [])


def test_under_manual_an_element_that_one_edits_and_another_removes_stays_where_it_is() -> None:
    theirs = [{"id": "1", **PHONE}, {"id": "2", **MAIL}]
    shop, erp = (
        record(1, display_name="A", contact_points=theirs),
        record(2, display_name="A", contact_points=theirs),
    )
    planned([shop, erp])
    says(erp, 5, contact_points=[{"id": "1", **PHONE, "value": "+49305555555"}, {"id": "2", **MAIL}])
    says(shop, 6, contact_points=[])
    mail = f"contact_points/{shop.elements['contact_points']['2']}"
    assert changes(only(planned([shop, erp], **MANUAL))) == {mail: (True, None)}
    assert len(changes(only(planned([shop, erp])))) == 2  # else the later word counts
