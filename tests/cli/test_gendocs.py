"""Generated documentation: it is up to date, and a stale file is named with what renews it."""

from __future__ import annotations

from pathlib import Path

import pytest

from crmbridge.cli.app import app
from crmbridge.cli.gendocs import files, main, stale
from crmbridge.config.model import Settings

ROOT = Path(__file__).parents[2]


def test_the_generated_files_of_the_clone_are_up_to_date() -> None:
    assert stale(ROOT) == []


def test_a_stale_file_is_named_with_the_command_that_renews_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--root", str(tmp_path)]) == 0
    assert main(["--check", "--root", str(tmp_path)]) == 0
    (tmp_path / "docs" / "cli.md").write_text("edited by hand")
    (tmp_path / "schemas" / "json" / "output.schema.json").unlink()
    assert main(["--check", "--root", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "docs/cli.md is stale: run `python -m crmbridge.cli.gendocs`" in told
    assert "output.schema.json" in told
    assert "hooks.md" not in told


def test_every_command_option_setting_and_hook_is_described() -> None:
    made = files()
    import typer.main

    def walk(group: object) -> list[object]:
        inner = getattr(group, "commands", {}).values()
        return [group, *(one for part in inner for one in walk(part))]

    for command in walk(typer.main.get_command(app)):
        for parameter in command.params:  # type: ignore[attr-defined]
            assert parameter.name == "help" or parameter.help, (command, parameter.name)
            if parameter.param_type_name == "option" and "completion" not in parameter.name:
                assert f"`{parameter.opts[0]}`" in made["docs/cli.md"]
    for name in Settings.model_fields:
        assert f"| `{name}` |" in made["docs/configuration.md"]
    assert "crmbridge_run_event" in made["docs/hooks.md"]
    for line in [
        *made["docs/configuration.md"].splitlines(),
        *made["docs/mapping-reference.md"].splitlines(),
    ]:
        assert not line.endswith("|  |"), line
