"""Connects crmbridge with Tryton (https://www.tryton.org) by its JSON-RPC.

connector.py is the place to start; streams.py says what is read and written.
"""

from collections.abc import Mapping

from crmbridge.sdk import ByNeed, Connector
from crmbridge.sdk.hookspecs import Codec, hookimpl
from crmbridge_tryton.codecs import CODECS

__all__ = ["crmbridge_codecs", "crmbridge_connectors"]


@hookimpl
def crmbridge_connectors() -> Mapping[str, type[Connector]]:
    """`connector: tryton`"""
    return ByNeed(tryton="crmbridge_tryton.connector:TrytonConnector")


@hookimpl
def crmbridge_codecs() -> Mapping[str, Codec]:
    """`as: tryton_unit` and others, for mappings of Tryton's streams."""
    return CODECS
