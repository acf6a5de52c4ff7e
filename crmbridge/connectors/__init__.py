"""The connectors that come with crmbridge. They use the same interface as a vendor's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from crmbridge.sdk.connector import Connector
from crmbridge.sdk.hookspecs import hookimpl

_CLASSES = {"files": "FilesConnector", "sql": "SqlConnector", "memory": "MemoryConnector"}


class _ByNeed(Mapping[str, type[Connector]]):
    """Each is imported when it is asked for, to keep the start fast."""

    def __getitem__(self, name: str) -> type[Connector]:
        found: type[Connector] = getattr(import_module(f"{__name__}.{name}"), _CLASSES[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES


@hookimpl
def crmbridge_connectors() -> Mapping[str, type[Connector]]:
    """The built-in connectors."""
    return _ByNeed()
