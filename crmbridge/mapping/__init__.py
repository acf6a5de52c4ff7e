"""Mappings: the YAML between a system's streams and the canonical entities, both directions. Pure."""

from crmbridge.mapping.apply import AlsoMapping, Mapping
from crmbridge.mapping.discovered import check_against
from crmbridge.mapping.errors import MappingError
from crmbridge.mapping.expressions import Expression, compile_expression
from crmbridge.mapping.list_rules import ListRule, Slot
from crmbridge.mapping.load import Mappings, load_mappings
from crmbridge.mapping.paths import UNSET
from crmbridge.mapping.rules import FieldRule

__all__ = [
    "UNSET",
    "AlsoMapping",
    "Expression",
    "FieldRule",
    "ListRule",
    "Mapping",
    "MappingError",
    "Mappings",
    "Slot",
    "check_against",
    "compile_expression",
    "load_mappings",
]
