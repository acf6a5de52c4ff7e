"""What compiling a mapping needs at hand, and where its mistakes are collected, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from crmbridge.mapping.expressions import Expression, compile_expression
from crmbridge.mapping.fieldtypes import Shape, checked_constant, mappable, shape_of
from crmbridge.mapping.paths import UNSET, Path, native_text, parse_path
from crmbridge.mapping.references import Reference
from crmbridge.mapping.transforms import PHONES, CodecMaker, phone_codecs
from crmbridge.mapping.vocabulary import Vocabulary, misspelt
from crmbridge.sdk.errors import ConfigError
from crmbridge.sdk.hookspecs import Codec
from crmbridge.yamlfile import Document, Loc
from crmbridge_schemas.base import Entity

__all__ = ["Compiler", "Site", "Target", "Toolbox", "suggestion"]

EntityType = type[Entity]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What mappings may name."""

    entities: Mapping[str, EntityType]
    codecs: Mapping[str, CodecMaker]
    functions: Mapping[str, Callable[..., Any]]
    settings: tuple[str | None, ...] = ()
    """What the built-in codecs were made with, the country first; part of every fingerprint."""
    version: Callable[[str, str], str] = lambda _hook, _name: ""
    """(hook, name) -> the version of whoever offers what a mapping names; part of its fingerprint."""

    def in_country(self, country: str) -> Toolbox:
        """The same for records that are at home in this country."""
        codecs = {**self.codecs, **phone_codecs(country, *self.settings[:1])}
        return replace(self, codecs=codecs)


@dataclass(frozen=True, slots=True)
class Target:
    """What one mapping is for."""

    system: str
    absent: Any = UNSET
    """What a missing key says: UNSET, or None in a stream with `absent_means: null`."""
    child_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """The line of a mapping that is being compiled."""

    name: str
    """The canonical field."""
    model: type[BaseModel]
    """Where the field is defined."""
    loc: Loc
    top: bool = False
    """In the entity itself, not inside a composite or element."""

    @property
    def shape(self) -> Shape:
        return shape_of(self.model, self.name)

    def at(self, *parts: str | int) -> Loc:
        """The place of a part of this line."""
        return (*self.loc, *parts)


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'city'?`, or the list of what is known, or nothing."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here: {', '.join(names)}" if names else ""


class Compiler:
    """The workbench for one mapping file and one system. What is wrong goes to `errors`."""

    def __init__(self, document: Document, toolbox: Toolbox, target: Target) -> None:
        self.document = document
        self.toolbox = toolbox
        self.target = target
        self.errors: list[ConfigError] = []
        self.loose = False
        self.by_country = False
        """Some phone number is read by the country of its owner."""
        self.also_keys: dict[str, Expression] = {}
        self.references: list[Reference] = []
        self.made_with: set[tuple[str, str, str]] = set()
        """Hook, name and version of all that the mapping names."""

    def fail(self, loc: Loc, message: str, hint: str | None = None, *, key: bool = False) -> None:
        self.errors.append(self.document.error(loc, message, hint, of="key" if key else "value"))

    def at(self, loc: Loc) -> str:
        return str(self.document.position(loc))

    def uses(self, hook: str, name: str) -> None:
        """The mapping is another one when what it names is another version."""
        self.made_with.add((hook, name, self.toolbox.version(hook, name)))

    # -- parts of rules ------------------------------------------------------------------------

    def path(self, text: str, loc: Loc) -> Path | None:
        try:
            return parse_path(text)
        except ValueError as error:
            self.fail(loc, str(error))
            return None

    def expression(self, text: str, loc: Loc, absent: Any = UNSET) -> Expression | None:
        try:
            made = compile_expression(text, self.toolbox.functions, absent=absent)
        except ValueError as error:
            self.fail(loc, str(error))
            return None
        for name in made.functions:
            self.uses("crmbridge_functions", name)
        return made

    def native_expression(self, text: str | None, loc: Loc) -> Expression | None:
        return None if text is None else self.expression(text, loc, self.target.absent)

    def canonical_expression(self, text: str, loc: Loc, of: Vocabulary) -> Expression | None:
        """One over a canonical record, or over the value of one of its fields."""
        expression = self.expression(text, loc)
        for problem in misspelt(expression, of) if expression is not None else ():
            self.fail(loc, problem)
        return expression

    def codecs(self, spec: Any, loc: Loc) -> list[Codec]:
        """The codecs of `as:`, in the order of reading."""
        made = []
        for index, one in enumerate(spec if isinstance(spec, list) else [] if spec is None else [spec]):
            at = (*loc, index) if isinstance(spec, list) else loc
            name, argument = (one, None) if isinstance(one, str) else next(iter(one.items()))
            maker = self.toolbox.codecs.get(name)
            if maker is None:
                known = suggestion(name, self.toolbox.codecs)
                self.fail(at, f"unknown codec {name!r}{known}")
                continue
            self.uses("crmbridge_codecs", name)
            self.by_country = self.by_country or (name in PHONES and argument is None)
            try:
                made.append(maker(argument))
            except ValueError as error:
                self.fail(at, f"as: {name}: {error}")
        return made

    def constants(self, const: Mapping[str, Any], model: type[BaseModel], loc: Loc) -> dict[str, Any]:
        """`const:` of an element or composite, checked against its model."""
        found = {}
        for name, value in const.items():
            if self.known(name, model, (*loc, name)):
                found[name] = self.constant(model, name, value, (*loc, name))
        return found

    def constant(self, model: type[BaseModel], name: str, value: Any, loc: Loc) -> Any:
        try:
            return checked_constant(model, name, value)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            said = f"{name} cannot be {native_text(detail['input'])}: {detail['msg']}"
            self.fail((*loc, *detail["loc"]), said)
            return None

    def known(self, name: str, model: type[BaseModel], loc: Loc) -> bool:
        if name in mappable(model):
            return True
        title = model.entity_name if issubclass(model, Entity) else model.__name__
        self.fail(loc, f"{title} has no field {name!r}{suggestion(name, mappable(model))}", key=True)
        return False
