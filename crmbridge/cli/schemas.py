"""The JSON Schemas that the command can print and that are kept in `schemas/json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crmbridge.config import meant_entity

if TYPE_CHECKING:
    from crmbridge.cli.session import Session
    from crmbridge.sdk.connector import Connector
    from crmbridge_schemas.base import Entity

__all__ = ["FILES", "entities", "find", "output_schema"]

FILES = {
    "config": "crmbridge.yaml",
    "mapping": "a mapping file",
    "output": "a line that --json writes",
}


def entities(session: Session) -> Mapping[str, type[Entity]]:
    """The entities of this deployment; where there is no config, those that everybody has."""
    from crmbridge.sdk.errors import ConfigError
    from crmbridge_schemas.registry import ENTITIES

    try:
        session.config_path()
    except ConfigError:
        if session.options.config is not None:
            raise
        return ENTITIES
    from crmbridge.bridge import load_plugins

    config = session.load_config()
    plugins = load_plugins(tuple(config.root / one for one in config.settings.plugins))
    return config.entities(plugins.schemas())


def find(session: Session, name: str) -> dict[str, Any]:
    """The JSON Schema of that name. Raises ConfigError naming those that there are."""
    from crmbridge.mapping.jsonschema import json_schemas
    from crmbridge.sdk.errors import ConfigError
    from crmbridge_schemas.docstrings import Described
    from crmbridge_schemas.generate import json_schema

    if name == "output":
        return output_schema()
    if name in FILES:
        models = {one: kind.settings_model for one, kind in _connectors(session).items()}
        return json_schemas(models)["crmbridge" if name == "config" else name]
    known = entities(session)
    if name in known:
        return json_schema(known[name])
    connectors = _connectors(session)
    if name in connectors:
        return connectors[name].settings_model.model_json_schema(by_alias=True, schema_generator=Described)
    names = [*known, *FILES, *connectors]
    raise ConfigError(f"there is no schema {name!r}", hint=meant_entity(name, names))


def _connectors(session: Session) -> Mapping[str, type[Connector]]:
    """Those that are installed, and those of the config's plugins where there is a config."""
    from crmbridge.bridge import load_plugins
    from crmbridge.sdk.errors import ConfigError

    try:
        session.config_path()
    except ConfigError:
        return load_plugins().connectors()
    config = session.load_config()
    return load_plugins(tuple(config.root / one for one in config.settings.plugins)).connectors()


def output_schema() -> dict[str, Any]:
    """The JSON Schema of one line of `--json`."""
    import functools
    import operator
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    from crmbridge.cli.messages import MESSAGES
    from crmbridge_schemas.docstrings import Described

    any_message: Any = functools.reduce(operator.or_, MESSAGES)
    line: Any = Annotated[any_message, Field(discriminator="type")]
    made = TypeAdapter(line).json_schema(mode="serialization", schema_generator=Described)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line that crmbridge --json writes",
        **made,
    }
