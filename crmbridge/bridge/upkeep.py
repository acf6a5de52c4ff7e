"""What a person tells the state about its systems: a new name, another instance, a backup, a pause."""

from __future__ import annotations

import secrets

from crmbridge.bridge.bridge import Bridge
from crmbridge.config import meant
from crmbridge.engine import repair
from crmbridge.engine.run import Flow
from crmbridge.sdk.errors import ConfigError
from crmbridge.store.rows import SystemRow

__all__ = ["pause_system", "rebind_system", "recover", "remove_system", "rename_system"]


def rename_system(bridge: Bridge, old: str, new: str) -> None:
    """The state calls a system otherwise from now on, as the config does already."""
    _known_system(bridge, old)
    if new in {row.name for row in bridge.store.systems()}:
        raise ConfigError(f"the state knows a system {new!r} already")
    if new not in bridge.config.systems:
        raise ConfigError(
            f"{bridge.config.path.name} names no system {new!r}", hint="rename it there first, then here"
        )
    with bridge.store.lock("systems rename"), bridge.store.transaction():
        repair.rename_system(bridge.store, _renamed_flows(bridge, old, new), old, new)


def _renamed_flows(bridge: Bridge, old: str, new: str) -> list[tuple[Flow, str]]:
    """Each flow, and the fingerprint that it would have with the system's old name."""
    maker, sync = bridge.flow_maker(), bridge.config.settings.sync
    return [
        (flow, maker.fingerprint(flow.entity, sync[flow.entity], {new: old}))
        if flow.entity in sync
        else (flow, flow.fingerprint)
        for flow in maker.flows()
    ]


def remove_system(bridge: Bridge, name: str) -> None:
    """Forget a system and its links. Nothing changes in the system itself."""
    _known_system(bridge, name)
    with bridge.store.lock("systems remove"), bridge.store.transaction():
        repair.remove_system(bridge.store, bridge.config.settings.sync, name)


def rebind_system(bridge: Bridge, name: str) -> str:
    """The system is another instance on purpose: returns its fingerprint. It is read in full, and what
    would be written there is looked at first."""
    row = _known_system(bridge, name)
    system = bridge.system(name)
    row.fingerprint = system.connector.fingerprint()
    with bridge.store.lock("systems rebind"), bridge.store.transaction():
        bridge.store.put_system(row)
        repair.start_over(bridge.store, bridge.config.settings.sync, name, system.streams)
    return row.fingerprint


def recover(bridge: Bridge, rolled_back: str | None = None) -> None:
    """The state was restored from a backup, or the system `rolled_back` was: everything of it is read in
    full, and nothing is written anywhere before a plan was applied."""
    if rolled_back is not None and rolled_back not in bridge.config.systems:
        raise _no_system(bridge, rolled_back)
    streams = {(one.system, one.stream) for one in bridge.written.all}
    with bridge.store.lock("systems recover"):
        with bridge.store.transaction():
            repair.recover(bridge.store, bridge.config.settings.sync, streams, rolled_back)
        if rolled_back is None:
            known = bridge.store.runs(1)
            bridge.store.put_history(known[0].id if known else 0, secrets.token_hex(8))


def pause_system(bridge: Bridge, name: str, *, paused: bool) -> None:
    """Leave a system alone, or take it up again."""
    known = {row.name: row for row in bridge.store.systems()}
    if name not in bridge.config.systems:
        raise _no_system(bridge, name)
    row = known.get(name) or SystemRow(name, bridge.config.systems[name].connector)
    row.paused = paused
    with bridge.store.lock("systems pause"), bridge.store.transaction():
        bridge.store.put_system(row)


def _known_system(bridge: Bridge, name: str) -> SystemRow:
    for row in bridge.store.systems():
        if row.name == name:
            return row
    raise _no_system(bridge, name)


def _no_system(bridge: Bridge, name: str) -> ConfigError:
    known = sorted({*bridge.config.systems, *(row.name for row in bridge.store.systems())})
    return ConfigError(f"there is no system {name!r}", hint=meant(name, known))
