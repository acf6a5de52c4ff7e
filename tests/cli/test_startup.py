"""What a command does not need, it does not import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crmbridge import connectors
from crmbridge.plugins import OURS, Plugins
from crmbridge.sdk.errors import ConfigError

LOOK = """
import sys
from crmbridge.bridge import load_plugins
load_plugins().connector({name!r})
print(*sorted(name for name in sys.modules if name.startswith("crmbridge.connectors.")))
"""


@pytest.mark.parametrize(("name", "others"), [("files", ("sql", "memory")), ("memory", ("sql", "files"))])
def test_only_the_connector_that_is_asked_for_is_imported(name: str, others: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(name=name)], capture_output=True, text=True, check=True
    )
    packages = {module.split(".")[2] for module in done.stdout.split()}
    assert name in packages
    assert not packages & set(others)


CONFIG = "state: sqlite:///state.db\nsystems: {shop: {connector: memory, world: shop.world}}\n"
OPEN = """
import sys
from pathlib import Path
from crmbridge.bridge import Bridge
Bridge.open(Path("crmbridge.yaml")).close()
print(*sys.modules)
"""


def test_connectors_that_no_system_names_are_not_imported(tmp_path: Path) -> None:
    """Neither those that are built in nor those of plugins: a driver takes longer than a small run."""
    modules = set(_printed(OPEN, tmp_path).split())
    assert {"crmbridge.connectors.memory", "crmbridge_tryton"} <= modules
    assert not {"crmbridge.connectors.files", "sqlalchemy", "crmbridge_tryton.connector"} & modules


def _printed(code: str, folder: Path) -> str:
    """What a program prints in a folder with a config."""
    (folder / "crmbridge.yaml").write_text(CONFIG)
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMAND = """
import gc, sys
sys.argv[1:] = [{word!r}]
from crmbridge.cli.main import run
try:
    run()
except SystemExit:
    print("garbage", gc.isenabled())
"""


@pytest.mark.parametrize(("word", "looked_for"), [("--help", False), ("plan", True)])
def test_garbage_is_looked_for_once_the_work_begins(tmp_path: Path, word: str, looked_for: bool) -> None:
    assert _printed(COMMAND.format(word=word), tmp_path).endswith(f"garbage {looked_for}\n")


BY_NEED = """
from crmbridge.sdk import ByNeed, hookimpl

@hookimpl
def crmbridge_connectors():
    return ByNeed(gone="no_such_module:Connector", memory="no_such_module:Other")
"""


def test_a_connector_that_cannot_be_imported_is_the_mistake_of_its_plugin(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text(BY_NEED)
    plugins = Plugins()
    plugins.add_file(tmp_path / "lazy.py")
    plugins.add(connectors, "crmbridge", "built in", OURS)
    with pytest.raises(ConfigError, match=r"no connector 'gone'.*lazy failed to load.*no_such_module"):
        plugins.connector("gone")
    assert plugins.connector("memory").__name__ == "MemoryConnector"
    assert sorted(plugins.connectors()) == ["files", "memory", "sql"]
    assert {failure.plugin for failure in plugins.failures} == {"lazy"}
