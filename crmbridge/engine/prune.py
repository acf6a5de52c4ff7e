"""What happened long ago is forgotten at the end of a run, so that the state does not grow for ever.

Kept is whatever a later run goes by: links and what every record last said (with `before` and `sent`),
deletes, judgements, possible duplicates, open dead letters, uncertain and owed operations, refusals that
still hold, conflicts that wait or about which a person has decided. Each step is a small transaction of its
own: a run that is killed in between has forgotten a part, and the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from crmbridge.engine.run import Run
from crmbridge.identity.policy import HUB
from crmbridge.store.base import Store

__all__ = ["forgotten", "prune"]

CHUNK = 2_000
"""So many rows go in one transaction."""
FORGOTTEN = "forgotten"
"""The setting with the last run whose details are gone."""


def forgotten(store: Store) -> int:
    """The last run of which is no longer known what it wrote and found; 0: none."""
    return int(store.setting(FORGOTTEN) or 0)


def prune(run: Run) -> None:
    """Forget what is older than the config wants it kept."""
    store, before = run.store, run.now() - run.keep_details
    last, gone = store.run_before(before), store.run_before(run.now() - run.keep_runs)
    with store.transaction():  # first: nothing that is half gone passes for whole
        store.put_setting(FORGOTTEN, str(max(last, forgotten(store))))
    steps: list[Callable[[int], int]] = [
        partial(store.prune_writes, last),
        partial(store.prune_notes, last),
        partial(store.prune_conflicts, last, HUB),
        partial(store.prune_letters, before),
        partial(store.prune_refusals, last),
        partial(store.prune_done, last, before),
        partial(store.prune_runs, gone),
    ]
    for step in steps:
        _to_the_end(store, step)


def _to_the_end(store: Store, step: Callable[[int], int]) -> None:
    count = CHUNK
    while count == CHUNK:
        with store.transaction():
            count = step(CHUNK)
