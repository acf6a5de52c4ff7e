"""Canonical values as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

__all__ = ["instant", "local", "parsed", "value"]

LONGEST = 200
"""Characters of one value on the screen; --json has all of them."""


def value(data: Any) -> str:
    """One line for a value."""
    if data is None:
        return "(empty)"
    if isinstance(data, bool):
        return "yes" if data else "no"
    if isinstance(data, dict):
        text = _known(data) or ", ".join(
            f"{k} {value(v)}" for k, v in data.items() if v is not None and k != "id"
        )
    elif isinstance(data, list):
        text = "; ".join(map(value, data))
    else:
        text = " ⏎ ".join(str(data).splitlines())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _known(data: Mapping[str, Any]) -> str | None:
    """Amounts, quantities and references in short."""
    if "amount" in data and "currency" in data:
        return f"{data['amount']} {data['currency']}"
    if "value" in data and "unit" in data:
        return f"{data['value']} {data['unit']}"
    if "entity" in data and ("golden" in data or "id" in data):
        return f"{data['entity']} {data.get('golden') or data.get('id')}"
    return None


def local(micros: int, zone: tzinfo) -> str | None:
    """For people: day, time and zone, in the zone of the config; None for 0, which means never."""
    if not micros:
        return None
    return f"{datetime.fromtimestamp(micros // 1_000_000, zone):%Y-%m-%d %H:%M:%S %Z}"


def instant(micros: int) -> str | None:
    """Microseconds since 1970 as ISO 8601 in UTC; None for 0, which means never."""
    if not micros:
        return None
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parsed(text: str) -> Any:
    """JSON that the state keeps, or the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text
