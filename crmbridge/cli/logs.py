"""Logging as `log:` in the config says, without secrets."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from crmbridge.bridge import Bridge
    from crmbridge.config import Config
    from crmbridge.sdk.hookspecs import RunEvent

__all__ = ["log_to"]

logger = logging.getLogger("crmbridge.run")
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING}


@contextmanager
def log_to(bridge: Bridge, verbose: int, *, debug: bool) -> Iterator[None]:
    """Log to the config's file, and with -v to standard error, while the bridge is open. debug: there are
    told the tracebacks of connectors that failed too."""
    settings = bridge.config.settings.log
    handlers: list[logging.Handler] = []
    if settings.file is not None:
        handlers.append(_handler(_own_file(bridge.config, settings.file), settings.level))
    if verbose:
        level = "info" if verbose == 1 else "debug"
        handlers.append(_handler(logging.StreamHandler(sys.stderr), level))
    if debug and verbose < 2:
        handlers.append(_handler(logging.StreamHandler(sys.stderr), "debug"))
        handlers[-1].addFilter(lambda record: record.exc_info is not None)
    for handler in handlers:
        form = _Json if settings.format == "json" else _Plain
        handler.setFormatter(form(bridge.redact))
    root = logging.getLogger()
    before = root.level
    for handler in handlers:
        root.addHandler(handler)
    if handlers:
        root.setLevel(min(handler.level for handler in handlers))
        bridge.listeners.append(_log_event)
    try:
        yield
    finally:
        root.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def _own_file(config: Config, name: Path) -> logging.Handler:
    path = config.root / name
    try:
        return _OwnFile(path)
    except OSError as error:
        from crmbridge.sdk.errors import ConfigError

        text = f"the log {path} cannot be written: {error.strerror}"
        position = str(config.document.position(("log", "file")))
        raise ConfigError(text, position=position, hint="name a file in a folder that is there") from None


def _handler(handler: logging.Handler, level: str) -> logging.Handler:
    handler.setLevel(level.upper())
    return handler


class _OwnFile(logging.handlers.WatchedFileHandler):
    """A file that only its owner can read, opened anew when logrotate has moved it away."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def _open(self) -> IO[str]:  # type: ignore[override]
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding, errors=self.errors)


class _Plain(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO crmbridge.run: text`"""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return _instant(record)

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class _Json(_Plain):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        parts = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            parts["traceback"] = self.formatException(record.exc_info)
        return self._redact(json.dumps(parts, ensure_ascii=False))


def _instant(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def _log_event(event: RunEvent) -> None:
    level = logging.DEBUG if event.kind == "progress" else logging.INFO
    if event.kind == "finding":
        level = _LEVELS.get(str(event.details.get("level")), logging.INFO)
    about = {"system": event.system, "entity": event.entity, "stage": event.stage}
    parts = [f"run {event.run}", event.kind, *(f"{name}={value}" for name, value in about.items() if value)]
    if event.text:
        parts.append(event.text)
    if event.kind in ("progress", "stage-ended"):
        parts.append(f"{event.count} of {event.total}" if event.total else str(event.count))
    if event.kind == "run-ended":
        parts.append(f"exit code {event.count} {json.dumps(dict(event.details))}")
    logger.log(level, "%s", " ".join(parts))
