"""The demo folder, its systems opened, and what its mappings read from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crmbridge.config import Secrets, load_config
from crmbridge.connectors.files import FilesConnector
from crmbridge.connectors.sql.connector import SqlConnector
from crmbridge.mapping import Mapping, MappingError
from crmbridge.mapping.load import load_mappings
from crmbridge.sdk import Connector, Context, FieldInfo, Finding
from crmbridge_schemas.registry import ENTITIES

CONNECTORS: dict[str, type[Connector]] = {"files": FilesConnector, "sql": SqlConnector}


@dataclass
class Read:
    """What one mapping made of one stream."""

    mapping: Mapping
    fields: dict[str, FieldInfo]
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Native id -> canonical document."""
    broken: dict[str, str] = field(default_factory=dict)
    """Native id or position -> why it could not be read."""


@dataclass
class Demo:
    """The folder and everything in it."""

    folder: Path
    findings: list[Finding]
    read: dict[tuple[str, str], Read]
    """(system, stream) -> what was read."""


def open_demo(folder: Path) -> Demo:
    """Read every mapped stream through its connector and mapping."""
    config = load_config(folder / "crmbridge.yaml")
    mappings = load_mappings(config, {}, ENTITIES)
    found = Demo(folder, [], {})
    for name, system in config.systems.items():
        kind = CONNECTORS[system.connector]
        settings = config.system_settings(name, kind.settings_model, Secrets({}, folder, print))
        connector = kind(settings, _context(name, folder))
        found.findings += connector.check()
        mappings = mappings.bind(name, connector.streams())
        for mapping in (m for m in mappings.all if m.system == name):
            found.read[name, mapping.stream] = _read(connector, mapping)
        connector.close()
    return found


def _read(connector: Connector, mapping: Mapping) -> Read:
    result = Read(mapping, dict(connector.discover(mapping.stream)))
    for page in connector.pull(mapping.stream, None):
        result.broken |= {reject.position: reject.reason for reject in page.rejects}
        for record in page.records:
            try:
                result.documents[record.native_id] = mapping.read(record.data)
            except MappingError as error:
                result.broken[record.native_id] = str(error)
    return result


def _context(system: str, root: Path) -> Context:
    def no_network(*_: Any, **__: Any) -> Any:
        raise AssertionError("the demo needs no network")

    later = datetime.now(UTC) + timedelta(days=1)
    return Context(system, root, {}, lambda: later, lambda: 0.5, read_only=True, http=no_network)
