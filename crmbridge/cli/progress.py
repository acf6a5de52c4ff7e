"""Progress of long work: bars on a terminal, otherwise a line every half minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from crmbridge.cli.output import Output
    from crmbridge.sdk.hookspecs import RunEvent

__all__ = ["progress"]

Show = Callable[["RunEvent"], None]

EVERY = 30.0
"""Seconds between two lines where there is no terminal."""
_VERBS = {"pull": "reading", "resolve": "matching", "plan": "comparing", "push": "writing"}
_SUMMED = ("resolve", "plan", "push")
"""Stages whose events count what came since the last one."""


@contextmanager
def progress(output: Output) -> Iterator[Show]:
    """A listener for run events that shows how far a run is."""
    if output.quiet:
        yield lambda event: None
    elif output.side.is_terminal:
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(bar_width=24),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[rate]}"),
            bars.TimeRemainingColumn(),
        )
        with bars.Progress(*columns, console=output.side, transient=True) as shown:
            yield _Bars(shown).show
    else:
        yield _Lines(output, time.monotonic).show


class _Bars:
    """One bar for each system, entity and stage."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: RunEvent) -> None:
        if event.kind not in ("progress", "stage-ended"):
            return
        title = _title(event)
        if title not in self._tasks:
            self._tasks[title] = self._shown.add_task(title, total=None, rate="")
        task = self._shown.tasks[self._shown.task_ids.index(self._tasks[title])]
        if event.kind == "stage-ended":
            done = task.completed if event.stage in _SUMMED else event.count
            self._shown.update(task.id, completed=done, total=done)
            return
        done = task.completed + event.count if event.stage in _SUMMED else event.count
        rate = f"{done / task.elapsed:,.0f}/s" if task.elapsed and task.elapsed > 1 else ""
        self._shown.update(task.id, completed=done, total=event.total, rate=rate)


class _Lines:
    """A line now and then, for logs of cron and containers."""

    def __init__(self, output: Output, now: Callable[[], float]) -> None:
        self._output = output
        self._now = now
        self._told = now()
        self._begun: dict[str, float] = {}
        self._done: dict[str, int] = {}

    def show(self, event: RunEvent) -> None:
        if event.kind != "progress":
            return
        title, now = _title(event), self._now()
        begun = self._begun.setdefault(title, now)
        before = self._done.get(title, 0) if event.stage in _SUMMED else 0
        self._done[title] = before + event.count
        if now - self._told < EVERY:
            return
        self._told = now
        of = f" of {event.total:,}" if event.total else ""
        rate = f", {self._done[title] / (now - begun):,.0f}/s" if now > begun else ""
        self._output.say(f"{title}: {self._done[title]:,}{of}{rate}")


def _title(event: RunEvent) -> str:
    what = "/".join(part for part in (event.system, event.text or event.entity) if part)
    return f"{_VERBS.get(event.stage, event.stage)} {what}"
