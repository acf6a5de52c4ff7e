"""`make prove` plants bugs by replacing texts of the code: a change that moves such a text is told here."""

from __future__ import annotations

import pytest

from tests.prove.test_planted_bugs import BUGS, ROOT


@pytest.mark.parametrize("name", BUGS)
def test_the_text_that_a_planted_bug_replaces_is_there_once(name: str) -> None:
    _, file, sound, _ = BUGS[name]
    assert (ROOT / file).read_text(encoding="utf-8").count(sound) == 1
