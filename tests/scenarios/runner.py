"""Plays a scenario file through the real bridge. See README.md for the form of the files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from crmbridge.bridge import Bridge, Options, upkeep
from crmbridge.bridge.agreement import agreement_of
from crmbridge.connectors.memory import Behaviour, MemoryConnector, MemorySystem
from crmbridge.engine import judging, linking
from crmbridge.engine.doubtful import doubtful_links
from crmbridge.engine.doubts import generic_values, open_doubts
from crmbridge.engine.golden import merge_one
from crmbridge.engine.links import golden_id_for
from crmbridge.engine.operations import Planned
from crmbridge.engine.run import Run
from crmbridge.engine.steward import Ruling, waiting
from crmbridge.engine.sync import Outcome
from crmbridge.sdk.errors import ConfigError, CrmbridgeError
from crmbridge.store.rows import GoldenRow

HERE = Path(__file__).parent
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORD = linking.Word("王小明", "asked")
_numbers = itertools.count(1)

KEEPS: dict[str, Callable[[str], Any]] = {
    "upper": str.upper,
    "trim": str.strip,
    "clip5": lambda text: text[:5],
    "clip12": lambda text: text[:12],
    "digits": lambda text: "0" + "".join(c for c in text if c.isdigit())[2:],
    "nothing": lambda text: None,
}
FILLED = {"zero": "0"}
"""What a system puts into a field that is emptied."""


def scenario_files() -> list[Path]:
    """All scenarios, in order."""
    return sorted(HERE.glob("[0-9]*.yaml"))


def load(path: Path) -> dict[str, Any]:
    """One scenario."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


@dataclass
class Stage:
    """The world of one scenario."""

    folder: Path
    scenario: dict[str, Any]
    time: datetime = START
    memory: dict[str, MemorySystem] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    mappings: dict[str, Any] = field(default_factory=dict)
    copies: dict[str, Any] = field(default_factory=dict)
    backups: dict[str, MemorySystem] = field(default_factory=dict)
    decided: dict[str, int] = field(default_factory=dict)
    """Field -> the conflict about it that was decided last."""

    def __post_init__(self) -> None:
        unique = next(_numbers)
        systems: dict[str, Any] = {}
        for name, spec in self.scenario["systems"].items():
            self.mappings[name] = _texts(spec["mapping"])
            streams = {yaml.safe_load(text)["stream"] for text in self.mappings[name]}
            system = MemorySystem(streams, self.now, behaviour(spec.get("behaviour", {})))
            system.name = f"{name}-{unique}"
            MemoryConnector.systems[system.name] = self.memory[name] = system
            for stream, records in spec.get("records", {}).items():
                for native_id, data in records.items():
                    system.add(stream, native_id, **data)
            systems[name] = {"connector": "memory", "world": system.name, **spec.get("settings", {})}
        self.config = {"state": "sqlite:///state.db", **self.scenario.get("config", {}), "systems": systems}

    def now(self) -> datetime:
        """The clock moves a millisecond whenever somebody looks at it."""
        self.time += timedelta(milliseconds=1)
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)

    @contextmanager
    def bridge(self) -> Iterator[Bridge]:
        """A bridge on the config as it is now."""
        self.sleep(60)
        config = self.folder / "crmbridge.yaml"
        config.write_text(yaml.safe_dump(self.config, allow_unicode=True, sort_keys=False), encoding="utf-8")
        folder = self.folder / "mappings"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, texts in self.mappings.items():
            for index, text in enumerate(texts):
                (folder / f"{name}-{index}.yaml").write_text(f"system: {name}\n{text}", encoding="utf-8")
        with Bridge.open(config, clock=self.now, sleep=self.sleep) as bridge:
            yield bridge

    # -- steps ---------------------------------------------------------------------------------

    def play(self) -> None:
        """All steps, then the systems as they have to be."""
        for number, step in enumerate(self.scenario["steps"], 1):
            name, argument = (step, {}) if isinstance(step, str) else next(iter(step.items()))
            try:
                getattr(self, f"do_{name}")(argument or {})
            except AssertionError as error:
                raise AssertionError(f"step {number} ({name}): {error}") from error
        self._compare_systems()

    def do_approve(self, expected: dict[str, Any]) -> None:
        with self.bridge() as bridge:
            _, operations = bridge.plan(out=self.folder / "first.plan")
            if "plan" in expected:
                _compare_plan(expected["plan"], operations)
            applied = bridge.apply(self.folder / "first.plan", _options(expected))
            _compare({k: v for k, v in expected.items() if k != "plan"}, applied, bridge)
        for _ in range(3):
            with self.bridge() as bridge:
                if bridge.sync(_options(expected)).summary.total == 0:
                    _approve_empty(bridge)
                    return
        raise AssertionError("after the first plan was applied the systems do not come to rest")

    def do_sync(self, expected: dict[str, Any]) -> None:
        with self.bridge() as bridge:
            if "plan" in expected:
                _compare_plan(expected["plan"], bridge.plan(_options(expected))[1])
            before = _last_ids(bridge)
            told: list[str] = []
            bridge.listeners.append(lambda event: told.append(event.text))
            _compare(
                expected, self._outcome(lambda: bridge.sync(_options(expected)), expected), bridge, before
            )
            for piece in expected.get("tells", ()):
                assert any(piece in text for text in told), f"{piece!r} is in none of {told}"

    def do_retry(self, expected: dict[str, Any]) -> None:
        """`crmbridge retry`."""
        with self.bridge() as bridge:
            _compare(expected, bridge.retry(None, _options(expected)), bridge, _last_ids(bridge))

    def do_plan(self, expected: dict[str, Any]) -> None:
        with self.bridge() as bridge:
            out = self.folder / f"{expected['save']}.plan" if "save" in expected else None
            outcome, operations = bridge.plan(_options(expected), out=out)
            _compare({"exit": outcome.exit_code, **expected}, outcome, bridge)
            if "plan" in expected:
                _compare_plan(expected["plan"], operations)

    def do_apply(self, expected: Any) -> None:
        expected = {"name": expected} if isinstance(expected, str) else expected
        with self.bridge() as bridge:
            before = _last_ids(bridge)
            path = self.folder / f"{expected['name']}.plan"
            outcome = bridge.apply(path, _options(expected), strict=expected.get("strict", False))
            _compare(expected, outcome, bridge, before)

    def do_undo(self, expected: dict[str, Any]) -> None:
        """`crmbridge runs undo` of the last run, or of one before it, and `apply`."""
        with self.bridge() as bridge:
            run = bridge.store.runs(100)[expected.get("back", 0)].id
            _, operations, undone = bridge.plan_undo(run, self.folder / "undo.plan")
            _compare_plan(expected["plan"], operations)
            told = sum(1 for one in operations for c in one.changes if c.old != c.new)
            assert undone.values == told, f"{undone.values} values are told, {told} are planned"
            assert dict(undone.left) == expected.get("left", {}), undone.left
        if expected["plan"]:
            self.do_apply({**expected, "name": "undo"})

    def _outcome(self, call: Callable[[], Outcome], expected: dict[str, Any]) -> Outcome | CrmbridgeError:
        try:
            return call()
        except CrmbridgeError as error:
            if expected.get("exit") != error.exit_code:
                raise
            return error

    def do_refused(self, expected: dict[str, Any]) -> None:
        """The config or a mapping is wrong: nothing runs, and the message says what to do."""
        with pytest.raises(CrmbridgeError) as caught, self.bridge() as bridge:
            bridge.sync()
        _compare({"exit": ConfigError.exit_code, **expected}, caught.value, bridge=None)

    def do_edit(self, edits: dict[str, dict[str, Any]]) -> None:
        self.sleep(1)
        for place, data in edits.items():
            system, stream, native_id = place.split("/")
            assert native_id in self.memory[system].streams[stream], f"there is no {place}"
            self.memory[system].edit(stream, native_id, **data)

    def do_commit_late(self, edits: dict[str, dict[str, Any]]) -> None:
        """An edit that shows only now, with a time five minutes back."""
        for place, data in edits.items():
            system, stream, native_id = place.split("/")
            self.memory[system].commit_late(stream, native_id, timedelta(minutes=5), **data)

    def do_add(self, records: dict[str, dict[str, Any]]) -> None:
        self.sleep(1)
        for place, data in records.items():
            system, stream, native_id = place.split("/")
            self.memory[system].add(stream, native_id, **data)

    def do_date(self, dates: dict[str, str]) -> None:
        """A system says of a record that it was last changed at this time."""
        for place, moment in dates.items():
            system, stream, native_id = place.split("/")
            self.memory[system].streams[stream][native_id].modified = datetime.fromisoformat(moment)

    def do_delete(self, place: str) -> None:
        self.sleep(1)
        system, stream, native_id = place.split("/")
        self.memory[system].remove(stream, native_id)

    def do_bring_back(self, place: str) -> None:
        self.sleep(1)
        system, stream, native_id = place.split("/")
        self.memory[system].bring_back(stream, native_id)

    def do_back_up(self, system: str) -> None:
        memory = self.memory[system]
        self.backups[system] = MemorySystem((), self.now)
        self.backups[system].set_back(memory)

    def do_restore(self, system: str) -> None:
        self.memory[system].set_back(self.backups[system])

    def do_lag(self, system: str) -> None:
        self.memory[system].lag()

    def do_catch_up(self, system: str) -> None:
        self.memory[system].catch_up()

    def do_back_up_state(self, _: Any) -> None:
        shutil.copy(self.folder / "state.db", self.folder / "state.backup")

    def do_restore_state(self, _: Any) -> None:
        for name in ("state.db-wal", "state.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.copy(self.folder / "state.backup", self.folder / "state.db")

    def do_recover(self, system: Any) -> None:
        """`crmbridge systems recover`, of the state (`recover: {}`) or of a system."""
        with self.bridge() as bridge:
            upkeep.recover(bridge, system or None)

    def do_merge(self, merges: dict[str, list[str]]) -> None:
        self.sleep(1)
        for place, (loser, survivor) in merges.items():
            system, stream = place.split("/")
            self.memory[system].join(stream, loser, survivor)

    def do_wait(self, seconds: float) -> None:
        self.sleep(seconds)

    def do_fault(self, faults: dict[str, list[Any]]) -> None:
        for system, planted in faults.items():
            self.memory[system].faults = list(planted)

    def do_config(self, changes: dict[str, Any]) -> None:
        _lay_over(self.config, changes)

    def do_file(self, files: dict[str, str]) -> None:
        """Files beside the config, as a one-file plugin."""
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")

    def do_mapping(self, changes: dict[str, Any]) -> None:
        for system, mapping in changes.items():
            self.mappings[system] = _texts(mapping)

    def do_behaviour(self, changes: dict[str, dict[str, Any]]) -> None:
        for system, parts in changes.items():
            self.memory[system].behaviour = behaviour(parts)

    def do_rename_system(self, names: list[str]) -> None:
        """The config calls a system by another name."""
        old, new = names
        self.config["systems"][new] = self.config["systems"].pop(old)
        self.mappings[new] = self.mappings.pop(old)
        self.memory[new] = self.memory.pop(old)
        text = yaml.safe_dump(self.config["sync"])
        self.config["sync"] = yaml.safe_load(text.replace(old, new))

    def do_tell_renamed(self, names: list[str]) -> None:
        """`crmbridge systems rename OLD NEW`."""
        with self.bridge() as bridge:
            upkeep.rename_system(bridge, *names)

    def do_remove_system(self, system: str) -> None:
        """`crmbridge systems remove`."""
        with self.bridge() as bridge:
            upkeep.remove_system(bridge, system)

    def do_pause(self, system: str) -> None:
        """`crmbridge systems pause`."""
        with self.bridge() as bridge:
            upkeep.pause_system(bridge, system, paused=True)

    def do_resume(self, system: str) -> None:
        """`crmbridge systems resume`."""
        with self.bridge() as bridge:
            upkeep.pause_system(bridge, system, paused=False)

    def do_linked(self, expected: dict[str, list[str]]) -> None:
        """Which records (`crm/customers/C1`) are one with each of these."""
        with self.bridge() as bridge:
            run = bridge.looking()
            for place, others in expected.items():
                golden_id = linking.record_at(run, place).golden_id or ""
                rows = bridge.store.records_of([golden_id]).get(golden_id, [])
                found = {f"{row.system}/{row.stream}/{row.native_id}" for row in rows} - {place}
                assert found == set(others), f"{place} is one with {sorted(found)}"

    def do_status(self, expected: dict[str, str]) -> None:
        """What is known of the record: live, gone, archived, out, lost."""
        with self.bridge() as bridge:
            for place, status in expected.items():
                assert linking.record_at(bridge.looking(), place).status == status, place

    def do_decide(self, said: dict[str, Any]) -> None:
        """`crmbridge conflicts decide`, of the one conflict about this field that waits."""
        with self.bridge() as bridge:
            (row,) = (row for row in waiting(bridge.looking()) if _field_of(row.path) == said["field"])
            bridge.decide(
                Ruling(
                    row.id, "王小明", "asked", said.get("value"), said.get("take"), said.get("clear", False)
                )
            )
            self.decided.pop(said["field"], None)
            self.decided[said["field"]] = row.id

    def do_withdraw(self, field: Any) -> None:
        """`crmbridge conflicts withdraw`, of what was decided last, or last about this field."""
        with self.bridge() as bridge:
            decided = self.decided[field or list(self.decided)[-1]]
            bridge.withdraw(Ruling(decided, "王小明", "the customer called"))

    def do_waiting(self, fields: Any) -> None:
        """`crmbridge conflicts list`: the fields about which a person has to decide."""
        with self.bridge() as bridge:
            assert [_field_of(row.path) for row in waiting(bridge.looking())] == (fields or [])

    def do_split(self, place: str) -> None:
        """A record is no longer of the same customer as those it was linked to."""
        system, stream, native_id = place.split("/")
        with self.bridge() as bridge, bridge.store.transaction():
            (row,) = bridge.store.records(system, stream, [native_id])
            assert row.golden_id is not None
            alone = GoldenRow(golden_id_for(row, "split"), row.entity)
            bridge.store.put_goldens([alone])
            bridge.store.set_links([(row.id, alone.id)])
            bridge.store.mark_dirty([alone.id, row.golden_id])

    def do_unlink(self, place: str) -> None:
        """`crmbridge links unlink`."""
        with self.bridge() as bridge, bridge.ruling("links unlink") as run:
            linking.unlink(run, linking.record_at(run, place), WORD)

    def do_relink(self, place: str) -> None:
        """`crmbridge links relink`."""
        with self.bridge() as bridge, bridge.ruling("links relink") as run:
            linking.relink(run, linking.record_at(run, place), WORD)

    def do_duplicates(self, expected: Any) -> None:
        """`crmbridge identity duplicates`: the records of both sides of each pair that waits, in any order,
        or of each pair what they share and why they were not joined as well."""
        with self.bridge() as bridge:
            found = []
            for one in open_doubts(bridge.looking()):
                places = [linking.place_of(row) for side in (one.one, one.other) for row in side.records]
                found.append([sorted(places), dict(one.shared), one.why])
        left = list(found)
        for pair in expected or []:
            records, shared, why = (
                (pair["records"], pair.get("shared"), pair.get("why"))
                if isinstance(pair, dict)
                else (pair, None, None)
            )
            match = [
                one
                for one in left
                if one[0] == sorted(records) and shared in (None, one[1]) and why in (None, one[2])
            ]
            assert match, f"{pair} does not wait; waiting are {found}"
            left.remove(match[0])
        assert not left, f"more wait: {left}"

    def do_doubtful_links(self, expected: Any) -> None:
        """`crmbridge identity duplicates`: the two records of each, in any order."""
        with self.bridge() as bridge:
            links = doubtful_links(bridge.looking())
            found = [{linking.place_of(one.one), linking.place_of(one.other)} for one in links]
        assert found == [set(pair) for pair in expected or []], found

    def do_generic_values(self, expected: Any) -> None:
        """`crmbridge identity duplicates`: the values that too many share, and how many."""
        with self.bridge() as bridge:
            found = {one.value: one.shared_by for one in generic_values(bridge.looking())}
        assert found == (expected or {}), found

    def do_judge_one(self, places: list[str]) -> None:
        """`crmbridge identity merge`: the golden record of the first joins that of the second."""
        with self.bridge() as bridge, bridge.ruling("identity merge") as run:
            judging.merge(run, *self._goldens(run, places), WORD)

    def do_judge_apart(self, places: list[str]) -> None:
        """`crmbridge identity apart`."""
        with self.bridge() as bridge, bridge.ruling("identity apart") as run:
            judging.apart(run, *self._goldens(run, places), WORD)

    def do_undo_judgement(self, _: Any) -> None:
        """`crmbridge identity undo`, of the last one that holds."""
        with self.bridge() as bridge, bridge.ruling("identity undo") as run:
            last = [said for said in judging.judgements(run) if not said.revoked_at][-1]
            judging.undo(run, last.id, WORD)

    def do_agreement(self, expected: dict[str, dict[str, Any]]) -> None:
        """`crmbridge systems agreement`: system -> counts of records, and field -> what would happen."""
        with self.bridge() as bridge:
            for system, wanted in expected.items():
                (one,) = agreement_of(bridge, system)
                whole = {"linked": one.linked, "only_here": one.only_here, "create": one.create}
                found = {key: count for key, count in whole.items() if count}
                assert {**found, **one.fields} == wanted, {**found, **one.fields}

    def do_journal(self, expected: dict[str, list[str]]) -> None:
        """What people said about the golden records of these records: events in their order."""
        with self.bridge() as bridge:
            for place, events in expected.items():
                golden_id = linking.record_at(bridge.looking(), place).golden_id or ""
                told = [event for _, event, _ in bridge.store.history(golden_id)]
                found = [event for event in told if event in linking.BY_PEOPLE]
                assert found == events, f"of {place} people said {found}"

    def _goldens(self, run: Run, places: list[str]) -> tuple[str, str]:
        one, other = (linking.record_at(run, place).golden_id or "" for place in places)
        return one, other

    def do_uncertain(self, expected: Any) -> None:
        """`crmbridge uncertain list`: the records that each operation may have made."""
        with self.bridge() as bridge:
            run = bridge.looking()
            found = [[r.native_id for r in linking.candidates(run, row)] for row in linking.uncertain(run)]
            assert found == (expected or []), found

    def do_adopt(self, place: str) -> None:
        """`crmbridge uncertain adopt`, of the one that is uncertain."""
        with self.bridge() as bridge, bridge.ruling("uncertain adopt") as run:
            (row,) = linking.uncertain(run)
            ruled = linking.adopt(run, row.id, linking.record_at(run, place), WORD)
            assert "adopted" in [event for _, event, _ in bridge.store.history(ruled.golden_id)]

    def do_undo_uncertain(self, place: str) -> None:
        """`crmbridge uncertain undo`, of the one that is uncertain, or of a record that was adopted."""
        with self.bridge() as bridge, bridge.ruling("uncertain undo") as run:
            ruled = linking.undo(run, place or linking.uncertain(run)[0].id, WORD)
            assert ruled.place == (place or "")

    def do_move_system(self, system: str) -> None:
        """The URL of a system leads to another instance."""
        memory = self.memory[system]
        memory.name += "-staging"
        MemoryConnector.systems[memory.name] = memory
        self.config["systems"][system]["world"] = memory.name

    def do_open_copy(self, opened: dict[str, str]) -> None:
        for system, stream in opened.items():
            rows = self.memory[system].live(stream)
            self.copies[system] = stream, {native_id: dict(data) for native_id, data in rows.items()}

    def do_save_copy(self, system: str) -> None:
        stream, rows = self.copies[system]
        for native_id, data in rows.items():
            self.memory[system].edit(stream, native_id, **data)

    def do_systems(self, expected: dict[str, Any]) -> None:
        """Compare the systems as they are now."""
        self._compare_live(expected)

    def do_explain(self, expected: dict[str, Any]) -> None:
        entity, key = next(
            (k, v) for k, v in expected.items() if k not in ("field", "value", "from", "rule", "lost")
        )
        with self.bridge() as bridge:
            run = bridge._run("explain", bridge.store, Options())
            flow = run.flow(entity)
            assert flow is not None
            ids = bridge.store.search([key.casefold()], 10)
            decisions = [merge_one(run, flow, i)[0].decisions.get(expected["field"]) for i in ids]
            found = next((d for d in decisions if d is not None), None)
        assert found is not None, f"no golden record {key!r} says anything about {expected['field']}"
        said = {"value": found.winner.value, "from": found.system, "rule": found.rule}
        said["lost"] = [[system, s.value] for system, s in found.lost]
        for part in ("value", "from", "rule", "lost"):
            if part in expected:
                assert said[part] == expected[part], f"{part}: {said[part]!r}, expected {expected[part]!r}"

    # -- systems after -------------------------------------------------------------------------

    def _compare_systems(self) -> None:
        self._compare_live(self.scenario.get("after", {}))

    def _compare_live(self, expected: dict[str, Any]) -> None:
        for system, streams in expected.items():
            for stream, records in streams.items():
                live = self.memory[system].live(stream)
                if isinstance(records, int):
                    assert len(live) == records, f"{system}/{stream} holds {len(live)}: {sorted(live)}"
                    continue
                for native_id, data in records.items():
                    place = f"{system}/{stream}/{native_id}"
                    if data is None:
                        assert native_id not in live, f"{place} should be gone"
                        continue
                    rows = live if native_id != "*" else {"*": next(iter(live.values()), {})}
                    assert native_id in rows, f"{place} is missing; there are {sorted(live)}"
                    for name, value in data.items():
                        held = _plain(rows[native_id].get(name))
                        assert held == value, f"{place}.{name} is {held!r}, expected {value!r}"


def behaviour(spec: dict[str, Any]) -> Behaviour:
    """`Behaviour` from YAML."""
    parts = dict(spec)
    keeps: dict[str, str] = parts.pop("keeps", {})
    for name in ("clock_skew", "time_resolution", "search_lag", "overlap", "cursor_life"):
        if name in parts:
            parts[name] = timedelta(seconds=parts[name])
    for name in ("operations", "required", "insists_untold", "cannot_clear", "shared", "keeps_children"):
        if name in parts:
            parts[name] = frozenset(parts[name])
    for name in ("search_keys", "scopes"):
        if name in parts:
            parts[name] = tuple(parts[name])
    for name, kind in (("composite", tuple), ("closed_when", frozenset), ("hidden_when", frozenset)):
        if name in parts:
            parts[name] = {key: kind(values) for key, values in parts[name].items()}
    if keeps:

        def stores(name: str, value: Any) -> Any:
            how = keeps.get(name, "")
            if value is None:
                return FILLED.get(how)
            return KEEPS[how](value) if how in KEEPS and isinstance(value, str) else value

        parts["stores"] = stores
    return Behaviour(**parts)


def _texts(mapping: Any) -> list[str]:
    if isinstance(mapping, list):
        return [text for one in mapping for text in _texts(one)]
    if isinstance(mapping, dict):
        return [yaml.safe_dump(mapping, allow_unicode=True, sort_keys=False)]
    return [(HERE / "mappings" / f"{mapping}.yaml").read_text(encoding="utf-8")]


def _lay_over(base: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _lay_over(base[key], value)
        else:
            base[key] = value


def _options(expected: dict[str, Any]) -> Options:
    known = {k: expected[k] for k in ("only_into", "full", "accept_config", "link_only") if k in expected}
    return Options(allow=frozenset(expected.get("allow", ())), **known)


def _approve_empty(bridge: Bridge) -> None:
    """Where there was nothing to compare yet, as if records had travelled there and been looked at."""
    with bridge.store.transaction():
        for flow in bridge.flows():
            for name in flow.targets:
                if bridge.config.systems[name].mode == "live":
                    bridge.store.put_setting(f"approved:{flow.entity}:{name}", "approve")


def _last_ids(bridge: Bridge) -> tuple[int, int]:
    notes = bridge.store.notes(None, None, 10_000)
    conflicts = bridge.store.conflicts(None, None, 10_000)
    return max((n.id for n in notes), default=0), max((c.id for c in conflicts), default=0)


# -- comparing ---------------------------------------------------------------------------------


def _compare(
    expected: dict[str, Any],
    outcome: Outcome | CrmbridgeError,
    bridge: Bridge | None,
    before: tuple[int, int] = (0, 0),
) -> None:
    text = str(outcome)
    if isinstance(outcome, Outcome):
        text = "\n".join([*outcome.reasons, *map(str, outcome.failed.values())])
    wanted = expected.get("exit", 0)
    assert outcome.exit_code == wanted, f"exit code {outcome.exit_code}, expected {wanted}: {text or outcome}"
    for piece in expected.get("reasons", ()):
        assert piece in text, f"{piece!r} is not among the reasons: {text}"
    if "stale" in expected:
        assert not isinstance(outcome, CrmbridgeError)
        assert len(outcome.stale) == expected["stale"], outcome.stale
    if "waiting" in expected:
        assert isinstance(outcome, Outcome)
        waiting = [row.detail for row in outcome.waiting]
        assert len(waiting) == len(expected["waiting"]), waiting
        assert all(any(piece in one for one in waiting) for piece in expected["waiting"]), waiting
    if "duplicates" in expected:
        assert isinstance(outcome, Outcome)
        assert outcome.duplicates == expected["duplicates"], outcome.doubts
    if "doubtful" in expected:
        assert isinstance(outcome, Outcome)
        assert outcome.doubtful == expected["doubtful"], outcome.loose
    if bridge is None:
        return
    if "notes" in expected:
        found = {n.kind for n in bridge.store.notes(None, None, 10_000) if n.id > before[0]}
        assert found == set(expected["notes"]), f"notes {sorted(found)}, expected {expected['notes']}"
    if "conflicts" in expected:
        rows = [c for c in bridge.store.conflicts(None, None, 10_000) if c.id > before[1]]
        assert [_conflict(c) for c in rows] == expected["conflicts"], [_conflict(c) for c in rows]
    if "dead_letters" in expected:
        letters = [letter.error for letter in bridge.store.dead_letters("open")]
        assert len(letters) == len(expected["dead_letters"]), letters
        for piece in expected["dead_letters"]:
            assert any(piece in letter for letter in letters), f"{piece!r} is in none of {letters}"


def _conflict(row: Any) -> dict[str, Any]:
    system, value, _ = yaml.safe_load(row.winner)
    shown: dict[str, Any] = {"field": _field_of(row.path), "winner": system, "value": value}
    if row.too_close:
        shown["too_close"] = True
    if row.undecided:
        shown["undecided"] = True
    return shown


def _field_of(path: str) -> str:
    """`legal_name`; `contact_points.value` for a part of an element, `contact_points` for its presence."""
    name, _, rest = path.partition("/")
    inner = rest.partition("/")[2]
    return f"{name}.{inner}" if inner else name


def _compare_plan(expected: list[dict[str, Any]], operations: Iterable[Planned]) -> None:
    found = sorted((_shown(o) for o in operations), key=repr)
    wanted = sorted(expected, key=repr)
    assert found == wanted, (
        f"planned\n{yaml.safe_dump(found, allow_unicode=True)}expected\n"
        + yaml.safe_dump(wanted, allow_unicode=True)
    )


def _shown(planned: Planned) -> dict[str, Any]:
    """One operation as a reviewer reads it; set-lists as the list of what becomes of their elements."""
    shown: dict[str, Any] = {planned.system: planned.kind}
    if planned.native_id:
        shown["id"] = planned.native_id
    if planned.scope:
        shown["scope"] = planned.scope
    elements: dict[tuple[str, str], dict[str, Any]] = {}
    fields: dict[str, Any] = {}
    for change in planned.changes:
        name, _, rest = change.path.partition("/")
        element_id, _, inner = rest.partition("/")
        if not rest:
            fields[name] = change.new
        elif inner:
            elements.setdefault((name, element_id), {})[inner] = change.new
        elif change.new is None:
            elements.setdefault((name, element_id), {})["removed"] = True
        else:
            elements.setdefault((name, element_id), {})
    for (name, _), parts in elements.items():
        fields.setdefault(name, []).append(parts)
    for value in fields.values():
        if isinstance(value, list):
            value.sort(key=repr)
    if fields:
        shown["set"] = _plain(fields)
    return shown


def _plain(value: Any) -> Any:
    """References by what they refer to, without the golden id; exact numbers as text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        if "golden" in value:
            return f"<{value['entity']}>"
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
