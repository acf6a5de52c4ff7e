"""Compiled mapping rules: what one line of a mapping does to one record, in both directions.

All of it is pure and made once when the mappings are loaded (see `compile.py`). Values on the native side are
what connectors give and take: JSON-like, with Decimal. Values on the canonical side are JSON-ready data, as
`crmbridge_schemas.base.canonical` gives it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from crmbridge.mapping.errors import MappingError, ValueRefusedError
from crmbridge.mapping.expressions import Expression
from crmbridge.mapping.paths import UNSET, native_text, parse_path
from crmbridge_schemas.base import Ref, canonical

__all__ = ["FieldRule", "ListRule", "RuleSet", "Slot"]

Read = Callable[[Any], Any]
"""Native record -> UNSET, None or a value that the entity's field accepts. Raises ValueError."""
Write = Callable[[dict[str, Any], Any], None]
"""(native record in the making, canonical value): puts it there. Raises ValueError."""
_ANY_REF = {"entity": "any", "id": "any"}
"""Stands for a reference that is checked elsewhere."""


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
            whole = _with_unwritten(self, found, value)
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

    def reader(self) -> Read:
        """What reads these rules as one thing; see `whole`."""
        if len(self._plain) == 1 and not self._others and not self._parted:
            return _only_field(*self._plain[0], self._absent)
        return lambda native: self.whole(self.read(native))

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


def _only_field(name: str, key: str, absent: Any) -> Read:
    def read(native: Any) -> Any:
        if not isinstance(native, dict):
            raise ValueError(f"expected an object, found {native_text(native)}")
        value = native.get(key, absent)
        if value is None or value is UNSET or (value.__class__ is str and (not value or value.isspace())):
            return UNSET if value is UNSET else None
        return {name: value}

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


# -- lists -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a system that holds one element of a list: the one e-mail, the billing address."""

    name: str
    position: str
    const: Mapping[str, Any]
    rules: RuleSet
    present: FieldRule | None = None
    """A truth value that says whether the element is there, for slots that have nothing else."""
    alike: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """Element field -> value -> the value that it counts as."""
    read: Read = dataclasses.field(init=False, compare=False)
    """Native record -> the element, not yet validated; None: the slot is empty; UNSET: it doesn't say."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "read", self._reader())

    @property
    def id(self) -> str:
        """The id of its element."""
        return f"slot:{self.name}"

    @property
    def native_fields(self) -> tuple[str, ...]:
        return self.rules.native_fields() + (self.present.native if self.present else ())

    @property
    def sources(self) -> tuple[str, ...]:
        """All native fields that it touches, dotted."""
        return self.rules.sources() + (self.present.sources if self.present else ())

    def _reader(self) -> Read:
        always = {"id": self.id, **self.const}
        here = None if self.present is None else self.present.read
        inside = self.rules.reader() if self.rules.rules else lambda _native: always

        def read(native: Any) -> Any:
            if here is not None and not (said := here(native)):
                return UNSET if said is UNSET else None
            found = inside(native)
            return {**always, **found} if found else found

        return read

    def accepts(self, element: Mapping[str, Any]) -> bool:
        """Whether this slot can show `element`; what counts as one (a mobile phone is a phone) agrees."""
        return _agrees(element, self.const, self.alike) and _writable(self.rules, element)

    def write(self, element: Mapping[str, Any] | None) -> dict[str, Any]:
        """The native fields that show `element`, or that empty the slot. Raises MappingError."""
        native: dict[str, Any] = {}
        shown = element is not None
        self.rules.write({name: (element or {}).get(name) for name in self.rules.fields()}, native)
        if self.present is not None:
            self.present.write(native, shown)  # type: ignore[misc]  # `present` always writes
        return native


@cache
def _needed_refs(model: type[BaseModel]) -> tuple[str, ...]:
    fields = model.model_fields.items()
    return tuple(name for name, field in fields if field.annotation is Ref and field.is_required())


@dataclass(frozen=True, slots=True)
class ListRule:
    """How a set-list is read and written: from a native child list, from slots, or read-only."""

    field: str
    position: str
    read: Read
    """Native record -> UNSET or a list of elements, not yet validated."""
    model: type[BaseModel]
    """The type of an element."""
    rules: RuleSet
    """The rules of an element."""
    element_fields: frozenset[str]
    """The fields of an element that this mapping carries."""
    sources: tuple[str, ...] = ()
    """All native fields that it touches, dotted."""
    native: str | None = None
    """The native child list, dotted; None for slots and for lists that are only read."""
    child_id: str | None = None
    """The key of a child's own id inside the child."""
    slots: tuple[Slot, ...] = ()
    const: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    when: Expression | None = None
    scalar: bool = False
    """The children are plain values, not objects."""
    writable: bool = True
    """False: read-only, by `write: never` or because there is no way back."""
    required: bool = False
    """The target refuses an empty list."""

    @property
    def together(self) -> tuple[tuple[str, ...], ...]:
        """Fields of an element that stand in one native field: writing one of them takes all of them."""
        return tuple(rule.parts for rule in self.rules.rules.values() if rule.parts)

    @property
    def native_fields(self) -> tuple[str, ...]:
        """The native fields of the record that this list stands in, dotted."""
        if self.native is not None:
            return (self.native,)
        return tuple(dict.fromkeys(name for slot in self.slots for name in slot.native_fields))

    def slot(self, element_id: str) -> Slot | None:
        """The slot of `slot:NAME`."""
        return next((slot for slot in self.slots if slot.id == element_id), None)

    def expresses(self, element: Mapping[str, Any]) -> bool:
        """Whether `element` could be written here: constants, value maps, codecs and `when` admit it.

        What a list cannot express it never removes.
        """
        if not self.writable:
            return False
        if self.slots:
            return any(slot.accepts(element) for slot in self.slots)
        if not _agrees(element, self.const) or not _writable(self.rules, element):
            return False
        return self.when is None or self.when.allows(self.write_element(element))

    def children(self, native: Mapping[str, Any]) -> Iterator[tuple[Any, dict[str, Any] | None]]:
        """The native children, each with the element that it is; None where this mapping does not take it."""
        path = parse_path(self.native or "")
        for child in path.reader(None)(native) or ():
            alone: dict[str, Any] = {}
            path.put(alone, [child])
            found = self.read(alone)
            yield child, self._checked(found[0]) if found else None

    def write_element(self, element: Mapping[str, Any]) -> Any:
        """The native child, without its id (see `identify`). Raises MappingError."""
        native = self.rules.write(element)
        return native.get("@") if self.scalar else native

    def identify(self, child: dict[str, Any], child_id: str) -> dict[str, Any]:
        """`child` with its native id, for lists that are replaced as a whole."""
        return child if self.child_id is None else {**child, self.child_id: child_id}

    def project_element(self, element: Mapping[str, Any]) -> dict[str, Any]:
        """What is read back after `element` was written, with the id that it came with.

        `element` may lack its references, which are resolved apart from its values.
        """
        try:
            back = self._read_back(element)
        except MappingError as error:
            raise error.inside(self.field) from error
        elsewhere = {name: _ANY_REF for name in _needed_refs(self.model) if name not in back}
        result = self._checked({**elsewhere, **back})
        for name in ("id", *elsewhere):
            result.pop(name, None)
        return {"id": element["id"], **result} if "id" in element else result

    def _checked(self, found: dict[str, Any]) -> dict[str, Any]:
        try:
            return canonical(self.model.model_validate(found))
        except ValidationError as error:
            raise self.rules.invalid(error).inside(self.field) from error

    def _read_back(self, element: Mapping[str, Any]) -> dict[str, Any]:
        if not self.slots:
            child = self.write_element(element)
            back = {**self.rules.read({"@": child} if self.scalar else child), **self.const}
            rules = self.rules.rules
            return {
                name: _with_unwritten(rules.get(name), part, element.get(name)) for name, part in back.items()
            }
        for slot in self.slots:
            if slot.accepts(element) and (element.get("id") in (None, slot.id) or self._only(slot, element)):
                return dict(slot.read(slot.write(element)) or {})
        raise MappingError("", "no slot of this system can show this element", position=self.position)

    def _only(self, slot: Slot, element: Mapping[str, Any]) -> bool:
        """`slot` is the right one unless the element names another that accepts it too."""
        named = self.slot(str(element.get("id")))
        return named is None or named is slot or not named.accepts(element)


def _with_unwritten(rule: FieldRule | None, found: Any, asked: Any) -> Any:
    """A composite as read back, with those parts as asked for that its rule never writes: a line's currency
    is the order's."""
    if rule is None or rule.inner is None or not isinstance(found, dict) or not isinstance(asked, dict):
        return found
    unwritten = {name: part for name, part in asked.items() if not rule.inner.writes(name)}
    return {**unwritten, **found}


NOTHING_ALIKE: Mapping[str, Mapping[str, str]] = {}


def _agrees(
    element: Mapping[str, Any],
    const: Mapping[str, Any],
    alike: Mapping[str, Mapping[str, str]] = NOTHING_ALIKE,
) -> bool:
    def counts_as(name: str, value: Any) -> Any:
        return alike.get(name, {}).get(value, value) if isinstance(value, str) else value

    return all(counts_as(name, element.get(name)) == counts_as(name, value) for name, value in const.items())


def _writable(rules: RuleSet, element: Mapping[str, Any]) -> bool:
    try:
        rules.write(element)
    except MappingError:
        return False
    return True
