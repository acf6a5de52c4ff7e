"""The demo folder: always the same, read without loss but for one documented row, and truly overlapping."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from crmbridge.demo import write
from crmbridge.identity.match import Verdict, compare
from crmbridge.identity.normalize import identity_keys
from crmbridge.mapping.discovered import check_against
from crmbridge.sdk import FatalError
from tests.demo.opened import Demo

PARTIES = [("sales", "customers"), ("shop", "customers"), ("crm", "accounts"), ("crm", "contacts")]
BROKEN = {("crm", "complaints"): {"R-707"}}
"""The one row that the folder's README explains."""


def contents(folder: Path) -> dict[str, Any]:
    """File -> content; workbooks by cells, databases by rows, since both also hold the time of writing."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix == ".xlsx":
            book = openpyxl.load_workbook(path)
            found[name] = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}
        elif path.suffix == ".db":
            with closing(sqlite3.connect(path)) as database:
                found[name] = list(database.iterdump())
        else:
            found[name] = path.read_bytes()
    return found


def test_it_is_always_the_same(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two")
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "two")
    assert {"crmbridge.yaml", "README.md", "shop.db", "sales-team/customers.xlsx"} <= one.keys()
    assert {
        f"crm-export/{name}.csv" for name in ("accounts", "contacts", "products", "complaints", "calls")
    } <= one.keys()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "my.txt").write_text("mine")
    with pytest.raises(FatalError, match="is not empty"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my.txt"]


def test_every_row_is_read_but_the_documented_one(demo: Demo) -> None:
    broken = {place: set(read.broken) for place, read in demo.read.items() if read.broken}
    assert broken == BROKEN
    (reason,) = demo.read["crm", "complaints"].broken.values()
    assert "in Klärung" in reason
    assert "crm-complaints.yaml" in reason
    readme = (demo.folder / "README.md").read_text(encoding="utf-8")
    assert "R-707" in readme
    assert "in Klärung" in readme


def test_the_readme_counts_right(demo: Demo) -> None:
    readme = (demo.folder / "README.md").read_text(encoding="utf-8")
    rows = {place: len(read.documents) + len(read.broken) for place, read in demo.read.items()}
    by_system = {
        "sales": [(rows["sales", "customers"], "customers")],
        "shop": [(rows["shop", name], name) for name in ("customers", "products", "orders", "invoices")],
        "crm": [
            (rows["crm", "accounts"], "customers"),
            (rows["crm", "contacts"], "contact persons"),
            *((rows["crm", name], name) for name in ("products", "complaints", "calls")),
        ],
    }
    for system, counts in by_system.items():
        (line,) = re.findall(rf"^\| `{system}` .*$", readme, re.MULTILINE)
        for count, what in counts:
            assert f"{count} {what}" in line, system


def test_mappings_name_only_columns_that_are_there(demo: Demo) -> None:
    found = [finding for read in demo.read.values() for finding in check_against(read.mapping, read.fields)]
    assert [finding for finding in found if finding.level == "error"] == []
    assert [finding for finding in demo.findings if finding.level == "error"] == []


def test_customers_are_in_several_systems(demo: Demo) -> None:
    """By the keys of today's matching: at least ten in all three, at least twenty in two."""
    systems: dict[str, set[str]] = defaultdict(set)
    for (system, _), _, document in parties(demo):
        for key in identity_keys(document, region="DE"):
            if key.startswith(("email:", "id:vat:")):
                systems[key].add(system)
    assert sum(len(found) == 3 for found in systems.values()) >= 10
    assert sum(len(found) >= 2 for found in systems.values()) >= 20


def test_the_same_customer_is_spelled_in_several_ways(demo: Demo) -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for _, _, document in parties(demo):
        for key in identity_keys(document, region="DE"):
            if key.startswith("email:"):
                names[key].add(document["display_name"])
    assert names["email:contact@cafe-lumiere.example"] == {
        "Cafe Lumière",
        "CAFÉ LUMIÈRE SARL",
        "Café Lumière SARL",
    }
    assert names["email:wang.xiaoming@mail.example"] == {"Wang Xiaoming", "王小明"}
    assert names["email:meiling.chen@mail.example"] == {"陳美玲", "陈美玲"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("shop", "customers", "14"), ("shop", "customers", "15")),  # a household with one phone
        (("sales", "customers", "K-1009"), ("sales", "customers", "K-1010")),  # an office mailbox
    ],
)
def test_doubtful_pairs_share_a_key_and_are_left_to_a_person(
    demo: Demo, one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    first, second = (demo.read[system, stream].documents[key] for system, stream, key in (one, other))
    shared = set(identity_keys(first, region="DE")) & set(identity_keys(second, region="DE"))
    assert shared
    assert {compare(first, second, key) for key in shared} == {Verdict.REVIEW}


def test_a_duplicate_inside_one_system_is_one_customer_in_two_spellings(demo: Demo) -> None:
    first, second = (demo.read["sales", "customers"].documents[key] for key in ("K-1002", "K-1023"))
    assert first["display_name"] != second["display_name"]
    shared = set(identity_keys(first, region="DE")) & set(identity_keys(second, region="DE"))
    assert {compare(first, second, key) for key in shared} == {Verdict.SAME}


def test_references_lead_somewhere(demo: Demo) -> None:
    """Complaints and calls name customers, orders and products that exist; orders too."""
    accounts = demo.read["crm", "accounts"].documents.keys()
    orders = demo.read["shop", "orders"].documents
    products = demo.read["shop", "products"].documents.keys()
    for read in (demo.read["crm", "complaints"], demo.read["crm", "calls"]):
        for document in read.documents.values():
            assert document["party"]["id"] in accounts
            assert (document.get("order") or {"id": "2026-1001"})["id"] in orders
            assert (document.get("product") or {"id": "TEA-001"})["id"] in products
    for document in (*orders.values(), *demo.read["shop", "invoices"].documents.values()):
        assert document["party"]["id"] in demo.read["shop", "customers"].documents
    for order in orders.values():
        assert {line["product"]["id"] for line in order["lines"]} <= products


def test_totals_are_the_sums_of_their_lines(demo: Demo) -> None:
    with closing(sqlite3.connect(demo.folder / "shop.db")) as database:
        wrong = database.execute(
            "SELECT number FROM orders JOIN order_lines ON order_number = number"
            " GROUP BY number HAVING total_cents <> sum(quantity * unit_price_cents)"
        ).fetchall()
    assert wrong == []


def parties(demo: Demo) -> list[tuple[tuple[str, str], str, dict[str, Any]]]:
    return [
        (place, native_id, document)
        for place in PARTIES
        for native_id, document in demo.read[place].documents.items()
    ]
