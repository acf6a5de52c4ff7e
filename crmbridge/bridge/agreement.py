"""How far one system agrees with the others, as of the last sync: for a look before it goes live."""

from __future__ import annotations

from dataclasses import replace

from crmbridge.bridge.bridge import Bridge
from crmbridge.config import meant
from crmbridge.engine.agreement import Agreement, agreement
from crmbridge.sdk.errors import ConfigError

__all__ = ["agreement_of"]


def agreement_of(bridge: Bridge, name: str, entity: str | None = None) -> list[Agreement]:
    """Each entity that the config writes into this system, or one of them, field by field. No record is
    read or written: this is about what the last sync read.

    Raises ConfigError for a system that is never written, and for one without such an entity.
    """
    known = bridge.config.systems
    if name not in known:
        raise ConfigError(f"there is no system {name!r}", hint=meant(name, known))
    if known[name].mode == "read-only":
        raise ConfigError(
            f"{name} is read-only: nothing would ever be written there",
            hint="mode: shadow in the config, then a sync, shows what would be",
        )
    written = [flow.entity for flow in bridge.flows() if name in flow.targets]
    if entity is not None and entity not in written:
        hint = f"it takes {', '.join(written)}" if written else "it takes nothing"
        raise ConfigError(f"the config writes no {entity} into {name}", hint=hint)
    with bridge.store.lock("systems agreement"), bridge.store.scratch() as copy:
        system = bridge.system(name)
        run = replace(bridge.looking(), store=copy, systems={name: system}, trial=True)
        return list(agreement(run, name, [entity] if entity else written))
