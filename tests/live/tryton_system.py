"""Opens the connector as the engine does, on a test database."""

import random
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crmbridge.sdk.connector import Context, Operation, Page, Record, Result
from crmbridge.sdk.http import HttpClient
from crmbridge_tryton.connector import TrytonConnector
from tests.live.tryton_server import Access


def open_tryton(
    access: Access,
    *,
    session: MutableMapping[str, str] | None = None,
    read_only: bool = False,
    now: datetime | None = None,
    **settings: Any,
) -> TrytonConnector:
    """The connector on this database. session: what an earlier run left, or empty."""
    context = Context(
        system="erp",
        root=Path(),
        session={} if session is None else session,
        now=lambda: now or datetime.now(UTC),
        random=random.random,
        read_only=read_only,
        http=HttpClient,
    )
    values = {
        "url": access.url,
        "database": access.database,
        "user": access.user,
        "password": access.password,
        **settings,
    }
    return TrytonConnector(TrytonConnector.settings_model.model_validate(values), context)


class Position:
    """Where a reader of one stream is: pulls what is new since the last pull."""

    def __init__(self, connector: TrytonConnector, stream: str) -> None:
        self._connector = connector
        self._stream = stream
        self._cursor: Any = None
        self.pages: list[Page] = []

    def pull(self) -> dict[str, Record]:
        """Records by native id."""
        self.pages = list(self._connector.pull(self._stream, self._cursor))
        self._cursor = self.pages[-1].cursor
        return {record.native_id: record for page in self.pages for record in page.records}

    def forget(self) -> None:
        """Begin anew."""
        self._cursor = None


def create(number: int | str, data: dict[str, Any]) -> Operation:
    return Operation(f"op-{number}", "create", data=data)


def update(record: Record, data: dict[str, Any], *, locked: bool = True) -> Operation:
    version = record.version if locked else None
    return Operation(f"op-{record.native_id}", "update", record.native_id, data, version=version)


def push(connector: TrytonConnector, stream: str, *operations: Operation) -> list[Result]:
    """The results, in the order of the operations."""
    results = {result.operation_id: result for result in connector.push(stream, operations)}
    assert len(results) == len(operations), "one result per operation"
    return [results[operation.id] for operation in operations]


def push_one(connector: TrytonConnector, stream: str, operation: Operation) -> Record:
    """The record as Tryton now holds it; fails if the operation is not done."""
    (result,) = push(connector, stream, operation)
    assert result.status == "done", result.reason
    assert result.record is not None
    return result.record
