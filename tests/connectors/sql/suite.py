"""What the connector has to do on every database. `test_sqlite.py` and `tests/prove/test_sql_postgres.py`
give it one to do it on, by a fixture `shop`."""

from __future__ import annotations

import json
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from crmbridge.connectors.sql import SqlConnector
from crmbridge.sdk import (
    ConfigError,
    Context,
    CursorExpiredError,
    FatalError,
    ListPatch,
    Operation,
    Page,
    Record,
    Result,
)

CANARY = "canary-Öß%@:/-42"
ODD = "Straße; \"DROP\" 100% (a:b) 'x'"
HOSTILE = [
    "'; DROP TABLE customers; --",
    '" OR 1=1 --',
    "1 OR 1=1",
    "%s %(id)s :id ? $1",
    "\\'; --",
    "名前 \U0001f600 مرحبا",
]


class Shop(ABC):
    """A database to test on."""

    words: Mapping[str, str]
    """How its dialect says {id}, {blob} in CREATE TABLE."""
    settings: Mapping[str, Any]
    """`url` and `password`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened: list[SqlConnector] = []

    @abstractmethod
    def execute(self, *statements: str) -> list[Any]:
        """Run statements, each committed; the rows of the last one."""

    def create(self, ddl: str) -> None:
        for word, meaning in self.words.items():
            ddl = ddl.replace("{" + word + "}", meaning)
        self.execute(*filter(str.strip, ddl.split(";\n")))

    def open(self, streams: Any = None, *, read_only: bool = False, **settings: Any) -> SqlConnector:
        model = SqlConnector.settings_model
        context = Context(
            "shop", self.root, {}, lambda: datetime.now(UTC), random.random, read_only, http=None
        )  # type: ignore[arg-type]
        given = {**self.settings, "timeout": 1, **settings}
        if streams is not None:
            given["streams"] = streams
        connector = SqlConnector(model.model_validate(given), context)
        self.opened.append(connector)
        return connector


def everything(connector: SqlConnector, stream: str, cursor: Any = None) -> list[Page]:
    """All pages. Cursors go through JSON, as in the state."""
    pages = []
    for page in connector.pull(stream, cursor):
        page.cursor = json.loads(json.dumps(page.cursor))
        pages.append(page)
    return pages


def records(pages: Iterable[Page]) -> dict[str, Record]:
    return {record.native_id: record for page in pages for record in page.records}


def push(connector: SqlConnector, stream: str, *operations: Operation) -> list[Result]:
    return list(connector.push(stream, operations))


def create(data: Mapping[str, Any], number: int = 1, **more: Any) -> Operation:
    return Operation(f"op{number}", "create", data=dict(data), **more)


def update(record: Record, data: Mapping[str, Any], **more: Any) -> Operation:
    return Operation(
        f"u{record.native_id}", "update", record.native_id, dict(data), version=record.version, **more
    )


CUSTOMERS = """
CREATE TABLE customers (
  id {id}, name VARCHAR(80) NOT NULL, email VARCHAR(120) UNIQUE, credit NUMERIC(12,2), active BOOLEAN,
  born DATE, seen TIMESTAMP, extra JSON, photo {blob}, note TEXT, mark VARCHAR(40), updated_at TIMESTAMP
)"""
ORDERS = """
CREATE TABLE orders (number VARCHAR(20) PRIMARY KEY, customer INTEGER);
CREATE TABLE order_lines (
  order_number VARCHAR(20) NOT NULL REFERENCES orders(number), line_no INTEGER NOT NULL, sku VARCHAR(20),
  quantity NUMERIC(12,3) CHECK (quantity > 0), PRIMARY KEY (order_number, line_no)
)"""
BY_TIME = {"table": "customers", "cursor": "updated_at", "write": True}
COMPANIES = """
CREATE TABLE orders (
  company INTEGER NOT NULL, number VARCHAR(9) NOT NULL, note TEXT, changed INTEGER, gone BOOLEAN,
  PRIMARY KEY (company, number)
);
CREATE TABLE order_lines (
  company INTEGER NOT NULL, order_number VARCHAR(9) NOT NULL, line_no INTEGER NOT NULL, sku VARCHAR(9),
  PRIMARY KEY (company, order_number, line_no)
);
INSERT INTO orders VALUES (1, '7', 'a', 10, NULL), (2, '7', 'b', 20, NULL), (2, '8', 'c', 30, NULL),
  (3, '7', 'd', 40, NULL);
INSERT INTO order_lines VALUES (1, '7', 1, 'tea'), (2, '7', 1, 'cup')"""
"""Orders of three companies, which count from 1 each; two of them are the bridge's business."""
BY_COMPANY = {
    "table": "orders",
    "scope_column": "company",
    "scopes": [2, 1],
    "write": True,
    "children": {
        "lines": {"table": "order_lines", "foreign_key": ["company", "order_number"], "key": "line_no"}
    },
}
WITH_LINES = {
    "table": "orders",
    "write": True,
    "children": {"lines": {"table": "order_lines", "foreign_key": "order_number", "key": "line_no"}},
}


def fill(shop: Shop, rows: Sequence[tuple[int, str, str | None]]) -> None:
    """Customers: id, name, updated_at."""
    times = [f"'{at}'" if at else "NULL" for _, _, at in rows]
    values = ", ".join(f"({row[0]}, '{row[1]}', {at})" for row, at in zip(rows, times, strict=True))
    shop.execute(f"INSERT INTO customers (id, name, updated_at) VALUES {values}")


class SqlSuite:
    """Tests that hold on every database."""

    # -- reading

    def test_every_kind_of_value_comes_out_exact_and_goes_back_in(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        connector = shop.open({"customers": BY_TIME})
        data = {
            "name": "李雷 \U0001f600 مرحبا O'Brien",
            "email": "a@example.com",
            "credit": Decimal("1234567890.10"),
            "active": True,
            "born": "1984-02-29",
            "seen": "2026-03-01T08:00:00.250000+00:00",
            "extra": {"score": Decimal("0.1"), "tags": ["ä", None, True]},
            "photo": "AAECgA==",
            "note": None,
        }
        (result,) = push(connector, "customers", create(data))
        assert result.status == "done", result.reason
        assert result.record is not None
        assert result.record.data == {"id": 1, "mark": None, "updated_at": None, **data}
        (read,) = records(everything(connector, "customers")).values()
        assert read == result.record
        assert type(read.data["credit"]) is Decimal
        assert type(read.data["extra"]["score"]) is Decimal

    def test_two_full_reads_agree_and_each_row_comes_once(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(i, f"c{i}", None if i % 5 == 0 else "2026-01-01 00:00:00") for i in range(1, 24)])
        connector = shop.open({"customers": BY_TIME}, page_size=5)
        first, second = everything(connector, "customers"), everything(connector, "customers")
        ids = [record.native_id for page in first for record in page.records]
        assert ids == [str(i) for i in range(1, 24)]
        assert [page.records for page in first] == [page.records for page in second]
        assert [page.complete for page in first] == [False] * 4 + [True]
        assert first[0].total == 23

    def test_a_read_goes_on_from_any_page_and_proves_nothing_then(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(i, f"c{i}", "2026-01-01 00:00:00") for i in range(1, 24)])
        for settings in ({"table": "customers"}, BY_TIME):
            connector = shop.open({"customers": settings}, page_size=5)
            pages = everything(connector, "customers")
            for stop in range(1, len(pages)):
                rest = everything(connector, "customers", pages[stop - 1].cursor)
                assert records(pages[:stop]).keys() | records(rest).keys() == records(pages).keys()
                assert not any(page.complete for page in rest)
                assert rest[-1].cursor == pages[-1].cursor
        assert everything(shop.open({"customers": {"table": "customers"}}), "customers")[-1].cursor is None

    def test_equal_times_are_not_lost_between_pages(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "old", "2026-01-01 00:00:00")])
        connector = shop.open({"customers": BY_TIME}, page_size=4)
        start = everything(connector, "customers")[-1].cursor
        fill(shop, [(i, "new", "2026-02-01 00:00:00") for i in range(2, 20)])
        fill(shop, [(i, "newer", "2026-02-01 00:01:00") for i in range(20, 25)])
        pages = everything(connector, "customers", start)
        assert [int(r.native_id) for page in pages for r in page.records] == list(range(1, 25))
        # A crash after any page loses nothing either, and does not begin anew with old rows.
        for stop in range(1, len(pages)):
            rest = everything(connector, "customers", pages[stop - 1].cursor)
            assert records(pages[:stop]).keys() | records(rest).keys() == records(pages).keys()
            if stop < 4:
                assert sum(len(page.records) for page in rest) == 24 - stop * 4 + 1

    def test_a_late_commit_inside_the_overlap_is_seen(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(9, "a", "2026-01-01 00:01:00")])
        connector = shop.open({"customers": {**BY_TIME, "overlap": 30}})
        cursor = everything(connector, "customers")[-1].cursor
        fill(shop, [(1, "same time, lower id", "2026-01-01 00:01:00"), (2, "late", "2026-01-01 00:00:30")])
        fill(shop, [(3, "too late", "2026-01-01 00:00:29")])
        assert records(everything(connector, "customers", cursor)).keys() == {"9", "1", "2"}

    def test_a_row_from_the_future_hides_nothing(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "typo", "2099-01-01 00:00:00")])
        connector = shop.open({"customers": BY_TIME})
        cursor = everything(connector, "customers")[-1].cursor
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        fill(shop, [(2, "changed today", now)])
        assert records(everything(connector, "customers", cursor)).keys() == {"1", "2"}

    def test_a_number_as_cursor_leaves_room_for_late_commits(self, shop: Shop) -> None:
        shop.create("CREATE TABLE events (id {id}, revision BIGINT)")
        shop.execute("INSERT INTO events VALUES (1, 5000)")
        connector = shop.open({"events": {"table": "events", "cursor": "revision", "overlap": 2}})
        cursor = everything(connector, "events")[-1].cursor
        shop.execute("INSERT INTO events VALUES (2, 4998), (3, 4997), (4, 5001)")
        assert records(everything(connector, "events", cursor)).keys() == {"1", "2", "4"}

    def test_a_quiet_table_brings_its_last_rows_only(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(i, "c", f"2026-01-01 00:{i:02}:00") for i in range(1, 30)])
        connector = shop.open({"customers": BY_TIME}, page_size=10)
        cursor = everything(connector, "customers")[-1].cursor
        (page,) = everything(connector, "customers", cursor)
        assert [record.native_id for record in page.records] == ["29"]
        assert page.cursor == cursor
        assert not page.complete

    def test_an_empty_table_is_read_and_its_first_row_is_found(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        connector = shop.open({"customers": BY_TIME})
        (page,) = everything(connector, "customers")
        assert (list(page.records), page.complete) == ([], True)
        fill(shop, [(1, "first", "2020-01-01 00:00:00")])
        assert records(everything(connector, "customers", page.cursor)).keys() == {"1"}

    def test_a_restored_backup_ends_the_cursor(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", "2026-01-01 00:00:00"), (2, "b", "2026-02-01 00:00:00")])
        connector = shop.open({"customers": BY_TIME})
        cursor = everything(connector, "customers")[-1].cursor
        shop.execute("DELETE FROM customers WHERE id = 2")
        with pytest.raises(CursorExpiredError, match="backup"):
            everything(connector, "customers", cursor)

    def test_a_cursor_of_other_settings_is_refused(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", "2026-01-01 00:00:00")])
        cursor = everything(shop.open({"customers": BY_TIME}), "customers")[-1].cursor
        other = shop.open({"customers": {"table": "customers", "cursor": "seen"}})
        for bad in (cursor, {"by": ["seen", "id"], "since": {"nonsense": 1}}, "x", [1], {"by": 1}):
            with pytest.raises(CursorExpiredError):
                everything(other, "customers", bad)

    def test_the_time_of_change_is_aware_and_in_the_columns_zone(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", "2026-07-01 12:00:00")])
        connector = shop.open({"customers": BY_TIME}, timezone="Europe/Berlin")
        (record,) = records(everything(connector, "customers")).values()
        assert record.modified == datetime(2026, 7, 1, 10, tzinfo=UTC)
        assert record.data["updated_at"] == "2026-07-01T12:00:00+02:00"
        push(connector, "customers", update(record, {"seen": "2026-07-01T23:30:00Z"}))
        (written,) = connector.get_many("customers", ["1"])
        assert written.data["seen"] == "2026-07-02T01:30:00+02:00"

    def test_the_hour_that_a_local_clock_shows_twice_loses_no_change(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "before", "2025-10-26 02:59:00")])
        connector = shop.open({"customers": BY_TIME}, timezone="Europe/Berlin")
        cursor = everything(connector, "customers")[-1].cursor
        fill(shop, [(2, "three minutes later", "2025-10-26 02:02:00")])
        assert "2" in records(everything(connector, "customers", cursor))

    def test_rows_marked_as_deleted_come_as_tombstones(self, shop: Shop) -> None:
        shop.create("CREATE TABLE items (id {id}, gone BOOLEAN, state VARCHAR(5))")
        shop.execute("INSERT INTO items VALUES (1, NULL, 'new'), (2, '1', 'old'), (3, '0', 'del')")
        for deleted, dead in (("gone", {"2"}), ({"column": "state", "values": ["old", "del"]}, {"2", "3"})):
            connector = shop.open({"items": {"table": "items", "deleted": deleted, "write": True}})
            (page,) = everything(connector, "items")
            assert {stone.native_id for stone in page.tombstones} == dead
            assert records([page]).keys() == {"1", "2", "3"} - dead
            assert {r.native_id for r in connector.get_many("items", ["1", "2", "3"])} == {
                "1",
                "2",
                "3",
            } - dead
            assert connector.streams()[0].capabilities.deletes == "flag"
        assert push(connector, "items", Operation("a", "archive", "1"))[0].status == "done"
        assert shop.execute("SELECT state FROM items WHERE id = 1") == [("old",)]
        assert push(connector, "items", Operation("b", "update", "1", {"gone": None}))[0].status == "conflict"

    def test_an_odd_mark_of_a_deleted_row_is_asked_about_and_deletes_nothing(self, shop: Shop) -> None:
        shop.create("CREATE TABLE items (id {id}, gone VARCHAR(20), name VARCHAR(9))")
        marks = [None, "", "  ", "0", "N", "false", "nein", "Y", "2026-03-01 10:00:00", "0000-00-00"]
        for number, mark in enumerate(marks, 1):
            shown = "NULL" if mark is None else f"'{mark}'"
            shop.execute(f"INSERT INTO items VALUES ({number}, {shown}, 'x')")
        connector = shop.open({"items": {"table": "items", "deleted": "gone", "write": True}})
        (page,) = everything(connector, "items")
        assert {stone.native_id for stone in page.tombstones} == {"8", "9"}
        (reject,) = page.rejects
        assert reject.position == "7"
        assert "gone holds a text that may or may not mean deleted" in reject.reason
        assert records([page]).keys() == {"1", "2", "3", "4", "5", "6", "10"}
        said = shop.open({"items": {"table": "items", "deleted": {"column": "gone", "values": ["NEIN", 0]}}})
        (page,) = everything(said, "items")
        assert {stone.native_id for stone in page.tombstones} == {"4", "7"}
        assert page.rejects == []

    def test_composite_keys_page_resume_and_are_found(self, shop: Shop) -> None:
        shop.create(
            "CREATE TABLE prices (sku VARCHAR(9), list INTEGER, price NUMERIC(9,2), PRIMARY KEY (sku, list))"
        )
        values = ", ".join(f"('s{i % 4}', {i}, {i}.50)" for i in range(20))
        shop.execute(f"INSERT INTO prices VALUES {values}")
        connector = shop.open({"prices": {"table": "prices", "write": True}}, page_size=3)
        pages = everything(connector, "prices")
        found = records(pages)
        assert len(found) == 20
        assert found['["s1","5"]'].data["price"] == Decimal("5.50")
        rest = everything(connector, "prices", pages[2].cursor)
        assert len(records(rest)) == 11
        wanted = [
            '["s1","5"]',
            '["s3","3"]',
            '["s1","x"]',
            "s1",
            "[1,2]",
            '["s1"]',
            '["s1","99999999999999999999"]',
        ]
        assert {r.native_id for r in connector.get_many("prices", wanted)} == {'["s1","5"]', '["s3","3"]'}
        (done,) = push(connector, "prices", update(found['["s1","5"]'], {"list": 500}))
        assert done.record is not None
        assert done.record.native_id == '["s1","500"]'

    def test_odd_names_are_quoted(self, shop: Shop) -> None:
        name = ODD.replace('"', '""')
        shop.execute(
            f'CREATE TABLE "{name}" ("{name}" INTEGER PRIMARY KEY, "select" VARCHAR(9), "Mixed Case" INTEGER)'
        )
        settings = {"table": ODD, "cursor": "Mixed Case", "write": True}
        connector = shop.open({ODD: settings}, page_size=2)
        for i in range(1, 6):
            (done,) = push(connector, ODD, create({ODD: i, "select": "x", "Mixed Case": i}))
            assert done.status == "done", done.reason
        pages = everything(connector, ODD)
        assert records(pages)["3"].data == {ODD: 3, "select": "x", "Mixed Case": 3}
        assert records(everything(connector, ODD, pages[-1].cursor)).keys() == {"1", "2", "3", "4", "5"}
        (done,) = push(connector, ODD, update(records(pages)["3"], {"select": "y", ODD: 30}))
        assert [r.data["Mixed Case"] for r in connector.search(ODD, "select", "y")] == [3]
        assert [finding.level for finding in connector.check() if finding.level == "error"] == []

    def test_a_query_is_a_stream(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(i, f"c{i % 3}", f"2026-01-0{i} 00:00:00") for i in range(1, 8)])
        query = """SELECT c.name, count(*) AS many, max(c.updated_at) AS last, 'a:b 10%' AS text
                   FROM customers c WHERE c.id > 0 AND ':x' <> '?' GROUP BY c.name -- by name"""
        connector = shop.open({"names": {"query": query, "key": "name", "cursor": "last"}}, page_size=2)
        pages = everything(connector, "names")
        assert [r.data["many"] for page in pages for r in page.records] == [2, 3, 2]
        assert records(pages)["c1"].data["text"] == "a:b 10%"
        assert pages[-1].complete
        assert records(everything(connector, "names", pages[-1].cursor)).keys() == {"c1"}
        assert [r.native_id for r in connector.get_many("names", ["c2", "c9"])] == ["c2"]
        assert connector.streams()[0].capabilities.operations == set()
        by_number = shop.open({"ids": {"query": "SELECT id + 0 AS id, name FROM customers", "key": "id"}})
        assert [r.data["name"] for r in by_number.get_many("ids", ["4", "x"])] == ["c1"]

    def test_a_query_cannot_write(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        for query in (
            "SELECT 1 AS id; DELETE FROM customers",
            "DELETE FROM customers",
            "SELECT 1 AS id) AS q; DELETE FROM customers --",
            "SELECT 1 AS id) AS q, (SELECT 2",
            "SELECT '1 AS id",
            "/* x",
            "",
        ):
            with pytest.raises(ValueError, match="query"):
                shop.open({"s": {"query": query, "key": "id"}})

    def test_duplicate_and_missing_keys_are_rejected_and_stop_the_proof(self, shop: Shop) -> None:
        shop.create("CREATE TABLE loose (code VARCHAR(5), name VARCHAR(5))")
        shop.execute(
            "INSERT INTO loose VALUES ('a','1'), ('b','2'), ('b','3'), ('b','4'), ('c','5'), (NULL,'6')"
        )
        for page_size in (1, 2, 3, 10):
            connector = shop.open({"loose": {"table": "loose", "key": "code"}}, page_size=page_size)
            pages = everything(connector, "loose")
            assert records(pages).keys() == {"a", "c"}
            rejected = {reject.position for page in pages for reject in page.rejects}
            assert rejected == {"b", "loose: row without key"}
            assert not pages[-1].complete
        errors = [finding.text for finding in connector.check() if finding.level == "error"]
        assert len(errors) == 2

    def test_child_rows_are_a_list(self, shop: Shop) -> None:
        shop.create(ORDERS)
        shop.execute("INSERT INTO orders VALUES ('A', 1), ('B', 2), ('C', 3)")
        shop.execute("INSERT INTO order_lines VALUES ('A', 2, 'x', 1), ('A', 1, 'x', 2.5), ('C', 1, 'z', 3)")
        connector = shop.open({"orders": WITH_LINES}, page_size=2)
        found = records(everything(connector, "orders"))
        assert found["A"].data["lines"] == [
            {"line_no": 1, "sku": "x", "quantity": Decimal("2.5")},
            {"line_no": 2, "sku": "x", "quantity": Decimal(1)},
        ]
        assert found["B"].data["lines"] == []
        assert len(found["C"].data["lines"]) == 1

    # -- scopes

    def test_the_same_number_in_two_companies_is_two_records(self, shop: Shop) -> None:
        shop.create(COMPANIES)
        connector = shop.open({"orders": BY_COMPANY}, page_size=2)
        (stream,) = connector.streams()
        assert (stream.key, stream.capabilities.scopes) == ("number", ("2", "1"))
        assert stream.capabilities.required == {"number"}
        pages = everything(connector, "orders")
        held = {(r.scope, r.native_id): r.data for page in pages for r in page.records}
        assert {place: data["note"] for place, data in held.items()} == {
            ("1", "7"): "a",
            ("2", "7"): "b",
            ("2", "8"): "c",
        }
        assert [line["sku"] for line in held["1", "7"]["lines"]] == ["tea"]
        assert [line["sku"] for line in held["2", "7"]["lines"]] == ["cup"]
        assert (pages[0].total, pages[-1].complete) == (3, True)
        rest = everything(connector, "orders", pages[0].cursor)
        assert [(r.scope, r.native_id) for page in rest for r in page.records] == [("2", "8")]
        asked = [(r.scope, r.native_id) for r in connector.get_many("orders", ["7", "9"])]
        assert asked == [("1", "7"), ("2", "7")]
        assert [r.scope for r in connector.search("orders", "number", "7")] == ["1", "2"]

    def test_changes_and_deletes_come_from_the_companies_that_are_read(self, shop: Shop) -> None:
        shop.create(COMPANIES)
        settings = {**BY_COMPANY, "cursor": "changed", "overlap": 0, "deleted": "gone", "children": {}}
        connector = shop.open({"orders": settings})
        cursor = everything(connector, "orders")[-1].cursor
        shop.execute("UPDATE orders SET changed = 50, note = 'new' WHERE number = '7'")
        shop.execute("UPDATE orders SET changed = 51, gone = '1' WHERE number = '8'")
        pages = everything(connector, "orders", cursor)
        assert [(r.scope, r.data["note"]) for page in pages for r in page.records] == [
            ("1", "new"),
            ("2", "new"),
        ]
        assert [(t.scope, t.native_id) for page in pages for t in page.tombstones] == [("2", "8")]
        alone = shop.open({"orders": {**settings, "scopes": 3}})
        assert [r.scope for page in everything(alone, "orders") for r in page.records] == ["3"]
        free = shop.open({"orders": {**settings, "scopes": [], "write": False}})
        assert len(records(everything(free, "orders"))) == 1
        assert sum(len(page.records) for page in everything(free, "orders")) == 3

    def test_a_write_reaches_the_record_of_its_company_and_no_other(self, shop: Shop) -> None:
        shop.create(COMPANIES)
        connector = shop.open({"orders": BY_COMPANY})
        held = {r.scope: r for r in connector.get_many("orders", ["7"])}
        patch = ListPatch(add=[{"line_no": 2, "sku": "pot"}], change={"1": {"sku": "mug"}})
        done = push(
            connector,
            "orders",
            create({"number": "9", "note": "n", "lines": [{"line_no": 1, "sku": "s"}]}, 1, scope="1"),
            create({"number": "9", "note": "m"}, 2, scope="2"),
            update(held["2"], {"note": "B", "lines": patch}, scope="2"),
            Operation("d", "delete", "8", scope="2"),
            Operation("e", "delete", "8", scope="1"),
        )
        assert [result.status for result in done] == ["done"] * 5
        answered = [(r.record.scope, r.record.native_id) for r in done if r.record]
        assert answered == [("1", "9"), ("2", "9"), ("2", "7")]
        assert shop.execute("SELECT company, number, note FROM orders ORDER BY company, number") == [
            (1, "7", "a"),
            (1, "9", "n"),
            (2, "7", "B"),
            (2, "9", "m"),
            (3, "7", "d"),
        ]
        assert shop.execute("SELECT company, order_number, sku FROM order_lines ORDER BY 1, 2, line_no") == [
            (1, "7", "tea"),
            (1, "9", "s"),
            (2, "7", "mug"),
            (2, "7", "pot"),
        ]
        stale = Operation("u", "update", "8", {"note": "x"}, scope="1")
        assert push(connector, "orders", stale)[0].status == "conflict"

    def test_nothing_is_written_into_another_company_or_moved_there(self, shop: Shop) -> None:
        shop.create(COMPANIES)
        connector = shop.open({"orders": {**BY_COMPANY, "upsert": True}})
        for operation, text in (
            (create({"number": "9"}, scope="3"), "'3' is none of the stream's `scopes`"),
            (create({"number": "9"}), "'' is none of the stream's `scopes`"),
            (Operation("u", "update", "7", {"note": "x"}, scope="3"), "'3' is none of"),
            (Operation("d", "delete", "7", scope="3"), "'3' is none of"),
            (create({"number": "9", "company": 1}, scope="2"), "belongs to '2'"),
            (Operation("m", "update", "7", {"company": 1}, scope="2"), "belongs to '2'"),
        ):
            (result,) = push(connector, "orders", operation)
            assert (result.status, text in result.reason) == ("rejected", True), operation
        (same,) = push(connector, "orders", create({"number": "7", "company": "2", "note": "B"}, scope="2"))
        assert same.status == "done"
        assert shop.execute("SELECT company, number, note FROM orders ORDER BY company, number") == [
            (1, "7", "a"),
            (2, "7", "B"),
            (2, "8", "c"),
            (3, "7", "d"),
        ]

    def test_ids_that_no_company_repeats_are_kept_apart_by_their_column(self, shop: Shop) -> None:
        shop.create("CREATE TABLE people (id {id}, org VARCHAR(9), name VARCHAR(9))")
        shop.execute(
            "INSERT INTO people VALUES (1, 'de', 'a'), (2, 'fr', 'b'), (3, NULL, 'c'), (4, 'cn', 'd')"
        )
        settings = {
            "table": "people",
            "scope_column": "org",
            "scopes": ["de", "fr"],
            "write": True,
            "upsert": True,
        }
        connector = shop.open({"people": settings})
        found = [(r.scope, r.native_id) for page in everything(connector, "people") for r in page.records]
        assert found == [("de", "1"), ("fr", "2")]
        asked = [(r.scope, r.native_id) for r in connector.get_many("people", ["1", "2", "3", "4"])]
        assert asked == found
        (made,) = push(connector, "people", create({"name": "e", "id": 9}, scope="fr"))
        assert made.record is not None
        assert (made.record.scope, made.record.data["org"]) == ("fr", "fr")
        (taken,) = push(connector, "people", create({"name": "x", "id": 1}, scope="fr"))
        assert taken.status == "rejected"
        (moved,) = push(connector, "people", Operation("u", "update", "1", {"name": "x"}, scope="fr"))
        assert moved.status == "conflict"
        assert shop.execute("SELECT id, org, name FROM people WHERE org = 'de'") == [(1, "de", "a")]
        free = shop.open({"people": {"table": "people", "scope_column": "org"}})
        shared = [r.native_id for page in everything(free, "people") for r in page.records if not r.scope]
        assert shared == ["3"]

    def test_check_tells_scopes_and_what_is_left_alone(self, shop: Shop) -> None:
        shop.create("CREATE TABLE people (id {id}, org VARCHAR(9), name VARCHAR(9))")
        shop.execute("INSERT INTO people VALUES (1, 'de', 'a'), (3, NULL, 'c'), (4, 'cn', 'd')")
        settings = {"table": "people", "scope_column": "org", "scopes": ["de", "fr"]}
        found = {finding.text: finding.level for finding in shop.open({"p": settings}).check()}
        assert found["p: org tells scopes apart: de, fr"] == "ok"
        assert found["p: rows of other scopes are left alone: cn"] == "ok"
        assert found["p: 1 rows have no org: they are left alone"] == "warning"
        assert found["p: no row has org 'fr'"] == "warning"
        free = [f.text for f in shop.open({"p": {**settings, "scopes": []}}).check()]
        assert "p: org tells scopes apart: cn, de" in free
        assert "p: 1 rows have no org: they belong to no scope" in free
        assert not any("left alone" in text for text in free)

    def test_mistakes_about_scopes_are_named(self, shop: Shop) -> None:
        shop.create(COMPANIES)
        for settings, text in (
            ({"scopes": [1]}, "wants `scope_column`"),
            ({"scope_column": "company", "scopes": [1, 1]}, "twice"),
            ({"scope_column": "company", "write": True}, "wants `scopes`"),
        ):
            with pytest.raises(ValidationError, match=text):
                shop.open({"orders": {"table": "orders", **settings}})
        with pytest.raises(ConfigError, match="did you mean 'company'"):
            shop.open({"orders": {"table": "orders", "scope_column": "companie"}}).streams()
        wrong = shop.open({"orders": {**BY_COMPANY, "scopes": ["north"]}})
        with pytest.raises(ConfigError, match="'north' cannot stand in company"):
            everything(wrong, "orders")
        assert any("'north' cannot stand" in finding.text for finding in wrong.check())
        narrow = {**BY_COMPANY["children"]["lines"], "foreign_key": "order_number"}  # type: ignore[index]
        with pytest.raises(ConfigError, match="the parent's key has 2: company, number"):
            shop.open({"orders": {**BY_COMPANY, "children": {"lines": narrow}}}).streams()

    def test_a_row_that_cannot_be_read_is_one_of_its_company(self, shop: Shop) -> None:
        shop.create("CREATE TABLE people (number INTEGER, org VARCHAR(9), name VARCHAR(9))")
        shop.execute(
            "INSERT INTO people VALUES (1, 'de', 'a'), (1, 'fr', 'b'), (1, 'fr', 'c'), (NULL, 'cn', 'd')"
        )
        settings = {"table": "people", "key": "number", "scope_column": "org", "scopes": ["de", "fr"]}
        pages = everything(shop.open({"people": settings}), "people")
        assert [(r.scope, r.native_id) for page in pages for r in page.records] == [("de", "1")]
        assert [(r.scope, r.position) for page in pages for r in page.rejects] == [("fr", "1"), ("fr", "1")]

    def test_without_streams_each_table_with_a_key_is_one(self, shop: Shop) -> None:
        shop.create(ORDERS)
        shop.create("CREATE TABLE log (line VARCHAR(5))")
        connector = shop.open()
        assert {s.name: s.key for s in connector.streams()} == {
            "order_lines": "order_number, line_no",
            "orders": "number",
        }
        with pytest.raises(FatalError, match="read-only"):
            push(connector, "orders", create({"number": "x"}))

    # -- writing

    def test_one_bad_item_is_rejected_and_the_others_go_on(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(7, "seven", None)])
        connector = shop.open({"customers": BY_TIME})
        secret = "4111-1111"
        results = push(
            connector,
            "customers",
            create({"name": "ok", "email": "a@x"}, 1),
            create({"name": None, "note": secret}, 2),
            create({"name": "twice", "email": "a@x", "note": secret}, 3),
            create({"name": "typo", "emial": "b@x"}, 4),
            create({"name": "no number", "credit": "abc"}, 5),
            create({"name": "NUL \x00"}, 6),
            create({"name": "half \ud83d"}, 7),
            create({"name": "list", "note": ["x"]}, 8),
            Operation("op9", "update", "7", {"name": "seven!"}),
            Operation("op10", "update", "99", {"name": "nobody"}),
            Operation("op11", "delete", "98"),
            Operation("op12", "transition", "7", {"status": "open"}),
        )
        assert [r.status for r in results] == [
            *("done", "rejected", "rejected", "rejected", "rejected", "rejected", "rejected", "rejected"),
            *("done", "conflict", "done", "rejected"),
        ]
        assert [r.operation_id for r in results] == [f"op{i}" for i in range(1, 13)]
        assert "did you mean 'email'" in results[3].reason
        for result in results:
            assert secret not in result.reason
            assert "INSERT" not in result.reason
        assert "name" in results[1].reason
        assert "email" in results[2].reason
        names = {record.data["name"] for record in records(everything(connector, "customers")).values()}
        assert names == {"ok", "seven!"}

    def test_a_stale_write_is_a_conflict_and_changes_nothing(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", None), (2, "b", None)])
        connector = shop.open({"customers": BY_TIME})
        found = records(everything(connector, "customers"))
        shop.execute("UPDATE customers SET note = 'theirs' WHERE id = 1")
        stale = found["1"]
        results = push(
            connector,
            "customers",
            update(stale, {"note": "ours"}),
            Operation("d", "delete", "1", version=stale.version),
            update(found["2"], {"note": "ours"}),
        )
        assert [r.status for r in results] == ["conflict", "conflict", "done"]
        assert shop.execute("SELECT note FROM customers ORDER BY id") == [("theirs",), ("ours",)]
        assert results[2].record is not None
        assert results[2].record.version != found["2"].version
        assert push(connector, "customers", update(results[2].record, {"note": "again"}))[0].status == "done"

    def test_a_version_column_guards_and_is_counted_up(self, shop: Shop) -> None:
        shop.create("CREATE TABLE docs (id {id}, text VARCHAR(9), version INTEGER, changed TIMESTAMP)")
        shop.execute("INSERT INTO docs VALUES (1, 'a', 4, NULL)")
        settings = {"table": "docs", "version": "version", "touch": ["version", "changed"], "write": True}
        connector = shop.open({"docs": settings})
        (read,) = connector.get_many("docs", ["1"])
        assert read.version == "4"
        (done,) = push(connector, "docs", update(read, {"text": "b"}))
        assert done.record is not None
        assert done.record.version == "5"
        age = datetime.now(UTC) - datetime.fromisoformat(done.record.data["changed"])
        assert abs(age.total_seconds()) < 60
        assert push(connector, "docs", update(read, {"text": "c"}))[0].status == "conflict"

    @pytest.mark.parametrize(
        ("held", "others"),
        [
            ("2026-01-15 09:00:00", "%Y-%m-%d %H:%M:%S"),
            ("2026-01-15T09:00:00.000Z", "%Y-%m-%dT%H:%M:%S.000Z"),
            ("2026-01-15T09:00:00+00:00", "%Y-%m-%dT%H:%M:%S+00:00"),
        ],
    )
    def test_what_others_write_into_a_column_of_texts_after_our_touch_is_read(
        self, shop: Shop, held: str, others: str
    ) -> None:
        shop.create("CREATE TABLE people (id {id}, name VARCHAR(9), changed TEXT)")
        shop.execute(f"INSERT INTO people VALUES (1, 'a', '{held}'), (2, 'b', '{held}')")
        settings = {"table": "people", "cursor": "changed", "touch": "changed", "write": True, "overlap": 0}
        connector = shop.open({"people": settings})
        (read,) = connector.get_many("people", ["1"])
        assert push(connector, "people", update(read, {"name": "ours"}))[0].status == "done"
        written = shop.execute("SELECT changed FROM people WHERE id = 1")[0][0]
        assert re.sub(r"\d", "9", written) == re.sub(r"\d", "9", held)
        cursor = everything(connector, "people")[-1].cursor
        later = (datetime.now(UTC) + timedelta(seconds=1)).strftime(others)
        shop.execute(f"UPDATE people SET name = 'theirs', changed = '{later}' WHERE id = 2")
        assert "2" in records(everything(connector, "people", cursor))

    @pytest.mark.parametrize("first", ["2026-01-15T23:00:00.5+00:00", "2026-01-15T23:00:00+05:30"])
    @pytest.mark.parametrize("second", ["2026-01-15 23:30:00", "2026-01-15 23:30", "2026-01-16"])
    def test_styles_that_do_not_sort_together_hide_nothing(self, shop: Shop, first: str, second: str) -> None:
        shop.create("CREATE TABLE people (id {id}, name VARCHAR(9), changed TEXT)")
        shop.execute(
            f"INSERT INTO people VALUES (1, 'a', '{first}'), (2, 'b', '{second}'),"
            " (3, 'c', '2026-01-01 09:00:00'), (4, 'd', 'unknown')"
        )
        connector = shop.open({"people": {"table": "people", "cursor": "changed", "write": True}})
        cursor = everything(connector, "people")[-1].cursor
        shop.execute("UPDATE people SET name = 'theirs', changed = '2026-01-15 23:59:00' WHERE id = 3")
        assert "3" in records(everything(connector, "people", cursor))
        found = [f for f in connector.check() if "do not sort together" in f.text]
        assert [(f.level, second in f.text) for f in found] == [("warning", True)]

    def test_texts_that_are_no_iso_times_do_not_lead_a_pull(self, shop: Shop) -> None:
        shop.create("CREATE TABLE people (id {id}, name VARCHAR(9), changed TEXT)")
        shop.execute("INSERT INTO people VALUES (1, 'a', '31.12.2025 09:00'), (2, 'b', '15.01.2026 09:00')")
        settings = {"table": "people", "cursor": "changed", "touch": "changed", "write": True}
        connector = shop.open({"people": settings})
        pages = everything(connector, "people")
        with pytest.raises(CursorExpiredError, match="do not sort by time"):
            everything(connector, "people", pages[-1].cursor)
        assert [f.level for f in connector.check() if "do not sort by time" in f.text] == ["error"]
        (refused,) = push(connector, "people", update(records(pages)["1"], {"name": "x"}))
        assert refused.status == "rejected"
        assert "changed" in refused.reason

    def test_a_text_of_fixed_length_that_grows_is_a_cursor(self, shop: Shop) -> None:
        shop.create("CREATE TABLE people (id {id}, name VARCHAR(9), changed TEXT)")
        shop.execute("INSERT INTO people VALUES (1, 'a', '0001'), (2, 'b', '0002')")
        connector = shop.open({"people": {"table": "people", "cursor": "changed"}})
        cursor = everything(connector, "people")[-1].cursor
        shop.execute("UPDATE people SET changed = '0003' WHERE id = 1")
        assert records(everything(connector, "people", cursor)).keys() == {"1", "2"}

    def test_only_the_given_columns_are_written(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        shop.execute("INSERT INTO customers (id, name, note, credit) VALUES (1, 'a', 'keep', 5)")
        connector = shop.open({"customers": BY_TIME})
        push(connector, "customers", Operation("u", "update", "1", {"credit": None}))
        assert shop.execute("SELECT name, note, credit FROM customers") == [("a", "keep", None)]

    def test_upsert_defaults_and_mark(self, shop: Shop) -> None:
        shop.create(
            "CREATE TABLE items"
            " (sku VARCHAR(9) PRIMARY KEY, name VARCHAR(9), kind VARCHAR(9) NOT NULL, mark TEXT)"
        )
        settings = {
            "table": "items",
            "write": True,
            "upsert": True,
            "mark_column": "mark",
            "defaults": {"kind": "new"},
        }
        connector = shop.open({"items": settings})
        capabilities = connector.streams()[0].capabilities
        assert (capabilities.upsert_key, capabilities.search_mark) == ("sku", "mark")
        assert capabilities.required == {"sku"}
        push(connector, "items", create({"sku": "s", "name": "a", "kind": "old"}, mark="m1"))
        (again,) = push(connector, "items", create({"sku": "s", "name": "b"}, mark="m2"))
        assert again.status == "done"
        assert shop.execute("SELECT * FROM items") == [("s", "b", "old", "m1")]
        (found,) = connector.search("items", "mark", "m1")
        assert found.native_id == "s"
        assert list(connector.search("items", "mark", "m2")) == []
        plain = shop.open({"items": {**settings, "upsert": False}})
        assert push(plain, "items", create({"sku": "s"}))[0].status == "rejected"

    def test_child_lists_are_patched_and_replaced(self, shop: Shop) -> None:
        shop.create(ORDERS)
        connector = shop.open({"orders": WITH_LINES})
        lines = [
            {"sku": "x", "quantity": 1},
            {"sku": "y", "quantity": Decimal("2.125")},
            {"sku": "x", "quantity": 3},
        ]
        (made,) = push(connector, "orders", create({"number": "A", "lines": lines}))
        assert made.record is not None, made.reason
        assert [line["line_no"] for line in made.record.data["lines"]] == [1, 2, 3]
        patch = ListPatch(add=[{"sku": "w", "quantity": 4}], change={"2": {"quantity": 5}}, remove=["1"])
        (done,) = push(connector, "orders", update(made.record, {"lines": patch}))
        assert done.record is not None, done.reason
        assert [(n["line_no"], n["sku"], n["quantity"]) for n in done.record.data["lines"]] == [
            (2, "y", 5),
            (3, "x", 3),
            (4, "w", 4),
        ]
        (gone,) = push(
            connector, "orders", update(done.record, {"lines": ListPatch(change={"9": {"sku": "q"}})})
        )
        assert gone.status == "conflict"
        bad = ListPatch(remove=["2", "3"], add=[{"sku": "z", "quantity": -1}])
        (refused,) = push(connector, "orders", update(done.record, {"customer": 9, "lines": bad}))
        assert refused.status == "rejected"
        assert list(connector.get_many("orders", ["A"])) == [done.record]
        whole = [{"line_no": 3, "sku": "x", "quantity": 30}, {"sku": "new", "quantity": 1}]
        (done,) = push(connector, "orders", update(done.record, {"lines": whole}))
        assert done.record is not None, done.reason
        assert [(n["line_no"], n["sku"]) for n in done.record.data["lines"]] == [(3, "x"), (4, "new")]
        (done,) = push(connector, "orders", Operation("d", "delete", "A", version=done.record.version))
        assert done.status == "done"
        assert shop.execute("SELECT count(*) FROM order_lines") == [(0,)]

    def test_a_foreign_change_of_a_child_is_a_conflict(self, shop: Shop) -> None:
        shop.create(ORDERS)
        connector = shop.open({"orders": WITH_LINES})
        (made,) = push(connector, "orders", create({"number": "A", "lines": [{"sku": "x", "quantity": 1}]}))
        shop.execute("UPDATE order_lines SET quantity = 2")
        assert made.record is not None
        assert push(connector, "orders", update(made.record, {"customer": 1}))[0].status == "conflict"

    @pytest.mark.parametrize("text", HOSTILE)
    def test_values_are_never_part_of_a_statement(self, shop: Shop, text: str) -> None:
        shop.create(
            "CREATE TABLE customers (code VARCHAR(80) PRIMARY KEY, name VARCHAR(80), updated VARCHAR(80))"
        )
        settings = {"table": "customers", "cursor": "updated", "write": True}
        connector = shop.open({"customers": settings}, page_size=1)
        push(connector, "customers", create({"code": "other", "name": "n", "updated": "!"}))
        (made,) = push(connector, "customers", create({"code": text, "name": text, "updated": text}))
        assert made.record is not None, made.reason
        assert made.record.native_id == text
        pages = everything(connector, "customers")
        assert records(pages).keys() == {"other", text}
        for page in pages:
            assert text in records(everything(connector, "customers", page.cursor)) or page.cursor.get(
                "after"
            ) == [text]
        assert [r.native_id for r in connector.search("customers", "name", text)] == [text]
        assert [r.native_id for r in connector.get_many("customers", [text])] == [text]
        assert push(connector, "customers", update(made.record, {"name": "n2"}))[0].status == "done"
        assert push(connector, "customers", Operation("d", "delete", text))[0].status == "done"
        assert shop.execute("SELECT code FROM customers") == [("other",)]

    @pytest.mark.parametrize("name", HOSTILE)
    def test_names_are_never_part_of_a_statement(self, shop: Shop, name: str) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", None)])
        for settings in (
            {"table": name},
            {"table": "customers", "key": name},
            {"table": "customers", "cursor": name},
            {"table": "customers", "schema": name},
        ):
            with pytest.raises(ConfigError, match="there is no"):
                everything(shop.open({"s": settings}), "s")
        connector = shop.open({"customers": BY_TIME})
        assert push(connector, "customers", create({"name": "x", name: "y"}))[0].status == "rejected"
        with pytest.raises(ConfigError, match="no column"):
            list(connector.search("customers", name, "x"))
        assert shop.execute("SELECT id, name FROM customers") == [(1, "a")]

    def test_read_only_refuses_to_push_and_still_reads(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", None)])
        connector = shop.open({"customers": BY_TIME}, read_only=True)
        assert records(everything(connector, "customers")).keys() == {"1"}
        with pytest.raises(FatalError, match="read-only"):
            push(connector, "customers", create({"name": "x"}))

    # -- what is said about it

    def test_capabilities_and_fields_say_what_the_table_says(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        connector = shop.open({"customers": BY_TIME, "ro": {"table": "customers"}})
        stream, other = connector.streams()
        capabilities = stream.capabilities
        assert stream.key == "id"
        assert capabilities.operations == {"create", "update", "delete"}
        assert (capabilities.changed_since, capabilities.deletes, capabilities.versions) == (
            True,
            "sweep",
            True,
        )
        assert capabilities.required == {"name"}
        assert capabilities.max_lengths == {"name": 80, "email": 120, "mark": 40}
        assert set(capabilities.search_keys) == {"id", "email"}
        assert capabilities.absent_means == "null"
        assert (other.capabilities.operations, other.capabilities.changed_since) == (set(), False)
        kinds = {name: info.type for name, info in connector.discover("customers").items()}
        assert kinds["credit"] == "decimal"
        assert kinds["active"] == "boolean"
        assert (kinds["born"], kinds["seen"], kinds["extra"]) == ("date", "datetime", "object")
        assert connector.discover("customers")["name"].required

    def test_check_names_what_is_weak(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(1, "a", None), (2, "b", "2026-01-01 00:00:00")])
        findings = list(shop.open({"c": BY_TIME, "bad": {"table": "custmers"}}).check())
        warnings = [finding.text for finding in findings if finding.level == "warning"]
        assert any("1 rows have no updated_at" in text for text in warnings)
        assert not any("no index serves updated_at" in text for text in warnings)
        (error,) = [finding for finding in findings if finding.level == "error"]
        assert "custmers" in error.text
        assert error.hint == "did you mean 'customers'?"
        fill(shop, [(number, "c", "2026-01-01 00:00:00") for number in range(3, 10_001)])
        found = [f.text for f in shop.open({"c": BY_TIME}).check() if f.level == "warning"]
        assert any("no index serves updated_at" in text for text in found)
        shop.execute("CREATE INDEX changed ON customers (updated_at)", "DELETE FROM customers WHERE id = 1")
        findings = list(shop.open({"c": BY_TIME}).check())
        assert not any("updated_at" in finding.text for finding in findings)
        assert any("locked" in finding.text for finding in findings)

    def test_mistakes_in_settings_are_named(self, shop: Shop) -> None:
        shop.create(ORDERS)
        lines = {"table": "order_lines", "foreign_key": "order_number", "key": "line_no"}
        for settings, text in (
            ({"table": "orders", "cursor": "costumer"}, "did you mean 'customer'"),
            ({"table": "Orders_"}, "did you mean 'orders'"),
            ({"table": "orders", "children": {"l": {**lines, "table": "x"}}}, "children: l: table"),
            ({"table": "orders", "children": {"l": {**lines, "key": "lineno"}}}, "did you mean 'line_no'"),
            ({"table": "orders", "children": {"customer": lines}}, "also a column"),
            (
                {"table": "orders", "children": {"l": {**lines, "foreign_key": ["sku", "line_no"]}}},
                "2 columns",
            ),
            ({"table": "orders", "write": True, "mark_column": "m"}, "mark_column"),
        ):
            with pytest.raises(ConfigError) as caught:
                shop.open({"s": settings}).streams()
            assert text in str(caught.value)
        with pytest.raises(ConfigError, match="no stream 'order'"):
            everything(shop.open({"orders": {"table": "orders"}}), "order")

    def test_the_fingerprint_is_the_databases(self, shop: Shop) -> None:
        shop.create(ORDERS)
        first = shop.open({"orders": {"table": "orders"}}).fingerprint()
        assert first == shop.open(timezone="Asia/Shanghai").fingerprint()
        assert CANARY not in first
        assert first

    def test_many_creates_answer_in_order_whichever_fail(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        connector = shop.open({"customers": {**BY_TIME, "mark_column": "mark"}})
        good = [create({"name": f"n{i}", "email": f"{i}@x"}, i, mark=f"m{i}") for i in range(50)]
        results = push(connector, "customers", *good)
        assert [r.record and (r.record.data["name"], r.record.data["mark"]) for r in results] == [
            (f"n{i}", f"m{i}") for i in range(50)
        ]
        mixed = [create({"name": f"o{i}", "email": f"{i}@x"}, i) for i in range(45, 55)]
        results = push(connector, "customers", *mixed)
        assert [r.status for r in results] == ["rejected"] * 5 + ["done"] * 5
        assert shop.execute("SELECT count(*) FROM customers") == [(55,)]

    def test_a_row_without_a_key_is_refused(self, shop: Shop) -> None:
        shop.create("CREATE TABLE items (sku VARCHAR(9) PRIMARY KEY, name VARCHAR(9))")
        connector = shop.open({"items": {"table": "items", "write": True}})
        results = push(connector, "items", create({"name": "a"}, 1), create({"name": "b"}, 2))
        assert [r.status for r in results] == ["rejected", "rejected"]
        assert "sku" in results[0].reason
        assert shop.execute("SELECT count(*) FROM items") == [(0,)]

    def test_what_changes_while_a_full_read_is_interrupted_is_seen_later(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(i, "c", "2026-01-01 00:00:00") for i in range(1, 10)])
        connector = shop.open({"customers": BY_TIME}, page_size=4)
        first = everything(connector, "customers")[0]
        shop.execute(
            "UPDATE customers SET updated_at = '2026-02-01 00:00:00' WHERE id = 1",
            "UPDATE customers SET updated_at = '2026-03-01 00:00:00' WHERE id = 9",
        )
        rest = everything(connector, "customers", first.cursor)
        assert "1" not in records(rest)
        assert "1" in records(everything(connector, "customers", rest[-1].cursor))

    def test_a_late_commit_while_a_read_is_interrupted_is_seen(self, shop: Shop) -> None:
        shop.create(CUSTOMERS)
        fill(shop, [(9, "old", "2026-01-01 00:00:00")])
        connector = shop.open({"customers": BY_TIME}, page_size=3)
        start = everything(connector, "customers")[-1].cursor
        fill(shop, [(i, "new", f"2026-02-01 00:00:0{i - 10}") for i in range(11, 20)])
        page = everything(connector, "customers", start)[1]
        assert [record.native_id for record in page.records] == ["13", "14", "15"]
        fill(shop, [(1, "late", "2026-02-01 00:00:01")])
        assert "1" in records(everything(connector, "customers", page.cursor))
