"""The config of a simulated world, as a user would write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.simulation import systems
from tests.simulation.systems import MAPPINGS, SimulatedSystem

__all__ = ["write_config"]

NO_LIMITS = dict.fromkeys(("creates", "updates", "deletes", "clears", "reverts", "vanished"), "unlimited")


def write_config(folder: Path, of: Mapping[str, SimulatedSystem], deletes: str) -> Path:
    """crmbridge.yaml and the mappings."""
    config = {
        "country": "DE",
        "plugins": [systems.__file__],
        "systems": {name: {"connector": "simulated", "world": name} for name in of},
        "sync": {"party": {"between": list(of), "deletes": deletes}},
        "limits": {**NO_LIMITS, "first": {"deletes": "unlimited", "clears": "unlimited"}},
    }
    path = folder / "crmbridge.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (folder / "mappings").mkdir()
    for name, memory in of.items():
        text = f"system: {name}\n{MAPPINGS[memory.habit]}"
        (folder / "mappings" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return path
