"""The plugin manager: finds plugins, loads them, and keeps a broken one from stopping the others."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pluggy
from pydantic import BaseModel

from crmbridge import __version__
from crmbridge.sdk.connector import Connector
from crmbridge.sdk.errors import RAISED, ConfigError
from crmbridge.sdk.hookspecs import PROJECT, Candidate, Codec, Hooks, RunEvent
from crmbridge_schemas.base import Entity

__all__ = ["OURS", "Failure", "PluginInfo", "Plugins"]

GROUP = "crmbridge"
OURS = f"crmbridge {__version__}"
"""The version of all that is built in."""


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin that was loaded."""

    name: str
    source: str
    """`built in`, a distribution with its version, or a file."""
    version: str
    """A distribution with its version, or the hash of a file: another one may do otherwise."""


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
    ours: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Hook -> names that are crmbridge's own, and no plugin's to offer."""
    _manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(PROJECT))

    def __post_init__(self) -> None:
        self._manager.add_hookspecs(Hooks)

    # loading

    def add(self, plugin: object, name: str, source: str, version: str) -> None:
        """Register a plugin that is at hand."""
        same = next((info for info in self.found if info.name == name), None)
        if same is not None:
            if same.source != source:
                text = f"there is a plugin of that name already, from {same.source}: uninstall or rename one"
                self.failures.append(Failure(name, source, text))
            return
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
            if not self._manager.get_hookcallers(plugin):
                raise TypeError("it hooks nothing: mark its functions with @hookimpl")
        except RAISED as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self.failures.append(Failure(name, source, _told(error)))
            return
        self.found.append(PluginInfo(name, source, version))

    def add_installed(self) -> None:
        """Load what installed distributions offer under the entry point group `crmbridge`."""
        for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda p: p.name):
            source = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            try:
                plugin = point.load()
            except RAISED as error:
                self.failures.append(Failure(point.name, source, _told(error)))
                continue
            self.add(plugin, point.name, source, source)

    def add_file(self, path: Path) -> None:
        """Load a one-file plugin that the config names."""
        if any(info.source == str(path) for info in self.found):
            return
        name = str(path) if self._manager.has_plugin(path.stem) else path.stem
        spec = importlib.util.spec_from_file_location(f"crmbridge_plugin_{name}", path)
        if spec is None or spec.loader is None or not path.is_file():
            self.failures.append(Failure(name, str(path), f"there is no Python file {path}"))
            return
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
        except RAISED as error:
            del sys.modules[spec.name]
            self.failures.append(Failure(name, str(path), _told(error)))
            return
        digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
        self.add(module, name, str(path), f"file {digest}")

    # asking

    def connectors(self) -> dict[str, type[Connector]]:
        """Name -> connector."""
        return self._merged("crmbridge_connectors")

    def offers(self) -> dict[str, list[str]]:
        """Plugin -> the connectors that it offers."""
        offers: dict[str, list[str]] = {}
        for plugin, name, _ in sorted(self._taken("crmbridge_connectors"), key=lambda taken: taken[:2]):
            offers.setdefault(plugin, []).append(name)
        return offers

    def connector(self, name: str) -> type[Connector]:
        """The connector of that name; no other one is imported. Raises ConfigError naming those that there
        are."""
        for _, kind in self._offering("crmbridge_connectors", name):
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
        codecs = self._merged("crmbridge_codecs")
        return {name: Codec(*map(_that_stays, codec)) for name, codec in codecs.items()}

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Name -> function of `read:` and `when:` expressions."""
        return {name: _that_stays(one) for name, one in self._merged("crmbridge_functions").items()}

    def survivorship(self) -> dict[str, Callable[[Sequence[Candidate]], int | None]]:
        """Name -> survivorship rule; one that raises or names no candidate is reported and answers None."""
        taken = self._taken("crmbridge_survivorship")
        return {name: self._careful(plugin, name, rule) for plugin, name, rule in taken}

    def schemas(self) -> dict[str, Any]:
        """Name -> entity."""
        return self._merged("crmbridge_schemas")

    def version(self, hook: str, name: str) -> str:
        """The version of whoever offers that name by that hook; empty where nobody does."""
        if name in self.ours.get(hook, ()):
            return OURS
        holder = next((plugin for plugin, _ in self._offering(hook, name)), None)
        return next((info.version for info in self.found if info.name == holder), "")

    def emit(self, event: RunEvent) -> None:
        """Tell every plugin; one that raises is reported once and not told again."""
        hook = "crmbridge_run_event"
        silent = {failure.plugin for failure in self.failures if failure.source == hook}
        for name, call in list(self._implementations(hook)):
            if name in silent:
                continue
            try:
                call(event=event)
            except RAISED as error:
                self._fail(name, hook, _told(error))

    def _merged(self, hook: str) -> dict[str, Any]:
        return {name: value for _, name, value in self._taken(hook)}

    def _taken(self, hook: str) -> list[tuple[str, str, Any]]:
        """Plugin, name and what it offers by that name: each name once, of the first that offers it."""
        taken: dict[str, tuple[str, str, Any]] = {}
        ours = self.ours.get(hook, ())
        for plugin, offered in self._offered(hook):
            for name in offered:
                if name in taken or name in ours:
                    holder = taken[name][0] if name in taken else "crmbridge"
                    text = f"{name!r} is offered by {holder} already: give it another name"
                    self._fail(plugin, hook, text)
                elif value := self._take(plugin, hook, offered, name):
                    taken[name] = plugin, name, value
        return list(taken.values())

    def _offering(self, hook: str, name: str) -> Iterator[tuple[str, Any]]:
        """Plugin and what it offers by that name; the first one's counts. Nothing else is imported."""
        for plugin, offered in self._offered(hook):
            if name in offered and (value := self._take(plugin, hook, offered, name)):
                yield plugin, value

    def _take(self, plugin: str, hook: str, offered: Mapping[str, Any], name: str) -> Any:
        """What is offered by that name; None, and reported, where it fails or is no such thing."""
        try:
            value = offered[name]
        except RAISED as error:
            self._fail(plugin, name, _told(error))
            return None
        wrong = _JUDGES[hook](value)
        if not wrong:
            return value
        self._fail(plugin, hook, f"it gave {value!r} for {name!r}, which {wrong}")
        return None

    def _careful(
        self, plugin: str, name: str, rule: Callable[[Sequence[Candidate]], object]
    ) -> Callable[[Sequence[Candidate]], int | None]:
        @functools.wraps(rule)
        def careful(candidates: Sequence[Candidate]) -> int | None:
            try:
                index = rule(candidates)
            except RAISED as error:
                self._fail(plugin, f"survivorship rule {name}", _told(error))
                return None
            if type(index) is int and 0 <= index < len(candidates):
                return index
            text = f"it answered {index!r}, which is no index of {len(candidates)} candidates"
            self._fail(plugin, f"survivorship rule {name}", text)
            return None

        return careful

    def _fail(self, plugin: str, source: str, text: str) -> None:
        """Reported once, however often and for however many records it fails."""
        if not any((one.plugin, one.source) == (plugin, source) for one in self.failures):
            self.failures.append(Failure(plugin, source, text))

    def _offered(self, hook: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Plugin and what it offers; one that raises or gives no names is reported, and the others go on."""
        for plugin, call in self._implementations(hook):
            try:
                offered: Any = call()
            except RAISED as error:
                self._fail(plugin, hook, _told(error))
                continue
            if isinstance(offered, Mapping) and all(isinstance(name, str) and name for name in offered):
                yield plugin, offered
            else:
                self._fail(plugin, hook, f"it gave {offered!r}, which is no mapping of names")

    def _implementations(self, hook: str) -> Iterator[tuple[str, Callable[..., Any]]]:
        """In the order in which the plugins were added: the first to offer a name keeps it."""
        caller: Any = getattr(self._manager.hook, hook)
        implementations: Iterable[Any] = caller.get_hookimpls()
        order = {info.name: index for index, info in enumerate(self.found)}
        for one in sorted(implementations, key=lambda impl: order.get(impl.plugin_name, len(order))):
            yield one.plugin_name, one.function


def _wrong_connector(value: object) -> str:
    if wrong := _wrong_kind(value, Connector):
        return wrong
    lacks = [f"the method {name}" for name in sorted(getattr(value, "__abstractmethods__", ()))]
    model = getattr(value, "settings_model", None)
    if _wrong_kind(model, BaseModel) or model is BaseModel:
        lacks.insert(0, "settings_model (a pydantic model of what stands below the system in the config)")
    return f"lacks {', '.join(lacks)}" if lacks else ""


def _wrong_codec(value: object) -> str:
    return "" if isinstance(value, Codec) and all(map(callable, value)) else "is no Codec"


def _wrong_function(value: object) -> str:
    return "" if callable(value) else "is no function"


def _wrong_kind(value: object, of: type) -> str:
    fits = isinstance(value, type) and issubclass(value, of)
    return "" if fits else f"is no subclass of {of.__name__}"


_JUDGES: dict[str, Callable[[Any], str]] = {
    "crmbridge_connectors": _wrong_connector,
    "crmbridge_codecs": _wrong_codec,
    "crmbridge_functions": _wrong_function,
    "crmbridge_survivorship": _wrong_function,
    "crmbridge_schemas": lambda value: _wrong_kind(value, Entity),
}
"""Hook -> what is wrong with something that it offers by a name; empty where nothing is."""


def _that_stays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Asked for a value, it does not end the process: that is an error like any other."""

    @functools.wraps(function)
    def staying(*args: Any) -> Any:
        try:
            return function(*args)
        except SystemExit as error:
            raise RuntimeError(_told(error)) from error

    return staying


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
