"""XML parts of a workbook, changed in place: what is not touched stays byte for byte.

Serializing a parsed tree would rename prefixes and drop what the parser doesn't know; spreadsheet programs
then "repair" the file. So elements are found with expat, which tells where in the bytes each one stands.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from crmbridge.connectors.files.table import DamagedError

__all__ = [
    "Element",
    "append_child",
    "elements",
    "local",
    "make_parser",
    "remove",
    "set_attributes",
    "text_content",
]

_COUNT = re.compile(rb"\bcount=[\"'](\d+)[\"']")
# What XML 1.0 cannot hold, and a text that would be read as such an escape (ECMA-376, 22.9.2.19 ST_Xstring).
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


class Element(NamedTuple):
    """One element and its place."""

    name: str
    """With its prefix, as written."""
    attributes: dict[str, str]
    parent: str
    """The parent's name without prefix."""
    start: int
    inner: int
    """Where the content starts; equal to `end` for an element written as `<a/>`."""
    inner_end: int
    end: int

    @property
    def prefix(self) -> str:
        """`x:` or nothing."""
        return self.name[: -len(local(self.name))]


def local(name: str) -> str:
    """The name without its prefix."""
    return name.rpartition(":")[2]


def make_parser(part: str) -> expat.XMLParserType:
    """A parser that refuses document type declarations: they define entities, which can be bombs."""
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise DamagedError(f"{part} declares a document type or entities, as no spreadsheet program does")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    return parser


def elements(data: bytes, part: str) -> list[Element]:
    """All elements in the order in which they start. For small parts: it builds a list."""
    parser = make_parser(part)
    found: list[Element] = []
    open_: list[int] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        at = parser.CurrentByteIndex
        inner = tag_end(data, at)
        parent = local(found[open_[-1]].name) if open_ else ""
        open_.append(len(found))
        found.append(Element(name, attributes, parent, at, inner, inner, inner))

    def end(_: str) -> None:
        index = open_.pop()
        element, at = found[index], parser.CurrentByteIndex
        if at > element.start:
            found[index] = element._replace(inner_end=at, end=data.index(b">", at) + 1)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DamagedError(f"{part} is not well-formed XML: {error}") from error
    return found


def tag_end(data: bytes | bytearray, start: int) -> int:
    """Where the tag that starts at `start` ends; a > inside an attribute's quotes does not end it."""
    quote = 0
    for index in range(start, len(data)):
        byte = data[index]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == 0x3E:
            return index + 1
    raise DamagedError("an XML tag is not closed")


def append_child(data: bytes, element: Element, child: bytes) -> bytes:
    """`child` as the last child; an attribute `count` goes up by one."""
    tag = _COUNT.sub(lambda match: b'count="%d"' % (int(match[1]) + 1), data[element.start : element.inner])
    if element.inner == element.end:
        closing = f"</{element.name}>".encode()
        return data[: element.start] + tag[:-2].rstrip() + b">" + child + closing + data[element.end :]
    return (
        data[: element.start]
        + tag
        + data[element.inner : element.inner_end]
        + child
        + data[element.inner_end :]
    )


def set_attributes(data: bytes, element: Element, **values: str) -> bytes:
    """The same with these attributes set; names are written as they are."""
    tag = data[element.start : element.inner]
    for name, value in values.items():
        tag = re.sub(rb"\s" + name.encode() + rb"\s*=\s*(\"[^\"]*\"|'[^']*')", b"", tag)
        start = len(element.name.encode()) + 1
        tag = tag[:start] + f" {name}={quoteattr(value)}".encode() + tag[start:]
    return data[: element.start] + tag + data[element.inner :]


def remove(data: bytes, element: Element) -> bytes:
    """The same without this element."""
    return data[: element.start] + data[element.end :]


def text_content(text: str) -> str:
    """Text between tags; control characters as `_x000D_`, as spreadsheet programs write and read them."""
    return escape(_UNSAFE.sub(lambda match: f"_x{ord(match[0]):04X}_", text))
