"""The hooks by which a plugin adds to crmbridge (pluggy). Each is optional.

A plugin is a module or object with functions marked `@hookimpl`. It is found by the entry
point group `crmbridge`, or named in the config: `plugins: [./acme.py]`. A plugin that fails to
import or raises is reported by `crmbridge plugins` and does not stop the others. What it offers has a
name that is neither ours nor another plugin's; else the first one keeps it, and the second is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import pluggy
from pydantic import BaseModel

from crmbridge.sdk.connector import Connector

__all__ = ["Candidate", "Codec", "RunEvent", "SurvivorshipRule", "hookimpl", "hookspec"]

PROJECT = "crmbridge"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Codec(NamedTuple):
    """A two-way change of form, used in mappings as `as: NAME`.

    What was written is read back as it was: `decode(encode(x)) == x`, unless the codec tidies values up (a
    phone number in one form, a text without blanks). Then it does so once: what `decode` gave comes back from
    `decode(encode(...))` unchanged. Both raise ValueError, saying what is wrong with the value; None never
    reaches them.
    """

    decode: Callable[[Any], Any]
    """Native -> canonical."""
    encode: Callable[[Any], Any]
    """Canonical -> native."""


class Candidate(NamedTuple):
    """What one system says about a field: the input of a survivorship rule."""

    system: str
    value: Any
    """Canonical and JSON-like; None: the system says that it is empty."""
    time: datetime | None
    """When the edit was first observed; None: it was there at first contact, which is no edit."""


SurvivorshipRule = Callable[[Sequence[Candidate]], int]
"""Gets at least one candidate, in the configured order of systems; returns the winner's index.
It must be pure, and must not depend on the order where times differ."""


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that a run wants known: for notifiers, metrics, progress."""

    kind: Literal["run-started", "run-ended", "stage-started", "stage-ended", "progress", "finding"]
    run: str
    """Its id. A plan changes nothing, so the next run has the same one."""
    time: datetime
    system: str = ""
    entity: str = ""
    stage: str = ""
    """pull, resolve, plan, push"""
    text: str = ""
    """The command of a run that starts, what cut off one that ends, the stream that is read, a finding."""
    count: int = 0
    """Records or operations: since the last progress (when reading, in all), of a whole stage at its end.
    Of a run that ends, its exit code."""
    total: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """Of a run that ends, its account: `system/entity/what` -> how many."""


class Hooks:
    """What can be hooked. The names are the functions that a plugin defines."""

    @hookspec
    def crmbridge_connectors(self) -> Mapping[str, type[Connector]]:  # type: ignore[empty-body]
        """Connectors by the name that `systems: NAME: {connector: ...}` uses."""

    @hookspec
    def crmbridge_codecs(self) -> Mapping[str, Codec]:  # type: ignore[empty-body]
        """Codecs by the name that a mapping's `as:` uses."""

    @hookspec
    def crmbridge_functions(self) -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
        """Functions for `read:` and `when:` expressions, by name. Pure; arguments are JSON-like."""

    @hookspec
    def crmbridge_survivorship(self) -> Mapping[str, SurvivorshipRule]:  # type: ignore[empty-body]
        """Survivorship rules by the name that `sync: ENTITY: survivorship:` uses.

        Where one fails, the field is treated as `manual`: nothing is written over until a person decides.
        """

    @hookspec
    def crmbridge_schemas(self) -> Mapping[str, type[BaseModel]]:  # type: ignore[empty-body]
        """Further canonical entities (subclasses of `crmbridge_schemas.base.Entity`), by name."""

    @hookspec
    def crmbridge_run_event(self, event: RunEvent) -> None:
        """Called for each event of a run, in the engine's thread: be quick, never raise."""
