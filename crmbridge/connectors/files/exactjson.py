"""JSON whose numbers keep every digit: fractions are Decimal, integers have any size."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

__all__ = ["dumps", "loads"]


_DEEPEST = 100


def dumps(value: Any, *, compact: bool = True, depth: int = 0) -> str:
    """JSON text on one line, not escaped beyond need. Raises ValueError for what JSON does not have."""
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    comma, colon = (",", ":") if compact else (", ", ": ")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is not a JSON number")
        return str(value)
    if isinstance(value, dict):
        items = (
            json.dumps(name, ensure_ascii=False) + colon + dumps(item, compact=compact, depth=depth + 1)
            for name, item in value.items()
        )
        return "{" + comma.join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + comma.join(dumps(item, compact=compact, depth=depth + 1) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def loads(text: str) -> Any:
    """The value. Raises ValueError: not JSON, NaN, a name twice in one object, a lone surrogate, too deep."""
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates
        )
        if "\\u" in text or text.count("{") + text.count("[") > _DEEPEST:
            dumps(value).encode()
    except RecursionError:
        raise ValueError(f"it is nested more than {_DEEPEST} deep") from None
    except UnicodeEncodeError:
        raise ValueError(
            "half of a surrogate pair (\\ud800 to \\udfff) stands alone; it is no character"
        ) from None
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands twice in one object")
    return found
