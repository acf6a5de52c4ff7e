"""A shop's database in which one table holds the customers of several companies, whose numbers repeat."""

from __future__ import annotations

import pytest

from tests.cli.conftest import CONFIG, CUSTOMERS, Place

SCOPED = "{table: customers, key: id, scope_column: company, scopes: [fr, de], write: true}"
ALL = "SELECT company, id, full_name, phone FROM customers ORDER BY company, id"


@pytest.fixture
def companies(place: Place) -> Place:
    place.config(CONFIG.replace("{table: customers, write: true}", SCOPED))
    place.shop("DROP TABLE customers")
    place.shop(
        "CREATE TABLE customers (company TEXT, id INTEGER, full_name TEXT, email TEXT, phone TEXT,"
        " PRIMARY KEY (company, id))"
    )
    place.shop(
        "INSERT INTO customers (company, id, full_name, email) VALUES ('de', 7, 'Ann Lee', 'ann@x.example'),"
        " ('fr', 7, '王小明', 'wang@x.example'), ('fr', 8, 'ليلى حداد', 'layla@x.example'),"
        " ('us', 7, 'Ann Lee', 'ann@x.example')"
    )
    place.agree()
    return place


def test_an_edit_reaches_the_record_of_its_company(companies: Place) -> None:
    assert companies.shop(ALL) == [
        ("de", 7, "Ann Lee", "+49301234567"),
        ("fr", 7, "王小明", None),
        ("fr", 8, "ليلى حداد", None),
        ("us", 7, "Ann Lee", None),
    ]
    companies.shop("UPDATE customers SET full_name = '王晓明' WHERE company = 'fr' AND id = 7")
    companies.shop("UPDATE customers SET full_name = 'Nobody' WHERE company = 'us'")
    companies.customers(CUSTOMERS.replace("Ann Lee", "Ann-Marie Lee"))
    assert companies.run("sync").code == 0
    assert [row[2] for row in companies.shop(ALL)] == ["Ann-Marie Lee", "王晓明", "ليلى حداد", "Nobody"]
    assert "王晓明" in (companies.folder / "sales" / "customers.csv").read_text()
    assert companies.run("plan", "--detailed-exitcode").code == 0


def test_a_delete_in_one_company_deletes_nobody_of_the_same_number(companies: Place) -> None:
    config = CONFIG.replace("{table: customers, write: true}", SCOPED)
    companies.config(config.replace("create:", "deletes: delete\n    create:"))
    companies.shop("DELETE FROM customers WHERE company = 'fr' AND id = 7")
    assert companies.run("sync", "--accept-config").code == 0
    left = (companies.folder / "sales" / "customers.csv").read_text()
    assert ("王小明" in left, "Ann Lee" in left) == (False, True)
    assert companies.run("plan", "--detailed-exitcode").code == 0


def test_a_row_that_cannot_be_read_is_mended_in_its_own_company(companies: Place) -> None:
    by_number = SCOPED.replace("write: true", "write: true, cursor: changed")
    companies.config(CONFIG.replace("{table: customers, write: true}", by_number))
    companies.shop("ALTER TABLE customers ADD COLUMN changed INTEGER")
    companies.shop(
        "UPDATE customers SET changed = 1, email = CAST(x'ff' AS TEXT) WHERE id = 7 AND company <> 'us'"
    )
    assert companies.run("sync").code == 3
    assert len(companies.run("dead-letters", "list", "--json").of("dead_letter")) == 2
    companies.shop(
        "UPDATE customers SET changed = 2, email = 'ann@x.example' WHERE company = 'de' AND id = 7"
    )
    assert companies.run("sync").code == 3
    (left,) = companies.run("dead-letters", "list", "--json").of("dead_letter")
    assert left["native_id"] == "7"
    companies.shop(
        "UPDATE customers SET changed = 3, email = 'wang@x.example' WHERE company = 'fr' AND id = 7"
    )
    assert companies.run("sync").code == 0


def test_companies_that_are_no_longer_named_are_left_alone(companies: Place) -> None:
    narrow = SCOPED.replace("[fr, de]", "[de]")
    companies.config(CONFIG.replace("{table: customers, write: true}", narrow))
    companies.customers(CUSTOMERS.replace("王小明", "王晓明").replace("Ann Lee", "Anna Lee"))
    assert companies.run("sync", "--accept-config").code == 0
    assert [row[2] for row in companies.shop(ALL)] == ["Anna Lee", "王小明", "ليلى حداد", "Ann Lee"]
    assert companies.run("plan", "--detailed-exitcode").code == 0
