"""Compiled mapping rules of fields: what one line of a mapping does to one record, in both directions.

All of it is pure and made once when the mappings are loaded (see `compile.py`). Values on the native side are
what connectors give and take: JSON-like, with Decimal. Values on the canonical side are JSON-ready data, as
`crmbridge_schemas.base.canonical` gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from crmbridge.mapping.errors import MappingError, ValueRefusedError
from crmbridge.mapping.paths import UNSET, native_text
from crmbridge.mapping.plain import Only
from crmbridge_schemas.base import canonical

__all__ = ["FieldRule", "Read", "RuleSet", "with_unwritten"]

Read = Callable[[Any], Any]
"""Native record -> UNSET, None or a value that the entity's field accepts. Raises ValueError."""
Write = Callable[[dict[str, Any], Any], None]
"""(native record in the making, canonical value): puts it there. Raises ValueError."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one canonical field is read and written."""

    name: str
    position: str
    """`file:line:column` of the rule."""
    read: Read | None = None
    write: Write | None = None
    native: tuple[str, ...] = ()
    """The native fields it stands in, dotted: those that are written, or else those that are read."""
    sources: tuple[str, ...] = ()
    """All native fields that it touches, dotted."""
    required: bool = False
    """The target refuses null here."""
    const: bool = False
    """Known without looking at the record: evidence, never written and never asserted against others."""
    ref: str | None = None
    """For a reference: the stream whose native id stands here."""
    transition: bool = False
    """A change is a step of the document's life (`Operation.transition`) and no field to set."""
    key: str | None = None
    """Read as it is, at this top-level key: the fast way."""
    parts: tuple[str, ...] = ()
    """The fields that one native value holds together (省, 市 and 区 in one text); else empty."""
    model: type[BaseModel] | None = None
    """The entity, whose idea of the field a projection goes through; None: text that nothing changes."""
    inner: RuleSet | None = None
    """The rules of what is inside a composite or a list."""
    only: Only | None = None
    """What there can be inside a composite or a list; None: anything."""

    def project(self, value: Any) -> Any:
        """What is read back after `value` was written. Raises MappingError if it cannot be written."""
        if self.write is None or self.read is None:
            return value
        try:
            native: dict[str, Any] = {}
            self.write(native, value)
            found = self.read(native)
        except Exception as error:
            raise self.failure(error) from error
        if found is UNSET:
            return value
        if found is None or self.model is None:
            return found
        try:
            whole = with_unwritten(self, found, value)
            return canonical(self.model.model_validate({self.name: whole}))[self.name]
        except ValidationError as error:
            raise RuleSet({self.name: self}).invalid(error) from error

    def failure(self, error: Exception) -> MappingError:
        """What a codec, a path or a plugin's function raised, as an error of this field."""
        if isinstance(error, MappingError):
            return error.inside(self.name)
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        hint = error.hint if isinstance(error, ValueRefusedError) else None
        return MappingError(self.name, reason, hint, position=self.position)


class RuleSet:
    """The rules of one object: a record, an element of a list, or a composite value."""

    def __init__(self, rules: Mapping[str, FieldRule], absent: Any = UNSET) -> None:
        self.rules = rules
        self._absent = absent
        self._main = next((name for name in ("amount", "value") if name in rules), None)
        readable = [rule for rule in rules.values() if rule.read is not None]
        self._plain = tuple((rule.name, rule.key) for rule in readable if rule.key is not None)
        others = [rule for rule in readable if rule.key is None]
        self._others = tuple((rule.name, rule.read, rule) for rule in others if not rule.parts)
        self._parted = tuple(rule for rule in others if rule.parts)
        written = [rule for rule in rules.values() if rule.write is not None]
        self._written = {rule.name: rule for rule in written if not rule.parts}
        self._grouped = tuple(rule for rule in written if rule.parts)

    def read(self, native: dict[str, Any]) -> dict[str, Any]:
        """The canonical fields, not yet validated. Raises MappingError."""
        if not isinstance(native, dict):
            raise ValueError(f"expected an object, found {native_text(native)}")
        absent = self._absent
        found: dict[str, Any] = {}
        get = native.get
        for name, key in self._plain:
            value = get(key, absent)
            if value.__class__ is str:
                if not value or value.isspace():
                    value = None
            elif value is UNSET:
                continue
            found[name] = value
        for name, read, rule in self._others:
            try:
                value = read(native)  # type: ignore[misc]  # only rules that can read are here
            except Exception as error:
                raise rule.failure(error) from error
            if value is not UNSET:
                found[name] = value
        for rule in self._parted:
            try:
                value = rule.read(native)  # type: ignore[misc]  # likewise
            except Exception as error:
                raise rule.failure(error) from error
            if value is not UNSET:
                found.update(zip(rule.parts, value or [None] * len(rule.parts), strict=True))
        return found

    def read_sound(self, native: dict[str, Any]) -> dict[str, Any]:
        """The canonical fields that can be read; the others are left out."""
        found: dict[str, Any] = {}
        for rule in self.rules.values():
            with suppress(Exception):
                found.update(RuleSet({rule.name: rule}, self._absent).read(native))
        return found

    def reader(self, always: Mapping[str, Any]) -> Read:
        """What reads these rules as one thing, see `whole`. always: what such a thing has besides."""
        if len(self._plain) == 1 and not self._others and not self._parted:
            return _only_field(*self._plain[0], self._absent, always)

        def read(native: Any) -> Any:
            found = self.whole(self.read(native))
            return {**always, **found} if found else found

        return read

    def writes(self, name: str) -> bool:
        """Whether the field can be written here."""
        return name in self._written

    def write(self, document: Mapping[str, Any], into: dict[str, Any] | None = None) -> dict[str, Any]:
        """Native fields for the canonical ones in `document` that can be written. Raises MappingError."""
        native = {} if into is None else into
        written = self._written
        for name, value in document.items():
            rule = written.get(name)
            if rule is not None:
                _write(rule, native, value)
        for rule in self._grouped:
            if any(part in document for part in rule.parts):
                values = [document.get(part, UNSET) for part in rule.parts]
                if UNSET in values:
                    raise MappingError(rule.name, "can only be written together", position=rule.position)
                _write(rule, native, values if any(value is not None for value in values) else None)
        return native

    def whole(self, found: dict[str, Any]) -> Any:
        """What was read, or UNSET or None if it is nothing as a whole: an amount or value decides."""
        if self._main is not None:
            value = found.get(self._main, UNSET)
            return value if value is UNSET or value is None else found
        if not found:
            return UNSET
        for value in found.values():
            if value is not None:
                return found
        return None

    def fields(self) -> frozenset[str]:
        """The canonical fields that these rules carry."""
        return frozenset(name for rule in self.rules.values() for name in rule.parts or (rule.name,))

    def only(self, said: Iterable[str] = (), more: Iterable[str] = ()) -> Only:
        """What these rules can read. said: fields that a constant gives instead; more: further ones."""
        read = {name: rule.only for rule in self.rules.values() for name in rule.parts or (rule.name,)}
        constant = frozenset(said) - read.keys()
        return Only(dict.fromkeys((*constant, *more)) | read, constant)

    def native_fields(self) -> tuple[str, ...]:
        """The native fields that these rules stand in, dotted, below this object."""
        return tuple(dict.fromkeys(name for rule in self.rules.values() for name in rule.native))

    def sources(self) -> tuple[str, ...]:
        """All native fields that these rules touch, dotted, below this object."""
        return tuple(dict.fromkeys(name for rule in self.rules.values() for name in rule.sources))

    def invalid(self, error: ValidationError) -> MappingError:
        """A refusal by the entity's model as an error of the field that is to blame."""
        details = error.errors(include_url=False)
        first = details[0]
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        rule = self._blame(first["loc"])
        return MappingError(
            _dotted(first["loc"]),
            _reason(first) + more,
            _hint(first),
            position=rule.position if rule else None,
        )

    def _blame(self, loc: tuple[int | str, ...]) -> FieldRule | None:
        """The innermost rule on the way to `loc`."""
        rules, found = self.rules, None
        for part in loc:
            rule = rules.get(part) if isinstance(part, str) else None
            if rule is not None:
                found = rule
                rules = rule.inner.rules if rule.inner else {}
        return found


def _only_field(name: str, key: str, absent: Any, always: Mapping[str, Any]) -> Read:
    def read(native: Any) -> Any:
        if not isinstance(native, dict):
            raise ValueError(f"expected an object, found {native_text(native)}")
        value = native.get(key, absent)
        if value is None or value is UNSET or (value.__class__ is str and (not value or value.isspace())):
            return UNSET if value is UNSET else None
        return {**always, name: value}

    return read


def _write(rule: FieldRule, native: dict[str, Any], value: Any) -> None:
    try:
        rule.write(native, value)  # type: ignore[misc]  # only called for rules that can write
    except Exception as error:
        raise rule.failure(error) from error


def _dotted(loc: tuple[int | str, ...]) -> str:
    """`addresses[0].country`, elements counted from 0 as in JSON."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _reason(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}, found {native_text(detail['input'])}"


_HINTS = {
    "model_type": "it has parts: say where each stands: {fields: {amount: PATH}, const: {currency: EUR}}",
    "timezone_aware": "say which zone these times are in: as: {instant: Europe/Berlin}",
    "missing": "map this field too, or give it a const",
    "iso_day": "say how the date is written: as: {iso_date: '%d.%m.%Y'}",
    "date_from_datetime_parsing": "say how the date is written: as: {iso_date: '%d.%m.%Y'}",
    "iso_instant": "say how the time is written: as: instant, epoch_s or epoch_ms",
    "decimal_parsing": "say how the number is written: as: {decimal: ','}",
    "bool_parsing": "say which words mean yes and no: as: {boolean: [ja, nein]}",
    "literal_error": "say with values: what the system's words mean",
    "enum": "say with values: what the system's words mean",
}


def _hint(detail: ErrorDetails) -> str | None:
    return _HINTS.get(detail["type"])


def with_unwritten(rule: FieldRule | None, found: Any, asked: Any) -> Any:
    """A composite as read back, with those parts as asked for that its rule never writes: a line's currency
    is the order's."""
    if rule is None or rule.inner is None or not isinstance(found, dict) or not isinstance(asked, dict):
        return found
    unwritten = {name: part for name, part in asked.items() if not rule.inner.writes(name)}
    return {**unwritten, **found}
