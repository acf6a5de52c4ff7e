"""What the page of a customer tells: each section as rows of text, with every field set and with none."""

from __future__ import annotations

from datetime import timedelta, timezone
from html.parser import HTMLParser

from crmbridge.views.customer360 import (
    CaseView,
    Customer360,
    Duplicate,
    GoldenField,
    Held,
    InvoiceView,
    LineView,
    LinkView,
    OrderView,
    Relative,
    ShipmentView,
    TouchPoint,
)
from crmbridge.views.page import html

ARABIA = timezone(timedelta(hours=3))
NOON = 1_772_452_800_000_000
"""2026-03-02 12:00 UTC."""
SHOP = (Held("shop", "orders", "o1", live=True, status="in_progress"), Held("erp", "so", "7", live=False))


class Sections(HTMLParser):
    """The sections of a page: title -> rows, each the text of its cells; and what stands around tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.around: dict[str, str] = {}
        self.numbers: set[str] = set()
        self.kinds: dict[str, str | None] = {}
        self._title = ""
        self._tag = ""
        self._kind: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "section":
            self._kind = named.get("class")
        elif tag == "h2":
            self._title, self._tag = "", "h2"
        elif tag == "tr":
            self.rows[self._title].append([])
        elif tag in ("th", "td"):
            self._tag = tag
            self.rows[self._title][-1].append("")
            if named.get("class") == "number" and tag == "td":
                self.numbers.add(named["data-name"] or "")
        elif tag in ("p", "br") and self._tag in ("th", "td"):
            self.rows[self._title][-1][-1] += " / " if self.rows[self._title][-1][-1] else ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "h2":
            self.rows[self._title], self.around[self._title] = [], ""
            self.kinds[self._title] = self._kind
        if tag in ("h2", "th", "td"):
            self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag == "h2":
            self._title += data
        elif self._tag in ("th", "td"):
            self.rows[self._title][-1][-1] += data
        elif self._title:
            self.around[self._title] += data


def shown(**parts: object) -> Sections:
    made = Customer360("par_1", "王小明", "person", "li.na")
    for name, value in parts.items():
        setattr(made, name, value)
    return Sections(html(made, zone=ARABIA))


def test_a_customer_of_whom_nothing_is_known_has_a_short_page() -> None:
    page = html(Customer360("par_1", "", None, None))
    assert '<h1><bdi dir="auto">without a name</bdi></h1><p><bdi dir="auto">par_1</bdi></p>' in page
    assert "<title>par_1</title>" in page
    for name, value in (
        ("Last contact", "none known"),
        ("Last order", "none known"),
        ("To be paid", "nothing known"),
        ("Open cases", "0"),
    ):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    assert Sections(page).rows == {}


def test_the_head_says_who_it_is_and_who_it_was() -> None:
    page = html(Customer360("par_1", "王小明", "person", "li.na", merged=["par_2", "par_3"]))
    texts = ("person", "owner li.na", "par_1", "was also par_2, par_3")
    parts = " · ".join(f'<bdi dir="auto">{one}</bdi>' for one in texts)
    assert f"<p>{parts}</p>" in page


def test_each_golden_field_says_what_it_is_and_where_it_comes_from() -> None:
    address = {"id": "a1", "role": "billing", "lines": ["Hauptstr. 1", "2. OG"], "city": None, "main": True}
    fields = [
        GoldenField("legal_name", "茶 GmbH", "erp", 0, "first contact"),
        GoldenField("addresses/a1", address, "shop", NOON, "latest", lost=2),
        GoldenField("credit_limit", {"amount": "1234567.5", "currency": "EUR"}, "erp", 0, "authority"),
        GoldenField("parent", {"golden": "par_9", "entity": "party"}, "erp", 0, "only"),
        GoldenField("vip", False, "crm", 0, "only"),
        GoldenField("branch", {"entity": "party", "stream": "customers", "id": "7"}, "crm", 0, "only"),
    ]
    assert shown(fields=fields).rows["Golden record"] == [
        ["Field", "Value", "Origin"],
        ["legal name", "茶 GmbH", "erp · at first contact"],
        [
            "addresses",
            "billing, Hauptstr. 1, 2. OG, yes",
            "shop · latest · 2026-03-02 15:00 · 2 said otherwise",
        ],
        ["credit limit", "1\u202f234\u202f567.50 EUR", "erp · authority · at first contact"],
        ["parent", "par_9", "erp · only · at first contact"],
        ["vip", "no", "crm · only · at first contact"],
        ["branch", "7", "crm · only · at first contact"],
    ]


def touch_point(**parts: object) -> TouchPoint:
    empty: dict[str, object] = dict.fromkeys(TouchPoint.__slots__)
    return TouchPoint(**{**empty, "id": "int_1", "systems": (), **parts})  # type: ignore[arg-type]


def test_contacts_tell_who_spoke_about_what_and_what_comes_next() -> None:
    call = touch_point(
        at="2026-03-01T08:00:00+00:00",
        channel="phone",
        direction="inbound",
        by="zhao.lei",
        subject="茶壶",
        content="is broken",
        outcome="new one promised",
        next_action_at="2026-03-04",
        systems=SHOP,
    )
    page = shown(touch_points=[call, touch_point(channel="email", subject="مرحبا")])
    assert page.rows["Contacts"] == [
        ["When", "How", "By", "About", "Outcome", "Known to"],
        [
            "2026-03-01 11:00",
            "inbound phone",
            "zhao.lei",
            "茶壶 / is broken",
            "new one promisednext: 2026-03-04",
            "shop: in progress, erp (gone)",
        ],
        ["", "email", "", "مرحبا", "", ""],
    ]


def test_the_last_contact_and_order_stand_in_front() -> None:
    call = touch_point(at="2026-03-01T08:00:00", channel="phone", by="zhao.lei", outcome="会再来")
    silent = touch_point(at="soon", channel="phone")
    order = whole_order()
    page = html(Customer360("p", "n", None, None, touch_points=[call, silent], orders=[order]))
    text = "".join(part.partition(">")[2] for part in page.split("<"))
    assert "2026-03-01T08:00:00 · phone · by zhao.lei会再来" in text
    assert "SO-1 · 2026-02-01 · 19.00 EUR · in progress" in text
    page = html(Customer360("p", "n", None, None, touch_points=[silent]))
    assert "soon · phone</dd>" in page.replace('<bdi dir="auto">', "").replace("</bdi>", "")


def whole_order() -> OrderView:
    money = {"amount": "19", "currency": "EUR"}
    lines = (
        LineView(
            "龙井茶",
            "T-1",
            {"value": "2", "unit": "C62"},
            {"amount": "9.5", "currency": "EUR"},
            money,
            "open",
        ),
        LineView("Sencha", None, {"value": "0.5", "unit": "KGM"}, None, None, None),
        LineView("gift", None, None, None, None, None),
    )
    return OrderView(
        "so_1",
        "SO-1",
        "shop",
        "web",
        "2026-02-01",
        "in_progress",
        "open",
        None,
        lines,
        money,
        None,
        money,
        SHOP,
    )


def test_an_order_is_shown_with_its_lines_and_totals() -> None:
    page = shown(orders=[whole_order()])
    assert page.rows["Order SO-1"] == [
        ["Product", "Article", "Quantity", "Price", "Net", "Status"],
        ["龙井茶", "T-1", "2", "9.50 EUR", "19.00 EUR", "open"],
        ["Sencha", "", "0.5 KGM", "", "", ""],
        ["gift", "", "", "", "", ""],
    ]
    assert page.numbers == {"Quantity", "Price", "Net"}
    head, _, foot = page.around["Order SO-1"].strip().partition("(gone)")
    assert head == "2026-02-01 · web · in progress open · shop: in progress, erp "
    assert foot.split("\n")[-1].startswith("net 19.00 EUR · total 19.00 EUR")


def test_cases_shipments_and_invoices_say_how_they_stand() -> None:
    case = CaseView(
        "case_1",
        "R-1",
        "茶壶碎了",
        None,
        "open",
        True,
        None,
        "li.na",
        "2026-02-01",
        "2026-02-03",
        "sent",
        "SO-1",
        SHOP,
    )
    waiting = ShipmentView(
        "s", "DN-1", "SO-1", "shipped", "DHL", "00340", "2026-02-02", None, "2026-02-05", "in transit", ()
    )
    arrived = ShipmentView(
        "t", "DN-2", "", "delivered", None, None, None, "2026-02-04", "2026-02-05", "", SHOP
    )
    bill = {"amount": "1000", "currency": "JPY"}
    invoice = InvoiceView(
        "i", "RE-1", "credit_note", "open", True, "2026-02-06", "2026-03-06", bill, bill, SHOP
    )
    page = shown(
        cases=[case],
        shipments=[waiting, arrived],
        invoices=[invoice],
        open_amounts={"JPY": "1000", "EUR": "1"},
    )
    assert page.rows["Cases"] == [
        ["Number", "About", "Status", "Who", "When", "Order", "Known to"],
        [
            "R-1",
            "茶壶碎了 / sent",
            "open",
            "li.na",
            "2026-02-01 – 2026-02-03",
            "SO-1",
            "shop: in progress, erp (gone)",
        ],
    ]
    assert page.rows["Shipments"] == [
        ["Number", "Order", "Status", "Carrier", "Shipped", "Delivered", "Last event", "Known to"],
        ["DN-1", "SO-1", "shipped", "DHL / 00340", "2026-02-02", "expected 2026-02-05", "in transit", ""],
        ["DN-2", "", "delivered", "", "", "2026-02-04", "", "shop: in progress, erp (gone)"],
    ]
    assert page.rows["Invoices"] == [
        ["Number", "Kind", "Status", "Issued", "Due", "Total", "Open", "Known to"],
        [
            "RE-1",
            "credit note",
            "open",
            "2026-02-06",
            "2026-03-06",
            "1\u202f000 JPY",
            "1\u202f000 JPY",
            "shop: in progress, erp (gone)",
        ],
    ]


def test_what_is_to_be_paid_is_told_by_currency_with_the_decimals_that_it_has() -> None:
    amounts = {"JPY": "1000", "EUR": "1", "KWD": "0.5", "USD": "0.125", "?": "many"}
    page = html(Customer360("p", "n", None, None, open_amounts=amounts))
    text = "".join(part.partition(">")[2] for part in page.split("<"))
    assert "1\u202f000 JPY + 1.00 EUR + 0.500 KWD + 0.125 USD + many ?" in text


def test_relatives_duplicates_and_records_are_listed() -> None:
    page = shown(
        relatives=[Relative("par_9", "茶 GmbH", "part of")],
        duplicates=[Duplicate("par_8", "Wang", "has the same email")],
        links=[
            LinkView("shop", "customers", "s1", "live", read_at=NOON),
            LinkView("erp", "p", "7", "out", part="buyer"),
        ],
        tombstones=[
            LinkView("crm", "contacts", "c1", "gone", gone_at=NOON, deleted_by_us=True),
            LinkView("crm", "contacts", "c2", "archived", gone_at=NOON),
        ],
    )
    assert page.rows["Related"] == [["Relation", "Name", "Id"], ["part of", "茶 GmbH", "par_9"]]
    assert page.rows["Perhaps the same customer"][1] == ["Wang", "par_8", "has the same email"]
    assert page.kinds == {"Perhaps the same customer": "warning", "Related": "", "Records in the systems": ""}
    assert page.rows["Records in the systems"] == [
        ["System", "Record", "State", "Read"],
        ["shop", "customers s1", "live", "2026-03-02 15:00"],
        ["erp", "p 7 part buyer", "out", ""],
        ["crm", "contacts c1", "gone 2026-03-02 15:00 by crmbridge", ""],
        ["crm", "contacts c2", "archived 2026-03-02 15:00", ""],
    ]


def test_a_column_that_says_nothing_is_left_out() -> None:
    page = shown(invoices=[InvoiceView("i", "RE-1", None, None, True, None, None, None, None, ())])
    assert page.rows["Invoices"] == [["Number"], ["RE-1"]]
