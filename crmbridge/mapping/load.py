"""Finding, overriding and compiling the mappings of a deployment.

A connector ships mappings (`stream`, `entity`, `fields`). A deployment's own files, in the folders that the
config names, also say for which `system`. With the same stream and entity as a shipped one, a file overrides
it line by line:

    city: Ort                         a field that says where it stands replaces the shipped one
    kind: {values: {gov: organization}}     one that doesn't adds to it
    note: null                        removes it

All else (`when`, `on_create` ...) replaces what was shipped; `also:` is overridden name by name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from crmbridge.config import Config, CreateWhen, check_entities, mapping_files, meant, raise_all
from crmbridge.mapping.apply import Mapping as CompiledMapping
from crmbridge.mapping.compile import compile_mapping
from crmbridge.mapping.compiler import EntityType, Target, Toolbox
from crmbridge.mapping.expressions import Expression, compile_expression
from crmbridge.mapping.paths import UNSET
from crmbridge.mapping.references import check_references
from crmbridge.mapping.spec import FileSpec
from crmbridge.mapping.transforms import CodecMaker, builtin_codecs
from crmbridge.mapping.vocabulary import Vocabulary, misspelt, of_model
from crmbridge.sdk.connector import Stream
from crmbridge.sdk.errors import ConfigError
from crmbridge.sdk.hookspecs import Codec
from crmbridge.yamlfile import Document, load, validate
from crmbridge.yamlfile.document import Node

__all__ = ["Mappings", "load_mappings", "read_mappings"]

Golden = Mapping[str, Any]
Key = tuple[str, str, str]
"""(system, stream, entity)"""


@dataclass(frozen=True, slots=True)
class Source:
    """A mapping as written, overrides included."""

    system: str
    document: Document
    spec: FileSpec


@dataclass(frozen=True)
class Mappings:
    """All compiled mappings, in the order of their files; a deployment's own before the connectors'."""

    all: Sequence[CompiledMapping]
    creates: Mapping[tuple[str, str], Expression] = field(default_factory=dict)
    """(entity, system) -> the condition of `create: {when: ...}`."""
    sources: Sequence[Source] = ()
    toolbox: Toolbox | None = None

    def of_stream(self, system: str, stream: str) -> list[CompiledMapping]:
        """The mappings of a stream: the first that admits a record takes it, for each entity."""
        return [m for m in self.all if m.system == system and m.stream == stream]

    def of_entity(self, system: str, entity: str) -> list[CompiledMapping]:
        """The mappings of a system for an entity: accounts and contacts are both parties."""
        return [m for m in self.all if m.system == system and m.entity == entity]

    def target(self, system: str, entity: str, golden: Golden) -> CompiledMapping | None:
        """The mapping by which a golden record would be created in a system; None where none fits."""
        return next((m for m in self.of_entity(system, entity) if m.fits(golden)), None)

    def may_create(self, config: Config, entity: str, system: str, golden: Golden) -> bool:
        """Whether the config lets this golden record be created in the system."""
        rule = config.settings.sync[entity].create_in(system)
        if isinstance(rule, CreateWhen):
            return self.creates[entity, system].holds(golden)
        return rule == "always"

    def bind(self, system: str, streams: Sequence[Stream]) -> Mappings:
        """These mappings, now that the system says what its streams can do.

        Takes `absent_means` and the default of the children's ids from the capabilities. Raises ConfigError
        for mappings of streams that do not exist, and for references that lead nowhere.
        """
        assert self.toolbox is not None
        by_name = {stream.name: stream for stream in streams}
        made: list[CompiledMapping] = []
        errors: list[ConfigError] = []
        for source, mapping in zip(self.sources, self.all, strict=True):
            if source.system != system:
                made.append(mapping)
                continue
            stream = by_name.get(source.spec.stream)
            if stream is None:
                errors.append(_unknown_stream(source, by_name))
                continue
            capabilities = stream.capabilities
            absent = None if capabilities.absent_means == "null" else UNSET
            target = Target(system, absent, dict(capabilities.child_ids))
            bound, problems = compile_mapping(source.document, source.spec, self.toolbox, target)
            errors += problems
            if bound is not None:
                made.append(bound)
        own = [mapping for mapping in made if mapping.system == system]
        mapped: dict[str, set[str]] = {}
        for mapping in own:
            mapped.setdefault(mapping.stream, set()).update(one.entity for one in (mapping, *mapping.also))
        references = [one for mapping in own for one in mapping.references]
        errors += check_references(system, references, by_name, mapped)
        raise_all(errors)
        return replace(self, all=made)


def _unknown_stream(source: Source, known: Iterable[str]) -> ConfigError:
    name = source.spec.stream
    text = f"{source.system} has no stream {name!r}; {meant(name, known)}"
    return source.document.error(("stream",), text)


def load_mappings(
    config: Config,
    shipped: Mapping[str, Path | None],
    entities: Mapping[str, EntityType],
    codecs: Mapping[str, Codec] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    version: Callable[[str, str], str] = lambda _hook, _name: "",
) -> Mappings:
    """Read and compile everything. Raises one ConfigError that lists every mistake; see `read_mappings`."""
    made, errors = read_mappings(config, shipped, entities, codecs, functions, version)
    raise_all(errors)
    return made


def read_mappings(
    config: Config,
    shipped: Mapping[str, Path | None],
    entities: Mapping[str, EntityType],
    codecs: Mapping[str, Codec] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    version: Callable[[str, str], str] = lambda _hook, _name: "",
) -> tuple[Mappings, list[ConfigError]]:
    """All mappings that can be compiled, and every mistake with its place.

    shipped: system -> the folder of its connector's own mappings.
    entities: canonical types by name, custom ones included.
    codecs, functions: the plugins'.
    version: (hook, name) -> the version of whoever offers that.
    """
    settings = config.settings
    makers = {name: _plugin_codec(codec) for name, codec in (codecs or {}).items()}
    toolbox = Toolbox(
        entities,
        {**makers, **builtin_codecs(settings.country, settings.timezone)},
        functions or {},
        (settings.country, settings.timezone),
        version,
    )
    reader = _Reader(config)
    sources = reader.read(shipped)
    errors = reader.errors
    compiled, sound = [], []
    for source in sources:
        mapping, problems = compile_mapping(source.document, source.spec, toolbox, Target(source.system))
        errors += problems
        if mapping is not None:
            compiled.append(mapping)
            sound.append(source)
    creates = _create_rules(config, toolbox, errors)
    errors += check_entities(settings, config.document, entities)
    errors += _unmapped(config, reader.written) if reader.complete else []
    return Mappings(compiled, creates, sound, toolbox), errors


def _plugin_codec(codec: Codec) -> CodecMaker:
    def make(argument: Any) -> Codec:
        if argument is not None:
            raise ValueError("this codec takes no argument")
        return codec

    return make


def _create_rules(
    config: Config, toolbox: Toolbox, errors: list[ConfigError]
) -> dict[tuple[str, str], Expression]:
    rules = {}
    for entity, sync in config.settings.sync.items():
        for system in sync.targets:
            rule = sync.create_in(system)
            if not isinstance(rule, CreateWhen):
                continue
            by_system = isinstance(sync.create, dict)
            loc = ("sync", entity, "create", *([system] if by_system else []), "when")
            try:
                made = rules[entity, system] = compile_expression(rule.when, toolbox.functions)
            except ValueError as error:
                errors.append(config.document.error(loc, str(error)))
                continue
            of = of_model(toolbox.entities[entity]) if entity in toolbox.entities else Vocabulary()
            errors += [config.document.error(loc, problem) for problem in misspelt(made, of)]
    return rules


def _unmapped(config: Config, written: Collection[tuple[str, str]]) -> list[ConfigError]:
    """Systems that take part in a sync without a mapping for its entity."""
    return [
        config.document.error(
            ("sync", entity),
            f"{system} has no mapping for {entity}",
            f"add a file to the folder mappings/ with system: {system} and entity: {entity}",
            of="key",
        )
        for entity, sync in config.settings.sync.items()
        for system in sync.systems
        if (system, entity) not in written
    ]


# -- files -------------------------------------------------------------------------------------


class _Reader:
    """Reads mapping files and lays a deployment's over the connectors'."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._documents: dict[Path, Document | None] = {}
        self.errors: list[ConfigError] = config.folder_mistakes()
        self.written: set[tuple[str, str]] = set()
        """(system, entity) that there is a mapping for, though something in it may be wrong."""
        self.complete = not self.errors
        """Whether it is known for each file what it is for."""

    def read(self, shipped: Mapping[str, Path | None]) -> list[Source]:
        """Every mapping of every system."""
        own = self._own()
        base: dict[Key, Document] = {}
        for system in self._config.systems:
            for document in self._folder(shipped.get(system)):
                self._add(base, system, document)
        merged: dict[Key, Document] = {}
        for key, document in own.items():
            merged[key] = self._overlay(base[key], document) if key in base else document
        found = {**merged, **{key: document for key, document in base.items() if key not in merged}}
        for (system, _, entity), document in found.items():
            self.written |= {(system, one) for one in (entity, *_also_entities(document))}
        return [source for key, document in found.items() if (source := self._source(key[0], document))]

    def _own(self) -> dict[Key, Document]:
        own: dict[Key, Document] = {}
        for folder in self._config.mapping_folders():
            for document in self._folder(folder):
                for system in self._systems_of(document):
                    self._add(own, system, document)
        return own

    def _folder(self, folder: Path | None) -> list[Document]:
        """The documents of a folder, by file name."""
        found = []
        for path in mapping_files(folder) if folder and folder.is_dir() else []:
            if path not in self._documents:
                self._documents[path] = self._load(path)
            document = self._documents[path]
            if document is not None:
                found.append(document)
        return found

    def _load(self, path: Path) -> Document | None:
        try:
            return load(path)
        except ConfigError as error:
            self.errors.append(error)
            self.complete = False
            return None

    def _systems_of(self, document: Document) -> list[str]:
        data = document.data if isinstance(document.data, dict) else {}
        named = data.get("system")
        names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        if not names:
            hint = f"one of {', '.join(self._config.systems)}"
            self.errors.append(document.error((), "a mapping of your own says for which system it is", hint))
        known = []
        for index, name in enumerate(names):
            if name in self._config.systems:
                known.append(str(name))
                continue
            loc = ("system", index) if isinstance(named, list) else ("system",)
            text = f"there is no system {name!r}; {meant(str(name), self._config.systems)}"
            self.errors.append(document.error(loc, text))
        self.complete = self.complete and bool(known)
        return known

    def _add(self, to: dict[Key, Document], system: str, document: Document) -> None:
        data = document.data if isinstance(document.data, dict) else {}
        key = (system, str(data.get("stream")), str(data.get("entity")))
        if key in to:
            message = (
                f"{system} has another mapping from {key[1]} to {key[2]}, at {to[key].position(('stream',))}"
            )
            self.errors.append(document.error(("stream",), message))
        else:
            to[key] = document

    def _overlay(self, shipped: Document, own: Document) -> Document:
        base, over = shipped.find(()).node, own.find(()).node
        if not isinstance(base.value, dict) or not isinstance(over.value, dict):
            return own
        items = {**base.value, **over.value}
        for name in ("fields", "also"):
            if name in base.value and name in over.value:
                items[name] = self._by_name(base.value[name], over.value[name], own, name)
        return Document(Node.mapping(over.at, items, base.keys | over.keys))

    def _by_name(self, base: Node, over: Node, own: Document, section: str) -> Node:
        if not isinstance(base.value, dict) or not isinstance(over.value, dict):
            return over
        items = dict(base.value)
        for name, node in over.value.items():
            if node.value is not None:
                items[name] = _refined(items[name], node) if name in items else node
            elif items.pop(name, None) is None:
                close = get_close_matches(name, base.value, n=1)
                meant = f"; did you mean {close[0]!r}?" if close else ""
                message = f"the connector's mapping has no {name!r} to remove{meant}"
                self.errors.append(own.error((section, name), message, of="key"))
        return Node.mapping(base.at, items, base.keys | over.keys)

    def _source(self, system: str, document: Document) -> Source | None:
        try:
            return Source(system, document, validate(document, FileSpec))
        except ConfigError as error:
            if all(str(error) != str(known) for known in self.errors):
                self.errors.append(error)
            return None


def _also_entities(document: Document) -> list[str]:
    also = document.data.get("also") if isinstance(document.data, dict) else None
    parts = also.values() if isinstance(also, dict) else ()
    return [str(part.get("entity")) for part in parts if isinstance(part, dict)]


_SOURCES = frozenset({"path", "read", "const", "each", "fields", "entity"})
"""Keys that say where a field stands: an override with one of them replaces the shipped field."""


def _refined(base: Node, over: Node) -> Node:
    if not isinstance(over.value, dict) or _SOURCES & over.value.keys() or isinstance(base.value, list):
        return over
    if not isinstance(base.value, dict):
        base = Node.mapping(base.at, {"path": base}, {"path": base.at})
    return base.overlaid_by(over)
