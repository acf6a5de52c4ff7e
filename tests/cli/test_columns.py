"""A list or table that lost a column is no list in which nobody knows the value."""

from __future__ import annotations

import pytest

from tests.cli.conftest import CUSTOMERS, Place


def test_a_mapped_column_that_was_renamed_stops_the_list_until_it_is_back(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("Phone,", "Phone no.,").replace("Ann Lee", "Ann Li"))
    done = agreed.run("sync")
    assert done.code == 1
    for part in ("sales/customers", "customers.csv", "'Phone'", "sales.yaml:7:", "did you mean 'Phone no.'?"):
        assert part in done.out + done.err
    assert agreed.shop()[0][0] == "Ann Lee"
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Ann Li"))
    assert agreed.run("sync").code == 0
    assert agreed.shop()[0] == ("Ann Li", "ann@x.example", "+49301234567")


def test_a_mapped_column_that_was_dropped_from_a_table_clears_nothing(agreed: Place) -> None:
    agreed.shop("ALTER TABLE customers DROP COLUMN phone")
    done = agreed.run("sync")
    assert done.code == 1
    assert "shop/customers" in done.out + done.err
    assert "'phone'" in done.out + done.err
    assert "030 1234567" in (agreed.folder / "sales" / "customers.csv").read_text()


def test_columns_that_a_list_is_still_to_get_are_no_mistake(place: Place) -> None:
    config = (place.folder / "crmbridge.yaml").read_text()
    place.config(config.replace("write: true}}}", "create: true}}}", 1))
    place.customers("No,Name\n001,Ann Lee\n")
    place.agree()
    assert place.shop() == [("Ann Lee", None, None)]


@pytest.mark.parametrize(
    "wrong", ['key: "Nr", add_id: true', 'key: "Nr"', 'key: "No", add_id: true, header: 2']
)
def test_rows_whose_key_column_is_not_there_are_no_new_customers(agreed: Place, wrong: str) -> None:
    config = (agreed.folder / "crmbridge.yaml").read_text()
    agreed.config(config.replace('key: "No"', wrong))
    check = agreed.run("check")
    assert check.code != 0
    assert "there is no column" in check.out
    sync = agreed.run("sync")
    assert sync.code != 0
    assert "declared as key" in sync.out + sync.err
    assert len(agreed.shop()) == 3
