"""Applying a mapping: native record -> canonical document -> native fields. Pure.

A *canonical document* is JSON-ready data as `crmbridge_schemas.base.canonical` gives it: an absent key is
unset, None is null, exact numbers are strings, elements of set-lists carry the native child id as `id`, or
`slot:NAME`, or none where the system has no ids for them.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Container, Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import msgspec
from pydantic import BaseModel, ValidationError

from crmbridge.mapping.errors import MappingError
from crmbridge.mapping.expressions import Expression
from crmbridge.mapping.list_rules import ListRule, Unsaid
from crmbridge.mapping.paths import UNSET, put_at
from crmbridge.mapping.plain import Plain, plain_text
from crmbridge.mapping.references import Reference
from crmbridge.mapping.rules import FieldRule, RuleSet
from crmbridge_schemas.base import canonical
from crmbridge_schemas.party import country_of

__all__ = ["AlsoMapping", "Mapping", "content_key"]

Document = dict[str, Any]

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Mapping:
    """How records of one stream become documents of one entity, and back."""

    system: str
    stream: str
    entity: str
    position: str
    """`file:line:column` of the mapping."""
    model: type[BaseModel]
    fingerprint: str
    """Changes whenever this mapping may read or write otherwise than before."""
    fields: MappingOf[str, FieldRule]
    """All but set-lists, by canonical name."""
    lists: MappingOf[str, ListRule]
    """The set-lists, by canonical name."""
    rules: RuleSet
    """How whole records are read, lists included, and written, without lists and transitions."""
    when: Expression | None = None
    """Which native records are taken."""
    create_when: Expression | None = None
    """Which golden records may be created here; None: those that `when` and the constants fit."""
    places: MappingOf[str, str] = field(default_factory=dict)
    """`when`, `key` and each native field of `on_create` -> `file:line:column`."""
    also: tuple[AlsoMapping, ...] = ()
    on_create: MappingOf[str, Any] = field(default_factory=dict)
    """Native fields that every create sets besides those of the document."""
    references: tuple[Reference, ...] = ()
    """Those of `also` included."""
    loose: bool = False
    """Some composite is taken as the system gives it, so that its one canonical form has to be made."""
    abroad: Callable[[str], Mapping | None] | None = field(default=None, compare=False, repr=False)
    """Country -> the same mapping for its records; None: no phone number here is read by the country."""

    def in_country(self, country: str | None) -> Mapping:
        """The same mapping for a party that is at home in this country."""
        compiled = self.abroad
        return self if compiled is None or country is None else compiled(country) or self

    # -- reading -------------------------------------------------------------------------------

    def admits(self, native: MappingOf[str, Any]) -> bool:
        """Whether this mapping takes the record. Raises MappingError if `when` cannot be decided."""
        return self.when is None or _decide(self.when, native, "when", self.position)

    def read(self, native: dict[str, Any]) -> Document:
        """The canonical document, checked by the entity's model. Raises MappingError."""
        return cast(Document, _decode(self.read_json(native)))

    def read_json(self, native: dict[str, Any]) -> str:
        """The same as JSON text, keys in the order of the entity's fields. Raises MappingError."""
        found = (self.rules if self.abroad is None else self._own_rules(native)).read(native)
        text = self._plain(found) if self._plain is not None else None
        return self._read_whole(found) if text is None else text

    def _own_rules(self, native: dict[str, Any]) -> RuleSet:
        """Those for the country in which the record's own address is."""
        rule = self.lists.get("addresses")
        if rule is None or "country" not in rule.element_fields:
            return self.rules
        try:
            country = country_of({"addresses": rule.read(native) or ()})
        except Exception:  # noqa: BLE001 - what is wrong with an address is told when the whole is read
            return self.rules
        return self.in_country(country).rules

    def read_sound(self, native: dict[str, Any]) -> Document:
        """As much of the document as can be read, without what is wrong: who a bad record is."""
        raw = (self.rules if self.abroad is None else self._own_rules(native)).read_sound(native)
        while raw:
            try:
                return canonical(self.model.model_validate(raw))
            except ValidationError as error:
                wrong = {part["loc"][0] for part in error.errors() if part["loc"]} & raw.keys()
                raw = {name: value for name, value in raw.items() if name not in wrong} if wrong else {}
        return {}

    def constants(self) -> frozenset[tuple[str, str, str]]:
        """(field, element id, field of the element) of what the mapping says in place of the records; the
        element id is empty for all children of a list, and so is the last part for a scalar."""
        found = {(name, "", "") for name, rule in self.fields.items() if rule.const}
        for name, rule in self.lists.items():
            found.update((name, "", inner) for inner in rule.const)
            found.update((name, slot.id, inner) for slot in rule.slots for inner in slot.const)
        return frozenset(found)

    def unsaid_slots(self, native: dict[str, Any], names: Iterable[str]) -> dict[str, Container[str]]:
        """List field -> ids of the slots of which this record says nothing, also of slots that there are no
        more: their elements stay. names: the fields that are asked about."""
        unsaid: dict[str, Container[str]] = {}
        for name in self.lists.keys() & set(names):
            slots = self.lists[name].slots
            if slots:
                spoken = frozenset(slot.id for slot in slots if slot.read(native) is not UNSET)
                unsaid[name] = Unsaid(spoken)
        return unsaid

    @cached_property
    def _plain(self) -> Plain | None:
        if self.loose:
            return None
        return plain_text(self.model, self.rules.only())

    def _read_whole(self, found: dict[str, Any]) -> str:
        try:
            model = self.model.model_validate(found)
        except ValidationError as error:
            raise self.rules.invalid(error) from error
        if self.loose:
            return json.dumps(canonical(model), ensure_ascii=False, separators=(",", ":"))
        return model.model_dump_json(exclude_unset=True)

    # -- writing -------------------------------------------------------------------------------

    def reads(self, field: str) -> bool:
        """Whether this mapping reads the canonical field."""
        rule = self.fields.get(field)
        return field in self.lists if rule is None else rule.read is not None

    def writes(self, field: str) -> bool:
        """Whether this mapping can write the canonical field (a transition is no field that is written)."""
        if field in self.lists:
            return self.lists[field].writable
        rule = self.fields.get(field)
        return rule is not None and rule.write is not None and not rule.transition

    def write(self, document: MappingOf[str, Any]) -> Document:
        """The native fields to set for these canonical fields; references hold the target's native ids.

        Fields that are not written, set-lists and the transition field are passed over. Raises MappingError.
        """
        return self.rules.write(document)

    def project(self, field: str, value: Any) -> Any:
        """What would be read back after `value` was written to a field that is no set-list.

        Compare with this, not with `value`: a target that keeps less is then no difference. Raises
        MappingError if the value cannot be written here.
        """
        return self.fields[field].project(value)

    def native_fields(self, field: str) -> tuple[str, ...]:
        """The native fields that the canonical field stands in, dotted, without filters."""
        rule = self.lists.get(field)
        return rule.native_fields if rule is not None else self.fields[field].native

    # -- documents -----------------------------------------------------------------------------

    @cached_property
    def transition_field(self) -> str | None:
        """The status field whose changes are transitions."""
        return next((name for name, rule in self.fields.items() if rule.transition), None)

    def transition(self, value: str) -> str:
        """The native state that the canonical status `value` means. Raises MappingError."""
        rule = self.fields[self.transition_field or ""]
        native: Document = {}
        try:
            assert rule.write is not None
            rule.write(native, value)
        except Exception as error:
            raise rule.failure(error) from error
        return str(_only_leaf(native))

    # -- creating ------------------------------------------------------------------------------

    def fits(self, golden: MappingOf[str, Any]) -> bool:
        """Whether a golden record that is in no stream of this system would be created in this one.

        `create_when` decides where the mapping has one. Otherwise neither a constant (an accounts stream
        says `kind: organization`) nor `when`, asked about what would be written, may contradict it.
        """
        if self.create_when is not None:
            return _decide(self.create_when, golden, "create_when", self.position)
        if self._contradicts(golden):
            return False
        if self.when is None:
            return True
        native, unwritable = self._as_written(golden)
        return unwritable is None and self._when_allows(native)

    def unwritable(self, golden: MappingOf[str, Any]) -> MappingError | None:
        """Of a golden record that does not fit: what cannot be written of it, if nothing else is against it.

        A record that `when` would leave out whatever stood in place of the value does not belong here anyway.
        """
        if self.create_when is not None or self.when is None or self._contradicts(golden):
            return None
        native, unwritable = self._as_written(golden)
        return unwritable if self._when_allows(native) else None

    def _contradicts(self, golden: MappingOf[str, Any]) -> bool:
        """Whether a constant says otherwise."""
        for name, rule in self.fields.items():
            said = golden.get(name)
            if rule.const and said is not None and rule.read is not None and rule.read({}) != said:
                return True
        return False

    def _as_written(self, golden: MappingOf[str, Any]) -> tuple[Document, MappingError | None]:
        """The native record that would be made, and the first value that cannot be written: in place of such
        a value stands what no `when` asks for."""
        native: Document = {}
        first: MappingError | None = None
        for name, rule in self.fields.items():
            if name in golden and rule.write is not None:
                try:
                    rule.write(native, golden[name])
                except Exception as error:  # noqa: BLE001 - a plugin's codec may raise anything
                    first = first or rule.failure(error)
                    for field in rule.native:
                        put_at(native, field, _SOMETHING_ELSE)
        return native, first

    def _when_allows(self, native: Document) -> bool:
        assert self.when is not None
        try:
            return self.when.allows(native)
        except ValueError:
            return False


_SOMETHING_ELSE = "\0"


@dataclass(frozen=True)
class AlsoMapping(Mapping):
    """A further canonical document in the same native record: a guest order's party, a customer's company."""

    name: str = ""
    content_key: Expression | None = None

    def key(self, native: MappingOf[str, Any]) -> str | None:
        """The content key: the document's id is `<native id>#<name>:<key>`. None: there is no such document.

        Normalised, so that `Beta ` and `BETA` stay the same company.
        """
        assert self.content_key is not None
        return content_key(self.content_key, native, f"also.{self.name}.key", self.position)


def content_key(expression: Expression, native: MappingOf[str, Any], name: str, position: str) -> str | None:
    """What `expression` says, in the form that ids are made of. Raises MappingError."""
    try:
        value = expression(native)
    except Exception as error:
        raise MappingError(name, str(error), position=position) from error
    if value is UNSET or value is None:
        return None
    text = " ".join(unicodedata.normalize("NFKC", str(value)).casefold().split())
    return text or None


def _decide(expression: Expression, data: MappingOf[str, Any], name: str, position: str) -> bool:
    try:
        return expression.holds(data)
    except Exception as error:
        raise MappingError(name, str(error), position=position) from error


def _only_leaf(native: Any) -> Any:
    while isinstance(native, dict):
        (native,) = native.values()
    return native
