"""How a system is reached: certificates, proxy, connections with deadlines, bodies with a limit."""

from __future__ import annotations

import ssl
import urllib.request
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpcore

from crmbridge.sdk.deadline import DeadlineBackend
from crmbridge.sdk.errors import ConfigError
from crmbridge.sdk.redact import Redactor
from crmbridge.sdk.retry import RetryPolicy

__all__ = ["BrokenBodyError", "HttpSettings", "TooLargeError", "decompressed", "open_pool"]

# Node's servers close a connection that idles for 5 s. A write sent just then would be an answer lost.
_KEEP_ALIVE = 4.0


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
    proxy: str | None = field(default=None, repr=False)
    """`http://user:password@host:port`. None: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY; "": no proxy."""
    ca_file: Path | None = None
    """PEM certificates to trust besides those of the machine and of the certifi package."""
    client_certificate: Path | None = None
    """PEM: the certificate by which we show who we are, and its key unless that is in `client_key`."""
    client_key: Path | None = None
    verify: bool = True
    """False trusts every certificate: whoever sits in between can read and change everything."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class BrokenBodyError(Exception):
    """The body cannot be decompressed to its end."""


class TooLargeError(Exception):
    """The body is larger than allowed."""


def open_pool(settings: HttpSettings, scheme: str, host: str, redact: Redactor) -> httpcore.ConnectionPool:
    """Connections to one system, straight or through its proxy. Nothing is opened yet.

    Raises ConfigError for a certificate file or proxy that can't be used.
    """
    # Reading the certificates of the machine takes as long as reading a thousand records; without a context
    # the pool makes its own, should an answer lead to https.
    plain = scheme == "http" and settings.verify and not (settings.ca_file or settings.client_certificate)
    context = None if plain else _ssl_context(settings)
    backend = DeadlineBackend()
    proxy = settings.proxy if settings.proxy is not None else _proxy_of_environment(scheme, host)
    if not proxy:
        return httpcore.ConnectionPool(context, keepalive_expiry=_KEEP_ALIVE, network_backend=backend)
    url, user, password = _split_proxy(proxy)
    if password:
        redact.add(password)
    auth = (user, password) if user else None
    return httpcore.HTTPProxy(
        url, auth, ssl_context=context, keepalive_expiry=_KEEP_ALIVE, network_backend=backend
    )


def _ssl_context(settings: HttpSettings) -> ssl.SSLContext:
    context = httpcore.default_ssl_context()
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    path = settings.ca_file
    try:
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
        path = settings.client_certificate
        if settings.client_certificate:
            context.load_cert_chain(settings.client_certificate, settings.client_key, password=_no_password)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be used as certificate: {error.strerror or error}",
            hint="it has to be a readable PEM file (-----BEGIN CERTIFICATE-----), its key without a password",
        ) from None
    return context


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a run at night would hang.
    return ""


def _proxy_of_environment(scheme: str, host: str) -> str | None:
    if urllib.request.proxy_bypass(host):
        return None
    known = urllib.request.getproxies()
    return known.get(scheme) or known.get("all")


def _split_proxy(text: str) -> tuple[str, str, str]:
    """The proxy's URL without credentials, the user and the password."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise ConfigError("the proxy has to be http://[user:password@]host:port or https://…")
    shown = f"[{host}]" if ":" in host else host
    port = port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{shown}:{port}", unquote(parts.username or ""), unquote(parts.password or "")


def decompressed(chunks: Iterable[bytes], encoding: str, limit: int) -> bytes:
    """The whole body; never more than `limit` bytes of it are in memory.

    encoding: the Content-Encoding, gzip or deflate or none.
    Raises TooLargeError, or BrokenBodyError for data that is damaged, cut short or of another encoding.
    """
    kind = encoding.strip().lower()
    if kind not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise BrokenBodyError(f"it is compressed with {encoding!r}, which we did not ask for")
    # 32: zlib and gzip are told apart by their first bytes.
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32) if kind not in ("", "identity") else None
    parts, size = [], 0
    try:
        for chunk in chunks:
            part = decoder.decompress(chunk, limit - size + 1) if decoder else chunk
            size += len(part)
            if size > limit:
                raise TooLargeError
            parts.append(part)
    except zlib.error as error:
        raise BrokenBodyError(str(error)) from None
    if decoder and size and not decoder.eof:
        raise BrokenBodyError("it ends in the middle of the compressed data")
    return b"".join(parts)
