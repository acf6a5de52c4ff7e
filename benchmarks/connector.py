"""A connector to the server of the measurements, written as any vendor would write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel

from crmbridge.sdk.connector import (
    Capabilities,
    Connector,
    Context,
    Cursor,
    Finding,
    Operation,
    Page,
    Record,
    Result,
    Stream,
)
from crmbridge.sdk.hookspecs import hookimpl


class BenchSettings(BaseModel):
    """How the customers are reached and read."""

    url: str
    """http://127.0.0.1:PORT/SYSTEM"""
    read: Literal["cursor", "full"] = "full"
    """By (updated_at, id), or all of them each time."""
    writable: bool = False


class BenchConnector(Connector):
    """Customers over HTTP, 1,000 a page."""

    settings_model = BenchSettings
    settings: BenchSettings

    def __init__(self, settings: BenchSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http = context.http(settings.url)

    def check(self) -> Iterable[Finding]:
        yield Finding("ok", "nothing to log in to")

    def streams(self) -> Sequence[Stream]:
        by_cursor = self.settings.read == "cursor"
        capabilities = Capabilities(
            operations={"create", "update"} if self.settings.writable else frozenset(),
            changed_since=by_cursor,
            deletes="never" if by_cursor else "sweep",
            batch_size=500,
            absent_means="null",
        )
        return [Stream("customers", capabilities=capabilities)]

    def pull(self, stream: str, cursor: Cursor) -> Iterator[Page]:
        by_cursor = self.settings.read == "cursor"
        since, from_id = cursor or ("1970-01-01T00:00:00Z", 0)
        link = f"/{stream}?{urlencode({'since': since, 'from_id': from_id})}" if by_cursor else f"/{stream}"
        while link:
            answer = self.http.get_json(link)
            records = [_record(row) for row in answer["customers"]]
            link = answer["next"]
            if not by_cursor:
                yield Page(records, complete=not link)
            elif records:
                last = records[-1].data
                yield Page(records, cursor=[last["updated_at"], last["id"]])

    def push(self, stream: str, operations: Sequence[Operation]) -> Iterator[Result]:
        creates = [operation for operation in operations if operation.kind == "create"]
        updates = [operation for operation in operations if operation.kind == "update"]
        if creates:
            made = self.http.post_json(f"/{stream}", [operation.data for operation in creates])
            yield from map(_done, creates, made)
        if updates:
            changes = [{**operation.data, "id": int(operation.native_id or 0)} for operation in updates]
            yield from map(_done, updates, self.http.patch_json(f"/{stream}", changes, idempotent=True))

    def close(self) -> None:
        self.http.close()


def _record(row: dict[str, Any]) -> Record:
    changed = row.get("updated_at")
    return Record(str(row["id"]), row, modified=datetime.fromisoformat(changed) if changed else None)


def _done(operation: Operation, row: dict[str, Any]) -> Result:
    return Result.done(operation, _record(row))


@hookimpl
def crmbridge_connectors() -> dict[str, type[Connector]]:
    """The connector's name in a config."""
    return {"bench": BenchConnector}
