"""PostgreSQL keeps the promise of the store; here each state is a schema of one database."""

from urllib.parse import quote
from uuid import uuid4

import pytest

from crmbridge.sdk.errors import StateError
from crmbridge.store import open_store
from tests.prove.conftest import PASSWORD, Postgres

pytest.register_assert_rewrite("tests.store.suite")

from tests.store.suite import StoreSuite, now  # noqa: E402 (after its assertions were prepared)


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def url(postgres: Postgres, database: str) -> str:
    schema = f"state_{uuid4().hex}"
    with postgres.connect(database) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")  # type: ignore[call-overload]
    login = f"crmbridge:{quote(PASSWORD, safe='')}@{postgres.host}:{postgres.port}"
    return f"postgresql+psycopg://{login}/{database}?options=-csearch_path%3D{schema}"


class TestPostgres(StoreSuite):
    pass


def test_a_newer_state_is_refused(url: str) -> None:
    store = open_store(url, now=now)
    with store.transaction():
        store.put_setting("schema", "99")
    store.close()
    with pytest.raises(StateError, match="newer"):
        open_store(url, now=now)


def test_a_server_out_of_reach_is_told_without_the_password(url: str) -> None:
    for wrong in (url.replace("@127.0.0.1:", "@127.0.0.1:1"), url.replace("crmbridge:", "nobody:")):
        with pytest.raises(StateError) as caught:
            open_store(wrong, now=now)
        assert "cannot be reached" in caught.value.message
        assert PASSWORD not in str(caught.value)
        assert quote(PASSWORD, safe="") not in str(caught.value)
