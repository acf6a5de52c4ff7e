"""retry and dead-letters replay: trying again what failed, as part of an ordinary sync."""

from __future__ import annotations

from collections.abc import Sequence

from crmbridge.cli.session import Session
from crmbridge.cli.sync import options

__all__ = ["retry"]


def retry(session: Session, command: str, letters: Sequence[int] | None, allow: list[str]) -> int:
    """Try these dead letters again (None: all), print how it went; returns the exit code."""
    from crmbridge.cli.report import PLAN, Watch, report_run

    wanted = options(session, allow=allow)
    before = {one.id for one in session.bridge().store.dead_letters("open")}
    with session.running() as bridge, Watch(bridge) as watch:
        keep = bridge.config.root / PLAN
        outcome = bridge.retry(letters, wanted, keep=keep)
    tried = before if letters is None else before & set(letters)
    left = {one.id for one in session.bridge().store.dead_letters("open")}
    session.output.say(f"{len(tried - left)} of {len(tried)} dead letters are settled.")
    return report_run(session, command, outcome, watch, plan=keep)
