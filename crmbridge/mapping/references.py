"""References between the mappings of one system: whether a `ref:` names a stream that holds what is meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from crmbridge.sdk.errors import ConfigError

__all__ = ["Reference", "check_references"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A `ref:` of a mapping."""

    stream: str
    """Whose native ids stand there."""
    entity: str
    """What the field refers to."""
    position: str
    """`file:line:column`"""


def check_references(
    system: str,
    references: Collection[Reference],
    streams: Collection[str],
    mapped: Mapping[str, Collection[str]],
) -> Iterator[ConfigError]:
    """References that lead nowhere. One to an entity that nothing maps here is none: it waits for a mapping.

    streams: those of the system; mapped: stream -> the entities that its records are mapped to.
    """
    for one in references:
        holding = sorted(stream for stream, entities in mapped.items() if one.entity in entities)
        if one.stream in holding or not holding:
            continue
        if one.stream not in streams:
            close = get_close_matches(one.stream, streams, n=1)
            hint = f"did you mean {close[0]!r}?" if close else _holds(one.entity, holding)
            yield ConfigError(f"{system} has no stream {one.stream!r}; {hint}", position=one.position)
        elif one.stream in mapped:
            said = f"{one.stream} holds {' and '.join(sorted(mapped[one.stream]))}, not {one.entity}"
            yield ConfigError(f"{said}; {_holds(one.entity, holding)}", position=one.position)


def _holds(entity: str, streams: Collection[str]) -> str:
    return f"{entity} is in {', '.join(streams)}"
