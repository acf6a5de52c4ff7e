"""Each function and each construct of the expression language by example, as https://jmespath.org says."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from crmbridge.mapping.expressions import compile_expression
from crmbridge.mapping.functions import FUNCTIONS
from crmbridge.mapping.paths import UNSET

D = Decimal
PEOPLE = [{"n": D("3"), "k": "x"}, {"n": D("1"), "k": "y"}, {"n": D("2"), "k": "z"}]
EXAMPLES: list[tuple[str, Any, Any]] = [
    ("abs(@)", D("-1.5"), D("1.5")),
    ("abs(@)", "-1.5", D("1.5")),
    ("avg(@)", [D("1"), D("2"), "6"], D("3")),
    ("avg(@)", [], None),
    ("ceil(@)", D("1.2"), 2),
    ("ceil(@)", D("-1.2"), -1),
    ("floor(@)", D("1.8"), 1),
    ("contains(@, 'bc')", "abcd", True),
    ("contains(@, 'x')", "abcd", False),
    ("contains(@, `1`)", "a1", False),
    ("contains(@, '茶')", ["a", "茶"], True),
    ("contains(@, `2`)", [1, D("2.0")], True),
    ("contains(@, `3`)", [1, 2], False),
    ("ends_with(@, 'بك')", "مرحبا بك", True),
    ("ends_with(@, 'a')", "ab", False),
    ("starts_with(@, 'a')", "ab", True),
    ("starts_with(@, 'b')", "ab", False),
    ("join('-', @)", ["a", "b", "c"], "a-b-c"),
    ("keys(@)", {"a": 1, "b": 2}, ["a", "b"]),
    ("values(@)", {"a": 1, "b": 2}, [1, 2]),
    ("length(@)", "王小明", 3),
    ("length(@)", [1, 2], 2),
    ("length(@)", {"a": 1}, 1),
    ("map(&n, @)", PEOPLE, [3, 1, 2]),
    ("map(&upper(@), @)", ["a", "b"], ["A", "B"]),
    ("max(@)", [1, D("3.5"), 2], D("3.5")),
    ("max(@)", ["a", "c", "b"], "c"),
    ("max(@)", [], None),
    ("max_by(@, &n).k", PEOPLE, "x"),
    ("max_by(@, &k).n", PEOPLE, 2),
    ("min(@)", [2, D("0.5"), 1], D("0.5")),
    ("min_by(@, &n).k", PEOPLE, "y"),
    ("merge(@, `{\"b\": 2}`)", {"a": 1, "b": 1}, {"a": 1, "b": 2}),
    ("merge(@)", {"a": 1}, {"a": 1}),
    ("not_null(a, b, c)", {"a": None, "b": False, "c": 1}, False),
    ("not_null(a)", {}, UNSET),
    ("reverse(@)", "abc", "cba"),
    ("reverse(@)", [1, 2, 3], [3, 2, 1]),
    ("sort(@)", [10, D("9.5"), 2], [2, D("9.5"), 10]),
    ("sort(@)", ["b", "a"], ["a", "b"]),
    ("sort(@)", [], []),
    ("sort_by(@, &n)[].k", PEOPLE, ["y", "z", "x"]),
    ("sort_by(@, &k)[].n", PEOPLE, [3, 1, 2]),
    ("sum(@)", [1, "2.5", D("0.5")], D("4.0")),
    ("to_array(@)", "a", ["a"]),
    ("to_array(@)", ["a"], ["a"]),
    ("to_number(@)", "12.50", D("12.50")),
    ("to_number(@)", "-7", D("-7")),
    ("to_number(@)", "1e5", None),
    ("to_number(@)", "12 EUR", None),
    ("to_number(@)", True, None),
    ("to_number(@)", 7, 7),
    ("to_number(@)", 0.1, D("0.1")),
    ("to_string(@)", "a", "a"),
    ("to_string(@)", D("1.50"), "1.50"),
    ("to_string(@)", D("1E+3"), "1000"),
    ("to_string(@)", 7, "7"),
    ("to_string(@)", 0.1, "0.1"),
    ("to_string(@)", True, "true"),
    ("to_string(@)", {"a": ["茶", D("1.5")]}, '{"a":["茶","1.5"]}'),
    ("type(a)", {"a": True}, "boolean"),
    ("type(a)", {"a": "x"}, "string"),
    ("type(a)", {"a": 1}, "number"),
    ("type(a)", {"a": D("1")}, "number"),
    ("type(a)", {"a": 0.5}, "number"),
    ("type(a)", {"a": []}, "array"),
    ("type(a)", {"a": {}}, "object"),
    ("type(a)", {"a": None}, "null"),
    ("type(a)", {}, UNSET),
    ("has(a)", {"a": "x"}, True),
    ("has(a)", {"a": ""}, False),
    ("has(a)", {"a": {}}, False),
    ("has(a, 'x')", {"a": "x"}, True),
    ("has(a, 'x')", {"a": None}, False),
    ("has(a, `1`)", {"a": [{"n": "1.0"}]}, True),
    ("lower(@)", "ÄB", "äb"),
    ("upper(@)", "äb", "ÄB"),
    ("trim(@)", " a ", "a"),
    ("replace(@, 'a', 'b')", "aXa", "bXb"),
    ("split(@, ', ')", "a, b", ["a", "b"]),
    ("round(@, `1`)", D("2.34"), D("2.3")),
    ("round(@, `0`)", "2.6", D("3")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "data", "found"), EXAMPLES)
def test_what_a_function_gives(text: str, data: Any, found: Any) -> None:
    given = compile_expression(text)(data)
    assert given == found
    assert (given is True) == (found is True)


def test_every_function_has_an_example() -> None:
    called = {name for text, _, _ in EXAMPLES for name in re.findall(r"(\w+)\(", text)}
    assert set(FUNCTIONS) - called == set()


@pytest.mark.parametrize(
    ("text", "data", "says"),
    [
        ("abs(@)", "many", "expected a number, found 'many'"),
        ("abs(@)", True, "expected a number, found true"),
        ("sum(@)", "1", "expected a list, found '1'"),
        ("sum(@)", ["x"], "expected a number, found 'x'"),
        ("length(@)", 7, "expected text, a list or an object, found 7"),
        ("upper(@)", 7, "expected text, found 7"),
        ("ends_with(@, 'a')", 7, "expected text, found 7"),
        ("join(',', @)", ["a", 7], "expected text, found 7"),
        ("join(@, `[]`)", 7, "expected text, found 7"),
        ("keys(@)", ["a"], "expected an object, found"),
        ("values(@)", "a", "expected an object, found 'a'"),
        ("merge(@)", "a", "expected an object, found 'a'"),
        ("map(&a, @)", "a", "expected a list, found 'a'"),
        ("reverse(@)", 7, "expected a list, found 7"),
        ("max(@)", ["a", 1], "expected numbers only or texts only"),
        ("sort(@)", ["a", None], "expected numbers only or texts only"),
        ("max_by(@, &n)", "a", "expected a list, found 'a'"),
        ("sort_by(@, &n)", "a", "expected a list, found 'a'"),
        ("contains(@, 'a')", 7, "expected a list, found 7"),
    ],
)
def test_what_a_function_cannot_work_with_is_refused_with_what_it_found(
    text: str, data: Any, says: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        compile_expression(text)(data)


@pytest.mark.parametrize(
    ("text", "data", "found"),
    [
        ("@", {"a": 1}, {"a": 1}),
        ("'text'", {}, "text"),
        ("`[1.50, {\"a\": \"`\\`\"}]`".replace("`\\`", "\\`"), {}, [D("1.50"), {"a": "`"}]),
        ("`\"x\"`", {}, "x"),
        ("`null`", {}, None),
        ("a.b.c", {"a": {"b": {"c": 1}}}, 1),
        ("a.b", {"a": "text"}, None),
        ("\"Tel. (work)\"", {"Tel. (work)": "1"}, "1"),
        ("a[1]", {"a": [1, 2]}, 2),
        ("a[2]", {"a": [1, 2]}, None),
        ("a[-2]", {"a": [1, 2]}, 1),
        ("a[-3]", {"a": [1, 2]}, None),
        ("a[0]", {}, UNSET),
        ("a[0]", {"a": "text"}, None),
        ("a[:2]", {"a": [1, 2, 3]}, [1, 2]),
        ("a[::-1]", {"a": [1, 2, 3]}, [3, 2, 1]),
        ("a[1:]", {"a": "text"}, None),
        ("a[1:]", {}, UNSET),
        ("a[*].n", {"a": [{"n": 1}, {"m": 2}, {"n": 3}]}, [1, 3]),
        ("a[*].n", {"a": {"n": 1}}, None),
        ("a[]", {"a": [[1, 2], 3, [4]]}, [1, 2, 3, 4]),
        ("a[]", {"a": "text"}, None),
        ("a[]", {}, UNSET),
        ("a.*.n", {"a": {"x": {"n": 1}, "y": {}, "z": {"n": 2}}}, [1, 2]),
        ("a.*", {"a": [1]}, None),
        ("a.*", {}, UNSET),
        ("a[?n > `1`].k", {"a": PEOPLE}, ["x", "z"]),
        ("a[?n > `1`]", {"a": "text"}, None),
        ("a[?n > `1`]", {}, UNSET),
        ("a[?n >= `2` && k != 'x'].k", {"a": PEOPLE}, ["z"]),
        ("a[?n < `2` || k == 'x'].k", {"a": PEOPLE}, ["x", "y"]),
        ("a[?!(n <= `2`)].k", {"a": PEOPLE}, ["x"]),
        ("[a, b]", {"a": 1, "b": None}, [1, None]),
        ("[a, b]", {"a": 1}, UNSET),
        ("a.[b, c]", {"a": None}, None),
        ("a.[b, c]", {}, UNSET),
        ("a.{x: b}", {"a": None}, None),
        ("a.{x: b}", {}, UNSET),
        ("a.{x: b, y: c}", {"a": {"b": 1, "c": None}}, {"x": 1, "y": None}),
        ("a | b", {"a": {"b": 1}}, 1),
        ("a || b", {"a": 0, "b": 1}, 0),
        ("a || b", {"a": "", "b": 1}, 1),
        ("a || b", {"a": [], "b": 1}, 1),
        ("a || b", {"a": {}, "b": 1}, 1),
        ("a || b", {"a": "x", "b": 1}, "x"),
        ("a || b", {"a": [0], "b": 1}, [0]),
        ("a && b", {"a": 0, "b": 1}, 1),
        ("a && b", {"a": None, "b": 1}, None),
        ("a && b", {"a": "x"}, UNSET),
        ("a && b", {"b": 1}, UNSET),
        ("a && b", {"b": ""}, ""),
        ("a && b", {}, UNSET),
        ("!a", {"a": []}, True),
        ("!a", {"a": 0}, False),
        ("!a", {"a": None}, True),
        ("a == b", {"a": [1, {"x": "1.0"}], "b": [D("1.0"), {"x": "1.0"}]}, True),
        ("a == b", {"a": [1], "b": [1, 2]}, False),
        ("a == b", {"a": {"x": 1}, "b": {"x": 1, "y": 1}}, False),
        ("a == b", {"a": {"x": 1}, "b": {"x": D("1.0")}}, True),
        ("a == b", {"a": {"x": 1}, "b": {"x": 2}}, False),
        ("a == b", {"a": "x", "b": None}, False),
        ("a == b", {"a": ["x"], "b": "x"}, False),
        ("a == b", {"a": "x", "b": ["x"]}, False),
        ("a == b", {"a": {"x": 1}, "b": [1]}, False),
        ("a == b", {"a": [1], "b": {"x": 1}}, False),
        ("a == b", {"a": 1, "b": "x"}, False),
        ("a != b", {"a": "x", "b": "x"}, False),
        ("a != b", {"a": "x", "b": "y"}, True),
        ("a != b", {"a": "x"}, UNSET),
        ("a < b", {"a": 1, "b": 1}, False),
        ("a <= b", {"a": 1, "b": 1}, True),
        ("a > b", {"a": 1, "b": 1}, False),
        ("a >= b", {"a": 1, "b": 1}, True),
        ("a < b", {"a": "a", "b": "b"}, True),
        ("a < b", {"a": "9", "b": "10"}, True),
        ("a < b", {"a": "9", "b": "x"}, True),
        ("a < b", {"a": [1], "b": [2]}, None),
        ("a < b", {"a": True, "b": 2}, None),
        ("a < b", {"b": 2}, UNSET),
    ],
)  # fmt: skip
def test_what_a_construct_gives(text: str, data: Any, found: Any) -> None:
    given = compile_expression(text)(data)
    assert given == found
    assert type(given) is type(found)


def test_a_filter_keeps_only_what_plainly_holds() -> None:
    condition = compile_expression("a")
    for true in (1, 0, "x", [0], {"a": 1}, True):
        assert condition.holds({"a": true})
        assert condition.allows({"a": true})
    for false in (None, False, "", [], {}):
        assert not condition.holds({"a": false})
        assert not condition.allows({"a": false})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.b", {"a"}),
        ("a[0].b", {"a"}),
        ("a | b", {"a"}),
        ("a[*].b", {"a"}),
        ("a[?b].c", {"a"}),
        ("a.*.b", {"a"}),
        ("a[1:2]", {"a"}),
        ("[a, b]", {"a", "b"}),
        ("{x: a, y: b.c}", {"a", "b"}),
        ("!a && b == c", {"a", "b", "c"}),
        ("map(&x, a)", {"a"}),
        ("a[].b", {"a"}),
    ],
)
def test_an_expression_names_the_keys_that_it_looks_at(text: str, names: set[str]) -> None:
    assert compile_expression(text).names == names


@pytest.mark.parametrize(
    ("text", "functions"),
    [
        ("a[1:2]", set()),
        ("length(a[1:2])", {"length"}),
        ("a[?has(b)].map(&length(c), @)", {"has", "map", "length"}),
        ("{x: [has(a)]} | abs(b)", {"has", "abs"}),
    ],
)
def test_an_expression_names_the_functions_that_it_calls(text: str, functions: set[str]) -> None:
    assert compile_expression(text).functions == functions


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("merge()", "merge() takes at least 1 argument(s), found 0 at character 1"),
        ("a || abs(b, c)", "abs() takes 1 argument(s), found 2 at character 6"),
        ("has()", "has() takes at least 1 argument(s), found 0"),
        ("has(a, b, c)", "has() takes at least 1 argument(s), found 3"),
        ("a # b", "at character 3"),
    ],
)
def test_a_wrong_number_of_arguments_is_named_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        compile_expression(text)
