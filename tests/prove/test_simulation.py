"""People, faults and syncs: whatever happens, at rest nothing is lost, nothing back, nothing doubled."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crmbridge.bridge import Bridge
from crmbridge.engine.sync import Outcome
from tests.engine.world import Clock
from tests.simulation.config import write_config
from tests.simulation.people import People
from tests.simulation.systems import SimulatedConnector, SimulatedSystem

ROUNDS = 60
CHAOS = 4
"""Syncs amid faults, before they stop and the systems come to rest."""
ATTEMPTS = 8
FAULTS = (
    "lost before",
    "lost after",
    "lost half",
    "broken after",
    "unread",
    "retryable",
    "conflict",
    "unsure",
)
WORLDS = {
    1: (["modern", "file", "lossy"], "keep"),
    2: (["queue", "children", "silent"], "delete"),
    3: (["lossy", "queue", "file"], "delete"),
    4: (["silent", "file", "children"], "keep"),
    5: (["children", "modern", "queue", "lossy"], "delete"),
}
"""Seed -> the systems' habits, and what becomes of a record that one of them deletes."""


class Interrupted(BaseException):
    """Somebody stops crmbridge in the middle of its work."""


class Simulation:
    """A world, its people, and the bridge between its systems."""

    def __init__(self, folder: Path, seed: int) -> None:
        habits, deletes = WORLDS[seed]
        self.dice, self.clock, self.chaos = random.Random(seed), Clock(), False
        names = [f"{habit}_{seed}" for habit in habits]
        self.systems = {n: SimulatedSystem(n, h, self.clock) for n, h in zip(names, habits, strict=True)}
        SimulatedConnector.systems.update(self.systems)
        self.people = People(self.systems, self.dice, deletes=deletes)
        for memory in self.systems.values():
            memory.between = lambda moment, memory=memory: self.meanwhile(memory, moment)
        self.config = write_config(folder, self.systems, deletes)
        self.happened: Counter[str] = Counter()

    def play(self, rounds: int) -> None:
        """People and syncs; after every few, the faults stop and all is looked at."""
        self.start()
        for number in range(1, rounds + 1):
            self.round()
            if number % CHAOS == 0:
                self.rest()
                self.people.check()

    def start(self) -> None:
        """The first plan is looked at and applied."""
        for name in self.systems:
            for _ in range(3):
                self.people.act(name)
        with self.bridge() as bridge:
            bridge.plan(out=bridge.config.root / "first.plan")
            bridge.apply(bridge.config.root / "first.plan")
        self.rest()
        self.people.check()

    def round(self) -> None:
        """People do something, systems get into trouble, and there is a sync."""
        for _ in range(self.dice.randrange(6)):
            self.clock.sleep(self.dice.choice([1, 60, 3600]))
            self.people.act(self.dice.choice(list(self.systems)))
        for memory in self.systems.values():
            memory.faults = [self.fault(memory) for _ in range(self.dice.randrange(4))]
            broken = self.dice.choice(["pull", "get_many", "search", "list_ids", *[""] * 16])
            memory.behaviour.odd = {broken: "raises"} if broken else {}
            self.happened.update([*filter(None, memory.faults), *memory.behaviour.odd])
        self.chaos = True
        try:
            self.sync()
        except Interrupted:
            self.happened["interrupted"] += 1
            self.people.steps.append("-- interrupted")
        finally:
            self.chaos = False

    def fault(self, memory: SimulatedSystem) -> Any:
        fault = self.dice.choice(["", "", *FAULTS])
        return "" if fault == "lost half" and memory.habit == "file" else fault  # a file is written whole

    def meanwhile(self, memory: SimulatedSystem, moment: str) -> None:
        """While crmbridge is at work with a system, somebody else may do something, or stop it."""
        self.clock.sleep(1)
        if not self.chaos:
            return
        choice = self.dice.random()
        if choice < 0.01:
            raise Interrupted
        if choice < 0.06:
            # Between the reading for comparison and the write, a system without versions is unprotected.
            unprotected = moment in ("asked to write", "answered") and not memory.behaviour.versions
            names = [name for name in self.systems if not (unprotected and name == memory.name)]
            self.people.steps.append(f"-- {memory.name}: {moment}, and meanwhile")
            self.people.act(self.dice.choice(names), alone=False)

    def rest(self) -> None:
        """No more trouble: after a few syncs there is nothing left to do. An operation that was accepted, and
        of which a stopped run was told, is looked up after a day."""
        self.clock.sleep(25 * 3600)
        for memory in self.systems.values():
            memory.faults, memory.unread, memory.behaviour.odd = [], False, {}
        for _ in range(ATTEMPTS):
            outcome = self.sync(retry=True)
            assert not outcome.failed, outcome.failed
            if outcome.summary.total == 0:
                break
        assert outcome.summary.total == 0, (
            f"after {ATTEMPTS} syncs there is still to write: {outcome.summary}"
        )
        assert outcome.exit_code == 0, f"exit {outcome.exit_code}: {outcome}"
        with self.bridge() as bridge:
            _, planned = bridge.plan()
            assert planned.count == 0, f"the next sync would write: {list(planned)}"
            assert not bridge.store.dead_letters("open")
        self.people.steps.append("-- at rest")

    def sync(self, *, retry: bool = False) -> Outcome:
        with self.bridge() as bridge:
            outcome = bridge.retry(None) if retry else bridge.sync()
        assert outcome.verdict == "done", outcome.reasons
        self.people.steps.append(
            f"-- sync wrote {dict(outcome.summary.operations)}, exit {outcome.exit_code}"
        )
        return outcome

    def bridge(self) -> Bridge:
        self.clock.sleep(60)
        return Bridge.open(self.config, clock=self.clock, sleep=self.clock.sleep)


@pytest.mark.parametrize("seed", WORLDS)
def test_at_rest_nothing_is_lost_or_back_or_doubled(seed: int, tmp_path: Path) -> None:
    world = Simulation(tmp_path, seed)
    try:
        world.play(ROUNDS)
    except Exception as error:
        last = "\n".join(world.people.steps)
        raise AssertionError(
            f"seed {seed}, {world.systems.keys()}: {error}\nthe last steps:\n{last}"
        ) from error
    assert set(FAULTS) | {"interrupted"} <= set(world.happened), "not everything happened"
