"""`crmbridge.yaml`: which systems there are, how entities travel between them, and how far a run may go."""

from crmbridge.config.checks import (
    by_place,
    check_entities,
    check_survivorship,
    meant,
    meant_entity,
    raise_all,
)
from crmbridge.config.limits import FirstLimits, Limit, Limits
from crmbridge.config.load import Config, ConfigWarning, load_config, mapping_files
from crmbridge.config.model import (
    Create,
    CreateWhen,
    EntitySync,
    Insight,
    Keep,
    LogSettings,
    NetworkSettings,
    Owner,
    Settings,
    SystemSettings,
)
from crmbridge.config.secrets import Secrets

__all__ = [
    "Config",
    "ConfigWarning",
    "Create",
    "CreateWhen",
    "EntitySync",
    "FirstLimits",
    "Insight",
    "Keep",
    "Limit",
    "Limits",
    "LogSettings",
    "NetworkSettings",
    "Owner",
    "Secrets",
    "Settings",
    "SystemSettings",
    "by_place",
    "check_entities",
    "check_survivorship",
    "load_config",
    "mapping_files",
    "meant",
    "meant_entity",
    "raise_all",
]
