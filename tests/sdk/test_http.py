"""The HTTP client against a real server: what is sent, what each failure becomes, what is tried again."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest

import crmbridge
from crmbridge.sdk.errors import (
    AnswerLostError,
    AuthError,
    ConfigError,
    CrmbridgeError,
    FatalError,
    HttpStatusError,
    RecordError,
    RetryableError,
)
from crmbridge.sdk.http import HttpClient, HttpSettings, Surroundings
from crmbridge.sdk.network import TooLargeError, decompressed
from crmbridge.sdk.retry import RateBudget, RetryPolicy
from tests.sdk.webserver import CERTIFICATE, Answer, Drip, Raw, WebServer, reset

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HTML = Answer(b"<!doctype html><title>Log in</title>", headers={"Content-Type": "text/html; charset=utf-8"})
ONCE = HttpSettings(retry=RetryPolicy(attempts=1))


class World:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = NOW
        self.slept: list[float] = []
        self.surroundings = Surroundings(now=lambda: self.time, random=lambda: 0.5, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server() -> Iterator[WebServer]:
    web = WebServer()
    yield web
    web.stop()


@pytest.fixture
def other() -> Iterator[WebServer]:
    web = WebServer()
    yield web
    web.stop()


@pytest.fixture
def tls() -> Iterator[WebServer]:
    web = WebServer(tls=True)
    yield web
    web.stop()


@pytest.fixture
def make(world: World) -> Iterator[Callable[..., HttpClient]]:
    """Builds clients and closes them."""
    clients = []

    def build(url: str, **options: Any) -> HttpClient:
        clients.append(HttpClient(url, **{"surroundings": world.surroundings, **options}))
        return clients[-1]

    yield build
    for client in clients:
        client.close()


@pytest.fixture
def http(server: WebServer, make: Callable[..., HttpClient]) -> HttpClient:
    return make(server.url + "/api/", headers={"Authorization": "Bearer t0p-secret"})


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


# -- what is sent and read ---------------------------------------------------------------------


def test_numbers_keep_all_their_digits_in_both_directions(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer(b'{"sum": 12345678901234567.89, "small": 1e-7, "count": 12345678901234567890123}'))
    data = {"sum": Decimal("12345678901234567.89"), "big": Decimal("1E+2"), "price": Decimal("150.10")}

    answer = http.post_json("/orders", data)

    assert server.requests[0].body == b'{"sum":12345678901234567.89,"big":100,"price":150.10}'
    assert answer == {
        "sum": Decimal("12345678901234567.89"),
        "small": Decimal("1e-7"),
        "count": 12345678901234567890123,
    }
    assert type(answer["sum"]) is Decimal


def test_a_request_says_who_asks_and_for_what_in_any_script(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer({"名": "王小明 🙂"}))

    answer = http.get_json(
        "customers", params={"name": "زوي & co", "page": 2, "active": True, "none": None, "id": [1, 2]}
    )

    assert answer == {"名": "王小明 🙂"}
    request = server.requests[0]
    path, _, query = request.path.partition("?")
    assert path == "/api/customers"
    assert parse_qsl(query) == [
        ("name", "زوي & co"),
        ("page", "2"),
        ("active", "true"),
        ("id", "1"),
        ("id", "2"),
    ]
    assert request.headers["User-Agent"] == f"crmbridge/{crmbridge.__version__}"
    assert request.headers["Authorization"] == "Bearer t0p-secret"


def test_each_verb_sends_its_method_and_body(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer({"id": 1}))
    http.put_json("/a", {"x": None})
    http.patch_json("/a", ["ü"])
    server.answer(Answer(status=204))
    assert http.delete("/a").json() is None
    raw = http.request("POST", "/a", content=b"\x00\xff", headers={"Content-Type": "x/y"}, expect="bytes")

    assert raw.body == b""
    assert [(r.method, r.body) for r in server.requests] == [
        ("PUT", b'{"x":null}'),
        ("PATCH", '["ü"]'.encode()),
        ("DELETE", b""),
        ("POST", b"\x00\xff"),
    ]
    assert server.requests[0].headers["Content-Type"] == "application/json"
    assert server.requests[3].headers["Content-Type"] == "x/y"


@pytest.mark.parametrize("bad", [Decimal("NaN"), float("inf"), Decimal("1E+999999999"), "\ud800", object()])
def test_what_json_cannot_say_is_the_records_fault(server: WebServer, http: HttpClient, bad: object) -> None:
    with pytest.raises(RecordError):
        http.post_json("/orders", {"x": [bad]})
    assert server.requests == []


def test_a_session_cookie_comes_back(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer({}, headers={"Set-Cookie": "sid=0123456789; Path=/"}), Answer({}))
    http.get_json("/login")
    http.get_json("/data")
    assert server.requests[1].headers["Cookie"] == "sid=0123456789"


def test_a_new_token_is_used_from_then_on(server: WebServer, http: HttpClient) -> None:
    http.set_header("Authorization", "Session bmV3LW9uZQ")
    http.get_json("/data")
    assert server.requests[0].headers["Authorization"] == "Session bmV3LW9uZQ"


def test_the_system_clock_is_read_from_the_answer(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer({}, headers={"Date": "Sun, 01 Mar 2026 11:58:30 GMT"}))
    assert http.request("GET", "/x").server_time == datetime(2026, 3, 1, 11, 58, 30, tzinfo=UTC)


# -- what each answer becomes ------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 407])
def test_refused_credentials_are_an_auth_error(server: WebServer, http: HttpClient, status: int) -> None:
    server.answer(Answer({"error": "no"}, status))
    with pytest.raises(AuthError, match=f"GET .*/api/x: {status}"):
        http.get_json("/x")
    assert len(server.requests) == 1


def test_which_statuses_mean_credentials_can_be_told(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer({"error": "not your record"}, 403))
    with pytest.raises(HttpStatusError):
        http.get_json("/x", auth_statuses={401})


@pytest.mark.parametrize("status", [400, 404, 409, 412, 422, 501])
def test_any_other_refusal_carries_what_a_connector_needs(
    server: WebServer, http: HttpClient, status: int
) -> None:
    server.answer(Answer({"field": "email", "why": "t0p-secret " + "é" * 500}, status))
    with pytest.raises(HttpStatusError) as caught:
        http.post_json("/x", {})
    error = caught.value
    assert error.status == status
    assert error.body["field"] == "email"
    assert len(error.excerpt) == 300
    assert "t0p-secret" not in error.excerpt
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_login_page_with_200_is_an_auth_error_and_not_an_empty_list(
    server: WebServer, http: HttpClient, method: str
) -> None:
    server.answer(HTML)
    with pytest.raises(AuthError, match="text/html instead of JSON"):
        http.request(method, "/customers")


def test_plain_text_where_json_was_expected_is_an_auth_error_too(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer("会话信息已丢失".encode(), headers={"Content-Type": "text/plain"}))
    with pytest.raises(AuthError, match="text/plain instead of JSON, status 200: 会话信息已丢失"):
        http.get_json("/customers")


def test_json_that_calls_itself_html_is_json(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer(b'\xef\xbb\xbf{"a": 1}', headers={"Content-Type": "text/html"}))
    assert http.get_json("/x") == {"a": 1}


BROKEN: dict[str, Any] = {
    "reset": reset,
    "closed without an answer": Raw(b""),
    "cut before its declared length": Raw(b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"a": 1}'),
    "cut inside a chunk": Raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"a": 1'),
    "JSON cut": Answer(b'{"a": [1, 2'),
    "not HTTP": Raw(b"hello\r\n\r\n"),
    "cut gzip": Answer(gzip.compress(b'{"a": 1}' * 50)[:-12], headers={"Content-Encoding": "gzip"}),
    "gzip without its checksum": Answer(gzip.compress(b"{}")[:-4], headers={"Content-Encoding": "gzip"}),
    "damaged gzip": Answer(b"no gzip at all", headers={"Content-Encoding": "gzip"}),
    "500": Answer({"error": "x"}, 500),
    "502": Answer(b"<html>bad gateway</html>", 502, {"Content-Type": "text/html"}),
    "503 without Retry-After": Answer(b"", 503),
    "504": Answer(b"", 504),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_to_a_read_is_asked_for_again(
    server: WebServer, http: HttpClient, broken: Any
) -> None:
    server.answer(broken, Answer({"ok": True}))
    assert http.get_json("/x") == {"ok": True}
    assert len(server.requests) == 2


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_to_a_write_is_uncertain_and_never_sent_twice(
    server: WebServer, http: HttpClient, broken: Any
) -> None:
    server.answer(broken, Answer({"ok": True}))
    with pytest.raises(AnswerLostError):
        http.post_json("/x", {"name": "Zoë"})
    assert len(server.requests) == 1


def test_a_write_that_may_be_repeated_is_repeated(server: WebServer, http: HttpClient) -> None:
    server.answer(reset, Answer({}, 500), Answer({"ok": True}))
    assert http.post_json("/x", {"a": 1}, idempotent=True) == {"ok": True}
    assert [request.body for request in server.requests] == [b'{"a":1}'] * 3


def test_a_get_can_be_declared_not_repeatable(server: WebServer, http: HttpClient) -> None:
    server.answer(reset, Answer({}))
    with pytest.raises(AnswerLostError):
        http.get_json("/next-message", idempotent=False)
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [Answer({}, 429), Answer({}, 503, {"Retry-After": "1"})])
def test_a_write_that_was_turned_away_at_the_door_is_tried_again(
    server: WebServer, http: HttpClient, answer: Answer
) -> None:
    server.answer(answer, Answer({"id": 7}))
    assert http.post_json("/x", {}) == {"id": 7}


def test_a_write_that_found_no_connection_was_not_sent(make: Callable[..., HttpClient], world: World) -> None:
    client = make(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(RetryableError, match=r"no connection: .*refused.* \(tried 5 times\)"):
        client.post_json("/x", {})
    assert len(world.slept) == 4


def test_a_name_that_does_not_resolve_is_no_connection(make: Callable[..., HttpClient]) -> None:
    with pytest.raises(RetryableError, match="no connection"):
        make("http://nowhere.invalid", settings=ONCE).post_json("/x", {})


# -- waiting -----------------------------------------------------------------------------------


def test_retry_after_in_seconds_is_waited_for(server: WebServer, http: HttpClient, world: World) -> None:
    server.answer(Answer({}, 429, {"Retry-After": "7"}), Answer({"ok": 1}))
    assert http.get_json("/x") == {"ok": 1}
    assert world.slept == [7 + 0.5 * 0.5]


def test_retry_after_as_a_date_is_meant_on_the_systems_clock(
    server: WebServer, http: HttpClient, world: World
) -> None:
    # That clock is an hour ahead of ours.
    dates = {"Date": "Sun, 01 Mar 2026 13:00:00 GMT", "Retry-After": "Sun, 01 Mar 2026 13:00:09 GMT"}
    server.answer(Answer({}, 503, dates), Answer({"ok": 1}))
    http.get_json("/x")
    assert world.slept == [9 + 0.5 * 0.5]


def test_retry_after_as_a_date_falls_back_to_our_clock(
    server: WebServer, http: HttpClient, world: World
) -> None:
    server.answer(Answer({}, 429, {"Retry-After": "Sun, 01 Mar 2026 12:00:05 GMT"}), Answer({"ok": 1}))
    http.get_json("/x")
    assert world.slept == [5 + 0.5 * 0.5]


def test_who_asks_for_an_hour_is_not_waited_for_and_not_pestered(
    server: WebServer, http: HttpClient, world: World
) -> None:
    server.answer(Answer({}, 429, {"Retry-After": "3600"}))
    with pytest.raises(RetryableError) as caught:
        http.get_json("/x")
    assert caught.value.retry_after == 3600
    assert (world.slept, len(server.requests)) == ([], 1)


def test_a_burst_of_5xx_ends_with_the_last_error(server: WebServer, http: HttpClient, world: World) -> None:
    server.answer(Answer({"error": "overload"}, 500))
    with pytest.raises(RetryableError, match=r"500 Internal Server Error: .*overload.* \(tried 5 times\)"):
        http.get_json("/x")
    assert world.slept == [0.25, 0.5, 1.0, 2.0]
    assert len(server.requests) == 5


def test_a_rate_budget_paces_requests_and_learns_from_answers(
    server: WebServer, make: Callable[..., HttpClient], world: World
) -> None:
    budget = RateBudget(
        2.0,
        10.0,
        now=world.surroundings.now,
        sleep=world.sleep,
        units_left=lambda headers: float(headers["x-left"]) if "x-left" in headers else None,
    )
    client = make(server.url, budget=budget)
    client.get_json("/x", cost=10)
    assert world.slept == []
    client.get_json("/x")
    assert world.slept == [0.5]
    server.answer(Answer({}, headers={"X-Left": "-3"}), Answer({}, headers={"X-Left": "0"}))
    client.get_json("/x")
    world.slept.clear()
    client.get_json("/x")
    assert world.slept == [2.0]


def test_when_one_thread_is_told_to_wait_the_others_wait_too(
    server: WebServer, make: Callable[..., HttpClient], world: World
) -> None:
    budget = RateBudget(100.0, 100.0, now=world.surroundings.now, sleep=world.sleep)
    server.answer(Answer({}, 429, {"Retry-After": "30"}), Answer({}))
    with pytest.raises(RetryableError):
        make(server.url, budget=budget, settings=ONCE).get_json("/x")
    make(server.url, budget=budget).get_json("/x")
    assert sum(world.slept) == pytest.approx(30, abs=0.1)


# -- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"],
    ids=["in the headers", "in the body"],
)
def test_a_slow_drip_is_stopped_by_the_deadline(
    server: WebServer, make: Callable[..., HttpClient], start: bytes
) -> None:
    server.answer(Drip(start))
    settings = HttpSettings(deadline=0.3, read_timeout=5, retry=RetryPolicy(attempts=1))
    began = time.monotonic()
    with pytest.raises(RetryableError, match=r"not complete after 0\.3 s, the deadline"):
        make(server.url, settings=settings).get_json("/x")
    with pytest.raises(AnswerLostError, match="deadline"):
        make(server.url, settings=settings).post_json("/x", {})
    assert time.monotonic() - began < 3


def test_silence_is_stopped_by_the_read_timeout(server: WebServer, make: Callable[..., HttpClient]) -> None:
    server.answer(lambda handler: handler.web.stopped.wait())
    client = make(server.url, settings=HttpSettings(read_timeout=0.1, retry=RetryPolicy(attempts=1)))
    with pytest.raises(RetryableError, match=r"nothing came or went for 0\.1 s"):
        client.get_json("/x")


def test_a_server_that_does_not_take_the_request_is_stopped_by_the_deadline(
    make: Callable[..., HttpClient],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        settings = HttpSettings(deadline=0.3, retry=RetryPolicy(attempts=1))
        client = make(f"http://127.0.0.1:{deaf.getsockname()[1]}", settings=settings)
        with pytest.raises(AnswerLostError, match="deadline"):
            client.request("POST", "/x", content=b"x" * 30_000_000)


def test_a_server_that_takes_the_request_by_drips_is_stopped_by_the_deadline(
    make: Callable[..., HttpClient],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def sip() -> None:
            connection, _ = listening.accept()
            pause = threading.Event()
            with connection:
                while connection.recv(65_536):
                    pause.wait(0.01)

        threading.Thread(target=sip, daemon=True).start()
        settings = HttpSettings(deadline=1, retry=RetryPolicy(attempts=1))
        client = make(f"http://127.0.0.1:{listening.getsockname()[1]}", settings=settings)
        began = time.monotonic()
        with pytest.raises(AnswerLostError, match="deadline"):
            client.request("POST", "/x", content=b"x" * 40_000_000)
        assert time.monotonic() - began < 3


def test_a_gzip_bomb_is_stopped_at_the_limit(server: WebServer, make: Callable[..., HttpClient]) -> None:
    server.answer(Answer(gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"}))
    client = make(server.url, settings=HttpSettings(max_bytes=1_000_000))
    tracemalloc.start()
    with pytest.raises(FatalError, match="larger than 1,000,000 bytes"):
        client.get_json("/x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000
    assert len(server.requests) == 1


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_the_limit_is_exact(encoding: str) -> None:
    body = b'"' + b"x" * 98 + b'"'
    raw = gzip.compress(body) if encoding else body
    chunks = [raw[:7], raw[7:]]
    assert decompressed(chunks, encoding, 100) == body
    with pytest.raises(TooLargeError):
        decompressed(chunks, encoding, 99)


def test_an_uncompressed_flood_is_stopped_too(server: WebServer, make: Callable[..., HttpClient]) -> None:
    server.answer(Answer(bytes(300_000)))
    with pytest.raises(FatalError, match="larger than"):
        make(server.url, settings=HttpSettings(max_bytes=100_000)).request("GET", "/x", expect="bytes")


# -- where it may go ---------------------------------------------------------------------------


def test_a_redirect_inside_the_origin_is_followed_when_reading(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer(b"", 302, {"Location": "/api/v2/x?page=1"}), Answer({"ok": 1}))
    assert http.get_json("/x", headers={"X-Mode": "full"}) == {"ok": 1}
    second = server.requests[1]
    assert second.path == "/api/v2/x?page=1"
    assert (second.headers["Authorization"], second.headers["X-Mode"]) == ("Bearer t0p-secret", "full")


def test_a_redirect_to_another_host_is_refused_and_named(
    server: WebServer, other: WebServer, http: HttpClient
) -> None:
    server.answer(Answer(b"", 302, {"Location": other.url + "/x"}))
    with pytest.raises(FatalError, match=rf"redirected \(302\) to '{other.url}/x'"):
        http.get_json("/x")
    assert other.requests == []


def test_a_redirect_to_a_login_page_is_an_auth_error(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer(b"", 302, {"Location": "https://sso.example.com/login"}))
    with pytest.raises(AuthError, match="login"):
        http.get_json("/x")


@pytest.mark.parametrize(("status", "error"), [(301, FatalError), (307, FatalError), (303, AnswerLostError)])
def test_a_redirected_write_is_not_sent_again(
    server: WebServer, http: HttpClient, status: int, error: type[CrmbridgeError]
) -> None:
    server.answer(Answer(b"", status, {"Location": "/api/y"}))
    with pytest.raises(error):
        http.post_json("/x", {})
    assert len(server.requests) == 1


def test_redirects_in_a_circle_end(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer(b"", 302, {"Location": "/api/x"}))
    with pytest.raises(FatalError, match="5 redirects"):
        http.get_json("/x")


def test_reading_may_be_moved_to_https_on_the_same_host_but_not_back(
    server: WebServer, tls: WebServer, http: HttpClient, make: Callable[..., HttpClient]
) -> None:
    # The port speaks no TLS, so that following the redirect shows as a failed handshake.
    server.answer(Answer(b"", 301, {"Location": f"https://127.0.0.1:{server.port}/api/x"}))
    with pytest.raises(RetryableError, match=r"no connection: .*SSL"):
        http.get_json("/x")
    server.answer(Answer(b"", 301, {"Location": tls.url + "/api/x"}))
    with pytest.raises(FatalError, match="not followed"):
        http.get_json("/x")
    tls.answer(Answer(b"", 301, {"Location": tls.url.replace("https", "http") + "/x"}))
    with pytest.raises(FatalError, match="not followed"):
        make(tls.url, settings=HttpSettings(ca_file=CERTIFICATE)).get_json("/x")


@pytest.mark.parametrize(
    "path",
    [
        "http://evil.example/customers?page=2",
        "//evil.example/customers",
        "\\\\evil.example/customers",
        "https://127.0.0.1/api/customers",
        "{origin}@evil.example/",
        "http://user:pw@127.0.0.1:{port}/api",
        "ftp://127.0.0.1:{port}/api",
        "customers/../../admin",
        "customers/%2E%2e/admin",
        "customers/.",
        "customers/a#b",
        "http://[broken",
        "customers\r\nHost: evil.example",
    ],
)
def test_a_path_or_link_that_leads_elsewhere_is_refused(
    server: WebServer, http: HttpClient, path: str
) -> None:
    with pytest.raises(FatalError, match="is refused"):
        http.get_json(path.format(origin=server.url, port=server.port))
    assert server.requests == []


def test_a_link_inside_the_origin_is_followed_as_it_is(server: WebServer, http: HttpClient) -> None:
    http.get_json(f"{server.url}/api/customers?cursor=a%2Fb%3D")
    http.get_json("customers/a%2Fb")
    assert [r.path for r in server.requests] == ["/api/customers?cursor=a%2Fb%3D", "/api/customers/a%2Fb"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "erp.local",
        "ftp://erp.local",
        "http://",
        "https://erp.local/?db=1",
        "https://u:t0p-secret@erp.local",
        "htt p://u:t0p-secret@erp.local",
        "http://erp.local:99999999",
        "http://erp..local",
        "http://" + "x" * 70 + ".local",
    ],
)
def test_a_base_url_that_cannot_be_used_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpClient(url)
    assert "t0p-secret" not in str(caught.value)


# -- proxies and certificates ------------------------------------------------------------------


def test_a_proxy_is_used_with_its_password(server: WebServer, make: Callable[..., HttpClient]) -> None:
    settings = HttpSettings(proxy=server.url.replace("//", "//me:p%40ss-w0rd@"))
    make("http://erp.invalid", settings=settings).get_json("/x")
    assert server.requests[0].path == "http://erp.invalid/x"
    assert server.requests[0].headers["Proxy-Authorization"] == "Basic bWU6cEBzcy13MHJk"
    assert "ss-w0rd" not in repr(settings)


def test_https_goes_through_a_tunnel_and_a_proxy_that_refuses_is_an_auth_error(
    server: WebServer, make: Callable[..., HttpClient]
) -> None:
    server.answer(Answer(b"", 407))
    with pytest.raises(AuthError, match="proxy refuses"):
        make("https://erp.invalid", settings=HttpSettings(proxy=server.url)).post_json("/x", {})
    assert (server.requests[0].method, server.requests[0].path) == ("CONNECT", "erp.invalid:443")


def test_the_usual_environment_names_the_proxy_unless_the_settings_do(
    server: WebServer, other: WebServer, make: Callable[..., HttpClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    make("http://erp.invalid").get_json("/by-environment")
    make(other.url, settings=HttpSettings(proxy="")).get_json("/none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    make(other.url).get_json("/excepted")
    assert [r.path for r in server.requests] == ["http://erp.invalid/by-environment"]
    assert [r.path for r in other.requests] == ["/none", "/excepted"]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://", "http://me:t0p-secret@host:port"])
def test_a_proxy_that_cannot_be_used_is_a_config_error(proxy: str) -> None:
    with pytest.raises(ConfigError, match="the proxy has to be") as caught:
        HttpClient("http://erp.invalid", settings=HttpSettings(proxy=proxy))
    assert "t0p-secret" not in str(caught.value)


def test_a_certificate_has_to_be_trusted(tls: WebServer, make: Callable[..., HttpClient]) -> None:
    with pytest.raises(FatalError, match="certificate is not trusted") as caught:
        make(tls.url).get_json("/x")
    assert "ca_file" in (caught.value.hint or "")
    assert tls.requests == []
    assert make(tls.url, settings=HttpSettings(ca_file=CERTIFICATE)).get_json("/x") == {}


def test_verify_false_works_and_warns(tls: WebServer, make: Callable[..., HttpClient]) -> None:
    client = make(tls.url, settings=HttpSettings(verify=False))
    assert client.get_json("/x") == {}
    assert "verify: false" in client.warnings[0]
    assert make(tls.url).warnings == ()


def test_a_client_certificate_is_shown(tls: WebServer, make: Callable[..., HttpClient]) -> None:
    seen = []

    def look(handler: Any) -> None:
        seen.append(bool(handler.connection.getpeercert()))
        Answer({})(handler)

    tls.answer(look)
    make(tls.url, settings=HttpSettings(ca_file=CERTIFICATE)).get_json("/x")
    with_certificate = HttpSettings(ca_file=CERTIFICATE, client_certificate=CERTIFICATE)
    make(tls.url, settings=with_certificate).get_json("/x")
    assert seen == [False, True]


def test_a_certificate_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    garbage = tmp_path / "ca.pem"
    garbage.write_text("no certificate")
    for settings in (
        HttpSettings(ca_file=garbage),
        HttpSettings(ca_file=tmp_path / "missing" / "ca.pem"),
        HttpSettings(client_certificate=garbage),
    ):
        with pytest.raises(ConfigError, match=r"ca\.pem: cannot be used as certificate"):
            HttpClient("https://erp.invalid", settings=settings)


# -- secrets -----------------------------------------------------------------------------------

CANARY = 'c4nary/+"ü王'


def _echo(status: int, **headers: str) -> Answer:
    return Answer({"token": CANARY, "raw": f"<{CANARY}>"}, status, headers)


LEAKY: dict[str, Any] = {
    "error that echoes": _echo(422),
    "refusal that echoes": _echo(401),
    "overload that echoes": _echo(500),
    "login page that echoes": Answer(
        f"<html>{CANARY}</html>".encode(), headers={"Content-Type": "text/html"}
    ),
    "redirect that echoes": _echo(302, Location="https://evil.example/?t=c4nary%2F%2B%22%C3%BC%E7%8E%8B"),
    "session cookie": _echo(422, **{"Set-Cookie": "sid=c4nary-cookie-value"}),
    "session cookie that echoes": Answer(
        {"sid": "c4nary-cookie-value"}, 422, {"Set-Cookie": "sid=c4nary-cookie-value; HttpOnly"}
    ),
    "reset": reset,
    "not HTTP": Raw(CANARY.encode()),
    "cut": Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nSet-Cookie: a=c4nary-cookie-value\r\n\r\n"),
}


@pytest.mark.parametrize("answer", LEAKY.values(), ids=LEAKY.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_output_has_the_secret(
    server: WebServer,
    make: Callable[..., HttpClient],
    caplog: pytest.LogCaptureFixture,
    answer: Any,
    method: str,
) -> None:
    server.answer(answer)
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore.connection", "httpcore.http11"):
        caplog.set_level(logging.DEBUG, name)
    client = make(
        server.url,
        headers={"X-Api-Key": "c4nary-in-header"},
        secrets=[CANARY],
        settings=HttpSettings(retry=RetryPolicy(attempts=2)),
    )
    path = f"/{quote(CANARY, safe='')}/x"
    with pytest.raises(CrmbridgeError) as caught:
        client.request(method, path, params={"key": CANARY})
    error: BaseException | None = caught.value
    written = [repr(client), caplog.text, "".join(traceback.format_exception(caught.value))]
    while error:
        written += [str(error), repr(error), repr(error.args), str(getattr(error, "hint", ""))]
        written += [str(getattr(error, "excerpt", ""))]
        error = error.__context__ or error.__cause__
    assert server.requests, "the request was really made"
    assert "c4nary" not in "\n".join(written)
    assert f"{method} {server.url}/***/x: " in caplog.text


@pytest.mark.parametrize("value", ["c4nary\n", "c4nary\r\nX: y", "c4naryü", " c4nary", "c4nary\x00"])
def test_a_token_that_cannot_be_sent_is_named_but_not_shown(server: WebServer, value: str) -> None:
    with pytest.raises(ConfigError, match="'Authorization'") as caught:
        HttpClient(server.url, headers={"Authorization": value})
    assert "c4nary" not in "".join(traceback.format_exception(caught.value)).replace(repr(value), "")
    assert "c4nary" not in str(caught.value)


def test_the_debug_log_tells_method_path_status_and_time_but_no_content(
    server: WebServer, http: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer(Answer({"private": "body"}))
    http.get_json("/customers", params={"email": "zoe@example.com"})
    assert f"GET {server.url}/api/customers: 200, 19 bytes in " in caplog.text
    assert "zoe" not in caplog.text
    assert "private" not in caplog.text


def test_threads_share_a_client(server: WebServer, http: HttpClient) -> None:
    server.answer(Answer({"ok": 1}))
    got = []
    threads = [threading.Thread(target=lambda: got.append(http.get_json("/x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [{"ok": 1}] * 8
