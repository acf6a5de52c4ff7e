"""The plugins of a process, with the names that are taken before any of them is asked."""

from __future__ import annotations

from pathlib import Path

import crmbridge.connectors
from crmbridge.config.checks import BUILTIN_RULES
from crmbridge.mapping.functions import FUNCTIONS
from crmbridge.mapping.transforms import builtin_codecs
from crmbridge.plugins import OURS, Plugins
from crmbridge_schemas.registry import ENTITIES

__all__ = ["load_plugins"]


def load_plugins(files: tuple[Path, ...] = ()) -> Plugins:
    """Built-in, installed and one-file plugins."""
    plugins = Plugins(
        ours={
            "crmbridge_codecs": builtin_codecs(None, None),
            "crmbridge_functions": FUNCTIONS,
            "crmbridge_schemas": ENTITIES,
            "crmbridge_survivorship": BUILTIN_RULES,
        }
    )
    plugins.add(crmbridge.connectors, "built-in", "built in", OURS)
    plugins.add_installed()
    for path in files:
        plugins.add_file(path)
    return plugins
