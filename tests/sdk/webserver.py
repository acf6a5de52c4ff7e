"""A real HTTP server on 127.0.0.1 that answers what a test tells it to, byte for byte if need be."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CERTIFICATE = Path(__file__).parent / "localhost.pem"
"""For 127.0.0.1 and localhost, signed by itself, with its key; made for these tests alone."""


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """An answer with correct framing."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, handler: Handler) -> None:
        raw = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        handler.send_response_only(self.status)
        sent = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **self.headers}
        for name, value in sent.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(raw)


@dataclass
class Raw:
    """These bytes, then the connection is closed."""

    data: bytes

    def __call__(self, handler: Handler) -> None:
        handler.wfile.write(self.data)
        handler.close_connection = True


def reset(handler: Handler) -> None:
    """The connection breaks hard, as when a server process dies."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


@dataclass
class Drip:
    """`start`, then one byte each 20 ms for ever: no single read ever waits long."""

    start: bytes

    def __call__(self, handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(self.start)
        with suppress(OSError):
            while not handler.web.stopped.wait(0.02):
                handler.wfile.write(b"x")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    web: WebServer

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.web.requests.append(Request(self.command, self.path, dict(self.headers.items()), body))
        answers = self.web.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = answer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what many of the tests are about."""


class WebServer:
    """Answers in the order given; the last answer is repeated."""

    def __init__(self, *, tls: bool = False) -> None:
        self.answers: list[Callable[[Handler], None]] = [Answer({})]
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        self._server = _Quiet(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"web": self}))
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            context.load_verify_locations(CERTIFICATE)
            context.verify_mode = ssl.CERT_OPTIONAL
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        # The poll interval is how long stopping takes.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def answer(self, *answers: Callable[[Handler], None]) -> None:
        self.answers = list(answers)

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
