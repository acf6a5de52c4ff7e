"""Everything that is printed goes through here: without secrets, without control characters of the data.

People get tables on standard output and everything else on standard error. With `--json` standard output
holds one message a line (`crmbridge.cli.messages`) and people's text goes to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console, RenderableType
    from rich.text import Text

    from crmbridge.sdk.errors import CrmbridgeError

__all__ = ["Output"]

WIDE = 160
"""Columns where nobody looks at a screen: lines are for grep then."""
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}
_UNPRINTABLE = _PICTURES | dict.fromkeys((*range(0x7F, 0xA0), *range(0x202A, 0x202F)), 0xFFFD)
"""Terminals obey control characters, and values come from foreign systems."""


class Output:
    """Where a command prints."""

    def __init__(
        self, redact: Callable[[str], str], *, json: bool = False, quiet: bool = False, no_color: bool = False
    ) -> None:
        self.json = json
        self.quiet = quiet
        self._redact = redact
        self._no_color = no_color
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    # for machines

    def emit(self, message: BaseModel) -> None:
        """One message as a line of JSON, where JSON was asked for."""
        if self.json:
            sys.stdout.write(self._redact(message.model_dump_json(exclude_none=True)) + "\n")
            sys.stdout.flush()

    def asking(self) -> AbstractContextManager[object]:
        """Questions that are asked inside leave standard output to the messages."""
        return redirect_stdout(sys.stderr) if self.json else nullcontext()

    # for people

    def print(self, *parts: RenderableType) -> None:
        """What was asked for."""
        for part in parts:
            self._main.print(self.text(part) if isinstance(part, str) else part)

    def say(self, text: str) -> None:
        """Something besides, which --quiet silences."""
        if not self.quiet:
            self._side.print(self.text(text))

    def say_always(self, text: str) -> None:
        """Something besides that has to be known."""
        self._side.print(self.text(text))

    def warn(self, text: str, hint: str | None = None) -> None:
        """Something is not as it should be; the command goes on."""
        self._told("warning", "yellow", text, hint)

    def error(self, error: CrmbridgeError) -> None:
        """Why the command cannot go on."""
        where = f"{error.where}: " if error.where else ""
        *others, last = f"{where}{error.message}".split("\n")  # several problems are one line each
        for line in others:
            self._told("error", "bold red", line, None)
        self._told("error", "bold red", last, error.hint)
        if self.json:
            from crmbridge.cli.messages.base import ErrorMessage

            self.emit(
                ErrorMessage(
                    error=type(error).__name__,
                    message=error.message,
                    where=error.where,
                    hint=error.hint,
                    exit_code=error.exit_code,
                )
            )

    def _told(self, word: str, style: str, text: str, hint: str | None) -> None:
        from rich.text import Text

        line = Text.assemble((f"{word}: ", style), self.text(text))
        if hint:
            line.append("\n  hint: ", "dim").append(self.text(hint))
        self._side.print(line, soft_wrap=True)

    # pieces

    def text(self, value: Any, style: str = "") -> Text:
        """Data that may hold anything, made fit to be shown."""
        from rich.text import Text

        return Text(self._redact(str(value)).translate(_UNPRINTABLE), style)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> RenderableType:
        """A table; a column whose name begins with # holds numbers."""
        from rich import box
        from rich.table import Table

        made = Table(
            box=box.SIMPLE_HEAD,
            title=self.text(title) if title else None,
            title_justify="left",
            pad_edge=False,
        )
        for name in columns:
            made.add_column(
                name.lstrip("#"), justify="right" if name.startswith("#") else "left", overflow="fold"
            )
        for row in rows:
            made.add_row(*(self.text(cell) if not hasattr(cell, "plain") else cell for cell in row))
        return made

    @cached_property
    def _main(self) -> Console:
        return self._console(sys.stderr if self.json else sys.stdout)

    @cached_property
    def _side(self) -> Console:
        return self._console(sys.stderr)

    @property
    def side(self) -> Console:
        """Standard error: progress is shown there."""
        return self._side

    @property
    def width(self) -> int:
        """Columns of what was asked for."""
        return self._main.width

    @property
    def colours(self) -> bool:
        """Whether what was asked for is coloured."""
        return self._main.is_terminal and not self._main.no_color

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console

        width = None if stream.isatty() else int(os.environ.get("COLUMNS") or WIDE)
        return Console(
            file=stream,
            width=width,
            no_color=self._no_color or None,
            highlight=False,
            markup=False,
            emoji=False,
        )
