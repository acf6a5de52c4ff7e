"""Secret references (`${env:NAME}`, `${file:PATH}`, `${keyring:SERVICE/NAME}`), resolved when needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from crmbridge.yamlfile import Document, Loc

__all__ = ["Secrets", "literal_secrets", "secret_in"]

_REFERENCE = re.compile(r"\$\$\{|\$\{([a-z]+):([^}]*)\}")
_SECRET_NAME = re.compile(
    r"(password|passwd|passphrase|token|secret|credentials?|(api|access|private|secret|auth|client|account)_?key)$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"://[^/\s:@]*:(?P<password>[^/\s@]+)@")
_MAX_FILE = 65_536


@dataclass(slots=True)
class Secrets:
    """Where references lead to. What was resolved is told to `register`, so that no output shows it."""

    environment: Mapping[str, str]
    root: Path
    """Relative paths of `${file:...}` start here."""
    register: Callable[[str], None]
    """Gets each resolved secret, for redaction."""
    keyring: Callable[[str, str], str | None] | None = None
    """(service, name) -> password; None: the machine's keyring, through the optional package."""
    _known: dict[str, str] = field(default_factory=dict, repr=False)

    def resolve(self, text: str, document: Document, loc: Loc) -> SecretStr | str:
        """`text` with its references replaced, as a SecretStr; text without any comes back as it is.

        `$${` stands for `${` itself. Raises ConfigError at `loc` for a reference that leads nowhere.
        """
        if "${" not in text:
            return text
        found_any = False

        def replaced(match: re.Match[str]) -> str:
            nonlocal found_any
            if match.group(1) is None:
                return "${"
            found_any = True
            return self._look_up(match.group(1), match.group(2), document, loc)

        resolved = _REFERENCE.sub(replaced, text)
        if "${" in _REFERENCE.sub("", text):
            raise document.error(
                loc,
                "the reference is not complete",
                "write ${env:NAME}, ${file:PATH} or ${keyring:SERVICE/NAME}",
            )
        return SecretStr(resolved) if found_any else resolved

    def _look_up(self, kind: str, name: str, document: Document, loc: Loc) -> str:
        ways = {"env": self._from_environment, "file": self._from_file, "keyring": self._from_keyring}
        if kind not in ways:
            raise document.error(loc, f"unknown secret reference ${{{kind}:...}}", "use env, file or keyring")
        key = f"{kind}:{name}"
        if key not in self._known:
            try:
                secret = ways[kind](name)
            except (LookupError, OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else error.args[0]
                hint = "set it before crmbridge starts" if kind == "env" else None
                raise document.error(loc, f"the secret ${{{key}}} is missing: {reason}", hint) from None
            self.register(secret)
            self._known[key] = secret
        return self._known[key]

    def _from_environment(self, name: str) -> str:
        if not self.environment.get(name):
            raise LookupError(f"the environment variable {name} is not set")
        return self.environment[name]

    def _from_file(self, name: str) -> str:
        path = self.root / Path(name).expanduser()
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE + 1)
        if len(raw) > _MAX_FILE:
            raise LookupError("the file is larger than 64 KiB, so it holds no secret")
        text = raw.decode("utf-8-sig").rstrip("\r\n")
        if not text:
            raise LookupError("the file is empty")
        return text

    def _from_keyring(self, name: str) -> str:
        service, slash, user = name.rpartition("/")
        if not slash or not service or not user:
            raise LookupError("write it as ${keyring:SERVICE/NAME}")
        secret = (self.keyring or _machine_keyring)(service, user)
        if not secret:
            raise LookupError(f"the keyring has no entry {user!r} for {service!r}")
        return secret


def _machine_keyring(service: str, user: str) -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise LookupError("the package keyring is not installed: pip install 'crmbridge[keyring]'") from None
    try:
        return keyring.get_password(service, user)
    except KeyringError as error:
        raise LookupError(f"the keyring cannot be read ({type(error).__name__})") from None


def literal_secrets(data: Any, loc: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of secrets that are written out instead of referred to."""
    if isinstance(data, dict):
        for key, value in data.items():
            at = (*loc, key)
            if isinstance(value, dict | list):
                yield from literal_secrets(value, at)
            elif value not in (None, "", True, False) and _is_literal(str(key), str(value)):
                yield at
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from literal_secrets({"": value} if isinstance(value, str) else value, (*loc, index))


def secret_in(value: str) -> str:
    """The secret part of a value that was written out: the password of a URL, else all of it."""
    found = _URL_PASSWORD.search(value)
    return found["password"] if found else value


def _is_literal(key: str, value: str) -> bool:
    if _SECRET_NAME.search(key):
        return "${" not in value
    found = _URL_PASSWORD.search(value)
    return found is not None and "${" not in found["password"]
