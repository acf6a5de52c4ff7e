"""The demo folder, written and read once for all tests that change nothing in it."""

from __future__ import annotations

import pytest

from crmbridge.demo import write
from tests.demo.opened import Demo, open_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "tea"
    write(folder)
    return open_demo(folder)
