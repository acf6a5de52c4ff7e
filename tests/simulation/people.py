"""The people of a simulated world: what they do in their systems, and what has to be true at rest for it.

Every value is said once only, so that it is known afterwards whose word stands somewhere.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import Any

from tests.simulation.systems import SimulatedSystem, kept, new_row, shown

__all__ = ["People"]

FIELDS = ("name", "note", "stage", "phone")
CROWD = 12
"""So many records in a system are enough: more make the world slow, and no richer."""
NAMES = ("Ann", "Bob Lee", "王小明", "مها", "Zoë 🎈")
Row = dict[str, Any]


class People:
    """They create, edit, clear and delete, each in the system of their own."""

    def __init__(self, systems: Mapping[str, SimulatedSystem], dice: random.Random, *, deletes: str) -> None:
        self.systems, self.dice, self.deletes = systems, dice, deletes
        self.steps: deque[str] = deque(maxlen=40)
        """What happened last, for whoever has to find out why a check failed."""
        self.number = 0
        self.agreed: dict[tuple[str, str], Any] = {}
        """(mail, field) -> what all systems held when they last were at rest."""
        self.holders: dict[str, set[str]] = {}
        """Mail -> the systems that held the record then."""
        self.said: dict[tuple[str, str], dict[str, Any]] = {}
        """(mail, field) -> system -> what was last said there since."""
        self.removed: dict[str, set[str]] = {}
        """Mail -> the systems in which it was deleted since."""
        self.cleared: set[tuple[str, str]] = set()
        self.ever: dict[tuple[str, str], list[Any]] = {}
        """(mail, field) -> all that was ever said."""

    # what they do

    def act(self, name: str, *, alone: bool = True) -> None:
        """Somebody does something in a system. Not alone: nobody makes the same record elsewhere now."""
        choice = self.dice.random()
        live = self.systems[name].live("customers")
        rows = sorted((i, row) for i, row in live.items() if shown(row)["mail"])  # others are half made yet
        if not rows or (choice < 0.12 and len(rows) < CROWD):
            self._create(name, twice=alone and self.dice.random() < 0.3)
            return
        native_id, row = self.dice.choice(rows)
        if choice < 0.18 and len(rows) > 4:
            self._delete(name, native_id, shown(row)["mail"])
        else:
            self._edit(name, native_id, self.dice.choice(FIELDS), clear=choice < 0.28)

    def _create(self, name: str, *, twice: bool) -> None:
        person = (
            f"P{self._new_number()}"  # the same name everywhere: otherwise they may be two who share a mail
        )
        mail = f"{person.lower()}@example.org"
        phone = self._new_value("phone")
        others = [self.dice.choice([other for other in self.systems if other != name])] if twice else []
        for system in [name, *others]:
            memory = self.systems[system]
            data = {"name": person, "note": self._new_value("note")}
            native_id = memory.add("customers", **new_row(memory.habit, mail=mail, phone=phone, **data))
            row = shown(memory.live("customers")[native_id])
            self._note(f"{system}: {mail} is made: {row}")
            for field in ("name", "note", "phone"):
                self._say(system, mail, field, row[field])

    def _delete(self, name: str, native_id: str, mail: str) -> None:
        if name not in self.holders.get(mail, ()):
            return  # nobody has seen it yet: that it is gone will not be seen either
        self.systems[name].remove("customers", native_id)
        self.removed.setdefault(mail, set()).add(name)
        self._note(f"{name}: {mail} is deleted")

    def _edit(self, name: str, native_id: str, field: str, *, clear: bool) -> None:
        memory = self.systems[name]
        row = memory.live("customers")[native_id]
        mail = shown(row)["mail"]
        if mail not in self.holders and (clear or field in ("name", "phone")):
            return  # until records have met they may be two people, with a phone each, and nothing is emptied
        if clear and (field == "name" or not memory.behaviour.versions or (mail, field) in self.cleared):
            return  # without versions, an emptied field may be an old copy; to and fro it is held
        if field == "phone" and shown(row)["phone"] is None:
            return  # two who each add a phone at once are both right: there are two of them then
        value = None if clear else self._new_value(field)
        if clear:
            self.cleared.add((mail, field))
        if field == "phone" and "points" in row:
            memory.edit("customers", native_id, points=_with_phone(row["points"], value))
        else:
            memory.edit("customers", native_id, **{field: value})
        said = shown(memory.live("customers")[native_id])[field]
        self._say(name, mail, field, said)
        self._note(f"{name}: {mail}.{field} = {said!r}")

    def _say(self, name: str, mail: str, field: str, value: Any) -> None:
        self.said.setdefault((mail, field), {})[name] = value
        self.ever.setdefault((mail, field), [None]).append(value)

    def _new_value(self, field: str) -> str:
        number = self._new_number()
        return f"+4930{7_000_000 + number}" if field == "phone" else f" {number:05} {self.dice.choice(NAMES)}"

    def _new_number(self) -> int:
        self.number += 1
        return self.number

    def _note(self, text: str) -> None:
        self.steps.append(text)

    # what has to be true

    def check(self) -> None:
        """The systems are at rest: nothing is lost, nothing is back, nothing is there twice."""
        held = self._held()
        for mail in sorted(self.holders.keys() | held.keys() | {mail for mail, _ in self.said}):
            self._check_presence(mail, held.get(mail, {}))
            for field in FIELDS:
                self._check_value(mail, field, held.get(mail, {}))
        self.holders = {mail: set(rows) for mail, rows in held.items()}
        self.agreed = {
            (mail, field): self._whole(field, rows) for mail, rows in held.items() for field in FIELDS
        }
        self.said, self.removed = {}, {}

    def _held(self) -> dict[str, dict[str, Row]]:
        """Mail -> system -> the one record there."""
        found: dict[str, dict[str, Row]] = {}
        for name, memory in self.systems.items():
            for row in map(shown, memory.live("customers").values()):
                assert row["mail"], f"{name} holds somebody without an e-mail address: {row}"
                rows = found.setdefault(row["mail"], {})
                assert name not in rows, f"{row['mail']} is twice in {name}"
                rows[name] = row
        return found

    def _check_presence(self, mail: str, rows: Mapping[str, Row]) -> None:
        before, removed = self.holders.get(mail, set(self.systems)), self.removed.get(mail, set())
        edited = any(of == mail for of, _ in self.said)
        left = before - removed
        if removed and self.deletes == "delete":
            if edited and rows:  # an edit stops a delete, which may have reached some systems by then
                left &= set(rows)
            else:
                left = set()
        assert set(rows) == left, f"{mail} is in {sorted(rows)}, and should be in {sorted(left)}"

    def _check_value(self, mail: str, field: str, rows: Mapping[str, Row]) -> None:
        said = self.said.get((mail, field))
        possible = list(said.values()) if said else [self.agreed.get((mail, field))]
        if mail in self.removed or len(rows) < len(self.systems):
            # What was said in a deleted record may have been seen or not, and fills what is empty elsewhere.
            possible = self.ever.get((mail, field), [None])
        fits = [value for value in possible if all(self._holds(n, field, r, value) for n, r in rows.items())]
        what = {name: row[field] for name, row in rows.items()}
        assert fits or not rows, f"{mail}.{field} is {what}, and should be one of {possible}"

    def _holds(self, name: str, field: str, row: Row, value: Any) -> bool:
        """Whether a system holds this, as far as it can."""
        return bool(_home(self._kept(name, field, value)) == _home(row[field]))

    def _kept(self, name: str, field: str, value: Any) -> Any:
        return kept(field, value) if self.systems[name].habit == "lossy" else value

    def _whole(self, field: str, rows: Mapping[str, Row]) -> Any:
        """What systems that cut nothing hold."""
        whole = [row[field] for name, row in rows.items() if self.systems[name].habit != "lossy"]
        return (whole or [row[field] for row in rows.values()])[0]


def _with_phone(points: list[Row], value: str | None) -> list[Row]:
    others = [point for point in points if point["type"] != "phone"]
    phone = next((point for point in points if point["type"] == "phone"), {"type": "phone"})
    return others if value is None else [*others, {**phone, "value": value}]


def _home(value: Any) -> Any:
    """Phones are written in two ways."""
    return value.strip().replace("+49", "0") if isinstance(value, str) else value
