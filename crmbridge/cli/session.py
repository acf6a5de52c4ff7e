"""What one invocation of the command shares: its global options, its output, and the bridge once opened."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from crmbridge.cli import garbage
from crmbridge.cli.interrupt import Stopper, raising
from crmbridge.cli.output import Output

if TYPE_CHECKING:
    from crmbridge.bridge import Bridge
    from crmbridge.config import Config

__all__ = ["GlobalOptions", "Session"]

CONFIG = "crmbridge.yaml"


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """The options that every command takes; `crmbridge --help` says what they mean."""

    config: Path | None = None
    environment: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    no_color: bool = False
    debug: bool = False
    words: tuple[str, ...] = ()
    """The whole command line."""


class Session:
    """One invocation."""

    def __init__(self, options: GlobalOptions) -> None:
        self.options = options
        self.output = Output(self.redact, json=options.json, quiet=options.quiet, no_color=options.no_color)
        self._bridge: Bridge | None = None
        self._exit = ExitStack()
        self._told_failures = 0

    def redact(self, text: str) -> str:
        """The text without secrets, as far as they are known yet."""
        return self._bridge.redact(text) if self._bridge else text

    def config_path(self) -> Path:
        """The config that was named, or crmbridge.yaml in this folder or the nearest one above."""
        from crmbridge.sdk.errors import ConfigError

        if self.options.config is not None:
            if self.options.config.is_dir():
                raise ConfigError(
                    f"{self.options.config} is a folder",
                    hint=f"name the file: {self.options.config / CONFIG}",
                )
            if not self.options.config.is_file():
                raise ConfigError(
                    f"there is no file {self.options.config}", hint="crmbridge init writes a config"
                )
            return self.options.config
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / CONFIG).is_file():
                return folder / CONFIG
        other = here / CONFIG.replace(".yaml", ".yml")
        if other.is_file():
            raise ConfigError(
                f"there is {other}, and not {CONFIG}", hint=f"rename it: mv {other.name} {CONFIG}"
            )
        raise ConfigError(
            f"there is no {CONFIG} in {here} or above it",
            hint="crmbridge init writes one, --config FILE names another, crmbridge demo shows how it looks",
        )

    def load_config(self) -> Config:
        """The config alone: no plugins, no state."""
        from crmbridge.config import load_config

        return load_config(self.config_path(), self.options.environment)

    def bridge(self, *, tolerant: bool = False) -> Bridge:
        """The bridge, opened at first use; it is closed when the command ends. See `Bridge.open`."""
        if self._bridge is None:
            from crmbridge.bridge import Bridge
            from crmbridge.cli.logs import log_to

            self._bridge = Bridge.open(self.config_path(), self.options.environment, tolerant=tolerant)
            self._bridge.called_by = shlex.join(self.options.words)
            garbage.rarely()
            self._exit.enter_context(raising())
            self._exit.callback(self._bridge.close)
            self._exit.enter_context(log_to(self._bridge, self.options.verbose, debug=self.options.debug))
            self._tell_failures()
            self._exit.callback(self._tell_failures)
        return self._bridge

    def _tell_failures(self) -> None:
        """Of plugins: when they are loaded, and what came of them since when the command ends."""
        assert self._bridge is not None
        failures = self._bridge.plugins.failures
        for failure in failures[self._told_failures :]:
            self.output.warn(f"the plugin {failure.plugin} ({failure.source}) failed: {failure.error}")
        self._told_failures = len(failures)

    def zone(self) -> tzinfo:
        """The time zone in which times are shown to people; JSON has them in UTC."""
        from zoneinfo import ZoneInfo

        return ZoneInfo(self.bridge().config.settings.timezone)

    @contextmanager
    def running(self) -> Iterator[Bridge]:
        """The bridge with progress shown and signals kept back until the work can stop."""
        from crmbridge.cli.progress import progress

        bridge = self.bridge()
        stopper = Stopper(self.output.say_always)
        with progress(self.output) as show, stopper.watching():
            bridge.listeners += [show, stopper.listen]
            try:
                yield bridge
            finally:
                bridge.listeners.remove(show)
                bridge.listeners.remove(stopper.listen)

    def command(self, *words: str) -> str:
        """A command for people to copy, with the global options that this one was given."""
        options = []
        if self.options.config is not None:
            options += ["--config", str(self.options.config)]
        if self.options.environment is not None:
            options += ["--env", self.options.environment]
        return shlex.join(["crmbridge", *words, *options])

    def close(self) -> None:
        """Give everything back."""
        self._exit.close()
