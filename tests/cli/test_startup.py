"""What a command does not need, it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
