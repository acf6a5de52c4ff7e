"""Folders of CSV, TSV, XLSX and JSON Lines files."""

from crmbridge.connectors.files.connector import FilesConnector
from crmbridge.connectors.files.settings import FileSettings, FilesSettings

__all__ = ["FileSettings", "FilesConnector", "FilesSettings"]
