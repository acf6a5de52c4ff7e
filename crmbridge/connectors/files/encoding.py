"""Which bytes are which characters: by byte order mark, as UTF-8, by a guess, or as declared."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import charset_normalizer

from crmbridge.connectors.files.table import DamagedError

__all__ = ["Encoding", "detect", "for_new_file", "looks_chinese", "where_broken"]

_CHUNK = 1 << 20
_SAMPLE = 1 << 18
_MARKS = (  # the longer first: UTF-32's mark starts like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
# Encodings in use for office files. A guess among all that exist is wrong too often.
_USUAL = [
    "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp874",
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
]  # fmt: skip
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")
_INSIDE_WORD = re.compile(rb"(?<=[A-Za-z])[\x80-\xff]|[\x80-\xff](?=[A-Za-z])")
_GB_EVERYDAY = frozenset([*range(0xA1, 0xA4), *range(0xB0, 0xD8)])
_UTF8_SEQUENCE = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


class Encoding(NamedTuple):
    """How a file's characters are stored."""

    name: str
    """The codec, without a mark."""
    mark: bytes = b""
    """The byte order mark at the start of the file."""
    guessed: bool = False

    def __str__(self) -> str:
        return (
            self.name + (" with byte order mark" if self.mark else "") + (", guessed" if self.guessed else "")
        )


def detect(path: Path, declared: str | None) -> Encoding:
    """The file's encoding. Raises DamagedError where a guess would be reckless."""
    with path.open("rb") as file:
        start = file.read(4096)
    mark, marked = next(((mark, name) for mark, name in _MARKS if start.startswith(mark)), (b"", ""))
    if declared:
        name = {"utf-8-sig": "utf-8", "utf-16": marked or "utf-16-le", "utf-32": marked or "utf-32-le"}.get(
            declared, declared
        )
        if marked and codecs.lookup(marked) != codecs.lookup(name):
            raise DamagedError(
                f"{path.name}:1:1: the encoding is declared as {declared}, but the file is {marked}",
                hint="correct `encoding:`, or leave it out",
            )
        return Encoding(name, mark)
    if marked:
        return Encoding(marked, mark)
    if start.count(0) * 5 > len(start):
        raise DamagedError(
            f"{path.name}:1:1: full of zero bytes: UTF-16 without a mark, or no text; declare `encoding:`"
        )
    broken = where_broken(path, Encoding("utf-8"))
    return _guess(path, broken) if broken else Encoding("utf-8")


def for_new_file(declared: str | None) -> Encoding:
    """UTF-8 with a mark unless declared otherwise: without the mark Excel reads UTF-8 wrongly."""
    if declared in (None, "utf-8-sig"):
        return Encoding("utf-8", codecs.BOM_UTF8)
    for family, name, mark in (
        ("utf-16", "utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-32", "utf-32-le", codecs.BOM_UTF32_LE),
    ):
        if declared == family:
            return Encoding(name, mark)
    assert declared is not None
    return Encoding(declared)


def where_broken(path: Path, encoding: Encoding) -> str:
    """`file:line:column: what` of the first byte that `encoding` does not know, or "" when all is well."""
    decoder = codecs.getincrementaldecoder(encoding.name)("strict")
    line, column = 1, 1
    for chunk, last in _chunks(path, len(encoding.mark)):
        try:
            text = decoder.decode(chunk, last)
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(encoding.name, "replace")
            line, column = _advance(line, column, good)
            byte = error.object[error.start]
            return f"{path.name}:{line}:{column}: byte 0x{byte:02X} is not {encoding.name}"
        line, column = _advance(line, column, text)
    return ""


def _advance(line: int, column: int, text: str) -> tuple[int, int]:
    breaks = text.count("\n")
    return line + breaks, len(text) - text.rfind("\n") if breaks else column + len(text)


def _chunks(path: Path, skip: int) -> Iterator[tuple[bytes, bool]]:
    with path.open("rb") as file:
        file.seek(skip)
        while chunk := file.read(_CHUNK):
            yield chunk, False
    yield b"", True


def _guess(path: Path, broken: str) -> Encoding:
    """A guess that cannot be wrong in a way that matters, or DamagedError with the likely encoding.

    Wrong characters would travel into other systems without anybody seeing it, so two cases are taken only:
    Western text that reads the same in all encodings that it could be in, and Chinese.
    """
    sample = _sample(path)
    rest, sequences = _UTF8_SEQUENCE.subn(b"", sample)
    if sequences > sum(byte >= 0x80 for byte in rest):
        raise DamagedError(f"{broken}, though the rest of the file is; correct it or declare `encoding:`")
    readings = {_decoded(sample, name) for name in _LATIN}
    latin = _looks_latin(sample) and readings != {None}
    if latin and len(readings) == 1:
        return Encoding("cp1252", guessed=True)
    best = charset_normalizer.from_bytes(sample, cp_isolation=_USUAL).best()
    if best is None:
        raise DamagedError(f"{broken}, and of the usual encodings none fits; declare `encoding:`")
    if best.encoding == "gb18030" and looks_chinese(sample):
        return Encoding("gb18030", guessed=True)
    likely = "cp1252 (Western Europe) or cp1250 (Central Europe)" if latin else best.encoding
    raise DamagedError(f"{broken}, perhaps {likely}; declare `encoding:`, or save the file as UTF-8")


def _looks_latin(sample: bytes) -> bool:
    """Whether the characters beyond ASCII stand inside words of ASCII letters, as umlauts do."""
    high = sum(byte >= 0x80 for byte in sample)
    return high * 4 <= 5 * len(_INSIDE_WORD.findall(sample))


def looks_chinese(sample: bytes) -> bool:
    """Whether most characters are of GB 2312's first level, the 3,755 in daily use, or its punctuation.

    And some have to lie in the part of it that is rare in Korean (EUC-KR) and Japanese (EUC-JP) text.
    """
    text = sample.decode("gb18030", "ignore")
    codes = [code for character in text if len(code := character.encode("gb18030")) > 1]
    everyday = [code for code in codes if len(code) == 2 and code[1] >= 0xA1 and code[0] in _GB_EVERYDAY]
    return len(everyday) * 10 >= len(codes) * 7 and any(code[0] >= 0xD0 for code in everyday)


def _decoded(sample: bytes, name: str) -> str | None:
    try:
        return sample.decode(name)
    except UnicodeDecodeError:
        return None


def _sample(path: Path) -> bytes:
    """The lines that are not plain ASCII, for they alone tell; as many as a guess needs."""
    sample = bytearray()
    with path.open("rb") as file:
        for line in file:
            if not line.isascii():
                sample += line
            if len(sample) >= _SAMPLE:
                break
    return bytes(sample)
