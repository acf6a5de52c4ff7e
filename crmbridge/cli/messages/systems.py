"""Lines of `--json` about systems, their plugins and their mappings."""

from __future__ import annotations

from typing import Any, Literal

from crmbridge.cli.messages.base import Message

__all__ = [
    "AgreementMessage",
    "FieldMessage",
    "FindingMessage",
    "PluginMessage",
    "PreviewMessage",
    "SystemMessage",
]


class FindingMessage(Message):
    """One line of `check`."""

    type: Literal["finding"] = "finding"
    level: Literal["ok", "warning", "error"]
    """error: it cannot work like this."""
    topic: str
    """config, plugins, state, access, capabilities, protection, precision, coverage or mapping."""
    system: str = ""
    """The system that it is about."""
    stream: str = ""
    """The object type that it is about."""
    text: str
    """What was found."""
    hint: str | None = None
    """What to do."""


class FieldMessage(Message):
    """One native field, as `discover` found it."""

    type: Literal["field"] = "field"
    system: str
    """The system."""
    stream: str
    """The object type."""
    name: str
    """The field; dotted inside of objects and lists."""
    kind: str
    """string, text, integer, decimal, boolean, date, datetime, reference, list or object."""
    required: bool = False
    """A create without it is refused."""
    writable: bool = True
    """It can be written."""
    max_length: int | None = None
    """Characters that it holds."""
    choices: list[str] = []
    """The values that it takes, where they are limited."""
    custom: bool = False
    """It was added by the people who run that system."""
    label: str = ""
    """What people call it."""


class PreviewMessage(Message):
    """One record of `map preview`."""

    type: Literal["preview"] = "preview"
    system: str
    """The system."""
    stream: str
    """The object type."""
    native_id: str
    """The record."""
    entity: str | None = None
    """The canonical type; left out where no mapping takes the record."""
    native: Any = None
    """The record as the system has it."""
    canonical: Any = None
    """What it is read as."""
    back: Any = None
    """What writing that would set."""
    lost: list[str] = []
    """Native fields that do not come back as they were."""
    rewritten: list[str] = []
    """Native fields that come back in another form, with nothing of them lost."""
    unread: list[str] = []
    """Native fields that no mapping looks at."""
    error: str | None = None
    """Why it cannot be mapped."""


class SystemMessage(Message):
    """One system."""

    type: Literal["system"] = "system"
    name: str
    """Its name."""
    connector: str = ""
    """What speaks to it."""
    mode: str = ""
    """live, shadow or read-only; left out where the config does not name the system."""
    paused: bool = False
    """It is left alone for now."""
    fingerprint: str = ""
    """Which instance it is."""
    last_success: str | None = None
    """When a run last got through with it."""
    in_config: bool = True
    """The config names it."""


class AgreementMessage(Message):
    """How far one field of a system agrees with the other systems: `systems agreement`."""

    type: Literal["agreement"] = "agreement"
    system: str
    """The system."""
    entity: str
    """The canonical type."""
    field: str = ""
    """The field; empty for the line about whole records."""
    compared: int
    """Records of this system that another one has too, and of which somebody says this field; for the line
    about whole records, all that another system has too."""
    agree: int = 0
    """Nothing differs: nothing would be written."""
    fill: int = 0
    """Empty here; it would be filled."""
    change: int = 0
    """It would be changed."""
    clear: int = 0
    """It would be emptied."""
    wins: int = 0
    """Another system holds something else, and the word of this one wins."""
    waits: int = 0
    """A person has to decide."""
    only_here: int = 0
    """Records that no other system has; on the line about whole records."""
    create: int = 0
    """Records that would be created here; on the line about whole records."""
    examples: dict[str, list[Any]] = {}
    """What happens -> the first record of it: its native id, what it holds, what stands against that."""


class SchemaMessage(Message):
    """One JSON Schema that `schema` prints."""

    type: Literal["schema"] = "schema"
    name: str
    """What `schema NAME` takes."""
    of: str | None = None
    """What it describes; in the list only."""
    definition: Any = None
    """The JSON Schema itself; left out in the list."""


class PluginMessage(Message):
    """One plugin."""

    type: Literal["plugin"] = "plugin"
    name: str
    """Its name."""
    source: str
    """Where it comes from."""
    connectors: list[str] = []
    """The connectors that it offers."""
    error: str | None = None
    """Why it could not be loaded, or what a hook of it raised."""
