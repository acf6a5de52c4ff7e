"""What the value of the column means that marks deleted rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crmbridge.connectors.sql.deleted import is_deleted
from crmbridge.connectors.sql.values import BadValueError


@pytest.mark.parametrize(
    "value", [None, False, 0, Decimal(0), "", " ", "0", "N", "no", "False", "0000-00-00 00:00:00"]
)
def test_a_row_that_is_there(value: Any) -> None:
    assert not is_deleted("gone", value, ())


@pytest.mark.parametrize(
    "value",
    [
        True,
        1,
        -1,
        Decimal(2),
        1767225600,
        "1",
        "Y",
        "yes ",
        "TRUE",
        "x",
        "2026-01-01",
        "2026-01-01T10:00:00Z",
    ],
)
def test_a_row_that_is_gone(value: Any) -> None:
    assert is_deleted("gone", value, ())


@pytest.mark.parametrize("value", ["nein", "是", "active", "-", "01.02.2026", "null"])
def test_a_text_that_could_mean_either_is_refused(value: Any) -> None:
    with pytest.raises(BadValueError, match=r"deleted: \{column: gone, values: \[\.\.\.\]\}"):
        is_deleted("gone", value, ())


@pytest.mark.parametrize(
    ("value", "values", "deleted"),
    [
        ("ja", ("ja",), True),
        ("JA ", ("ja",), True),
        ("nein", ("ja",), False),
        (None, ("ja",), False),
        ("", ("ja",), False),
        (None, ("",), False),
        ("", ("",), True),
        (None, (None,), True),
        (1, ("1",), True),
        ("1", (1,), True),
        (True, (True,), True),
        (1, (True,), True),
        (2, (1,), False),
        (Decimal(3), (3,), True),
    ],
)
def test_what_the_config_says_decides_alone(value: Any, values: tuple[Any, ...], deleted: bool) -> None:
    assert is_deleted("gone", value, values) is deleted
