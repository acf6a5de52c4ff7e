"""Compiled mapping rules of lists: how set-lists stand in child lists and in slots, in both directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from crmbridge.mapping.errors import MappingError
from crmbridge.mapping.expressions import Expression
from crmbridge.mapping.paths import UNSET, parse_path
from crmbridge.mapping.plain import Only
from crmbridge.mapping.rules import FieldRule, Read, RuleSet, with_unwritten
from crmbridge_schemas.base import Ref, canonical

__all__ = ["ListRule", "Slot", "Unsaid"]

_ANY_REF = {"entity": "any", "id": "any"}
"""Stands for a reference that is checked elsewhere."""
NOTHING_ALIKE: Mapping[str, Mapping[str, str]] = {}


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
    read: Read = dataclasses.field(init=False)
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

    def said(self) -> frozenset[str]:
        """The fields of its element that only its constants give."""
        return frozenset(self.const) - self.rules.fields()

    def _reader(self) -> Read:
        always = {"id": self.id, **self.const}
        here = None if self.present is None else self.present.read
        inside = self.rules.reader(always) if self.rules.rules else lambda _native: always
        if here is None:
            return inside

        def read(native: Any) -> Any:
            said = here(native)
            if not said:
                return UNSET if said is UNSET else None
            return inside(native)

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


@dataclass(frozen=True, slots=True)
class Unsaid:
    """The ids of all slots but those that a record says something of."""

    spoken: frozenset[str]

    def __contains__(self, local: object) -> bool:
        return str(local).startswith("slot:") and local not in self.spoken


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
    def only(self) -> Only | None:
        """What there can be in an element; None: anything."""
        if self.slots:
            common = frozenset.intersection(*(slot.said() for slot in self.slots))
            return self.rules.only({"id", *common}, self.element_fields)
        return None if self.native is None else self.rules.only(self.const, ("id",))

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

    def of(self, inner: str, element_id: str = "") -> FieldRule | None:
        """The rule of one field of an element; where it stands in a slot, that slot's."""
        slot = self.slot(element_id)
        rules = (slot.rules if slot else self.rules).rules.values()
        return next((rule for rule in rules if inner in (rule.parts or (rule.name,))), None)

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
                name: with_unwritten(rules.get(name), part, element.get(name)) for name, part in back.items()
            }
        for slot in self.slots:
            if slot.accepts(element) and (element.get("id") in (None, slot.id) or self._only(slot, element)):
                return dict(slot.read(slot.write(element)) or {})
        raise MappingError("", "no slot of this system can show this element", position=self.position)

    def _only(self, slot: Slot, element: Mapping[str, Any]) -> bool:
        """`slot` is the right one unless the element names another that accepts it too."""
        named = self.slot(str(element.get("id")))
        return named is None or named is slot or not named.accepts(element)


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
