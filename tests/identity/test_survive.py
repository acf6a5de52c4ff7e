"""Which value wins, one rule at a time. Times are microseconds; 0 is first contact."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from crmbridge.identity.link import FieldState, Link, Statement
from crmbridge.identity.policy import HUB
from crmbridge.identity.survive import Golden, consent, primaries
from crmbridge.sdk.hookspecs import Candidate
from tests.identity.records import PARTY, copies, merged, own, record, says


def why(golden: Golden, path: str = "note") -> tuple[Any, str, str]:
    decision = golden.decisions[path]
    return decision.winner.value, decision.system, decision.rule


# -- time, order and authority


def test_one_statement_is_the_only_one() -> None:
    assert why(merged(record(1, note="龙井"))) == ("龙井", "shop", "only")


def test_at_first_contact_the_order_of_systems_decides_and_the_other_value_is_a_conflict() -> None:
    golden = merged(record(2, note="b"), record(1, note="a"))
    assert why(golden) == ("a", "shop", "first contact")
    assert golden.decisions["note"].lost == (("crm", Statement("b", 0, 2)),)
    (conflict,) = golden.conflicts
    assert (conflict.path, conflict.winner[0], conflict.rule) == ("note", "shop", "first contact")
    assert [system for system, _ in conflict.losers] == ["crm"]
    assert not conflict.too_close
    assert not conflict.undecided


def test_equal_values_are_no_conflict_and_nobody_lost() -> None:
    golden = merged(record(1, note="a"), record(2, note="a"))
    assert golden.conflicts == []
    assert golden.decisions["note"].lost == ()


def test_an_edit_wins_over_first_contact_and_the_later_edit_over_the_earlier() -> None:
    shop, crm = record(1, note="a"), record(2, note="a")
    says(crm, 5, note="b")
    assert why(merged(shop, crm)) == ("b", "crm", "latest")
    says(shop, 6, note="c")
    assert why(merged(shop, crm)) == ("c", "shop", "latest")


def test_the_order_in_which_records_arrive_does_not_matter() -> None:
    links = [record(1, note="a"), record(2, note="b"), record(3, note="c")]
    says(links[2], 9, note="d")
    found = {tuple(merged(*order).decisions["note"].lost) for order in permutations(links)}
    assert found == {(("shop", Statement("a", 0, 1)), ("crm", Statement("b", 0, 2)))}


def test_authority_wins_over_a_later_edit_which_is_told_as_overruled() -> None:
    shop, erp = record(1, note="a"), record(3, note="a")
    says(erp, 5, note="b")
    says(shop, 6, note="c")
    golden = merged(shop, erp, authority={"note": ["erp"]})
    assert why(golden) == ("b", "erp", "authority")
    assert golden.overruled == [("note", "shop", Statement("c", 6, 1))]


def test_an_earlier_edit_of_a_lower_authority_is_not_overruled_again() -> None:
    shop, erp = record(1, note="a"), record(3, note="a")
    says(shop, 5, note="c")
    says(erp, 6, note="b")
    assert merged(shop, erp, authority={"note": ["erp"]}).overruled == []


def test_the_hub_outranks_every_authority() -> None:
    erp = record(3, note="a")
    hub = Link(9, HUB, "party", "g1")
    says(hub, 4, note="ours")
    says(erp, 8, note="theirs")
    assert why(merged(erp, hub, authority={"note": ["erp"]})) == ("ours", HUB, "decided")


def test_only_the_source_speaks_and_edits_at_targets_are_overruled() -> None:
    shop, crm = record(1, note="a"), record(2, note="a")
    says(shop, 7, note="mine")
    golden = merged(shop, crm, source="crm")
    assert why(golden) == ("a", "crm", "source")
    assert golden.overruled == [("note", "shop", Statement("mine", 7, 1))]


# -- what counts as a statement


def test_a_null_at_first_contact_says_nothing_but_an_emptied_value_does() -> None:
    shop, crm = record(1, note=None), record(2, note="b")
    assert why(merged(shop, crm)) == ("b", "crm", "only")
    says(crm, 3, note=None)
    assert why(merged(shop, crm)) == (None, "crm", "only")


def test_where_clears_are_ignored_the_value_said_before_still_counts() -> None:
    shop, crm = record(1, note="a"), record(2, note="b")
    says(crm, 3, note="c")
    says(crm, 4, note=None)
    assert why(merged(shop, crm, ignore_clear=frozenset({"note"}))) == ("c", "crm", "latest")
    assert why(merged(shop, crm, ignore_clear=frozenset({"owner"}))) == (None, "crm", "latest")


def test_a_copy_is_no_word_of_the_record_that_holds_it() -> None:
    shop, crm = record(1, note="a"), record(2, note="b")
    says(shop, 5, note="c")
    copies(crm, "note", own(shop, "note"))
    says(shop, 6, note="d")
    assert why(merged(shop, crm)) == ("d", "shop", "latest")
    assert own(crm, "note").value == "b"


def test_a_dead_record_speaks_last_unless_a_living_one_holds_its_copy() -> None:
    shop, crm = record(1, note="a", owner="li"), record(2, owner=None)
    shop.status, shop.gone_at = "gone", 9
    assert why(merged(shop, crm)) == ("a", "shop", "last resort")
    says(crm, 5, note="b")
    assert why(merged(shop, crm)) == ("b", "crm", "only")
    copies(crm, "owner", own(shop, "owner"))
    assert why(merged(shop, crm), "owner")[:2] == ("li", "shop")
    assert merged(shop, crm).decisions["owner"].rule == "only"


def test_a_further_record_of_a_native_one_only_fills_gaps() -> None:
    crm, guest = record(2, note="b"), Link(1, "shop", "orders", "o1", part="guest")
    says(guest, 0, note="a", owner="li")
    golden = merged(crm, guest)
    assert why(golden) == ("b", "crm", "only")
    assert why(golden, "owner") == ("li", "shop", "fills a gap")


def test_references_are_compared_as_golden_ones() -> None:
    golden = merged(record(1, parent={"id": "4711"}))
    assert golden.value("parent") == {"golden": "shop"}


def test_of_duplicates_in_one_system_the_first_living_one_speaks() -> None:
    said = {"note": FieldState("x")}
    links = [
        Link(4, "shop", "customers", "a", status="gone", fields=said),
        Link(5, "shop", "customers", "b", fields=said),
    ]
    part = Link(3, "shop", "orders", "c", part="guest", fields=said)
    other = Link(2, "shop", "customers", "d", scope="de", fields=said)
    not_read_yet = Link(6, "shop", "customers", "e", status="out")
    assert [link.record_id for link in primaries([not_read_yet, links[0]])] == [4]
    assert [link.record_id for link in primaries([part, *links, other])] == [2, 5]
    assert [link.record_id for link in primaries([part, links[0]])] == [3]


# -- conflicts


def test_an_edit_made_in_knowledge_of_the_other_is_no_conflict() -> None:
    shop, crm = record(1, note="a"), record(2, note="a")
    says(shop, 5, note="b")
    copies(crm, "note", own(shop, "note"))
    says(crm, 6, note="c")
    golden = merged(shop, crm)
    assert why(golden) == ("c", "crm", "latest")
    assert golden.conflicts == []
    assert golden.decisions["note"].lost == (("shop", Statement("b", 5, 1)),)


def test_two_edits_of_the_same_base_are_a_conflict_and_close_times_are_told() -> None:
    for slack, close in ((0, False), (1, False), (2, True)):
        shop, crm = record(1, note="a"), record(2, note="a")
        says(shop, 5, slack, note="b")
        says(crm, 7, 0, note="c")
        (conflict,) = merged(shop, crm).conflicts
        assert (conflict.winner[0], conflict.too_close) == ("crm", close), slack


def test_manual_keeps_the_agreed_value_until_the_hub_decides() -> None:
    shop, crm = record(1, note="a"), record(2, note="x")
    copies(crm, "note", own(shop, "note"))
    says(shop, 5, note="b")
    says(crm, 6, note="c")
    golden = merged(shop, crm, survivorship={"note": "manual"})
    assert why(golden) == ("a", "shop", "manual")
    assert golden.conflicts[0].undecided
    hub = Link(9, HUB, "party", "g1")
    says(hub, 7, note="b")
    settled = merged(shop, crm, hub, survivorship={"note": "manual"})
    assert why(settled) == ("b", HUB, "decided")
    assert settled.conflicts == []
    says(crm, 8, note="later")
    again = merged(shop, crm, hub, survivorship={"note": "manual"})
    assert again.conflicts[0].undecided
    assert why(again) == ("b", HUB, "manual"), "what was decided stays until it is decided anew"


def test_a_plugin_s_rule_sees_the_candidates_in_order_and_is_named() -> None:
    seen: list[list[Candidate]] = []

    def longest(candidates: list[Candidate]) -> int:
        seen.append(candidates)
        return max(range(len(candidates)), key=lambda i: len(candidates[i].value))

    shop, crm = record(1, note="a"), record(2, note="long")
    says(shop, 5_000_000, note="b")
    assert why(merged(shop, crm, survivorship={"note": longest})) == ("long", "crm", "longest")
    assert [(c.system, c.value) for c in seen[0]] == [("shop", "b"), ("crm", "long")]
    assert seen[0][0].time is not None
    assert seen[0][0].time.timestamp() == 5
    assert seen[0][1].time is None


# -- consent

YES, NO = {"state": "granted"}, {"state": "withdrawn"}
OPT_IN = {"state": "granted", "source": "form"}


@pytest.mark.parametrize(
    ("statements", "wins"),
    [
        ([(YES, 9), (NO, 5)], 1),
        ([(OPT_IN, 9), (NO, 5)], 0),
        ([(OPT_IN, 5), (NO, 5)], 1),
        ([(OPT_IN, 4), (NO, 5)], 1),
        ([(YES, 9), (OPT_IN, 3)], 0),
        ([(NO, 3), (NO, 5), (OPT_IN, 4)], 1),
        ([({**OPT_IN, "at": "2026-03-02T09:00:00Z"}, 1), ({**NO, "at": "2026-03-01T09:00:00Z"}, 9)], 0),
        ([({**OPT_IN, "at": "2026-03-01T09:00:00Z"}, 9), ({**NO, "at": "2026-03-02T09:00:00Z"}, 1)], 1),
        ([(None, 9), (NO, 1)], 1),
    ],
)
def test_a_withdrawal_wins_unless_a_later_grant_names_its_source(
    statements: list[tuple[Any, int]], wins: int
) -> None:
    ranked = [Statement(value, time, origin) for origin, (value, time) in enumerate(statements)]
    assert consent(ranked) is ranked[wins]


# -- deletes


def test_a_delete_travels_unless_it_is_kept_ours_or_older_than_an_edit() -> None:
    shop, crm = record(1, note="a"), record(2, note="a")
    shop.status, shop.gone_at = "gone", 9
    assert merged(shop, crm).delete is None
    assert merged(shop, crm, deletes="delete").delete == ("shop", 9)
    assert merged(shop, crm, deletes="archive", source="crm").delete is None
    assert merged(shop, crm, deletes="archive", source="shop").delete == ("shop", 9)
    says(crm, 9, note="b")
    assert merged(shop, crm, deletes="delete").delete == ("shop", 9)
    says(crm, 10, note="c")
    assert merged(shop, crm, deletes="delete").delete is None
    shop.gone_at, shop.deleted_by_us = 11, True
    assert merged(shop, crm, deletes="delete").delete is None


# -- elements

PHONE = {"type": "phone", "value": "+49301234567"}
MOBILE = {"type": "mobile", "value": "+49 30 1234567", "label": "手机"}
MAIL = {"type": "email", "value": "wang@example.org"}


def test_elements_with_one_key_are_one_and_keep_the_parts_of_both() -> None:
    shop = record(1, contact_points=[{"id": "1", **PHONE}, {"id": "2", **MAIL}])
    crm = record(2, contact_points=[{"id": "x", **MOBILE}])
    golden = merged(shop, crm)
    assert golden.relabelled
    assert shop.elements["contact_points"]["1"] == crm.elements["contact_points"]["x"]
    found = {golden.element("contact_points", e)["type"] for e in golden.elements("contact_points")}
    assert found == {"phone", "email"}
    phone = shop.elements["contact_points"]["1"]
    assert golden.element("contact_points", phone)["label"] == "手机"
    assert not merged(shop, crm).relabelled


def test_elements_of_one_record_stay_apart_and_pair_off_in_order() -> None:
    twice = [{"id": "1", **PHONE}, {"id": "2", **PHONE}]
    shop, crm = record(1, contact_points=twice), record(2, contact_points=twice)
    golden = merged(shop, crm)
    ids = shop.elements["contact_points"]
    assert ids == crm.elements["contact_points"]
    assert sorted(ids.values()) == golden.elements("contact_points")
    assert len(golden.elements("contact_points")) == 2


def test_an_edit_of_a_part_brings_a_removed_element_back_and_an_older_one_does_not() -> None:
    def after(edited: int) -> list[str]:
        shop, crm = record(1, contact_points=[{"id": "1", **PHONE}]), record(2, contact_points=[MOBILE])
        merged(shop, crm)
        says(shop, 5, contact_points=[])
        says(crm, edited, contact_points=[{**MOBILE, "label": "office"}])
        return merged(shop, crm).elements("contact_points")

    assert len(after(6)) == 1
    assert after(4) == []


def test_who_edits_a_part_and_then_removes_the_element_means_the_latter() -> None:
    shop, crm = record(1, contact_points=[{"id": "1", **PHONE}]), record(2, contact_points=[PHONE])
    merged(shop, crm)
    says(shop, 4, contact_points=[{"id": "1", **PHONE, "label": "office"}])
    says(shop, 5, contact_points=[])
    assert merged(shop, crm).elements("contact_points") == []


def test_the_document_holds_what_is_there_and_names_elements_by_id() -> None:
    shop = record(1, note="a", contact_points=[{"id": "1", **MAIL, "label": None}])
    (element,) = shop.elements["contact_points"].values()
    doc = merged(shop).doc(PARTY)
    assert doc == {"note": "a", "contact_points": [{"id": element, **MAIL}]}
    says(shop, 3, contact_points=[])
    assert merged(shop).doc(PARTY) == {"note": "a", "contact_points": []}
