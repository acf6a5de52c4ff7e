"""What stands below `systems: NAME:` for a folder of files."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

__all__ = ["ID_COLUMN", "FileSettings", "FilesSettings"]

ID_COLUMN = "crmbridge_id"
"""The column that `add_id` adds where no `key` is declared."""


def _as_list(value: object) -> object:
    if type(value) is int:  # a column that is called 2026
        value = str(value)
    return [value] if isinstance(value, str) else value


class FileSettings(BaseModel):
    """One stream: a CSV, TSV or JSON Lines file, or one sheet of a workbook.

    A list with a title above the names of its columns wants `header`: the row in which the names are. In a
    workbook a number, date or truth value is written as one wherever such a value stands, in the cell or
    above it, and keeps the cell's format; leading zeros and what else a number would lose stay text. A number
    in a cell that is formatted `00000` is read as it is shown, zeros included, and written as a number again.

    A row that is taken out is a deleted record. A column that marks rows as deleted says nothing by itself,
    whatever stands in it: `when:` in the mapping leaves such rows out, which deletes nothing elsewhere.
    """

    model_config = ConfigDict(extra="forbid")

    file: str | None = None
    """Path below `path`. Default: the file whose name without ending is the stream's name."""
    sheet: str | None = None
    """For workbooks with several sheets."""
    key: Annotated[list[str], BeforeValidator(_as_list, str | list[str])] = Field(default_factory=list)
    """The column, or columns, that tell one row from all others. Without it the stream is read-only."""
    add_id: bool = False
    """Give an id to rows that have none, in the `key` column, which has to be there, or without `key` in a
    column `crmbridge_id`, which is hidden in workbooks. It happens with our first write, not when reading."""
    encoding: str | None = None
    """As Python names it: `utf-8`, `gb18030`, `cp1252`. Default: byte order mark, UTF-8, or a guess."""
    delimiter: str | None = None
    """One character or `tab`. Default: comma, semicolon, tab or bar, whichever splits the file evenly."""
    header: int = Field(default=1, ge=1)
    """The row that holds the column names; rows above it are left alone."""
    write: bool = True
    """False: the stream is read-only whatever else is configured."""
    create: bool = False
    """Make the file, the sheet and missing columns with the first write. Until then the stream is empty."""
    absent_means: Literal["unset", "null"] = "unset"
    """What it says when a JSON Lines row lacks a key: nothing, or "empty"."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                "".encode(value)
            except LookupError:
                raise ValueError(
                    f"unknown encoding {value!r}; use a name such as utf-8, gb18030, cp1252"
                ) from None
            return codecs.lookup(value).name
        return value

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        value = "\t" if value == "tab" else value
        if value is not None and (len(value) != 1 or value in '"\r\n'):
            raise ValueError("a delimiter is one character, or the word tab")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> FileSettings:
        if self.add_id and len(self.key) > 1:
            raise ValueError("add_id fills one column: name one key column, or none")
        if self.create and self.header != 1:
            raise ValueError("create puts the header into row 1: leave out header")
        return self

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that make the native id; empty when there are none."""
        return tuple(self.key) or ((ID_COLUMN,) if self.add_id else ())


class FilesSettings(BaseModel):
    """A folder, or one file. Nothing outside it is read or written."""

    model_config = ConfigDict(extra="forbid")

    path: Path
    """Relative to the folder of crmbridge.yaml."""
    files: dict[str, FileSettings] = Field(default_factory=dict)
    """Settings by stream. Files that are not named here are read-only streams named after the file."""
