"""Stories of the engine with their state in PostgreSQL. All of them would take half an hour."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.scenarios.runner")

from tests.scenarios.runner import Stage, load, scenario_files  # noqa: E402 (after its assertions were prepared)

OF_SQLITE = {"back_up_state", "restore_state"}
"""Steps that copy the one file in which SQLite keeps a state."""


def stories() -> list[Path]:
    """One in eight of those that say nothing about that file, and the one that joins a new system by a saved
    plan."""
    told = [path for path in scenario_files() if OF_SQLITE.isdisjoint(map(str, load(path)["steps"]))]
    return sorted({*told[::8], *(path for path in told if path.stem == "044-new-system")})


@pytest.mark.parametrize("path", stories(), ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path, url: str) -> None:
    stage = Stage(tmp_path, load(path))
    stage.config["state"] = url
    stage.play()
