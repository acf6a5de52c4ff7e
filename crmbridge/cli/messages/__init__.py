"""The lines of `--json`: one JSON object each, with its `type` and the version `v` of this schema.

Within one version fields and types are only added; a reader passes over what it does not know. A field
without a value is left out. Instants are ISO 8601 in UTC; canonical values are as in the entities' JSON
Schemas.
"""

from crmbridge.cli.messages.base import ErrorMessage, Message
from crmbridge.cli.messages.identity import (
    DoubtfulLinkMessage,
    DuplicateMessage,
    GenericValueMessage,
    JudgementMessage,
)
from crmbridge.cli.messages.records import EventMessage, FoundMessage, LinkMessage, RecordMessage
from crmbridge.cli.messages.runs import (
    ConflictMessage,
    DeadLetterMessage,
    DecisionMessage,
    NoteMessage,
    OperationMessage,
    RulingMessage,
    RunMessage,
    SummaryMessage,
    UncertainMessage,
    WriteMessage,
)
from crmbridge.cli.messages.systems import (
    AgreementMessage,
    FieldMessage,
    FindingMessage,
    PluginMessage,
    PreviewMessage,
    SchemaMessage,
    SystemMessage,
)

__all__ = ["MESSAGES"]

MESSAGES: tuple[type[Message], ...] = (
    OperationMessage,
    SummaryMessage,
    NoteMessage,
    ErrorMessage,
    FindingMessage,
    FieldMessage,
    PreviewMessage,
    RunMessage,
    WriteMessage,
    ConflictMessage,
    DecisionMessage,
    LinkMessage,
    UncertainMessage,
    RulingMessage,
    DoubtfulLinkMessage,
    DuplicateMessage,
    GenericValueMessage,
    JudgementMessage,
    DeadLetterMessage,
    SystemMessage,
    AgreementMessage,
    SchemaMessage,
    PluginMessage,
    FoundMessage,
    RecordMessage,
    EventMessage,
)
"""All types of lines."""
