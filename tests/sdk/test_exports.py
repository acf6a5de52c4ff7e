"""`from crmbridge import sdk` is all that a plugin needs: what is promised to vendors, and no more."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from crmbridge import sdk
from crmbridge.sdk import connector, errors, hookspecs
from crmbridge.sdk.http import HttpClient

ELSEWHERE = {"crmbridge.sdk.http"}
"""HTTP is imported by those who speak it: a connector to a database should not load it."""
KNOWN = {**vars(connector), **vars(hookspecs), "HttpClient": HttpClient}


def types_in(hint: Any) -> Iterator[Any]:
    yield hint
    for part in typing.get_args(hint):
        for one in part if isinstance(part, list) else [part]:
            yield from types_in(one)


def named_by(thing: Any) -> Iterator[Any]:
    """The types that a class's fields and public methods, or a function, speak of."""
    if inspect.isclass(thing):
        for member in (thing, *(m for name, m in vars(thing).items() if not name.startswith("_"))):
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if inspect.isclass(function) or inspect.isfunction(function):
                for hint in typing.get_type_hints(function, KNOWN).values():
                    yield from types_in(hint)


@pytest.mark.parametrize("name", sorted({*sdk.__all__, "Hooks"}))
def test_what_a_signature_speaks_of_is_exported(name: str) -> None:
    thing = getattr(sdk, name, None) or getattr(hookspecs, name)
    own = {one for one in named_by(thing) if str(getattr(one, "__module__", "")).startswith("crmbridge.")}
    missing = {one for one in own if one.__module__ not in ELSEWHERE and one.__name__ not in sdk.__all__}
    assert not missing


def test_every_error_and_every_part_of_the_contract_is_exported() -> None:
    parts = {*errors.__all__, *connector.__all__, *hookspecs.__all__} - {"hookspec"}
    assert parts <= set(sdk.__all__)


def test_what_is_exported_is_there_and_nothing_else_is_public() -> None:
    public = {name for name, value in vars(sdk).items() if not isinstance(value, types.ModuleType)}
    assert {name for name in public if not name.startswith("_")} == set(sdk.__all__)
    assert sdk.__all__ == sorted(sdk.__all__)
