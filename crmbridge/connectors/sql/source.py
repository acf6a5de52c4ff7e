"""What a stream is in the database: its table, columns, key, child tables. Found by reflection, once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crmbridge.connectors.sql.database import Database
from crmbridge.connectors.sql.settings import ChildSettings, SqlSettings, StreamSettings
from crmbridge.connectors.sql.values import Field, integer_bits, kind_of
from crmbridge.sdk import ConfigError

__all__ = ["Child", "Source", "Sources"]


@dataclass(frozen=True, slots=True)
class Child:
    """A table whose rows are a list inside the records of a stream."""

    name: str
    table: sa.Table
    fields: Mapping[str, Field]
    """By column name, in the table's order."""
    foreign_key: tuple[Field, ...]
    key: Field
    order: tuple[Field, ...]

    @property
    def shown(self) -> list[Field]:
        """The fields of a list element: the foreign key is left out, the parent says it."""
        hidden = {field.name for field in self.foreign_key} - {self.key.name}
        return [field for field in self.fields.values() if field.name not in hidden]


@dataclass(frozen=True, slots=True)
class Source:
    """A stream, resolved."""

    name: str
    settings: StreamSettings
    table: sa.FromClause
    fields: Mapping[str, Field]
    """By column name, in the table's order."""
    key: tuple[Field, ...]
    """What tells a row from all others: `ids`, behind the scope where ids repeat among scopes."""
    ids: tuple[Field, ...]
    """What the native id is made of."""
    scope: Field | None
    """The column that says in which scope a row is."""
    unique: tuple[str, ...]
    """Columns that are unique each by itself, by a constraint."""
    key_is_unique: bool
    cursor: Field | None
    version: Field | None
    deleted: Field | None
    children: tuple[Child, ...]
    indexed: frozenset[str]
    """Columns that an index starts with."""

    key_at: tuple[int, ...]
    """Where in a row the key's columns are."""
    cursor_at: int
    """Where in a row the cursor column is; -1 without one."""
    scope_at: int
    """Where in a row the scope is; -1 without one."""

    @property
    def columns(self) -> list[sa.ColumnElement[Any]]:
        return [field.column for field in self.fields.values()]

    @property
    def names(self) -> list[str]:
        """All that a record has, with the columns of its child lists."""
        inner = [f"{child.name}.{field.name}" for child in self.children for field in child.shown]
        return [*self.fields, *(child.name for child in self.children), *inner]

    @property
    def time_texts(self) -> set[str]:
        """The names of columns of texts that hold times, by the settings: `cursor` and `touch`."""
        names = {self.cursor.name if self.cursor else "", *self.settings.touch}
        return {name for name, field in self.fields.items() if name in names and field.kind == "text"}

    @property
    def written(self) -> sa.Table:
        """The table, of a stream that is written."""
        assert isinstance(self.table, sa.Table)
        return self.table

    @property
    def place(self) -> str:
        return f"table {self.settings.table!r}" if self.settings.table else "query"


class Sources:
    """All streams of a system. Looks into the database on first use."""

    def __init__(self, system: str, settings: SqlSettings, database: Database) -> None:
        self._system = system
        self._settings = settings
        self._database = database
        self._found: dict[str, Source] = {}
        self._streams: dict[str, StreamSettings] | None = settings.streams

    def names(self) -> list[str]:
        """The names of all streams, without looking at each table."""
        if self._streams is None:
            self._streams = self._all_tables()
        return list(self._streams)

    def source(self, stream: str) -> Source:
        """One stream. Raises ConfigError where the database doesn't have what the settings say."""
        if stream not in self._found:
            names = self.names()
            if stream not in names:
                raise ConfigError(
                    f"{self._system}: there is no stream {stream!r}", hint=_suggest(stream, names)
                )
            assert self._streams is not None
            with self._database.reading() as connection:
                resolver = _Resolver(f"{self._system}/{stream}", self._settings, self._database, connection)
                self._found[stream] = resolver.source(stream, self._streams[stream])
        return self._found[stream]

    def _all_tables(self) -> dict[str, StreamSettings]:
        with self._database.reading() as connection:
            inspector = sa.inspect(connection)
            schema = self._settings.db_schema
            keys = inspector.get_multi_pk_constraint(schema=schema)
            names = [name for (_, name), key in keys.items() if key["constrained_columns"]]
        if not names:
            raise ConfigError(
                f"{self._system}: {self._database.place} has no table with a primary key",
                hint="name the streams below `streams`, or set `schema`",
            )
        return {name: StreamSettings(table=name) for name in sorted(names)}


class _Resolver:
    """Finds one stream's tables and columns; every mistake names the setting and what is near it."""

    def __init__(self, place: str, settings: SqlSettings, database: Database, connection: Connection) -> None:
        self._place = place
        self._settings = settings
        self._database = database
        self._connection = connection

    def source(self, name: str, settings: StreamSettings) -> Source:
        schema = settings.db_schema or self._settings.db_schema
        table: sa.FromClause
        if settings.query is not None:
            table, fields, unique, indexed = *self._query(settings.query), [], frozenset[str]()
        else:
            assert settings.table is not None
            reflected = self._table(settings.table, schema, "table")
            table, fields = reflected, self._fields(reflected)
            unique = _unique_columns(reflected) + self._hidden_unique_columns(reflected)
            indexed = frozenset([*(names[0] for names in unique), *_indexed_columns(reflected)])
        scope = self._optional(fields, settings.scope_column, "scope_column")
        ids = self._columns(fields, settings.key or _primary_key(table, settings.scope_column), "key")
        if not ids:
            raise ConfigError(
                f"{self._place}: table {settings.table!r} has no primary key",
                hint="name the columns that identify a row: `key: [...]`",
            )
        repeats = scope is not None and scope not in ids and {f.name for f in ids} not in map(set, unique)
        key = (scope, *ids) if scope is not None and repeats else ids
        self._columns(fields, (*settings.touch, *settings.defaults), "touch, defaults")
        self._columns(fields, filter(None, [settings.mark_column]), "mark_column")
        key_names = tuple(field.name for field in key)
        children = tuple(self._child(n, c, schema, key_names) for n, c in settings.children.items())
        self._no_clash(fields, children)
        cursor = self._optional(fields, settings.cursor, "cursor")
        deleted = settings.deleted.column if settings.deleted else None
        names = list(fields)
        return Source(
            name=name,
            settings=settings,
            table=table,
            fields=fields,
            key=key,
            ids=ids,
            scope=scope,
            unique=tuple(names[0] for names in unique if len(names) == 1),
            key_is_unique={field.name for field in key} in [set(names) for names in unique],
            cursor=cursor,
            version=self._optional(fields, settings.version, "version"),
            deleted=self._optional(fields, deleted, "deleted"),
            children=children,
            indexed=indexed,
            key_at=tuple(names.index(field.name) for field in key),
            cursor_at=names.index(cursor.name) if cursor else -1,
            scope_at=names.index(scope.name) if scope else -1,
        )

    def _child(self, name: str, settings: ChildSettings, schema: str | None, key: tuple[str, ...]) -> Child:
        setting = f"children: {name}"
        table = self._table(settings.table, settings.db_schema or schema, f"{setting}: table")
        fields = self._fields(table)
        foreign_key = self._columns(fields, settings.foreign_key, f"{setting}: foreign_key")
        if len(foreign_key) != len(key):
            raise ConfigError(
                f"{self._place}: {setting}: foreign_key has {len(foreign_key)} columns, "
                f"the parent's key has {len(key)}: {', '.join(key)}"
            )
        (own_key,) = self._columns(fields, (settings.key,), f"{setting}: key")
        order = self._columns(fields, settings.order_by, f"{setting}: order_by")
        return Child(name, table, fields, foreign_key, own_key, (*order, own_key))

    def _table(self, name: str, schema: str | None, setting: str) -> sa.Table:
        inspector = sa.inspect(self._connection)
        names = self._names(inspector, schema)
        if name not in names:
            where = f"schema {schema!r}" if schema else self._database.place
            raise ConfigError(
                f"{self._place}: {setting}: there is no table {name!r} in {where}", hint=_suggest(name, names)
            )
        metadata = sa.MetaData()
        if self._database.dialect == "sqlite":
            sa.event.listen(metadata, "column_reflect", _keep_declared_type)
        return sa.Table(name, metadata, schema=schema, autoload_with=self._connection, resolve_fks=False)

    def _hidden_unique_columns(self, table: sa.Table) -> list[tuple[str, ...]]:
        """SQLite: SQLAlchemy finds UNIQUE constraints in the text of CREATE TABLE, and not all of them."""
        if self._database.dialect != "sqlite":
            return []
        inspector = sa.inspect(self._connection)
        indexes = inspector.get_indexes(table.name, table.schema, include_auto_indexes=True)
        names = [index["column_names"] for index in indexes if index["name"].startswith("sqlite_autoindex_")]  # type: ignore[union-attr]
        return [tuple(str(name) for name in columns) for columns in names]

    def _names(self, inspector: sa.Inspector, schema: str | None) -> list[str]:
        if schema is not None and schema not in inspector.get_schema_names():
            raise ConfigError(
                f"{self._place}: schema: there is no schema {schema!r} in {self._database.place}",
                hint=_suggest(schema, inspector.get_schema_names()),
            )
        names = inspector.get_table_names(schema) + inspector.get_view_names(schema)
        if self._database.dialect == "postgresql":
            names += inspector.get_materialized_view_names(schema)
        return names

    def _fields(self, table: sa.Table) -> dict[str, Field]:
        generated = self._rowid(table) if self._database.dialect == "sqlite" else None
        return {c.name: _field(c, self._database.dialect, c.name == generated) for c in table.columns}

    def _rowid(self, table: sa.Table) -> str | None:
        """SQLite generates the values of a key that is declared INTEGER, to the letter."""
        asked = sa.text(
            "SELECT min(name) FROM pragma_table_info(:name, :schema) WHERE pk > 0"
            " HAVING count(*) = 1 AND upper(min(type)) = 'INTEGER'"
        )
        found = {"name": table.name, "schema": table.schema or "main"}
        name: str | None = self._connection.execute(asked, found).scalar_one_or_none()
        return name

    def _query(self, query: str) -> tuple[sa.FromClause, dict[str, Field]]:
        # A colon is a parameter to SQLAlchemy; in a query it is a cast or part of a text. The newline
        # ends a comment that would otherwise swallow the closing bracket.
        text = query.strip().replace(":", "\\:") + "\n"
        bare = sa.text(text).columns().subquery("q")
        described = self._connection.execute(
            sa.select(sa.text("*")).select_from(bare).where(sa.false())
        ).cursor
        assert described is not None
        columns = [self._described(item) for item in described.description]
        names = [column.name for column in columns]
        if "" in names or "?column?" in names or len(set(names)) < len(names):
            raise ConfigError(f"{self._place}: query: each column needs a name of its own", hint="use AS")
        table = sa.text(text).columns(*columns).subquery("q")
        return table, {c.name: _field(c, self._database.dialect, rowid=False) for c in table.columns}

    def _described(self, description: Sequence[Any]) -> sa.Column[Any]:
        """A column of a query. PostgreSQL says its type; elsewhere it follows from each value."""
        declared: sa.types.TypeEngine[Any] = sa.types.NullType()
        if self._database.dialect == "postgresql":
            known = self._connection.connection.driver_connection.adapters.types.get(description[1])  # type: ignore[union-attr]
            name = known.regtype if known else ""
            found = self._database.engine.dialect.ischema_names.get(name)  # type: ignore[attr-defined]
            if name in {"timestamp with time zone", "time with time zone"}:
                declared = found(timezone=True)
            elif found is not None and not issubclass(found, sa.ARRAY):
                declared = found()
        return sa.Column(description[0], declared)

    def _optional(self, fields: Mapping[str, Field], name: str | None, setting: str) -> Field | None:
        return self._columns(fields, (name,), setting)[0] if name else None

    def _columns(
        self, fields: Mapping[str, Field], names: Iterable[str | None], setting: str
    ) -> tuple[Field, ...]:
        wanted = [name for name in names if name]
        for name in wanted:
            if name not in fields:
                raise ConfigError(
                    f"{self._place}: {setting}: there is no column {name!r}", hint=_suggest(name, fields)
                )
        return tuple(fields[name] for name in wanted)

    def _no_clash(self, fields: Mapping[str, Field], children: Iterable[Child]) -> None:
        for child in children:
            if child.name in fields:
                raise ConfigError(
                    f"{self._place}: children: {child.name!r} is also a column; choose another name"
                )


def _field(column: sa.ColumnElement[Any], dialect: str, rowid: bool) -> Field:
    assert isinstance(column, sa.Column | sa.sql.expression.ColumnClause)
    info = getattr(column, "info", {})
    declared = info.get("declared", column.type)
    identity = getattr(column, "identity", None)
    return Field(
        name=column.name,
        column=column,
        kind=kind_of(declared),
        nullable=bool(info.get("nullable", getattr(column, "nullable", True))),
        aware=bool(getattr(declared, "timezone", False)),
        bits=63 if dialect == "sqlite" else integer_bits(declared),
        max_length=getattr(declared, "length", None) if isinstance(declared, sa.String) else None,
        choices=tuple(declared.enums) if isinstance(declared, sa.Enum) else (),
        has_default=bool(
            rowid
            or identity
            or getattr(column, "server_default", None)
            or getattr(column, "autoincrement", 0) is True
        ),
        generated=bool(getattr(column, "computed", None) or (identity and identity.always)),
    )


def _keep_declared_type(_inspector: sa.Inspector, _table: sa.Table, column: Any) -> None:
    """SQLite: read what is stored, not what SQLAlchemy makes of the declared type.

    A cursor has to compare the stored texts; SQLAlchemy would read and bind times in a style of its own.
    The integer of a rowid keeps its type, by which SQLAlchemy knows that it is generated.
    """
    column["info"] = {"declared": column["type"], "nullable": column["nullable"]}
    if column.get("primary_key"):
        # SQLite's text keys may be NULL, which SQLAlchemy does not expect of a primary key.
        column["nullable"] = False
    if not isinstance(column["type"], sa.Integer):
        column["type"] = sa.types.NullType()


def _primary_key(table: sa.FromClause, scope: str | None) -> tuple[str, ...]:
    """Its columns, without that of the scope unless it is the only one."""
    names = tuple(column.name for column in table.primary_key)
    return tuple(name for name in names if name != scope) or names


def _unique_columns(table: sa.Table) -> list[tuple[str, ...]]:
    """What the database keeps unique. A partial index is unique among some rows only."""
    found = [tuple(column.name for column in table.primary_key)]
    found += [tuple(c.columns.keys()) for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
    for index in table.indexes:
        partial = any(
            value is not None for name, value in index.dialect_kwargs.items() if name.endswith("_where")
        )
        if index.unique and not partial and len(index.columns) == len(index.expressions):
            found.append(tuple(index.columns.keys()))
    return [names for names in found if names]


def _indexed_columns(table: sa.Table) -> list[str]:
    return [index.columns.keys()[0] for index in table.indexes if index.columns]


def _suggest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    # get_close_matches minds case, people don't.
    near = near or [other for other in names if other.casefold() == name.casefold()]
    if near:
        return f"did you mean {near[0]!r}?"
    return (
        f"there are: {', '.join(sorted(names)[:10])}" if names else "there are none that this login may see"
    )
