"""Writing to a table of Tryton: a batch in one transaction, and single operations where it is refused.

Tryton carries out a call wholly or not at all. A batch that it refuses is halved until the bad operation is
alone, so that one wrong phone number stops one customer and not a hundred.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from crmbridge.sdk.connector import Operation, Record, Result
from crmbridge.sdk.errors import AnswerLostError, ConflictError, CrmbridgeError, RecordError
from crmbridge_tryton.models import Models
from crmbridge_tryton.reading import TableReader
from crmbridge_tryton.rpc import Rpc, WarnedError

__all__ = ["TableWriter", "stamps", "with_warnings_skipped"]

_MOST_WARNINGS = 10


class TableWriter:
    """Creates, updates, archives and deletes records of one model."""

    model: str

    def __init__(self, model: str, rpc: Rpc, models: Models, reader: TableReader) -> None:
        self.model = model
        self.rpc = rpc
        self.models = models
        self.reader = reader

    def push(self, operations: Sequence[Operation]) -> Iterator[Result]:
        """One result per operation. Neighbours of one kind share a call."""
        for kind, group in groupby(operations, key=lambda operation: operation.kind):
            yield from self._carry_out(_KINDS[kind], list(group))

    # -- what a stream may do otherwise ----------------------------------------------------

    def create(self, operations: Sequence[Operation]) -> list[int]:
        """Make the records; their ids, in the same order."""
        rows = [self.models.values(self.model, operation.data) for operation in operations]
        made: list[int] = self.rpc.write(f"model.{self.model}.create", rows)
        return made

    def update(self, operations: Sequence[Operation]) -> list[int]:
        """Set fields and patch child lists."""
        pairs: list[Any] = []
        for operation in operations:
            pairs += [[native_id(operation)], self.models.values(self.model, operation.data)]
        self.rpc.write(f"model.{self.model}.write", *pairs, context=stamps(operations))
        return [native_id(operation) for operation in operations]

    def archive(self, operations: Sequence[Operation]) -> list[int]:
        """Take the records out of use; Tryton keeps them for the documents that name them."""
        ids = [native_id(operation) for operation in operations]
        self.rpc.write(f"model.{self.model}.write", ids, {"active": False}, context=stamps(operations))
        return ids

    def delete(self, operations: Sequence[Operation]) -> list[int]:
        """Delete for good. Tryton refuses what documents refer to, and doesn't mind what is gone already."""
        ids = [native_id(operation) for operation in operations]
        self.rpc.write(f"model.{self.model}.delete", ids, context=stamps(operations))
        return ids

    def transition(self, operations: Sequence[Operation]) -> list[int]:
        """Bring documents to the state asked for."""
        raise RecordError(f"{self.model} has no states that we move")

    # -- the batch -------------------------------------------------------------------------

    def _carry_out(self, kind: str, operations: Sequence[Operation]) -> Iterator[Result]:
        step: Callable[[Sequence[Operation]], list[int]] = getattr(self, kind)
        try:
            ids = step(operations)
        except AnswerLostError as error:
            for operation in operations:
                yield Result.uncertain(operation, error.message)
        except (RecordError, ConflictError) as error:
            if len(operations) > 1:
                middle = len(operations) // 2
                yield from self._carry_out(kind, operations[:middle])
                yield from self._carry_out(kind, operations[middle:])
            else:
                yield self._alone(kind, operations[0], error)
        else:
            yield from self._answers(kind, operations, ids)

    def _alone(self, kind: str, operation: Operation, error: CrmbridgeError) -> Result:
        """What the refusal of a single operation comes to."""
        if isinstance(error, ConflictError):
            return Result.conflict(operation, error.message)
        if not isinstance(error, WarnedError):
            return Result.rejected(operation, error.message)
        if kind in ("archive", "delete"):
            # "There is still stock", "it has unpaid invoices": such a question is for a person.
            return Result.rejected(
                operation, f"Tryton asks to confirm: {error.message} (if that is right, do it in Tryton)"
            )
        step: Callable[[Sequence[Operation]], list[int]] = getattr(self, kind)
        try:
            ids = with_warnings_skipped(self.rpc, lambda: step([operation]), error)
        except AnswerLostError as lost:
            return Result.uncertain(operation, lost.message)
        except (RecordError, ConflictError) as refusal:
            if isinstance(refusal, WarnedError):
                return Result.rejected(operation, f"Tryton asks again and again: {refusal.message}")
            return self._alone(kind, operation, refusal)
        return next(self._answers(kind, [operation], ids))

    def _answers(self, kind: str, operations: Sequence[Operation], ids: Sequence[int]) -> Iterator[Result]:
        """Each operation with its record as Tryton now holds it, read in one call for the batch."""
        if kind in ("archive", "delete"):
            yield from (Result.done(operation) for operation in operations)
            return
        try:
            records = {record.native_id: record for record in self.reader.get([str(item) for item in ids])}
        except CrmbridgeError as error:
            # It did happen: an error here must not make anybody send a create again.
            for operation, made in zip(operations, ids, strict=True):
                yield Result.uncertain(operation, f"written as {made}, but not read back: {error.message}")
            return
        for operation, made in zip(operations, ids, strict=True):
            # A record that is gone again at once, or that our user may write but not see, still has its id.
            yield Result.done(operation, records.get(str(made)) or Record(str(made), {}))


_KINDS = {kind: kind for kind in ("create", "update", "archive", "delete", "transition")}


def native_id(operation: Operation) -> int:
    assert operation.native_id is not None, f"{operation.kind} without a native id"
    return int(operation.native_id)


def stamps(operations: Sequence[Operation]) -> dict[str, Any]:
    """The context by which Tryton refuses to write over rows that changed since they were read."""
    known: dict[str, str] = {}
    for operation in operations:
        if operation.version:
            known.update(json.loads(operation.version))
    return {"_timestamp": known} if known else {}


def with_warnings_skipped(rpc: Rpc, step: Callable[[], list[int]], first: WarnedError) -> list[int]:
    """Confirm the warning as a person would, and try again; each warning once, ten at most."""
    confirmed = {first.name}
    rpc.skip_warning(first.name)
    while True:
        try:
            return step()
        except WarnedError as warning:
            if warning.name in confirmed or len(confirmed) >= _MOST_WARNINGS:
                raise
            confirmed.add(warning.name)
            rpc.skip_warning(warning.name)
