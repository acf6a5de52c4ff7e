"""The functions of `read:` and `when:` expressions: JMESPath's own with exact numbers, and a few of ours.

Each is a plain function of JSON-like values. Except for those in ALL_STATES none is ever called with UNSET or
null: the expression is then UNSET or null itself. They raise ValueError for values they cannot work with.
"""

from __future__ import annotations

import inspect
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from crmbridge.mapping.paths import UNSET, native_text

__all__ = ["ALL_STATES", "FUNCTIONS", "arity", "exact", "order"]

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_ANY_COUNT = 1_000


# -- numbers and order -------------------------------------------------------------------------


def exact(value: Any) -> Decimal | int | None:
    """The value as an exact number; None for all that is no number. Text does not count."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return value
    # repr gives the shortest digits that mean this float: 150.1, not 150.099999999999994...
    return Decimal(repr(value)) if isinstance(value, float) else None


def _as_number(value: Any) -> Decimal | int | None:
    """Like `exact`, and text in plain notation counts: the canonical form of amounts."""
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    return exact(value)


def _number(value: Any) -> Decimal | int:
    number = _as_number(value)
    if number is None:
        raise ValueError(f"expected a number, found {native_text(value)}")
    return number


def _numbers(values: Any) -> list[Decimal | int]:
    return [_number(value) for value in _list(values)]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, found {native_text(value)}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {native_text(value)}")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {native_text(value)}")
    return value


_ORDERS = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


def order(kind: str, left: Any, right: Any) -> Any:
    """A comparison (`eq`, `ne`, `lt`, `lte`, `gt`, `gte`): true, false, UNSET, or null if there is none."""
    if left is UNSET or right is UNSET:
        return UNSET
    if kind in ("eq", "ne"):
        return _equal(left, right) is (kind == "eq")
    both = _comparable(left, right)
    return None if both is None else _ORDERS[kind](*both)


def _equal(left: Any, right: Any) -> bool:
    if exact(left) is not None or exact(right) is not None:
        numbers = _as_number(left), _as_number(right)
        return None not in numbers and numbers[0] == numbers[1]
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    return bool(left == right)


def _comparable(left: Any, right: Any) -> tuple[Any, Any] | None:
    numbers = _as_number(left), _as_number(right)
    if None not in numbers:
        return numbers
    return (left, right) if isinstance(left, str) and isinstance(right, str) else None


def _sortable(values: Iterable[Any]) -> list[Any]:
    """Keys that order `values`: numbers if all of them are, else text if all of them are."""
    values = list(values)
    if all(exact(value) is not None for value in values):
        return [exact(value) for value in values]
    if all(isinstance(value, str) for value in values):
        return values
    raise ValueError("expected numbers only or texts only")


# -- JMESPath's own ----------------------------------------------------------------------------


def _avg(values: Any) -> Any:
    numbers = _numbers(values)
    return Decimal(sum(numbers)) / len(numbers) if numbers else None


def _best(pick: Callable[..., int]) -> Callable[[Any], Any]:
    def best(values: Any) -> Any:
        return _best_by(pick)(values, lambda value: value)

    return best


def _best_by(pick: Callable[..., int]) -> Callable[[Any, Any], Any]:
    def best(values: Any, key: Any) -> Any:
        elements = _list(values)
        if not elements:
            return None
        keys = _sortable(key(element) for element in elements)
        return elements[pick(range(len(elements)), key=keys.__getitem__)]

    return best


def _sort_by(values: Any, key: Any) -> list[Any]:
    elements = _list(values)
    keys = _sortable(key(element) for element in elements)
    return [elements[index] for index in sorted(range(len(elements)), key=keys.__getitem__)]


def _contains(subject: Any, search: Any) -> bool:
    if isinstance(subject, str):
        return isinstance(search, str) and search in subject
    return any(_equal(element, search) for element in _list(subject))


def _length(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise ValueError(f"expected text, a list or an object, found {native_text(value)}")
    return len(value)


def _not_null(*values: Any) -> Any:
    """The first value that there is; UNSET rather than null where the record may yet say something."""
    for value in values:
        if value is not None and value is not UNSET:
            return value
    return UNSET if UNSET in values else None


def _to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    number = exact(value)
    if number is not None:
        return format(number, "f") if isinstance(number, Decimal) else str(number)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    (str, "string"),
    ((int, float, Decimal), "number"),
    (list, "array"),
    (dict, "object"),
)


def _type(value: Any) -> Any:
    if value is UNSET:
        return UNSET
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


# -- ours --------------------------------------------------------------------------------------


def _has(value: Any, wanted: Any = UNSET) -> bool:
    """Whether there is a value; or whether a list holds `wanted`, itself or as a field of an element."""
    if value is UNSET or value is None:
        return False
    if wanted is UNSET:
        return value not in ("", [], {})
    elements = value if isinstance(value, list) else [value]
    return any(_holds(element, wanted) for element in elements)


def _holds(element: Any, wanted: Any) -> bool:
    if isinstance(element, dict):
        return any(_equal(part, wanted) for name, part in element.items() if name != "id")
    return _equal(element, wanted)


def _round(value: Any, digits: Any) -> Any:
    return round(Decimal(_number(value)), int(digits))


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": lambda value: abs(_number(value)),
    "avg": _avg,
    "ceil": lambda value: math.ceil(_number(value)),
    "contains": _contains,
    "ends_with": lambda text, end: _text(text).endswith(_text(end)),
    "floor": lambda value: math.floor(_number(value)),
    "join": lambda glue, texts: _text(glue).join(_text(text) for text in _list(texts)),
    "keys": lambda value: list(_object(value)),
    "length": _length,
    "map": lambda key, values: [key(value) for value in _list(values)],
    "max": _best(max),
    "max_by": _best_by(max),
    "merge": lambda *objects: {key: value for one in objects for key, value in _object(one).items()},
    "min": _best(min),
    "min_by": _best_by(min),
    "not_null": _not_null,
    "reverse": lambda value: value[::-1] if isinstance(value, str) else _list(value)[::-1],
    "sort": lambda values: _sort_by(values, lambda value: value),
    "sort_by": _sort_by,
    "starts_with": lambda text, start: _text(text).startswith(_text(start)),
    "sum": lambda values: sum(_numbers(values)),
    "to_array": lambda value: value if isinstance(value, list) else [value],
    "to_number": _as_number,
    "to_string": _to_string,
    "type": _type,
    "values": lambda value: list(_object(value).values()),
    "has": _has,
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "trim": lambda text: _text(text).strip(),
    "replace": lambda text, old, new: _text(text).replace(_text(old), _text(new)),
    "split": lambda text, separator: _text(text).split(_text(separator)),
    "round": _round,
}
"""Function by name."""

ALL_STATES: Final = frozenset({"has", "not_null", "type"})
"""Functions that see UNSET and null."""


def arity(function: Callable[..., Any]) -> tuple[int, int]:
    """How many arguments it takes: at least and at most."""
    least, most = 0, 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            least, most = max(least, 1), _ANY_COUNT
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            least += parameter.default is parameter.empty
    return least, most
