"""Names and keys under which equal people meet."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge.identity.match import Verdict, compare
from crmbridge.identity.normalize import identity_keys, name_tokens, phone_form
from crmbridge.identity.search import query_terms, search_terms
from crmbridge.identity.shape import shape_of
from crmbridge_schemas.party import Party, country_of


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Søren Kierkegård", "Soren Kierkegard"),
        ("Michał Łuczak", "MICHAL LUCZAK"),
        ("Đorđe Nguyễn Đức", "Dorde Nguyen Duc"),
        ("Yıldız İnönü", "Yildiz Inonu"),
        ("Ægir Þórsson", "AEGIR THORSSON"),
        ("Cœur & Groß", "COEUR, Gross"),
        ("Guðrún Ħal", "Gudrun Hal"),
    ],
)
def test_a_name_is_the_same_with_and_without_the_letters_of_its_language(name: str, plain: str) -> None:
    assert name_tokens(name) == name_tokens(plain)


def test_each_han_character_is_a_word_and_other_scripts_stay() -> None:
    assert name_tokens("王小明") == frozenset("王小明")
    assert name_tokens("مها") == {"مها"}


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("Müller & Söhne GmbH", "Mueller & Soehne GmbH", Verdict.SAME),
        ("Müller & Söhne GmbH", "Muller & Sohne GmbH", Verdict.SAME),
        ("Søren Håkonsen", "Soeren Haakonsen", Verdict.SAME),
        ("Joel Bauer", "Jol Baur", Verdict.REVIEW),
        ("Jöl Baür", "Joel Bauer", Verdict.SAME),
    ],
)
def test_umlauts_count_as_one_letter_and_as_two(one: str, other: str, verdict: Verdict) -> None:
    ours, theirs = {"display_name": one}, {"display_name": other}
    assert compare(ours, theirs, "phone:+49301234567") is verdict
    assert compare(theirs, ours, "phone:+49301234567") is verdict


@pytest.mark.parametrize("typed", ["müller", "Mueller", "MÜLLER söhne"])
@pytest.mark.parametrize("name", ["Müller & Söhne", "Mueller & Soehne"])
def test_a_name_is_found_in_either_way_of_writing_it(typed: str, name: str) -> None:
    terms = search_terms({"display_name": name}, shape_of(Party))
    assert any(all(any(t.startswith(w) for t in terms) for w in way) for way in query_terms(typed))


def at(*addresses: tuple[str | None, str | None]) -> dict[str, Any]:
    """A party with a phone number that says no country; its addresses: (role, country)."""
    points = [{"type": "phone", "value": "044 668 18 00"}, {"type": "phone", "value": "030 123456"}]
    return {"contact_points": points, "addresses": [{"role": r, "country": c} for r, c in addresses]}


@pytest.mark.parametrize(
    ("addresses", "country"),
    [
        ([], None),
        ([(None, None), ("main", "")], None),
        ([("shipping", "DE"), (None, "CH")], "CH"),
        ([("billing", "DE"), ("main", None), ("home", "CH")], "CH"),
        ([(None, "DE"), (None, "CH")], "DE"),
        ([("main", "Schweiz"), ("other", "CH")], "CH"),
    ],
)
def test_a_party_is_at_home_where_its_first_address_of_that_kind_is(
    addresses: list[tuple[str | None, str | None]], country: str | None
) -> None:
    assert country_of(at(*addresses)) == country
    assert country_of({"addresses": None}) is None


@pytest.mark.parametrize(
    ("text", "regions", "form"),
    [
        ("044 668 18 00", ("CH", "DE"), "+41446681800"),
        ("044 668 18 00", ("DE", "CH"), "+49446681800"),
        ("044 668 18 00", (None, "DE"), "+49446681800"),
        ("030 123456", ("CH", "DE"), "+4930123456"),
        ("+49 30 123456", ("CH", "DE"), "+4930123456"),
        ("138 0013 8000", ("CH", "CN"), "+8613800138000"),
        ("044 668 18 00", (), "0446681800"),
        ("1", ("CH", "DE"), "1"),
    ],
)
def test_a_number_is_of_the_first_country_that_gives_it_out(
    text: str, regions: tuple[str | None, ...], form: str
) -> None:
    assert phone_form(text, *regions) == form


def test_a_number_is_matched_and_found_as_one_of_its_own_country() -> None:
    abroad, here = at(("main", "CH")), at()
    assert set(identity_keys(abroad, region="DE")) == {"phone:+41446681800", "phone:+4930123456"}
    assert set(identity_keys(here, region="DE")) == {"phone:+49446681800", "phone:+4930123456"}
    assert "41446681800" in search_terms(abroad, shape_of(Party, "DE"))


def test_numbers_are_compared_as_those_of_their_own_country() -> None:
    shape = shape_of(Party, "DE")
    path, phone = "contact_points/x/value", {"type": "phone"}
    swiss = shape.in_country("CH")
    assert swiss.same(path, "044 668 18 00", "+41 44 668 18 00", phone)
    assert not swiss.same(path, "044 668 18 00", "+49 446681800", phone)
    assert shape.in_country(None).same(path, "044 668 18 00", "+49 446681800", phone)
    points = swiss.lists["contact_points"]
    one, other = ({**phone, "value": value} for value in ("044 668 18 00", "+41446681800"))
    assert points.merge_key(one) == points.merge_key(other)
    assert points.own_key(one) == shape.lists["contact_points"].own_key(one) != points.own_key(other)
