"""The plugin manager: finds plugins, loads them, and keeps a broken one from stopping the others."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pluggy

from crmbridge.sdk.connector import Connector
from crmbridge.sdk.errors import ConfigError
from crmbridge.sdk.hookspecs import PROJECT, Codec, Hooks, RunEvent, SurvivorshipRule

__all__ = ["Failure", "PluginInfo", "Plugins"]

GROUP = "crmbridge"


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin that was loaded."""

    name: str
    source: str
    """`built in`, a distribution with its version, or a file."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A plugin that could not be loaded, or a hook of it that raised."""

    plugin: str
    source: str
    error: str


@dataclass(slots=True)
class Plugins:
    """All plugins of a process."""

    found: list[PluginInfo] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    _manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(PROJECT))

    def __post_init__(self) -> None:
        self._manager.add_hookspecs(Hooks)

    # loading

    def add(self, plugin: object, name: str, source: str) -> None:
        """Register a plugin that is at hand."""
        if self._manager.has_plugin(name):
            return
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except Exception as error:  # noqa: BLE001 - whatever a foreign plugin does wrong, the others go on
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self.failures.append(Failure(name, source, _told(error)))
            return
        self.found.append(PluginInfo(name, source))

    def add_installed(self) -> None:
        """Load what installed distributions offer under the entry point group `crmbridge`."""
        for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda p: p.name):
            source = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            try:
                plugin = point.load()
            except Exception as error:  # noqa: BLE001 - see `add`
                self.failures.append(Failure(point.name, source, _told(error)))
                continue
            self.add(plugin, point.name, source)

    def add_file(self, path: Path) -> None:
        """Load a one-file plugin that the config names."""
        name = path.stem
        spec = importlib.util.spec_from_file_location(f"crmbridge_plugin_{name}", path)
        if spec is None or spec.loader is None or not path.is_file():
            self.failures.append(Failure(name, str(path), "there is no such Python file"))
            return
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # noqa: BLE001 - see `add`
            del sys.modules[spec.name]
            self.failures.append(Failure(name, str(path), _told(error)))
            return
        self.add(module, name, str(path))

    # asking

    def connectors(self) -> dict[str, type[Connector]]:
        """Name -> connector."""
        return self._merged("crmbridge_connectors")

    def offers(self) -> dict[str, list[str]]:
        """Plugin -> the connectors that it offers."""
        self.connectors()
        broken = {failure.plugin for failure in self.failures}
        able = self._implementations("crmbridge_connectors")
        return {name: sorted(call()) for name, call in able if name not in broken}

    def connector(self, name: str) -> type[Connector]:
        """The connector of that name; no other one is imported. Raises ConfigError naming those that there
        are."""
        for plugin, offered in self._offered("crmbridge_connectors"):
            if name in offered and (kind := self._taken(plugin, offered, name)):
                found: type[Connector] = kind
                return found
        known = self.connectors()
        broken = [f"{f.plugin} failed to load: {f.error}" for f in self.failures]
        close = get_close_matches(name, known, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        hint = f"{meant}there are {', '.join(sorted(known))}; others are installed with pip"
        raise ConfigError("; ".join([f"there is no connector {name!r}", *broken]), hint=hint)

    def codecs(self) -> dict[str, Codec]:
        """Name -> codec."""
        return self._merged("crmbridge_codecs")

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Name -> function of `read:` and `when:` expressions."""
        return self._merged("crmbridge_functions")

    def survivorship(self) -> dict[str, SurvivorshipRule]:
        """Name -> survivorship rule."""
        return self._merged("crmbridge_survivorship")

    def schemas(self) -> dict[str, Any]:
        """Name -> entity."""
        return self._merged("crmbridge_schemas")

    def emit(self, event: RunEvent) -> None:
        """Tell every plugin; one that raises is reported once and not told again."""
        silent = {failure.plugin for failure in self.failures}
        for name, call in list(self._implementations("crmbridge_run_event")):
            if name in silent:
                continue
            try:
                call(event=event)
            except Exception as error:  # noqa: BLE001 - see `add`
                self.failures.append(Failure(name, "crmbridge_run_event", _told(error)))

    def _merged(self, hook: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for plugin, offered in self._offered(hook):
            for key in offered:
                if key not in merged and (value := self._taken(plugin, offered, key)):
                    merged[key] = value
        return merged

    def _taken(self, plugin: str, offered: Mapping[str, Any], key: str) -> Any:
        """What is offered by that name; None, and reported, where it cannot be imported."""
        try:
            return offered[key]
        except Exception as error:  # noqa: BLE001 - see `add`
            self._fail(plugin, key, error)
            return None

    def _fail(self, plugin: str, source: str, error: Exception) -> None:
        failure = Failure(plugin, source, _told(error))
        if failure not in self.failures:
            self.failures.append(failure)

    def _offered(self, hook: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Plugin and what it offers; one that raises is reported, and the others go on."""
        for name, call in self._implementations(hook):
            try:
                offered: Mapping[str, Any] = call()
            except Exception as error:  # noqa: BLE001 - see `add`
                self._fail(name, hook, error)
            else:
                yield name, offered

    def _implementations(self, hook: str) -> Iterator[tuple[str, Callable[..., Any]]]:
        """In the order in which the plugins were added: the first to offer a name keeps it."""
        caller: Any = getattr(self._manager.hook, hook)
        implementations: Iterable[Any] = caller.get_hookimpls()
        order = {info.name: index for index, info in enumerate(self.found)}
        for one in sorted(implementations, key=lambda impl: order.get(impl.plugin_name, len(order))):
            yield one.plugin_name, one.function


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
