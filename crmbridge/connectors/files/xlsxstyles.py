"""The cell formats of a workbook: which of them show dates, and new ones for bold heads and quoted text."""

from __future__ import annotations

import re

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format

from crmbridge.connectors.files.table import DamagedError
from crmbridge.connectors.files.xlsxpackage import Package
from crmbridge.connectors.files.xmlbytes import Element, append_child, local, set_attributes

__all__ = ["Styles", "is_padding"]

# Some countries' short dates have numbers of their own (ECMA-376, 18.8.30), all without a format code.
_LOCAL_DATES = frozenset([*range(27, 37), *range(50, 59)])


_PADDING = re.compile("0{2,}")


def is_padding(code: str) -> bool:
    """Whether a format only puts zeros before a whole number: `00000`."""
    return _PADDING.fullmatch(code) is not None


class Styles:
    """What a cell's attribute `s` refers to. New formats go to the end, so that old numbers stay true."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._part = next(
            (target for _, kind, target in package.relations(package.workbook_part) if kind == "styles"), ""
        )
        self._quoted: dict[int, int] = {}
        self._dates: dict[int, bool] = {}
        self._kinds: dict[int, str] = {}
        self._paddings: dict[int, int] = {}
        self._formats = 0
        if self._part:
            self._load()

    def _load(self) -> None:
        found = self._package.elements(self._part)
        codes = {
            int(element.attributes["numFmtId"]): element.attributes.get("formatCode", "")
            for element in found
            if local(element.name) == "numFmt" and element.parent == "numFmts"
        }
        formats = [
            element for element in found if local(element.name) == "xf" and element.parent == "cellXfs"
        ]
        self._formats = len(formats)
        for index, element in enumerate(formats):
            number = int(element.attributes.get("numFmtId", "0"))
            code = codes.get(number) or BUILTIN_FORMATS.get(number, "")
            self._dates[index] = number in _LOCAL_DATES or is_date_format(code)
            if is_padding(code):
                self._paddings[index] = len(code)
            if self._dates[index] or code == "@":
                self._kinds[index] = "text"
            elif re.search("[0#?]", code):
                self._kinds[index] = "n"

    def is_date(self, style: int) -> bool:
        """Whether numbers in this format are shown as dates or times."""
        return self._dates.get(style, False)

    def kind(self, style: int) -> str:
        """What typed digits become in this format: `n`, a number, as in `#,##0.00`, or `text`, which in dates
        they stay; empty where the format does not say."""
        return self._kinds.get(style, "")

    def padding(self, style: int) -> int:
        """How many digits a whole number has at least in this format, by zeros before it; else 0."""
        return self._paddings.get(style, 0)

    def quoted(self, style: int) -> int:
        """The same format, marked so that text does not become a formula when a person edits the cell."""
        if style not in self._quoted and self._part:
            data = self._package.read(self._part)
            source = self._element("xf", "cellXfs", style)
            copy = data[source.start : source.end]
            shifted = source._replace(start=0, inner=source.inner - source.start)
            self._quoted[style] = self._append("cellXfs", set_attributes(copy, shifted, quotePrefix="1"))
        return self._quoted.get(style, style)

    def bold(self) -> int:
        """A bold format for the head of a new sheet."""
        if not self._part:
            return 0
        source = self._element("xf", "cellXfs", 0)
        prefix = source.prefix
        fonts = sum(
            local(e.name) == "font" and e.parent == "fonts" for e in self._package.elements(self._part)
        )
        font = f'<{prefix}font><{prefix}b/><{prefix}sz val="11"/><{prefix}name val="Calibri"/></{prefix}font>'
        self._insert("fonts", font.encode())
        xf = f'<{prefix}xf numFmtId="0" fontId="{fonts}" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
        return self._append("cellXfs", xf.encode())

    def _append(self, parent: str, child: bytes) -> int:
        self._insert(parent, child)
        self._formats += 1
        return self._formats - 1

    def _insert(self, parent: str, child: bytes) -> None:
        element = next((e for e in self._package.elements(self._part) if local(e.name) == parent), None)
        if element is None:
            raise DamagedError(f"{self._package.name}: {self._part} has no {parent}")
        self._package.changed[self._part] = append_child(self._package.read(self._part), element, child)

    def _element(self, name: str, parent: str, index: int) -> Element:
        same = [e for e in self._package.elements(self._part) if local(e.name) == name and e.parent == parent]
        if index >= len(same):
            raise DamagedError(
                f"{self._package.name}: a cell has the format {index}, which {self._part} lacks"
            )
        return same[index]
