"""Files and folders that the user may not read or write: which one, what is missing, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import CUSTOMERS, Done, Place
from tests.unprivileged import unprivileged


def run_without(path: Path, rights: int, place: Place, *command: str) -> Done:
    """A command while `path` has these rights alone."""
    before = path.stat().st_mode
    path.chmod(rights)
    try:
        with unprivileged():
            return place.run(*command)
    finally:
        path.chmod(before)


@pytest.mark.parametrize("rights", [0, 0o400, 0o100])
@pytest.mark.parametrize("command", ["sync", "check"])
def test_mappings_that_nobody_may_look_at(place: Place, command: str, rights: int) -> None:
    folder = place.folder / "mappings"
    done = run_without(folder, rights, place, command)
    told = done.out + done.err
    assert done.code == 2
    assert f"{folder}:1:1: the folder cannot be looked into: Permission denied" in told
    assert "the right to read and enter that folder" in told
    assert "this should not have happened" not in told
    assert "has no mapping" not in told


def test_a_lock_of_somebody_else(agreed: Place) -> None:
    lock = agreed.folder / "state.db.lock"
    done = run_without(lock, 0o400, agreed, "sync")
    assert done.code == 13
    assert f"the lock of the state, {lock}, cannot be opened for writing: Permission denied" in done.err
    assert "the right to read and write that file" in done.err


def test_a_folder_in_place_of_the_lock(place: Place) -> None:
    lock = place.folder / "state.db.lock"
    lock.mkdir()
    done = place.run("sync")
    assert done.code == 13
    assert f"{lock}, cannot be opened for writing: Is a directory" in done.err
    assert "remove it while no crmbridge runs" in done.err


@pytest.mark.parametrize("rights", [0, 0o400, 0o100])
def test_lists_that_nobody_may_look_at(agreed: Place, rights: int) -> None:
    agreed.shop("UPDATE customers SET full_name = 'Ann Li' WHERE id = 1")
    done = run_without(agreed.folder / "sales", rights, agreed, "sync")
    assert done.code == 1
    assert f"the folder {agreed.folder / 'sales'} cannot be looked into: Permission denied" in done.err
    assert "the right to read and enter that folder" in done.err
    assert "the connector failed" not in done.err


def test_a_list_that_nobody_may_read(agreed: Place) -> None:
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    file = agreed.folder / "sales" / "customers.csv"
    done = run_without(file, 0, agreed, "sync")
    assert done.code == 1
    assert f"{file}" in done.err
    assert "Permission denied" in done.err
    assert "the right to read" in done.err


def test_whatever_else_may_not_be_looked_at_is_told_with_its_name(place: Place) -> None:
    done = run_without(place.folder, 0, place, "sync")
    assert done.code == 1
    assert f"{place.folder / 'crmbridge.yaml'}: Permission denied" in done.err
    assert "the right to read and write it" in done.err
    assert "this should not have happened" not in done.err
