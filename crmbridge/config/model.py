"""`crmbridge.yaml` as pydantic models. That the names in it exist is looked at in `checks.py`."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from crmbridge.config.limits import Limits
from crmbridge_schemas.custom import CustomEntity, CustomField

__all__ = [
    "Create",
    "CreateWhen",
    "EntitySync",
    "Insight",
    "Keep",
    "LogSettings",
    "NetworkSettings",
    "Owner",
    "Settings",
    "SystemSettings",
]

RESERVED_SYSTEMS = frozenset({"hub"})
"""`hub` is the pseudo-system of the stewards' own values."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, LookupError, ValueError) as error:
        close = get_close_matches(name, available_timezones(), n=1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"should be an IANA time zone such as Europe/Berlin or UTC{meant}") from error
    return name


def _system_name(name: str) -> str:
    if name in RESERVED_SYSTEMS:
        raise ValueError(f"{name!r} is the name of crmbridge's own values; choose another name")
    return name


SystemName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(_system_name)]
"""Small letters, digits and _; appears in every message, so keep it short: `erp`, `shop`."""


def _country(value: str) -> str:
    if re.fullmatch("[A-Z]{2}", value) is None:
        raise ValueError("should be a country code: two capital letters as in ISO 3166-1, such as DE or CN")
    return value


Country = Annotated[str, AfterValidator(_country), Field(json_schema_extra={"pattern": "^[A-Z]{2}$"})]
Zone = Annotated[str, AfterValidator(_zone)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


# -- systems -----------------------------------------------------------------------------------


class NetworkSettings(_Part):
    """How the network is reached; by default as environment variables and certificates of the machine say.
    Only for connectors that speak HTTP: files and databases refuse it."""

    proxy: str | None = None
    """`http://user:password@host:port`; "" for no proxy even where the environment names one."""
    ca_file: Path | None = None
    """PEM certificates to trust besides those of the machine."""
    client_certificate: Path | None = None
    """PEM: the certificate by which we show who we are."""
    client_key: Path | None = None
    """Its key, where it is in a file of its own."""
    verify: bool = True
    """false trusts every certificate: whoever sits in between can read and change everything."""
    connect_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds."""
    read_timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds of silence inside an answer."""
    deadline: Annotated[float, Field(gt=0)] = 300.0
    """Seconds for one request as a whole."""


class SystemSettings(BaseModel):
    """One system: which connector speaks to it, and the connector's own settings."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    connector: str
    """Which connector: see `crmbridge plugins`."""
    mode: Literal["live", "shadow", "read-only"] = "live"
    """live: read and written. shadow: read, and writes are only reported. read-only: never written."""
    network: NetworkSettings = NetworkSettings.model_construct()
    """How the network is reached."""

    @property
    def own(self) -> dict[str, Any]:
        """The connector's own settings as written: secrets are still references."""
        return dict(self.model_extra or {})


# -- sync --------------------------------------------------------------------------------------


class CreateWhen(_Part):
    """Create only some records."""

    when: str
    """A JMESPath expression over the golden record: `has(roles, 'customer')`."""


Create = Literal["always", "never"] | CreateWhen


def _create_kind(value: Any) -> str:
    return "BySystem" if isinstance(value, dict) and "when" not in value else "Create"


CreateRules = Annotated[
    Annotated[Create, Tag("Create")] | Annotated[dict[str, Create], Tag("BySystem")],
    Discriminator(_create_kind),
]


class Owner(_Part):
    """Who owns a document."""

    until: str
    """The status from which on the second system owns it."""
    first: str
    """The system that owns it before."""
    then: str
    """The system that owns it from then on."""


class EntitySync(_Part):
    """How one entity travels."""

    between: Annotated[list[str], Field(min_length=2)] | None = None
    """Systems that exchange it, both ways. Their order decides where nothing else does."""
    from_: str | None = Field(None, alias="from")
    """One way: the system that says it."""
    to: Annotated[list[str], Field(min_length=1)] | None = None
    """One way: the systems that get it."""
    create: CreateRules = "always"
    """Whether missing records are created: one rule (always, never, {when: EXPRESSION}), or one by system."""
    authority: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    """Field: the systems that decide, the first one first. All else: the latest change."""
    survivorship: dict[str, str] = {}
    """Field: the rule that decides: latest, manual, or a plugin's."""
    deletes: Literal["keep", "archive", "delete"] = "keep"
    """What becomes of a record in the other systems when one deletes it."""
    clear: Literal["propagate", "ignore"] | dict[str, Literal["propagate", "ignore"]] = "propagate"
    """Whether emptying a field empties it everywhere: for all fields or by field."""
    owner: Owner | None = None
    """For documents: who decides before and after they are accepted."""

    @model_validator(mode="after")
    def _one_direction(self) -> EntitySync:
        one_way = self.from_ is not None or self.to is not None
        if (self.between is not None) == one_way:
            raise ValueError("needs either between: [A, B], or from: A and to: [B]")
        if one_way and (self.from_ is None or self.to is None):
            raise ValueError("from and to go together")
        return self

    @property
    def systems(self) -> tuple[str, ...]:
        """All systems that take part, in order; the source first."""
        if self.between is not None:
            return tuple(self.between)
        return (self.from_ or "", *(self.to or ()))

    @property
    def targets(self) -> tuple[str, ...]:
        """The systems that are written to."""
        return tuple(self.between if self.between is not None else self.to or ())

    def create_in(self, system: str) -> Create:
        """The create rule of one system; `never` for a system that is not written to."""
        if system not in self.targets:
            return "never"
        return self.create.get(system, "always") if isinstance(self.create, dict) else self.create

    def ignores_clear(self, field: str) -> bool:
        """Whether an emptied value of the field says nothing."""
        rule = self.clear.get(field, "propagate") if isinstance(self.clear, dict) else self.clear
        return rule == "ignore"


class Insight(_Part):
    """Where a computed insight is written, one way; it is never read back."""

    system: str
    """The system."""
    stream: str
    """The stream there: an Excel sheet, a table."""


class Keep(_Part):
    """How long is remembered what happened. What the next run needs is kept in any case: the links and what
    every record last said, deletes, judgements, dead letters that are open, operations that are uncertain."""

    details_days: Annotated[int, Field(ge=7, le=36_500)] = 90
    """Days for what runs wrote and found, conflicts that are decided, operations that are done, dead letters
    that are settled. So long a run can be undone (`runs undo`), and a create that ended in somebody else's
    record (`links undo`)."""
    runs_days: Annotated[int, Field(ge=7, le=36_500)] = 730
    """Days for the list of runs; at least `details_days`."""

    @model_validator(mode="after")
    def _runs_outlast_details(self) -> Keep:
        if self.runs_days < self.details_days:
            raise ValueError("runs_days must be at least details_days")
        return self


class LogSettings(_Part):
    """What is logged to a file; `crmbridge -v` logs to standard error as well."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much."""
    file: Path | None = None
    """The file, relative to this config; only its owner can read it."""
    format: Literal["text", "json"] = "text"
    """json: one object a line."""


# -- the whole ---------------------------------------------------------------------------------


class Settings(_Part):
    """crmbridge.yaml."""

    state: Annotated[str, Field(min_length=1)] = "sqlite:///crmbridge.db"
    """Where crmbridge keeps what it knows: sqlite:///FILE, relative to this config, or postgresql://..."""
    plugins: list[str] = []
    """One-file plugins: ./acme.py. Installed plugins are found by themselves."""
    systems: Annotated[dict[SystemName, SystemSettings], Field(min_length=1)]
    """The systems by name."""
    sync: dict[str, EntitySync] = {}
    """How each entity travels."""
    limits: Limits = Limits.model_construct()
    """How much may happen in one run before a person is asked."""
    keep: Keep = Keep.model_construct()
    """How long is remembered what happened."""
    mappings: list[Path] = [Path("mappings")]
    """Folders of mapping files that add to the connectors' own or override single lines of them."""
    custom_fields: dict[str, dict[str, CustomField]] = {}
    """Entity: its further fields, each by its type or a table of `custom_fields: ENTITY: FIELD:` below."""
    custom_entities: dict[str, CustomEntity] = {}
    """Entities that the canonical model lacks, by name."""
    insights: dict[str, Insight] = {}
    """Insight (customer_summary): where it is written."""
    country: Country | None = None
    """Where phone numbers without a country code are from, ISO 3166-1: DE, CN; but those of a party whose own
    address is in another country are from there."""
    timezone: Zone = "UTC"
    """The zone of times that say none, and of what people are shown."""
    log: LogSettings = LogSettings.model_construct()
    """What is logged."""
