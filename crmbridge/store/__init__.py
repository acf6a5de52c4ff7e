"""What the engine keeps between runs: rows.py is what is kept, base.py the promise, `open_store` opens it."""

from crmbridge.store.base import Store
from crmbridge.store.sql import SqlStore, open_store

__all__ = ["SqlStore", "Store", "open_store"]
