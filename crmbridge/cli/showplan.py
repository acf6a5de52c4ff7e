"""A plan as people read it: for each system and entity, what would be created and changed, and whence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from crmbridge.cli.messages import ChangePart, OperationMessage
from crmbridge.cli.values import value

if TYPE_CHECKING:
    from rich.text import Text

    from crmbridge.cli.output import Output
    from crmbridge.engine.operations import Change, Planned

__all__ = ["emit_plan", "show_plan"]

_SIGNS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "transition": ("~", "yellow"),
    "archive": ("-", "red"),
    "delete": ("-", "red"),
}


def show_plan(output: Output, operations: Sequence[Planned], titles: Mapping[str, str], most: int) -> None:
    """Print it; of each system, entity and kind at most `most` operations (0: all).

    titles: golden id -> what people call that record.
    """

    def group(one: Planned) -> tuple[str, str, str]:
        return one.system, one.entity, one.kind

    for (system, entity, kind), members in groupby(sorted(operations, key=group), key=group):
        found = list(members)
        sign, style = _SIGNS[kind]
        output.print(output.text(f"\n{system}: {kind} {len(found):,} {entity}", "bold"))
        shown = found[:most] if most else found
        for one in shown:
            name = " ".join(
                part
                for part in (titles.get(one.golden_id), f"({one.native_id})" if one.native_id else "")
                if part
            )
            output.print(output.text(f"  {sign} {name or one.golden_id}", style))
            for line in _lines(output, one):
                output.print(line)
        if len(found) > len(shown):
            output.print(output.text(f"    and {len(found) - len(shown):,} more (--show 0 shows all)", "dim"))


def emit_plan(output: Output, operations: Iterable[Planned], titles: Mapping[str, str]) -> None:
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
                label=titles.get(one.golden_id, ""),
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
