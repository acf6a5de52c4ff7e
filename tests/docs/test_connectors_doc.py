"""docs/connectors.md: the connector that it builds works against the server that it shows."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.docs.reading import DOCS, Reader, blocks

DOCUMENT = DOCS / "connectors.md"
PORT = "8765"


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        with closing(socket.socket()) as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.02)


@pytest.fixture
def reader_with_server(reader: Reader) -> Iterator[Reader]:
    port = free_port()
    reader.replacing[PORT] = str(port)
    server = next(block for block in blocks(DOCUMENT) if block.path == "acme_server.py")
    reader.write("acme_server.py", server.text)
    with subprocess.Popen([sys.executable, "acme_server.py"], cwd=reader.folder) as running:
        wait_for(port)
        yield reader
        running.terminate()


def test_all_that_the_page_shows_works(reader_with_server: Reader) -> None:
    wrong = reader_with_server.follow(DOCUMENT)
    assert not wrong, "\n".join(wrong)


def test_it_is_as_short_as_the_contract_promises() -> None:
    connector = next(block for block in blocks(DOCUMENT) if block.path == "acme.py")
    lines = [line for line in connector.text.splitlines() if line.strip()]
    assert len(lines) <= 60


def test_the_entry_point_is_the_one_that_is_looked_for() -> None:
    shown = next(block for block in blocks(DOCUMENT) if block.path == "pyproject.toml")
    real = tomllib.loads((DOCS.parent / "plugins/tryton/pyproject.toml").read_text(encoding="utf-8"))
    groups = tomllib.loads(shown.text)["project"]["entry-points"].keys()
    assert groups == real["project"]["entry-points"].keys()
