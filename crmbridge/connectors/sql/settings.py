"""What stands below a system with `connector: sql` in crmbridge.yaml.

For example:

    shop:
      connector: sql
      url: postgresql://bridge@db.local/shop
      password: ${env:SHOP_PASSWORD}
      streams:
        customers: {table: customers, key: id, cursor: updated_at, write: true}
        orders:
          table: orders
          key: number
          cursor: changed
          children: {lines: {table: order_lines, foreign_key: order_number, key: line_no}}
        invoices: {table: invoices, key: number, scope_column: company, scopes: [de, fr], write: true}
        stock: {query: "SELECT sku, SUM(quantity) AS quantity FROM stock GROUP BY sku", key: sku}
"""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from crmbridge.connectors.sql.query import check_select

__all__ = ["ChildSettings", "DeletedSettings", "SqlSettings", "StreamSettings"]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_scopes(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    return tuple(str(part) if type(part) is int else part for part in parts)


def _as_deleted(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


Columns = Annotated[tuple[str, ...], BeforeValidator(_as_tuple, str | tuple[str, ...])]
"""One column's name or a list of them."""
Scopes = Annotated[tuple[str, ...], BeforeValidator(_as_scopes)]
"""Values of a column, as texts."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ChildSettings(_Settings):
    """Rows of another table that are part of a record: order lines, addresses."""

    table: str
    """The table of the child rows."""
    db_schema: str | None = Field(None, alias="schema")
    """Where it is, if not in the parent's schema."""
    foreign_key: Columns
    """The child's columns that hold the parent's key, in the order of that key; where keys repeat among
    scopes, the scope's first."""
    key: str
    """The column that tells the children of one parent apart. A number that the database does not
    generate is counted up by crmbridge."""
    order_by: Columns = ()
    """The order of the list; without it, that of `key`."""


class DeletedSettings(_Settings):
    """A column that marks rows as deleted instead of removing them."""

    column: str
    """Its name."""
    values: tuple[Any, ...] = ()
    """The values that mean deleted, compared as text; all others, and NULL, do not. Without them: NULL,
    blank text, false, 0 (`n`, `no`, `off`) and the date 0000-00-00 do not; true, other numbers, `y`, `yes`,
    `on`, `x`, `deleted` and every date or time do. A row with any other text is a dead letter, and neither
    changed nor deleted anywhere, until it is said here what it means. The first value is what an archive
    writes; without one: true, 1 or the present time, by the type."""


class StreamSettings(_Settings):
    """One table, view or query as a stream."""

    table: str | None = None
    """A table or view. Either this or `query`."""
    db_schema: str | None = Field(None, alias="schema")
    """Where the table is, if not in the system's `schema`."""
    query: str | None = None
    """A single SELECT; read-only. Its columns need names."""
    key: Columns = ()
    """The column or columns that identify a row; without it, the primary key."""
    scope_column: str | None = None
    """The column that says to which company, channel or organization a row belongs, where one table holds
    those of several. It is a part of the record's key then: 7 of one company is not 7 of another."""
    scopes: Scopes = ()
    """The values of `scope_column` that are read and written, the one for new rows first: a new row goes
    there, or into that of what it refers to. Rows of others are left alone. Without it, all are read."""
    cursor: str | None = None
    """A column that grows with every change: a time, date or number. Without it, each pull reads all. Times
    in a column of texts have to be ISO 8601 and of one style; our writes keep to it."""
    overlap: Annotated[int, Field(ge=0)] | None = None
    """How far back every pull reads again, for changes that were committed late: seconds for a time,
    days for a date, steps for a number. Default: 10 seconds, 1 day, 1000 steps."""
    deleted: Annotated[DeletedSettings, BeforeValidator(_as_deleted, str | DeletedSettings)] | None = None
    """The column that marks rows as deleted, or more about it: see `deleted:` below."""
    version: str | None = None
    """A column that changes with every write, for optimistic locking. Without it, the row is compared."""
    touch: Columns = ()
    """Columns that our writes set as the application would: a time to now, a number to one more."""
    children: dict[str, ChildSettings] = {}
    """Name of a list -> the table whose rows are its elements."""
    write: bool = False
    """Whether crmbridge may write. The login needs the rights as well."""
    upsert: bool = False
    """A create whose key exists already becomes an update."""
    mark_column: str | None = None
    """A text column where creates leave their mark, so that one whose answer was lost can be found."""
    defaults: dict[str, Any] = {}
    """Column -> value for creates that don't say."""

    @model_validator(mode="after")
    def _consistent(self) -> StreamSettings:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either `table` or `query`")
        if self.query is not None:
            check_select(self.query)
            if not self.key:
                raise ValueError("a `query` needs `key`: the column or columns that identify a row")
            if self.write:
                raise ValueError("a `query` is read-only; use `table` for a stream that is written")
        if self.scopes and not self.scope_column:
            raise ValueError("`scopes` wants `scope_column`: the column that holds them")
        if len(set(self.scopes)) < len(self.scopes):
            raise ValueError("`scopes` names one of them twice")
        if self.write and self.scope_column and not self.scopes:
            raise ValueError("`write: true` with `scope_column` wants `scopes`: where new rows belong")
        if not self.write and (self.upsert or self.mark_column or self.touch or self.defaults):
            raise ValueError("`upsert`, `mark_column`, `touch` and `defaults` want `write: true`")
        return self


class SqlSettings(_Settings):
    """The settings of `connector: sql`."""

    url: str = Field(repr=False)
    """An SQLAlchemy URL. The path of an SQLite file is relative to the config file."""
    password: SecretStr | None = None
    """Takes the place of the password in `url`."""
    db_schema: str | None = Field(None, alias="schema")
    """The schema of all tables that don't name one; without it, the login's default."""
    timezone: str = "UTC"
    """The IANA time zone of columns that hold a time without one."""
    streams: dict[str, StreamSettings] | None = None
    """Without it, each table that has a primary key is a read-only stream."""
    page_size: int = Field(1000, ge=1, le=5000)
    """Rows read at a time."""
    batch_size: int = Field(100, ge=1, le=1000)
    """Operations written in one transaction."""
    timeout: int = Field(10, ge=1)
    """Seconds to wait for a connection, and for rows that somebody else has locked."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{name!r} is not an IANA time zone such as Europe/Berlin") from error
        return name
