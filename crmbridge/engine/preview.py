"""What a mapping makes of records: native -> canonical -> native, and what gets lost on the way."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from crmbridge.engine.run import System
from crmbridge.mapping.apply import Mapping as StreamMapping
from crmbridge.mapping.errors import MappingError
from crmbridge.mapping.list_rules import ListRule
from crmbridge.mapping.paths import merge_into, put_at
from crmbridge.sdk.connector import Page, Record

__all__ = ["Preview", "previews"]

Lost = tuple[str, Any, Any]
"""(native field, as it was, as it comes back)."""


@dataclass(slots=True)
class Preview:
    """One record on its way there and back."""

    native_id: str
    native: Any
    entity: str | None = None
    """None: no mapping takes it."""
    canonical: Mapping[str, Any] = field(default_factory=dict)
    back: Mapping[str, Any] = field(default_factory=dict)
    """What writing the canonical record would set."""
    lost: list[Lost] = field(default_factory=list)
    rewritten: list[Lost] = field(default_factory=list)
    """What comes back in another form, with every letter and digit that it had: a phone number, a date."""
    unread: list[str] = field(default_factory=list)
    """Native fields that no mapping looks at."""
    error: str | None = None


def previews(system: System, stream: str, sample: int) -> Iterator[Preview]:
    """The first records of a stream; those that could not even be read come first. Raises the connector's
    error."""
    mappings = system.mappings.get(stream, ())
    left = sample
    with closing(_pages(system, stream)) as pages:
        for page in pages:
            for one in _of_page(page, mappings, system.streams[stream].key):
                if not left:
                    return
                left -= 1
                yield one


def _pages(system: System, stream: str) -> Generator[Page, None, None]:
    """A generator, so that a reading that is left half-way gives its connection back."""
    yield from system.connector.pull(stream, None)


def _of_page(page: Page, mappings: Sequence[StreamMapping], key: str) -> Iterator[Preview]:
    for reject in page.rejects:
        yield Preview(reject.position, reject.raw, error=reject.reason)
    for record in page.records:
        yield _preview(record, mappings, key)


def _preview(record: Record, mappings: Sequence[StreamMapping], key: str) -> Preview:
    one = Preview(record.native_id, record.data)
    try:
        mapping = next((m for m in mappings if m.admits(record.data)), None)
        if mapping is None:
            return one
        one.entity = mapping.entity
        one.canonical = mapping.read(record.data)
        one.back = _written_back(mapping, one.canonical)
    except (MappingError, ValueError, RecursionError) as error:
        one.error = str(error)
        return one
    for item in _lost(one.back, record.data, ""):
        (one.rewritten if _only_form(*item[1:]) else one.lost).append(item)
    known = _looked_at(mapping) | {key}
    one.unread = [name for name in record.data if name not in known]
    return one


def _written_back(mapping: StreamMapping, doc: Mapping[str, Any]) -> dict[str, Any]:
    back: dict[str, Any] = dict(mapping.write(doc))
    for name, rule in mapping.lists.items():
        if not rule.writable or doc.get(name) is None:
            continue
        if rule.slots:
            for element in doc[name]:
                slot = rule.slot(str(element.get("id")))
                merge_into(back, slot.write(element) if slot is not None else {})
        else:
            put_at(back, rule.native or name, [_child(rule, element) for element in doc[name]])
    return back


def _child(rule: ListRule, element: Mapping[str, Any]) -> Any:
    child = rule.write_element(element)
    return rule.identify(child, str(element["id"])) if "id" in element and isinstance(child, dict) else child


def _lost(back: Any, native: Any, path: str) -> Iterator[Lost]:
    """Where what is written back is not what was read."""
    if isinstance(back, dict) and isinstance(native, dict):
        for key, value in back.items():
            yield from _lost(value, native.get(key), f"{path}.{key}" if path else key)
    elif isinstance(back, list) and isinstance(native, list) and len(back) == len(native):
        for number, (new, old) in enumerate(zip(back, native, strict=True)):
            yield from _lost(new, old, f"{path}[{number}]")
    elif not (_empty(back) and _empty(native)) and back != native and str(back) != str(native):
        yield path, native, back


def _only_form(old: Any, new: Any) -> bool:
    """Whether a text or number keeps all that it says: letters and digits in any order, zeros in front."""
    if any(value is None or isinstance(value, dict | list) for value in (old, new)):
        return False
    before, after = (re.sub(r"[\W_]", "", str(value)).casefold().lstrip("0") for value in (old, new))
    return before in after or sorted(before) == sorted(after)


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip())


def _looked_at(mapping: StreamMapping) -> set[str]:
    paths: set[str] = set()
    for one in (mapping, *mapping.also):
        paths.update(source for rule in one.fields.values() for source in rule.sources)
        paths.update(source for rule in one.lists.values() for source in rule.sources)
    return paths | {path.partition(".")[0].partition("[")[0] for path in paths}
