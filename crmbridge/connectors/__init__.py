"""The connectors that come with crmbridge. They use the same interface as a vendor's."""

from collections.abc import Mapping

from crmbridge.sdk.connector import Connector
from crmbridge.sdk.hookspecs import hookimpl


@hookimpl
def crmbridge_connectors() -> Mapping[str, type[Connector]]:
    """The built-in connectors; imported only when they are asked for, to keep the start fast."""
    from crmbridge.connectors.files import FilesConnector
    from crmbridge.connectors.memory import MemoryConnector
    from crmbridge.connectors.sql import SqlConnector

    return {"files": FilesConnector, "sql": SqlConnector, "memory": MemoryConnector}
