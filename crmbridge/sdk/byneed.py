"""Connectors that are imported when a config names them, to keep every other start fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from crmbridge.sdk.connector import Connector

__all__ = ["ByNeed"]


class ByNeed(Mapping[str, type[Connector]]):
    """What `crmbridge_connectors` may return: `ByNeed(shop="crmbridge_shop.connector:ShopConnector")`.

    The module is imported at the first use of the connector. What it raises then counts as an error of the
    plugin, as if the hook had raised it.
    """

    def __init__(self, **places: str) -> None:
        """places: name of the connector -> `module:class`."""
        self._places = places

    def __getitem__(self, name: str) -> type[Connector]:
        module, _, kind = self._places[name].partition(":")
        found: type[Connector] = getattr(import_module(module), kind)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places
