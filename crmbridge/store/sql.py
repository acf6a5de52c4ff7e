"""The store in an SQL database, composed of one part for each kind of thing that is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from crmbridge.store.address import backend_of
from crmbridge.store.base import Store
from crmbridge.store.database import Database
from crmbridge.store.doubts import Doubts
from crmbridge.store.goldens import Goldens
from crmbridge.store.intents import Intents
from crmbridge.store.judgements import Judgements
from crmbridge.store.marks import Marks
from crmbridge.store.migrations import NEWEST, upgrade
from crmbridge.store.owed import Owed
from crmbridge.store.postgres import Postgres
from crmbridge.store.pruning import Pruning
from crmbridge.store.records import Records
from crmbridge.store.reports import DeadLetters, Reports
from crmbridge.store.soundness import contradictions
from crmbridge.store.sqlite import Sqlite
from crmbridge.store.sweep import Sweep
from crmbridge.store.systems import Systems

__all__ = ["SqlStore", "open_store"]


_HISTORY = "history"
"""Setting: the marks of the last two moments at which a run went on from this state."""


def open_store(url: str, *, now: Callable[[], int]) -> Store:
    """Open the state, and make it when it does not exist.

    url: sqlite:///relative.db, sqlite:////absolute.db, sqlite:// (in memory: for tests), or
        postgresql+psycopg://user:password@host/database.
    now: the time, microseconds since 1970 UTC.
    Raises ConfigError for another URL, StateError for a state that is damaged, newer or out of reach.
    """
    backend = backend_of(url)
    database = backend.connect(NEWEST)
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return SqlStore(database, backend, now)


class SqlStore:
    """See `Store` for what each method promises."""

    def __init__(  # noqa: PLR0915 (a list of who does what, no procedure)
        self,
        database: Database,
        backend: Sqlite | Postgres,
        now: Callable[[], int],
        sessions_in: Database | None = None,
    ) -> None:
        self._database = database
        self._backend = backend
        self._now = now
        self.transaction = database.transaction
        self.close = database.close

        systems = self._systems = Systems(database, sessions_in)
        self.setting = systems.setting
        self.put_setting = systems.put_setting
        self.session = systems.session
        self.systems = systems.systems
        self.put_system = systems.put_system
        self.remove_system = systems.remove_system
        self.rename_system = systems.rename_system
        self.stream = systems.stream
        self.put_stream = systems.put_stream

        records = Records(database, systems)
        self.known = records.known
        self.records = records.records
        self.put_records = records.put_records
        self.records_by_id = records.records_by_id
        self.records_of = records.records_of
        self.unresolved = records.unresolved
        self.records_in = records.records_in
        self.set_links = records.set_links
        self.mark_resolved = records.mark_resolved
        self.mark_unresolved = records.mark_unresolved
        self.golden_of = records.golden_of
        self.natives_of = records.natives_of
        self.count_records = records.count_records
        self.count_stream = records.count_stream

        sweep = Sweep(database, systems)
        self.sweep_begin = sweep.sweep_begin
        self.sweep_saw = sweep.sweep_saw
        self.sweep_missing = sweep.sweep_missing
        self.sweep_settle = sweep.sweep_settle
        self.sweep_end = sweep.sweep_end

        goldens = Goldens(database)
        self.put_keys = goldens.put_keys
        self.records_with_keys = goldens.records_with_keys
        self.goldens = goldens.goldens
        self.put_goldens = goldens.put_goldens
        self.golden_ids = goldens.golden_ids
        self.dirty_goldens = goldens.dirty_goldens
        self.mark_dirty = goldens.mark_dirty
        self.mark_all_dirty = goldens.mark_all_dirty
        self.clear_dirty = goldens.clear_dirty
        self.referring = goldens.referring
        self.untaken = goldens.untaken
        self.put_references = goldens.put_references
        self.put_search = goldens.put_search
        self.search = goldens.search
        self.terms = goldens.terms
        self.journal = goldens.journal
        self.history = goldens.history
        self.journalled = goldens.journalled

        judgements = Judgements(database)
        self.put_judgement = judgements.put_judgement
        self.revoke_judgement = judgements.revoke_judgement
        self.judgements = judgements.judgements
        self.judged = judgements.judged
        self.forget_apart = judgements.forget_apart
        self.parted = judgements.parted

        doubts = Doubts(database)
        self.doubts = doubts.doubts
        self.put_doubts = doubts.put_doubts
        self.doubts_by = doubts.doubts_by
        self.count_open_pairs = doubts.count_open_pairs
        self.open_pairs = doubts.open_pairs
        self.open_among = doubts.open_among
        self.twins = doubts.twins
        self.count_turned = doubts.count_turned
        self.turned = doubts.turned
        self.generic_keys = doubts.generic_keys

        intents = Intents(database)
        self.put_intents = intents.put_intents
        self.intents = intents.intents
        self.intent_goldens = intents.intent_goldens
        self.intents_of = intents.intents_of
        self.count_intents = intents.count_intents
        self.open_intents = intents.open_intents
        self.intents_with = intents.intents_with
        self.move_intents = intents.move_intents
        self.drop_intents = intents.drop_intents

        owed = Owed(database)
        self.put_owed = owed.put_owed
        self.add_owed = owed.add_owed
        self.release_owed = owed.release_owed
        self.settle_owed = owed.settle_owed
        self.owed = owed.owed
        self.count_owed = owed.count_owed

        marks = Marks(database)
        self.put_marks = marks.put_marks
        self.marked = marks.marked
        self.count_marks = marks.count_marks
        self.marks = marks.marks
        self.drop_marks = marks.drop_marks

        letters = DeadLetters(database, now)
        self.put_dead_letter = letters.put_dead_letter
        self.dead_letters = letters.dead_letters
        self.open_letters = letters.open_letters
        self.count_letters = letters.count_letters
        self.letter_reasons = letters.letter_reasons
        self.count_open_letters = letters.count_open_letters
        self.dead_letter = letters.dead_letter
        self.settle_dead_letter = letters.settle_dead_letter
        self.settle_dead_letters_of = letters.settle_dead_letters_of
        self.settle_older_letters = letters.settle_older_letters

        reports = Reports(database, now)
        self.begin_run = reports.begin_run
        self.end_run = reports.end_run
        self.runs = reports.runs
        self.put_writes = reports.put_writes
        self.writes = reports.writes
        self.put_conflicts = reports.put_conflicts
        self.conflicts = reports.conflicts
        self.undecided_conflicts = reports.undecided_conflicts
        self.put_notes = reports.put_notes
        self.notes = reports.notes

        pruning = Pruning(database)
        self.run_before = pruning.run_before
        self.prune_writes = pruning.prune_writes
        self.prune_notes = pruning.prune_notes
        self.prune_conflicts = pruning.prune_conflicts
        self.prune_letters = pruning.prune_letters
        self.prune_refusals = pruning.prune_refusals
        self.prune_done = pruning.prune_done
        self.prune_runs = pruning.prune_runs

    def lock(self, holder: str) -> AbstractContextManager[None]:
        return self._backend.lock(self._database, holder, self._now)

    @contextmanager
    def scratch(self) -> Iterator[Store]:
        if self._systems.sessions_in is not self._database:
            raise RuntimeError("a scratch has none of its own")
        # A token that is renewed while planning is the only one that is valid afterwards: sessions stay here.
        with self._backend.scratch(self._database) as copy:
            yield SqlStore(copy, self._backend, self._now, sessions_in=self._database)

    def put_history(self, run: int, mark: str) -> None:
        before = (self.setting(_HISTORY) or "").partition(" ")[0]
        with self.transaction():
            self.put_setting(_HISTORY, f"{mark} {before}")
        # The state first: if the process dies in between, it knows what stands beside it as what was before.
        self._backend.put_history(f"{mark} {run}\n")

    def later_run(self) -> int | None:
        known, beside = self.setting(_HISTORY), (self._backend.history() or "").split()
        if known is None or len(beside) != 2 or beside[0] in known.split():
            return None
        return int(beside[1]) if beside[1].isdecimal() else None

    def check(self) -> list[str]:
        return [*self._backend.damages(self._database), *contradictions(self._database)]
