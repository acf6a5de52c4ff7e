"""What every backend of the store promises. A backend passes by a subclass with the fixture `url`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from crmbridge.sdk.errors import LockedError, RecordError
from crmbridge.store import Store, open_store
from crmbridge.store.doubts import TURNED
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
    RecordRow,
    RunRow,
    StreamRow,
    SystemRow,
    WriteRow,
)

NOW = 1_700_000_000_000_000
OTHER_PROCESS = Path(__file__).with_name("other_process.py")


def now() -> int:
    return NOW


def record(native_id: str, **fields: object) -> RecordRow:
    row = RecordRow("shop", "customers", native_id, "party", raw_hash=native_id.encode(), mapped_by="m1")
    return replace(row, **fields)  # type: ignore[arg-type]


def intent(name: str, **fields: object) -> IntentRow:
    row = IntentRow(name, 1, "shop", "customers", "party", "create", f"g-{name}", "{}")
    return replace(row, **fields)  # type: ignore[arg-type]


def letter(native_id: str, **fields: object) -> DeadLetterRow:
    return replace(DeadLetterRow("record", "shop", "customers", native_id, "bad", "{}"), **fields)  # type: ignore[arg-type]


def put(store: Store, *rows: RecordRow) -> list[RecordRow]:
    """Put records, and return them as they are then."""
    with store.transaction():
        store.put_records(rows)
    return [stored(store, row) for row in rows]


def stored(store: Store, row: RecordRow) -> RecordRow:
    key = (row.scope, row.part)
    return next(r for r in store.records(row.system, row.stream, [row.native_id]) if (r.scope, r.part) == key)


def link(store: Store, **golden_of: str) -> None:
    """Native id -> golden id, of records in shop/customers without scope and part."""
    rows = {
        row.native_id: row.id for row in store.records("shop", "customers", list(golden_of)) if not row.part
    }
    with store.transaction():
        store.put_goldens(GoldenRow(g, "party", dirty=False) for g in golden_of.values())
        store.set_links((rows[native_id], golden_id) for native_id, golden_id in golden_of.items())


def three_records(store: Store) -> list[int]:
    """The ids of 1 and 2 in the shop, and of 3 in the CRM."""
    return [row.id for row in put(store, record("1"), record("2"), record("3", system="crm"))]


@contextmanager
def undone(store: Store) -> Iterator[None]:
    """A transaction that fails at its end."""
    with suppress(ZeroDivisionError), store.transaction():
        yield
        raise ZeroDivisionError


@contextmanager
def other_process(url: str, what: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does `what` with the same state, has said so, and goes on until it is killed."""
    command = [sys.executable, str(OTHER_PROCESS), url, what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{what}\n"
            yield process
        finally:
            process.kill()


class StoreSuite:
    """Subclasses have a fixture `url`: an empty state."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with closing(open_store(url, now=now)) as store:
            yield store

    # the whole

    def test_what_was_committed_is_there_when_it_is_opened_again(self, store: Store, url: str) -> None:
        (before,) = put(
            store, record("ü-1", seen='{"name": "王小明 \U0001f600 مرحبا"}', state=None, version="7")
        )
        store.close()
        with closing(open_store(url, now=now)) as again:
            assert again.records("shop", "customers", ["ü-1"]) == [before]
            assert again.setting("schema") == "1"

    def test_a_transaction_that_raises_leaves_nothing(self, store: Store) -> None:
        put(store, record("old"))
        with undone(store):
            store.put_records([record("new"), record("old", status="gone")])
            store.put_setting("x", "1")
            store.put_stream(StreamRow("crm", "people", cursor="5"))
        assert [(r.native_id, r.status) for r in store.records_in("shop", "customers", 0, 9)] == [
            ("old", "live")
        ]
        assert store.setting("x") is None
        assert store.stream("crm", "people") == StreamRow("crm", "people")

    def test_a_part_of_a_transaction_is_all_or_nothing_too(self, store: Store) -> None:
        with store.transaction():
            store.put_setting("a", "1")
            with undone(store):
                store.put_setting("a", "2")
                store.put_setting("b", "2")
            with store.transaction():
                store.put_setting("c", "3")
        assert [store.setting(key) for key in "abc"] == ["1", None, "3"]

    def test_a_write_outside_of_a_transaction_is_refused(self, store: Store) -> None:
        with pytest.raises(RuntimeError, match="outside"):
            store.put_setting("a", "1")
        with pytest.raises(RuntimeError, match="outside"):
            store.put_records([record("1")])
        assert store.setting("a") is None

    def test_a_killed_process_leaves_what_was_before_its_transaction(self, store: Store, url: str) -> None:
        put(store, record("before"))
        with other_process(url, "written") as process:
            process.kill()
            process.wait()
        assert [row.native_id for row in store.records_in("shop", "customers", 0, 9)] == ["before"]
        put(store, record("after"))
        assert store.check() == []

    def test_a_process_killed_at_any_moment_leaves_whole_transactions(self, store: Store, url: str) -> None:
        for milliseconds in (0, 3, 11, 29, 53):
            with other_process(url, "writing") as process:
                time.sleep(milliseconds / 1000)  # the moment is what is tried, there is no event for it
                process.kill()
                process.wait()
            with store.transaction():
                written = len(store.runs(100_000))
            rows = [row for row in _all(store) if row.native_id.startswith("run")]
            assert len(rows) == 50 * written
            assert store.check() == []

    def test_what_a_method_returns_is_a_copy(self, store: Store) -> None:
        put(store, record("1"))
        first = store.records("shop", "customers", ["1"])[0]
        first.status = "gone"
        assert store.records("shop", "customers", ["1"])[0].status == "live"

    def test_threads_use_one_store_in_turn(self, store: Store) -> None:
        put(store, record("1"))
        failures: list[BaseException] = []

        def work(name: str) -> None:
            try:
                for number in range(20):
                    store.session(name)["count"] = str(number)
                    with store.transaction():
                        store.put_setting(name, str(number))
                        assert store.setting(name) == str(number)
                    assert list(store.known("shop", "customers", ["1"])) == [("", "1")]
            except BaseException as error:  # noqa: BLE001 (shown by the assertion below)
                failures.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert [store.setting(name) for name in "abc"] == ["19"] * 3

    # lock

    def test_a_second_run_is_told_who_holds_the_lock(self, store: Store, url: str) -> None:
        with closing(open_store(url, now=now)) as second:
            with store.lock("sync --only-into 王"):
                with pytest.raises(LockedError) as caught, second.lock("plan"):
                    pytest.fail("two hold the lock")
                assert caught.value.exit_code == 11
                assert "sync --only-into 王" in str(caught.value)
                assert "2023-11-14 22:13:20" in str(caught.value)
            with second.lock("plan"), pytest.raises(LockedError, match="plan"), store.lock("sync"):
                pytest.fail("two hold the lock")

    def test_the_lock_of_a_killed_process_is_free(self, store: Store, url: str) -> None:
        with other_process(url, "locked") as process:
            with pytest.raises(LockedError, match=f"process {process.pid} on "), store.lock("sync"):
                pytest.fail("two hold the lock")
            process.kill()
            process.wait()
            deadline = time.monotonic() + 10
            while True:  # a server takes a moment to see that its client is dead
                try:
                    with store.lock("sync"):
                        return
                except LockedError:
                    assert time.monotonic() < deadline

    def test_reading_and_writing_need_no_lock(self, store: Store, url: str) -> None:
        with other_process(url, "locked"):
            put(store, record("1"))
            assert len(store.records_in("shop", "customers", 0, 9)) == 1

    # scratch

    def test_scratch_has_everything_and_keeps_nothing(self, store: Store, url: str) -> None:
        put(store, record("1"))
        with store.scratch() as copy:
            put(copy, record("2"), record("1", status="gone"))
            with undone(copy):
                copy.put_records([record("3")])
            seen = [(row.native_id, row.status) for row in copy.records_in("shop", "customers", 0, 9)]
            assert seen == [("1", "gone"), ("2", "live")]
            assert [row.native_id for row in store.records_in("shop", "customers", 0, 9)] == ["1"]
        assert [(r.native_id, r.status) for r in store.records_in("shop", "customers", 0, 9)] == [
            ("1", "live")
        ]

    def test_ids_go_on_in_a_scratch(self, store: Store) -> None:
        (one,) = put(store, record("1"))
        with store.scratch() as copy:
            (two,) = put(copy, record("2"))
            assert two.id > one.id

    def test_a_scratch_has_none_of_its_own(self, store: Store) -> None:
        with store.scratch() as copy, pytest.raises(RuntimeError), copy.scratch():
            pytest.fail("what would it be a copy of?")

    def test_the_state_can_be_written_while_there_is_a_scratch(self, store: Store) -> None:
        with store.scratch() as copy:
            put(copy, record("1"))
            put(store, record("2"))
            assert [row.native_id for row in copy.records_in("shop", "customers", 0, 9)] == ["1"]
        assert [row.native_id for row in store.records_in("shop", "customers", 0, 9)] == ["2"]

    def test_a_token_renewed_in_a_scratch_is_kept(self, store: Store) -> None:
        store.session("shop")["token"] = "old"
        with store.scratch() as copy:
            copy.session("shop")["token"] = "new"
            assert store.session("shop")["token"] == "new"

    # check

    def test_contradictions_are_found(self, store: Store) -> None:
        (row, _) = put(store, record("1"), record("2"))
        assert store.check() == []
        with store.transaction():
            store.set_links([(row.id, "nobody")])
            store.put_keys("party", {77: ["email:x"]})
            store.put_goldens([GoldenRow("g", "party", merged_into="gone")])
            store.put_references({"void": ["g"]})
        problems = "\n".join(store.check())
        assert (
            f"1 records are linked to a golden record that does not exist; the first is {row.id}" in problems
        )
        assert "the first is 77" in problems
        assert "the first is g" in problems
        assert "the first is void" in problems

    # settings, sessions, systems, streams

    def test_settings(self, store: Store) -> None:
        with store.transaction():
            store.put_setting("a", "1")
            store.put_setting("a", "2")
            store.put_setting("b", "x")
            store.put_setting("b", None)
        assert (store.setting("a"), store.setting("b")) == ("2", None)

    def test_a_session_is_a_mapping_of_its_own_for_each_system(self, store: Store) -> None:
        shop, crm = store.session("shop"), store.session("crm")
        shop["token"], shop["a"], crm["token"] = "s", "1", "c"
        del shop["a"]
        assert (dict(shop), dict(crm), len(shop)) == ({"token": "s"}, {"token": "c"}, 1)
        with pytest.raises(KeyError):
            del shop["a"]
        with pytest.raises(KeyError):
            shop["a"]

    def test_a_change_of_a_session_is_committed_at_once(self, store: Store, url: str) -> None:
        store.session("shop")["token"] = "new"
        with closing(open_store(url, now=now)) as other:
            assert other.session("shop")["token"] == "new"

    def test_a_session_refuses_a_change_that_a_transaction_could_undo(self, store: Store) -> None:
        with store.transaction(), pytest.raises(RuntimeError, match="session"):
            store.session("shop")["token"] = "new"
        assert dict(store.session("shop")) == {}

    def test_systems_and_streams_are_kept_whole(self, store: Store) -> None:
        system = SystemRow("shop", "sql", "db:1", paused=True, clock_offset=-5, last_success=NOW)
        stream = StreamRow("shop", "customers", '["2024", "7"]', 1, 2, 3, 4)
        with store.transaction():
            store.put_system(SystemRow("crm"))
            store.put_system(system)
            store.put_stream(StreamRow("shop", "customers", "x"))
            store.put_stream(stream)
        assert store.systems() == [SystemRow("crm"), system]
        assert store.stream("shop", "customers") == stream
        assert store.stream("shop", "orders") == StreamRow("shop", "orders")

    def test_a_removed_system_is_forgotten_and_no_other(self, store: Store) -> None:
        rows = put(store, record("1"), record("1", system="crm"))
        with store.transaction():
            for system in ("shop", "crm"):
                store.put_system(SystemRow(system))
                store.put_stream(StreamRow(system, "customers", cursor="c"))
                store.put_intents([intent(system, system=system, status="sent")])
                store.sweep_begin(system, "customers")
            store.put_keys("party", {row.id: ["email:a"] for row in rows})
        store.session("shop")["t"] = store.session("crm")["t"] = "x"
        with store.transaction():
            store.remove_system("shop")
        assert store.systems() == [SystemRow("crm")]
        assert store.stream("shop", "customers").cursor is None
        assert store.records("shop", "customers", ["1"]) == []
        assert [r.system for r in store.records("crm", "customers", ["1"])] == ["crm"]
        assert store.records_with_keys("party", ["email:a"]) == {"email:a": [(rows[1].id, None)]}
        assert [row.id for row in store.open_intents(None)] == ["crm"]
        assert (dict(store.session("shop")), dict(store.session("crm"))) == ({}, {"t": "x"})
        assert put(store, record("2"))[0].id > max(row.id for row in rows), "an id was given again"

    def test_the_last_id_of_a_removed_system_is_not_given_again(self, store: Store) -> None:
        for _ in range(2):
            rows = put(store, record("1", system="crm"), record("1"), record("2"))
            with store.transaction():
                store.remove_system("shop")
            assert store.check() == []
            assert store.records("shop", "customers", ["1", "2"]) == []
            assert store.records_by_id([row.id for row in rows]) == rows[:1]
            assert put(store, record("3"))[0].id > max(row.id for row in rows)

    def test_a_renamed_system_keeps_everything(self, store: Store) -> None:
        put(store, record("1"))
        store.session("shop")["t"] = "x"
        with store.transaction():
            store.put_system(SystemRow("shop", "sql"))
            store.put_intents([intent("i", status="sent")])
            store.put_dead_letter(letter("9"))
            store.rename_system("shop", "店")
        assert [row.system for row in store.records("店", "customers", ["1"])] == ["店"]
        assert store.records("shop", "customers", ["1"]) == []
        assert store.systems() == [SystemRow("店", "sql")]
        assert dict(store.session("店")) == {"t": "x"}
        assert [row.system for row in store.open_intents("店")] == ["店"]
        assert [row.system for row in store.dead_letters()] == ["店"]

    # records

    def test_a_record_is_kept_whole(self, store: Store) -> None:
        given = RecordRow(
            *("shop", "customers", "1", "party", "company-1", "company:Müller"),
            golden_id="g",
            status="archived",
            raw_hash=b"\x00\xff",
            version="v1",
            seen='{"a": "\\u0000"}',
            state='{"b": 2}',
            mapped_by="m",
            read_at=NOW,
            gone_at=NOW + 1,
            deleted_by_us=True,
            unresolved=False,
            former="a b",
        )
        (found,) = put(store, given)
        assert found == replace(given, id=found.id)
        assert found.deleted_by_us is True
        assert found.unresolved is False

    def test_one_native_id_has_one_record_for_each_scope_and_part(self, store: Store) -> None:
        rows = [record("1"), record("1", scope="b"), record("1", part="p"), record("1", scope="b", part="p")]
        put(store, *rows, record("1", stream="orders"), record("1", system="crm"))
        found = store.records("shop", "customers", ["1", "1", "2"])
        assert [(r.scope, r.part) for r in found] == [("", ""), ("b", ""), ("", "p"), ("b", "p")]

    def test_known_tells_of_main_records_only(self, store: Store) -> None:
        rows = put(
            store,
            record("1", status="gone"),
            record("1", scope="b", mapped_by="m2"),
            record("1", part="p"),
            record("2", part="p"),
            record("3", system="crm"),
        )
        assert store.known("shop", "customers", ["1", "2", "3", "4", "1"]) == {
            ("", "1"): KnownRecord(rows[0].id, b"1", "m1", "gone", None, 0),
            ("b", "1"): KnownRecord(rows[1].id, b"1", "m2", "live", None, 0),
        }
        assert store.known("shop", "nothing", ["1"]) == {}
        assert store.known("shop", "customers", []) == {}

    @pytest.mark.parametrize("claimed", [0, 1, 2, 999])
    def test_a_record_under_its_key_is_replaced_whatever_its_id_says(
        self, store: Store, claimed: int
    ) -> None:
        one, two = put(store, record("1"), record("2"))
        assert (one.id, two.id) == (1, 2)
        (found,) = put(store, record("1", id=claimed, seen='{"new": 1}'))
        assert found == replace(one, seen='{"new": 1}')
        assert stored(store, two) == two
        assert len(_all(store)) == 2

    def test_a_record_can_get_another_native_id(self, store: Store) -> None:
        (one,) = put(store, record("draft"))
        (found,) = put(store, replace(one, native_id="final"))
        assert found == replace(one, native_id="final")
        assert len(_all(store)) == 1

    def test_the_last_of_equal_records_in_one_call_stays(self, store: Store) -> None:
        put(store, record("1", seen="1"), record("1", seen="2"))
        assert [row.seen for row in _all(store)] == ["2"]

    def test_listings_go_on_after_any_id(self, store: Store) -> None:
        put(
            store,
            *(record(str(n)) for n in range(7)),
            record("x", system="crm"),
            record("y", entity="product"),
        )
        found: list[RecordRow] = []
        while rows := store.unresolved("party", found[-1].id if found else 0, 3):
            assert len(rows) <= 3
            found.extend(rows)
        assert [row.native_id for row in found] == [*"0123456", "x"]
        ids = [row.id for row in store.records_in("shop", "customers", 2, 4)]
        assert ids == [3, 4, 5, 6]

    def test_records_by_id_and_by_golden_id(self, store: Store) -> None:
        one, two, three = put(store, record("1"), record("2"), record("3", part="p"))
        link(store, **{"1": "g1", "2": "g2"})
        with store.transaction():
            store.set_links([(three.id, "g1")])
        assert [row.native_id for row in store.records_by_id([two.id, one.id, 99])] == ["1", "2"]
        found = store.records_of(["g1", "g2", "g3"])
        assert {golden: [row.native_id for row in rows] for golden, rows in found.items()} == {
            "g1": ["1", "3"],
            "g2": ["2"],
        }

    def test_a_link_resolves_the_record_and_marks_both_golden_records(self, store: Store) -> None:
        (one,) = put(store, record("1"))
        link(store, **{"1": "g1"})
        assert store.unresolved("party", 0, 9) == []
        assert store.dirty_goldens("party", "", 9) == ["g1"]
        with store.transaction():
            store.put_goldens([GoldenRow("g2", "party", dirty=False)])
            store.clear_dirty(["g1"])
            store.set_links([(one.id, "g2")])
        assert store.dirty_goldens("party", "", 9) == ["g1", "g2"]

    def test_a_record_that_was_looked_at_and_stays_marks_nothing(self, store: Store) -> None:
        one, two = put(store, record("1"), record("2"))
        with store.transaction():
            store.mark_resolved([one.id])
        assert [row.id for row in store.unresolved("party", 0, 9)] == [two.id]
        link(store, **{"1": "g1"})
        with store.transaction():
            store.clear_dirty(["g1"])
            store.put_records([replace(stored(store, one), unresolved=True)])
            store.mark_resolved([one.id])
        assert [row.id for row in store.unresolved("party", 0, 9)] == [two.id]
        assert (stored(store, one).golden_id, store.dirty_goldens("party", "", 9)) == ("g1", [])

    def test_the_records_of_a_golden_record_are_to_be_resolved_again(self, store: Store) -> None:
        put(store, record("1"), record("2"), record("3"))
        link(store, **{"1": "g1", "2": "g1", "3": "g3"})
        assert store.unresolved("party", 0, 9) == []
        with store.transaction():
            store.mark_unresolved(["g1", "g9"])
        assert [row.native_id for row in store.unresolved("party", 0, 9)] == ["1", "2"]

    def test_golden_of_and_natives_of(self, store: Store) -> None:
        put(
            store,
            record("1", status="gone"),
            record("2"),
            record("3"),
            record("4", part="p"),
            record("5", stream="leads"),
            record("6", entity="product"),
        )
        link(store, **{"1": "g1", "2": "g1", "3": "g3"})
        with store.transaction():
            store.set_links((row.id, "g1") for row in store.records("shop", "leads", ["5"]))
            store.set_links((row.id, "g6") for row in store.records("shop", "customers", ["4", "6"]))
        ids = ["1", "2", "3", "4", "5", "6", "7"]
        linked = {("", "1"): "g1", ("", "2"): "g1", ("", "3"): "g3", ("", "5"): "g1"}
        assert store.golden_of("shop", "party", ids, None) == linked
        assert store.golden_of("shop", "party", ids, "leads") == {("", "5"): "g1"}
        assert store.golden_of("crm", "party", ids, None) == {}
        assert store.golden_of("shop", "party", ["4#p", "4#q", "1#p"], None) == {("", "4#p"): "g6"}
        natives = store.natives_of("shop", ["g1", "g3", "g6", "g9"])
        found = {golden: rows[""].native_id for golden, rows in natives.items()}
        assert found == {"g1": "2", "g3": "3", "g6": "6"}
        assert store.count_records("shop", "party") == 4
        with store.transaction():
            store.put_records(replace(row, status="gone") for row in _all(store))
        assert store.natives_of("shop", ["g1"])["g1"][""].native_id == "5"
        assert store.count_records("shop", "party") == 1
        with store.transaction():
            store.put_records(replace(row, status="gone") for row in store.records("shop", "leads", ["5"]))
        assert store.natives_of("shop", ["g1"])["g1"][""].native_id == "1"
        with store.transaction():
            store.put_records(replace(r, status="out") for r in store.records("shop", "customers", ["2"]))
        assert store.natives_of("shop", ["g1"])["g1"][""].native_id == "2"

    def test_the_same_native_id_of_two_scopes_is_two_records(self, store: Store) -> None:
        rows = put(store, record("1", scope="a"), record("1", scope="b"), record("2", scope="b"))
        with store.transaction():
            store.put_goldens(GoldenRow(g, "party") for g in ("g1", "g2"))
            store.set_links([(rows[0].id, "g1"), (rows[1].id, "g2"), (rows[2].id, "g1")])
        found = store.golden_of("shop", "party", ["1", "2"], None)
        assert found == {("a", "1"): "g1", ("b", "1"): "g2", ("b", "2"): "g1"}
        natives = store.natives_of("shop", ["g1", "g2"])
        shown = {golden: {s: row.native_id for s, row in some.items()} for golden, some in natives.items()}
        assert shown == {"g1": {"a": "1", "b": "2"}, "g2": {"b": "1"}}

    def test_a_live_record_comes_before_a_dead_one_of_the_same_scope(self, store: Store) -> None:
        rows = put(store, record("1", status="gone"), record("1", stream="leads"))
        with store.transaction():
            store.set_links([(rows[0].id, "dead"), (rows[1].id, "alive")])
        assert store.golden_of("shop", "party", ["1"], None) == {("", "1"): "alive"}

    def test_merged_golden_ids_are_followed_to_the_end(self, store: Store) -> None:
        put(store, record("1"), record("2"))
        link(store, **{"1": "a", "2": "d"})
        with store.transaction():
            chain = {"a": "b", "b": "c", "c": None, "d": "e", "e": "d"}
            store.put_goldens(GoldenRow(old, "party", merged_into=new) for old, new in chain.items())
        found = store.golden_of("shop", "party", ["1", "2"], None)
        assert found["", "1"] == "c"
        assert found["", "2"] in {"d", "e"}, "a circle must end"

    # sweep

    def test_a_sweep_finds_what_the_listing_lacks(self, store: Store) -> None:
        rows = put(
            store,
            record("1"),
            record("1", part="p"),
            record("2"),
            record("2", part="p"),
            record("3", scope="b"),
            record("4", status="gone"),
            record("5", status="out"),
            record("6", stream="orders"),
            record("7"),
        )
        with store.transaction():
            store.sweep_begin("shop", "customers")
            store.sweep_begin("shop", "orders")
        for _ in range(2):
            with store.transaction():
                store.sweep_saw("shop", "customers", [rows[0].id])
        put(store, record("8"), record("8", part="p"), record("3", part="p"), record("1", part="q"))
        with store.transaction():
            assert store.sweep_settle("shop", "customers") == (4, 10)
            assert store.sweep_settle("shop", "orders") == (1, 1)
            assert store.sweep_settle("shop", "nothing") == (0, 0)
        missing = store.sweep_missing("shop", "customers", 0, 9)
        assert [(r.native_id, r.part) for r in missing] == [
            *[("2", ""), ("2", "p"), ("3", ""), ("5", ""), ("7", "")]
        ]
        assert [row.native_id for row in store.sweep_missing("shop", "orders", 0, 9)] == ["6"]
        assert store.count_stream("shop", "customers") == 5
        assert store.count_stream("shop", "nothing") == 0
        again = store.sweep_missing("shop", "customers", missing[1].id, 1)
        assert [row.native_id for row in again] == ["3"]
        with store.transaction():
            store.sweep_end("shop", "customers")
        assert store.sweep_missing("shop", "customers", 0, 9) == []
        assert [row.native_id for row in store.sweep_missing("shop", "orders", 0, 9)] == ["6"]

    def test_a_listing_goes_on_after_a_crash_and_begins_anew_when_told(self, store: Store, url: str) -> None:
        one, two = put(store, record("1"), record("2"))
        with store.transaction():
            store.sweep_begin("shop", "customers")
            store.sweep_saw("shop", "customers", [one.id])
        store.close()
        with closing(open_store(url, now=now)) as again:
            with again.transaction():
                again.sweep_settle("shop", "customers")
            assert [r.native_id for r in again.sweep_missing("shop", "customers", 0, 9)] == ["2"]
            with again.transaction():
                again.sweep_begin("shop", "customers")
                again.sweep_saw("shop", "customers", [two.id])
                again.sweep_settle("shop", "customers")
            assert [r.native_id for r in again.sweep_missing("shop", "customers", 0, 9)] == ["1"]

    # identity

    def test_keys_are_replaced_and_found(self, store: Store) -> None:
        one, two = put(store, record("1"), record("2"))
        link(store, **{"2": "g2"})
        with store.transaction():
            store.put_keys("party", {one.id: ["email:old", "tel:1", "tel:1"], two.id: ["tel:1"]})
            store.put_keys("product", {one.id: ["tel:1"]})
            store.put_keys("party", {one.id: ["email:王", "tel:1"]})
        assert store.records_with_keys("party", ["email:old", "email:王", "tel:1", "tel:2"]) == {
            "email:王": [(one.id, None)],
            "tel:1": [(one.id, None), (two.id, "g2")],
        }
        with store.transaction():
            store.put_keys("party", {one.id: []})
        assert store.records_with_keys("party", ["email:王", "tel:1"]) == {"tel:1": [(two.id, "g2")]}

    def test_pairs_that_were_told_apart_are_found_from_either(self, store: Store) -> None:
        one, two, three = three_records(store)
        said = JudgementRow("apart", "party", "g1", "g2", "shop/customers/1", "王小明", "asked", NOW)
        with store.transaction():
            first = store.put_judgement(said, [(two, one), (one, three), (one, two)])
            store.put_judgement(replace(said, verdict="one"), [(two, three)])
        assert store.judged([one], "apart") == {one: {two, three}}
        assert store.judged([two, three, 99], "apart") == {two: {one}, three: {one}}
        assert store.judged([two], "one") == {two: {three}}
        with store.transaction():
            assert store.forget_apart([(one, two), (two, three)]) == set()
        assert store.judged([one, two, three], "apart") == {one: {three}, three: {one}}
        with store.transaction():
            assert store.forget_apart([(three, one)]) == {first}
        assert store.judged([two], "one") == {two: {three}}

    def test_judgements_are_listed_and_hold_until_they_are_revoked(self, store: Store) -> None:
        one, two, _ = three_records(store)
        said = JudgementRow("apart", "party", "g1", "g2", "shop/customers/1", "Eve", "asked", NOW, "[7]")
        with store.transaction():
            numbers = [store.put_judgement(said, [(one, two)]) for _ in range(2)]
        assert store.judgements(0, 9) == [replace(said, id=number) for number in numbers]
        assert store.judgements(numbers[0], 1) == [replace(said, id=numbers[1])]
        with store.transaction():
            store.revoke_judgement(numbers[0], "王小明", "wrong", NOW + 1)
        assert store.judged([one], "apart") == {one: {two}}
        assert store.judgements(0, 1) == [
            replace(said, id=numbers[0], revoked_at=NOW + 1, revoked_by="王小明", revoked_why="wrong")
        ]
        with store.transaction():
            store.revoke_judgement(numbers[1], "王小明", "wrong", NOW + 1)
        assert store.judged([one, two], "apart") == {}

    def test_golden_records_are_apart_by_any_of_their_records(self, store: Store) -> None:
        one, two, three = three_records(store)
        with store.transaction():
            store.put_judgement(JudgementRow("apart", "party", "g1", "g3", "", "Eve", ""), [(one, three)])
        assert store.parted(["g1", "g3"]) == {}
        link(store, **{"1": "g1", "2": "g1"})
        with store.transaction():
            store.set_links([(three, "g3")])
        assert store.parted(["g1"]) == {"g1": {"g3": "apart"}}
        assert store.parted(["g3", "nobody"]) == {"g3": {"g1": "apart"}}
        with store.transaction():
            store.remove_system("crm")
        assert store.parted(["g1"]) == {}
        assert store.judged([one, two], "apart") == {}

    def test_of_those_that_were_told_one_and_are_not_a_person_is_asked_again(self, store: Store) -> None:
        one, two, three = three_records(store)
        with store.transaction():
            said = JudgementRow("one", "party", "g1", "g3", "", "Eve", "")
            number = store.put_judgement(said, [(one, three)])
        link(store, **{"1": "g1", "2": "g1"})
        with store.transaction():
            store.set_links([(three, "g3")])
        assert store.parted(["g1"]) == {}
        with store.transaction():
            store.revoke_judgement(number, "Eve", "", 7)
        assert store.parted(["g1"]) == {"g1": {"g3": "asked"}}
        assert store.judged([one], "one") == {}
        with store.transaction():
            store.put_judgement(replace(said, verdict="apart"), [(two, three)])
        assert store.parted(["g3"]) == {"g3": {"g1": "apart"}}

    # who may be one

    def test_a_pair_is_open_while_both_are_there_and_nobody_has_decided(self, store: Store) -> None:
        one, two, three = three_records(store)
        link(store, **{"1": "g1", "2": "g1"})
        with store.transaction():
            store.put_goldens([GoldenRow("g3", "party")])
            store.set_links([(three, "g3")])
            store.put_doubts([(one, three, "email:王"), (one, three, "tel:1"), (two, three, "tel:1")], [], 5)
            store.put_doubts([(one, two, "tel:1")], [], 4)  # of one golden record: no question
        pair = OpenPair("party", "g1", "g3", 5)
        assert (store.count_open_pairs(), store.open_pairs(None, None, 9)) == (1, [pair])
        assert store.open_among(["g3", "g1"]) == {("g1", "g3")}
        assert store.open_among(["g1"]) == set()
        assert store.twins(["g3"]) == {
            "g3": {"g1": [(three, one, "email:王"), (three, one, "tel:1"), (three, two, "tel:1")]}
        }
        assert [
            store.open_pairs(e, s, 9) for e, s in (("party", "crm"), (None, "erp"), ("product", None))
        ] == [
            [pair],
            [],
            [],
        ]
        said = JudgementRow("apart", "party", "g1", "g3", "", "Eve", "", at=6)
        with store.transaction():
            number = store.put_judgement(said, [(two, three)])
        assert (store.count_open_pairs(), store.twins(["g1"])) == (0, {})
        with store.transaction():
            store.revoke_judgement(number, "Eve", "", 7)
            store.set_links([(three, "g1")])
        assert store.count_open_pairs() == 0
        with store.transaction():
            store.set_links([(three, "g3")])
        assert store.open_pairs(None, None, 9) == [pair]
        gone = [replace(row, status="gone") for row in store.records_by_id([three])]
        with store.transaction():
            store.put_records(gone)
        assert store.open_pairs(None, None, 9) == []

    def test_who_took_back_that_two_are_one_is_asked_only_about_what_is_new(self, store: Store) -> None:
        one, _, three = three_records(store)
        link(store, **{"1": "g1"})
        said = JudgementRow("one", "party", "g1", "g3", "", "Eve", "", at=5)
        with store.transaction():
            store.put_goldens([GoldenRow("g3", "party")])
            store.set_links([(three, "g3")])
            store.put_doubts([(one, three, "tel:1")], [], 6)
            store.revoke_judgement(store.put_judgement(said, [(one, three)]), "Eve", "", 7)
        assert (store.count_open_pairs(), store.open_pairs(None, None, 9), store.twins(["g1"])) == (0, [], {})
        with store.transaction():
            store.put_doubts([(one, three, "tel:2")], [], 8)
        assert store.open_pairs(None, None, 9) == [OpenPair("party", "g1", "g3", 8)]
        assert store.twins(["g1"]) == {"g1": {"g3": [(one, three, "tel:1"), (one, three, "tel:2")]}}

    def test_a_doubtful_link_waits_while_both_are_one_and_nobody_has_said_so(self, store: Store) -> None:
        one, two, three = three_records(store)
        link(store, **{"1": "g1", "2": "g1"})
        with store.transaction():
            store.put_goldens([GoldenRow("g3", "party")])
            store.set_links([(three, "g3")])
            store.put_doubts([(one, two, TURNED)], [], 6)
            store.put_doubts([(one, three, TURNED)], [], 5)  # no longer linked
        assert (store.count_turned(), store.turned(9)) == (1, [("party", one, two, 6)])
        assert store.count_open_pairs() == 0
        said = JudgementRow("one", "party", "g1", "g1", "", "Eve", "", at=7)
        with store.transaction():
            number = store.put_judgement(said, [(one, two)])
        assert (store.count_turned(), store.turned(9)) == (0, [])
        with store.transaction():
            store.revoke_judgement(number, "Eve", "", 8)
        assert store.count_turned() == 1
        gone = [replace(row, status="gone") for row in store.records_by_id([two])]
        with store.transaction():
            store.put_records(gone)
        assert store.count_turned() == 0

    def test_a_merge_by_a_system_is_open_until_it_is_decided_anew(self, store: Store) -> None:
        one, _, three = three_records(store)
        link(store, **{"1": "g1"})
        with store.transaction():
            store.set_links([(three, "g3")])
            store.put_records(replace(row, status="gone") for row in store.records_by_id([one]))
            store.put_judgement(
                JudgementRow("apart", "party", "g1", "g3", "", "Eve", "", at=5), [(one, three)]
            )
            store.put_doubts([(one, three, "merged:shop")], [], 6)
        assert store.count_open_pairs() == 1
        assert store.doubts([one, three]) == set()
        with store.transaction():
            store.put_judgement(
                JudgementRow("apart", "party", "g1", "g3", "", "Eve", "", at=7), [(one, three)]
            )
        assert store.count_open_pairs() == 0

    def test_pairs_of_records_are_kept_both_ways_and_go_with_their_system(self, store: Store) -> None:
        one, two, three = three_records(store)
        with store.transaction():
            store.put_doubts([(one, two, "tel:1"), (two, three, "tel:1"), (one, two, "email:a")], [], 5)
        assert store.doubts([one]) == {(one, two, "tel:1"), (one, two, "email:a")}
        assert store.doubts_by("tel:1", [one, two]) == {(one, two, "tel:1"), (two, one, "tel:1")}
        with store.transaction():
            store.put_doubts([], [(two, one, "tel:1")], 6)
        assert store.doubts([one]) == {(one, two, "email:a")}
        with store.transaction():
            store.remove_system("crm")
        assert store.doubts([two, three]) == {(two, one, "email:a")}
        assert store.check() == []

    def test_generic_keys_are_counted_by_golden_records(self, store: Store) -> None:
        one, two, three = three_records(store)
        link(store, **{"1": "g1", "2": "g1"})
        with store.transaction():
            store.set_links([(three, "g3")])
            store.put_keys("party", {one: ["tel:1", "tel:2"], two: ["tel:1", "tel:2"], three: ["tel:1"]})
        assert store.generic_keys(1) == [("party", "tel:1", 2)]
        assert store.generic_keys(2) == []

    def test_the_journal_keeps_its_order(self, store: Store) -> None:
        with store.transaction():
            store.journal("g1", "created", "a", 5)
            store.journal("g2", "created", "b", 6)
            store.journal("g1", "merged", "c", 4)
        assert store.history("g1") == [(5, "created", "a"), (4, "merged", "c")]
        assert store.journalled(["created"], 0, 9) == [(5, "g1", "created", "a"), (6, "g2", "created", "b")]
        assert store.journalled(["created", "merged"], 4, 5) == [(5, "g1", "created", "a")]

    # golden records

    def test_golden_records_are_kept_and_listed_in_the_order_of_code_points(self, store: Store) -> None:
        ids = ["Z", "a", "Ä", "b-1", "b1", "王"]
        golden = GoldenRow("a", "party", '{"n": 1}', '{"d": 2}', False, "b1", NOW)
        with store.transaction():
            store.put_goldens([GoldenRow(i, "party") for i in ids])
            store.put_goldens([golden, GoldenRow("p", "product")])
        assert store.goldens(["a", "nobody"]) == {"a": golden}
        assert store.golden_ids("party", "", 9) == sorted(ids)
        assert store.golden_ids("party", "a", 2) == ["b-1", "b1"]
        assert store.dirty_goldens("party", "", 9) == sorted(set(ids) - {"a"})

    def test_marking_dirty(self, store: Store) -> None:
        with store.transaction():
            store.put_goldens([GoldenRow("a", "party"), GoldenRow("b", "party"), GoldenRow("c", "product")])
            store.clear_dirty(["a", "b", "c"])
            store.mark_dirty(["b", "nobody"])
        assert store.dirty_goldens("party", "", 9) == ["b"]
        with store.transaction():
            store.mark_all_dirty("party")
        assert store.dirty_goldens("party", "", 9) == ["a", "b"]
        assert store.dirty_goldens("product", "", 9) == []

    def test_what_was_merged_into_another_is_never_dirty(self, store: Store) -> None:
        with store.transaction():
            store.put_goldens([GoldenRow("a", "party", merged_into="b"), GoldenRow("b", "party")])
            store.mark_dirty(["a", "b"])
            store.mark_all_dirty("party")
        assert store.dirty_goldens("party", "", 9) == ["b"]

    def test_what_refers_and_was_not_taken(self, store: Store) -> None:
        orders = ["new", "taken", "late", "old", "merged"]
        rows = [
            record(name, system="erp", stream="orders", entity="sales_order", golden_id=name)
            for name in orders[1:4]
        ]
        put(store, *rows)
        with store.transaction():
            moved = {"merged": "new"}
            store.put_goldens(GoldenRow(o, "sales_order", merged_into=moved.get(o)) for o in orders)
            store.put_goldens([GoldenRow("level", "stock_level")])
            store.put_references({name: ["p1"] for name in (*orders, "level")})
            created = [intent(n, golden_id=n, system="erp", status="done") for n in ("late", "old")]
            store.put_intents([replace(created[0], updated_at=60), replace(created[1], updated_at=40)])
        assert store.untaken(["p1", "p2"], "sales_order", "erp", 50) == ["late", "new"]
        assert store.untaken(["p1"], "sales_order", "shop", 50) == ["late", "new", "old", "taken"]
        assert store.untaken(["p2"], "sales_order", "erp", 50) == []

    def test_references_are_replaced_and_found_backwards(self, store: Store) -> None:
        with store.transaction():
            store.put_references({"o1": ["p1", "p2"], "o2": ["p1"], "o3": ["p3"]})
            store.put_references({"o1": ["p2"]})
        assert store.referring(["p1", "p2"]) == ["o1", "o2"]
        assert store.referring([]) == []

    def test_search_finds_by_the_beginning_of_every_term(self, store: Store) -> None:
        with store.transaction():
            store.put_search(
                {"g1": ["anna", "müller", "王小明"], "g2": ["ann", "100%_off"], "g3": ["joanna"]}
            )
            store.put_search({"g3": ["joe", "\U0010ffff\U0010ffff"]})
        assert store.search(["ann"], 9) == ["g2", "g1"], "the exact term comes first"
        assert store.search(["ann", "mü"], 9) == ["g1"]
        assert store.search(["王"], 9) == ["g1"]
        assert store.search(["100%_o"], 9) == ["g2"]
        assert store.search(["%"], 9) == store.search(["_"], 9) == store.search(["joanna"], 9) == []
        assert store.search(["\U0010ffff"], 9) == ["g3"]
        assert store.search(["ann"], 1) == ["g2"]
        assert store.search([], 9) == store.search([""], 9) == []

    def test_the_terms_of_a_golden_record_are_those_that_were_put_last(self, store: Store) -> None:
        with store.transaction():
            store.put_search({"g1": ["anna", "王小明"], "g2": ["ann"], "g3": []})
            store.put_search({"g2": ["joe"]})
        assert store.terms(["g1", "g2", "g3", "g4"]) == {"g1": {"anna", "王小明"}, "g2": {"joe"}}
        assert store.terms([]) == {}

    def test_search_gives_each_golden_record_once(self, store: Store) -> None:
        with store.transaction():
            store.put_search({f"g{n}": [f"a{n}{m}" for m in range(60)] for n in range(3)})
        assert store.search(["a"], 9) == ["g0", "g1", "g2"]

    # intents

    def test_an_intent_is_kept_whole(self, store: Store) -> None:
        given = IntentRow(
            *("i1", 3, "shop", "customers", "party", "update", "g", '{"x": 1}', "uncertain", 5, "n", "de"),
            *("h", "why", 2, 10, 11, 12, 13),
        )
        with store.transaction():
            store.put_intents([intent("i1"), given])
        assert store.intents(3, "shop", ["uncertain"], 0, 9) == [given]
        assert store.intents(1, None, ["planned"], -1, 9) == []

    def test_intents_come_in_the_order_of_their_position(self, store: Store) -> None:
        with store.transaction():
            store.put_intents(intent(f"i{n}", position=n, system="ab"[n % 2]) for n in (4, 3, 2, 1))
            store.put_intents([intent("other", run=2, position=1), intent("done", status="done", position=5)])
        assert [row.id for row in store.intents(1, None, ["planned"], 0, 9)] == ["i1", "i2", "i3", "i4"]
        assert [row.id for row in store.intents(1, "a", ["planned"], 2, 9)] == ["i4"]
        assert [row.id for row in store.intents(1, None, ["planned", "done"], 2, 2)] == ["i3", "i4"]

    def test_open_intents_are_those_without_an_outcome(self, store: Store) -> None:
        statuses = [
            "planned",
            "sent",
            "accepted",
            "done",
            "uncertain",
            "rejected",
            "conflict",
            "parked",
            "stale",
        ]
        with store.transaction():
            store.put_intents(
                intent(s, status=s, run=n, system="ab"[n % 2])  # type: ignore[arg-type]
                for n, s in enumerate(statuses, 1)
            )
        assert [row.id for row in store.open_intents(None)] == ["sent", "accepted", "uncertain"]
        assert [row.id for row in store.open_intents("b")] == ["accepted", "uncertain"]
        assert [row.id for row in store.intents_with(["parked", "done", "stale"], 2)] == ["done", "parked"]

    def test_intents_of_golden_records(self, store: Store) -> None:
        with store.transaction():
            store.put_intents([intent("1"), intent("2", kind="update"), intent("3", status="done")])
            store.put_intents([intent("4", system="crm"), intent("5", scope="de")])
        wanted = ["g-1", "g-2", "g-3", "g-4", "g-5"]
        found = store.intent_goldens("shop", wanted, "create", ["planned", "sent"])
        assert found == {"g-1": "", "g-5": "de"}

        assert [row.id for row in store.intents_of(wanted, ["planned", "done"])] == list("12345")
        assert [row.id for row in store.intents_of(["g-3", "g-4"], ["planned"])] == ["4"]
        with store.transaction():
            store.put_intents([intent("6", status="parked"), intent("7", run=2)])
        counted = {
            ("shop", "party", "create"): 3,
            ("shop", "party", "update"): 1,
            ("crm", "party", "create"): 1,
        }
        assert store.count_intents(1) == counted

    def test_a_transition_counts_unless_its_record_is_counted_already(self, store: Store) -> None:
        def step(name: str, golden: str, **parts: Any) -> IntentRow:
            return replace(intent(name, kind="transition", **parts), golden_id=golden)

        with store.transaction():
            store.put_intents([intent("1", status="done"), intent("2", kind="update")])
            store.put_intents([intent("3", run=2, status="done"), intent("4", status="parked")])
            store.put_intents([step(f"t{n}", f"g-{n}") for n in range(1, 5)])
            store.put_intents([step("other", "g-1", system="crm")])
            store.put_intents([step("later", "g-1", run=2), step("latest", "g-3", run=3)])
        assert store.count_intents(1) == {
            ("shop", "party", "create"): 1,
            ("shop", "party", "update"): 1,
            ("shop", "party", "transition"): 2,
            ("crm", "party", "transition"): 1,
        }
        assert store.count_intents(2)["shop", "party", "create"] == 1
        assert ("shop", "party", "transition") not in store.count_intents(2)
        assert ("shop", "party", "transition") not in store.count_intents(3)
        with store.transaction():
            store.put_intents([step("much later", "g-1", run=4)])
        assert store.count_intents(4) == {("shop", "party", "transition"): 1}

    def test_what_is_owed_keeps_its_age_for_the_same_reason(self, store: Store) -> None:
        def row(golden_id: str, system: str, why: Any, since: int) -> OwedRow:
            return OwedRow(golden_id, system, "party", why, "S9", since)

        with store.transaction():
            store.put_owed(["g-1", "g-2"], [row("g-1", "crm", "parked", 5), row("g-2", "crm", "parked", 6)])
            store.add_owed([row("g-1", "shop", "away", 7)])
        assert [r.golden_id for r in store.owed("parked", 9, 9)] == ["g-1", "g-2"]
        with store.transaction():
            store.put_owed(["g-1"], [row("g-1", "crm", "parked", 8)], {("g-1", "shop")})
            store.put_owed(["g-2"], [row("g-2", "crm", "open", 8)])
        assert store.owed("parked", 9, 9) == [row("g-1", "crm", "parked", 5)]
        assert store.owed("open", 9, 9) == [row("g-2", "crm", "open", 8)]
        assert store.owed("away", 9, 9) == [row("g-1", "shop", "away", 7)]
        assert (store.owed("parked", 4, 9), store.count_owed("parked", 5)) == ([], 1)
        with store.transaction():
            store.put_owed(["g-1"], [])
        assert [store.count_owed(why, 9) for why in ("parked", "open", "away")] == [0, 1, 0]

    def test_what_is_owed_to_a_system_is_planned_again(self, store: Store) -> None:
        with store.transaction():
            store.put_goldens(GoldenRow(f"g-{name}", "party", dirty=False) for name in "abc")
            store.add_owed([OwedRow(f"g-{name}", f"s{name}", "party", "parked") for name in "abc"])
            store.release_owed("sa")
        assert store.dirty_goldens("party", "", 9) == ["g-a"]
        with store.transaction():
            store.put_intents(
                [intent("a", system="sa", status="done"), intent("b", system="sb", status="done", run=2)]
            )
            store.settle_owed(1)
            store.move_intents("g-c", "g-b")
        assert [row.golden_id for row in store.owed("parked", 9, 9)] == ["g-b"]
        with store.transaction():
            store.rename_system("sb", "sx")
        assert [row.system for row in store.owed("parked", 9, 9)] == ["sx"]
        with store.transaction():
            store.remove_system("sx")
        assert store.owed("parked", 9, 9) == []

    @pytest.mark.parametrize(
        ("ids", "left"), [(None, {"c"}), (["a", "c"], {"b", "c"}), ([], {"a", "b", "c"})]
    )
    def test_dropped_intents_are_planned_again(
        self, store: Store, ids: list[str] | None, left: set[str]
    ) -> None:
        with store.transaction():
            store.put_goldens(GoldenRow(f"g-{name}", "party", dirty=False) for name in "abc")
            store.put_intents([intent("a"), intent("b", run=2, status="parked"), intent("c", status="sent")])
            store.drop_intents(["planned", "parked"], ids)
        assert {row.id for row in store.intents_with(["planned", "parked", "sent"], 9)} == left
        assert store.dirty_goldens("party", "", 9) == sorted(f"g-{name}" for name in set("abc") - left)

    def test_operations_of_a_golden_record_that_joined_another_are_on_that_one(self, store: Store) -> None:
        with store.transaction():
            store.put_goldens(GoldenRow(g, "party", dirty=False) for g in ("g-a", "g-b"))
            store.put_intents([intent("a", status="uncertain"), intent("b"), intent("c", golden_id="g-a")])
            store.move_intents("g-a", "g-b")
        found = {row.id: row.golden_id for row in store.intents_with(["planned", "uncertain"], 9)}
        assert found == dict.fromkeys("abc", "g-b")
        assert set(store.intent_goldens("shop", ["g-a", "g-b"], "create", ["uncertain"])) == {"g-b"}

    # what people look at

    def test_a_repeated_dead_letter_counts_its_attempts(self, store: Store) -> None:
        with store.transaction():
            first = store.put_dead_letter(letter("1", last_at=5, run=1))
            assert store.put_dead_letter(letter("1", error="worse", raw="[3]", last_at=8, run=2)) == first
            assert store.put_dead_letter(letter("1", error="worse", raw="[2]", last_at=9, run=2)) == first
            second = store.put_dead_letter(letter("1", kind="operation"))
        found, other = store.dead_letters()
        assert found == letter(
            "1", id=first, error="worse", raw="[2]", attempts=2, first_at=5, last_at=9, run=2
        )
        assert (other.id, other.first_at, other.last_at) == (second, NOW, NOW)
        assert store.dead_letter(first) == found
        assert store.dead_letter(99) is None

    def test_a_settled_dead_letter_stays_and_a_new_one_may_come(self, store: Store) -> None:
        with store.transaction():
            one, two, three = (store.put_dead_letter(letter(i)) for i in "123")
            store.settle_dead_letter(one, "dropped")
            store.settle_dead_letters_of("record", "shop", "customers", [("", "2"), ("", "9"), ("de", "3")])
            store.settle_dead_letters_of("record", "crm", "customers", [("", "3")])
            assert store.put_dead_letter(letter("1", error="worse")) == 0, (
                "it was given up, and has not changed"
            )
            four = store.put_dead_letter(letter("1", raw="[2]"))
        assert [row.id for row in store.dead_letters()] == [three, four]
        assert [(row.id, row.status) for row in store.dead_letters(None)] == [
            (one, "dropped"),
            (two, "replayed"),
            (three, "open"),
            (four, "open"),
        ]
        assert store.dead_letters("open", "crm") == []
        assert len(store.dead_letters("open", "shop")) == 2
        keys = [("", "1"), ("", "2"), ("", "3"), ("de", "3")]
        assert store.open_letters("record", "shop", "customers", keys) == {("", "1"), ("", "3")}
        assert store.open_letters("operation", "shop", "customers", keys) == set()
        assert store.count_letters("record", "shop", "customers", 0) == (2, four)
        assert store.count_letters("record", "shop", "customers", three) == (1, four)
        assert store.count_letters("record", "shop", "customers", four) == (0, 0)
        assert store.count_open_letters() == 2

    def test_the_first_errors_of_letters_are_told_each_with_how_many_have_it(self, store: Store) -> None:
        with store.transaction():
            first = store.put_dead_letter(letter("1", error="a"))
            for name, error in (("2", "b"), ("3", "a"), ("4", "c"), ("5", "b"), ("6", "d")):
                store.put_dead_letter(letter(name, error=error))
            store.put_dead_letter(letter("7", error="a", stream="orders"))
            store.settle_dead_letter(store.put_dead_letter(letter("8", error="a")), "dropped")
        place = "record", "shop", "customers"
        assert store.letter_reasons(*place, 0, 3) == [("1", 2, "a"), ("2", 2, "b"), ("4", 1, "c")]
        assert store.letter_reasons(*place, first, 1) == [("2", 2, "b")]
        assert store.letter_reasons("record", "crm", "customers", 0, 3) == []

    def test_letters_of_earlier_runs_and_times_are_settled(self, store: Store) -> None:
        with store.transaction():
            for name, run, at in (("a", 1, 9), ("b", 2, 4), ("c", 2, 5)):
                store.put_dead_letter(letter(name, run=run, last_at=at))
            store.put_dead_letter(letter("a", kind="operation", run=1, last_at=1))
            store.settle_older_letters("record", "shop", "customers", 2, 5)
        assert [(row.kind, row.native_id) for row in store.dead_letters()] == [
            ("record", "c"),
            ("operation", "a"),
        ]

    def test_a_dead_letter_takes_what_no_record_may_have(self, store: Store) -> None:
        with store.transaction():
            store.put_dead_letter(letter("a\0b\ud800", raw="\ud83d\0", error="\udcff"))
            store.put_dead_letter(letter("a\0b\ud800", run=2))
        (found,) = store.dead_letters()
        assert (found.native_id, found.attempts) == ("a\\x00b\\ud800", 2)
        with store.transaction():
            store.settle_dead_letters_of("record", "shop", "customers", [("", "a\0b\ud800")])
        assert store.dead_letters() == []

    def test_runs(self, store: Store) -> None:
        with store.transaction():
            first, second = store.begin_run(RunRow(command="plan")), store.begin_run(RunRow(command="sync"))
            store.end_run(RunRow(first, ended_at=7, exit_code=3, counts='{"n": 1}'))
        assert store.runs(9) == [
            RunRow(second, "sync", NOW),
            RunRow(first, "plan", NOW, 7, 3, '{"n": 1}'),
        ]
        assert [run.id for run in store.runs(1)] == [second]

    def test_writes_are_listed_run_by_run(self, store: Store) -> None:
        rows = [WriteRow(n % 2, "i", "shop", n, "g", "name", '"a"', "unset", NOW) for n in range(6)]
        with store.transaction():
            store.put_writes(rows)
        found = store.writes(1, (-1, 0), 2)
        assert [row.record_id for row in found] == [1, 3]
        assert replace(found[0], id=0) == rows[1]
        assert [row.record_id for row in store.writes(1, (found[-1].record_id, found[-1].id), 9)] == [5]

    def test_writes_come_record_by_record(self, store: Store) -> None:
        rows = [WriteRow(1, "i", "shop", n, "g", "name", '"a"', "unset", NOW) for n in (7, 5, 0, 7, 5)]
        with store.transaction():
            store.put_writes(rows)
        found: list[WriteRow] = []
        after = (-1, 0)
        while page := store.writes(1, after, 2):
            found += page
            after = (page[-1].record_id, page[-1].id)
        assert [row.record_id for row in found] == [0, 5, 5, 7, 7]
        assert [row.id for row in found if row.record_id == 7] == [1, 4]

    def test_marks_are_remembered_until_they_are_dropped(self, store: Store) -> None:
        with store.transaction():
            store.put_marks("approved", ["a", "王", "a", "c"])
            store.put_marks("approved", ["c"])
            store.put_marks("undone", ["a"])
        assert store.marked("approved", ["a", "b", "王"]) == {"a", "王"}
        assert (store.count_marks("approved"), store.count_marks("undone")) == (3, 1)
        with store.transaction():
            store.drop_marks("approved", ["a", "b"])
        assert store.marked("approved", ["a", "王", "c"]) == {"王", "c"}
        assert store.marked("undone", ["a"]) == {"a"}
        with store.transaction():
            store.drop_marks("approved")
        assert (store.count_marks("approved"), store.count_marks("undone")) == (0, 1)

    def test_a_conflict_is_kept_once(self, store: Store) -> None:
        row = ConflictRow("g", "party", "name", '{"v": 1}', "[2]", "latest", True, False, 5, 1)
        with store.transaction():
            first = [row, replace(row, losers="[3]"), replace(row, golden_id="h")]
            assert store.put_conflicts(first) == first
            again, new = replace(row, at=9, run=2, undecided=True), replace(row, golden_id="i")
            assert store.put_conflicts([again, new]) == [new]
            assert store.put_conflicts([]) == []
        found = store.conflicts("g", None, 9)
        assert [replace(one, id=0) for one in found] == [
            replace(row, at=9, run=2, undecided=True),
            replace(row, losers="[3]"),
        ]
        assert [one.golden_id for one in store.conflicts(None, 1, 9)] == ["g", "h", "i"]
        with store.transaction():  # it waits still
            store.put_conflicts([replace(row, at=10, run=3, undecided=True)])
        assert [(one.golden_id, one.run) for one in store.undecided_conflicts(9)] == [("g", 2)]
        assert len(store.conflicts(None, None, 2)) == 2

    def test_conflicts_of_long_values_are_kept(self, store: Store) -> None:
        long = '"' + "王" * 100_000 + '"'
        with store.transaction():
            store.put_conflicts([ConflictRow("g", "party", "note", long, long, "latest")] * 2)
        assert [row.winner for row in store.conflicts("g", None, 9)] == [long]

    def test_notes(self, store: Store) -> None:
        rows = [NoteRow(n, "held", "shop", "party", "gh"[n % 2], "name", f"{n}", NOW) for n in range(4)]
        with store.transaction():
            store.put_notes(rows)
        assert [row.text for row in store.notes(None, "g", 9)] == ["0", "2"]
        assert [replace(row, id=0) for row in store.notes(3, None, 9)] == [rows[3]]
        assert [row.text for row in store.notes(None, None, 3)] == ["0", "1", "2"]

    # what is old

    def test_the_latest_run_before_a_time(self, store: Store) -> None:
        with store.transaction():
            first, second = (store.begin_run(RunRow(command="sync", started_at=at)) for at in (10, 20))
        assert [store.run_before(at) for at in (10, 11, 20, 99)] == [0, first, first, second]

    def test_what_old_runs_wrote_and_found_is_forgotten_in_parts(self, store: Store) -> None:
        with store.transaction():
            store.put_writes(
                WriteRow(n, "i", "shop", n, "g", "name", '"a"', "unset", NOW) for n in (1, 1, 2, 3)
            )
            store.put_notes(NoteRow(n, "held", "shop", "party", "g", "name", f"{n}", NOW) for n in (1, 2, 3))
            assert [store.prune_writes(2, 2) for _ in range(3)] == [2, 1, 0]
            assert [store.prune_notes(2, 9) for _ in range(2)] == [2, 0]
        assert [row.run for n in (1, 2, 3) for row in store.writes(n, (-1, 0), 9)] == [3]
        assert [row.run for row in store.notes(None, None, 9)] == [3]

    def test_conflicts_that_wait_or_were_decided_by_a_person_are_not_forgotten(self, store: Store) -> None:
        old = ConflictRow("g", "party", "name", "1", "[]", "latest", run=1)
        word = record("d", system="hub", stream="party", golden_id="decided")
        put(store, word, record("1", golden_id="g"))
        with store.transaction():
            store.put_conflicts(
                [
                    old,
                    replace(old, winner="2", undecided=True),
                    replace(old, winner="3", undecided=True),
                    replace(old, path="note", winner="4", undecided=True),
                    replace(old, winner="5", run=2),
                    replace(old, winner="6", golden_id="decided"),
                ]
            )
            assert [store.prune_conflicts(1, "hub", 1) for _ in range(3)] == [1, 1, 0]
        assert [row.winner for row in store.conflicts(None, None, 9)] == ["3", "4", "5", "6"]

    def test_settled_letters_are_forgotten_once_they_are_old(self, store: Store) -> None:
        with store.transaction():
            ids = [store.put_dead_letter(letter(f"{n}", last_at=n)) for n in range(1, 6)]
            ids.append(store.put_dead_letter(letter("6", kind="operation", last_at=2)))
            told = ("replayed", "open", "dropped", "replayed", "open", "dropped")
            for letter_id, status in zip(ids, told, strict=True):
                store.settle_dead_letter(letter_id, status)
            assert [store.prune_letters(4, 1) for _ in range(3)] == [1, 1, 0]
        assert [row.native_id for row in store.dead_letters(None)] == ["2", "3", "4", "5"]

    def test_operations_are_forgotten_once_they_are_done_and_old(self, store: Store) -> None:
        open_ones = ("planned", "sent", "accepted", "uncertain", "rejected", "parked")
        with store.transaction():
            store.put_intents(intent(status, status=status) for status in open_ones)
            store.put_intents(
                [
                    intent("done", status="done", updated_at=5),
                    intent("settled late", status="done", updated_at=9),
                    intent("by a later run", status="done", run=2, updated_at=5),
                    intent("the last in crm", status="done", system="crm", updated_at=5),
                    intent("after it", status="planned", run=3),
                ]
            )
            assert [store.prune_done(1, 9, 5) for _ in range(2)] == [1, 0]
            left = {row.id for row in store.intents_with([*open_ones, "done"], 99)}
        assert left == {*open_ones, "settled late", "by a later run", "the last in crm", "after it"}

    def test_a_refusal_is_forgotten_once_another_operation_took_its_place(self, store: Store) -> None:
        first = intent("first", status="rejected", kind="update", golden_id="g")
        with store.transaction():
            store.put_intents(
                [
                    first,
                    replace(first, id="still holds", scope="de"),
                    replace(first, id="open since", system="crm"),
                    replace(first, id="uncertain", system="crm", run=3, status="uncertain"),
                    replace(first, id="second", run=2),
                    replace(first, id="third", run=3, status="done"),
                ]
            )
            assert [store.prune_refusals(1, 9) for _ in range(2)] == [1, 0]
            assert [row.id for row in store.intents_with(["rejected"], 9)] == [
                "open since",
                "still holds",
                "second",
            ]
            assert store.prune_refusals(3, 9) == 1

    def test_old_runs_leave_the_list_and_their_numbers_are_not_given_again(self, store: Store) -> None:
        with store.transaction():
            runs = [store.begin_run(RunRow(command="sync")) for _ in range(3)]
            assert [store.prune_runs(runs[1], 1) for _ in range(3)] == [1, 1, 0]
        assert [row.id for row in store.runs(9)] == [runs[2]]
        with store.transaction():
            assert store.prune_runs(runs[2], 9) == 1
            assert store.begin_run(RunRow(command="sync")) > runs[2]

    # text

    def test_any_text_and_any_number_of_ids(self, store: Store) -> None:
        texts = [
            "王小明",
            "مرحبا",
            "\U0001f469‍\U0001f52c",
            "e\u0301",
            "é",
            " x ",
            "'; --",
            '"',
            "\\u0000",
            "a\nb",
            "%s",
            "?",
        ]
        put(store, *(record(text, scope=text, part="", seen=text) for text in texts))
        assert {(r.native_id, r.scope, r.seen) for r in _all(store)} == {(t, t, t) for t in texts}
        many = [*texts, *(f"id-{n}" for n in range(70_000))]
        assert set(store.known("shop", "customers", many)) == {(t, t) for t in texts}

    def test_a_document_of_ten_megabytes(self, store: Store) -> None:
        seen = '"' + "x" * 10_000_000 + '"'
        assert put(store, record("1", seen=seen))[0].seen == seen

    @pytest.mark.parametrize("text", ["\ud800", "a\udcff", "a\0b", "\0"])
    @pytest.mark.parametrize("field", ["native_id", "scope", "part"])
    def test_what_is_no_text_is_refused_and_nothing_of_it_written(
        self, store: Store, text: str, field: str
    ) -> None:
        with pytest.raises(RecordError) as caught, store.transaction():
            store.put_records([record("good"), replace(record("1"), **{field: text})])
        assert "\n  hint: " in str(caught.value)
        assert _all(store) == []
        with pytest.raises(RecordError):
            store.known("shop", "customers", ["good", text])

    def test_a_refused_record_leaves_the_rest_of_the_page(self, store: Store) -> None:
        with store.transaction():
            store.put_records([record("good")])
            with pytest.raises(RecordError), store.transaction():
                store.put_records([record("1", seen="\ud800")])
        assert [row.native_id for row in _all(store)] == ["good"]


def _all(store: Store) -> list[RecordRow]:
    return store.records_in("shop", "customers", 0, 1_000_000)
