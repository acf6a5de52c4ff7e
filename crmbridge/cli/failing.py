"""What an error ends with: a message and an exit code, never a traceback unless asked for."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from crmbridge.cli.interrupt import Interrupted
from crmbridge.cli.session import GlobalOptions, Session

__all__ = ["INTERRUPTED", "TERMINATED", "ending"]

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
TERMINATED = 143
"""128 + SIGTERM."""
BROKEN_PIPE = 141
"""128 + SIGPIPE: whoever read our output has left."""


@contextmanager
def ending(ctx: Any) -> Iterator[None]:
    """Turn whatever leaves a command into a message and an exit code."""
    try:
        yield
        sys.stdout.flush()
    except typer.Exit:
        raise
    except typer.Abort:  # a question was denied, or met the end of what is typed
        _tell_abort(_session(ctx))
        raise typer.Exit(1) from None
    except Interrupted as stopped:
        _session(ctx).output.say_always(f"stopped by {stopped.name}: {stopped.outlook}")
        raise typer.Exit(stopped.exit_code) from None
    except BrokenPipeError:
        # Nothing can be printed any more; Python's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE) from None
    except (Exception, SystemExit) as error:  # a connector may do that: its failure is no quiet end
        if hasattr(error, "show"):  # a mistake on the command line: typer shows it with the usage
            _tell_number(error)
            _emit_usage(_session(ctx), error)
            raise
        raise typer.Exit(_report(_session(ctx), error)) from None
    finally:
        if isinstance(ctx.obj, Session):
            ctx.obj.close()


def _session(ctx: Any) -> Session:
    return (
        ctx.obj if isinstance(ctx.obj, Session) else Session(GlobalOptions(json=bool(ctx.params.get("json"))))
    )


def _tell_abort(session: Session) -> None:
    text, hint = (
        "stopped: nothing was changed",
        "In a script give the answer by its option: --help tells which",
    )
    if session.options.json:
        from crmbridge.cli.messages.base import ErrorMessage

        session.output.emit(ErrorMessage(error="Abort", message=text, hint=hint, exit_code=1))
    session.output.say_always(f"\n{text}. {hint}")


def _tell_number(error: Any) -> None:
    """What is no number, in other words than those of whoever looked for one."""
    if "valid integer" in getattr(error, "message", "") and error.param is not None:
        error.message = f"that is no whole number. {error.param.help}"


def _emit_usage(session: Session, error: Any) -> None:
    if session.options.json:
        from crmbridge.cli.messages.base import ErrorMessage

        text = error.format_message()
        session.output.emit(ErrorMessage(error="UsageError", message=text, exit_code=error.exit_code))


def _report(session: Session, error: Exception | SystemExit) -> int:
    from crmbridge.sdk.errors import CrmbridgeError
    from crmbridge.sdk.remedy import remedy

    told = session.redact("".join(traceback.format_exception(error)))
    if session.options.debug:
        sys.stderr.write(told)
    if isinstance(error, CrmbridgeError):
        session.output.error(error)
        return error.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
        session.output.error(CrmbridgeError(text, hint=remedy(error, "read and write it")))
        return 1
    hint = None if session.options.debug else f"the details are in {_kept(told)}; with --debug they are shown"
    session.output.error(
        CrmbridgeError(f"this should not have happened: {type(error).__name__}: {error}", hint=hint)
    )
    return 1


def _kept(told: str) -> str:
    """A file, readable only by its owner, in which the traceback was put."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", errors="backslashreplace", prefix="crmbridge-", suffix=".log", delete=False
    ) as file:
        file.write(told)
    return file.name
