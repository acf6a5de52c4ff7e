"""Secrets do not get through, in whatever form a text has them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from crmbridge.sdk.redact import Redactor

SECRET = 'pa ss/w+o"rd\\ü王🙂'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_every_form_is_masked(form: str) -> None:
    text = Redactor([SECRET])(f"before {form} after")
    assert text.replace("'", "").replace('"', "") == "before *** after"


def test_a_secret_that_begins_with_another_is_masked_whole() -> None:
    assert Redactor(["abcd", "abcdefgh"])("x abcdefgh y abcd") == "x *** y ***"


def test_a_line_end_that_came_with_the_secret_does_not_hide_it() -> None:
    assert Redactor(["t0ken\n"])("Bearer t0ken!") == "Bearer ***!"


def test_a_very_short_secret_is_masked_as_a_word_only() -> None:
    assert Redactor(["a", "x1"])("a password: a, x1, max1") == "*** password: ***, ***, max1"


def test_an_empty_secret_masks_nothing() -> None:
    assert Redactor(["", " "])("as it is") == "as it is"


def test_credentials_are_found_in_headers_by_name() -> None:
    redactor = Redactor()
    redactor.add_headers(
        {
            "Authorization": "Bearer abcdef",
            "X-Api-Key": "ghijkl",
            "Cookie": "sid=mnopqr",
            "Accept": "text/html",
        }
    )
    text = redactor("Bearer abcdef, abcdef, ghijkl, sid=mnopqr, text/html")
    assert text == "***, ***, ***, ***, text/html"
    assert "abcdef" not in repr(redactor)


def test_a_secret_learned_later_counts_at_once() -> None:
    redactor = Redactor(["first-one"])
    assert redactor("first-one second-one") == "*** second-one"
    redactor.add("second-one")
    assert redactor("first-one second-one") == "*** ***"
