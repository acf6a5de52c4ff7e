"""Compiling set-lists: native child lists, slots, and lists that are only read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from crmbridge.mapping.compiler import Compiler, Site
from crmbridge.mapping.expressions import Expression
from crmbridge.mapping.fieldtypes import mappable
from crmbridge.mapping.list_rules import ListRule, Slot
from crmbridge.mapping.paths import UNSET, Path, native_text, parse_path
from crmbridge.mapping.rules import FieldRule, RuleSet
from crmbridge.mapping.spec import EachSpec, FieldSpec, FieldsSpec, SlotSpec
from crmbridge.mapping.steps import read_through, write_through
from crmbridge.yamlfile import Loc
from crmbridge_schemas.base import field_meta

__all__ = ["compile_list", "inner_list"]

Inside = Callable[[FieldsSpec, type[BaseModel], Loc], RuleSet]
"""Compiles the fields of an element."""


def compile_list(compiler: Compiler, site: Site, entry: Any, inside: Inside) -> ListRule | None:
    """A set-list; None if its entry is wrong, which is then among the compiler's errors."""
    model = site.shape.model
    assert model is not None
    if isinstance(entry, EachSpec):
        return _each(compiler, site, entry, model, inside(entry.fields, model, site.at("fields")))
    if isinstance(entry, list):
        slots = [
            _slot(compiler, slot, model, site.at(index), inside(slot.fields, model, site.at(index, "fields")))
            for index, slot in enumerate(entry)
        ]
        return _slots(compiler, site, slots, model)
    if isinstance(entry, FieldSpec) and entry.path is None and entry.write in (None, "never"):
        return _read_only(compiler, site, entry, model)
    hint = "use each: NATIVE_LIST with fields, slots (a YAML list), or a read-only const or read"
    compiler.fail(site.loc, f"{site.name} is a list of elements", hint, key=True)
    return None


# -- native child lists ------------------------------------------------------------------------


def _each(
    compiler: Compiler, site: Site, spec: EachSpec, model: type[BaseModel], rules: RuleSet
) -> ListRule | None:
    path = compiler.path(spec.each, site.at("each"))
    const = compiler.constants(spec.const, model, site.at("const"))
    when = compiler.native_expression(spec.when, site.at("when"))
    if path is None:
        return None
    scalar = "@" in rules.sources()
    child_id = spec.id or compiler.target.child_ids.get(path.native)
    if scalar and (len(rules.rules) > 1 or child_id):
        compiler.fail(site.at("fields"), "plain values (@) have one field and no id")
    return ListRule(
        site.name,
        compiler.at(site.loc),
        _Children(path.reader(compiler.target.absent), rules, const, when, child_id, scalar=scalar).read,
        model,
        rules,
        rules.fields() | const.keys(),
        sources=(path.native, *(f"{path.native}.{inner}" for inner in rules.sources() if inner != "@")),
        native=path.native,
        child_id=child_id,
        const=const,
        when=when,
        scalar=scalar,
        writable=spec.write != "never",
        required=spec.required,
    )


class _Children:
    """Reads the elements of a native child list."""

    def __init__(
        self,
        source: Callable[[Any], Any],
        rules: RuleSet,
        const: dict[str, Any],
        when: Expression | None,
        child_id: str | None,
        *,
        scalar: bool,
    ) -> None:
        self._source = source
        self._rules = rules
        self._const = const
        self._when = when
        self._child_id = child_id
        self._scalar = scalar

    def read(self, native: Any) -> Any:
        children = self._source(native)
        if children is UNSET:
            return UNSET
        if children is None:
            return []
        if not isinstance(children, list):
            raise ValueError(f"expected a list, found {native_text(children)}")
        elements = []
        for child in children:
            if self._when is None or self._when.holds(child):
                element = self._element(child)
                if element is not None:
                    elements.append(element)
        return elements

    def _element(self, child: Any) -> dict[str, Any] | None:
        """The element, or None for a child that holds nothing."""
        found = self._rules.read({"@": child} if self._scalar else child)
        if not self._rules.whole(found):
            return None
        if self._child_id is None:
            return {**found, **self._const}
        native_id = child.get(self._child_id)
        if native_id in (None, ""):
            raise ValueError(f"a child has no {self._child_id!r}, which should be its id")
        return {"id": str(native_id), **found, **self._const}


# -- slots -------------------------------------------------------------------------------------


def _slot(compiler: Compiler, spec: SlotSpec, model: type[BaseModel], loc: Loc, rules: RuleSet) -> Slot:
    if not spec.fields and spec.present is None:
        compiler.fail(loc, f"the slot {spec.slot!r} needs fields or present")
    const = compiler.constants(spec.const, model, (*loc, "const"))
    alike = {name: dict(meta.merge_as) for name in const if (meta := field_meta(model, name)).merge_as}
    return Slot(spec.slot, compiler.at(loc), const, rules, _present(compiler, spec, loc), alike)


def _slots(compiler: Compiler, site: Site, slots: list[Slot], model: type[BaseModel]) -> ListRule:
    for index, slot in enumerate(slots):
        if slot.name in [other.name for other in slots[:index]]:
            compiler.fail(site.at(index, "slot"), f"there are two slots {slot.name!r}")

    readers = [slot.read for slot in slots]

    def read(native: Any) -> Any:
        elements, said = [], False
        for read_slot in readers:
            element = read_slot(native)
            if element is not UNSET:
                said = True
                if element is not None:
                    elements.append(element)
        return elements if said else UNSET

    # For blame and projection alike the slots' rules are one set: later slots have the same kinds of fields.
    together = RuleSet({key: rule for slot in slots for key, rule in slot.rules.rules.items()})
    carried = frozenset(key for slot in slots for key in (*slot.rules.fields(), *slot.const))
    return ListRule(
        site.name,
        compiler.at(site.loc),
        read,
        model,
        together,
        carried,
        sources=tuple(dict.fromkeys(source for slot in slots for source in slot.sources)),
        slots=tuple(slots),
    )


def _present(compiler: Compiler, spec: SlotSpec, loc: Loc) -> FieldRule | None:
    if spec.present is None:
        return None
    at = (*loc, "present")
    field = FieldSpec(path=spec.present) if isinstance(spec.present, str) else spec.present
    if field.path is None or field.model_fields_set - {"path", "codec"}:
        compiler.fail(
            at, "present takes a path, and as: {boolean: [YES, NO]} where it is no plain truth value"
        )
        return None
    path: Path | None = compiler.path(field.path, at)
    codecs = compiler.codecs(field.codec or "boolean", (*at, "as"))
    if path is None:
        return None
    return FieldRule(
        "present",
        compiler.at(at),
        read_through(path.reader(compiler.target.absent), [c.decode for c in codecs], keep_blank=False),
        write_through(path, [c.encode for c in reversed(codecs)]),
        native=(path.native,),
        sources=(path.native,),
    )


# -- read-only ---------------------------------------------------------------------------------


def _read_only(compiler: Compiler, site: Site, spec: FieldSpec, model: type[BaseModel]) -> ListRule | None:
    read: Callable[[Any], Any]
    sources: tuple[str, ...] = ()
    if isinstance(spec.const, list):
        elements = [
            compiler.constants(element, model, site.at("const", index))
            for index, element in enumerate(spec.const)
            if isinstance(element, dict)
        ]
        if len(elements) < len(spec.const):
            compiler.fail(
                site.at("const"), f"{site.name} is a list of elements: [{{{mappable(model)[0]}: ...}}]"
            )

        def read(_native: Any) -> Any:
            return elements
    else:
        expression = compiler.native_expression(spec.read, site.at("read"))
        if expression is None:
            compiler.fail(
                site.loc, f"{site.name} needs each, slots, read or a const that is a list", key=True
            )
            return None
        read, sources = expression, tuple(sorted(expression.names))
        compiler.loose = True
    return ListRule(
        site.name,
        compiler.at(site.loc),
        read,
        model,
        RuleSet({}),
        frozenset(mappable(model)),
        sources=sources,
        writable=False,
    )


def inner_list(rule: ListRule) -> FieldRule:
    """A list inside an element: it is written whole, as part of the element."""
    path = None if rule.native is None else parse_path(rule.native)

    def write(native: dict[str, Any], value: Any) -> None:
        assert path is not None
        path.put(native, [rule.write_element(element) for element in value or []])

    return FieldRule(
        rule.field,
        rule.position,
        rule.read,
        write if path is not None and rule.writable else None,
        native=rule.native_fields,
        sources=rule.sources,
        inner=rule.rules,
        only=rule.only,
    )
