"""Plan files: what is saved is read back, and a broken file is refused with its line."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from crmbridge.engine.operations import Change, Planned
from crmbridge.engine.planfile import load_plan, save_plan
from crmbridge.identity.link import Statement
from crmbridge.sdk.errors import ConfigError
from tests.engine.world import START

RENAMED = Change("display_name", "Wang", "王小明", Statement("王小明", 5, 1), "shop")
OPERATIONS = [
    Planned("a", "update", "erp", "customers", "party", "g1", record_id=7, native_id="n7", changes=[RENAMED]),
    Planned("b", "delete", "erp", "customers", "party", "g2"),
]


def saved(folder: Path, **more: Any) -> Path:
    path = folder / "plan.jsonl"
    save_plan(path, START, OPERATIONS, more)
    return path


def test_a_plan_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    found = load_plan(saved(tmp_path))
    assert list(found) == OPERATIONS
    assert (found.path.name, found.made_at, found.count, found.undo) == (
        "plan.jsonl",
        START.isoformat(),
        2,
        None,
    )
    assert load_plan(saved(tmp_path, undo=[3, 99])).undo == (3, 99)


def test_only_the_owner_may_read_a_plan_and_no_half_of_one_is_left(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["plan.jsonl"]


@pytest.mark.parametrize(
    ("line", "text", "position"),
    [
        (0, "", "plan.jsonl:1:1"),
        (0, '{"crmbridge_plan": 2}', "plan.jsonl:1:1"),
        (0, "[]", "plan.jsonl:1:1"),
        (0, "customers,1", "plan.jsonl:1:1"),
        (1, "{}", "plan.jsonl:2:1"),
        (2, '{"id": "b"', "plan.jsonl:3:1"),
    ],
)
def test_a_broken_plan_is_refused_with_its_line(tmp_path: Path, line: int, text: str, position: str) -> None:
    path = saved(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[line] = text
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    assert str(caught.value.position).endswith(position)


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.jsonl"):
        load_plan(tmp_path / "gone.jsonl")
