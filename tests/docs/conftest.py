"""A reader with a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.reading import Reader


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    (tmp_path / "home").mkdir()
    return Reader(tmp_path / "home", tmp_path / "bin")
