"""Whatever is put in whatever order, the store answers as a dict would."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from crmbridge.store import open_store
from crmbridge.store.rows import KnownRecord, RecordRow

STREAMS = st.sampled_from([("shop", "customers"), ("shop", "orders"), ("crm", "customers")])
NATIVE_IDS = st.sampled_from(["1", "2", "10", "ä", "王", "\U0001f600"])
SCOPES = st.sampled_from(["", "b"])
PARTS = st.sampled_from(["", "", "p"])
STATUSES = st.sampled_from(["live", "gone", "archived", "out"])
ROWS = st.builds(
    lambda place, native_id, scope, part, status, seen, row_id: RecordRow(
        *(*place, native_id, "party", scope, part),
        id=row_id,
        status=status,
        seen=seen,
        raw_hash=seen.encode(),
    ),
    *(
        STREAMS,
        NATIVE_IDS,
        SCOPES,
        PARTS,
        STATUSES,
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
    ),
    st.just(0),
)
Key = tuple[str, str, str, str, str]


def key_of(row: RecordRow) -> Key:
    return (row.system, row.stream, row.native_id, row.scope, row.part)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = open_store("sqlite://", now=lambda: 0)
        self.model: dict[Key, RecordRow] = {}
        self.listed: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self.begun: dict[tuple[str, str], set[Key]] = {}
        """The records that were there when the listing began."""

    def teardown(self) -> None:
        self.store.close()

    def of(self, place: tuple[str, str]) -> list[RecordRow]:
        return [row for key, row in self.model.items() if key[:2] == place]

    def ids(self, place: tuple[str, str], keys: list[tuple[str, str]]) -> list[int]:
        known = self.store.known(*place, [native_id for _, native_id in keys])
        return [known[key].id for key in keys if key in known]

    def is_listed(self, place: tuple[str, str], row: RecordRow) -> bool:
        main = (*place, row.native_id, row.scope, "")
        came_later = main in self.model and main not in self.begun[place]
        return came_later or (row.scope, row.native_id) in self.listed[place]

    @rule(rows=st.lists(ROWS, max_size=6))
    def put(self, rows: list[RecordRow]) -> None:
        with self.store.transaction():
            self.store.put_records(rows)
        for row in rows:
            self.model[key_of(row)] = row

    @rule(rows=st.lists(ROWS, max_size=4), keys=st.lists(st.tuples(SCOPES, NATIVE_IDS)))
    def fail(self, rows: list[RecordRow], keys: list[tuple[str, str]]) -> None:
        try:
            with self.store.transaction():
                self.store.put_records(rows)
                self.store.sweep_saw("shop", "customers", self.ids(("shop", "customers"), keys))
                raise KeyError
        except KeyError:
            pass

    @rule(place=STREAMS, status=STATUSES)
    def change_what_was_read(self, place: tuple[str, str], status: str) -> None:
        rows = [replace(row, status=status) for row in self.store.records_in(*place, 0, 99)]  # type: ignore[arg-type]
        with self.store.transaction():
            self.store.put_records(rows)
        for row in rows:
            self.model[key_of(row)] = replace(row, id=0)

    @rule(place=STREAMS, native_ids=st.lists(NATIVE_IDS))
    def read(self, place: tuple[str, str], native_ids: list[str]) -> None:
        expected = {key_of(row): row for row in self.of(place) if row.native_id in native_ids}
        found = self.store.records(*place, native_ids)
        assert {key_of(row): replace(row, id=0) for row in found} == expected
        assert len(found) == len(expected)
        known = self.store.known(*place, native_ids)
        assert known == {
            (row.scope, row.native_id): KnownRecord(
                *(found_row.id, row.raw_hash, row.mapped_by, row.status, row.version, row.read_at)
            )
            for found_row in found
            if not (row := expected[key_of(found_row)]).part
        }

    @rule(place=STREAMS)
    def begin(self, place: tuple[str, str]) -> None:
        with self.store.transaction():
            self.store.sweep_begin(*place)
        self.listed[place] = set()
        self.begun[place] = {key_of(row) for row in self.of(place)}

    @rule(place=STREAMS, keys=st.lists(st.tuples(SCOPES, NATIVE_IDS)))
    def saw(self, place: tuple[str, str], keys: list[tuple[str, str]]) -> None:
        with self.store.transaction():
            self.store.sweep_saw(*place, self.ids(place, keys))
        there = {(row.scope, row.native_id) for row in self.of(place) if not row.part}
        if place in self.begun:
            self.listed[place].update(there & set(keys))

    @rule(place=STREAMS, limit=st.integers(1, 3))
    def missing(self, place: tuple[str, str], limit: int) -> None:
        with self.store.transaction():
            settled = self.store.sweep_settle(*place)
        found: list[RecordRow] = []
        while rows := self.store.sweep_missing(*place, found[-1].id if found else 0, limit):
            found.extend(rows)
        begun = self.begun.get(place, set())
        old = [row for row in self.of(place) if key_of(row) in begun]
        lacking = [row for row in old if not self.is_listed(place, row)]
        expected = [row for row in lacking if row.status in ("live", "out")]
        assert sorted(map(key_of, found)) == sorted(map(key_of, expected))
        live = [row for row in self.of(place) if row.status == "live"]
        assert settled == (sum(row.status == "live" for row in lacking), len(live))
        assert self.store.count_stream(*place) == sum(not row.part for row in live)

    @invariant()
    def listings_are_whole_and_in_order(self) -> None:
        for place in [("shop", "customers"), ("shop", "orders"), ("crm", "customers")]:
            rows = self.store.records_in(*place, 0, 99)
            assert [row.id for row in rows] == sorted(row.id for row in rows)
            assert {key_of(row) for row in rows} == {key_of(row) for row in self.of(place)}


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
