"""Keeps secrets out of messages and logs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from threading import Lock
from urllib.parse import quote, quote_plus

__all__ = ["Redactor", "is_secret_name", "may_be_secret_name"]

MASK = "***"
_SECRET_NAME = re.compile(
    r"(password|passwd|passphrase|passcode|pwd|(?<![a-z])pass|token|secret|credential|bearer|authorization"
    r"|(api|access|private|secret|auth|client|account|consumer|shared|signing|encryption|application|app"
    r"|master|license|subscription|service|storage|session)[-_ ]?key)s?$",
    re.IGNORECASE,
)
_MAYBE_SECRET_NAME = re.compile(
    "pass(w|phrase|code|$)|pwd|token|secret|credential|bearer|authorization|cookie|keys?$", re.IGNORECASE
)
_SECRET_HEADER = re.compile(r"auth|token|key|secret|cookie|session|passw|signature", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a setting of this name holds a secret: `password`, `consumer_key`, `db_pwd`."""
    return _SECRET_NAME.search(name) is not None


def may_be_secret_name(name: str) -> bool:
    """The same with less certainty: reason enough to show no value in a message (`key`)."""
    return _MAYBE_SECRET_NAME.search(name) is not None


class Redactor:
    """Replaces every registered secret in a text by `***`, also where it was quoted or encoded.

    A secret of fewer than four characters is only replaced where it stands as a word of its own: a password
    `a` would otherwise make every message unreadable.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = Lock()
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        return f"<Redactor with {len(self._known)} secrets>"

    def add(self, secret: str) -> None:
        """Register a secret; from now on it appears in no text that went through this redactor."""
        with self._lock:
            for value in {secret, secret.strip()} - self._known - {""}:
                self._known.add(value)
                self._forms |= _forms(value)
                self._pattern = None

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Register the values of the headers that carry credentials, going by their names."""
        for name, value in headers.items():
            if _SECRET_HEADER.search(name):
                self.add(value)
                scheme, _, credentials = value.partition(" ")
                if scheme.lower() in ("basic", "bearer", "token", "apikey"):
                    self.add(credentials)

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        with self._lock:
            if self._pattern is None and self._forms:
                self._pattern = _pattern(self._forms)
            pattern = self._pattern
        return pattern.sub(MASK, text) if pattern else text


def _forms(secret: str) -> set[str]:
    """A secret as it may look inside URLs, JSON, reprs and Basic credentials."""
    raw = secret.encode("utf-8", "surrogatepass")
    return {
        secret,
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(raw).decode("ascii"),
    }


def _pattern(forms: set[str]) -> re.Pattern[str]:
    # The longest first: a secret that begins with another one is replaced whole.
    ordered = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile(
        "|".join(
            re.escape(form) if len(form) >= 4 else rf"(?<!\w){re.escape(form)}(?!\w)" for form in ordered
        )
    )
