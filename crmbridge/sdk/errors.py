"""Every error that crmbridge raises on purpose, grouped by what helps.

    CrmbridgeError            exit 1   anything below
    ├── ConfigError           exit 2   correct the command line, crmbridge.yaml or a mapping
    ├── AuthError             exit 12  renew the credentials (after one refresh and one replay)
    ├── RetryableError        exit 1   wait and try again: rate limit, overload, lost connection
    ├── AnswerLostError       exit 1   a write was sent, its outcome is unknown: look it up, don't repeat it
    ├── ConflictError         exit 1   the record has changed since it was read: read it and plan again
    ├── RecordError           exit 1   this record is dead-lettered, the others go on
    ├── CursorExpiredError    exit 1   the system forgot the position: the engine reads the stream in full
    ├── FatalError            exit 1   this system stops, the other systems go on
    │   └── HttpStatusError   exit 1   one request was refused: in push, make it a rejection or a conflict
    ├── LimitError            exit 5   a safety limit stopped the run: look at the plan, allow it by the flag
    ├── LockedError           exit 11  another run holds the lock: wait for it to end
    └── StateError            exit 13  the state is damaged, newer or unreachable: restore or upgrade

A connector raises AuthError, RetryableError, AnswerLostError, ConflictError, RecordError, CursorExpiredError
or FatalError, and ConfigError for settings that it cannot use. The engine recovers by the class alone and
never reads the message.

`exit_code` is what the command ends with when the error reaches the top. A run that gets to its end with
dead letters ends with 3, which is an outcome and not an error; hence RecordError, which reaches the top only
when a command is about that one record, has exit code 1.

`message` says what is wrong, `hint` what to do. `str(error)` is what a person sees: where it happened, the
message, and the hint on a line of its own. Never put a secret in either.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AnswerLostError",
    "AuthError",
    "ConfigError",
    "ConflictError",
    "CrmbridgeError",
    "CursorExpiredError",
    "FatalError",
    "HttpStatusError",
    "LimitError",
    "LockedError",
    "RecordError",
    "RetryableError",
    "StateError",
]

RAISED = (Exception, SystemExit)
"""What foreign code may raise: of a connector or plugin, to end the process is a failure like any other."""


class CrmbridgeError(Exception):
    """The root: catch this to catch everything that crmbridge raises on purpose.

    message: what is wrong, one sentence without a final full stop; several problems are one line each.
    hint: what to do about it, or None when the message says it already.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def where(self) -> str | None:
        """Where it happened (`file:line:column` or `system/stream/native_id`), or None when not known."""
        return None

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class ConfigError(CrmbridgeError):
    """The command line, crmbridge.yaml, a mapping or a system's settings cannot be used as written.

    position: `file:line:column`, both counted from 1, as editors and terminals understand it.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, position: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.position = position

    @property
    def where(self) -> str | None:
        return self.position


class AuthError(CrmbridgeError):
    """A system refused the credentials, or answered with a login page instead of data."""

    exit_code: ClassVar[int] = 12


class RetryableError(CrmbridgeError):
    """The same call may succeed later: rate limit, overload, time-out, lost connection.

    retry_after: seconds that the system asked us to wait (RFC 9110, 10.2.3), or None when it did not say.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class AnswerLostError(CrmbridgeError):
    """A write that must not be sent twice was sent, and nobody knows whether it happened.

    A connector answers `Result.uncertain`; if this leaves `push`, all unanswered operations are uncertain.
    It is no RetryableError, so that no code which repeats those can create a record twice.

    status: the HTTP status where there was one (500 or 504 to a create), or None.
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ConflictError(CrmbridgeError):
    """The record's version is not the one the operation was planned against; nothing was written."""


class RecordError(CrmbridgeError):
    """One record cannot be read, mapped or written, and trying again won't help until someone changes it.

    system, stream, native_id: which record, as far as the raiser knows.
    """

    def __init__(
        self,
        message: str,
        *,
        system: str | None = None,
        stream: str | None = None,
        native_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.system = system
        self.stream = stream
        self.native_id = native_id

    @property
    def where(self) -> str | None:
        parts = (self.system, self.stream, self.native_id)
        return "/".join(part or "?" for part in parts) if any(parts) else None


class CursorExpiredError(CrmbridgeError):
    """The system no longer knows the cursor (a delta token or a window of days that ran out)."""


class FatalError(CrmbridgeError):
    """This system cannot go on in this run: wrong tenant, unsupported version, senseless answer."""


class HttpStatusError(FatalError):
    """The system refused one request: an HTTP status from 400 on that no other error stands for.

    Inside `push` a connector makes `Result.rejected` or `Result.conflict` (409, 412) of it. One that nobody
    catches means that the connector asks for what the system doesn't have, hence a FatalError.

    status: the HTTP status code.
    excerpt: the start of the body, at most 300 characters, without secrets.
    body: the decoded JSON body, None where it was no JSON. Not redacted: never show it whole.
    """

    def __init__(
        self, message: str, *, status: int, excerpt: str = "", body: Any = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.excerpt = excerpt
        self.body = body


class LimitError(CrmbridgeError):
    """A safety limit stopped the run, or one system, before the first write that would go beyond it.

    limit: the setting's name, as in `limits.deletes`.
    flag: the command-line flag that allows it once, as in `--allow deletes`.
    """

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, limit: str, flag: str, hint: str | None = None) -> None:
        super().__init__(
            message,
            hint=hint or f"if that is intended, pass {flag} for this run or change {limit} in crmbridge.yaml",
        )
        self.limit = limit
        self.flag = flag


class LockedError(CrmbridgeError):
    """Another run works on the same state."""

    exit_code: ClassVar[int] = 11


class StateError(CrmbridgeError):
    """The state is damaged, written by a newer version, or cannot be opened."""

    exit_code: ClassVar[int] = 13
