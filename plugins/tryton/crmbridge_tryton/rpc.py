"""Calls to Tryton: log-in, sessions, and its errors as errors that say what helps.

`POST /DATABASE/rpc/` takes `{"id", "method", "params"}`. With an `id` in the body, Tryton answers what its
programs raise with HTTP status 200 and `"error": [class, arguments]`; a bad session or password is 401, a
method that is not for remote calls 403, both as web pages (trytond/protocols/dispatcher.py).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crmbridge.sdk.errors import (
    AnswerLostError,
    AuthError,
    ConfigError,
    ConflictError,
    FatalError,
    HttpStatusError,
    RecordError,
    RetryableError,
)
from crmbridge.sdk.http import HttpClient
from crmbridge_tryton.values import from_wire, to_wire

__all__ = ["Credentials", "Rpc", "WarnedError"]

_SESSION = "session"
# What databases say of two transactions that met; the same call will pass a moment later.
_PASSING_FAULTS = ("database is locked", "could not serialize", "deadlock detected")


class WarnedError(RecordError):
    """Tryton asks a person to confirm (its UserWarning). `name` is what `skip_warning` wants."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Credentials:
    database: str
    user: str
    password: str


class Rpc:
    """One user's calls to one database. `context` goes with every call, as Tryton's clients do it."""

    def __init__(self, http: HttpClient, credentials: Credentials, session: MutableMapping[str, str]) -> None:
        self._http = http
        self._credentials = credentials
        self._session = session
        self._logged_in = False
        self.context: dict[str, Any] = {}
        self.server_time: datetime | None = None
        self.calls = 0
        """How many calls were made so far: tells what was read before what."""

    def read(self, method: str, *params: Any, context: Mapping[str, Any] | None = None) -> Any:
        """A call that changes nothing, so that it is tried again after every failure that may pass."""
        return self._call(method, [*params, {**self.context, **(context or {})}], reads=True)

    def write(self, method: str, *params: Any, context: Mapping[str, Any] | None = None) -> Any:
        """A call that changes something: one transaction, all of it or nothing.

        Raises RecordError (Tryton refuses: its UserError), WarnedError, ConflictError (a stale `_timestamp`),
        AnswerLostError (sent, outcome unknown) and what every call may raise.
        """
        return self._call(method, [*params, {**self.context, **(context or {})}], reads=False)

    def skip_warning(self, name: str) -> None:
        """The next call that would raise this warning passes."""
        self.write("model.res.user.warning.skip", name, False)

    def server_version(self) -> str:
        """The series, as `8.2`. Needs no log-in."""
        answer = self._post("rpc/", {"id": 0, "method": "common.server.version", "params": []}, reads=True)
        return str(self._result("common.server.version", answer))

    # -- sessions --------------------------------------------------------------------------

    def _call(self, method: str, params: list[Any], *, reads: bool) -> Any:
        if not self._logged_in:
            self._log_in(self._session.get(_SESSION))
        try:
            return self._send(method, params, reads=reads)
        except AuthError:
            # The session ran out, which says that this call was not carried out: a new one, and once more.
            self._log_in(None)
            return self._send(method, params, reads=reads)

    def _log_in(self, known: str | None) -> None:
        """Use the session that the last run left, or get a new one, which is stored before it is used."""
        owner = f"{self._credentials.user}@{self._credentials.database}:"
        if known is None or not known.startswith(owner):
            known = f"{owner}{self._new_session()}"
            self._session[_SESSION] = known
        session = f"{self._credentials.user}:{known.removeprefix(owner)}"
        token = base64.b64encode(session.encode()).decode()
        self._http.add_secret(session.rpartition(":")[2])
        self._http.set_header("Authorization", f"Session {token}")
        self._logged_in = True

    def _new_session(self) -> str:
        """`USER_ID:TOKEN`"""
        user, database = self._credentials.user, self._credentials.database
        params = [user, {"password": self._credentials.password}]
        body = {"id": 0, "method": "common.db.login", "params": params}
        try:
            response = self._post(f"{database}/rpc/", body, reads=True)
        except AuthError as error:
            raise AuthError(
                f"Tryton refuses the log-in of {user!r} to the database {database!r}",
                hint="check `user` and `password`, and that the user is active in Tryton",
            ) from error
        except HttpStatusError as error:
            if error.status != 404:
                raise
            raise ConfigError(
                f"there is no Tryton database {database!r} at this address",
                hint="check `url` and `database` (case matters)",
            ) from error
        match self._result("common.db.login", response):
            case [int() as user_id, str() as token, *_]:
                return f"{user_id}:{token}"
            case _:
                raise FatalError("Tryton's answer to the log-in makes no sense: is `url` that of a trytond?")

    # -- the call itself -------------------------------------------------------------------

    def _send(self, method: str, params: list[Any], *, reads: bool) -> Any:
        body = {"id": 1, "method": method, "params": to_wire(params)}
        try:
            answer = self._post(f"{self._credentials.database}/rpc/", body, reads=reads)
        except HttpStatusError as error:
            if error.status != 403:
                raise
            raise FatalError(
                f"Tryton has no {method} for remote calls",
                hint="is the module active that this stream needs? `crmbridge check` tells",
            ) from error
        return self._result(method, answer, reads=reads)

    def _post(self, path: str, body: dict[str, Any], *, reads: bool) -> Any:
        self.calls += 1
        response = self._http.request("POST", path, json=body, idempotent=reads, auth_statuses=(401,))
        self.server_time = response.server_time
        return response.json()

    def _result(self, method: str, answer: Any, *, reads: bool = True) -> Any:
        if not isinstance(answer, dict) or not answer.keys() & {"result", "error"}:
            text = f"the answer to {method} is none of Tryton's"
            if reads:
                raise FatalError(text, hint="is `url` that of a trytond?")
            raise AnswerLostError(text)
        if "error" in answer:
            raise _error(method, answer["error"])
        try:
            return from_wire(answer["result"])
        except ValueError as error:
            raise FatalError(f"the answer to {method} cannot be read: {error}") from error


def _error(method: str, error: Any) -> Exception:
    """What Tryton's `error` stands for (trytond/exceptions.py)."""
    match error:
        case ["UserError", [message, description, *_]]:
            return RecordError(_sentence(message, description))
        case ["UserWarning", [name, message, description, *_]]:
            return WarnedError(str(name), _sentence(message, description))
        case ["ConcurrencyException", message]:
            return ConflictError(f"Tryton: {message}")
        case ["LoginException", *_]:
            return AuthError(
                "Tryton wants more than user and password to log in (a second factor)",
                hint="use a service user that logs in by password alone",
            )
        case [message, *_] if any(fault in str(message) for fault in _PASSING_FAULTS):
            return RetryableError(f"Tryton: {message}")
        case [message, *_]:
            return RecordError(f"Tryton failed in {method}: {str(message)[:300]}")
        case _:
            return FatalError(f"Tryton's error in {method} makes no sense")


def _sentence(message: Any, description: Any) -> str:
    return " - ".join(str(part).strip() for part in (message, description) if part and str(part).strip())
