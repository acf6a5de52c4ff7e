"""What the connector makes of answers that a real Tryton gives rarely: each from a small web server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, MutableMapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crmbridge.sdk.errors import (
    AnswerLostError,
    AuthError,
    ConflictError,
    CrmbridgeError,
    FatalError,
    RecordError,
    RetryableError,
)
from crmbridge.sdk.http import HttpClient, Surroundings
from crmbridge_tryton.rpc import Credentials, Rpc, WarnedError

Answer = tuple[int, str, bytes]
LOGIN_PAGE = (200, "text/html", b"<!doctype html><title>Sign in</title>")


def said(result: Any = None, error: Any = None) -> Answer:
    """Tryton's JSON."""
    body = {"id": 1, "result": result} if error is None else {"id": 1, "error": error}
    return 200, "application/json", json.dumps(body).encode()


class Scripted:
    """A server that gives these answers, one after the other, and keeps what it was asked."""

    def __init__(self, session: MutableMapping[str, str]) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str | None, dict[str, str]]] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                scripted.asked.append((body["method"], self.headers["Authorization"], dict(session)))
                status, kind, content = scripted.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def methods(self) -> list[str]:
        """What was called."""
        return [method for method, _, _ in self.asked]


@pytest.fixture
def session() -> dict[str, str]:
    """What is on disk."""
    return {}


@pytest.fixture
def tryton(session: dict[str, str]) -> Iterator[Scripted]:
    """The server."""
    scripted = Scripted(session)
    yield scripted
    scripted.server.shutdown()
    scripted.server.server_close()


@pytest.fixture
def rpc(tryton: Scripted, session: dict[str, str]) -> Iterator[Rpc]:
    """Calls to it, logged in already."""
    host, port = tryton.server.server_address[:2]
    http = HttpClient(f"http://{host!s}:{port}", surroundings=Surroundings(sleep=lambda _: None))
    session["session"] = "bridge@main:2:token-of-the-last-run"
    yield Rpc(http, Credentials("main", "bridge", "s3cret-pass"), session)
    http.close()


def test_a_session_is_on_disk_before_it_is_used(rpc: Rpc, tryton: Scripted, session: dict[str, str]) -> None:
    session.clear()
    tryton.answers = [said([2, "fresh-token-1", None]), said([])]
    assert rpc.read("model.party.party.search") == []
    (_, _, at_login), (_, header, at_call) = tryton.asked
    assert at_login == {}
    assert header is not None
    assert "fresh-token-1" in at_call["session"]


def test_a_session_of_another_user_is_not_used(rpc: Rpc, tryton: Scripted, session: dict[str, str]) -> None:
    session["session"] = "admin@main:1:token-of-the-admin"
    tryton.answers = [said([2, "fresh-token-2", None]), said([])]
    rpc.read("model.party.party.search")
    assert tryton.methods == ["common.db.login", "model.party.party.search"]


@pytest.mark.parametrize("refusal", [(401, "text/plain", b""), LOGIN_PAGE])
@pytest.mark.parametrize("kind", ["read", "write"])
def test_one_log_in_and_one_replay(rpc: Rpc, tryton: Scripted, refusal: Answer, kind: str) -> None:
    tryton.answers = [refusal, said([2, "fresh-token-3", None]), said(["it is there"])]
    assert getattr(rpc, kind)("model.party.party.create") == ["it is there"]
    assert tryton.methods == ["model.party.party.create", "common.db.login", "model.party.party.create"]


def test_refused_twice_is_an_authentication_error(rpc: Rpc, tryton: Scripted) -> None:
    tryton.answers = [LOGIN_PAGE, said([2, "fresh-token-4", None]), LOGIN_PAGE]
    with pytest.raises(AuthError) as error:
        rpc.read("model.party.party.search")
    assert not tryton.answers, "no third try"
    assert "s3cret-pass" not in str(error.value)


def test_a_second_factor_is_named(rpc: Rpc, tryton: Scripted, session: dict[str, str]) -> None:
    session.clear()
    tryton.answers = [said(error=["LoginException", ["sms_code", "SMS code", "char"]])]
    with pytest.raises(AuthError, match="second factor"):
        rpc.read("model.party.party.search")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(error=["UserError", ["Not valid.", "", None]]), RecordError),
        (said(error=["UserWarning", ["abc.done", "Sure?", ""]]), WarnedError),
        (said(error=["ConcurrencyException", "Records were modified"]), ConflictError),
        (said(error=["database is locked", ""]), RetryableError),
        (said(error=["'nope'", "Traceback ..."]), RecordError),
        (said(error={"code": 1}), FatalError),
        (said({"__class__": "date", "year": 2026}), FatalError),
        ((403, "text/html", b"<title>403 Forbidden</title>"), FatalError),
        ((200, "application/json", b'{"id": 1, "resu'), AnswerLostError),
        ((200, "application/json", b'{"id": 1}'), AnswerLostError),
        ((500, "text/html", b"<title>500</title>"), AnswerLostError),
    ],
)
def test_a_refused_write_is_typed_by_what_helps(
    rpc: Rpc, tryton: Scripted, answer: Answer, expected: type[CrmbridgeError]
) -> None:
    tryton.answers = [answer]
    with pytest.raises(expected) as error:
        rpc.write("model.party.party.create", [{"name": "x"}])
    assert type(error.value) is expected
    assert tryton.methods == ["model.party.party.create"], "a write is never sent again by itself"


def test_a_read_is_tried_again(rpc: Rpc, tryton: Scripted) -> None:
    broken = (200, "application/json", b'{"id": 1, "resu')
    tryton.answers = [(500, "text/html", b"<title>500</title>"), broken, said([7])]
    assert rpc.read("model.party.party.search") == [7]


def test_too_many_log_ins_wait(rpc: Rpc, tryton: Scripted, session: dict[str, str]) -> None:
    session.clear()
    tryton.answers = [(429, "text/html", b"<title>429</title>"), said([2, "fresh-token-5", None]), said([])]
    assert rpc.read("model.party.party.search") == []
    assert tryton.methods[:2] == ["common.db.login", "common.db.login"]
