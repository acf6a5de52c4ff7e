"""Every scenario holds, every rule has one, and no scenario names a rule that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.scenarios.runner import HERE, Stage, load, scenario_files

RULES: dict[str, str] = yaml.safe_load((HERE / "rules.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", scenario_files(), ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path) -> None:
    Stage(tmp_path, load(path)).play()


def test_every_rule_has_a_scenario() -> None:
    shown = {rule for path in scenario_files() for rule in load(path)["rules"]}
    assert sorted(set(RULES) - shown) == [], "these rules have no scenario"


@pytest.mark.parametrize("path", scenario_files(), ids=lambda path: path.stem)
def test_scenario_names_only_known_rules(path: Path) -> None:
    scenario = load(path)
    assert scenario["title"]
    assert set(scenario["rules"]) <= set(RULES), set(scenario["rules"]) - set(RULES)
