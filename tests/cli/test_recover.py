"""A backup of the state is put back, as an operator would do it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.conftest import CUSTOMERS, Place

FOURTH = "004,Zoë,zoe@x.example,,\n"


def back_up(place: Place) -> Path:
    return Path(shutil.copy(place.folder / "state.db", place.folder / "state.backup"))


def put_back(place: Place, backup: Path) -> None:
    for name in ("state.db-wal", "state.db-shm"):
        (place.folder / name).unlink(missing_ok=True)
    shutil.copy(backup, place.folder / "state.db")


def test_a_restored_state_stops_before_anything_is_created_again(agreed: Place) -> None:
    backup = back_up(agreed)
    agreed.customers(CUSTOMERS + FOURTH)
    assert agreed.run("sync").code == 0
    assert len(agreed.shop()) == 4
    put_back(agreed, backup)
    for command in ("sync", "plan", "retry"):
        done = agreed.run(command)
        assert done.code == 5
        assert "restored from a backup" in done.err
        assert "crmbridge systems recover" in done.err
    assert agreed.run("systems", "recover", typed="n\n").code == 1
    assert agreed.run("sync").code == 5
    assert agreed.run("systems", "recover", "--yes").code == 0
    assert agreed.run("sync").code == 0
    agreed.customers(CUSTOMERS + FOURTH + "005,王小红,hong@x.example,,\n")
    assert agreed.run("sync").code == 4
    assert len(agreed.shop()) == 4
    assert agreed.run("apply", "crmbridge-plan.jsonl").code == 0
    assert [row[0] for row in agreed.shop()][3:] == ["Zoë", "王小红"]
    assert agreed.run("sync").code == 0


def test_without_the_file_beside_it_nothing_is_claimed_of_a_state(agreed: Place) -> None:
    backup = back_up(agreed)
    assert agreed.run("sync").code == 0
    put_back(agreed, backup)
    (agreed.folder / "state.db.last-run").unlink()
    assert agreed.run("sync").code == 0


def test_only_a_system_of_the_config_can_be_recovered(agreed: Place) -> None:
    done = agreed.run("systems", "recover", "nowhere", "--yes")
    assert done.code == 2
    assert "there is no system 'nowhere'" in done.err
    assert agreed.run("systems", "recover", "shop", "--yes").code == 0
