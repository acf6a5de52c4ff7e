"""JMESPath for `read:` and `when:`, with three states, exact numbers and functions of ours.

The grammar is that of https://jmespath.org/specification.html, read by the library's own parser. Evaluation
is ours, because the library's raises on sums of Decimal, finds 150.10 unequal to itself and cannot tell a
missing key from a null one:

- A missing key is UNSET. What touches UNSET is UNSET: a comparison, a function, a key below it. Exceptions:
  `has()` and `not_null()` look at it, `a || b` falls back to b, filters and lists leave it out, and an object
  `{a: x}` is made without a.
- Null in, null out: a function that is given null gives null, so that an empty field stops no record.
- Numbers are exact. Text that is a number (the canonical form of money) compares with numbers as one.

An expression is compiled once to plain functions; unknown functions and wrong counts of arguments are
found then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from jmespath.exceptions import EmptyExpressionError, JMESPathError, LexerError, ParseError
from jmespath.parser import Parser

from crmbridge.mapping.functions import ALL_STATES, FUNCTIONS, arity, order
from crmbridge.mapping.paths import UNSET

__all__ = ["Expression", "compile_expression"]

Evaluate = Callable[[Any], Any]
Node = Mapping[str, Any]


class Expression:
    """A compiled expression: called with a native record or a canonical document, it gives what that says."""

    def __init__(self, text: str, evaluate: Evaluate, tree: Node) -> None:
        self.text = text
        self.tree = tree
        """Its parts as the parser gives them: `type`, `value`, `children`."""
        self.names = frozenset(_names(tree))
        """The top-level keys that it looks at."""
        self.functions = frozenset(_functions(tree))
        """Those that it calls."""
        self.compared = frozenset(name for name in _compared(tree) if f'"{name}"' in text)
        """Fields in double quotes that are compared with another field: a text may be meant."""
        self._evaluate = evaluate

    def __call__(self, data: Any) -> Any:
        return self._evaluate(data)

    def holds(self, data: Any) -> bool:
        """Whether it is plainly true: UNSET, null, false and empty things are not."""
        return not _is_false(self._evaluate(data))

    def allows(self, data: Any) -> bool:
        """Whether it is not plainly false: where `data` says too little, nothing speaks against it."""
        value = self._evaluate(data)
        return value is UNSET or not _is_false(value)


def compile_expression(
    text: str, functions: Mapping[str, Callable[..., Any]] | None = None, *, absent: Any = UNSET
) -> Expression:
    """Compile `text`. `functions` come on top of ours; `absent` (UNSET or None) stands for a missing key.

    Raises ValueError that names the column in the expression, counted from 1.
    """
    try:
        parsed = _ExactParser().parse(text).parsed
    except EmptyExpressionError as error:
        raise ValueError("the expression is empty") from error
    except LexerError as error:
        raise ValueError(_at(text, error.lexer_position, error.message) + _quoted(text)) from error
    except ParseError as error:
        found = f"unexpected {error.token_value!r}" if error.token_value else "it ends too early"
        raise ValueError(_at(text, error.lex_position, found) + _quoted(text)) from error
    except JMESPathError as error:
        raise ValueError(f"{error} in the expression {text!r}") from error
    known = {**FUNCTIONS, **(functions or {})}
    return Expression(text, _Compiler(text, known, absent).compile(parsed), parsed)


def _names(node: Node) -> Iterator[str]:
    """The keys that are looked up in the data itself; what follows a dot or a filter looks further in."""
    children = node["children"]
    if node["type"] == "field":
        yield node["value"]
    elif node["type"] in _INWARD:
        yield from _names(children[0])
    elif node["type"] not in ("expref", "slice"):
        for child in children:
            yield from _names(child)


def _functions(node: Node) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"] if node["type"] != "slice" else ():  # a slice holds numbers
        yield from _functions(child)


def _compared(node: Node) -> Iterator[str]:
    """The fields that are compared with fields."""
    children = [child for child in node["children"] if isinstance(child, dict)]  # a slice has numbers
    if node["type"] == "comparator" and all(child["type"] == "field" for child in children):
        yield from (child["value"] for child in children)
    for child in children:
        yield from _compared(child)


_INWARD = frozenset(
    {
        "subexpression", "index_expression", "pipe", "projection", "filter_projection", "value_projection",
    }
)  # fmt: skip


def _at(text: str, position: int, problem: str) -> str:
    return f"{problem} at character {position + 1} of the expression {text!r}"


_NAME = re.compile(r"\w[\w .:/#&+-]*")
"""What people call a column."""


def _quoted(text: str) -> str:
    """How a name is written that is no name to JMESPath: `E-Mail`, `First name`."""
    if not _NAME.fullmatch(text):
        return ""
    return (
        f"; if that is the name of a field, put it in double quotes inside of the single ones: '\"{text}\"'"
    )


class _ExactParser(Parser):
    """The library's parser; numbers in literals become Decimal straight from their digits."""

    _CACHE: dict[str, Any] = {}  # noqa: RUF012 - not the library's: its literals are floats

    def parse(self, expression: str) -> Any:
        self._text = expression
        return super().parse(expression)

    def _token_nud_literal(self, token: dict[str, Any]) -> Any:
        if isinstance(token["value"], float | int | list | dict) and self._text[token["start"]] == "`":
            end = re.compile(r"(?:[^`\\]|\\.)*").match(self._text, token["start"] + 1)
            assert end is not None
            token["value"] = json.loads(end.group().replace("\\`", "`"), parse_float=Decimal)
        return {"type": "literal", "value": token["value"], "children": []}


class _Compiler:
    """Turns the parser's tree into nested functions; one method for each kind of node."""

    def __init__(self, text: str, functions: Mapping[str, Callable[..., Any]], absent: Any) -> None:
        self._text = text
        self._functions = functions
        self._absent = absent

    def compile(self, node: Node) -> Evaluate:
        made: Evaluate = getattr(self, "_" + node["type"])(node)
        return made

    def _children(self, node: Node) -> list[Evaluate]:
        return [self.compile(child) for child in node["children"]]

    def _chain(self, node: Node) -> Evaluate:
        steps = self._children(node)

        def evaluate(data: Any) -> Any:
            for step in steps:
                data = step(data)
            return data

        return evaluate

    _subexpression = _index_expression = _pipe = _chain

    def _field(self, node: Node) -> Evaluate:
        name, absent = node["value"], self._absent

        def evaluate(data: Any) -> Any:
            if isinstance(data, dict):
                return data.get(name, absent)
            return UNSET if data is UNSET else None

        return evaluate

    def _current(self, _node: Node) -> Evaluate:
        return lambda data: data

    _identity = _current

    def _literal(self, node: Node) -> Evaluate:
        value = node["value"]
        return lambda _data: value

    def _index(self, node: Node) -> Evaluate:
        index = node["value"]

        def evaluate(data: Any) -> Any:
            if isinstance(data, list):
                return data[index] if -len(data) <= index < len(data) else None
            return UNSET if data is UNSET else None

        return evaluate

    def _slice(self, node: Node) -> Evaluate:
        part = slice(*node["children"])
        return lambda data: data[part] if isinstance(data, list) else _not_a_list(data)

    def _comparator(self, node: Node) -> Evaluate:
        (left, right), operator = self._children(node), node["value"]

        def evaluate(data: Any) -> Any:
            return order(operator, left(data), right(data))

        return evaluate

    def _expref(self, node: Node) -> Evaluate:
        inner = self.compile(node["children"][0])
        return lambda _data: inner

    def _function_expression(self, node: Node) -> Evaluate:
        name, arguments = node["value"], self._children(node)
        function = self._functions.get(name)
        if function is None:
            raise ValueError(self._unknown(name))
        least, most = arity(function)
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"at least {least}"
            raise ValueError(
                _at(
                    self._text,
                    self._text.find(name),
                    f"{name}() takes {wanted} argument(s), found {len(arguments)}",
                )
            )
        if name in ALL_STATES:
            return lambda data: function(*[argument(data) for argument in arguments])

        def evaluate(data: Any) -> Any:
            values = [argument(data) for argument in arguments]
            if any(value is UNSET for value in values):
                return UNSET
            return None if any(value is None for value in values) else function(*values)

        return evaluate

    def _unknown(self, name: str) -> str:
        close = get_close_matches(name, self._functions, n=1)
        meant = f"; did you mean {close[0]}()?" if close else ""
        return _at(self._text, max(self._text.find(name), 0), f"unknown function {name}()") + meant

    def _filter_projection(self, node: Node) -> Evaluate:
        base, rest, condition = self._children(node)

        def evaluate(data: Any) -> Any:
            elements = base(data)
            if not isinstance(elements, list):
                return _not_a_list(elements)
            return _collect(rest, [element for element in elements if not _is_false(condition(element))])

        return evaluate

    def _flatten(self, node: Node) -> Evaluate:
        (base,) = self._children(node)

        def evaluate(data: Any) -> Any:
            elements = base(data)
            if not isinstance(elements, list):
                return _not_a_list(elements)
            flat: list[Any] = []
            for element in elements:
                flat.extend(element if isinstance(element, list) else [element])
            return flat

        return evaluate

    def _projection(self, node: Node) -> Evaluate:
        base, rest = self._children(node)

        def evaluate(data: Any) -> Any:
            elements = base(data)
            return _collect(rest, elements) if isinstance(elements, list) else _not_a_list(elements)

        return evaluate

    def _value_projection(self, node: Node) -> Evaluate:
        base, rest = self._children(node)

        def evaluate(data: Any) -> Any:
            found = base(data)
            return _collect(rest, list(found.values())) if isinstance(found, dict) else _not_a_list(found)

        return evaluate

    def _multi_select_list(self, node: Node) -> Evaluate:
        parts = self._children(node)

        def evaluate(data: Any) -> Any:
            if data is None or data is UNSET:
                return data
            values = [part(data) for part in parts]
            return UNSET if any(value is UNSET for value in values) else values

        return evaluate

    def _multi_select_dict(self, node: Node) -> Evaluate:
        parts = [(child["value"], self.compile(child["children"][0])) for child in node["children"]]

        def evaluate(data: Any) -> Any:
            if data is None or data is UNSET:
                return data
            made = {name: value for name, part in parts if (value := part(data)) is not UNSET}
            return made or UNSET

        return evaluate

    def _or_expression(self, node: Node) -> Evaluate:
        left, right = self._children(node)

        def evaluate(data: Any) -> Any:
            value = left(data)
            return right(data) if _is_false(value) else value

        return evaluate

    def _and_expression(self, node: Node) -> Evaluate:
        left, right = self._children(node)

        def evaluate(data: Any) -> Any:
            value = left(data)
            if value is UNSET:
                other = right(data)
                return other if other is not UNSET and _is_false(other) else UNSET
            return value if _is_false(value) else right(data)

        return evaluate

    def _not_expression(self, node: Node) -> Evaluate:
        (inner,) = self._children(node)

        def evaluate(data: Any) -> Any:
            value = inner(data)
            return UNSET if value is UNSET else _is_false(value)

        return evaluate


def _not_a_list(data: Any) -> Any:
    return UNSET if data is UNSET else None


def _collect(rest: Evaluate, elements: list[Any]) -> list[Any]:
    values = [rest(element) for element in elements]
    return [value for value in values if value is not None and value is not UNSET]


def _is_false(value: Any) -> bool:
    """JMESPath's idea of false, where 0 counts as true; UNSET is not true either."""
    if value is UNSET or value is None or value is False:
        return True
    return isinstance(value, str | list | dict) and not value
