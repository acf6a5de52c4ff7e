"""What people get wrong, and what the command says to it: the place, what is wrong, what would be right."""

from __future__ import annotations

import pytest

from tests.cli.conftest import CONFIG, CUSTOMERS, Place


@pytest.mark.parametrize("instead", [None, b"no database"])
def test_a_database_file_that_is_gone_stops_its_own_system_only(agreed: Place, instead: bytes | None) -> None:
    file = agreed.folder / "shop.db"
    file.rename(agreed.folder / "elsewhere.db")
    if instead is not None:
        file.write_bytes(instead * 100)
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    done = agreed.run("sync")
    assert done.code == 1
    assert f"shop dropped out: {file}: " in done.err
    assert "put the file back" in done.err
    (agreed.folder / "elsewhere.db").replace(file)
    assert agreed.run("sync").code == 0
    assert agreed.shop()[0][0] == "Anne Lee"


def test_an_unknown_survivorship_rule_is_told_with_all_other_mistakes(place: Place) -> None:
    place.env["COLUMNS"] = "400"
    place.config(CONFIG + "    survivorship: {display_name: lastest}\n    authority: {nmae: [shop]}\n")
    for command in ("sync", "check"):
        done = place.run(command)
        assert done.code == 2
        told = done.out + done.err
        assert "crmbridge.yaml:11:34: 'lastest' is no survivorship rule; did you mean 'latest'?" in told
        assert "crmbridge.yaml:12:17: 'nmae' is no field of party" in told
