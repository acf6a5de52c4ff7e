"""SQLite keeps the promise of the store."""

from pathlib import Path

import pytest

from tests.store.suite import StoreSuite


class TestSqlite(StoreSuite):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'state.db'}"
