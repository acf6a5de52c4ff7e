"""A customer's 360-degree record as headed tables: the same for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from crmbridge.cli.values import local, value

if TYPE_CHECKING:
    from crmbridge.views.customer360 import Customer360, GoldenField, Held, LinkView

__all__ = ["Section", "heading", "sections"]


class Section(NamedTuple):
    """One table."""

    title: str
    columns: Sequence[str]
    """A name that begins with # is a column of numbers."""
    rows: Sequence[Sequence[str]]


def heading(found: Customer360, zone: tzinfo) -> list[tuple[str, str]]:
    """The lines at the top: (name, text)."""
    lines = [("Id", found.id)]
    if found.merged:
        lines.append(("Also known as", ", ".join(found.merged)))
    lines += [("Kind", found.kind or ""), ("Owner", found.owner or "")]
    last = found.last_contact
    if last is not None:
        parts = (_day(last.at, zone), last.channel, f"by {last.by}" if last.by else "", last.outcome)
        lines.append(("Last contact", ", ".join(part for part in parts if part)))
    if found.open_amounts:
        lines.append(
            ("Open amounts", ", ".join(f"{amount} {name}" for name, amount in found.open_amounts.items()))
        )
    return [(name, text) for name, text in lines if text]


def sections(found: Customer360, zone: tzinfo) -> Iterator[Section]:
    """The tables that have something in them."""
    for section in (
        _fields(found, zone),
        *_documents(found, zone),
        _contacts(found, zone),
        *_around(found, zone),
    ):
        if section.rows:
            yield section


def _fields(found: Customer360, zone: tzinfo) -> Section:
    rows = [
        (
            one.path.partition("/")[0],
            value(one.value),
            one.system,
            local(one.time, zone) or "first contact",
            _because(one),
        )
        for one in found.fields
    ]
    return Section("Golden record", ("Field", "Value", "From", "Since", "Because"), rows)


def _because(one: GoldenField) -> str:
    if one.waits:
        return "a person has to decide: conflicts list"
    return one.rule + (f", {one.lost} said otherwise" if one.lost else "")


def _documents(found: Customer360, zone: tzinfo) -> Iterator[Section]:
    yield Section(
        "Orders",
        ("Number", "Ordered", "Status", "Delivery", "Payment", "#Total", "Lines", "In"),
        [
            (
                one.number,
                _day(one.ordered, zone),
                one.status or "",
                one.fulfilment_status or "",
                one.payment_status or "",
                _money(one.gross_total),
                "; ".join(f"{_amount(line.quantity)} {line.product}".strip() for line in one.lines),
                _systems(one.systems),
            )
            for one in found.orders
        ],
    )
    yield Section(
        "Shipments",
        ("Number", "Order", "Status", "Carrier", "Tracking", "Shipped", "Delivered", "In"),
        [
            _texts(
                one.number,
                one.order,
                one.status,
                one.carrier,
                one.tracking_number,
                _day(one.shipped_at, zone),
                _day(one.delivered_at, zone),
                _systems(one.systems),
            )
            for one in found.shipments
        ],
    )
    yield Section(
        "Invoices",
        ("Number", "Kind", "Status", "Issued", "Due", "#Total", "#Open", "In"),
        [
            _texts(
                one.number,
                one.kind,
                one.status,
                _day(one.issued_on, zone),
                _day(one.due_date, zone),
                _money(one.gross_total),
                _money(one.open_amount) if one.open else "",
                _systems(one.systems),
            )
            for one in found.invoices
        ],
    )
    yield Section(
        "Cases",
        ("Number", "Subject", "Status", "Priority", "Assignee", "Opened", "Closed", "Order", "In"),
        [
            _texts(
                one.number,
                one.subject,
                one.status,
                one.priority,
                one.assignee,
                _day(one.opened_at, zone),
                _day(one.closed_at, zone),
                one.order,
                _systems(one.systems),
            )
            for one in found.cases
        ],
    )


def _contacts(found: Customer360, zone: tzinfo) -> Section:
    rows = [
        _texts(
            _minute(one.at, zone),
            one.channel,
            one.direction,
            one.by,
            one.subject or one.content,
            one.outcome,
            _day(one.next_action_at, zone),
            _systems(one.systems),
        )
        for one in found.touch_points
    ]
    return Section("Contacts", ("When", "Channel", "Direction", "By", "About", "Outcome", "Next", "In"), rows)


def _around(found: Customer360, zone: tzinfo) -> Iterator[Section]:
    yield Section(
        "Records", ("System", "Stream", "Record", "Status", "Read"), [_link(x, zone) for x in found.links]
    )
    gone = [_link(one, zone) for one in found.tombstones]
    yield Section("Records that are gone", ("System", "Stream", "Record", "Status", "Gone"), gone)
    relatives = [(one.relation, one.name, one.id) for one in found.relatives]
    yield Section("Related", ("Relation", "Name", "Id"), relatives)
    twins = [(one.name, one.why, one.id) for one in found.duplicates]
    yield Section("Probable duplicates", ("Name", "Why", "Id"), twins)


def _link(one: LinkView, zone: tzinfo) -> tuple[str, ...]:
    record = one.native_id + (f" ({one.part.partition(':')[0]})" if one.part else "")
    status = one.status + (" by us" if one.deleted_by_us else "")
    return one.system, one.stream, record, status, local(one.gone_at or one.read_at, zone) or ""


def _texts(*parts: str | None) -> tuple[str, ...]:
    return tuple(part or "" for part in parts)


def _systems(held: Iterable[Held]) -> str:
    return ", ".join(one.system if one.live else f"({one.system})" for one in held)


def _money(data: Mapping[str, Any] | None) -> str:
    return "" if data is None else value(dict(data))


def _amount(data: Mapping[str, Any] | None) -> str:
    return "" if data is None else str(data.get("amount") or data.get("value") or "")


def _day(text: str | None, zone: tzinfo) -> str:
    return _minute(text, zone)[:10]


def _minute(text: str | None, zone: tzinfo) -> str:
    """An instant in the zone, with its name; a day as it is."""
    if not text or "T" not in text:
        return text or ""
    return f"{datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M %Z}"
