"""Names and keys under which equal people meet."""

from __future__ import annotations

import pytest

from crmbridge.identity.match import Verdict, compare
from crmbridge.identity.normalize import name_tokens
from crmbridge.identity.search import query_terms, search_terms


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
    terms = search_terms({"display_name": name})
    assert any(all(any(t.startswith(w) for t in terms) for w in way) for way in query_terms(typed))
