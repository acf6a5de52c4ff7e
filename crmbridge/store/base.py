"""What the engine keeps between runs, and the promise that every backend makes.

The promise (held by the suite in tests/store, which each backend passes):

- `transaction()` is all or nothing, also for a process that is killed inside it. Every write belongs to one.
- What a method returns is a copy: changing it changes nothing until it is put back.
- Listings come in ascending order of their id and can go on after any id, so that nobody needs a table in
  memory.
- Times are integers, microseconds since 1970 UTC. JSON is text. Identifiers are text except record ids.
- Only one run writes at a time: `lock()`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from crmbridge.store.rows import (
    ConflictRow,
    DeadLetterRow,
    GoldenRow,
    IntentRow,
    JudgementRow,
    KnownRecord,
    NoteRow,
    OpenPair,
    OwedRow,
    Parting,
    RecordRow,
    RunRow,
    StreamRow,
    SystemRow,
    WriteRow,
)

__all__ = ["Store"]


class Store(Protocol):
    """See the module's docstring. `after` and `limit` page through listings."""

    # the whole
    def transaction(self) -> AbstractContextManager[None]: ...
    def lock(self, holder: str) -> AbstractContextManager[None]:
        """Be the only run. Raises LockedError naming the holder. The kernel frees it when we die."""
        ...

    def scratch(self) -> AbstractContextManager[Store]:
        """A copy to try things on; thrown away at the end. `plan` works on one."""
        ...

    def put_history(self, run: int, mark: str) -> None:
        """This run goes on from the state as it is; mark: a text that no other moment has. It is kept in the
        state and, where the state is a file, beside it, so that an older copy of it gives itself away."""
        ...

    def later_run(self) -> int | None:
        """The run that went on from this state and of which it knows nothing, since it was restored from a
        backup; None: none is known."""
        ...

    def check(self) -> list[str]:
        """Problems of the state as sentences; empty when it is sound."""
        ...

    def close(self) -> None: ...

    # small things
    def setting(self, key: str) -> str | None: ...
    def put_setting(self, key: str, value: str | None) -> None: ...
    def session(self, system: str) -> MutableMapping[str, str]:
        """A durable key-value store of one system; each change is committed at once."""
        ...

    # systems and streams
    def systems(self) -> list[SystemRow]: ...
    def put_system(self, row: SystemRow) -> None: ...
    def remove_system(self, name: str) -> None:
        """Forget a system with its streams, records, intents and session."""
        ...

    def rename_system(self, old: str, new: str) -> None: ...
    def stream(self, system: str, stream: str) -> StreamRow: ...
    def put_stream(self, row: StreamRow) -> None: ...

    # records
    def known(
        self, system: str, stream: str, native_ids: Sequence[str]
    ) -> Mapping[tuple[str, str], KnownRecord]:
        """(scope, native id) -> what is known of the main record (part == "")."""
        ...

    def records(self, system: str, stream: str, native_ids: Sequence[str]) -> list[RecordRow]:
        """All records of these native ids, every scope and part."""
        ...

    def put_records(self, rows: Iterable[RecordRow]) -> None:
        """Insert (id 0) or replace; a row that exists under its unique key is replaced whatever its id says,
        and keeps its id."""
        ...

    def records_by_id(self, ids: Sequence[int]) -> list[RecordRow]: ...
    def records_of(self, golden_ids: Sequence[str]) -> dict[str, list[RecordRow]]: ...
    def unresolved(self, entity: str, after: int, limit: int) -> list[RecordRow]: ...
    def records_in(self, system: str, stream: str, after: int, limit: int) -> list[RecordRow]: ...
    def set_links(self, links: Iterable[tuple[int, str]]) -> None:
        """(record id, golden id): link them, and mark them resolved and the golden records dirty."""
        ...

    def mark_resolved(self, record_ids: Iterable[int]) -> None:
        """Their identity was looked at, and they stay where they are."""
        ...

    def mark_unresolved(self, golden_ids: Iterable[str]) -> None:
        """The identity of all records of these golden records has to be looked at again."""
        ...

    def golden_of(
        self, system: str, entity: str, native_ids: Sequence[str], stream: str | None
    ) -> dict[tuple[str, str], str]:
        """(scope, native id) -> golden id, of linked records of one system; `ID#PART` names a further record
        of the native one; golden ids that were merged are followed."""
        ...

    def natives_of(self, system: str, golden_ids: Sequence[str]) -> dict[str, dict[str, RecordRow]]:
        """Golden id -> scope -> the record that receives writes there: the first linked main record that
        lives, else the first that is out of scope, else the first."""
        ...

    def count_records(self, system: str, entity: str) -> int:
        """Live linked records."""
        ...

    def count_stream(self, system: str, stream: str) -> int:
        """Live main records of a stream, linked or not."""
        ...

    # the sweep: what a complete listing lacks
    def sweep_begin(self, system: str, stream: str) -> None:
        """A listing begins: of the records that are there by now, it shows those that it will be told to
        have shown. Those that come later are no part of it."""
        ...

    def sweep_saw(self, system: str, stream: str, record_ids: Iterable[int]) -> None:
        """Main records that the listing shows."""
        ...

    def sweep_settle(self, system: str, stream: str) -> tuple[int, int]:
        """The listing is complete: settle what is missing in it. How many live records it lacks, and of how
        many."""
        ...

    def sweep_missing(self, system: str, stream: str, after: int, limit: int) -> list[RecordRow]:
        """Records, live or out of scope, that the listing lacks, and the further ones of main records that
        it lacks."""
        ...

    def sweep_end(self, system: str, stream: str) -> None: ...

    # identity
    def put_keys(self, entity: str, keys: Mapping[int, Iterable[str]]) -> None:
        """Record id -> its identity keys; replaces those it had."""
        ...

    def records_with_keys(self, entity: str, keys: Sequence[str]) -> dict[str, list[tuple[int, str | None]]]:
        """Key -> (record id, golden id) of each record that has it."""
        ...

    def put_judgement(self, row: JudgementRow, pairs: Iterable[tuple[int, int]]) -> int:
        """Keep what a person said, and the pairs of records (by their ids) that it holds for; its id."""
        ...

    def revoke_judgement(self, judgement_id: int, by: str, why: str, at: int) -> None:
        """It is taken back, and still listed. Of those that were told one a person is asked again."""
        ...

    def judgements(self, after: int, limit: int) -> list[JudgementRow]: ...
    def judged(self, record_ids: Sequence[int], verdict: Literal["one", "apart"]) -> dict[int, set[int]]:
        """Record id -> the records of which a person said that they are one with it, or are not."""
        ...

    def forget_apart(self, pairs: Iterable[tuple[int, int]]) -> set[int]:
        """These pairs are told apart no more; the judgements that hold for no pair any more by that."""
        ...

    def parted(self, golden_ids: Sequence[str]) -> dict[str, dict[str, Parting]]:
        """Golden id -> golden records that do not become one with it by themselves, by what a person said of
        any of their records. apart: they are two; asked: that they are one was taken back, and a person is
        asked again."""
        ...

    # who may be one; a pair is (record id, record id, key), and is kept and given both ways
    def doubts(self, record_ids: Sequence[int]) -> set[tuple[int, int, str]]:
        """The pairs of these records, but for those that a system merged."""
        ...

    def put_doubts(
        self, new: Iterable[tuple[int, int, str]], gone: Iterable[tuple[int, int, str]], at: int
    ) -> None: ...
    def doubts_by(self, key: str, record_ids: Sequence[int]) -> set[tuple[int, int, str]]:
        """The pairs among these records by one key."""
        ...

    def count_open_pairs(self) -> int:
        """Pairs of golden records that wait for a person; see `crmbridge.store.doubts`."""
        ...

    def open_pairs(self, entity: str | None, system: str | None, limit: int) -> list[OpenPair]:
        """Those pairs, the oldest first; of one entity, or with a record of one system, where given."""
        ...

    def open_among(self, golden_ids: Sequence[str]) -> set[tuple[str, str]]:
        """Those pairs of which both are among these golden records, the lower id first."""
        ...

    def twins(self, golden_ids: Sequence[str]) -> dict[str, dict[str, list[tuple[int, int, str]]]]:
        """Golden id -> the other one of each open pair -> its pairs of records, the own record first."""
        ...

    def count_turned(self) -> int:
        """Links that wait for a person: of one record that says person, and one that says organization."""
        ...

    def turned(self, limit: int) -> list[tuple[str, int, int, int]]:
        """(entity, record id, record id, since) of each of them, the oldest first."""
        ...

    def generic_keys(self, shared_by: int) -> list[tuple[str, str, int]]:
        """(entity, key, golden records) of each identity key that more than `shared_by` of them have, the
        most shared first."""
        ...

    # golden records
    def goldens(self, ids: Sequence[str]) -> dict[str, GoldenRow]: ...
    def put_goldens(self, rows: Iterable[GoldenRow]) -> None: ...
    def golden_ids(self, entity: str, after: str, limit: int) -> list[str]: ...
    def dirty_goldens(self, entity: str, after: str, limit: int) -> list[str]: ...
    def mark_dirty(self, golden_ids: Iterable[str]) -> None: ...
    def mark_all_dirty(self, entity: str) -> None: ...
    def clear_dirty(self, golden_ids: Iterable[str]) -> None: ...
    def referring(self, golden_ids: Sequence[str]) -> list[str]:
        """Golden ids whose document refers to one of these."""
        ...

    def untaken(self, golden_ids: Sequence[str], entity: str, system: str, since: int) -> list[str]:
        """Golden ids of `entity` whose document refers to one of these and that `system` has no record of, or
        took by a create that was done at `since` or later."""
        ...

    def put_references(self, references: Mapping[str, Iterable[str]]) -> None:
        """Golden id -> what its document refers to (golden ids, and names of records that have not come yet);
        replaces those it had."""
        ...

    def put_search(self, terms: Mapping[str, Iterable[str]]) -> None:
        """Golden id -> its search terms; replaces those it had."""
        ...

    def search(self, terms: Sequence[str], limit: int) -> list[str]:
        """Golden ids that have, for each of `terms`, a term that begins with it."""
        ...

    def terms(self, golden_ids: Sequence[str]) -> dict[str, set[str]]:
        """Golden id -> its terms; ids without any are left out."""
        ...

    def journal(self, golden_id: str, event: str, details: str, at: int) -> None:
        """Append to the identity journal: created, joined, merged, split, and what people said."""
        ...

    def history(self, golden_id: str) -> list[tuple[int, str, str]]:
        """(time, event, details) in order."""
        ...

    def journalled(self, events: Sequence[str], after: int, until: int) -> list[tuple[int, str, str, str]]:
        """(time, golden id, event, details) of these events, in order, after `after` and up to `until`."""
        ...

    # intents
    def put_intents(self, rows: Iterable[IntentRow]) -> None: ...
    def intents(
        self, run: int, system: str | None, statuses: Sequence[str], after: int, limit: int
    ) -> list[IntentRow]:
        """Of one run (and system) in order of `position`, after a position."""
        ...

    def intent_goldens(
        self, system: str, golden_ids: Sequence[str], kind: str, statuses: Sequence[str], since: int = 0
    ) -> dict[str, str]:
        """Those of `golden_ids` that have an intent of this kind and status in this system, one that got its
        status after `since` -> the intent's scope."""
        ...

    def intents_of(self, golden_ids: Sequence[str], statuses: Sequence[str]) -> list[IntentRow]:
        """Of these golden records, of any run."""
        ...

    def count_intents(self, run: int) -> dict[tuple[str, str, str], int]:
        """(system, entity, kind) -> the operations of a run, sent or to be sent; not those that were set
        aside, nor transitions of a record that is counted already: the same run creates or updates it, or the
        last run that wrote there created it."""
        ...

    def open_intents(self, system: str | None) -> list[IntentRow]:
        """Sent, accepted or uncertain, of any run: to be settled before anything else."""
        ...

    def intents_with(self, statuses: Sequence[str], limit: int) -> list[IntentRow]: ...
    def move_intents(self, loser: str, survivor: str) -> None:
        """Operations on one golden record are on another from now on, which is owed anew what it lacks."""
        ...

    def drop_intents(self, statuses: Sequence[str], ids: Sequence[str] | None = None) -> None:
        """Delete those with one of these statuses (of any run; only `ids` where given) and mark their golden
        records dirty: they will be planned again."""
        ...

    # what targets are owed
    def put_owed(
        self, golden_ids: Sequence[str], rows: Iterable[OwedRow], keep: Collection[tuple[str, str]] = ()
    ) -> None:
        """These golden records are owed this and nothing else, but for what is owed to the pairs of golden id
        and system in `keep`. What was owed for the same reason before is owed since then."""
        ...

    def add_owed(self, rows: Iterable[OwedRow]) -> None:
        """Owed besides what is; changes `since` of the rows to when that began."""
        ...

    def release_owed(self, system: str) -> None:
        """Mark the golden records dirty of which this system is owed something: they are planned again."""
        ...

    def settle_owed(self, run: int) -> None:
        """What this run has sent waits no more."""
        ...

    def owed(self, why: str, before: int, limit: int) -> list[OwedRow]:
        """What is owed since `before` or longer, the oldest first."""
        ...

    def count_owed(self, why: str, before: int) -> int: ...

    # what one run remembers
    def put_marks(self, mark: str, items: Iterable[str]) -> None:
        """Remember these under a name, until they are dropped."""
        ...

    def marked(self, mark: str, items: Iterable[str]) -> set[str]:
        """Those of `items` that are remembered under this name."""
        ...

    def count_marks(self, mark: str) -> int: ...
    def marks(self, mark: str, after: str, limit: int) -> list[str]:
        """What has this mark, sorted, from behind `after` on."""
        ...

    def drop_marks(self, mark: str, items: Iterable[str] | None = None) -> None:
        """Remember these no more, or with None nothing under this name."""
        ...

    # what people look at
    def put_dead_letter(self, row: DeadLetterRow) -> int:
        """One open letter for each (kind, system, stream, scope, native id): every run that repeats
        it counts as an attempt. Its id; 0 where a person dropped a letter of this very record, which has not
        changed."""
        ...

    def dead_letters(self, status: str | None = "open", system: str | None = None) -> list[DeadLetterRow]: ...
    def open_letters(
        self, kind: str, system: str, stream: str, keys: Iterable[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        """Those of these (scope, native id) that have an open letter."""
        ...

    def count_letters(self, kind: str, system: str, stream: str, after: int) -> tuple[int, int]:
        """How many letters of a stream are open of those that came after the letter `after`, and the latest
        of them (0: none)."""
        ...

    def letter_reasons(
        self, kind: str, system: str, stream: str, after: int, number: int
    ) -> list[tuple[str, int, str]]:
        """Of the same letters the first errors, so many at most: (native id of the first with it, how many
        have it, the error)."""
        ...

    def count_open_letters(self) -> int: ...

    def dead_letter(self, letter_id: int) -> DeadLetterRow | None: ...
    def settle_dead_letter(self, letter_id: int, status: str) -> None: ...
    def settle_dead_letters_of(
        self, kind: str, system: str, stream: str, keys: Iterable[tuple[str, str]]
    ) -> None:
        """These (scope, native id) succeeded after all."""
        ...

    def settle_older_letters(self, kind: str, system: str, stream: str, run: int, since: int) -> None:
        """Nothing failed again that failed in another run, or before the time `since`."""
        ...

    def begin_run(self, row: RunRow) -> int: ...
    def end_run(self, row: RunRow) -> None: ...
    def runs(self, limit: int) -> list[RunRow]: ...
    def put_writes(self, rows: Iterable[WriteRow]) -> None: ...
    def writes(self, run: int, after: tuple[int, int], limit: int) -> list[WriteRow]:
        """Of one run, record by record, after a row's (record id, id); the first page comes after (-1, 0)."""
        ...

    def put_conflicts(self, rows: Sequence[ConflictRow]) -> list[ConflictRow]:
        """Returns those that were not known yet."""
        ...

    def conflicts(self, golden_id: str | None, run: int | None, limit: int) -> list[ConflictRow]: ...
    def undecided_conflicts(self, limit: int) -> list[ConflictRow]:
        """Those about which a person had to decide when they were recorded, the oldest first."""
        ...

    def put_notes(self, rows: Iterable[NoteRow]) -> None: ...
    def notes(
        self, run: int | None, golden_id: str | None, limit: int, kind: str | None = None
    ) -> list[NoteRow]: ...

    # what is old: each deletes up to `limit` rows and says how many they were
    def run_before(self, at: int) -> int:
        """The latest run that began before this time; 0: none is known."""
        ...

    def prune_writes(self, run: int, limit: int) -> int:
        """What runs wrote over, up to this one."""
        ...

    def prune_notes(self, run: int, limit: int) -> int:
        """What runs found, up to this one."""
        ...

    def prune_conflicts(self, run: int, decided_in: str, limit: int) -> int:
        """Conflicts last seen by runs up to this one; not the latest of a field that is undecided, and none
        of golden records that have a record in the system `decided_in`: a person's word is about them."""
        ...

    def prune_letters(self, before: int, limit: int) -> int:
        """Settled letters of what failed last before this time."""
        ...

    def prune_refusals(self, run: int, limit: int) -> int:
        """Rejected operations of runs up to this one that one done or rejected since has replaced."""
        ...

    def prune_done(self, run: int, before: int, limit: int) -> int:
        """Operations of runs up to this one that were done before this time; not those of the last run that
        had any in that system: limits, and stock that was not read since, go by them."""
        ...

    def prune_runs(self, run: int, limit: int) -> int:
        """Runs up to this one."""
        ...
