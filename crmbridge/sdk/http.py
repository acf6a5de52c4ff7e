"""The one way to the network: HTTP with retries, budgets, deadlines and redaction.

A connector gets its client from the context and never builds one by hand::

    self.http = context.http(settings.url, headers={"Authorization": f"Bearer {token}"})
    rows = self.http.get_json("/customers", params={"page": 1})
    row = self.http.post_json("/customers", {"name": "Zoë"})

What a call raises, each error by what helps:

    AuthError         401, 403, 407, or a web page (a login form) where JSON was asked for
    RetryableError    429, 5xx, no connection, time-out, broken answer: the retries are used up already
    AnswerLostError   the same, for a write that may have happened: answer `Result.uncertain`
    HttpStatusError   any other status from 400 on: make `Result.rejected` or `Result.conflict` of it
    FatalError        a redirect or link to another host, an answer beyond the size limit, a bad certificate
    RecordError       the data can't be written as JSON
    ConfigError       a base URL, header, proxy or certificate file that can't be used

What is tried again: GET, HEAD and requests with `idempotent=True` after every failure that may pass. Other
requests only if the system surely didn't carry them out: the connection was never made, or it answered 429,
or 503 with Retry-After. Both of these mean "not now, come back" (RFC 6585, 4; RFC 9110, 15.6.4): the request
was turned away at the door. A 500, 502 or 504 says no such thing.

A client speaks to one origin (scheme, host, port). Paths and links that lead elsewhere are refused, and a
redirect is followed only for GET and HEAD, inside the origin or from http to https on the same host.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict, Unpack

import httpcore

from crmbridge import __version__
from crmbridge.sdk import jsontext
from crmbridge.sdk.answers import Exchange, HttpResponse, judge, lost, refused_redirect, uncertain
from crmbridge.sdk.deadline import deadline, mute_libraries
from crmbridge.sdk.errors import ConfigError, CrmbridgeError, FatalError, RecordError, RetryableError
from crmbridge.sdk.lean import httpx
from crmbridge.sdk.network import BrokenBodyError, HttpSettings, TooLargeError, decompressed, open_pool
from crmbridge.sdk.redact import Redactor
from crmbridge.sdk.retry import RateBudget, Retrier

__all__ = ["HttpClient", "HttpResponse", "HttpSettings", "RequestOptions", "Surroundings"]

logger = logging.getLogger(__name__)
mute_libraries(["httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy"])

_MOST_REDIRECTS = 5
_TRANSPORT_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The world outside: the clock (aware, UTC), random numbers in [0, 1), sleeping, and what is secret."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    random: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep
    redact: Redactor = field(default_factory=Redactor)


class RequestOptions(TypedDict, total=False):
    """The keyword arguments of every request."""

    params: Mapping[str, Any]
    """The query: str, int, bool, or a list of these for a repeated name. None leaves a name out."""
    json: Any
    """The body, as JSON. Decimals keep all their digits."""
    content: bytes
    """The body as it is; give its Content-Type in `headers`."""
    headers: Mapping[str, str]
    idempotent: bool | None
    """May it be carried out twice? None: only GET and HEAD may. A PUT of fields, or a POST with an
    idempotency key, or one that only reads, may: say so."""
    expect: Literal["json", "bytes"]
    """What the answer has to be; "json" unless told."""
    auth_statuses: Collection[int]
    """The statuses that mean AuthError; 401 and 403 unless told."""
    cost: float
    """The units that it takes from the rate budget; 1 unless told."""


class HttpClient:
    """Speaks to one origin. May be shared by threads.

    base_url: `https://host[:port][/path]`; paths of requests are put behind it.
    headers: sent with every request; those that look like credentials count as secret.
    secrets: further values that must never be shown.
    budget: how fast to go; one object for all clients of a system.
    warnings: what an operator should know about these settings, for `check`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        budget: RateBudget | None = None,
        settings: HttpSettings | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._settings = settings or HttpSettings()
        self._world = surroundings or Surroundings()
        self._redact = self._world.redact
        for secret in secrets:
            self._redact.add(secret)
        self._base = _checked_base(base_url)
        self._budget = budget
        self._retrier = Retrier(self._settings.retry, random=self._world.random, sleep=self._world.sleep)
        defaults = {"User-Agent": f"crmbridge/{__version__}", "Accept": "application/json, */*;q=0.1"}
        self._client = httpx.Client(
            headers={**defaults, "Accept-Encoding": "gzip, deflate", **self._checked_headers(headers or {})},
            timeout=httpx.Timeout(self._settings.read_timeout, connect=self._settings.connect_timeout),
            transport=_Transport(open_pool(self._settings, self._base.scheme, self._base.host, self._redact)),
        )
        self.warnings: tuple[str, ...] = ()
        if not self._settings.verify:
            self.warnings = (f"verify: false: the certificate of {self._base.host} is not checked at all",)
            logger.warning("%s", self.warnings[0])

    def __repr__(self) -> str:
        return f"<HttpClient {self._redact(str(self._base))}>"

    def add_secret(self, secret: str) -> None:
        """Something that must never be shown, learned while running: a session id, a new token."""
        self._redact.add(secret)

    def set_header(self, name: str, value: str) -> None:
        """Send this with every request from now on: a new session or token."""
        self._client.headers.update(self._checked_headers({name: value}))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get_json(self, path: str, **options: Unpack[RequestOptions]) -> Any:
        """GET; the JSON of the answer."""
        return self.request("GET", path, **options).json()

    def post_json(self, path: str, data: Any, /, **options: Unpack[RequestOptions]) -> Any:
        """POST `data`; the JSON of the answer, None where it is empty."""
        return self.request("POST", path, **{**options, "json": data}).json()

    def put_json(self, path: str, data: Any, /, **options: Unpack[RequestOptions]) -> Any:
        """PUT `data`; the JSON of the answer, None where it is empty."""
        return self.request("PUT", path, **{**options, "json": data}).json()

    def patch_json(self, path: str, data: Any, /, **options: Unpack[RequestOptions]) -> Any:
        """PATCH with `data`; the JSON of the answer, None where it is empty."""
        return self.request("PATCH", path, **{**options, "json": data}).json()

    def delete(self, path: str, **options: Unpack[RequestOptions]) -> HttpResponse:
        """DELETE. Say `idempotent=True` where a second delete does no harm but answer 404."""
        return self.request("DELETE", path, **options)

    def request(self, method: str, path: str, **options: Unpack[RequestOptions]) -> HttpResponse:
        """One request with its retries; the whole answer.

        path: relative to the base URL (`/customers`, with or without the slash), or an absolute link inside
        the same origin, as `next` links are. Ids inside it go through `urllib.parse.quote(id, safe="")`.
        See the module's docstring for what this raises.
        """
        request = self._build(method.upper(), path, options)
        reads = request.method in ("GET", "HEAD")
        idempotent = options.get("idempotent")
        exchange = Exchange(
            name=self._redact(f"{request.method} {request.url.copy_with(query=None)}"),
            method=request.method,
            idempotent=reads if idempotent is None else idempotent,
            wants_json=options.get("expect", "json") == "json",
            auth_statuses=frozenset(options.get("auth_statuses", (401, 403))),
            redact=self._redact,
        )
        cost = options.get("cost", 1.0)
        return self._retrier.call(lambda: self._attempt(exchange, request, cost))

    def _attempt(self, exchange: Exchange, request: httpx.Request, cost: float) -> HttpResponse:
        for _ in range(_MOST_REDIRECTS + 1):
            if self._budget:
                self._budget.take(cost)
            response = self._send(exchange, request)
            if response.status not in (301, 302, 303, 307, 308):
                self._settle(exchange, response)
                return response
            request = self._redirected(exchange, request, response)
        raise FatalError(f"{exchange.name}: more than {_MOST_REDIRECTS} redirects in a row")

    def _settle(self, exchange: Exchange, response: HttpResponse) -> None:
        """Correct the rate budget by the answer; raise the error that the answer stands for."""
        error = judge(exchange, response, now=self._world.now())
        if self._budget:
            self._budget.learn(response.headers)
            if isinstance(error, RetryableError) and error.retry_after is not None:
                self._budget.pause(error.retry_after)
        if error:
            raise error

    def _send(self, exchange: Exchange, request: httpx.Request) -> HttpResponse:
        """One message there and back; raises the error for what went wrong on the way."""
        settings = self._settings
        started = time.monotonic()
        failure: CrmbridgeError
        try:
            with deadline(settings.deadline):
                response = self._receive(exchange, request)
        except _TRANSPORT_ERRORS as error:
            failure = lost(exchange, error, read_timeout=settings.read_timeout, deadline=settings.deadline)
        except BrokenBodyError as error:
            failure = uncertain(exchange, f"the answer is broken: {error}")
        else:
            passed = (time.monotonic() - started) * 1000
            logger.debug(
                "%s: %d, %d bytes in %d ms", exchange.name, response.status, len(response.body), passed
            )
            return response
        logger.debug("%s", failure.message)
        # Raised out here: inside the except block the library's error, which may hold headers, would be
        # its context.
        raise failure

    def _receive(self, exchange: Exchange, request: httpx.Request) -> HttpResponse:
        limit = self._settings.max_bytes
        response = self._client.send(request, stream=True)
        try:
            for cookie in response.headers.get_list("set-cookie"):
                self._redact_cookie(cookie)
            encoding = response.headers.get("content-encoding", "")
            body = decompressed(response.iter_raw(), encoding, limit)
        except TooLargeError:
            raise FatalError(
                f"{exchange.name}: the answer is larger than {limit:,} bytes",
                hint="ask for smaller pages, or raise max_bytes if that much is right",
            ) from None
        finally:
            response.close()
        return HttpResponse(response.status_code, response.headers, body)

    def _redact_cookie(self, text: str) -> None:
        value = text.partition(";")[0].partition("=")[2].strip().strip('"')
        # Session cookies are long; short ones are a language or a flag, and would mask half of a message.
        if len(value) >= 8:
            self._redact.add(value)

    def _redirected(
        self, exchange: Exchange, request: httpx.Request, response: HttpResponse
    ) -> httpx.Request:
        """The request to send instead; raises where the redirect is not to be followed."""
        location = response.headers.get("location", "")
        try:
            target = request.url.join(location)
        except httpx.InvalidURL:
            target = httpx.URL("")
        if not (exchange.reads and location and _may_follow(request.url, target)):
            raise refused_redirect(exchange, response)
        # Host and cookies are made anew for the target; the rest is what the caller asked for.
        headers = [item for item in request.headers.raw if item[0].lower() not in (b"host", b"cookie")]
        return self._client.build_request(request.method, target, headers=headers)

    def _build(self, method: str, path: str, options: RequestOptions) -> httpx.Request:
        url = self._url(path)
        params = {name: value for name, value in options.get("params", {}).items() if value is not None}
        if params:
            url = url.copy_merge_params(params)
        headers = self._checked_headers(options.get("headers", {}))
        content = options.get("content")
        if "json" in options:
            headers = {"Content-Type": "application/json", **headers}
            try:
                content = jsontext.encode(options["json"])
            except ValueError as error:
                raise RecordError(self._redact(f"{method} {path}: {error}")) from None
        return self._client.build_request(method, url, headers=headers, content=content)

    def _url(self, path: str) -> httpx.URL:
        """The whole URL of a path or link. Refuses what leads, or may lead, out of the base URL's origin."""
        problem = None
        absolute = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|[/\\]{2}", path) is not None
        try:
            url = self._base.join(path) if absolute else httpx.URL(f"{self._base}/{path.lstrip('/')}")
        except httpx.InvalidURL:
            url, problem = self._base, "is no URL"
        if _origin(url) != _origin(self._base) or url.userinfo:
            problem = "leads elsewhere"
        elif _DOTS.search(path.partition("?")[0]) or "\\" in path or "#" in path:
            problem = "contains a segment of dots, a backslash or a #"
        if problem:
            raise FatalError(
                self._redact(f"{self._base}: the path or link {path!r} {problem}; it is refused"),
                hint="credentials are sent to that address only; ids inside a path have to be quoted",
            )
        return url

    def _checked_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        self._redact.add_headers(headers)
        for name, value in headers.items():
            # Said here, by name: what the libraries raise about a bad header shows its value.
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                raise ConfigError(
                    f"{self._base.host}: the header {name!r} can't be sent: it may hold printable ASCII only",
                    hint="look for a line break, a space at an end or a letter with an accent in the token",
                )
        return dict(headers)


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Transport(httpx.BaseTransport):
    """Sends over our own pool; httpx's own transport takes none that keeps to deadlines."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Stream(response.stream))

    def close(self) -> None:
        self._pool.close()


def _checked_base(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.userinfo or (not url.host and "@" in text):
        raise ConfigError("a URL with user and password in it is refused: use the settings made for them")
    # Names that the socket module chokes on: an empty part, or one of more than 63 characters.
    labels = url.raw_host.decode("ascii").removesuffix(".").split(".")
    named = all(0 < len(label) < 64 for label in labels) and (url.port or 80) <= 65_535
    if url.scheme not in ("http", "https") or not named or url.query or url.fragment:
        raise ConfigError(f"{text!r} is no usable URL: it has to look like https://host:port/path")
    return httpx.URL(str(url).rstrip("/"))


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _may_follow(old: httpx.URL, new: httpx.URL) -> bool:
    if new.userinfo:
        return False
    if _origin(old) == _origin(new):
        return True
    upgraded = old.scheme == "http" and new.scheme == "https" and old.host == new.host
    return upgraded and _origin(new)[2] in (443, old.port)
