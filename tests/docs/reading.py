"""Reading a document as somebody who follows it: files are written, commands are run, output is compared.

Blocks that start with a comment of a path (`# mappings/crm.yaml`) are files. In blocks of the language
`console`, lines with `$ ` are commands for a shell and the others what they print; a line `…` stands for
lines that are left out, and `…` at the end of a line for the rest of it. Ids, instants and the width of
tables are not compared. Text that says "put `VALUE` into cell `B2` of ..." is done as well.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import openpyxl

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<path>[\w-][\w./-]*\.(yaml|py|toml))\n")
_CELL = re.compile(
    r"put\s`([^`]+)`\sinto\scell\s`([A-Z]+[0-9]+)`\sof\s(?:the\s)?sheet\s`([^`]+)`\sin\s`([^`]+)`"
)
_CHANGING = (
    (re.compile(r"\b[a-z]{2,4}_[a-z0-9]{13,14}\b"), "<id>"),
    (re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?"), "<time>"),
    (re.compile("─+"), "─"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    before: str
    """The text since the block before it."""

    @property
    def path(self) -> str | None:
        """Of a block that is a file."""
        found = _FILE.match(self.text)
        return found["path"] if found else None


def blocks(path: Path) -> list[Block]:
    """All fenced blocks of a document, in order."""
    text, found, end = path.read_text(encoding="utf-8"), [], 0
    for match in _FENCE.finditer(text):
        found.append(Block(match["language"], match["text"], text[end : match.start()]))
        end = match.end()
    return found


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """(command, the lines that it is said to print) of a console block."""
    command, printed = "", []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, printed
            command, printed = line.removeprefix("$ "), []
        elif line.strip():
            printed.append(line)
    if command:
        yield command, printed


def plain(line: str) -> str:
    """A line without what is different at every run."""
    for pattern, replacement in _CHANGING:
        line = pattern.sub(replacement, line)
    return line.strip()


def missing(quoted: list[str], printed: str) -> str | None:
    """The first quoted line that was not printed where it should have been; None if all were."""
    real = [plain(line) for line in printed.splitlines() if line.strip()]
    position, left_out = 0, False
    for line in quoted:
        wanted = plain(line)
        if wanted == "…":
            left_out = True
            continue
        last = len(real) if left_out else position + 1
        found = next((i for i in range(position, min(last, len(real))) if _same(wanted, real[i])), None)
        if found is None:
            return line
        position, left_out = found + 1, False
    return None if left_out or position == len(real) else f"(the end, where there is {real[position]!r})"


def _same(wanted: str, real: str) -> bool:
    return real.startswith(wanted.removesuffix("…").strip()) if wanted.endswith("…") else wanted == real


@dataclass
class Reader:
    """Somebody in a folder of their own, with `crmbridge` installed."""

    folder: Path
    bin: Path
    replacing: dict[str, str] = field(default_factory=dict)
    """Text of the document -> what this reader types instead, such as a port that is free here."""
    environment: dict[str, str] = field(default_factory=dict)
    place: Path = field(init=False)

    def __post_init__(self) -> None:
        self.bin.mkdir()
        for name, arguments in (("crmbridge", "-m crmbridge "), ("python3", "")):
            (self.bin / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
            (self.bin / name).chmod(0o755)
        self.place = self.folder

    def follow(self, document: Path) -> list[str]:
        """Do all that the document says; return what did not come out as it says."""
        wrong = []
        for block in blocks(document):
            self.edit(block.before)
            if block.path:
                self.write(block.path, block.text)
            elif block.language == "console":
                for command, quoted in commands(block):
                    printed = self.run(command)
                    if line := missing(quoted, printed):
                        wrong.append(f"$ {command}\nshould print\n{line}\nbut prints\n{printed}")
        return wrong

    def write(self, path: str, text: str) -> None:
        """Write a file of the document."""
        target = self.place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self._typed(text), encoding="utf-8")

    def edit(self, text: str) -> None:
        """Make the edits of cells that the text asks for."""
        for value, cell, sheet, name in _CELL.findall(text):
            book = openpyxl.load_workbook(self.place / name)
            book[sheet][cell] = value
            book.save(self.place / name)

    def run(self, command: str) -> str:
        """Run a command line; return what a terminal would show. It has to end with 0."""
        command = self._typed(command)
        if changed := re.fullmatch(r"cd (\S+)", command):
            self.place = self.place / changed[1]
            return ""
        if exported := re.fullmatch(r"export (\w+)=(\S+)", command):
            self.environment[exported[1]] = exported[2]
            return ""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.place,
            env=self._surroundings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\nexit code {done.returncode}"
        return done.stdout.replace(f"{self.folder}", "~")

    def _surroundings(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.bin), os.environ["PATH"]])
        ours = {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "TZ": "UTC"}
        return {**os.environ, **ours, **self.environment}

    def _typed(self, text: str) -> str:
        for old, new in self.replacing.items():
            text = text.replace(old, new)
        return text
