"""What an answer, or its failing to come, means: which error stands for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpcore

from crmbridge.sdk import jsontext
from crmbridge.sdk.deadline import DeadlinePassed
from crmbridge.sdk.errors import (
    AnswerLostError,
    AuthError,
    CrmbridgeError,
    FatalError,
    HttpStatusError,
    RetryableError,
)
from crmbridge.sdk.redact import Redactor
from crmbridge.sdk.retry import parse_http_date, parse_retry_after

__all__ = ["Exchange", "HttpResponse", "judge", "lost", "refused_redirect", "uncertain"]

_EXCERPT = 300
_LOGIN = re.compile(r"log-?[io]n|sign-?in|sso|auth", re.IGNORECASE)
_RENEW = "the credentials may have expired or lack a right: renew them, then run `crmbridge check`"
_NOT_SENT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout, httpcore.ProxyError)


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


@dataclass(frozen=True, slots=True)
class Exchange:
    """What has to be known about a request to judge its answer."""

    name: str
    """`GET https://host/path`: without secrets, and without the query, which may hold personal data."""
    method: str
    idempotent: bool
    wants_json: bool
    auth_statuses: frozenset[int]
    redact: Redactor

    @property
    def reads(self) -> bool:
        """It changes nothing over there (RFC 9110, 9.2.1)."""
        return self.method in ("GET", "HEAD")


def lost(exchange: Exchange, error: Exception, *, read_timeout: float, deadline: float) -> CrmbridgeError:
    """The error for an answer that did not come, or not whole. Times are seconds."""
    text = exchange.redact(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, httpcore.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in text:
        return FatalError(
            f"{exchange.name}: the certificate is not trusted: {text}",
            hint="if it is from an authority of your own, name that authority's certificate in ca_file",
        )
    if isinstance(error, httpcore.ProxyError) and "407" in text:
        return AuthError(
            f"{exchange.name}: the proxy refuses us: {text}", hint="check user and password in `proxy`"
        )
    if isinstance(error, _NOT_SENT):
        return RetryableError(
            f"{exchange.name}: no connection: {text}", hint="is the URL right, and does the system run?"
        )
    if isinstance(error, DeadlinePassed):
        return uncertain(exchange, f"not complete after {deadline:g} s, the deadline for one request")
    if isinstance(error, httpcore.TimeoutException):
        return uncertain(exchange, f"nothing came or went for {read_timeout:g} s")
    return uncertain(exchange, f"the connection broke: {text}")


def uncertain(
    exchange: Exchange, text: str, *, status: int | None = None, retry_after: float | None = None
) -> CrmbridgeError:
    """The request may have been carried out: only an idempotent one can simply be sent again."""
    message = f"{exchange.name}: {text}"
    if exchange.idempotent:
        return RetryableError(message, retry_after=retry_after)
    return AnswerLostError(f"{message}; it may have been carried out or not", status=status)


def judge(exchange: Exchange, response: HttpResponse, *, now: datetime) -> CrmbridgeError | None:
    """The error that the answer stands for, or None where it is what was asked for. now: our clock."""
    status = response.status
    if status < 300:
        return _judge_json(exchange, response) if exchange.wants_json else None
    excerpt = _excerpt(exchange, response.body)
    text = f"{status} {_phrase(status)}" + (f": {excerpt}" if excerpt else "")
    message = f"{exchange.name}: {text}"
    if status in exchange.auth_statuses:
        return AuthError(message, hint=_RENEW)
    if status == 407:
        return AuthError(message, hint="check user and password in `proxy`")
    if status == 429 or (status >= 500 and status not in (501, 505)):
        # The date in a Retry-After is meant on the system's clock, which may differ from ours.
        clock = response.server_time or now
        retry_after = parse_retry_after(response.headers.get("retry-after"), now=clock)
        if status == 429 or (status == 503 and retry_after is not None):
            return RetryableError(message, retry_after=retry_after)
        return uncertain(exchange, text, status=status, retry_after=retry_after)
    return HttpStatusError(message, status=status, excerpt=excerpt, body=_json_or_none(response))


def _judge_json(exchange: Exchange, response: HttpResponse) -> CrmbridgeError | None:
    """No JSON where it should be: a web page means a login, anything else a broken answer."""
    if not response.body.strip():
        if exchange.method == "GET" and response.status == 200:
            return uncertain(exchange, "the answer is empty, where JSON was expected", status=200)
        return None
    try:
        response.json()
    except ValueError as error:
        problem = str(error)
    else:
        return None
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.body.lstrip().startswith(b"<") or (kind and "json" not in kind):
        return AuthError(
            f"{exchange.name}: {kind or 'a web page'} instead of JSON, status {response.status}: "
            f"{_excerpt(exchange, response.body)}",
            hint=f"a login page looks like this; {_RENEW}; or the URL is not that of the API",
        )
    return uncertain(exchange, f"the answer is no complete JSON: {problem}", status=response.status)


def refused_redirect(exchange: Exchange, response: HttpResponse) -> CrmbridgeError:
    """The error for a redirect that is not followed; it says where that pointed."""
    location = response.headers.get("location", "")
    message = (
        f"{exchange.name}: redirected ({response.status}) to {_cut(exchange.redact(location))!r}, "
        "which is not followed: only inside the same host, and only when reading"
    )
    if response.status == 303 and not exchange.idempotent:
        # "See other" is how many systems answer a write that they have carried out (RFC 9110, 15.4.4).
        return AnswerLostError(f"{message}; the write may have been carried out", status=303)
    if _LOGIN.search(location):
        return AuthError(f"{message}; it looks like a login page", hint=_RENEW)
    return FatalError(message, hint="if the system has moved, write its new address into the config")


def _excerpt(exchange: Exchange, body: bytes) -> str:
    # Redacted before it is cut: half a secret would not be recognised.
    return _cut(" ".join(exchange.redact(body[:20_000].decode("utf-8", "replace")).split()))


def _cut(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


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
