"""From YAML text to a Document. The rules are those of the package's docstring.

PyYAML only parses: it yields events, and no YAML tag can make it build an object. Its own errors quote the
line, which may hold a password; hence `from None`, which keeps them out of tracebacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import yaml
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from crmbridge.sdk.errors import ConfigError
from crmbridge.yamlfile.document import Document, Node, Position

MAX_BYTES = 5_000_000
MAX_DEPTH = 100
MAX_ALIASED_VALUES = 1_000

# 600 digits, because Python can be set to refuse ints of more than 640.
_INT = re.compile(r"0|-?[1-9][0-9]{0,599}")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
# Line breaks in YAML 1.1 but not in 1.2: read either way they would surprise someone.
_ODD_BREAK = re.compile("[\x85\u2028\u2029]")
_CONFLICT = re.compile("^<{7} ", re.MULTILINE)
_SURROGATE = re.compile("[\ud800-\udfff]")

# (what PyYAML says, what is wrong, what to do). PyYAML's own words are kept where this has no better ones.
_SYNTAX = (
    (r"character '\\t'", "a tab stands where YAML wants spaces", "indent and separate with spaces only"),
    ("character '[@`%]'", "a value cannot start with @, ` or %", "put the text in quotes"),
    (
        "mapping values are not allowed",
        "a ':' that YAML does not expect here",
        "indent the keys of one mapping equally; put a text that contains ': ' in quotes",
    ),
    ("mapping keys are not allowed", "a '?' that YAML does not expect here", "put the text in quotes"),
    (
        "expected <block end>",
        "this does not fit the lines above it",
        "indent the lines of one list or mapping equally; put the whole of a text in quotes, or none of it",
    ),
    ("could not find expected ':'", "a key without ': '", "write 'key: value' on one line"),
    ("quoted scalar: .*end of stream", "the quote that opens here is never closed", "close it"),
    ("flow .*<stream end>", "the bracket that opens here is never closed", "close it"),
    (
        "flow .*expected ','",
        "a ',' or the closing bracket is missing before this",
        'inside {} and [] put a text that has one of {}[], in quotes: "${env:NAME}"',
    ),
    ("escape", "an unknown \\ escape", "use single quotes if the \\ is meant as it stands"),
    ("node content", "a value is missing here", "put a text that starts with one of ]}, in quotes"),
    ("tag", "tags (!...) are not allowed", "put a text that starts with ! in quotes"),
    (
        "scanning an (alias|anchor)",
        "a broken anchor or alias",
        "put a text that starts with * or & in quotes",
    ),
)


def load(path: Path | str) -> Document:
    """Read a YAML file in UTF-8, with or without byte order mark. Raises ConfigError."""
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot read {name}: {error.strerror}"
        raise ConfigError(message, hint="check the path and who may read it") from None
    if len(raw) > MAX_BYTES:
        raise _too_big(name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = raw[: error.start].decode("utf-8-sig", "ignore")
        raise ConfigError(
            f"this is not UTF-8 text (byte 0x{raw[error.start]:02X})",
            position=str(_end_of(good, name)),
            hint="save the file as UTF-8",
        ) from None
    return loads(text, name)


def loads(text: str, name: str) -> Document:
    """Read YAML text; `name` stands for the file in errors. Raises ConfigError, always with a position."""
    if len(text) > MAX_BYTES:
        raise _too_big(name)
    if conflict := _CONFLICT.search(text):
        raise ConfigError(
            "a merge left both versions here, between <<<<<<< and >>>>>>>",
            position=str(_end_of(text[: conflict.start()], name)),
            hint="keep one of them and remove the marks",
        )
    if odd_break := _ODD_BREAK.search(text):
        raise _bad_character(text, odd_break.start(), name)
    try:
        loader = yaml.SafeLoader(text)
    except ReaderError as error:
        raise _bad_character(text, error.position, name) from None
    return Document(_Composer(loader, name).document())


def _too_big(name: str) -> ConfigError:
    return ConfigError(
        f"the file is larger than {MAX_BYTES:,} bytes",
        position=str(Position(name, 1, 1)),
        hint="is it a data file? give it to the `files` connector instead",
    )


def _bad_character(text: str, index: int, name: str) -> ConfigError:
    return ConfigError(
        f"the character U+{ord(text[index]):04X} is not allowed here",
        position=str(_end_of(text[:index], name)),
        hint='remove it; in "double quotes" it can be written as an escape, as in \\x1B',
    )


def _end_of(text: str, name: str) -> Position:
    """The place right after `text`."""
    return Position(name, text.count("\n") + 1, len(text) - text.rfind("\n"))


class _Mark(Protocol):
    """PyYAML's place in a text; line and column count from 0."""

    line: int
    column: int


class _Composer:
    """Makes nodes of PyYAML's events, one method for each kind of YAML node."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self._loader: Any = loader  # its type stubs leave most methods untyped
        self._name = name
        self._anchors: dict[str, Node] = {}
        self._aliased = 0
        self._long_quote: tuple[_Mark, _Mark] | None = None
        """Where the last text in quotes begins and ends that goes on over several lines."""

    def document(self) -> Node:
        with self._syntax_errors():
            self._loader.get_event()  # stream start
            if self._loader.check_event(StreamEndEvent):
                raise self._error(None, "the file is empty", "write a key: value, or remove the file")
            self._loader.get_event()  # document start
            root = self._node(1)
            self._loader.get_event()  # document end
            if self._loader.check_event(DocumentStartEvent):
                mark = self._loader.peek_event().start_mark
                raise self._error(mark, "a second document starts here", "keep one in a file")
        return root

    def _node(self, depth: int) -> Node:
        event: NodeEvent = self._loader.get_event()
        if depth > MAX_DEPTH:
            raise self._too_deep(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        self._refuse_tag(event)
        if isinstance(event, ScalarEvent):
            node = Node(self._at(event.start_mark), self._scalar(event))
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            if event.anchor in self._anchors:
                raise self._error(event.start_mark, "this anchor is here a second time", "rename one")
            self._anchors[event.anchor] = node
        return node

    def _sequence(self, start: NodeEvent, depth: int) -> Node:
        items = []
        while not self._loader.check_event(SequenceEndEvent):
            items.append(self._node(depth + 1))
        self._loader.get_event()
        return Node.sequence(self._at(start.start_mark), items)

    def _mapping(self, start: NodeEvent, depth: int) -> Node:
        items: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        while not self._loader.check_event(MappingEndEvent):
            mark = self._loader.peek_event().start_mark
            key = self._key()
            if key in keys:
                first = keys[key]
                raise self._error(mark, f"the key {_short(key)} is already at {first}", "keep one of them")
            keys[key] = self._at(mark)
            items[key] = self._node(depth + 1)
        self._loader.get_event()
        return Node.mapping(self._at(start.start_mark), items, keys)

    def _key(self) -> str:
        event: NodeEvent = self._loader.get_event()
        if not isinstance(event, ScalarEvent) or event.anchor is not None:
            raise self._error(
                event.start_mark, "a key must be plain text", "put a key with any of {}[]*& in quotes"
            )
        self._refuse_tag(event)
        if event.implicit[0] and event.value == "<<":
            raise self._error(event.start_mark, "merge keys (<<) are not allowed", "write the keys out")
        if event.implicit[0] and event.value == "":
            raise self._error(event.start_mark, "a ':' without a key before it", 'write "" for an empty key')
        return self._text(event)

    def _scalar(self, event: ScalarEvent) -> bool | int | Decimal | str | None:
        text = self._text(event)
        if not event.implicit[0]:  # in quotes or in a block
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INT.fullmatch(text):
            return int(text)
        return Decimal(text) if _DECIMAL.fullmatch(text) else text

    def _text(self, event: ScalarEvent) -> str:
        start, end = event.start_mark, event.end_mark
        if event.style in ("'", '"') and start and end and start.line < end.line:
            self._long_quote = start, end
        if not _SURROGATE.search(event.value):
            return event.value
        try:  # JSON writes an emoji as the escapes of two surrogates
            return event.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._error(
                event.start_mark, "half a character (a lone surrogate)", "write the whole of it"
            ) from None

    def _alias(self, event: AliasEvent, depth: int) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise self._error(
                event.start_mark,
                "this alias (*) has no finished anchor (&) before it",
                "put a text that starts with * in quotes",
            )
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_VALUES:
            message = f"aliases (*) add up to more than {MAX_ALIASED_VALUES:,} values"
            raise self._error(event.start_mark, message, "write the values out")
        if depth + node.height - 1 > MAX_DEPTH:
            raise self._too_deep(event)
        return node

    def _too_deep(self, event: NodeEvent) -> ConfigError:
        return self._error(event.start_mark, f"nested deeper than {MAX_DEPTH} levels", "make it flatter")

    def _refuse_tag(self, event: NodeEvent) -> None:
        if getattr(event, "tag", None) is not None:
            raise self._error(
                event.start_mark, "tags (!...) are not allowed", "put a text that starts with ! in quotes"
            )

    @contextmanager
    def _syntax_errors(self) -> Iterator[None]:
        try:
            yield
        except MarkedYAMLError as error:
            said = f"{error.context}: {error.problem}"
            # A thing left open is found at the end of the file, but to be mended where it opens.
            left_open = "end of stream" in said or "<stream end>" in said
            mark = error.context_mark if left_open and error.context_mark else error.problem_mark
            if self._long_quote and mark and mark.line == self._long_quote[1].line:
                message = f"the quote that opens here closes only in line {mark.line + 1}"
                raise self._error(self._long_quote[0], message, "close it where the text ends") from None
            for pattern, message, hint in _SYNTAX:
                if re.search(pattern, said):
                    raise self._error(mark, message, hint) from None
            raise self._error(
                mark, error.problem or "not YAML", "if this is a text, put it in quotes"
            ) from None
        except (ValueError, OverflowError):  # from PyYAML's own chr() and int()
            mark = self._loader.get_mark()
            raise self._error(mark, "a number out of range", "correct the \\ escape or the % line") from None

    def _error(self, mark: _Mark | None, message: str, hint: str) -> ConfigError:
        return ConfigError(message, position=str(self._at(mark)), hint=hint)

    def _at(self, mark: _Mark | None) -> Position:
        return Position(self._name, mark.line + 1, mark.column + 1) if mark else Position(self._name, 1, 1)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
