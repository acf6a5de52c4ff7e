"""check: whether everything is ready, and how safe it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from crmbridge.cli.session import Session

if TYPE_CHECKING:
    from crmbridge.engine.checkup import CheckLine

__all__ = ["register"]

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "bold red")}


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(check)


def check(ctx: typer.Context) -> None:
    """Look whether config, mappings, plugins, credentials and rights are in order, and how safe it all is.

    All that is wrong is told at once: a wrong or missing mapping keeps no system from being looked at.

    Protection: whether a system notices that a record changed while it was being written, and whether a
    create whose answer was lost can be looked up. Precision: fields that a system stores otherwise than it
    was sent. Coverage: fields of golden records that a system has no place for, and streams that no sync
    has to do with.
    """
    from crmbridge.bridge import checks

    session: Session = ctx.obj
    output = session.output
    lines: list[CheckLine] = []
    for line in checks.check(session.bridge(tolerant=True)):
        lines.append(line)
        _emit(session, line)
    for title, found in _groups(session, lines):
        output.print(output.text(f"\n{title}", "bold"))
        for line in found:
            _show(session, line)
    errors = [line for line in lines if line.level == "error"]
    warnings = sum(line.level == "warning" for line in lines)
    output.print("")
    if errors:
        told = f"{_counted(len(errors), 'error')}, {_counted(warnings, 'warning')}"
        output.print(output.text(told, "bold red"))
    else:
        ending = f", {_counted(warnings, 'warning')}" if warnings else ""
        output.print(output.text(f"Ready{ending}.", "bold green"))
    raise typer.Exit(_code(errors))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _code(errors: Iterable[CheckLine]) -> int:
    """What to mend first: the config, then the state, then credentials."""
    codes = {line.exit_code for line in errors}
    return next((code for code in (2, 13, 12) if code in codes), 1 if codes else 0)


def _groups(session: Session, lines: list[CheckLine]) -> Iterable[tuple[str, list[CheckLine]]]:
    config = session.bridge().config
    yield f"{config.path}", [line for line in lines if not line.system] or [_all_well()]
    for name, system in config.systems.items():
        found = [line for line in lines if line.system == name]
        yield f"{name} ({system.connector}, {system.mode})", found


def _all_well() -> CheckLine:
    from crmbridge.engine.checkup import CheckLine

    return CheckLine("ok", "config", "config, mappings, plugins and state are in order")


def _show(session: Session, line: CheckLine) -> None:
    output = session.output
    sign, style = _SIGNS[line.level]
    text = output.text(f"  {sign} ", style).append(output.text(f"{line.topic:<13}", "dim"))
    text.append(output.text(f"{line.stream}: " if line.stream else "")).append(output.text(line.text))
    output.print(text)
    if line.hint and line.level != "ok":
        output.print(output.text(f"{'':17}{line.hint}", "dim"))


def _emit(session: Session, line: CheckLine) -> None:
    from crmbridge.cli.messages.systems import FindingMessage

    session.output.emit(
        FindingMessage(
            level=line.level,
            topic=line.topic,
            system=line.system,
            stream=line.stream,
            text=line.text,
            hint=line.hint or None,
        )
    )
