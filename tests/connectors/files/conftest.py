"""A folder of files and a connector for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crmbridge.connectors.files import FilesConnector, FilesSettings
from crmbridge.sdk import Context, Operation, Record, Reject, Result


def no_network(*_: Any, **__: Any) -> Any:
    raise AssertionError("files need no network")


def connect(root: Path, *, now: datetime | None = None, **settings: Any) -> FilesConnector:
    """A connector whose clock runs a day ahead, so that no file counts as just written."""
    clock = now or datetime.now(UTC) + timedelta(days=1)
    context = Context(
        system="sales",
        root=root,
        session={},
        now=lambda: clock,
        random=lambda: 0.5,
        read_only=False,
        http=no_network,
    )
    return FilesConnector(FilesSettings(**{"path": ".", **settings}), context)


@dataclass
class Files:
    """Shortcuts for one folder."""

    root: Path

    def connect(self, **settings: Any) -> FilesConnector:
        return connect(self.root, **settings)

    def stream(self, name: str, **settings: Any) -> Opened:
        return Opened(connect(self.root, files={name: settings} if settings else {}), name)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


@dataclass
class Opened:
    """One stream of a connector."""

    connector: FilesConnector
    name: str

    def records(self) -> dict[str, Record]:
        return {
            record.native_id: record
            for page in self.connector.pull(self.name, None)
            for record in page.records
        }

    def rows(self) -> dict[str, dict[str, Any]]:
        return {key: record.data for key, record in self.records().items()}

    def rejects(self) -> list[Reject]:
        return [reject for page in self.connector.pull(self.name, None) for reject in page.rejects]

    def push(self, *operations: Operation) -> list[Result]:
        return list(self.connector.push(self.name, operations))

    def create(self, **data: Any) -> Result:
        return self.push(Operation(f"c{len(data)}", "create", data=data))[0]

    def update(self, native_id: str, **data: Any) -> Result:
        version = record.version if (record := self.records().get(native_id)) else None
        return self.push(Operation("u", "update", native_id, data, version=version))[0]

    def delete(self, native_id: str) -> Result:
        return self.push(Operation("d", "delete", native_id, version=self.records()[native_id].version))[0]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def fresh_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Files]:
    """For tests that need a new folder many times."""
    return lambda: Files(tmp_path_factory.mktemp("files"))


@pytest.fixture
def names(files: Files) -> Callable[[], list[str]]:
    return lambda: sorted(path.name for path in files.root.iterdir())
