"""The zip file around a workbook: refused when it is a bomb, copied part by part when it is changed."""

from __future__ import annotations

import io
import posixpath
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self
from xml.parsers import expat

from crmbridge.connectors.files.table import DamagedError
from crmbridge.connectors.files.xmlbytes import Element, elements, local, make_parser

__all__ = ["BROKEN_ZIP", "Package", "Sheet"]

BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OverflowError,
    RuntimeError,  # also for a way of packing that it does not know
    ValueError,
)
"""What zipfile raises for files that are cut off, changed or encrypted."""

_MAX_BYTES = 2 << 30  # unpacked; a sheet with all 1,048,576 rows and 15 columns has about 1 GB
_MAX_PARTS = 20_000
_MAX_RATIO = 200  # sheets pack to about a tenth, at the very best a fiftieth
_SMALL = 10 << 20
_MAX_MEMORY = 64 << 20  # for parts that are read whole: styles, relations, tables


class Sheet(NamedTuple):
    """One worksheet."""

    name: str
    part: str
    """Its XML part: `xl/worksheets/sheet1.xml`."""
    visible: bool


class Package:
    """An .xlsx or .xlsm file (ECMA-376 part 2). Changed parts stand in `changed` until `save`."""

    def __init__(self, source: Path | io.BytesIO, name: str = "") -> None:
        self.name = source.name if isinstance(source, Path) else name
        self.changed: dict[str, bytes] = {}
        self.dropped: set[str] = set()
        try:
            self._zip = zipfile.ZipFile(source)
        except BROKEN_ZIP as error:
            raise DamagedError(
                f"{self.name}: not a whole .xlsx file: cut off, protected by a password, or of another format"
            ) from error
        try:
            self._refuse_bombs()
            self._refuse_entities()
            self.workbook_part = self._find_workbook()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    # -- parts

    def names(self) -> set[str]:
        """All parts, added ones included."""
        return (set(self._zip.namelist()) | set(self.changed)) - self.dropped

    def open(self, part: str) -> IO[bytes]:
        """A part's bytes, as changed so far. Raises DamagedError when the part is missing."""
        if part in self.changed:
            return io.BytesIO(self.changed[part])
        try:
            return self._zip.open(part)
        except (KeyError, *BROKEN_ZIP) as error:
            raise DamagedError(f"{self.name}: its part {part} cannot be read") from error

    def read(self, part: str) -> bytes:
        """A small part, whole."""
        try:
            with self.open(part) as file:
                data = file.read(_MAX_MEMORY + 1)
        except BROKEN_ZIP as error:
            raise DamagedError(f"{self.name}: its part {part} is damaged") from error
        if len(data) > _MAX_MEMORY:
            raise DamagedError(f"{self.name}: its part {part} is larger than {_MAX_MEMORY >> 20} MB")
        return data

    def elements(self, part: str) -> list[Element]:
        """The elements of a small part."""
        return elements(self.read(part), f"{self.name}: {part}")

    # -- what is in it

    def sheets(self) -> list[Sheet]:
        """The worksheets in the order of their tabs; chart sheets are none."""
        targets = {
            rid: target for rid, kind, target in self.relations(self.workbook_part) if kind == "worksheet"
        }
        found = []
        for element in self.elements(self.workbook_part):
            if local(element.name) == "sheet" and element.parent == "sheets":
                rid = next((v for k, v in element.attributes.items() if local(k) == "id"), "")
                visible = element.attributes.get("state", "visible") == "visible"
                if rid in targets:
                    found.append(Sheet(element.attributes["name"], targets[rid], visible))
        return found

    def relations(self, part: str) -> list[tuple[str, str, str]]:
        """(id, last word of the type, part) of what `part` refers to inside the package."""
        rels = relations_part(part)
        if rels not in self.names():
            return []
        found = []
        for element in self.elements(rels):
            attributes = element.attributes
            if local(element.name) == "Relationship" and attributes.get("TargetMode") != "External":
                target = posixpath.normpath(
                    posixpath.join("/", posixpath.dirname(part), attributes["Target"])
                )
                kind = attributes["Type"].rpartition("/")[2]
                found.append((attributes["Id"], kind, target.lstrip("/")))
        return found

    def save(self, target: Path, streamed: str, write_part: Callable[[IO[bytes], IO[bytes]], None]) -> None:
        """Write the changed package.

        `write_part(source, sink)` writes the part `streamed`, before the others are copied, so that it may
        still add to `changed`.
        """
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
            with self.open(streamed) as source, out.open(streamed, "w", force_zip64=True) as sink:
                write_part(source, sink)
            done = self.dropped | {streamed}
            for info in self._zip.infolist():
                if info.filename in done:
                    continue
                done.add(info.filename)
                with (
                    self.open(info.filename) as source,
                    out.open(_entry(info), "w", force_zip64=True) as sink,
                ):
                    shutil.copyfileobj(source, sink, 1 << 20)
            for part in sorted(set(self.changed) - done):
                out.writestr(part, self.changed[part])

    # -- safety

    def _refuse_bombs(self) -> None:
        infos = self._zip.infolist()
        names = {info.filename for info in infos}
        if len(infos) > _MAX_PARTS or len(names) != len(infos):
            raise DamagedError(
                f"{self.name}: refused: {len(infos)} parts, some of them twice or far too many"
            )
        if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
            raise DamagedError(f"{self.name}: refused: packed in a way that workbooks are not")
        total = sum(info.file_size for info in infos)
        dense = [
            i for i in infos if i.file_size > _SMALL and i.file_size > _MAX_RATIO * max(i.compress_size, 1)
        ]
        if total > _MAX_BYTES or dense:
            raise DamagedError(f"{self.name}: refused as a zip bomb: it would unpack to {total >> 20} MB")

    def _refuse_entities(self) -> None:
        """Every XML part up to its first element: a document type can only stand before it."""
        for name in self._zip.namelist():
            if name.endswith((".xml", ".rels", ".vml")):
                self._refuse_entities_in(name)

    def _refuse_entities_in(self, name: str) -> None:
        parser = make_parser(f"{self.name}: {name}")
        started = False

        def first(*_: object) -> None:
            nonlocal started
            started = True

        parser.StartElementHandler = first
        try:
            with self.open(name) as part:
                while not started and (chunk := part.read(4096)):
                    parser.Parse(chunk, False)
        except (expat.ExpatError, *BROKEN_ZIP) as error:
            if name.endswith(".vml"):  # drawings of old comments need not be XML, and nobody here parses them
                return
            raise DamagedError(f"{self.name}: its part {name} is damaged: {error}") from error

    def _find_workbook(self) -> str:
        part = next((target for _, kind, target in self.relations("") if kind == "officeDocument"), "")
        if part not in self.names():
            raise DamagedError(f"{self.name}: a zip file, but no workbook is in it")
        for _, kind, target in self.relations(part):
            if (
                kind in ("worksheet", "styles") and target not in self.names()
            ):  # without styles, dates are numbers
                raise DamagedError(f"{self.name}: its part {target} is missing")
        return part


def relations_part(part: str) -> str:
    """Where the relations of `part` stand."""
    folder, _, name = part.rpartition("/")
    return f"{folder}/_rels/{name}.rels".lstrip("/")


def _entry(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(info.filename, info.date_time)
    entry.compress_type = info.compress_type
    entry.external_attr = info.external_attr
    return entry
