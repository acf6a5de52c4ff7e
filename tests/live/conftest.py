"""Real systems for the live tests. A system that is missing is an error: live tests never skip."""

from collections.abc import Callable, Iterator

import pytest

from tests.live.tryton_server import Access, TrytonServer, prepare


@pytest.fixture(scope="session")
def tryton_server() -> Iterator[TrytonServer]:
    """One running Tryton for the whole test run; each `new_tryton()` is a database of its own in it."""
    with TrytonServer(prepare()) as server:
        yield server


@pytest.fixture(scope="session")
def new_tryton(tryton_server: TrytonServer) -> Callable[[], Access]:
    """Makes a fresh company: no customers, no products, no orders. About a second each."""
    return tryton_server.new_database


@pytest.fixture(scope="session")
def tryton(new_tryton: Callable[[], Access]) -> Access:
    """One company that the tests of the run share. Don't count on it being empty."""
    return new_tryton()
