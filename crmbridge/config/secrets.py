"""Secret references (`${env:NAME}`, `${file:PATH}`, `${keyring:SERVICE/NAME}`), resolved when needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from crmbridge.sdk.redact import is_secret_name
from crmbridge.yamlfile import Document, Loc

__all__ = ["Secrets", "literal_secrets"]

_REFERENCE = re.compile(r"\$\$\{|\$\{([a-z]+):([^}]*)\}")
_URL_PASSWORD = re.compile(r"://[^/\s:@]*:(?P<password>[^/\s@]+)@")
_PARAMETER = re.compile(r"(?:^|[?&;\s])\s*(?P<name>[\w .-]+?)\s*=\s*(?P<value>[^&;\s]+)")
"""Of a URL's query, or of a connection string: `Server=x;Pwd=y`."""
_FILES = frozenset({"ca_file", "client_certificate", "client_key"})
"""Settings of the network that name files."""
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


def literal_secrets(data: Any, named: Collection[Loc] = ()) -> dict[tuple[str | int, ...], list[str]]:
    """The places in a config of secrets that are written out instead of referred to, and the secrets.

    named: further places that hold a secret, whatever they are called.
    """
    found = {}
    for loc, value in _scalars(data, ()):
        if loc[:1] not in (("systems",), ("state",)) or (loc[-2:-1] == ("network",) and loc[-1] in _FILES):
            continue
        name = next((part for part in reversed(loc) if isinstance(part, str)), "")
        whole = is_secret_name(name) or loc in named
        secrets = [part for part in ([value] if whole else _secrets_in(value)) if not _refers(part)]
        if secrets:
            found[loc] = [secret.replace("$${", "${") for secret in secrets]
    return found


def _scalars(data: Any, loc: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _scalars(value, (*loc, key))
    elif data not in (None, "") and not isinstance(data, bool):
        yield loc, str(data)


def _secrets_in(value: str) -> Iterator[str]:
    """The passwords inside of a URL or a connection string."""
    in_url = _URL_PASSWORD.search(value)
    if in_url:
        yield in_url["password"]
    for found in _PARAMETER.finditer(value):
        if is_secret_name(found["name"]):
            yield found["value"]


def _refers(text: str) -> bool:
    return any(match.group(1) is not None for match in _REFERENCE.finditer(text))
