"""What `check` says of an opened system: how well it is protected, what it keeps less exactly, and what it
cannot hold.

Everything here only reads: the system's own `check` and `discover`, and what earlier runs noted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from crmbridge.engine.run import Flow, System
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.discovered import check_against
from crmbridge.sdk.connector import FieldInfo, Finding, Stream
from crmbridge.sdk.errors import ConfigError
from crmbridge.store.rows import NoteRow

__all__ = ["CheckLine", "Topic", "examine", "examine_access"]

Topic = Literal[
    "config", "plugins", "state", "access", "capabilities", "protection", "precision", "coverage", "mapping"
]


SHOWN = 10
"""So many streams are named that nothing maps."""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One finding, and what it is about."""

    level: Literal["ok", "warning", "error"]
    topic: Topic
    text: str
    hint: str = ""
    system: str = ""
    stream: str = ""
    exit_code: int = 0
    """Of an error: what a run would end with."""


def examine_access(system: System) -> Iterator[CheckLine]:
    """Can we log in, and what may we do? Raises the connector's error."""
    for finding in system.connector.check():
        yield _line(finding, "access", system.name)


def examine(
    system: System, flows: Iterable[Flow], held: Mapping[str, frozenset[str]], notes: Iterable[NoteRow]
) -> Iterator[CheckLine]:
    """All that is known of one system besides access.

    held: entity -> the fields that some system's mapping reads; notes: of kind `altered`, of earlier runs.
    """
    by_entity = {flow.entity: flow for flow in flows}
    altered = [note for note in notes if note.system == system.name]
    for name, stream in system.streams.items():
        mappings = [m for m in system.mappings.get(name, ()) if m.entity in by_entity]
        if not mappings:
            continue
        discovered = system.connector.discover(name)
        yield _capabilities(system, stream)
        able = bool(stream.capabilities.operations)
        written = [m for m in mappings if system.name in by_entity[m.entity].targets]
        if system.mode == "live" and written:
            yield from _protection(system, stream) if able else _read_only(system, stream, written)
        for mapping in mappings:
            creates = (
                system.mode != "read-only"
                and system.name in by_entity[mapping.entity].create
                and "create" in stream.capabilities.operations
            )
            for finding in check_against(mapping, discovered, creates=creates, writes=able):
                yield _line(finding, "mapping", system.name, name)
        for mapping in written:
            yield from _precision(system, mapping, stream, discovered)
    yield from _refers_to_nothing(system, by_entity)
    yield from _left_alone(system, by_entity)
    for flow in by_entity.values():
        yield from _altered(system.name, flow, altered)
        if system.name in flow.targets:
            yield from _coverage(system, flow, held.get(flow.entity, frozenset()))


def _refers_to_nothing(system: System, flows: Collection[str]) -> Iterator[CheckLine]:
    """References to records that nothing maps here: they never find theirs."""
    for name, mappings in system.mappings.items():
        for mapping in mappings:
            for one in mapping.references if mapping.entity in flows else ():
                if not any(m.entity == one.entity for m in system.mappings.get(one.stream, ())):
                    text = f"{one.position}: nothing maps {one.stream} to {one.entity}: it is always empty"
                    hint = f"add a mapping of {one.stream}, or leave the reference out"
                    yield CheckLine("warning", "mapping", text, hint, system.name, name)


def _left_alone(system: System, flows: Collection[str]) -> Iterator[CheckLine]:
    """Streams that no sync has to do with."""
    mapped = {name: {m.entity for m in system.mappings.get(name, ())} for name in system.streams}
    unmapped = [name for name, entities in mapped.items() if not entities]
    if unmapped:
        text = f"nothing maps {_some(unmapped)}"
        yield CheckLine("ok", "coverage", text, system=system.name)
    for name, entities in mapped.items():
        if entities and not entities & set(flows):
            text = f"is mapped to {', '.join(sorted(entities))}, which no sync: names"
            yield CheckLine("ok", "coverage", text, system=system.name, stream=name)


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _line(finding: Finding, topic: Topic, system: str, stream: str = "") -> CheckLine:
    code = 0 if finding.level != "error" else ConfigError.exit_code if topic == "mapping" else 1
    return CheckLine(finding.level, topic, finding.text, finding.hint, system, stream, code)


def _capabilities(system: System, stream: Stream) -> CheckLine:
    able = stream.capabilities
    operations = ", ".join(sorted(able.operations)) or "read-only"
    reading = "reads what changed" if able.changed_since else "reads everything each time"
    deletes = {
        "feed": "deletes come as a feed",
        "flag": "deletes show as a flag",
        "archive": "deletes show in an archive",
        "sweep": "deletes show by comparing whole listings",
        "never": "deletes do not show",
    }[able.deletes]
    return CheckLine(
        "ok", "capabilities", f"{operations}; {reading}; {deletes}", system=system.name, stream=stream.name
    )


def _read_only(system: System, stream: Stream, written: Iterable[StreamMapping]) -> Iterator[CheckLine]:
    entities = ", ".join(dict.fromkeys(f"sync.{mapping.entity}" for mapping in written))
    yield CheckLine(
        "warning",
        "capabilities",
        f"is read-only, so that {entities} writes nothing here",
        hint="let it be written (a list needs its key, a table write: true), or say mode: read-only",
        system=system.name,
        stream=stream.name,
    )


def _protection(system: System, stream: Stream) -> Iterator[CheckLine]:
    able = stream.capabilities
    if able.versions:
        yield CheckLine(
            "ok",
            "protection",
            "record versions: an edit made at the same moment is noticed by the system itself",
            system=system.name,
            stream=stream.name,
        )
    elif able.operations & {"update", "transition"}:
        yield CheckLine(
            "warning",
            "protection",
            "no record versions: read, compare, write; an edit in between, within about a second, is lost",
            system=system.name,
            stream=stream.name,
        )
    if "create" not in able.operations:
        return
    key = able.upsert_key or able.search_mark or ", ".join(able.search_keys)
    if key:
        how = (
            "a create can be repeated by" if able.upsert_key else "a lost answer to a create is looked up by"
        )
        yield CheckLine("ok", "protection", f"{how} {key}", system=system.name, stream=stream.name)
    else:
        yield CheckLine(
            "warning",
            "protection",
            "no key to look up creates by: one whose answer is lost stays uncertain until somebody looks",
            system=system.name,
            stream=stream.name,
        )


def _precision(
    system: System, mapping: StreamMapping, stream: Stream, discovered: Mapping[str, FieldInfo]
) -> Iterator[CheckLine]:
    limits = {name: info.max_length for name, info in discovered.items() if info.max_length}
    limits.update(stream.capabilities.max_lengths)
    for field in (*mapping.fields, *mapping.lists):
        if not mapping.writes(field):
            continue
        short = [(name, limits[name]) for name in mapping.native_fields(field) if limits.get(name)]
        for name, length in short:
            yield CheckLine(
                "ok",
                "precision",
                f"{mapping.entity}.{field}: {name} holds {length} characters",
                system=system.name,
                stream=stream.name,
            )


def _altered(system: str, flow: Flow, notes: Iterable[NoteRow]) -> Iterator[CheckLine]:
    counted: Counter[str] = Counter()
    example: dict[str, str] = {}
    for note in notes:
        if note.entity == flow.entity:
            parts = note.path.split("/")
            field = ".".join(part for index, part in enumerate(parts) if index != 1)
            counted[field] += 1
            example[field] = note.text
    for field, count in counted.most_common():
        yield CheckLine(
            "warning",
            "precision",
            f"{flow.entity}.{field} is stored otherwise than sent ({count} times; last: {example[field]})",
            hint="that is no difference to crmbridge as long as nobody edits it there",
            system=system,
        )


def _coverage(system: System, flow: Flow, held: frozenset[str]) -> Iterator[CheckLine]:
    """Which fields that golden records have this system cannot hold, though it is written to."""
    mappings = system.mappings_of(flow.entity)
    if not mappings:
        yield CheckLine(
            "error",
            "coverage",
            f"no mapping writes {flow.entity}, though sync.{flow.entity} names this system",
            hint=f"add a mapping for one of its streams: {', '.join(system.streams) or 'it has none'}",
            system=system.name,
            exit_code=ConfigError.exit_code,
        )
        return
    missing = [
        name
        for name in (*flow.shape.scalars, *flow.shape.lists)
        if name in held and not any(m.writes(name) or name == m.transition_field for m in mappings)
    ]
    if missing:
        yield CheckLine(
            "ok",
            "coverage",
            f"{flow.entity}: cannot be written here: {', '.join(missing)}",
            system=system.name,
        )
