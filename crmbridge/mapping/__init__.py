"""Mappings: the YAML between a system's streams and the canonical entities, both directions. Pure."""

from crmbridge.mapping.apply import AlsoMapping, Mapping
from crmbridge.mapping.errors import MappingError
from crmbridge.mapping.paths import UNSET
from crmbridge.mapping.rules import FieldRule, ListRule, Slot

__all__ = ["UNSET", "AlsoMapping", "FieldRule", "ListRule", "Mapping", "MappingError", "Slot"]
