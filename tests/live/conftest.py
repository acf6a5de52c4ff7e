"""Real systems for the live tests. A system that is missing is an error: live tests never skip."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.live.tryton_server import Access, TrytonServer, prepare


@pytest.fixture(scope="session")
def new_tryton() -> Iterator[Callable[[], Access]]:
    """Starts a Tryton of its own for the caller, without customers and orders. Takes three seconds."""
    prepared = prepare()
    with ExitStack() as running:
        yield lambda: running.enter_context(TrytonServer(prepared)).access


@pytest.fixture(scope="session")
def tryton(new_tryton: Callable[[], Access]) -> Access:
    """One Tryton that the tests of the run share. Don't count on it being empty."""
    return new_tryton()
