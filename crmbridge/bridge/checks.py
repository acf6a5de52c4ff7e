"""What `crmbridge check` says: all that can be said without reading or writing records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crmbridge.bridge.bridge import Bridge, settings_models
from crmbridge.config import by_place
from crmbridge.engine import checkup
from crmbridge.engine.checkup import CheckLine, Topic
from crmbridge.engine.run import System, told
from crmbridge.sdk.errors import RAISED, ConfigError, CrmbridgeError, StateError

__all__ = ["check"]

NOTES = 100_000
"""So many notes of earlier runs are looked at."""


def check(bridge: Bridge) -> Iterator[CheckLine]:
    """Everything that can be said without reading or writing records, a line each."""
    for warning in bridge.config.warnings(settings_models(bridge.config, bridge.plugins)):
        yield CheckLine("warning", "config", f"{warning.position}: {warning.text}", warning.hint)
    for failure in bridge.plugins.failures:
        yield CheckLine("error", "plugins", f"{failure.plugin}: {failure.error}", exit_code=1)
    for problem in bridge.store.check():
        yield CheckLine("error", "state", problem, exit_code=StateError.exit_code)
    opened: list[System] = []
    for name in bridge.config.systems:
        try:
            system = bridge.system(name)
            yield from checkup.examine_access(system)
            yield _check_fingerprint(bridge, system)
            opened.append(system)
        except RAISED as error:
            yield _failed_check(name, error)
    mistakes = bridge.mistakes or []
    for mistake in sorted(mistakes, key=by_place):
        yield _told("mapping", mistake)
    for line in _check_mappings(bridge, opened):
        if not (mistakes and line.topic == "coverage"):  # a mapping that is wrong maps nothing
            yield line


def _check_fingerprint(bridge: Bridge, system: System) -> CheckLine:
    mark = system.connector.fingerprint()
    known = {row.name: row.fingerprint for row in bridge.store.systems()}.get(system.name)
    if not mark:
        text = "cannot tell which instance it is: a wrong address would not be noticed"
        return CheckLine("warning", "access", text, system=system.name)
    if known and known != mark:
        hint = f"correct its address, or, if it really moved: crmbridge systems rebind {system.name}"
        text = f"is {mark}; the state was made with {known}"
        return CheckLine("error", "access", text, hint, system.name, exit_code=StateError.exit_code)
    return CheckLine("ok", "access", f"is {mark}", system=system.name)


def _check_mappings(bridge: Bridge, opened: Sequence[System]) -> Iterator[CheckLine]:
    try:
        flows = bridge.flows()
    except ConfigError as error:
        yield _told("config", error)
        return
    held = {
        flow.entity: frozenset(
            name
            for system in bridge.config.systems
            for mapping in bridge.mappings.of_entity(system, flow.entity)
            for name in (*mapping.fields, *mapping.lists)
            if mapping.reads(name)
        )
        for flow in flows
    }
    notes = bridge.store.notes(None, None, NOTES, "altered")
    for system in opened:
        try:
            yield from checkup.examine(system, flows, held, notes)
        except RAISED as error:
            yield _failed_check(system.name, error)


def _failed_check(system: str, error: Exception | SystemExit) -> CheckLine:
    topic: Topic = "config" if isinstance(error, ConfigError) else "access"
    return _told(topic, told(error, system), system)


def _told(topic: Topic, error: CrmbridgeError, system: str = "") -> CheckLine:
    text = f"{error.where}: {error.message}" if error.where else error.message
    return CheckLine("error", topic, text, error.hint or "", system, exit_code=error.exit_code)
