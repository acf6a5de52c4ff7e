"""The connectors that come with crmbridge. They use the same interface as a vendor's."""

from __future__ import annotations

from collections.abc import Mapping

from crmbridge.sdk.byneed import ByNeed
from crmbridge.sdk.connector import Connector
from crmbridge.sdk.hookspecs import hookimpl


@hookimpl
def crmbridge_connectors() -> Mapping[str, type[Connector]]:
    """The built-in connectors."""
    return ByNeed(
        files="crmbridge.connectors.files:FilesConnector",
        sql="crmbridge.connectors.sql:SqlConnector",
        memory="crmbridge.connectors.memory:MemoryConnector",
    )
