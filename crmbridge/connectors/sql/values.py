"""Values on their way out of a database (`decode`) and into it (`encode`); ids and cursors as text.

    database                       record
    text, enum, inet, ...          str
    integer                        int
    numeric, real                  Decimal (a binary fraction by its shortest decimal form)
    boolean                        bool
    date, time                     ISO 8601
    timestamp                      ISO 8601 with offset; one without zone is in the system's `timezone`
    uuid                           str
    bytea, blob                    base64
    json, array                    lists and objects, fractions as Decimal
    NULL                           None

SQLite keeps what it is given whatever the column is declared as; there, the declared type says how the
stored text or number is read. It stores DECIMAL columns as binary fractions of about 15 digits: a number
with more digits is refused; declare such a column TEXT.
"""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from crmbridge.connectors.sql.database import BrokenText, dump_json, load_json
from crmbridge.connectors.sql.texttime import TimeStyle, parse_time

__all__ = ["BadValueError", "Field", "Kind", "Values", "integer_bits", "kind_of"]

Kind = Literal[
    "text",
    "integer",
    "decimal",
    "float",
    "boolean",
    "date",
    "datetime",
    "time",
    "json",
    "binary",
    "uuid",
    "list",
    "other",
]

_INTEGER_BITS: tuple[tuple[type[Any], int], ...] = (
    (sa.SmallInteger, 15),
    (sa.BigInteger, 63),
    (sa.Integer, 31),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a stream or child list."""

    name: str
    column: sa.ColumnElement[Any]
    kind: Kind
    nullable: bool = True
    aware: bool = False
    """A time with a zone."""
    bits: int = 63
    """Of an integer, without the sign."""
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    has_default: bool = False
    generated: bool = False
    """The database computes it always: it can't be written."""


class BadValueError(ValueError):
    """A value that cannot be read or written. The text names the column, not the value's content."""


def kind_of(declared: sa.types.TypeEngine[Any]) -> Kind:
    """The kind of a column by its declared type."""
    if isinstance(declared, sa.Enum | sa.String):
        return "text"
    # Float is a Numeric in SQLAlchemy 2.0, so it comes first.
    kinds: tuple[tuple[type[Any], Kind], ...] = (
        (sa.Boolean, "boolean"),
        (sa.Integer, "integer"),
        (sa.Float, "float"),
        (sa.Numeric, "decimal"),
        (sa.DateTime, "datetime"),
        (sa.Date, "date"),
        (sa.Time, "time"),
        (sa.JSON, "json"),
        (sa.ARRAY, "list"),
        (sa.Uuid, "uuid"),
        (sa.LargeBinary, "binary"),
        (sa.BINARY, "binary"),
        (sa.VARBINARY, "binary"),
    )
    return next((kind for of, kind in kinds if isinstance(declared, of)), "other")


def integer_bits(declared: sa.types.TypeEngine[Any]) -> int:
    """How many bits an integer column holds, without the sign."""
    return next((bits for of, bits in _INTEGER_BITS if isinstance(declared, of)), 63)


class Values:
    """Decodes and encodes for one database."""

    def __init__(self, zone: ZoneInfo, *, loose: bool) -> None:
        self.zone = zone
        self.loose = loose
        """SQLite: columns hold anything."""

    # -- out of the database

    def row_decoder(self, fields: Sequence[Field]) -> Callable[[Sequence[Any]], dict[str, Any]]:
        """A function that makes a record of a row. Raises BadValueError."""
        plan = [(field.name, self._special(field)) for field in fields]

        def decode(row: Sequence[Any]) -> dict[str, Any]:
            data: dict[str, Any] = {}
            for (name, special), value in zip(plan, row, strict=True):
                if value is None:
                    data[name] = None
                elif special is not None and type(value) is not BrokenText:
                    data[name] = special(value)
                elif type(value) in _PLAIN:
                    data[name] = value
                else:
                    data[name] = self._decode(name, value)
            return data

        return decode

    def decode(self, field: Field, value: Any) -> Any:
        """One value, as `row_decoder` does it."""
        return self.row_decoder([field])([value])[field.name]

    def _special(self, field: Field) -> Callable[[Any], Any] | None:
        if not self.loose:
            return None
        return {
            "decimal": _loose_number,
            "float": _loose_number,
            "boolean": _loose_boolean,
            "datetime": self._loose_time,
            "json": _loose_json,
        }.get(field.kind)

    def _loose_time(self, value: Any) -> Any:
        if isinstance(value, str):
            moment = parse_time(value, self.zone)
            return moment.isoformat() if moment else value
        return _loose_number(value) if isinstance(value, float) else value

    def _decode(self, name: str, value: Any) -> Any:  # noqa: PLR0911 - one line for each type
        if isinstance(value, BrokenText):
            raise BadValueError(f"{name}: the text is not UTF-8")
        if isinstance(value, float):
            return _loose_number(value)
        if isinstance(value, Decimal):
            return value if value.is_finite() else str(value)
        if isinstance(value, datetime):
            return self.moment(value).isoformat()
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, timedelta):
            return f"PT{Decimal(value // timedelta(microseconds=1)).scaleb(-6).normalize():f}S"
        if isinstance(value, bytes | bytearray | memoryview):
            return base64.b64encode(value).decode()
        if isinstance(value, dict):
            return {str(key): self._decode(name, item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._decode(name, item) for item in value]
        return value if value is None or type(value) in _PLAIN else str(value)

    def moment(self, value: datetime) -> datetime:
        """An aware time: UTC where the column has a zone, else in `timezone`."""
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=self.zone)

    def time_of(self, value: Any) -> datetime | None:
        """The aware time that a stored value is, or None where it is no time with hours."""
        if isinstance(value, datetime):
            return self.moment(value)
        return parse_time(value, self.zone) if isinstance(value, str) else None

    # -- into the database

    def encode(self, field: Field, value: Any, style: TimeStyle | None = None) -> Any:
        """What to bind for a record's value. `style`: how a text time looks. Raises BadValueError."""
        if value is None:
            # None in a JSON column would be JSON's null, not SQL's.
            return sa.null() if field.kind == "json" and not self.loose else None
        try:
            return self._encode(field, value, style or TimeStyle())
        except BadValueError:
            raise
        except (ValueError, TypeError, ArithmeticError) as error:
            raise BadValueError(f"{field.name}: {_shown(value)} is no {field.kind} value") from error

    def _encode(self, field: Field, value: Any, style: TimeStyle) -> Any:  # noqa: PLR0911 - one line for each kind
        match field.kind:
            case "text":
                return _as_text(field, value)
            case "integer":
                return _as_integer(field, value)
            case "decimal":
                return self._as_decimal(field, _number(value))
            case "float":
                return float(_number(value))
            case "boolean":
                return _as_boolean(value)
            case "datetime":
                return self._as_time(field, value, style)
            case "json":
                return dump_json(value) if self.loose else value
            case "binary":
                return base64.b64decode(value, validate=True)
            case _:
                return self._as_other(field, value)

    def _as_other(self, field: Field, value: Any) -> Any:
        if field.kind == "date":
            day = date.fromisoformat(value)
            return value if self.loose else day
        if field.kind == "time":
            clock = time.fromisoformat(value)
            return value if self.loose else clock
        if field.kind == "uuid":
            return str(uuid.UUID(value)) if self.loose else uuid.UUID(value)
        if isinstance(value, str):
            return _as_text(field, value)
        if self.loose and isinstance(value, Decimal):
            return self._as_decimal(field, value)
        if self.loose and isinstance(value, int):
            return _as_integer(field, value)
        if self.loose or isinstance(value, dict):
            raise BadValueError(f"{field.name}: a column of this type cannot hold a list or an object")
        return value

    def _as_decimal(self, field: Field, value: Decimal) -> Any:
        if not self.loose:
            return value
        text = format(value, "f")
        if len(value.normalize().as_tuple().digits) > 15:
            raise BadValueError(
                f"{field.name}: SQLite keeps about 15 digits of a number, {text} has more; "
                "declare the column TEXT"
            )
        return text

    def _as_time(self, field: Field, value: str, style: TimeStyle) -> Any:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.zone)
        if self.loose:
            return style.format(moment, self.zone)
        return moment if field.aware else moment.astimezone(self.zone).replace(tzinfo=None)

    # -- ids

    def native_id(self, key: Sequence[Field], values: Sequence[Any]) -> str:
        """The id of a row: the key's text, or a JSON list of texts for several columns."""
        texts = [self._id_text(field, value) for field, value in zip(key, values, strict=True)]
        return texts[0] if len(texts) == 1 else dump_json(texts)

    def _id_text(self, field: Field, value: Any) -> str:
        if type(value) is str:
            return value
        plain = value if type(value) is int else self._decode(field.name, value)
        if isinstance(plain, Decimal):
            # 1.0 and 1 are one key to the database, so they are one id.
            return format(plain.normalize(), "f")
        return str(plain)

    def parse_id(self, key: Sequence[Field], native_id: str) -> tuple[Any, ...] | None:
        """The key that an id stands for; None where no row can have it."""
        texts = [native_id]
        if len(key) > 1:
            try:
                texts = load_json(native_id)
            except ValueError:
                return None
            if (
                not isinstance(texts, list)
                or len(texts) != len(key)
                or not all(isinstance(t, str) for t in texts)
            ):
                return None
        try:
            return tuple(self._key_part(field, text) for field, text in zip(key, texts, strict=True))
        except BadValueError:
            return None

    def _key_part(self, field: Field, text: str) -> Any:
        if self.loose and field.kind in {"date", "datetime", "time", "text", "uuid"}:
            return _as_text(field, text)
        if self.loose and field.kind == "other":
            # No declared type: SQLite then compares 1 and '1' as different.
            number = _whole(text)
            return number if str(number) == text else _as_text(field, text)
        return self.encode(field, text)


_PLAIN = frozenset({str, int, bool})


def _loose_number(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    return number if number.is_finite() else value


def _loose_boolean(value: Any) -> Any:
    if value in (0, 1):
        return bool(value)
    return _loose_number(value) if isinstance(value, float | bytes) else value


def _loose_json(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return load_json(value)
        except ValueError:
            return value
    return _loose_number(value) if isinstance(value, float | bytes) else value


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | Decimal | bool) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _as_text(field: Field, value: Any) -> str:
    if isinstance(value, bool | list | dict):
        raise BadValueError(f"{field.name}: {_shown(value)} is no text")
    text = (
        value if isinstance(value, str) else format(value, "f") if isinstance(value, Decimal) else str(value)
    )
    if "\x00" in text:
        raise BadValueError(f"{field.name}: contains the character NUL, which databases do not store")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadValueError(f"{field.name}: contains half a character (a lone surrogate)") from error
    return text


def _number(value: Any) -> Decimal:
    if not isinstance(value, int | str | Decimal):
        raise TypeError("no number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not finite")
    return number


def _as_integer(field: Field, value: Any) -> int:
    number = value if isinstance(value, int) else _number(value)
    if number != int(number):
        raise BadValueError(f"{field.name}: {_shown(value)} is no whole number")
    if not -(1 << field.bits) <= number < 1 << field.bits:
        raise BadValueError(f"{field.name}: {_shown(value)} is too large for the column")
    return int(number)


def _as_boolean(value: Any) -> bool:
    if value in (0, 1, "0", "1", "true", "false"):
        return value in (1, "1", "true")
    raise ValueError("no boolean")


def _whole(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if -(1 << 63) <= number < 1 << 63 else None
