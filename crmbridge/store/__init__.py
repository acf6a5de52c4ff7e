"""What the engine keeps between runs: base.py says what is promised, `open_store` opens it."""

from crmbridge.store.base import Store
from crmbridge.store.sql import SqlStore, open_store

__all__ = ["SqlStore", "Store", "open_store"]
