"""What the memory system promises beside what the scenarios show of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour, MemoryConnector, MemorySystem
from crmbridge.sdk.connector import Context, Operation
from crmbridge.sdk.errors import AuthError, FatalError

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def opened(memory: MemorySystem, *, read_only: bool = False, session: Any = None) -> MemoryConnector:
    kept = {} if session is None else session
    context = Context("crm", Path(), kept, lambda: NOW, lambda: 0.5, read_only, lambda *_: None)  # type: ignore[arg-type]
    return MemoryConnector.on(memory, context)


def system(**behaviour: Any) -> MemorySystem:
    return MemorySystem(["customers"], lambda: NOW, Behaviour(**behaviour))


def test_who_opened_it_for_reading_reads_everything_and_writes_nothing() -> None:
    memory = system()
    memory.add("customers", "C1", name="王小明")
    crm = opened(memory, read_only=True)
    assert [record.native_id for page in crm.pull("customers", None) for record in page.records] == ["C1"]
    assert [record.native_id for record in crm.get_many("customers", ["C1"])] == ["C1"]
    assert [record.native_id for record in crm.search("customers", "name", "王小明")] == ["C1"]
    with pytest.raises(FatalError, match="crm was opened for reading only"):
        list(crm.push("customers", [Operation("1", "create", data={"name": "Ann"})]))
    assert len(memory.live("customers")) == 1


def test_a_token_that_is_not_kept_opens_nothing_a_second_time() -> None:
    memory = system(rotates_tokens=True)
    session: dict[str, str] = {}
    opened(memory, session=session)
    opened(memory, session=session)
    with pytest.raises(AuthError, match="used before"):
        opened(memory)


@pytest.mark.parametrize(
    ("deletes", "by_cursor", "in_full"),
    [
        ("feed", [("C1", False)], [("C1", False)]),
        ("flag", [("C1", True)], [("C1", True)]),
        ("archive", [("C1", True)], []),
        ("sweep", [], []),
        ("never", [], []),
    ],
)
def test_how_a_delete_shows(deletes: str, by_cursor: list[Any], in_full: list[Any]) -> None:
    memory = system(deletes=deletes)
    memory.add("customers", "C1", name="Ann")
    crm = opened(memory)
    (page,) = crm.pull("customers", None)
    memory.remove("customers", "C1")
    told = [
        [(t.native_id, t.archived) for page in crm.pull("customers", cursor) for t in page.tombstones]
        for cursor in (page.cursor, None)
    ]
    assert told == [by_cursor, in_full]


def test_what_we_archive_is_archived_and_a_pair_is_there_once() -> None:
    memory = system(composite={"customers": ("a", "b")})
    crm = opened(memory)
    pair = {"a": "1", "b": "2"}
    (made,) = crm.push("customers", [Operation("1", "create", data=pair)])
    assert made.record is not None
    assert made.record.native_id == "1~2"
    operations = [
        Operation("2", "create", data=pair),
        Operation("3", "update", "1~2", {"b": "3"}),
        Operation("4", "archive", "1~2"),
    ]
    results = list(crm.push("customers", operations))
    assert [(r.status, r.reason) for r in results] == [
        ("rejected", "there is one of this a and b already"),
        ("rejected", "b cannot be changed"),
        ("done", ""),
    ]
    assert [t.archived for page in crm.pull("customers", None) for t in page.tombstones] == [True]
