"""Compiling one field: plain fields, composites and lists. Called by `compile.Compiler`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel

from crmbridge.mapping.apply import content_key
from crmbridge.mapping.compile_lists import compile_list, inner_list
from crmbridge.mapping.compiler import Compiler, Site, suggestion
from crmbridge.mapping.list_rules import ListRule
from crmbridge.mapping.paths import UNSET, Path, native_key
from crmbridge.mapping.plain import Only
from crmbridge.mapping.references import Reference
from crmbridge.mapping.rules import FieldRule, RuleSet
from crmbridge.mapping.spec import CompositeSpec, EachSpec, FieldSpec, FieldsSpec
from crmbridge.mapping.steps import (
    Step,
    decimal_step,
    map_step,
    read_through,
    reference_step,
    unreference_step,
    write_through,
)
from crmbridge.mapping.vocabulary import of_field
from crmbridge.sdk.hookspecs import Codec
from crmbridge.yamlfile import Loc
from crmbridge_schemas.base import Value, field_meta

__all__ = ["compile_fields"]


def compile_fields(
    compiler: Compiler, spec: FieldsSpec, model: type[BaseModel], loc: Loc, *, top: bool = False
) -> tuple[dict[str, FieldRule], dict[str, ListRule]]:
    """The rules of one object's fields, and those of its lists."""
    fields: dict[str, FieldRule] = {}
    lists: dict[str, ListRule] = {}
    for name, entry in spec.items():
        rule = _compile_entry(compiler, Site(name, model, (*loc, name), top), entry)
        if isinstance(rule, ListRule):
            lists[name] = rule
        elif rule is not None:
            fields[rule.name] = rule
    return fields, lists


def compile_inside(compiler: Compiler, spec: FieldsSpec, model: type[BaseModel], loc: Loc) -> RuleSet:
    """The rules of an element or composite; lists inside it are written with it."""
    fields, lists = compile_fields(compiler, spec, model, loc)
    return RuleSet(
        {**fields, **{name: inner_list(rule) for name, rule in lists.items()}}, compiler.target.absent
    )


def _compile_entry(compiler: Compiler, site: Site, entry: Any) -> FieldRule | ListRule | None:
    """One line below `fields:`; None if it is wrong, which is then among the compiler's errors."""
    if "," in site.name:
        return _group(compiler, site, entry)
    if not compiler.known(site.name, site.model, site.loc):
        return None
    if entry is None:
        reason = "null removes a field of a connector's own mapping; here is none to remove"
        compiler.fail(site.loc, reason, key=True)
        return None
    if isinstance(entry, str):
        entry = FieldSpec(path=entry)
    if site.shape.kind == "elements":
        inside = partial(compile_inside, compiler)
        return compile_list(compiler, site, entry, inside)
    if isinstance(entry, EachSpec | list):
        compiler.fail(site.loc, f"{site.name} is no list of elements: give it a path", key=True)
        return None
    if isinstance(entry, CompositeSpec):
        return _composite(compiler, site, entry)
    return _Field(compiler, site, entry).compile()


class _Field:
    """Compiles a field with a path, an expression or a constant."""

    def __init__(self, compiler: Compiler, site: Site, spec: FieldSpec) -> None:
        self.compiler = compiler
        self.site = site
        self.spec = spec
        self.shape = site.shape

    def compile(self) -> FieldRule | None:
        spec, compiler = self.spec, self.compiler
        if "const" in spec.model_fields_set:
            return self._constant()
        reads = spec.read is not None and spec.read != "never"
        if reads == (spec.path is not None):
            compiler.fail(self.site.loc, f"{self.site.name} needs either path, read or const", key=True)
            return None
        if self.shape.kind == "reference" and spec.ref is None and not reads:
            hint = "name the stream whose ids stand here, as in {path: customer_id, ref: customers}"
            compiler.fail(self.site.loc, f"{self.site.name} is a reference, so it needs ref", hint)
            return None
        if spec.ref is not None and self.shape.kind != "reference":
            compiler.fail(self.site.at("ref"), f"{self.site.name} is no reference", key=True)
            return None
        if self.shape.kind == "composite" or (reads and self.shape.kind == "reference"):
            compiler.loose = True
        return self._two_way()

    def _constant(self) -> FieldRule | None:
        extra = self.spec.model_fields_set - {"const"}
        if extra:
            self.compiler.fail(
                self.site.loc, f"const stands alone, without {', '.join(sorted(extra))}", key=True
            )
        value = self.compiler.constant(
            self.site.model, self.site.name, self.spec.const, self.site.at("const")
        )
        return FieldRule(self.site.name, self.compiler.at(self.site.loc), lambda _native: value, const=True)

    def _two_way(self) -> FieldRule | None:
        spec, compiler = self.spec, self.compiler
        codecs = compiler.codecs(spec.codec, self.site.at("as"))
        path = None if spec.path is None else compiler.path(spec.path, self.site.at("path"))
        target = self._target(path)
        inward = [codec.decode for codec in codecs]
        outward = [codec.encode for codec in reversed(codecs)]
        if self.shape.kind == "exact":
            outward.insert(0, decimal_step)
        self._add_values(inward, outward, written=target is not None)
        self._add_reference(inward, outward)
        read, read_from = self._read(path, inward)
        write, written_to = self._write(target, outward)
        plain = path is not None and path.key is not None and not inward and spec.blank == "null"
        unchanged = self.shape.kind == "text" and not codecs and path is not None
        return FieldRule(
            self.site.name,
            compiler.at(self.site.loc),
            read,
            write,
            native=written_to or read_from,
            sources=tuple(dict.fromkeys((*read_from, *written_to))),
            required=spec.required,
            ref=spec.ref,
            transition=spec.write == "transition",
            key=path.key if plain and path is not None and read is not None and not spec.also else None,
            model=self.site.model if self.site.top and not unchanged else None,
        )

    # -- reading -------------------------------------------------------------------------------

    def _read(
        self, path: Path | None, steps: list[Step]
    ) -> tuple[Callable[[Any], Any] | None, tuple[str, ...]]:
        spec, compiler = self.spec, self.compiler
        keep_blank = spec.blank == "keep"
        if spec.read == "never":
            return None, ()
        if spec.read is not None:
            expression = compiler.native_expression(spec.read, self.site.at("read"))
            if expression is None:
                return None, ()
            return read_through(expression, steps, keep_blank=keep_blank), tuple(sorted(expression.names))
        if path is None:
            return None, ()
        read = read_through(path.reader(compiler.target.absent), steps, keep_blank=keep_blank)
        return (self._with_suffix(read) if spec.also else read), (path.native,)

    def _with_suffix(self, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A reference to a document that `also:` makes: its id goes on with the content key."""
        name = self.spec.also or ""
        key = self.compiler.also_keys.get(name)
        position = self.compiler.at(self.site.loc)
        if key is None:
            self.compiler.fail(self.site.at("also"), f"there is no {name!r} below also: in this mapping")
            return read

        def suffixed(native: Any) -> Any:
            found = read(native)
            content = content_key(key, native, f"also.{name}.key", position) if found else None
            return {**found, "id": f"{found['id']}#{name}:{content}"} if content else None

        return suffixed

    # -- writing -------------------------------------------------------------------------------

    def _target(self, path: Path | None) -> Path | Mapping[str, Any] | None:
        """Where the value is written: a path, native paths with expressions, or nowhere."""
        write = self.spec.write
        if write == "never" or self.spec.also:
            return None
        if write is None or write == "transition":
            if write == "transition" and path is None:
                self.compiler.fail(self.site.at("write"), "a transition needs the path of the native state")
            return path
        if isinstance(write, str):
            return self.compiler.path(write, self.site.at("write"))
        return write

    def _write(
        self, target: Path | Mapping[str, Any] | None, steps: list[Step]
    ) -> tuple[Callable[[dict[str, Any], Any], None] | None, tuple[str, ...]]:
        if target is None:
            return None, ()
        if isinstance(target, Path):
            return write_through(target, steps), (target.native,)
        parts = []
        for text, expression_text in target.items():
            loc = self.site.at("write", text)
            path = self.compiler.path(text, loc)
            expression = self.compiler.canonical_expression(
                expression_text, loc, of_field(self.site.model, self.site.name)
            )
            if path is not None and expression is not None:
                parts.append((path, expression))

        def write(native: dict[str, Any], value: Any) -> None:
            for path, expression in parts:
                made = None if value is None else expression(value)
                path.put(native, None if made is UNSET else made)

        return write, tuple(path.native for path, _ in parts)

    # -- steps in between ----------------------------------------------------------------------

    def _add_values(self, inward: list[Step], outward: list[Step], *, written: bool) -> None:
        spec, compiler = self.spec, self.compiler
        if spec.values is None:
            if spec.write_values is not None:
                compiler.fail(self.site.at("write_values"), "write_values goes with values", key=True)
            return
        if spec.blank == "null" and "" in spec.values:
            compiler.fail(
                self.site.at("values", ""), "blank text is null already", "say blank: keep", key=True
            )
        for native, canonical in spec.values.items():
            self._check_choice(canonical, self.site.at("values", native))
        at = compiler.at(self.site.at("values"))
        inward.append(
            map_step(spec.values, f"add it to the values at {at}, or correct it in {compiler.target.system}")
        )
        if written:
            back = self._inverse(spec.values, spec.write_values or {})
            outward.insert(0, map_step(back, f"add it to the values at {at}, or to write_values beside them"))

    def _check_choice(self, canonical: Any, loc: Loc, *, key: bool = False) -> None:
        choices = self.shape.choices
        if choices and canonical is not None and canonical not in choices:
            close = suggestion(str(canonical), choices)
            self.compiler.fail(loc, f"{self.site.name} cannot be {native_key(canonical)!r}{close}", key=key)

    def _inverse(self, values: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Canonical -> native. Several native values for one canonical need `write_values` to say which."""
        loc = self.site.at("write_values")
        back = {}
        for canonical, native in chosen.items():
            self._check_choice(canonical, (*loc, canonical), key=True)
            if native is not None and native_key(native) not in values:
                self.compiler.fail(
                    (*loc, canonical),
                    f"{native_key(native)!r} is not among the values, so it could not be read back",
                )
            back[canonical] = native
        known = Counter(native_key(canonical) for canonical in values.values() if canonical is not None)
        for native, canonical in values.items():
            if canonical is None or native_key(canonical) in back:
                continue
            key = native_key(canonical)
            if known[key] > 1:
                several = [
                    name for name, value in values.items() if value is not None and native_key(value) == key
                ]
                self.compiler.fail(
                    self.site.at("values", native),
                    f"{' and '.join(several)} all mean {key!r}, so it is open which one is written",
                    f"say it: write_values: {{{key}: {several[0]}}}",
                    key=True,
                )
            back[key] = native
        return back

    def _add_reference(self, inward: list[Step], outward: list[Step]) -> None:
        stream = self.spec.ref
        if stream is not None:
            entity = field_meta(self.site.model, self.site.name).refers_to or self.site.name
            at = self.compiler.at(self.site.at("ref"))
            self.compiler.references.append(Reference(stream, entity, at))
            inward.append(reference_step(entity, stream))
            outward.insert(0, unreference_step(stream))


# -- composites --------------------------------------------------------------------------------


def _composite(compiler: Compiler, site: Site, spec: CompositeSpec) -> FieldRule | None:
    model = site.shape.model
    if site.shape.kind != "composite" or model is None:
        compiler.fail(site.at("fields"), f"{site.name} has no parts: give it a path", key=True)
        return None
    whole = _Whole(compiler, spec, model, site.loc)
    write = None if spec.write == "never" else whole.write
    return FieldRule(
        site.name,
        compiler.at(site.loc),
        whole.read,
        write,
        native=whole.rules.native_fields(),
        sources=whole.rules.sources(),
        required=spec.required,
        model=site.model if site.top else None,
        inner=whole.rules,
        only=whole.only(),
    )


class _Whole:
    """A composite value, read and written as one."""

    def __init__(self, compiler: Compiler, spec: CompositeSpec, model: type[BaseModel], loc: Loc) -> None:
        self.rules = compile_inside(compiler, spec.fields, model, (*loc, "fields"))
        self._const = compiler.constants(spec.const, model, (*loc, "const"))
        self._codecs: list[Codec] = compiler.codecs(spec.codec, (*loc, "as"))
        self._names = self.rules.fields()
        self._read = self.rules.reader(self._const)
        # Inside a Value absent and null are one, and its defaults are always said.
        self._defaults: dict[str, Any] = {}
        self._keeps_null = not issubclass(model, Value)
        if not self._keeps_null:
            self._defaults = {
                name: field.default
                for name, field in model.model_fields.items()
                if not field.is_required() and field.default is not None
            }

    def only(self) -> Only | None:
        """What there can be inside; a codec may make anything of it."""
        return None if self._codecs else self.rules.only(self._const, self._defaults)

    def read(self, native: Any) -> Any:
        found = self._read(native)
        if not found:
            return found
        for codec in self._codecs:
            found = codec.decode(found)
        if self._keeps_null:
            return found
        # Not `None in found.values()`: comparing a Decimal with None takes longer than all the rest.
        for value in found.values():
            if value is None:
                found = {name: part for name, part in found.items() if part is not None}
                break
        return {**self._defaults, **found} if self._defaults else found

    def write(self, native: dict[str, Any], value: Any) -> None:
        if value is None:
            self.rules.write(dict.fromkeys(self._names), native)
            return
        for name, said in self._const.items():
            if value.get(name, said) != said:
                raise ValueError(f"{name} is always {said} here, so {value[name]} cannot be written")
        for codec in reversed(self._codecs):
            value = codec.encode(value)
        self.rules.write({name: value.get(name, self._defaults.get(name)) for name in self._names}, native)


# -- several fields in one ---------------------------------------------------------------------


def _group(compiler: Compiler, site: Site, entry: Any) -> FieldRule | None:
    """`province, city, district: {path: area, as: zh_region}`: the codec's list, spread over the fields."""
    parts = tuple(part.strip() for part in site.name.split(","))
    if site.top:
        reason = "fields that are decided one by one cannot share a native field; inside an address they can"
        compiler.fail(site.loc, reason, key=True)
        return None
    unknown = [part for part in parts if not compiler.known(part, site.model, site.loc)]
    if unknown:
        return None
    if not isinstance(entry, FieldSpec) or entry.path is None or entry.codec is None:
        compiler.fail(site.loc, "several fields at once need path and as", key=True)
        return None
    path = compiler.path(entry.path, site.at("path"))
    codecs = compiler.codecs(entry.codec, site.at("as"))
    if path is None:
        return None
    reader = path.reader(compiler.target.absent)
    writer = write_through(path, [codec.encode for codec in reversed(codecs)])
    return FieldRule(
        site.name,
        compiler.at(site.loc),
        read_through(reader, [codec.decode for codec in codecs], keep_blank=False),
        None if entry.write == "never" else writer,
        native=(path.native,),
        sources=(path.native,),
        parts=parts,
    )
