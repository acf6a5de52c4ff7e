"""Paths read three states and write what they read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmbridge.mapping.paths import UNSET, native_text, parse_path


@pytest.mark.parametrize(
    ("path", "data", "found"),
    [
        ("name", {"name": "李雷"}, "李雷"),
        ("name", {"name": None}, None),
        ("name", {}, UNSET),
        ("country.code", {"country": {"code": "CN"}}, "CN"),
        ("country.code", {"country": {}}, UNSET),
        ("country.code", {}, UNSET),
        ("country.code", {"country": None}, None),
        (
            "emails[type=work].value",
            {"emails": [{"type": "home"}, {"type": "work", "value": "a@b.c"}]},
            "a@b.c",
        ),
        ("emails[type=work].value", {"emails": []}, None),
        ("emails[type=work].value", {"emails": [{"type": "work"}]}, UNSET),
        ("emails[type=work].value", {}, UNSET),
        ("flags[on=true].n", {"flags": [{"on": True, "n": 1}]}, 1),
        ('"Tel. (work)"', {"Tel. (work)": "1"}, "1"),
        ('"a.b"."c[0]"', {"a.b": {"c[0]": 7}}, 7),
        ("Straße und Nr", {"Straße und Nr": "x"}, "x"),
    ],
)
def test_a_path_tells_unset_null_and_value_apart(path: str, data: dict[str, Any], found: Any) -> None:
    assert parse_path(path).reader(UNSET)(data) == found


def test_where_absent_means_null_a_missing_key_is_null_at_any_depth() -> None:
    assert parse_path("name").reader(None)({}) is None
    assert parse_path("a.b").reader(None)({"a": {}}) is None


@pytest.mark.parametrize(("path", "data"), [("a.b", {"a": "text"}), ("a[k=v].b", {"a": {"k": "v"}})])
def test_a_path_through_something_else_says_what_it_found(path: str, data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a"):
        parse_path(path).reader(UNSET)(data)


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a[", "a[b]", "a[b=]", "a[b=c", "a]x[", '"a', " a", "a ", 'a"b".']
)
def test_a_broken_path_is_refused_with_its_column(text: str) -> None:
    with pytest.raises(ValueError, match="at character"):
        parse_path(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a..b", "expected a name in the path at character 3: a..b"),
        ("a b .c", "expected a name in the path at character 1: a b .c"),
        ('a."b', "the path has a quote without its end at character 3"),
        ("a[b]", "expected [key=value] in the path at character 4"),
        ("a[b=c", "expected ] in the path at character 6"),
        ("a[b=c]d", "expected a dot in the path at character 7"),
        ('"a"b', "expected a dot in the path at character 4"),
    ],
)
def test_a_broken_path_is_refused_at_the_very_character(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_path(text)


@pytest.mark.parametrize(
    ("path", "data", "says"),
    [
        ("a", ["x"], "expected an object with 'a', found a list"),
        ("a.b", {"a": 7}, "expected an object with 'b', found 7"),
        ("a.b.c", {"a": {"b": [1]}}, "expected an object with 'c', found a list"),
        ("a[k=v].b", {"a": {"k": "v"}}, "expected a list at 'a', found an object"),
        ("a[k=v].b", {"a": "x" * 80}, f"found '{'x' * 56}..."),
        ("a.b", {"a": True}, "found true"),
    ],
)
def test_a_path_through_something_else_tells_what_is_there(path: str, data: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_path(path).reader(UNSET)(data)


def test_a_path_knows_its_plain_names() -> None:
    deep, plain = parse_path('emails[type=work]."e.mail"'), parse_path("name")
    assert (deep.native, deep.key, deep.text) == ("emails.e.mail", None, 'emails[type=work]."e.mail"')
    assert (plain.native, plain.key) == ("name", "name")
    assert parse_path("a[b=c]").key is None
    assert parse_path("@").reader(UNSET)({"@": 7}) == 7


def test_writing_replaces_what_is_no_object_and_keeps_what_is() -> None:
    native: dict[str, Any] = {"a": "text", "l": [7, {"t": "w", "v": 1}]}
    parse_path("a.b").put(native, 1)
    parse_path("l[t=w]").put(native, {"u": 2})
    parse_path("l[t=w]").put(native, None)
    assert native == {"a": {"b": 1}, "l": [7, {"t": "w", "v": 1, "u": 2}]}


NAME = st.text(min_size=1, max_size=8).filter(lambda t: '"' not in t)


@given(st.lists(NAME, min_size=1, max_size=4), st.integers() | st.text() | st.none())
def test_what_a_path_writes_it_reads(names: list[str], value: Any) -> None:
    path = parse_path(".".join(f'"{name}"' for name in names))
    native: dict[str, Any] = {}
    path.put(native, value)
    assert path.reader(UNSET)(native) == value


def test_paths_into_one_object_or_one_filtered_element_come_together() -> None:
    native: dict[str, Any] = {}
    for text, value in [("a.x", 1), ("a.y", 2), ("l[t=w].v", 3), ("l[t=w].u", 4), ("l[t=h].v", 5)]:
        parse_path(text).put(native, value)
    assert native == {"a": {"x": 1, "y": 2}, "l": [{"t": "w", "v": 3, "u": 4}, {"t": "h", "v": 5}]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("茶", "'茶'"),
        (None, "null"),
        (True, "true"),
        (12, "12"),
        ([1], "a list"),
        ({"a": 1}, "an object"),
        ("x" * 58, "'" + "x" * 58 + "'"),
        ("x" * 59, "'" + "x" * 56 + "..."),
    ],
)
def test_a_value_is_told_on_one_line_of_a_message(value: Any, text: str) -> None:
    assert native_text(value) == text
