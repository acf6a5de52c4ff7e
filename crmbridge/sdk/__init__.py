"""All that a connector or another plugin imports. Start with `crmbridge.sdk.connector`.

This package is the public promise: it follows semantic versioning, and what is in the `__all__`
of its modules stays.
"""

from crmbridge.sdk.byneed import ByNeed
from crmbridge.sdk.connector import (
    Capabilities,
    Connector,
    Context,
    Cursor,
    FieldInfo,
    Finding,
    ListPatch,
    Operation,
    Page,
    Record,
    Reject,
    RemoteMerge,
    Result,
    Stream,
    Tombstone,
)
from crmbridge.sdk.errors import (
    AnswerLostError,
    AuthError,
    ConfigError,
    ConflictError,
    CrmbridgeError,
    CursorExpiredError,
    FatalError,
    HttpStatusError,
    LimitError,
    LockedError,
    RecordError,
    RetryableError,
    StateError,
)
from crmbridge.sdk.hookspecs import Candidate, Codec, RunEvent, SurvivorshipRule, hookimpl

__all__ = [
    "AnswerLostError",
    "AuthError",
    "ByNeed",
    "Candidate",
    "Capabilities",
    "Codec",
    "ConfigError",
    "ConflictError",
    "Connector",
    "Context",
    "CrmbridgeError",
    "Cursor",
    "CursorExpiredError",
    "FatalError",
    "FieldInfo",
    "Finding",
    "HttpStatusError",
    "LimitError",
    "ListPatch",
    "LockedError",
    "Operation",
    "Page",
    "Record",
    "RecordError",
    "Reject",
    "RemoteMerge",
    "Result",
    "RetryableError",
    "RunEvent",
    "StateError",
    "Stream",
    "SurvivorshipRule",
    "Tombstone",
    "hookimpl",
]
