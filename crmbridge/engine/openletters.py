"""What the open dead letters mean for a plan: which are settled by it, and which creates have to wait.

A letter of an operation is settled once there is nothing left to write there. A record that could not be
taken whole may still say who it is: while it waits, nobody like it is created in its system, or there would
be two of them once it is mended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crmbridge.engine.facts import current_id
from crmbridge.engine.run import Flow, Run, System
from crmbridge.identity.normalize import identity_keys

__all__ = ["OpenLetters"]


@dataclass(slots=True)
class OpenLetters:
    """Those that were open when planning began."""

    run: Run
    operations: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Golden id -> (letter, system) of each operation that was given up on."""
    records: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    """(system, entity) -> identity key -> the record that cannot be taken and has it."""

    def __post_init__(self) -> None:
        for letter in self.run.store.dead_letters("open"):
            if letter.kind == "operation" and letter.golden_id:
                golden_id = current_id(self.run.store, letter.golden_id)
                self.operations.setdefault(golden_id, []).append((letter.id, letter.system))
            elif letter.kind == "record" and (system := self.run.systems.get(letter.system)) is not None:
                place = "/".join((letter.system, letter.stream, letter.native_id))
                self._know(system, letter.stream, _native(letter.raw), place)

    def _know(self, system: System, stream: str, native: Any, place: str) -> None:
        for mapping in system.mappings.get(stream, ()) if isinstance(native, dict) else ():
            flow = self.run.flow(mapping.entity)
            if flow is not None:
                known = self.records.setdefault((system.name, mapping.entity), {})
                for key in self._keys(flow, mapping.read_sound(native)):
                    known.setdefault(key, place)

    def _keys(self, flow: Flow, doc: Mapping[str, Any]) -> Iterable[str]:
        model = flow.shape.model
        if model.matched:
            return set(identity_keys(doc, region=self.run.region, fields=flow.shape.evidence))
        parts = [doc.get(name) for name in model.natural_key]
        plain = parts and all(part and not isinstance(part, dict) for part in parts)
        return ["\x1f".join(map(str, parts))] if plain else []

    def twin(self, system: str, flow: Flow, doc: Mapping[str, Any]) -> str | None:
        """The record of this system that cannot be taken now and may be the same as `doc`."""
        known = self.records.get((system, flow.entity))
        if not known:
            return None
        return next((known[key] for key in sorted(self._keys(flow, doc)) if key in known), None)

    def settle(self, golden_id: str, systems: set[str]) -> None:
        """In these systems nothing is left to write for this golden record."""
        left = []
        for letter_id, system in self.operations.pop(golden_id, ()):
            if system in systems:
                self.run.store.settle_dead_letter(letter_id, "replayed")
            else:
                left.append((letter_id, system))
        if left:
            self.operations[golden_id] = left


def _native(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
