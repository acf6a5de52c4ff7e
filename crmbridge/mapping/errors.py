"""What goes wrong while one record is mapped."""

from __future__ import annotations

from crmbridge.sdk.errors import RecordError

__all__ = ["MappingError", "ValueRefusedError"]


class MappingError(RecordError):
    """One field of one record cannot be read or written by its mapping.

    field: the canonical field, as in `addresses[1].country`.
    reason: what is wrong with the value.
    position: `file:line:column` of the mapping rule, or None when no rule is to blame.
    """

    def __init__(
        self, field: str, reason: str, hint: str | None = None, *, position: str | None = None
    ) -> None:
        place = f" (mapped at {position})" if position else ""
        super().__init__(f"{field}: {reason}{place}" if field else f"{reason}{place}", hint=hint)
        self.field = field
        self.reason = reason
        self.position = position

    def inside(self, outer: str) -> MappingError:
        """The same error, seen from what holds `outer`: `country` becomes `addresses[1].country`."""
        field = f"{outer}.{self.field}" if self.field else outer
        return MappingError(field, self.reason, self.hint, position=self.position)


class ValueRefusedError(ValueError):
    """A value that a rule cannot take, with what to do about it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint
