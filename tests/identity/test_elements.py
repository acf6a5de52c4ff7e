"""Which addresses of different records are one."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crmbridge.identity.link import Link
from tests.identity.records import merged, record

HOME = {"lines": ["Bahnhofstrasse 1"], "postal_code": "8001", "city": "Zürich"}


def count(one: Any, other: Any) -> int:
    """How many addresses the golden record of two systems has."""
    ours, theirs = (part if isinstance(part, list) else [part] for part in (one, other))
    return len(merged(record(1, addresses=ours), record(2, addresses=theirs)).elements("addresses"))


@pytest.mark.parametrize(
    "other",
    [
        {"city": "Zürich"},
        {"postal_code": "8001"},
        {"lines": ["Bahnhofstr. 1"], "postal_code": "8001"},
        {"lines": ["Postfach", "Bahnhofstrasse 1"], "postal_code": "8001", "city": "Zürich"},
        {"lines": ["bahnhofstrasse", "1"], "country": "CH"},
        {**HOME, "role": "billing"},
    ],
)
def test_an_address_that_says_less_or_a_little_more_is_the_same(other: dict[str, Any]) -> None:
    assert count(HOME, other) == count(other, HOME) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"city": "Bern"},
        {"lines": ["Bahnhofstrasse 11"], "postal_code": "8001", "city": "Zürich"},
        {"lines": ["Bahnhofstrasse 1a"], "postal_code": "8001", "city": "Zürich"},
        {"lines": ["Bahnhofstrasse 1"], "postal_code": "3001"},
        {"lines": ["1 Bahnhofstrasse"], "postal_code": "8001", "city": "Zürich"},
        {"city": "Zürich", "role": "shipping"},
    ],
)
def test_an_address_that_says_something_else_is_another(other: dict[str, Any]) -> None:
    assert count(HOME, other) == count(other, HOME) == 2


def test_numbers_in_chinese_addresses_are_whole() -> None:
    one = {"lines": ["南京西路1号"], "city": "上海"}
    assert count(one, {"lines": ["南京西路1号2楼"], "city": "上海"}) == 1
    assert count(one, {"lines": ["南京西路11号"], "city": "上海"}) == 2


def test_roles_keep_equal_addresses_apart_whatever_their_order() -> None:
    billing, shipping = {**HOME, "role": "billing"}, {**HOME, "role": "shipping"}
    assert count(billing, shipping) == 2
    golden = merged(record(1, addresses=[billing, shipping]), record(2, addresses=[shipping, billing]))
    roles = sorted(golden.element("addresses", e)["role"] for e in golden.elements("addresses"))
    assert roles == ["billing", "shipping"]
    assert not golden.conflicts


def test_what_could_be_two_others_is_none_of_them() -> None:
    two = [{**HOME, "lines": ["Limmatquai 3"]}, HOME]
    assert count({"city": "Zürich"}, two) == 3


def test_a_city_alone_is_one_with_another_in_slots_of_one_name() -> None:
    ours = record(1, addresses=[{"id": "slot:main", "city": "Berlin"}, {"id": "slot:second", "city": "Rom"}])
    theirs = record(2, addresses=[{"id": "slot:second", "city": "Lyon"}, {"id": "slot:main", "city": "Kiel"}])
    golden = merged(ours, theirs)
    cities = {golden.element("addresses", e)["city"] for e in golden.elements("addresses")}
    assert cities == {"Berlin", "Rom"}  # the shop comes first; what lost is a conflict of that field


PARTS = st.fixed_dictionaries(
    {},
    optional={
        "lines": st.sampled_from([["Ring 1"], ["Ring 1", "Hof"], ["Ring 2"], ["環路1号"]]),
        "postal_code": st.sampled_from(["10115", "20095"]),
        "city": st.sampled_from(["Berlin", "Kiel"]),
        "role": st.sampled_from(["billing", "shipping"]),
    },
).filter(bool)
LISTS = st.lists(PARTS, max_size=3)


def partition(links: list[Link]) -> set[frozenset[tuple[int, str]]]:
    """Which elements of which records share an id."""
    found: dict[str, set[tuple[int, str]]] = {}
    for link in links:
        for local, element in link.elements.get("addresses", {}).items():
            found.setdefault(element, set()).add((link.record_id, local))
    return {frozenset(members) for members in found.values()}


@settings(deadline=None)
@given(st.tuples(LISTS, LISTS, LISTS))
@example(
    (
        [{"lines": ["Ring 1"]}, {"lines": ["Ring 1"]}, {"postal_code": "20095"}],
        [
            {"lines": ["Ring 1"]},
            {"lines": ["Ring 1"], "role": "billing", "city": "Berlin", "postal_code": "10115"},
            {"lines": ["Ring 1"], "role": "billing", "city": "Berlin", "postal_code": "20095"},
        ],
        [{"postal_code": "20095"}],
    )
)
def test_the_order_of_arrival_changes_nothing_and_what_met_stays(said: tuple[Any, ...]) -> None:
    found = []
    for order in permutations(range(3)):
        links = [record(number + 1, addresses=said[number]) for number in range(3)]
        merged(*(links[number] for number in order))
        found.append(partition(links))
        for members in found[-1]:
            records = [number for number, _ in members]
            assert len(records) == len(set(records)), "two addresses of one record became one"
        assert not merged(*links).relabelled
        assert partition(links) == found[-1]
    assert all(one == found[0] for one in found)
