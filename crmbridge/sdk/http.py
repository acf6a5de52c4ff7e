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
import ssl
import time
import urllib.request
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import httpcore
import httpx

from crmbridge import __version__
from crmbridge.sdk import jsontext
from crmbridge.sdk.deadline import DeadlineBackend, DeadlinePassed, deadline, mute_libraries
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
from crmbridge.sdk.redact import Redactor
from crmbridge.sdk.retry import RateBudget, Retrier, RetryPolicy, parse_http_date, parse_retry_after

__all__ = ["HttpClient", "HttpResponse", "HttpSettings", "RequestOptions", "Surroundings"]

logger = logging.getLogger(__name__)
mute_libraries(["httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy"])

_EXCERPT = 300
_MOST_REDIRECTS = 5
_LOGIN = re.compile(r"log-?[io]n|sign-?in|sso|auth", re.IGNORECASE)
_NO_CREDENTIALS = "the credentials may have expired or lack a right: renew them, then run `crmbridge check`"


# -- what a client is made of ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What an operator sets per system. Times are seconds."""

    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    """The longest silence inside an answer, and the longest stop in sending."""
    deadline: float = 300.0
    """One attempt as a whole, from the connection to the last byte."""
    max_bytes: int = 100_000_000
    """The largest body of an answer, after decompression."""
    proxy: str | None = None
    """`http://user:password@host:port`. None: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY; "": no proxy."""
    ca_file: Path | None = None
    """PEM certificates to trust besides the well-known ones."""
    client_certificate: Path | None = None
    """PEM: the certificate by which we show who we are, and its key unless that is in `client_key`."""
    client_key: Path | None = None
    verify: bool = True
    """False trusts every certificate: whoever sits in between can read and change everything."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)


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


class HttpResponse:
    """An answer, read to its end.

    status: the HTTP status code. headers: names in any case. body: decompressed.
    """

    __slots__ = ("_data", "_decoded", "body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self._data: Any = None
        self._decoded = False

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status}, {len(self.body)} bytes>"

    def json(self) -> Any:
        """The body as JSON-like values, with Decimal for fractions; None where it is empty.

        Raises ValueError if it is no JSON.
        """
        if not self._decoded:
            self._data = jsontext.decode(self.body) if self.body.strip() else None
            self._decoded = True
        return self._data

    @property
    def server_time(self) -> datetime | None:
        """The system's clock when it answered (the `Date` header, whole seconds), aware, UTC."""
        return parse_http_date(self.headers.get("date", ""))


# -- the client --------------------------------------------------------------------------------


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
            transport=_Transport(self._settings, self._base, self._redact),
            trust_env=False,
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

        path: relative to the base URL (`/customers`, with or without the slash, quoted where needed), or an
        absolute link inside the same origin, as `next` links are. See the module for what it raises.
        """
        method = method.upper()
        exchange = _Exchange(
            request=self._build(method, path, options),
            safe=method in ("GET", "HEAD"),
            idempotent=bool(options.get("idempotent") or method in ("GET", "HEAD")),
            wants_json=options.get("expect", "json") == "json",
            auth_statuses=frozenset(options.get("auth_statuses", (401, 403))) | {407},
            cost=options.get("cost", 1.0),
        )
        return self._retrier.call(lambda: self._attempt(exchange))

    # -- before ----------------------------------------------------------------------------

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
                raise RecordError(self._redact(str(error))) from None
        return self._client.build_request(method, url, headers=headers, content=content)

    def _url(self, path: str) -> httpx.URL:
        problem = None
        try:
            absolute = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|[/\\]{2}", path) is not None
            url = self._base.join(path) if absolute else httpx.URL(f"{self._base}/{path.lstrip('/')}")
        except httpx.InvalidURL:
            url, problem = self._base, "is no URL"
        if _origin(url) != _origin(self._base) or url.userinfo:
            problem = f"leads away from {self._base.scheme}://{self._base.netloc.decode('ascii')}"
        elif "\\" in path or re.search(r"(^|/)(\.|%2e){2}(/|$)", path.partition("?")[0], re.IGNORECASE):
            problem = "contains .. or a backslash"
        if problem:
            raise FatalError(
                self._redact(f"the path or link {path!r} {problem}, and credentials are for that system only")
            )
        return url

    def _checked_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        self._redact.add_headers(headers)
        for name, value in headers.items():
            # Said here, by name: what the libraries raise about a bad header shows its value.
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(
                r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?|", value
            ):
                raise ConfigError(
                    f"the header {name!r} can't be sent: a header is printable ASCII without a line break",
                    hint="look for a line break or a non-ASCII letter in the token or password",
                )
        return dict(headers)

    # -- one attempt -----------------------------------------------------------------------

    def _attempt(self, exchange: _Exchange) -> HttpResponse:
        for _ in range(_MOST_REDIRECTS + 1):
            if self._budget:
                self._budget.take(exchange.cost)
            response = self._send(exchange)
            if self._budget:
                self._budget.learn(response.headers)
            if response.status in (301, 302, 303, 307, 308):
                exchange.request = self._redirected(exchange, response)
                continue
            self._judge(exchange, response)
            return response
        raise FatalError(f"{self._name(exchange)}: more than {_MOST_REDIRECTS} redirects in a row")

    def _send(self, exchange: _Exchange) -> HttpResponse:
        """The answer, or the error that stands for what went wrong on the way."""
        started = time.monotonic()
        failure: CrmbridgeError
        try:
            with deadline(self._settings.deadline):
                response = self._receive(exchange)
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
            httpcore.ProxyError,
        ) as error:
            failure = self._failure(exchange, error)
        except _BrokenBodyError as error:
            failure = self._uncertain(exchange, f"the answer is broken: {error}", status=error.status)
        else:
            logger.debug(
                "%s: %d, %d bytes in %d ms",
                self._name(exchange),
                response.status,
                len(response.body),
                (time.monotonic() - started) * 1000,
            )
            return response
        logger.debug("%s", failure.message)
        # Raised out here so that the library's own error, which may hold headers, isn't its context.
        raise failure

    def _receive(self, exchange: _Exchange) -> HttpResponse:
        response = self._client.send(exchange.request, stream=True)
        try:
            for name, value in response.headers.multi_items():
                if name == "set-cookie":
                    self._redact_cookie(value)
            body = _read_body(response, self._settings.max_bytes, self._name(exchange))
        finally:
            response.close()
        return HttpResponse(response.status_code, response.headers, body)

    def _redact_cookie(self, text: str) -> None:
        value = text.partition(";")[0].partition("=")[2].strip().strip('"')
        # Session cookies are long; short ones are a language or a flag, and would mask half of a message.
        if len(value) >= 8:
            self._redact.add(value)

    # -- after -----------------------------------------------------------------------------

    def _failure(self, exchange: _Exchange, error: Exception) -> CrmbridgeError:
        name = self._name(exchange)
        text = self._redact(" ".join(str(error).split())) or type(error).__name__
        if isinstance(error, httpcore.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in text:
            return FatalError(
                f"{name}: the certificate is not trusted: {text}",
                hint="if it is from your own authority, name that authority's certificate in ca_file",
            )
        if isinstance(error, httpcore.ProxyError) and "407" in text:
            return AuthError(
                f"{name}: the proxy refuses us: {text}", hint="check user and password in `proxy`"
            )
        if isinstance(
            error,
            httpcore.ConnectError | httpcore.ConnectTimeout | httpcore.PoolTimeout | httpcore.ProxyError,
        ):
            return RetryableError(
                f"{name}: no connection: {text}", hint="is the URL right, and does the system run?"
            )
        if isinstance(error, DeadlinePassed):
            text = f"not complete after {self._settings.deadline:g} s, the deadline for one request"
        elif isinstance(error, httpcore.TimeoutException):
            text = f"nothing came for {self._settings.read_timeout:g} s"
        else:
            text = f"the connection broke: {text}"
        return self._uncertain(exchange, text)

    def _uncertain(
        self, exchange: _Exchange, text: str, *, status: int | None = None, retry_after: float | None = None
    ) -> CrmbridgeError:
        """The request may have been carried out: only an idempotent one can simply be sent again."""
        message = f"{self._name(exchange)}: {text}"
        if exchange.idempotent:
            return RetryableError(message, retry_after=retry_after)
        return AnswerLostError(f"{message}; it may have been carried out or not", status=status)

    def _judge(self, exchange: _Exchange, response: HttpResponse) -> None:
        """Raises the error that the answer stands for, if it stands for one."""
        status = response.status
        if status < 300:
            if exchange.wants_json:
                self._judge_json(exchange, response)
            return
        said = f"{status} {_phrase(status)}"
        excerpt = self._excerpt(response.body)
        text = f"{said}: {excerpt}" if excerpt else said
        if status in exchange.auth_statuses:
            raise AuthError(f"{self._name(exchange)}: {text}", hint=_NO_CREDENTIALS)
        if status == 429 or (status >= 500 and status not in (501, 505)):
            now = response.server_time or self._world.now()
            retry_after = parse_retry_after(response.headers.get("retry-after"), now=now)
            if self._budget and retry_after is not None:
                self._budget.pause(retry_after)
            if status == 429 or (status == 503 and retry_after is not None):
                raise RetryableError(f"{self._name(exchange)}: {text}", retry_after=retry_after)
            raise self._uncertain(exchange, text, status=status, retry_after=retry_after)
        raise HttpStatusError(
            f"{self._name(exchange)}: {text}", status=status, excerpt=excerpt, body=_json_or_none(response)
        )

    def _judge_json(self, exchange: _Exchange, response: HttpResponse) -> None:
        """No JSON where it should be: a web page means a login, anything else a broken answer."""
        if not response.body.strip():
            if exchange.safe and response.status == 200 and exchange.request.method != "HEAD":
                raise self._uncertain(exchange, "the answer is empty, where JSON was expected", status=200)
            return
        try:
            response.json()
        except ValueError as error:
            problem = str(error)
        else:
            return
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.body.lstrip().startswith(b"<") or (kind and "json" not in kind):
            raise AuthError(
                f"{self._name(exchange)}: {kind or 'a web page'} instead of JSON, status {response.status}: "
                f"{self._excerpt(response.body)}",
                hint="this is how a login page looks; "
                + _NO_CREDENTIALS
                + "; or the URL is not that of the API",
            )
        raise self._uncertain(exchange, f"the answer is no complete JSON: {problem}", status=response.status)

    def _redirected(self, exchange: _Exchange, response: HttpResponse) -> httpx.Request:
        """The request to send instead, or an error that says where the redirect pointed."""
        location = response.headers.get("location", "")
        old = exchange.request.url
        try:
            new = old.join(location)
        except httpx.InvalidURL:
            new = httpx.URL("")
        if exchange.safe and location and not new.userinfo and _may_follow(old, new):
            request = self._client.build_request(exchange.request.method, new)
            # The client's own Host header and cookies are made anew; the rest is what the caller asked for.
            kept = {k: v for k, v in exchange.request.headers.items() if k.lower() not in ("host", "cookie")}
            request.headers.update(kept)
            return request
        message = self._redact(
            f"{self._name(exchange)}: redirected ({response.status}) to {location[:_EXCERPT]!r}"
        )
        if response.status == 303 and not exchange.idempotent:
            raise AnswerLostError(f"{message}; that often follows a write that was carried out", status=303)
        if _LOGIN.search(new.path):
            raise AuthError(f"{message}, which looks like a login page", hint=_NO_CREDENTIALS)
        raise FatalError(
            f"{message}, which is not followed: the credentials are for {old.scheme}://{old.host} only",
            hint="if the system has moved, write its new address into the config",
        )

    def _name(self, exchange: _Exchange) -> str:
        """`GET https://host/path`: without the query, which may hold personal data."""
        url = exchange.request.url.copy_with(query=None, fragment=None)
        return self._redact(f"{exchange.request.method} {url}")

    def _excerpt(self, body: bytes) -> str:
        # Redacted before it is cut: half a secret would not be recognised.
        text = " ".join(self._redact(body[:20_000].decode("utf-8", "replace")).split())
        return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


@dataclass(slots=True)
class _Exchange:
    request: httpx.Request
    safe: bool
    idempotent: bool
    wants_json: bool
    auth_statuses: frozenset[int]
    cost: float


class _BrokenBodyError(Exception):
    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


# -- parts -------------------------------------------------------------------------------------


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Transport(httpx.BaseTransport):
    """A connection pool that keeps to deadlines; httpx's own takes no network backend."""

    def __init__(self, settings: HttpSettings, base: httpx.URL, redact: Redactor) -> None:
        context = _ssl_context(settings)
        backend = DeadlineBackend()
        proxy = _proxy(settings.proxy, base)
        self._pool: httpcore.ConnectionPool
        if proxy is None:
            self._pool = httpcore.ConnectionPool(context, network_backend=backend)
            return
        if proxy.password:
            redact.add(proxy.password)
        auth = (proxy.username, proxy.password) if proxy.username else None
        self._pool = httpcore.HTTPProxy(
            str(proxy.copy_with(userinfo=b"")), auth, ssl_context=context, network_backend=backend
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Stream(response.stream))

    def close(self) -> None:
        self._pool.close()


def _ssl_context(settings: HttpSettings) -> ssl.SSLContext:
    context = httpx.create_ssl_context(verify=settings.verify)
    path = settings.ca_file
    try:
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
        path = settings.client_certificate
        if settings.client_certificate:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{path}: cannot be used as certificate: {error.strerror or error}",
            hint="it has to be a PEM file (-----BEGIN CERTIFICATE-----) that we may read",
        ) from None
    return context


def _proxy(setting: str | None, base: httpx.URL) -> httpx.URL | None:
    """The proxy for the system: as set, or as the environment says."""
    text = setting
    if text is None and not urllib.request.proxy_bypass(base.host):
        known = urllib.request.getproxies()
        text = known.get(base.scheme) or known.get("all")
    if not text:
        return None
    try:
        proxy = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL:
        proxy = httpx.URL("")
    if proxy.scheme not in ("http", "https") or not proxy.host:
        raise ConfigError("the proxy has to be http://[user:password@]host:port or https://…")
    return proxy


def _checked_base(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.userinfo:
        raise ConfigError(
            "a URL with user and password in it is refused: use the settings that are made for them"
        )
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise ConfigError(f"{text!r} is no usable URL: it has to look like https://host:port/path")
    return url.copy_with(path=url.path.rstrip("/"))


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _may_follow(old: httpx.URL, new: httpx.URL) -> bool:
    if _origin(old) == _origin(new):
        return True
    upgraded = old.scheme == "http" and new.scheme == "https" and old.host == new.host
    return upgraded and (_origin(new)[2] in (443, old.port))


def _read_body(response: httpx.Response, limit: int, name: str) -> bytes:
    """The decompressed body, never more than `limit` bytes of it in memory."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        decoder = None
    elif encoding in ("gzip", "x-gzip", "deflate"):
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: zlib and gzip are told apart by their header
    else:
        raise FatalError(f"{name}: the answer is compressed with {encoding!r}, which we did not ask for")
    parts, size = [], 0
    try:
        for chunk in response.iter_raw():
            part = decoder.decompress(chunk, limit - size + 1) if decoder else chunk
            size += len(part)
            if size > limit:
                raise FatalError(
                    f"{name}: the answer is larger than {limit:,} bytes",
                    hint="ask for smaller pages, or raise max_bytes if that is right",
                )
            parts.append(part)
    except zlib.error as error:
        raise _BrokenBodyError(str(error), response.status_code) from None
    if decoder and size and not decoder.eof:
        raise _BrokenBodyError("it ends in the middle of the compressed data", response.status_code)
    return b"".join(parts)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(unknown status)"


def _json_or_none(response: HttpResponse) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
