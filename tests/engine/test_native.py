"""One operation in the words of a system, and what is made of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine.native import Outward, Settled, adopt, placed, to_operation
from crmbridge.engine.operations import Planned
from crmbridge.identity.link import Link, Reading, Stamp, observe
from crmbridge.identity.shape import shape_of
from crmbridge.sdk.connector import Capabilities, ListPatch
from crmbridge_schemas.registry import ENTITIES
from tests.engine.test_plan import ALL, MAIL, ORDER, PARTY, PHONE, SECOND, SLOTS, only, planned, record, says
from tests.engine.test_plan import order as order_record
from tests.engine.world import mapping

SHAPE = shape_of(ENTITIES["party"])
PATCH = Capabilities(operations=ALL, child_lists={"points": "patch"}, search_mark="mark")


def sent(
    operation: Planned,
    link: Link | None,
    text: str = PARTY,
    held: Mapping[str, Any] | None = None,
    capabilities: Capabilities = PATCH,
) -> Any:
    """What the connector gets."""
    compiled = mapping(text, "erp", Behaviour(child_ids={"points": "key"}))
    shape = shape_of(ENTITIES[compiled.entity])
    return to_operation(operation, Outward(compiled, capabilities, link, shape, held or {}))


def settled(operation: Planned, link: Link, held: Mapping[str, Any], **options: Any) -> Settled:
    """What comes of it where the record now says this."""
    reading = Reading(SHAPE, Stamp(20), versioned=False, at=20)
    return adopt(operation, link, held, reading, **options)


def read(link: Link, **held: Any) -> tuple[list[str], list[str]]:
    """What a later reading finds: new, and set back to what it was before our write."""
    found = observe(link, held, Reading(SHAPE, Stamp(30), versioned=False, at=30))
    return found.changed, found.reverted


def points(*elements: tuple[str, Mapping[str, str]]) -> list[dict[str, str]]:
    return [{"id": local, **element} for local, element in elements]


def with_points(
    ours: list[dict[str, str]], theirs: list[dict[str, str]], text: str = PARTY
) -> tuple[Planned, Link]:
    """An update of the ERP's record, which shows `theirs`, after the shop's changed into `ours`."""
    shop = record(1, display_name="A", contact_points=theirs)
    erp = record(2, display_name="A", contact_points=theirs)
    planned([shop, erp], text)
    says(shop, 5, contact_points=ours)
    return only(planned([shop, erp], text)), erp


# -- out


def test_a_create_carries_its_mark_and_what_only_creates_say() -> None:
    operation = only(planned([record(1, display_name="A", note="x")]))
    made = sent(operation, None, PARTY + "on_create: {source: bridge}\n")
    assert (made.kind, made.native_id, made.mark) == ("create", None, operation.id)
    assert made.data == {"name": "A", "note": "x", "source": "bridge"}
    assert sent(operation, None, capabilities=Capabilities(operations=ALL)).mark is None


def test_an_update_carries_the_version_and_neither_mark_nor_constants() -> None:
    shop, erp = record(1, display_name="A", note="x"), record(2, display_name="A")
    made = sent(only(planned([shop, erp])), erp, PARTY + "on_create: {source: bridge}\n")
    assert (made.kind, made.native_id, made.version, made.mark) == ("update", "n2", "v1", None)
    assert made.data == {"note": "x"}


def test_a_transition_says_the_step_and_no_data() -> None:
    operation = only(planned([order_record(1, status="completed"), order_record(2, status="placed")], ORDER))
    made = sent(operation, order_record(2, status="placed"), ORDER)
    assert (made.kind, made.transition, made.data) == ("transition", "completed", {})


def test_children_are_added_changed_and_removed_by_their_ids() -> None:
    theirs = points(("1", PHONE), ("2", MAIL))
    changed = {**PHONE, "value": "+49309999999"}
    operation, erp = with_points(points(("1", changed), ("3", SECOND)), theirs)
    patch = sent(operation, erp).data["points"]
    assert patch == ListPatch(add=[SECOND], change={"1": {"value": "+49309999999"}}, remove=["2"])


def test_a_list_that_is_written_whole_keeps_what_is_not_ours_to_change() -> None:
    theirs = points(("1", PHONE), ("2", MAIL))
    changed = {**PHONE, "value": "+49309999999"}
    operation, erp = with_points(points(("1", changed), ("3", SECOND)), theirs)
    held = {
        "points": [
            {"key": "2", **MAIL},
            {"key": "1", **PHONE, "label": "Büro"},
            {"key": "9", "type": None, "value": None},
        ]
    }
    whole = sent(operation, erp, held=held, capabilities=Capabilities(operations=ALL)).data["points"]
    assert whole[0] == {"key": "1", **changed, "label": "Büro"}
    assert whole[-1] == SECOND
    assert {child.get("key") for child in whole} == {"1", "9", None}


# -- back


def test_what_arrived_as_sent_is_neither_altered_nor_news() -> None:
    operation, erp = with_points(points(("1", PHONE), ("2", MAIL)), points(("1", PHONE)))
    held = {"display_name": "A", "contact_points": points(("1", PHONE), ("7", MAIL))}
    assert settled(operation, erp, held) == Settled([], [])
    element_id = erp.elements["contact_points"]["7"]
    assert f"contact_points/{element_id}" in {change.path for change in operation.changes}
    assert read(erp, **held) == ([], [])


@pytest.mark.parametrize("altered", [MAIL | {"value": "A@EXAMPLE.ORG"}, MAIL | {"value": "cut@example.org"}])
def test_an_added_element_is_known_by_its_place_though_the_system_wrote_it_otherwise(
    altered: dict[str, str],
) -> None:
    operation, erp = with_points(points(("1", PHONE), ("2", MAIL)), points(("1", PHONE)))
    held = {"display_name": "A", "contact_points": points(("1", PHONE), ("7", altered))}
    found = settled(operation, erp, held)
    assert found.news == []
    assert [(asked, holds) for _, asked, holds in found.altered] in (
        [],
        [("a@example.org", "cut@example.org")],
    )
    assert read(erp, **held) == ([], [])


def test_a_copy_from_before_an_element_was_added_is_told_as_set_back() -> None:
    theirs = points(("1", PHONE))
    operation, erp = with_points(points(("1", PHONE), ("2", MAIL)), theirs)
    settled(operation, erp, {"display_name": "A", "contact_points": points(("1", PHONE), ("7", MAIL))})
    element_id = erp.elements["contact_points"]["7"]
    changed, reverted = read(erp, contact_points=theirs)
    assert f"contact_points/{element_id}" in reverted
    assert changed


def test_an_element_that_the_system_keeps_though_it_was_to_go_is_altered() -> None:
    theirs = points(("1", PHONE), ("2", MAIL))
    operation, erp = with_points(points(("1", PHONE)), theirs)
    (change,) = operation.changes
    found = settled(operation, erp, {"display_name": "A", "contact_points": theirs})
    assert found == Settled([(change.path, None, True)], [])
    assert read(erp, contact_points=theirs) == ([], [])


def test_what_the_record_says_besides_our_write_is_news() -> None:
    shop = record(1, display_name="A", note="x", owner="li")
    erp = record(2, display_name="A", owner="li")
    held = {"display_name": "A", "note": "x", "owner": "zhao"}
    assert settled(only(planned([shop, erp])), erp, held) == Settled([], ["owner"])


def test_what_differs_from_our_write_of_long_ago_is_an_edit() -> None:
    shop, erp = record(1, display_name="A", note="x"), record(2, display_name="A", note="a")
    says(shop, 5, note="b")
    operation = only(planned([shop, erp]))
    assert settled(operation, erp, {"display_name": "A", "note": "c"}, edited_since=True) == Settled(
        [], ["note"]
    )
    state = erp.fields["note"]
    assert (state.seen, state.own and state.own.value, state.sent) == ("c", "c", None)


def test_a_slot_shows_what_it_was_given_and_forgets_what_it_showed_before() -> None:
    shop = record(1, display_name="A", contact_points=points(("1", MAIL)))
    erp = record(2, display_name="A", contact_points=[{"id": "slot:email", **MAIL}])
    planned([shop, erp], SLOTS)
    says(shop, 5, contact_points=points(("3", SECOND)))
    operation = only(planned([shop, erp], SLOTS))
    old = erp.elements["contact_points"]["slot:email"]
    made = sent(operation, erp, SLOTS)
    assert made.data == {"mail": "b@example.org"}
    held = {"display_name": "A", "contact_points": [{"id": "slot:email", **SECOND}]}
    assert settled(operation, erp, held) == Settled([], [])
    new = erp.elements["contact_points"]["slot:email"]
    assert new == shop.elements["contact_points"]["3"] != old
    assert erp.holds(f"contact_points/{new}/value") == "b@example.org"
    assert f"contact_points/{old}" not in {p for p, state in erp.fields.items() if state.seen is True}
    assert read(erp, contact_points=[{"id": "slot:email", **SECOND}]) == ([], [])


# -- of unknown outcome


LABELLED = PARTY.replace("value: value}", "value: value, label: label}")


@pytest.mark.parametrize(
    ("shown", "is_there"),
    [([MAIL], True), ([{**MAIL, "label": "work"}], True), ([SECOND], False), ([], False)],
)
def test_an_added_element_arrived_whole_where_the_record_shows_one_of_its_key(
    shown: list[dict[str, str]], is_there: bool
) -> None:
    theirs = points(("1", PHONE))
    operation, erp = with_points(points(("1", PHONE), ("2", {**MAIL, "label": "work"})), theirs, LABELLED)
    assert len(operation.changes) == 4
    compiled = mapping(LABELLED, "erp", Behaviour(child_ids={"points": "key"}))
    held = {"display_name": "A", "contact_points": [*theirs, *({"id": "7", **one} for one in shown)]}
    part = placed(operation, erp, held, SHAPE, compiled)
    assert part.changes == (operation.changes if is_there else [])


def test_an_element_without_an_id_stays_the_same_one_under_its_new_key() -> None:
    shop = record(1, display_name="A", contact_points=points(("1", PHONE), ("2", MAIL)))
    erp = record(2, display_name="A", contact_points=[PHONE, MAIL])
    planned([shop, erp])
    before = set(erp.elements["contact_points"].values())
    changed = {**PHONE, "value": "+49309999999"}
    says(shop, 5, contact_points=points(("1", changed), ("2", MAIL)))
    held = {"display_name": "A", "contact_points": [MAIL, changed]}
    assert settled(only(planned([shop, erp])), erp, held) == Settled([], [])
    assert set(erp.elements["contact_points"].values()) == before
    assert read(erp, **held) == ([], [])
    assert planned([shop, erp]) == ([], [])
