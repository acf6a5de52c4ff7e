"""A plan as people read it: for each system and entity, what would be created and changed, and whence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from crmbridge.cli.messages.runs import ChangePart, OperationMessage
from crmbridge.cli.values import value

if TYPE_CHECKING:
    from rich.text import Text

    from crmbridge.cli.output import Output
    from crmbridge.engine.operations import Change, Planned

__all__ = ["emit_plan", "show_plan"]

_Group = tuple[str, str, str]
"""System, entity and kind."""
_SIGNS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "transition": ("~", "yellow"),
    "archive": ("-", "red"),
    "delete": ("-", "red"),
}


def show_plan(output: Output, operations: Iterable[Planned], most: int) -> None:
    """Print it; of each system, entity and kind at most `most` operations (0: all).

    operations: gone through once, or with `most` = 0 once more for each of these groups: there may be more
        of them than memory holds.
    """
    counts: Counter[_Group] = Counter()
    first: dict[_Group, list[Planned]] = {}
    for one in operations:
        group = _group(one)
        counts[group] += 1
        if counts[group] <= most:
            first.setdefault(group, []).append(one)
    for group, count in sorted(counts.items()):
        system, entity, kind = group
        output.print(output.text(f"\n{system}: {kind} {count:,} {entity}", "bold"))
        for one in first[group] if most else operations:
            if _group(one) == group:
                _show(output, one)
        if most and count > most:
            output.print(output.text(f"    and {count - most:,} more (--show 0 shows all)", "dim"))


def _group(one: Planned) -> _Group:
    return one.system, one.entity, one.kind


def _show(output: Output, one: Planned) -> None:
    sign, style = _SIGNS[one.kind]
    name = " ".join(part for part in (one.title, f"({one.native_id})" if one.native_id else "") if part)
    output.print(output.text(f"  {sign} {name or one.golden_id}", style))
    for line in _lines(output, one):
        output.print(line)


def emit_plan(output: Output, operations: Iterable[Planned]) -> None:
    """Write it as messages."""
    for one in operations if output.json else ():
        output.emit(
            OperationMessage(
                id=one.id,
                kind=one.kind,
                system=one.system,
                stream=one.stream,
                entity=one.entity,
                golden_id=one.golden_id,
                native_id=one.native_id,
                label=one.title,
                changes=[ChangePart(path=c.path, old=c.old, new=c.new, origin=c.source) for c in one.changes],
                waits_for=one.waits_for,
            )
        )


def _lines(output: Output, operation: Planned) -> Iterable[Text]:
    """A line for each field; the parts of a list's element together."""
    created = operation.kind == "create"
    for (name, element), members in _grouped(operation.changes):
        changes = list(members)
        origin = ", ".join(sorted({c.source for c in changes if c.source}))
        yield (
            output.text(f"      {name:<18} ")
            .append(_what(output, element, changes, created))
            .append(output.text(f"   from {origin}" if origin else "", "dim"))
        )


def _grouped(changes: Sequence[Change]) -> Iterable[tuple[tuple[str, str], Iterable[Change]]]:
    def key(change: Change) -> tuple[str, str]:
        name, _, rest = change.path.partition("/")
        return name, rest.partition("/")[0]

    return groupby(changes, key=key)


def _what(output: Output, element: str, changes: Sequence[Change], created: bool) -> Text:
    if not element:
        change = changes[0]
        return _step(output, change.old, change.new, created)
    inner = {change.path.rpartition("/")[2]: change for change in changes if change.path.count("/") > 1}
    there = next((change for change in changes if change.path.count("/") == 1), None)
    if there is not None and there.new is None:
        return output.text("removed", "red")
    if created or there is not None or all(change.old is None for change in inner.values()):
        return output.text(f"{'' if created else 'added: '}{value(_news(inner))}", "green")
    text = output.text("")
    for number, (name, change) in enumerate(inner.items()):
        text.append(", " if number else "").append(output.text(f"{name} ")).append(
            _step(output, change.old, change.new, created)
        )
    return text


def _news(inner: Mapping[str, Change]) -> dict[str, Any]:
    return {name: change.new for name, change in inner.items()}


def _step(output: Output, old: Any, new: Any, created: bool) -> Text:
    if created:
        return output.text(value(new), "green")
    return output.text(value(old), "red").append(" → ").append(output.text(value(new), "green"))
