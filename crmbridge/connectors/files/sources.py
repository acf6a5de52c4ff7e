"""Which file is which stream, and that none lies outside the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from crmbridge.connectors.files.settings import FileSettings, FilesSettings
from crmbridge.connectors.files.table import DamagedError
from crmbridge.connectors.files.xlsxpackage import Package
from crmbridge.sdk import ConfigError, FatalError
from crmbridge.sdk.remedy import remedy

__all__ = ["Source", "find_files", "find_sources", "sheet_source"]

_KINDS: dict[str, Literal["csv", "xlsx", "jsonl"]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class Source(NamedTuple):
    """One stream and where it is."""

    stream: str
    path: Path
    """Absolute, symbolic links resolved."""
    kind: Literal["csv", "xlsx", "jsonl"]
    sheet: str | None
    settings: FileSettings
    problem: str = ""
    """Why it cannot be read, known without opening it."""


def _inside(root: Path, name: str) -> Path:
    """The file `name` below `root`. Raises ConfigError when that is, or links to, a place outside."""
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ConfigError(
            f"file {name!r} lies outside the folder {root}",
            hint="only files inside `path` are read or written",
        )
    return path


def find_sources(settings: FilesSettings, base: Path) -> dict[str, Source]:
    """All streams by name: those in `files:`, and one for each other file or sheet in the folder."""
    root, found = find_files(settings, base)
    others: dict[str, Source] = {}
    for source in (source for path in found for source in _undeclared(path)):
        other = others.setdefault(source.stream, source)
        if other is not source:
            both = f"{other.path.name} and {source.path.name} are both {source.stream!r}"
            others[source.stream] = other._replace(problem=f"{both}; name them in `files:`")
    sources = {
        stream: _declared(stream, file_settings, others, root)
        for stream, file_settings in settings.files.items()
    }
    taken = {(source.path, source.sheet) for source in sources.values()}
    free = {name: source for name, source in others.items() if (source.path, source.sheet) not in taken}
    return {**free, **sources}


def find_files(settings: FilesSettings, base: Path) -> tuple[Path, list[Path]]:
    """The folder outside of which nothing is touched, and the files in it that can be streams."""
    place = (base / settings.path).resolve()
    try:
        return _found_in(place)
    except OSError as error:
        text = f"the folder {place} cannot be looked into: {error.strerror or error}"
        raise FatalError(text, hint=remedy(error, "read and enter that folder")) from error


def _found_in(place: Path) -> tuple[Path, list[Path]]:
    if place.is_file() or (not place.is_dir() and place.suffix.lower() in _KINDS):
        return place.parent, [place]
    if not place.is_dir():
        raise FatalError(f"the folder {place} does not exist", hint="correct `path`, or mount the folder")
    return place, sorted(path.resolve() for path in place.iterdir() if _is_data(path, place))


def _is_data(path: Path, root: Path) -> bool:
    hidden = path.name.startswith((".", "~$"))
    return (
        not hidden
        and path.suffix.lower() in _KINDS
        and path.is_file()
        and path.resolve().is_relative_to(root)
    )


def _kind(path: Path) -> Literal["csv", "xlsx", "jsonl"]:
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"{path.name} is not a file that can be read; endings are {', '.join(_KINDS)}")
    return kind


def _declared(stream: str, settings: FileSettings, others: dict[str, Source], root: Path) -> Source:
    if settings.file is None:
        same = next((s for s in others.values() if stream in (s.stream, s.path.stem, s.path.name)), None)
        same = same or sheet_source(stream, others)
        if same is None:
            raise FatalError(
                f"no file in {root} is called {stream!r}",
                hint=f"put it back, or say which one it is: `files: {stream}: file: NAME`",
            )
        if settings.sheet is None and same.stream == stream:
            return same._replace(settings=settings)
        path = same.path
    else:
        path = _inside(root, settings.file)
    kind = _kind(path)
    sheet = settings.sheet
    if kind != "xlsx" and sheet is not None:
        raise ConfigError(f"stream {stream!r}: {path.name} has no sheets; leave out `sheet:`")
    problem = ""
    if kind == "xlsx" and sheet is None:
        names = _sheets(path)
        sheet = names[0] if len(names) == 1 else None
        if len(names) > 1:
            problem = (
                f"{path.name} has several sheets ({', '.join(names)}); say `sheet:` in `files: {stream}:`"
            )
    return Source(stream, path, kind, sheet, settings, problem)


def sheet_source(stream: str, others: dict[str, Source]) -> Source | None:
    """The source for `stem.Sheet` where a workbook cannot be opened now, so that its sheets are not known."""
    for other in others.values():
        sheet = stream.removeprefix(f"{other.path.stem}.")
        if other.kind == "xlsx" and other.sheet is None and sheet != stream:
            return other._replace(stream=stream, sheet=sheet)
    return None


def _undeclared(path: Path) -> list[Source]:
    kind = _kind(path)
    names = _sheets(path)
    if len(names) < 2:
        return [Source(path.stem, path, kind, names[0] if names else None, FileSettings())]
    return [Source(f"{path.stem}.{name}", path, kind, name, FileSettings()) for name in names]


def _sheets(path: Path) -> list[str]:
    """The visible sheets of a workbook. Empty when it cannot be opened: reading it will say why."""
    if _kind(path) != "xlsx" or not path.exists():
        return []
    try:
        with Package(path) as package:
            return [sheet.name for sheet in package.sheets() if sheet.visible]
    except (DamagedError, OSError):
        return []
