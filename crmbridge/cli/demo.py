"""demo: a folder to play with, or the whole story told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crmbridge.cli.failing import INTERRUPTED, TERMINATED
from crmbridge.cli.interrupt import raising
from crmbridge.cli.session import Session

if TYPE_CHECKING:
    from crmbridge.demo.story import Step

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(demo)


def demo(
    ctx: typer.Context,
    folder: Path | None = typer.Argument(
        None, metavar="DIR", help="Write the folder there for you to play with; without: tell the story."
    ),
) -> None:
    """Three small systems of a tea company become one: see it, or get the folder to play with."""
    from crmbridge.demo import write

    session: Session = ctx.obj
    output = session.output
    if folder is not None:
        write(folder)
        output.print(f"{folder} is ready; README.md in it says what to try.")
        output.print(f"  cd {folder}\n  crmbridge plan")
        return
    with raising(), tempfile.TemporaryDirectory(prefix="crmbridge-demo-") as temporary:
        place = Path(temporary) / "tea"
        write(place)
        _tell(session, place)
    output.print("\nTo play with it yourself: crmbridge demo DIR")


def _tell(session: Session, place: Path) -> None:
    from crmbridge.demo.story import STORY

    for number, step in enumerate(STORY, 1):
        session.output.print(session.output.text(f"\n{number}. {step.title}", "bold cyan"))
        if step.act is not None:
            session.output.print(f"   {step.act(place)}")
        if step.command:
            _run(session, step, place)


def _run(session: Session, step: Step, place: Path) -> None:
    """As a person would: in a process of its own."""
    from crmbridge.sdk.errors import FatalError

    session.output.print(session.output.text(f"   $ crmbridge {' '.join(step.command)}", "dim"))
    colours = {"FORCE_COLOR": "1"} if session.output.colours else {}
    sys.stdout.flush()
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the other process, too: it tells
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "crmbridge", *step.command, *(["--json"] if session.output.json else [])],
            cwd=place,
            env={**os.environ, "COLUMNS": str(session.output.width), **colours},
            check=False,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    if done.returncode in (INTERRUPTED, TERMINATED):
        raise typer.Exit(done.returncode)
    if done.returncode != step.exit_code:
        raise FatalError(
            f"crmbridge {' '.join(step.command)} ended with {done.returncode}, expected {step.exit_code}"
        )
