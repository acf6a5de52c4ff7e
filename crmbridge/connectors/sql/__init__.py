"""The connector `sql`: tables, views and queries of a database."""

from crmbridge.connectors.sql.connector import SqlConnector

__all__ = ["SqlConnector"]
