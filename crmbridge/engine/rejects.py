"""Records of one stream that cannot be taken: dead letters, and how many are too many.

A letter is open until its record is read again and can be taken, until a full read no longer brings it, or
until a person drops it: then there is a new one only once the record has changed. Open letters are counted,
not those of one run: a mapping that is wrong goes on failing until it is mended. `--allow rejects` accepts
those that are open now; later ones count anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from crmbridge.engine.run import Run, System
from crmbridge.sdk.errors import LimitError
from crmbridge.store.rows import DeadLetterRow

__all__ = ["Rejects"]

LIMIT = "limits.rejects"
REASONS = 3
"""So many different reasons are told at once."""


@dataclass(slots=True)
class Rejects:
    """One reading of one stream."""

    run: Run
    system: System
    stream: str
    entity: str
    """For the account."""
    refused: set[tuple[str, str]] = field(default_factory=set)
    """(scope, native id) of what cannot be taken of the page in hand."""
    some_open: bool = field(init=False)
    """Letters of this stream are open: only then can any be healed."""

    def __post_init__(self) -> None:
        self.some_open = self.run.store.count_letters(*self._place, 0)[0] > 0

    @property
    def _place(self) -> tuple[str, str, str]:
        return "record", self.system.name, self.stream

    def add(self, key: tuple[str, str], error: str, raw: Any) -> None:
        """Keep what could not be taken, whole. key: (scope, native id)."""
        self.refused.add(key)
        self.some_open = True
        scope, native_id = key
        now = self.run.now()
        letter = DeadLetterRow("record", self.system.name, self.stream, native_id, error, _raw_text(raw))
        letter.scope = scope
        letter.first_at = letter.last_at = now
        letter.run = self.run.id
        letter.id = self.run.store.put_dead_letter(letter)
        if letter.id and letter.id not in self.run.refused:
            self.run.refused.add(letter.id)
            self.run.count(self.system.name, self.entity, "dead letter")

    def heal(self, keys: Iterable[tuple[str, str]]) -> None:
        """The records of this page were read, and could be taken unless they were refused."""
        if not self.some_open:
            return
        taken = set(keys) - self.refused
        self.refused = set()
        if healed := self.run.store.open_letters(*self._place, taken) if taken else ():
            self.run.store.settle_dead_letters_of(*self._place, sorted(healed))

    def heal_others(self, since: int) -> None:
        """After a full read that began at `since` (microseconds): what was not refused in it is mended, or is
        no longer there."""
        self.run.store.settle_older_letters(*self._place, self.run.id, since)

    def check(self) -> None:
        """Raises LimitError where so many are open that the mapping must be wrong, not the data."""
        store, key = self.run.store, f"rejects-accepted:{self.system.name}:{self.stream}"
        accepted = int(store.setting(key) or 0)
        count, latest = store.count_letters(*self._place, accepted)
        if not count:
            return
        if "rejects" in self.run.allowed:
            with store.transaction():
                store.put_setting(key, str(latest))
            return
        total = count + store.count_stream(self.system.name, self.stream)
        if not self.run.limits.allows("rejects", count, total, first=False):
            raise LimitError(
                f"{self.system.name}/{self.stream}: {count} of {total} records cannot be "
                f"mapped: then the mapping is wrong, not the data{self._first_reasons(accepted)}",
                limit=LIMIT,
                flag="--allow rejects",
                hint=f"crmbridge dead-letters list --system {self.system.name} shows them; correct the "
                f"mapping, pass --allow rejects to accept those, or change {LIMIT} in crmbridge.yaml",
            )

    def _first_reasons(self, accepted: int) -> str:
        told = ""
        for native_id, many, error in self.run.store.letter_reasons(*self._place, accepted, REASONS):
            more = f" and {many - 1:,} more" if many > 1 else ""
            reason = error.replace("\n", "\n  ")
            told += f"\n  {self.system.name}/{self.stream}/{native_id}{more}: {reason}"
        return told


def _raw_text(raw: Any) -> str:
    try:
        return msgspec.json.encode(raw).decode()
    except (TypeError, UnicodeError):
        return json.dumps(repr(raw))
