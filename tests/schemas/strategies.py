"""Hypothesis strategies for native-looking input of any canonical model: unset, null or a value per field."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Gt
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel

TEXT = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12
) | st.sampled_from(
    ["Müller", "Mu\u0308ller", "上海市浦东新区", "شركة النور", "👩‍👩‍👧 Family", "한국", "\u1112\u1161\u11ab"]
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(1, 5),
    Decimal: st.decimals(0, 100, places=4)
    | st.sampled_from([Decimal("1E+1"), Decimal("0.10"), Decimal("-0")]),
    date: st.dates().map(date.isoformat),
    AwareDatetime: st.datetimes(datetime(2, 1, 1), timezones=ZONES).map(datetime.isoformat),  # noqa: DTZ001
}


def records(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    fields = model.model_fields
    required = {name: _values(f.annotation, f.metadata) for name, f in fields.items() if f.is_required()}
    optional = {name: _values(f.annotation, f.metadata) for name, f in fields.items() if not f.is_required()}
    return st.fixed_dictionaries(required, optional=optional)


def _values(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*(_one(part, marks) for part, marks in _members(annotation, metadata)))


def _members(annotation: Any, marks: list[Any]) -> Iterator[tuple[Any, list[Any]]]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        yield from _members(inner, [*marks, *more])
    elif origin in (None, list, Literal):
        yield annotation, marks
    else:
        for member in get_args(annotation):
            yield from _members(member, marks)


def _one(part: Any, marks: list[Any]) -> st.SearchStrategy[Any]:
    if part is type(None):
        return st.none()
    if get_origin(part) is Literal:
        return st.sampled_from(get_args(part))
    if get_origin(part) is list:
        return st.lists(_values(get_args(part)[0], []), max_size=2)
    if isinstance(part, type) and issubclass(part, BaseModel):
        return records(part)
    pattern = next((mark.pattern for mark in marks if getattr(mark, "pattern", None)), None)
    if pattern is not None:
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: text.isprintable())
    limits = [limit for mark in marks for limit in getattr(mark, "metadata", [])]
    if any(isinstance(limit, Gt) for limit in limits):
        return SCALARS[part].filter(lambda value: value > 0)
    least = max((getattr(mark, "min_length", None) or 0 for mark in marks), default=0)
    return SCALARS[part].filter(lambda value: len(value) >= least) if least else SCALARS[part]
