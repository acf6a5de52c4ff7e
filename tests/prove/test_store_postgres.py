"""PostgreSQL keeps the promise of the store; here each state is a schema of one database."""

from contextlib import closing
from urllib.parse import quote

import pytest

from crmbridge.sdk.errors import LockedError, StateError
from crmbridge.store import Store, open_store
from tests.prove.conftest import PASSWORD, Postgres

pytest.register_assert_rewrite("tests.store.suite")

from tests.store.suite import StoreSuite, now  # noqa: E402 (after its assertions were prepared)


class TestPostgres(StoreSuite):
    pass


def test_who_has_lost_the_lock_can_write_no_more(postgres: Postgres, database: str, url: str) -> None:
    def cut_off_the_holder() -> None:
        with postgres.connect(database) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks JOIN pg_database ON oid = database "
                "WHERE locktype = 'advisory' AND datname = current_database()"
            )

    def write_without_the_lock(store: Store, other: Store) -> None:
        with store.lock("sync"):
            cut_off_the_holder()
            with other.lock("sync"), store.transaction():
                store.put_setting("by", "who lost it")

    with closing(open_store(url, now=now)) as first, closing(open_store(url, now=now)) as second:
        with pytest.raises(StateError):
            write_without_the_lock(first, second)
        assert second.setting("by") is None
        with second.lock("plan"), pytest.raises(LockedError), second.lock("sync"):
            pytest.fail("it is locked twice")


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
