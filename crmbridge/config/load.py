"""Reading `crmbridge.yaml`, with the overlay of an environment, and the settings of its connectors."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from crmbridge.config.checks import check_settings, meant, raise_all, unknown_systems
from crmbridge.config.model import Settings, SystemSettings
from crmbridge.config.secrets import Secrets, literal_secrets
from crmbridge.sdk.errors import RAISED, ConfigError
from crmbridge.sdk.redact import Redactor
from crmbridge.sdk.remedy import remedy
from crmbridge.yamlfile import Document, load, mistakes, validate
from crmbridge.yamlfile.document import Loc, Node
from crmbridge_schemas.base import Entity
from crmbridge_schemas.custom import CustomSchemaError
from crmbridge_schemas.registry import build

if TYPE_CHECKING:
    from crmbridge.sdk.network import HttpSettings

__all__ = ["Config", "ConfigWarning", "load_config", "mapping_files"]

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ConfigWarning:
    """Something that works and should not stay as it is."""

    position: str
    """`file:line:column`"""
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.position}: {self.text}\n  hint: {self.hint}"


@dataclass(frozen=True, slots=True)
class Config:
    """A config that was read: what it says, and where each part is written."""

    path: Path
    settings: Settings
    document: Document
    environment: str | None = None
    """The name given by `--env`."""

    @property
    def root(self) -> Path:
        """The folder in which relative paths start."""
        return self.path.parent

    @property
    def systems(self) -> Mapping[str, SystemSettings]:
        return self.settings.systems

    def mapping_folders(self) -> list[Path]:
        """The folders of mapping files that exist and can be looked into."""
        folders = [self.root / one for one in self.settings.mappings]
        return [folder for folder in folders if folder.is_dir() and _closed(folder) is None]

    def folder_mistakes(self) -> list[ConfigError]:
        """Mapping folders that are named and are not there, or cannot be looked into, and mapping files where
        nobody looks for them."""
        is_named = bool(self.document.find(("mappings",)).path)
        wrong = [
            self.document.error(
                ("mappings", index), f"there is no folder {self.root / one}", "correct its name"
            )
            for index, one in enumerate(self.settings.mappings)
            if is_named and not (self.root / one).is_dir()
        ]
        every = [self.root / one for one in self.settings.mappings]
        wrong += [closed for folder in every if folder.is_dir() and (closed := _closed(folder))]
        folders = self.mapping_folders()
        known = {folder.resolve() for folder in folders}
        for below in (path for folder in folders for path in sorted(folder.iterdir()) if path.is_dir()):
            if below.resolve() not in known and (found := mapping_files(below)):
                hint = f"move them up, or name the folder too: mappings: [{', '.join(self._names(below))}]"
                text = f"mapping files in a folder below the mappings are not read ({_some(found)})"
                wrong.append(ConfigError(text, position=f"{below}:1:1", hint=hint))
        return wrong

    def _names(self, more: Path) -> list[str]:
        return [*(str(one) for one in self.settings.mappings), str(more.relative_to(self.root))]

    def warnings(self, models: Mapping[str, type[BaseModel]] = {}) -> list[ConfigWarning]:
        """Secrets that are written out, certificates that are not checked, and files that nobody reads.

        models: system -> its connector's settings.
        """
        found = [
            ConfigWarning(
                str(self.document.position(loc)),
                f"{'.'.join(map(str, loc))}: a secret is written out here",
                "keep it elsewhere and refer to it: ${env:NAME}, ${file:PATH} or ${keyring:SERVICE/NAME}",
            )
            for loc in self._literal_secrets(models)
        ]
        for name, system in self.systems.items():
            if not system.network.verify:
                at = str(self.document.position(("systems", name, "network", "verify")))
                text = f"systems.{name}: certificates are not checked"
                found.append(
                    ConfigWarning(at, text, "give the certificate's authority: network: {ca_file: FILE}")
                )
        return found + list(self._unread())

    def _unread(self) -> Iterator[ConfigWarning]:
        for index, one in enumerate(self.settings.mappings):
            folder = self.root / one
            if folder not in self.mapping_folders():
                continue
            mappings = mapping_files(folder)
            for path in sorted(folder.iterdir()):
                if path.is_file() and path not in mappings and not _is_aside(path):
                    text = "this file among the mappings is not read"
                    yield ConfigWarning(
                        str(path), text, "a mapping's name ends in .yaml; put others elsewhere"
                    )
            if not mappings and self.document.find(("mappings",)).path:
                at = str(self.document.position(("mappings", index)))
                yield ConfigWarning(at, f"there is no mapping in {folder}", "leave the folder out here")

    def entities(self, plugins: Mapping[str, type[Entity]] | None = None) -> dict[str, type[Entity]]:
        """The canonical entities of this deployment: ours, the plugins', and those declared here.

        Raises ConfigError for a declaration that cannot be.
        """
        try:
            return build(self.settings.custom_fields, self.settings.custom_entities, plugins)
        except CustomSchemaError as error:
            raise self.document.error(error.path, error.message, of="key") from error

    def state_url(self, secrets: Secrets) -> str:
        """Where the state is, secrets resolved. It may hold a password: never show it.

        `sqlite:///FILE` is relative to the config, not to where the command was started.
        """
        prefix, url = "sqlite:///", self.settings.state
        if url.startswith(prefix) and not url.startswith(prefix + "/"):
            return f"{prefix}{(self.root / url[len(prefix) :]).resolve()}"
        resolved = secrets.resolve(self.settings.state, self.document, ("state",))
        return resolved if isinstance(resolved, str) else resolved.get_secret_value()

    def http_settings(self, name: str, secrets: Secrets) -> HttpSettings:
        """How the network of a system is reached; files are relative to the config."""
        from crmbridge.sdk.network import HttpSettings

        network = self.systems[name].network
        said = network.model_dump()
        for key in ("ca_file", "client_certificate", "client_key"):
            said[key] = None if said[key] is None else self.root / said[key]
        if network.proxy is not None:
            proxy = secrets.resolve(network.proxy, self.document, ("systems", name, "network", "proxy"))
            said["proxy"] = proxy if isinstance(proxy, str) else proxy.get_secret_value()
        return HttpSettings(**said)

    def written_secrets(self, models: Mapping[str, type[BaseModel]] = {}) -> list[str]:
        """Secrets that are written out: no output may show them either. models: as in `warnings`."""
        return [secret for some in self._literal_secrets(models).values() for secret in some]

    def _literal_secrets(
        self, models: Mapping[str, type[BaseModel]]
    ) -> dict[tuple[str | int, ...], list[str]]:
        named = [("systems", name, key) for name, model in models.items() for key in _secret_fields(model)]
        return literal_secrets(self.document.data, named)

    def system_settings(self, name: str, model: type[M], secrets: Secrets) -> M:
        """The connector's own settings of a system, secrets resolved. Raises ConfigError with the position.

        Wherever the model says SecretStr the value stays hidden; secrets in other fields are known to the
        redactor like all others.
        """
        resolver = _Resolver(secrets, self.document)
        resolved = self._own_part(name, resolver.node)
        try:
            return validate(resolved, model, beside=_OURS)
        except ConfigError as error:
            redact = Redactor([*resolver.found, *self.written_secrets({name: model})])
            message, hint = redact(error.message), error.hint
            position = error.position
        # Outside of the except clause, so that no traceback shows the first error.
        raise ConfigError(f"systems.{name}: {message}", position=position, hint=hint)

    def settings_mistakes(self, name: str, model: type[BaseModel]) -> ConfigError | None:
        """What is wrong with the connector's own settings of a system, as far as it shows without secrets."""
        try:
            found = mistakes(self._own_part(name, lambda node, loc: node), model, _refers, _OURS)
        except RAISED:  # of a connector's validator; opening the system tells more
            return None
        if found is None:
            return None
        message = Redactor(self.written_secrets({name: model}))(found.message)
        return ConfigError(f"systems.{name}: {message}", position=found.position, hint=found.hint)

    def placed(self, name: str, error: ConfigError) -> ConfigError:
        """What a connector found wrong with its settings, with the place of the setting that it speaks of."""
        if error.position is not None:
            return error
        words = re.findall(r"\w+", error.message)[:_WORDS]
        ways = [
            self.document.find(("systems", name, *above, *words)) for above in ((), ("streams",), ("files",))
        ]
        best = max(ways, key=lambda found: len(found.path))
        said = error.message if words[:1] == [name] else f"systems.{name}: {error.message}"
        return ConfigError(said, position=str(best.key_at), hint=error.hint)

    def _own_part(self, name: str, made: Callable[[Node, Loc], Node]) -> Document:
        """The settings that are the connector's own, each made by `made` of what is written."""
        loc = ("systems", name)
        found = self.document.find(loc).node
        own = {key: node for key, node in _items(found).items() if key in self.systems[name].own}
        return Document(Node.mapping(found.at, {k: made(n, (*loc, k)) for k, n in own.items()}, found.keys))


def mapping_files(folder: Path) -> list[Path]:
    """The mapping files of a folder, by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".yaml", ".yml") and path.is_file() and not _is_aside(path)
    )


def _closed(folder: Path) -> ConfigError | None:
    """Why nobody may look into a folder; None where that is allowed."""
    try:
        mapping_files(folder)
    except OSError as error:
        text = f"the folder cannot be looked into: {error.strerror}"
        return ConfigError(text, position=f"{folder}:1:1", hint=remedy(error, "read and enter that folder"))
    return None


def _is_aside(path: Path) -> bool:
    """What editors and file managers leave behind."""
    return path.name.startswith(".") or path.name.endswith("~")


def _some(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:3]) + (", ..." if len(paths) > 3 else "")


_WORDS = 20
"""So many words of an error may name the setting that it is about."""
_OURS = tuple(SystemSettings.model_fields)
"""Settings of a system that are not its connector's."""


def _secret_fields(model: type[BaseModel]) -> Iterator[str]:
    """The settings that a connector declares to be secrets, as they are written."""
    for name, field in model.model_fields.items():
        if "SecretStr" in str(field.annotation):
            yield field.alias or name


def _refers(node: Node) -> bool:
    """Whether a value is known only once its secrets are resolved."""
    if isinstance(node.value, dict):
        return any(map(_refers, node.value.values()))
    if isinstance(node.value, list):
        return any(map(_refers, node.value))
    return isinstance(node.value, str) and "${" in node.value


def _items(node: Node) -> dict[str, Node]:
    return node.value if isinstance(node.value, dict) else {}


class _Resolver:
    """Copies a part of the document with its references resolved, everything in its place."""

    def __init__(self, secrets: Secrets, document: Document) -> None:
        self._secrets = secrets
        self._document = document
        self.found: list[str] = []

    def node(self, node: Node, loc: Loc) -> Node:
        if isinstance(node.value, dict):
            items = {key: self.node(part, (*loc, key)) for key, part in node.value.items()}
            return Node.mapping(node.at, items, node.keys)
        if isinstance(node.value, list):
            return Node.sequence(node.at, [self.node(part, (*loc, i)) for i, part in enumerate(node.value)])
        if not isinstance(node.value, str):
            return node
        resolved = self._secrets.resolve(node.value, self._document, loc)
        if isinstance(resolved, str):
            return Node(node.at, resolved)
        self.found.append(resolved.get_secret_value())
        return Node(node.at, resolved.get_secret_value())


def load_config(path: Path, environment: str | None = None) -> Config:
    """Read a config, and `crmbridge.NAME.yaml` beside it laid over it. Raises ConfigError with all mistakes.

    An environment has a state of its own: the one it names, or `crmbridge.NAME.db` for `crmbridge.db`.
    """
    document = load(path)
    settings = _validated(document)
    if environment is None:
        check_settings(settings, document)
        return Config(path, settings, document)
    overlay = load(_beside(path, environment))
    merged = document.overlaid_by(overlay)
    state = _state_of(environment, settings.state, overlay)
    merged_settings = _validated(merged).model_copy(update={"state": state})
    check_settings(merged_settings, merged)
    return Config(path, merged_settings, merged, environment)


def _validated(document: Document) -> Settings:
    """Raises ConfigError for all that is wrong, also with names in a part whose shape is wrong elsewhere."""
    try:
        return validate(document, Settings)
    except ConfigError as error:
        raise_all([error, *unknown_systems(document)])
        raise


def _beside(path: Path, environment: str) -> Path:
    """The file of an environment. Raises ConfigError where there is none."""
    file = path.with_name(f"{path.stem}.{environment}{path.suffix}")
    if not file.exists():
        others = path.parent.glob(f"{glob.escape(path.stem)}.*{path.suffix}")
        known = sorted(one.name.removeprefix(f"{path.stem}.").removesuffix(path.suffix) for one in others)
        text = f"there is no environment {environment!r}: {file} is missing"
        raise ConfigError(text, hint=meant(environment, known) if known else "write it, or leave out --env")
    return file


_SQLITE = re.compile(r"(sqlite:///.*?)(\.[a-z0-9]+)?")


def _state_of(environment: str, base: str, overlay: Document) -> str:
    own = overlay.data.get("state") if isinstance(overlay.data, dict) else None
    if isinstance(own, str):
        if own == base:
            raise overlay.error(("state",), "this is the state of the config without --env; name another one")
        return own
    found = _SQLITE.fullmatch(base)
    if found is None:
        hint = "add a line such as state: postgresql://HOST/crmbridge_" + environment
        raise overlay.error((), "an environment needs a state of its own", hint)
    return f"{found[1]}.{environment}{found[2] or ''}"
