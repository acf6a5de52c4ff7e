"""systems agreement: what a system in shadow would get, field by field."""

from __future__ import annotations

import pytest

from tests.cli.conftest import CONFIG, Place


@pytest.fixture
def shadow(place: Place) -> Place:
    """The shop knows one of three, with a name of its own, and is only watched."""
    place.config(CONFIG.replace("shop: {connector: sql,", "shop: {connector: sql, mode: shadow,"))
    place.shop("INSERT INTO customers VALUES (7, 'Ann M. Lee', 'ann@x.example', NULL), (8, '王', NULL, NULL)")
    return place


def test_a_sync_says_what_it_did_not_send_to_a_system_in_shadow(shadow: Place) -> None:
    done = shadow.run("sync")
    assert done.code == 0
    assert "shop is in shadow, so 3 operations were not sent: crmbridge systems agreement shop" in done.err
    assert "All systems agree" not in done.out + done.err
    assert "shop is in shadow, so 3 operations" in shadow.run("sync").err  # and not only the first time
    assert shadow.shop() == [("Ann M. Lee", "ann@x.example", None), ("王", None, None)]


def test_agreement_is_told_field_by_field_with_examples(shadow: Place) -> None:
    shadow.run("sync")
    whole, name, points = shadow.run("systems", "agreement", "shop", "--json").lines
    assert (whole["compared"], whole["only_here"], whole["create"]) == (1, 1, 2)
    assert (name["field"], name["compared"], name["agree"], name["change"]) == ("display_name", 1, 0, 1)
    assert name["examples"] == {"change": ["7", "Ann M. Lee", "Ann Lee"]}
    assert (points["field"], points["change"]) == ("contact_points", 1)
    lines = shadow.run("systems", "agreement", "shop", "--entity", "party").out.splitlines()
    assert "1 records that another system has too, 1 only here, 2 to be created" in lines
    assert "  display_name, changed: 7 has Ann M. Lee, against Ann Lee" in lines
    (row,) = [line.split() for line in lines if line.startswith(" display_name ")]
    assert row == ["display_name", "1", "0.0%", "0", "1", "0", "0", "0"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("hr",), "there is no system 'hr'"),
        (("shop", "--entity", "product"), "the config writes no product into shop"),
    ],
)
def test_what_cannot_be_compared_is_refused(shadow: Place, arguments: tuple[str, ...], told: str) -> None:
    done = shadow.run("systems", "agreement", *arguments)
    assert (done.code, told in done.err) == (2, True)


def test_a_system_that_is_never_written_has_nothing_to_agree_to(place: Place) -> None:
    place.config(CONFIG.replace("shop: {connector: sql,", "shop: {connector: sql, mode: read-only,"))
    done = place.run("systems", "agreement", "shop")
    assert done.code == 2
    assert "shop is read-only" in done.err
