"""The composition root: bridge.py holds what runs, the others what a person asks of it between runs."""

from crmbridge.bridge.bridge import Bridge, Options
from crmbridge.bridge.loading import load_plugins

__all__ = ["Bridge", "Options", "load_plugins"]
