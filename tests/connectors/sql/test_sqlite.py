"""The connector `sql` on SQLite."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from crmbridge.sdk import ConfigError, FatalError, RetryableError

pytest.register_assert_rewrite("tests.connectors.sql.suite")

from tests.connectors.sql.suite import (  # noqa: E402 - the assertions of the suite are to be explained
    BY_TIME,
    CUSTOMERS,
    ORDERS,
    WITH_LINES,
    Shop,
    SqlSuite,
    create,
    everything,
    fill,
    push,
    records,
    update,
)

ROOT = Path(__file__).parents[3]
PEAK = """
import resource, sys
from pathlib import Path
from tests.connectors.sql.test_sqlite import SqliteShop
shop = SqliteShop(Path(sys.argv[1]))
connector = shop.open({"customers": {"table": "customers", "cursor": "updated_at"}})
count = sum(len(page.records) for page in connector.pull("customers", None))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
"""Reads a whole stream; prints the number of records and the most memory that the process had."""


class SqliteShop(Shop):
    words: ClassVar = {"id": "INTEGER PRIMARY KEY", "blob": "BLOB"}
    settings: ClassVar = {"url": "sqlite:///shop.db"}

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        sqlite3.connect(root / "shop.db").close()

    def execute(self, *statements: str) -> list[Any]:
        connection = sqlite3.connect(self.root / "shop.db", isolation_level=None)
        try:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
            return rows
        finally:
            connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SqliteShop]:
    shop = SqliteShop(tmp_path)
    yield shop
    for connector in shop.opened:
        connector.close()


class TestOnSqlite(SqlSuite):
    def test_a_file_that_is_not_there_is_not_made(self, tmp_path: Path, shop: SqliteShop) -> None:
        connector = shop.open(url="sqlite:///shopp.db")
        with pytest.raises(FatalError, match=r"shopp\.db"):
            connector.streams()
        assert [finding.level for finding in connector.check()] == ["error"]
        assert not (tmp_path / "shopp.db").exists()
        for url in ("sqlite://", "sqlite:///:memory:"):
            with pytest.raises(ConfigError, match="in memory"):
                shop.open(url=url)

    def test_a_file_that_is_no_database_is_said_to_be_none(self, tmp_path: Path, shop: SqliteShop) -> None:
        (tmp_path / "list.csv").write_text("id;name\n" * 200)
        with pytest.raises(FatalError, match="no SQLite file"):
            shop.open(url="sqlite:///list.csv").streams()

    def test_a_locked_file_is_tried_again(self, shop: SqliteShop) -> None:
        shop.create(CUSTOMERS)
        connector = shop.open({"customers": BY_TIME})
        connector.streams()
        other = sqlite3.connect(shop.root / "shop.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RetryableError, match="locked"):
            push(connector, "customers", create({"name": "x"}))
        with pytest.raises(RetryableError, match="locked"):
            everything(connector, "customers")
        other.execute("ROLLBACK")
        assert push(connector, "customers", create({"name": "x"}))[0].status == "done"

    def test_a_commit_that_readers_keep_waiting_wrote_nothing(self, shop: SqliteShop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", None)])
        connector = shop.open({"customers": BY_TIME})
        connector.streams()
        reader = sqlite3.connect(shop.root / "shop.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM customers").fetchall()
        with pytest.raises(RetryableError, match="locked"):
            push(connector, "customers", create({"name": "x"}))
        reader.close()
        assert shop.execute("SELECT name FROM customers") == [("a",)]

    def test_a_row_that_only_the_commit_refuses_is_found(self, shop: SqliteShop) -> None:
        shop.create(
            "CREATE TABLE parents (id INTEGER PRIMARY KEY);\n"
            "CREATE TABLE kids"
            " (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parents(id) DEFERRABLE INITIALLY DEFERRED)"
        )
        shop.execute("INSERT INTO parents VALUES (1)")
        connector = shop.open({"kids": {"table": "kids", "write": True}})
        results = push(connector, "kids", create({"p": 1}, 1), create({"p": 2}, 2), create({"p": 1}, 3))
        assert [result.status for result in results] == ["done", "rejected", "done"]
        assert shop.execute("SELECT p FROM kids") == [(1,), (1,)]

    def test_other_programs_writes_during_a_read_are_not_in_it(self, shop: SqliteShop) -> None:
        shop.execute("PRAGMA journal_mode=WAL")
        shop.create(CUSTOMERS)
        fill(shop, [(i, "c", "2026-01-01 00:00:00") for i in range(1, 10)])
        connector = shop.open({"customers": BY_TIME}, page_size=4)
        pages = connector.pull("customers", None)
        got = [next(iter(pages := iter(pages)))]
        shop.execute(
            "DELETE FROM customers WHERE id IN (2, 7)", "UPDATE customers SET name = 'new' WHERE id = 8"
        )
        fill(shop, [(20, "late", "2026-01-01 00:00:00")])
        got += pages
        assert records(got).keys() == {str(i) for i in range(1, 10)}
        assert {record.data["name"] for record in records(got).values()} == {"c"}
        assert got[-1].complete

    def test_text_that_is_not_utf8_is_rejected_alone(self, shop: SqliteShop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", None), (2, "b", None), (3, "c", None)])
        shop.execute("UPDATE customers SET note = CAST(x'4de96c' AS TEXT) WHERE id = 2")
        (page,) = everything(shop.open({"customers": BY_TIME}), "customers")
        assert records([page]).keys() == {"1", "3"}
        (reject,) = page.rejects
        assert (reject.position, reject.raw["note"]) == ("2", "Tels")
        assert not page.complete

    def test_whatever_a_column_holds_is_read(self, shop: SqliteShop) -> None:
        shop.create(CUSTOMERS)
        shop.execute(
            "INSERT INTO customers (id, name, credit, active, born, seen, extra) VALUES"
            " (1, 5, 'n/a', 'maybe', 'soon', 'yesterday', '{broken'),"
            " (2, 'x', 0.1, 2, 20260101, 1767225600, '[1.10, 12345678901234567.89]'),"
            " (3, x'00ff', 19, 1, '2026-01-01', '2026-01-01T10:00:00Z', 'NaN')"
        )
        found = records(everything(shop.open({"customers": BY_TIME}), "customers"))
        one, two, three = (found[key].data for key in "123")
        assert (one["name"], one["credit"], one["active"], one["born"]) == ("5", "n/a", "maybe", "soon")
        assert (one["seen"], one["extra"]) == ("yesterday", "{broken")
        assert (two["credit"], two["active"], two["seen"]) == (Decimal("0.1"), 2, 1767225600)
        assert two["extra"] == [Decimal("1.10"), Decimal("12345678901234567.89")]
        assert (three["name"], three["credit"], three["active"]) == ("AP8=", Decimal(19), True)
        assert (three["seen"], three["extra"]) == ("2026-01-01T10:00:00+00:00", "NaN")

    @pytest.mark.parametrize(
        ("held", "written"),
        [
            ("2026-01-01 10:00:00", "2026-03-01 09:00:00"),
            ("2026-01-01T10:00:00Z", "2026-03-01T08:00:00Z"),
            ("2026-01-01T10:00:00.000Z", "2026-03-01T08:00:00.000Z"),
            ("2026-01-01 10:00:00.123456", "2026-03-01 09:00:00.000000"),
        ],
    )
    def test_times_are_written_as_the_column_has_them(
        self, shop: SqliteShop, held: str, written: str
    ) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", held)])
        connector = shop.open({"customers": {**BY_TIME, "overlap": 0}}, timezone="Europe/Berlin")
        cursor = everything(connector, "customers")[-1].cursor
        (made,) = push(
            connector, "customers", create({"name": "b", "updated_at": "2026-03-01T08:00:00+00:00"})
        )
        assert shop.execute("SELECT updated_at FROM customers WHERE id = 2") == [(written,)]
        assert made.record is not None
        assert made.record.modified is not None
        assert made.record.modified.isoformat()[:19] in {"2026-03-01T08:00:00", "2026-03-01T09:00:00"}
        # Inclusive: the row at the cursor itself comes again.
        assert records(everything(connector, "customers", cursor)).keys() == {"1", "2"}

    def test_a_number_with_more_digits_than_sqlite_keeps_is_refused(self, shop: SqliteShop) -> None:
        shop.create(CUSTOMERS)
        connector = shop.open({"customers": BY_TIME})
        long = Decimal("12345678901234567.89")
        (refused,) = push(connector, "customers", create({"name": "a", "credit": long}))
        assert refused.status == "rejected"
        assert "TEXT" in refused.reason
        (kept,) = push(connector, "customers", create({"name": "a", "note": long, "credit": Decimal("0.10")}))
        assert kept.record is not None
        assert (kept.record.data["note"], kept.record.data["credit"]) == (
            "12345678901234567.89",
            Decimal("0.1"),
        )

    def test_a_hundred_thousand_rows_need_no_more_memory_than_a_few(self, shop: SqliteShop) -> None:
        shop.create(CUSTOMERS)
        peaks = []
        for count in (3_000, 100_000):
            shop.execute(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
                "INSERT OR IGNORE INTO customers (id, name, note, updated_at) "
                "SELECT i, 'customer ' || i, hex(zeroblob(50)), '2026-01-01 00:00:00' FROM n"
            )
            said = subprocess.run(
                [sys.executable, "-c", PEAK, shop.root], capture_output=True, text=True, check=True, cwd=ROOT
            )
            seen, peak = map(int, said.stdout.split())
            assert seen == count
            peaks.append(peak)
        assert peaks[1] < peaks[0] * 1.15

    def test_another_thread_may_go_on(self, shop: SqliteShop) -> None:
        shop.create(ORDERS)
        connector = shop.open({"orders": {"table": "orders", "write": True}})
        connector.streams()
        done: list[str] = []
        thread = threading.Thread(
            target=lambda: done.extend(r.status for r in push(connector, "orders", create({"number": "1"})))
        )
        thread.start()
        thread.join()
        assert done == ["done"]
        (record,) = connector.get_many("orders", ["1"])
        assert push(connector, "orders", update(record, {"customer": 2}))[0].status == "done"

    def test_only_integer_to_the_letter_is_generated(self, shop: SqliteShop) -> None:
        shop.create(
            "CREATE TABLE a (id INT PRIMARY KEY, x TEXT);\nCREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT)"
        )
        connector = shop.open({name: {"table": name, "write": True} for name in ("a", "b")})
        assert [s.capabilities.required for s in connector.streams()] == [{"id"}, set()]
        assert push(connector, "a", create({"x": "1"}))[0].status == "rejected"
        assert push(connector, "b", create({"x": "1"}))[0].status == "done"

    def test_words_among_the_times_hide_nothing(self, shop: SqliteShop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", "soon"), (2, "b", "2026-01-01 00:00:00")])
        connector = shop.open({"customers": BY_TIME})
        cursor = everything(connector, "customers")[-1].cursor
        fill(shop, [(3, "c", "2026-01-01 00:05:00")])
        assert records(everything(connector, "customers", cursor)).keys() == {"1", "2", "3"}

    def test_a_key_that_is_not_utf8_is_rejected_and_paging_goes_on(self, shop: SqliteShop) -> None:
        shop.create(ORDERS)
        shop.execute("INSERT INTO orders VALUES ('a', 1), (CAST(x'62e9' AS TEXT), 2), ('c', 3), ('d', 4)")
        for page_size in (1, 2, 10):
            pages = everything(shop.open({"orders": WITH_LINES}, page_size=page_size), "orders")
            assert records(pages).keys() == {"a", "c", "d"}
            assert [reject.raw["customer"] for page in pages for reject in page.rejects] == [2]
            again = everything(shop.open({"orders": WITH_LINES}, page_size=1), "orders", pages[0].cursor)
            assert {"c", "d"} <= records(again).keys() | records(pages[:1]).keys()
