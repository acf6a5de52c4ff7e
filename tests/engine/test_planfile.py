"""Plan files: what is saved is read back, and a broken file is refused with its line."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from crmbridge.engine.operations import Change, Planned
from crmbridge.engine.planfile import guard_place, load_plan, save_plan
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
    save_plan(path, START, OPERATIONS, {"state": "s1", **more})
    return path


def test_a_plan_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    found = load_plan(saved(tmp_path))
    assert list(found) == OPERATIONS
    assert (found.path.name, found.made_at, found.count) == ("plan.jsonl", START.isoformat(), 2)
    assert (found.state, found.undo) == ("s1", None)
    assert load_plan(saved(tmp_path, undo=3)).undo == 3


def test_only_the_owner_may_read_a_plan_and_no_half_of_one_is_left(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["plan.jsonl"]


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        (0, "", "1:1: this is no plan of crmbridge"),
        (0, '{"crmbridge_plan": 1}', "1:1: this plan is of another version"),
        (0, "[]", "1:1: this is no plan of crmbridge"),
        (0, "customers,1", "1:1: this is no plan of crmbridge"),
        (1, "{}", "2:1: this line is no operation"),
        (2, '{"id": "b"', "3:1: this line is no operation"),
        (1, None, "3:1: the plan holds 1 operations, and 2 were saved"),
        (2, '{"id":"b","kind":"delete","system":"erp","stream":"orders","entity":"party","golden_id":"g2"}',
         "4:1: the plan was edited"),
        (3, None, "3:1: the plan breaks off here"),
        (3, '{"operations": 2, "sha', "4:1: this line is no operation"),
    ],
)  # fmt: skip
def test_a_plan_that_is_not_as_it_was_saved_is_refused_with_its_line(
    tmp_path: Path, line: int, text: str | None, says: str
) -> None:
    path = saved(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[line : line + 1] = [] if text is None else [text]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    assert f"plan.jsonl:{says}" in str(caught.value)
    assert "make a new plan" in str(caught.value)


def test_wherever_a_plan_is_cut_off_it_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole) - 1):  # the last line break may be missing
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError):
            load_plan(path)
    path.write_bytes(whole[:-1])
    assert load_plan(path).count == 2


def test_what_is_behind_the_end_of_a_plan_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes() + path.read_bytes())
    with pytest.raises(ConfigError, match=r"plan.jsonl:5:1: there is something behind the end"):
        load_plan(path)


def test_a_plan_is_not_written_over_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    for content in (b"", b"No,Name\n", b"[1]\n", b"\xff\xfe\x00", b'{"a": 1}'):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="is there and is no plan"):
            saved(tmp_path)
        assert path.read_bytes() == content
    for header in ('{"crmbridge_plan": 1}', '{"crmbridge_plan": 2}\n{'):
        path.write_text(header, encoding="utf-8")
        assert load_plan(saved(tmp_path)).count == 2


def test_a_plan_goes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder .*gone"):
        guard_place(tmp_path / "gone" / "plan.jsonl")
    with pytest.raises(ConfigError, match="is a folder"):
        guard_place(tmp_path)


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.jsonl"):
        load_plan(tmp_path / "gone.jsonl")
