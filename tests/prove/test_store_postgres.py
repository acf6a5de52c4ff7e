"""PostgreSQL keeps the promise of the store."""

from urllib.parse import quote

import pytest

from tests.prove.conftest import PASSWORD, Postgres

pytest.register_assert_rewrite("tests.store.suite")

from tests.store.suite import StoreSuite  # noqa: E402 (after its assertions were prepared)


class TestPostgres(StoreSuite):
    @pytest.fixture
    def url(self, postgres: Postgres) -> str:
        login = f"crmbridge:{quote(PASSWORD, safe='')}@{postgres.host}:{postgres.port}"
        return f"postgresql+psycopg://{login}/{postgres.new_database()}"
