"""Expressions: three states, exact numbers, errors that point."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmbridge.mapping.expressions import compile_expression
from crmbridge.mapping.paths import UNSET

D = Decimal


def value(text: str, data: Any) -> Any:
    return compile_expression(text)(data)


@pytest.mark.parametrize(
    ("text", "data", "found"),
    [
        ("name", {}, UNSET),
        ("name", {"name": None}, None),
        ("a.b", {"a": {}}, UNSET),
        ("a.b", {"a": None}, None),
        ("a == 'x'", {}, UNSET),
        ("!a", {}, UNSET),
        ("upper(a)", {}, UNSET),
        ("upper(a)", {"a": None}, None),
        ("join(' ', [first, last])", {"first": "Ann"}, UNSET),
        ("join(' ', [first, last])", {"first": "Ann", "last": "Lee"}, "Ann Lee"),
        ("a || b", {"b": 1}, 1),
        ("a || b", {}, UNSET),
        ("a || 'none'", {}, "none"),
        ("a && b", {"a": True}, UNSET),
        ("a && b", {"b": False}, False),
        ("a && b", {"a": False}, False),
        ("{x: a, y: b}", {"a": 1}, {"x": 1}),
        ("{x: a}", {}, UNSET),
        ("not_null(a, b)", {"b": "x"}, "x"),
        ("not_null(a, b)", {"b": None}, UNSET),
        ("not_null(a, b)", {"a": None, "b": None}, None),
        ("items[?t=='w'].v | [0]", {"items": [{"t": "h", "v": 1}, {"v": 9}, {"t": "w", "v": 2}]}, 2),
        ("items[].v", {"items": [{"v": 1}, {}, {"v": None}, {"v": 3}]}, [1, 3]),
        ("items[*].v | [0]", {}, UNSET),
        ("items[0]", {"items": []}, None),
        ("items[-1]", {"items": [1, 2]}, 2),
        ("items[1:]", {"items": [1, 2, 3]}, [2, 3]),
        ("a.*", {"a": {"x": 1, "y": 2}}, [1, 2]),
        ("has(a)", {}, False),
        ("has(a)", {"a": None}, False),
        ("has(a)", {"a": []}, False),
        ("has(a)", {"a": 0}, True),
        ("has(roles, 'customer')", {}, False),
        ("has(roles, 'customer')", {"roles": [{"id": "customer", "role": "supplier"}]}, False),
        ("has(roles, 'customer')", {"roles": [{"role": "supplier"}, {"role": "customer"}]}, True),
        ("has(tags, 'قديم')", {"tags": ["قديم", "🎉"]}, True),
    ],
)
def test_what_touches_an_absent_input_is_unset_never_null(text: str, data: Any, found: Any) -> None:
    assert value(text, data) == found
    assert type(value(text, data)) is type(found)


def test_where_absent_means_null_an_expression_sees_null() -> None:
    assert compile_expression("a", absent=None)({}) is None


@pytest.mark.parametrize(
    ("text", "data", "found"),
    [
        ("a == `150.10`", {"a": D("150.10")}, True),
        ("a == `150.1`", {"a": D("150.10")}, True),
        ("a == b", {"a": D("150.10"), "b": 150.1}, True),
        ("a < `150.11`", {"a": D("150.10")}, True),
        ("a == `12345678901234567.89`", {"a": D("12345678901234567.89")}, True),
        ("a == `12345678901234567.88`", {"a": D("12345678901234567.89")}, False),
        ("sum(a)", {"a": [D("0.1"), D("0.2")]}, D("0.3")),
        ("sum(a)", {"a": ["0.1", "0.2"]}, D("0.3")),
        ("sum(a)", {"a": []}, 0),
        ("max(a)", {"a": [D("2"), 10, D("9.5")]}, 10),
        ("min(a)", {"a": [D("2"), 10]}, D("2")),
        ("avg(a)", {"a": [D("1"), D("2")]}, D("1.5")),
        ("max(a)", {"a": ["2", "10", "9"]}, "9"),
        ("max(a)", {"a": [D(2), D(10), D(9)]}, D(10)),
        ("min(a)", {"a": [D(2), D(10), D(9)]}, D(2)),
        ("min(a)", {"a": []}, None),
        ("min_by(a, &n).k", {"a": [{"n": D("3"), "k": "x"}, {"n": D("1"), "k": "y"}]}, "y"),
        ("max_by(a, &n).k", {"a": [{"n": D("1"), "k": "x"}, {"n": D("3"), "k": "y"}]}, "y"),
        ("sort_by(a, &n)[].k", {"a": [{"n": D("3"), "k": "x"}, {"n": D("1"), "k": "y"}]}, ["y", "x"]),
        ("total.amount > `100`", {"total": {"amount": "150.10"}}, True),
        ("total.amount > other", {"total": {"amount": "9.00"}, "other": "10.00"}, False),
        ("a > 'b'", {"a": "c"}, True),
        ("a > `1`", {"a": "c"}, None),
        ("a == `true`", {"a": 1}, False),
        ("a == `1`", {"a": "1"}, True),
        ("a == '1.0'", {"a": "1"}, False),
        ("to_number(a)", {"a": "0.10"}, D("0.10")),
        ("to_string(a)", {"a": D("1.50")}, "1.50"),
        ("abs(a)", {"a": D("-1.5")}, D("1.5")),
        ("round(a, `1`)", {"a": D("1.25")}, D("1.2")),
        ("type(a)", {"a": D("1")}, "number"),
        ("contains(a, `1.10`)", {"a": [D("1.1")]}, True),
    ],
)
def test_numbers_are_exact(text: str, data: Any, found: Any) -> None:
    assert value(text, data) == found


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=4, max_value=10**9, min_value=-(10**9))
    )
)
def test_a_sum_is_what_decimal_says(numbers: list[Decimal]) -> None:
    assert value("sum(@)", numbers) == sum(numbers, D(0))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a ==", "ends too early at character 5"),
        ("a[?b", "at character"),
        ("a b", "unexpected 'b' at character 3"),
        ("", "is empty"),
        (
            "a | lowr(b)",
            "unknown function lowr() at character 5 of the expression 'a | lowr(b)'; did you mean lower()?",
        ),
        ("join(a)", "join() takes 2 argument(s), found 1"),
        ("'open", "at character 1"),
    ],
)
def test_a_broken_expression_says_what_and_where(text: str, says: str) -> None:
    with pytest.raises(ValueError, match="expression") as caught:
        compile_expression(text)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["sum('x')", "length(`1`)", "starts_with(`1`, 'a')", "sort(@)", "keys('a')"])
def test_a_function_that_cannot_work_with_its_input_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        value(text, [1, "a"])


def test_a_condition_that_cannot_be_decided_does_not_hold_and_does_not_forbid() -> None:
    condition = compile_expression("kind == 'person'")
    assert not condition.holds({})
    assert condition.allows({})
    assert not condition.allows({"kind": "x"})


def test_an_expression_knows_which_keys_it_looks_at() -> None:
    assert compile_expression("a.b[?c == d].e || upper(f) == 'g'").names == {"a", "f"}


def test_plugin_functions_are_called_with_plain_values_only() -> None:
    calls: list[Any] = []

    def shout(text: str) -> str:
        calls.append(text)
        return text + "!"

    expression = compile_expression("shout(a)", {"shout": shout})
    assert [expression({"a": "hi"}), expression({}), expression({"a": None})] == ["hi!", UNSET, None]
    assert calls == ["hi"]


def test_an_expression_names_the_keys_that_it_looks_up() -> None:
    assert compile_expression("rows[0:2].name || other[?kind == 'x']").names == {"rows", "other"}
    assert compile_expression("sort_by(lines, &number)[1:]").names == {"lines"}
