"""What a record said, holds, was sent and held before: readings and writes, one after another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crmbridge.identity.link import (
    UNSET,
    FieldState,
    Link,
    Reading,
    Stamp,
    Statement,
    digest,
    flatten,
    observe,
    wrote,
)
from crmbridge.identity.stored import dump, kept, load, seen_doc
from tests.identity.records import PARTY, copies, own, record, says

PHONE = {"type": "phone", "value": "+49301234567"}
MAIL = {"type": "email", "value": "wang@example.org"}


def elements(link: Link) -> dict[str, str]:
    return link.elements["contact_points"]


# -- values


def test_first_contact_has_no_time_and_a_field_that_comes_later_has() -> None:
    link = record(1, note="a")
    assert own(link, "note") == Statement("a", 0, 1)
    assert says(link, 7, 3, note="a", owner="li") == ["owner"]
    assert own(link, "owner") == Statement("li", 7, 1, 3)
    assert link.last_edit() == 7


def test_an_edit_keeps_what_stood_there_and_forgets_our_writes() -> None:
    link = record(1, note="a")
    copies(link, "note", Statement("b", 5, 2), at=7)
    assert link.fields["note"].writes == [(digest("b"), 7)]
    assert says(link, 9, note="c") == ["note"]
    state = link.fields["note"]
    assert (state.own, state.over) == (Statement("c", 9, 1), Statement("b", 5, 2))
    assert (state.seen, state.sent, state.before, state.writes) == ("c", None, UNSET, [])


def test_the_value_before_a_clear_is_kept_until_there_is_a_new_one() -> None:
    link = record(1, note="a")
    says(link, 5, note=None)
    assert link.fields["note"].said == Statement("a", 0, 1)
    says(link, 6, note="b")
    assert link.fields["note"].said is None


def test_the_same_value_in_another_form_is_no_edit_but_is_what_the_record_holds() -> None:
    link = record(1, contact_points=[{"id": "1", **MAIL}])
    shouted = {"id": "1", "type": "email", "value": "WANG@example.org"}
    assert says(link, 5, contact_points=[shouted]) == []
    path = f"contact_points/{elements(link)['1']}/value"
    assert link.holds(path) == "WANG@example.org"
    assert own(link, path) == Statement("wang@example.org", 0, 1)


def test_without_versions_the_value_before_our_write_is_an_old_copy_and_no_edit() -> None:
    link = record(1, note="a")
    copies(link, "note", Statement("b", 5, 2))
    found = observe(link, {"note": "a"}, Reading(PARTY, Stamp(9), versioned=False))
    assert (found.changed, found.reverted) == (["note"], ["note"])
    assert link.fields["note"].fell_back
    assert own(link, "note").time == 0
    assert link.fields["note"].current() == Statement("a", 0, 1)


def test_with_versions_the_value_before_our_write_is_an_edit() -> None:
    link = record(1, note="a")
    copies(link, "note", Statement("b", 5, 2))
    found = observe(link, {"note": "a"}, Reading(PARTY, Stamp(9), versioned=True))
    assert (found.changed, found.reverted) == (["note"], [])
    assert own(link, "note") == Statement("a", 9, 1)
    assert not link.fields["note"].fell_back


def test_a_changed_mapping_is_no_edit() -> None:
    link = record(1, note="a")
    copies(link, "owner", Statement("li", 5, 2))
    reading = Reading(PARTY, Stamp(9), versioned=True, remapped=True)
    observe(link, {"note": "A", "owner": "LI"}, reading)
    assert own(link, "note") == Statement("A", 0, 1)
    assert link.fields["owner"].sent == Statement("li", 5, 2)
    assert (link.fields["owner"].own, link.fields["owner"].seen) == (None, "LI")


def test_a_write_remembers_the_last_eight_values_and_what_stood_there() -> None:
    link = record(1, note="a")
    for number in range(10):
        copies(link, "note", Statement(number, number, 2), at=number + 1)
    state = link.fields["note"]
    assert state.writes == [(digest(number), number + 1) for number in range(2, 10)]
    assert (state.before, state.seen, state.sent) == (8, 9, Statement(9, 9, 2))


def test_what_the_system_made_of_our_value_is_what_it_holds() -> None:
    link = record(1)
    wrote(link, "note", Statement("Grüner Tee", 5, 2), "GRÜNER T", 9)
    state = link.fields["note"]
    assert (state.own, state.seen, state.before) == (None, "GRÜNER T", UNSET)
    assert state.current() == Statement("Grüner Tee", 5, 2)
    assert says(link, 9, note="GRÜNER T") == []


# -- elements


def test_an_element_has_one_id_for_one_record_and_child_and_another_for_others() -> None:
    one, same = (record(1, contact_points=[{"id": "7", **MAIL}]) for _ in range(2))
    other = record(2, contact_points=[{"id": "7", **MAIL}])
    assert elements(one) == elements(same)
    assert elements(one)["7"] != elements(other)["7"]


def test_a_removed_element_is_a_clear_that_knew_the_latest_word_on_its_parts() -> None:
    link = record(1, contact_points=[{"id": "1", **PHONE}, {"id": "2", **MAIL}])
    path = f"contact_points/{elements(link)['1']}"
    copies(link, f"{path}/value", Statement("+49309999999", 6, 2))
    assert says(link, 9, contact_points=[{"id": "2", **MAIL}]) == [path]
    state = link.fields[path]
    assert (state.own, state.seen) == (Statement(None, 9, 1), None)
    assert state.over == Statement(True, 6, 2)
    gone = link.fields[f"{path}/value"]
    assert (gone.seen, gone.sent, gone.before) == (UNSET, None, UNSET)
    assert link.shown("contact_points") == {elements(link)["2"]: "2"}


def test_an_element_of_which_nothing_is_said_this_time_stays() -> None:
    link = record(1, contact_points=[{"id": "1", **PHONE}, {"id": "2", **MAIL}])
    unsaid = {"contact_points": frozenset({"1"})}
    found = observe(link, {"contact_points": []}, Reading(PARTY, Stamp(9), True, unsaid=unsaid))
    assert found.changed == [f"contact_points/{elements(link)['2']}"]
    assert set(link.shown("contact_points").values()) == {"1"}


def test_a_removed_element_that_is_an_old_copy_is_no_removal() -> None:
    link = record(1, contact_points=[])
    says(link, 1, contact_points=[{"id": "1", **PHONE}])
    path = f"contact_points/{elements(link)['1']}"
    link.fields[path].before = None
    found = observe(link, {"contact_points": []}, Reading(PARTY, Stamp(9), versioned=False))
    assert found.reverted == [path]
    assert link.holds(f"{path}/value") is UNSET
    assert own(link, f"{path}/value").value == PHONE["value"]


@pytest.mark.parametrize(
    ("before", "after", "edited"),
    [
        ([PHONE], [{**PHONE, "value": "+49307777777"}], True),
        ([PHONE], [MAIL], False),
        ([PHONE, MAIL], [{**PHONE, "value": "+49307777777"}, {**MAIL, "value": "li@example.org"}], False),
        ([{"id": "17", **PHONE}], [{"id": "27", **PHONE}], False),
    ],
)
def test_without_child_ids_one_gone_and_one_alike_come_is_an_edit(
    before: list[dict[str, Any]], after: list[dict[str, Any]], edited: bool
) -> None:
    link = record(1, contact_points=before)
    old = set(link.shown("contact_points"))
    says(link, 5, contact_points=after)
    assert set(link.shown("contact_points")) & old == (old if edited else set())


def test_two_elements_of_one_key_are_two() -> None:
    link = record(1, contact_points=[PHONE, PHONE])
    assert len(set(elements(link).values())) == 2
    says(link, 5, contact_points=[PHONE])
    assert len(link.shown("contact_points")) == 1


def test_a_document_is_flattened_with_the_ids_of_its_elements() -> None:
    link = record(1)
    flat = flatten(PARTY, link, {"note": "a", "contact_points": [{"id": "1", **MAIL}]})
    path = f"contact_points/{elements(link)['1']}"
    assert flat == {
        "note": "a",
        path: True,
        f"{path}/type": "email",
        f"{path}/value": "wang@example.org",
    }


# -- storing


def stored(link: Link) -> tuple[Link, dict[str, Any], dict[str, Any] | None]:
    seen, state = dump(link, PARTY)
    fresh = Link(link.record_id, link.system, link.stream, link.native_id)
    return load(fresh, PARTY, kept(seen, state)), json.loads(seen), json.loads(state) if state else None


def test_of_an_untouched_record_only_the_document_is_stored() -> None:
    link = record(1, note="茶", owner=None, contact_points=[{"id": "1", **MAIL}])
    again, seen, state = stored(link)
    assert seen == {"note": "茶", "owner": None, "contact_points": [{"id": "1", **MAIL}]}
    assert state is None
    assert (again.fields, again.elements) == (link.fields, link.elements)


def test_whatever_happened_to_a_record_is_read_back() -> None:
    link = record(1, note="a", owner="li", contact_points=[{"id": "1", **MAIL}, {"id": "2", **PHONE}])
    says(link, 5, 2, note=None, owner="wang")
    copies(link, "note", Statement("b", 6, 2, 1), held="B")
    copies(link, "lifecycle_stage", Statement("customer", 6, 3))
    says(link, 8, contact_points=[{"id": "1", **MAIL}])
    elements(link)["1"] = "given-by-a-merge"
    for path in [p for p in link.fields if p.startswith("contact_points/") and link.holds(p) is not UNSET]:
        if link.holds(path) is not None:
            head, _, rest = path.partition("/")[2].partition("/")
            assert head
            name = "contact_points/given-by-a-merge" + (f"/{rest}" if rest else "")
            link.fields[name] = link.fields.pop(path)
    again, seen, state = stored(link)
    assert again.fields == link.fields
    assert again.elements == link.elements
    assert seen_doc(again, PARTY) == seen
    assert state is not None


def test_a_removed_element_is_known_again() -> None:
    link = record(1, contact_points=[{"id": "1", **MAIL}, {"id": "2", **PHONE}])
    says(link, 8, contact_points=[{"id": "1", **MAIL}])
    again, _, _ = stored(link)
    assert (again.fields, again.elements) == (link.fields, link.elements)


def test_a_field_that_a_system_does_not_carry_is_not_stored_as_empty() -> None:
    link = record(1)
    link.fields["note"] = FieldState()
    assert seen_doc(link, PARTY) == {}
    says(link, 5, note=None)
    assert seen_doc(link, PARTY) == {"note": None}


# -- another mapping

OLD = [
    ("a", MAIL),
    ("b", PHONE),
    ("c", {"type": "phone", "value": "+49309999999"}),
    ("d", {"type": "social", "value": "@w"}),
]


def remapped(points: list[dict[str, Any]], *, unchanged: bool) -> tuple[dict[str, str], dict[str, str], Link]:
    """Local ids -> element ids before and after, of a record whose children were edited at 5."""
    link = record(1, contact_points=[])
    says(link, 5, contact_points=[{"id": local, **one} for local, one in OLD])
    before = dict(elements(link))
    reading = Reading(PARTY, Stamp(9), versioned=True, remapped=unchanged, new_mapping=True)
    observe(link, {"contact_points": points}, reading)
    return before, elements(link), link


def test_a_child_that_another_mapping_reads_otherwise_is_the_same_child() -> None:
    points = [
        {"id": "1", **PHONE, "value": "030 9999999"},
        {"id": "2", "type": "email", "value": "w@example.org"},
    ]
    points += [{"id": "3", **PHONE}, {"id": "4", "type": "other", "value": "w"}]
    before, now, link = remapped(points, unchanged=True)
    assert now == {"1": before["c"], "2": before["a"], "3": before["b"], "4": before["d"]}
    assert own(link, f"contact_points/{before['a']}/value") == Statement("w@example.org", 5, 1)
    assert own(link, f"contact_points/{before['a']}") == Statement(True, 5, 1)


def test_of_a_record_that_was_edited_meanwhile_only_equal_children_are_the_same() -> None:
    points = [{"id": "2", "type": "email", "value": "w@example.org"}, {"id": "3", **PHONE}]
    before, now, link = remapped(points, unchanged=False)
    assert (now["3"], now["a"]) == (before["b"], before["a"])
    assert now["2"] not in before.values()
    assert own(link, f"contact_points/{before['a']}") == Statement(None, 9, 1)
