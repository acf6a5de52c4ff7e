"""Connects crmbridge with Tryton (https://www.tryton.org) by its JSON-RPC.

connector.py is the place to start; streams.py says what is read and written.
"""

from collections.abc import Mapping

from crmbridge.sdk.connector import Connector
from crmbridge.sdk.hookspecs import hookimpl
from crmbridge_tryton.connector import TrytonConnector

__all__ = ["TrytonConnector", "crmbridge_connectors"]


@hookimpl
def crmbridge_connectors() -> Mapping[str, type[Connector]]:
    """`connector: tryton`"""
    return {"tryton": TrytonConnector}
