"""What a stream can do and which fields it has, as the database's definitions say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from crmbridge.connectors.sql.database import Database
from crmbridge.connectors.sql.source import Source
from crmbridge.connectors.sql.texttime import TimeStyle
from crmbridge.connectors.sql.values import Field, Kind
from crmbridge.sdk import Capabilities, FieldInfo, Stream

__all__ = ["describe", "fields"]

_TYPES: Mapping[Kind, str] = {
    "integer": "integer",
    "decimal": "decimal",
    "float": "decimal",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "json": "object",
    "list": "list",
}


def describe(source: Source, database: Database, batch_size: int, sample: object) -> Stream:
    """The stream. `sample` is some value of the cursor column: it shows how fine its times are."""
    settings = source.settings
    key_names = [field.name for field in source.ids]
    operations = {"create", "update", "delete"} if settings.write else set()
    if settings.write and source.deleted is not None:
        operations.add("archive")
    upserts = settings.upsert and len(key_names) == 1
    return Stream(
        source.name,
        key=", ".join(key_names),
        capabilities=Capabilities(
            computes=False,
            operations=operations,
            changed_since=source.cursor is not None,
            deletes="flag" if source.deleted is not None else "sweep" if database.snapshots else "never",
            versions=settings.write,
            versions_repeat=settings.version is None,
            upsert_key=key_names[0] if upserts else None,
            search_mark=settings.mark_column,
            search_keys=_search_keys(source),
            batch_size=batch_size,
            child_lists={child.name: "patch" for child in source.children},
            child_ids={child.name: child.key.name for child in source.children},
            absent_means="null",
            cannot_clear=frozenset(field.name for field in source.fields.values() if not field.nullable),
            required=frozenset(field.name for field in source.fields.values() if _required(source, field)),
            max_lengths={
                field.name: field.max_length for field in source.fields.values() if field.max_length
            },
            time_resolution=_resolution(sample),
            scopes=settings.scopes,
        ),
    )


def fields(source: Source) -> dict[str, FieldInfo]:
    """The columns, and the child lists with their columns."""
    found = {field.name: _info(field, required=_required(source, field)) for field in source.fields.values()}
    for child in source.children:
        given = {field.name for field in (*child.foreign_key, child.key)}
        inner = {f.name: _info(f, required=_mandatory(f) and f.name not in given) for f in child.shown}
        found[child.name] = FieldInfo("list", fields=inner)
    return found


def _info(field: Field, *, required: bool) -> FieldInfo:
    return FieldInfo(
        _TYPES.get(field.kind, "string" if field.max_length or field.kind != "text" else "text"),
        on_create=not field.generated,
        on_update=not field.generated,
        required=required,
        max_length=field.max_length,
        choices=field.choices,
    )


def _search_keys(source: Source) -> tuple[str, ...]:
    own = [source.ids[0].name] if len(source.ids) == 1 else []
    return tuple(dict.fromkeys([*own, *source.unique]))


def _required(source: Source, field: Field) -> bool:
    if field == source.scope:  # the operation says it
        return False
    # SQLite lets a text key be NULL; such a row could not be found again.
    if field in source.ids and not field.has_default and field.name not in source.settings.defaults:
        return True
    supplied: Iterable[str | None] = (
        *source.settings.defaults,
        *source.settings.touch,
        source.settings.mark_column,
    )
    return _mandatory(field) and field.name not in supplied


def _mandatory(field: Field) -> bool:
    return not field.nullable and not field.has_default and not field.generated


def _resolution(sample: object) -> timedelta:
    """Only a text shows its grain; a database's own times are kept to the microsecond."""
    style = TimeStyle.of(sample) if isinstance(sample, str) else None
    if style is None or style.digits is None:
        return timedelta(microseconds=1)
    return max(timedelta(seconds=10.0**-style.digits), timedelta(microseconds=1))
