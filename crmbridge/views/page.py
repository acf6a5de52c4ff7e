"""A customer's 360-degree record as one HTML page: no script, no network, fit for paper and for a phone.

Every value is escaped and has `dir="auto"`, so that Arabic, Hebrew and Chinese names stand right among
English labels. A Content-Security-Policy says that the page loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from html import escape
from importlib import resources
from typing import Any

from babel.numbers import get_currency_precision

from crmbridge.views.customer360 import Customer360, GoldenField, Held, LinkView, OrderView, TouchPoint

__all__ = ["html"]

PIECES = frozenset({"C62", "EA", "H87"})
"""UN/ECE Recommendation 20 codes that mean "so many": they need no unit."""
LOADS_NOTHING = "default-src 'none'; style-src 'unsafe-inline'"


def html(customer: Customer360, *, zone: tzinfo = UTC) -> str:
    """The page as text, to be written as UTF-8. Instants are shown in `zone`."""
    page = _Page(zone)
    sections = (
        page.summary(customer),
        page.duplicates(customer),
        page.golden(customer.fields),
        page.contacts(customer.touch_points),
        page.cases(customer),
        page.orders(customer.orders),
        page.shipments(customer),
        page.invoices(customer),
        page.relatives(customer),
        page.links(customer),
    )
    style = resources.files("crmbridge.views").joinpath("page.css").read_text(encoding="utf-8")
    title = escape(customer.name or customer.id)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{LOADS_NOTHING}">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{page.header(customer)}\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


class _Page:
    """The parts of the page."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone

    def header(self, customer: Customer360) -> str:
        """Who it is."""
        told = [customer.kind, f"owner {customer.owner}" if customer.owner else None, customer.id]
        if customer.merged:
            told.append(f"was also {', '.join(customer.merged)}")
        parts = " · ".join(_text(part) for part in told if part)
        return f"<header><h1>{_text(customer.name or 'without a name')}</h1><p>{parts}</p></header>"

    def summary(self, customer: Customer360) -> str:
        """What somebody who picks up the phone wants to know."""
        contact, order = customer.last_contact, next(iter(customer.orders), None)
        boxes = [
            ("Last contact", self._contact(contact) if contact else "none known"),
            ("Last order", self._order(order) if order else "none known"),
            ("To be paid", _amounts(customer.open_amounts) or "nothing known"),
            ("Open cases", str(sum(case.open for case in customer.cases))),
        ]
        cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in boxes)
        return f'<dl class="boxes">{cells}</dl>\n'

    def _contact(self, contact: TouchPoint) -> str:
        parts = [
            self._time(contact.at),
            _text(contact.channel),
            f"by {_text(contact.by)}" if contact.by else "",
        ]
        told = " · ".join(part for part in parts if part)
        return told + (f"<br><strong>{_text(contact.outcome)}</strong>" if contact.outcome else "")

    def _order(self, order: OrderView) -> str:
        parts = [
            _text(order.number),
            self._time(order.ordered),
            _money(order.gross_total),
            _badge(order.status),
        ]
        return " · ".join(part for part in parts if part)

    def duplicates(self, customer: Customer360) -> str:
        """Who may be the same: it stands high up, since somebody has to look."""
        rows = [(_text(one.name), _text(one.id), _text(one.why)) for one in customer.duplicates]
        return _table("Perhaps the same customer", ("Name", "Id", "Why"), rows, kind="warning")

    def golden(self, fields: Iterable[GoldenField]) -> str:
        """Every field and where it comes from."""
        rows = []
        for one in fields:
            since = self._stamp(one.time) if one.time else "at first contact"
            rule = "" if one.rule == "first contact" else one.rule
            if one.waits:
                rule = "a person has to decide"
            other = f"{one.lost} said otherwise" if one.lost else ""
            origin = " · ".join(_text(part) for part in (one.system, rule, since, other) if part)
            rows.append((_text(_label(one.path)), _value(one.value), f"<small>{origin}</small>"))
        return _table("Golden record", ("Field", "Value", "Origin"), rows)

    def contacts(self, contacts: Iterable[TouchPoint]) -> str:
        """Calls, messages and visits with what came of them."""
        rows = [
            (
                self._time(one.at),
                _text(" ".join(filter(None, (one.direction, one.channel)))),
                _text(one.by),
                _lines(one.subject, one.content),
                _lines(one.outcome) + self._next(one),
                _systems(one.systems),
            )
            for one in contacts
        ]
        return _table("Contacts", ("When", "How", "By", "About", "Outcome", "Known to"), rows)

    def _next(self, contact: TouchPoint) -> str:
        return f"<small>next: {self._time(contact.next_action_at)}</small>" if contact.next_action_at else ""

    def cases(self, customer: Customer360) -> str:
        """Complaints and requests."""
        rows = [
            (
                _text(one.number),
                _lines(one.subject, one.resolution),
                _badge(one.status),
                _text(one.assignee),
                " – ".join(filter(None, (self._time(one.opened_at), self._time(one.closed_at)))),
                _text(one.order),
                _systems(one.systems),
            )
            for one in customer.cases
        ]
        columns = ("Number", "About", "Status", "Who", "When", "Order", "Known to")
        return _table("Cases", columns, rows)

    def orders(self, orders: Sequence[OrderView]) -> str:
        """Orders, each with its lines."""
        return "".join(self._whole_order(order) for order in orders)

    def _whole_order(self, order: OrderView) -> str:
        states = (order.status, order.fulfilment_status, order.payment_status)
        head = " · ".join(
            part
            for part in (
                self._time(order.ordered),
                _text(order.channel),
                " ".join(map(_badge, filter(None, states))),
                _systems(order.systems),
            )
            if part
        )
        rows = [
            (
                _text(line.product),
                _text(line.sku),
                _quantity(line.quantity),
                _money(line.unit_price),
                _money(line.net_amount),
                _badge(line.status),
            )
            for line in order.lines
        ]
        totals = [("net", order.net_total), ("tax", order.tax_total), ("total", order.gross_total)]
        foot = " · ".join(f"{name} <strong>{_money(value)}</strong>" for name, value in totals if value)
        columns = ("Product", "Article", "#Quantity", "#Price", "#Net", "Status")
        around = (f"<p>{head}</p>", f'<p class="foot">{foot}</p>' if foot else "")
        return _table(f"Order {_text(order.number)}", columns, rows, around=around)

    def shipments(self, customer: Customer360) -> str:
        """What was sent."""
        rows = [
            (
                _text(one.number),
                _text(one.order),
                _badge(one.status),
                _lines(one.carrier, one.tracking_number),
                self._time(one.shipped_at),
                self._time(one.delivered_at)
                or (f"expected {_text(one.expected_on)}" if one.expected_on else ""),
                _text(one.last_event),
                _systems(one.systems),
            )
            for one in customer.shipments
        ]
        columns = ("Number", "Order", "Status", "Carrier", "Shipped", "Delivered", "Last event", "Known to")
        return _table("Shipments", columns, rows)

    def invoices(self, customer: Customer360) -> str:
        """What was billed, and what is still to be paid."""
        rows = [
            (
                _text(one.number),
                _text((one.kind or "").replace("_", " ")),
                _badge(one.status),
                _text(one.issued_on),
                _text(one.due_date),
                _money(one.gross_total),
                _money(one.open_amount),
                _systems(one.systems),
            )
            for one in customer.invoices
        ]
        columns = ("Number", "Kind", "Status", "Issued", "Due", "#Total", "#Open", "Known to")
        return _table("Invoices", columns, rows)

    def relatives(self, customer: Customer360) -> str:
        """Contact persons, the company, and other relations."""
        rows = [(_text(one.relation), _text(one.name), _text(one.id)) for one in customer.relatives]
        return _table("Related", ("Relation", "Name", "Id"), rows)

    def links(self, customer: Customer360) -> str:
        """The records in the systems, those that are gone at the end."""
        rows = [self._link(link) for link in (*customer.links, *customer.tombstones)]
        return _table("Records in the systems", ("System", "Record", "State", "Read"), rows)

    def _link(self, link: LinkView) -> tuple[str, ...]:
        state = _badge(link.status)
        if link.gone_at:
            state += (
                f" <small>{self._stamp(link.gone_at)}{' by crmbridge' if link.deleted_by_us else ''}</small>"
            )
        part = f" <small>part {_text(link.part)}</small>" if link.part else ""
        record = f"{_text(link.stream)} {_text(link.native_id)}{part}"
        return _text(link.system), record, state, self._stamp(link.read_at) if link.read_at else ""

    # times

    def _stamp(self, time: int) -> str:
        return datetime.fromtimestamp(time / 1_000_000, self.zone).strftime("%Y-%m-%d %H:%M")

    def _time(self, value: str | None) -> str:
        """An instant in the zone, a day as it is."""
        if not value:
            return ""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return _text(value)
        if len(value) == 10 or moment.tzinfo is None:
            return _text(value)
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")


# -- values ------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return f'<bdi dir="auto">{escape(str(value))}</bdi>' if value not in (None, "") else ""


def _lines(*values: str | None) -> str:
    """Paragraphs, the first one in front."""
    return "".join(f'<p dir="auto">{escape(value)}</p>' for value in values if value)


def _badge(status: str | None) -> str:
    if not status:
        return ""
    return f'<span class="badge {escape(status)}">{escape(status.replace("_", " "))}</span>'


def _label(path: str) -> str:
    return path.partition("/")[0].replace("_", " ")


def _value(value: Any) -> str:
    """A golden value: an element of a list as its parts, money as money."""
    if isinstance(value, Mapping):
        if "amount" in value:
            return _money(value)
        if "golden" in value or "entity" in value:
            return _text(value.get("golden") or value.get("id"))
        parts = [_value(part) for name, part in value.items() if name != "id" and part is not None]
        return ", ".join(part for part in parts if part)
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _text(value)


def _money(value: Mapping[str, Any] | None) -> str:
    if not value:
        return ""
    return _amount(str(value.get("amount")), str(value.get("currency") or ""))


def _amount(amount: str, currency: str) -> str:
    """With as many decimals as the currency has, more where there are more."""
    try:
        number = Decimal(amount)
        decimals = max(get_currency_precision(currency), -int(number.as_tuple().exponent), 0)
        shown = f"{number:,.{decimals}f}".replace(",", "\u202f")
    except (InvalidOperation, ValueError):
        shown = amount
    return f'<span class="money">{escape(shown)} {escape(currency)}</span>'


def _amounts(open_amounts: Mapping[str, str]) -> str:
    return " + ".join(_amount(amount, currency) for currency, amount in open_amounts.items())


def _quantity(value: Mapping[str, Any] | None) -> str:
    if not value:
        return ""
    unit = value.get("unit")
    return _text(value.get("value")) + ("" if unit in PIECES or not unit else " " + _text(unit))


def _systems(held: Iterable[Held]) -> str:
    """Who knows it, with the state that each one says."""
    told = []
    for one in held:
        state = "" if one.live else " (gone)"
        status = f": {one.status.replace('_', ' ')}" if one.status else ""
        told.append(f"<small>{_text(one.system)}{escape(status)}{state}</small>")
    return ", ".join(dict.fromkeys(told))


def _table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    around: tuple[str, str] = ("", ""),
    kind: str = "",
) -> str:
    """A section with a table; a column that is empty in every row is left out. A name with # holds numbers.

    around: what stands above and below the table.
    """
    if not rows and not any(around):
        return ""
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    names = {i: columns[i].lstrip("#") for i in used}
    numbers = {i: ' class="number"' if columns[i].startswith("#") else "" for i in used}
    header = "".join(f'<th scope="col"{numbers[i]}>{names[i]}</th>' for i in used)
    body = "".join(
        "<tr>" + "".join(f'<td{numbers[i]} data-name="{names[i]}">{row[i]}</td>' for i in used) + "</tr>\n"
        for row in rows
    )
    table = f"<table><thead><tr>{header}</tr></thead>\n<tbody>\n{body}</tbody></table>" if rows else ""
    return f'<section class="{kind}"><h2>{title}</h2>{around[0]}{table}{around[1]}</section>\n'
