"""Safety limits: how much may happen in one run before a person is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

__all__ = ["FirstLimits", "Limit", "Limits"]

_FORM = re.compile(
    r"max\(\s*(?P<share>\d+(\.\d+)?)%\s*,\s*(?P<floor>\d+)\s*\)|(?P<only>\d+(\.\d+)?)%|(?P<count>\d+)"
)
_PATTERN = r"^(max\(\s*\d+(\.\d+)?%\s*,\s*\d+\s*\)|\d+(\.\d+)?%|\d+|unlimited)$"


@dataclass(frozen=True, slots=True)
class Limit:
    """`max(20%, 200)`, `2%`, `50` or `unlimited`: a share of the records, a number, or the larger of both."""

    text: str
    share: Decimal = Decimal(0)
    """Percent of the total."""
    floor: int | None = 0
    """So many are allowed in any case; None: no limit at all."""

    @classmethod
    def parse(cls, value: object) -> Limit:
        """Raises ValueError for anything that is no limit."""
        if isinstance(value, Limit):
            return value
        text = str(value).strip()
        if text == "unlimited":
            return cls(text, floor=None)
        found = _FORM.fullmatch(text) if not isinstance(value, bool) else None
        if found is None:
            raise ValueError("should be like max(20%, 200), 2%, 50 or unlimited")
        share = Decimal(found["share"] or found["only"] or 0)
        if share > 100:
            raise ValueError("a share is at most 100%; to have no limit write unlimited")
        return cls(text, share, int(found["floor"] or found["count"] or 0))

    def allows(self, count: int, total: int) -> bool:
        """Whether `count` of `total` records may be touched."""
        return self.floor is None or count <= self.floor or count * 100 <= self.share * total

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": _PATTERN}, {"type": "integer", "minimum": 0}]}


class FirstLimits(BaseModel):
    """Limits at first contact, when a system or entity is synced for the first time: such a plan is looked at
    before it is applied, and creates are what it is for."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    creates: Limit = Limit.parse("unlimited")
    """Records that are made."""
    updates: Limit = Limit.parse("unlimited")
    """Records that are changed."""
    deletes: Limit = Limit.parse(0)
    """Records that are archived or deleted."""
    clears: Limit = Limit.parse(0)
    """Values that are emptied, per field."""


class Limits(BaseModel):
    """How much may happen in one run, of the records of one entity in one system."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    creates: Limit = Limit.parse("max(20%, 200)")
    """Records that are made."""
    updates: Limit = Limit.parse("max(50%, 200)")
    """Records that are changed."""
    deletes: Limit = Limit.parse("max(5%, 20)")
    """Records that are archived or deleted there, since they were deleted elsewhere."""
    clears: Limit = Limit.parse("max(5%, 20)")
    """Values that are emptied, per field."""
    reverts: Limit = Limit.parse("max(5%, 20)")
    """Values that went back to what they were before we wrote: a stale copy was saved over our work."""
    rejects: Limit = Limit.parse("max(2%, 10)")
    """Records that cannot be read: beyond it the mapping is wrong, not the data."""
    vanished: Limit = Limit.parse("max(50%, 5)")
    """Records that a complete reading of a stream lacks, or that no `when:` takes any more: beyond it the
    source or the condition is broken."""
    parked_hours: Annotated[float, Field(ge=0)] = 24
    """Hours that a record may wait for one that it refers to; after that a run ends with exit code 3."""
    shared_by: Annotated[int, Field(ge=1)] = 50
    """Customers that may share an e-mail address, a phone or another number. What more of them share says
    nothing about who somebody is: nobody is matched by it."""
    first: FirstLimits = FirstLimits.model_construct()
    """Limits at first contact."""

    def limit(self, name: str, *, first: bool = False) -> Limit:
        """The limit of that name; at first contact its own where there is one."""
        source: BaseModel = self.first if first and name in FirstLimits.model_fields else self
        found: Limit = getattr(source, name)
        return found

    def allows(self, name: str, count: int, total: int, *, first: bool = False) -> bool:
        """Whether `count` of `total` may happen; the names are this model's fields."""
        return self.limit(name, first=first).allows(count, total)

    def describe(self, name: str, *, first: bool = False) -> str:
        """The limit as it stands in the config."""
        return str(self.limit(name, first=first))
