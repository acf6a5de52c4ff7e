"""Names and keys under which equal people meet."""

from __future__ import annotations

import pytest

from crmbridge.identity.normalize import name_tokens


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
