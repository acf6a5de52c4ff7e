"""plan, apply and sync: what would be written, and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crmbridge.cli.session import Session

if TYPE_CHECKING:
    from crmbridge.bridge import Options

__all__ = ["LIMITS", "options", "register"]

LIMITS = ("creates", "updates", "deletes", "clears", "reverts", "rejects", "vanished", "backwards")
"""What --allow lifts; `backwards`: the guard against a source that was set back to an older state."""

ALLOW = typer.Option(
    [],
    "--allow",
    metavar="LIMIT",
    help=f"Lift a safety limit for this run: {', '.join(LIMITS)}. May be repeated.",
)
ONLY_INTO = typer.Option(None, "--only-into", metavar="SYSTEM", help="Write to this system only.")
FULL = typer.Option(False, "--full", help="Read every record, not only what changed.")
SHOW = typer.Option(20, "--show", metavar="N", min=0, help="Operations shown for each kind; 0: all.")


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(plan)
    app.command()(apply)
    app.command()(sync)


def options(
    session: Session,
    *,
    allow: list[str] | None = None,
    only_into: str | None = None,
    full: bool = False,
    accept_config: bool = False,
    link_only: bool = False,
) -> Options:
    """The options of a run, checked."""
    from crmbridge.bridge import Options
    from crmbridge.config import meant
    from crmbridge.sdk.errors import ConfigError

    for name in allow or ():
        if name.removeprefix("limits.") not in LIMITS:
            raise ConfigError(f"--allow: there is no limit {name!r}", hint=meant(name, LIMITS))
    known = session.bridge().config.systems
    if only_into is not None and only_into not in known:
        raise ConfigError(f"--only-into: there is no system {only_into!r}", hint=meant(only_into, known))
    lifted = frozenset(name.removeprefix("limits.") for name in allow or ())
    return Options(lifted, only_into, full, accept_config, link_only)


def plan(
    ctx: typer.Context,
    out: Path | None = typer.Option(None, "--out", "-o", metavar="FILE", help="Save the plan, for apply."),
    detailed_exitcode: bool = typer.Option(
        False, "--detailed-exitcode", help="End with 4 if anything would be written, with 5 beyond a limit."
    ),
    only_into: str | None = ONLY_INTO,
    full: bool = FULL,
    show: int = SHOW,
) -> None:
    """Show what sync would write. Nothing is written, and nothing that sync relies on moves."""
    from crmbridge.cli.report import report_plan

    session: Session = ctx.obj
    wanted = options(session, only_into=only_into, full=full)
    with session.running() as bridge:
        outcome, saved = bridge.plan(wanted, out=out)
    raise typer.Exit(report_plan(session, outcome, saved, out=out, most=show, detailed=detailed_exitcode))


def apply(
    ctx: typer.Context,
    file: Path = typer.Argument(metavar="FILE", help="A plan that plan --out or a stopped sync saved."),
    strict: bool = typer.Option(False, "--strict", help="Write nothing if any of it is no longer true."),
    allow: list[str] = ALLOW,
) -> None:
    """Write what a saved plan holds and is still true."""
    from crmbridge.cli.report import Watch, report_run

    session: Session = ctx.obj
    wanted = options(session, allow=allow)
    with session.running() as bridge, Watch(bridge) as watch:
        outcome = bridge.apply(file, wanted, strict=strict)
    raise typer.Exit(report_run(session, "apply", outcome, watch, plan=None))


def sync(  # noqa: PLR0913 - one for each option
    ctx: typer.Context,
    *,
    accept_config: bool = typer.Option(
        False,
        "--accept-config",
        help="A changed mapping, policy, connector or plugin needs no look at the plan.",
    ),
    allow: list[str] = ALLOW,
    only_into: str | None = ONLY_INTO,
    full: bool = FULL,
    link_only: bool = typer.Option(False, "--link-only", help="Read and match records, and write nothing."),
    show: int = SHOW,
) -> None:
    """Bring all systems into agreement. Stops at the plan where a person has to look first."""
    from crmbridge.cli.report import PLAN, Watch, report_run

    session: Session = ctx.obj
    wanted = options(
        session, allow=allow, only_into=only_into, full=full, accept_config=accept_config, link_only=link_only
    )
    with session.running() as bridge, Watch(bridge) as watch:
        keep = bridge.config.root / PLAN
        outcome = bridge.sync(wanted, keep=keep)
    raise typer.Exit(report_run(session, "sync", outcome, watch, plan=keep, most=show))
