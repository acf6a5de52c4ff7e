"""The page of a customer, as a real browser shows it: at a desk, on a phone, on paper, and offline."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from crmbridge.views.page import html
from crmbridge.views.view import customer
from tests.browser import Browser, browser
from tests.engine import customers
from tests.engine.customers import add, call, golden, tea_company

HOSTILE = (
    "<script>alert(1)</script><img src=https://example.org/x.png onerror=alert(2)><style>*{color:red}</style>"
)
LONG = "Donaudampfschifffahrtsgesellschaftskapitän" * 8
WIDTHS = pytest.mark.parametrize("width", [1280, 390, 320])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages of a Chinese and of an Arabic customer whose records are not kind to a page."""
    world = tea_company()
    customers.fill(world)
    add(world, "crm", "customers", "c3", name=LONG, mail="maha@example.org", owner=HOSTILE)
    add(world, "crm", "calls", "k3", **call("c1", "2026-03-01T08:00:00+00:00", LONG, HOSTILE))
    add(
        world, "crm", "calls", "k4", **call("c2", "2026-03-01T08:00:00+00:00", "محمد", "تريد مكالمة في 5 May")
    )
    world.sync()
    folder = tmp_path_factory.mktemp("pages")
    for native_id in ("c1", "c2", "c3"):
        shown = customer(world.run(), golden(world, "crm", native_id))
        text = html(shown, zone=ZoneInfo("Europe/Berlin"))
        (folder / f"{native_id}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@WIDTHS
@pytest.mark.parametrize("name", ["c1", "c2", "c3"])
def test_nothing_sticks_out_to_the_side(chromium: Browser, pages: Path, name: str, width: int) -> None:
    chromium.open(pages / f"{name}.html", width)
    assert chromium.ask("document.documentElement.scrollWidth") <= width
    outside = "e => e.getBoundingClientRect().right > innerWidth + 1"
    found = f"[...document.querySelectorAll('body *')].filter({outside}).map(e => e.outerHTML.slice(0, 80))"
    assert chromium.ask(found) == []


@pytest.mark.parametrize("name", ["c1", "c2", "c3"])
def test_nothing_is_loaded_and_nothing_runs(chromium: Browser, pages: Path, name: str) -> None:
    path = pages / f"{name}.html"
    chromium.open(path, 1280)
    assert [one["request"]["url"] for one in chromium.told("Network.requestWillBeSent")] == [path.as_uri()]
    assert chromium.ask("document.scripts.length + document.images.length") == 0
    for kind in ("Page.javascriptDialogOpening", "Log.entryAdded", "Runtime.exceptionThrown"):
        assert chromium.told(kind) == []


def test_what_is_known_can_be_read(chromium: Browser, pages: Path) -> None:
    chromium.open(pages / "c1.html", 1280)
    text = chromium.ask("document.body.innerText")
    for known in (
        "王小明",
        "茶很好 👍",
        "2026-02-25 10:00",
        "SO-2",
        "龙井茶 100 g",
        "DN-1",
        "20.00 EUR",
        "茶壶碎了",
        HOSTILE,
    ):
        assert known in text
    assert chromium.ask("document.characterSet") == "UTF-8"


@pytest.mark.parametrize(("name", "direction"), [("c1", "ltr"), ("c2", "rtl")])
def test_each_script_runs_its_own_way(chromium: Browser, pages: Path, name: str, direction: str) -> None:
    chromium.open(pages / f"{name}.html", 1280)
    assert chromium.ask("getComputedStyle(document.querySelector('h1 bdi')).direction") == direction
    assert chromium.ask("getComputedStyle(document.body).direction") == "ltr"


def test_on_a_phone_each_value_has_its_name_beside_it(chromium: Browser, pages: Path) -> None:
    named = "getComputedStyle(document.querySelector('td'), '::before').content"
    heads = "document.querySelector('thead').getBoundingClientRect().width"
    chromium.open(pages / "c1.html", 1280)
    assert chromium.ask(named) == "none"
    assert chromium.ask(heads) > 400
    chromium.open(pages / "c1.html", 390)
    assert chromium.ask(named) in ('"Field"', "attr(data-name)")
    assert chromium.ask(heads) <= 1


def test_on_paper_it_is_black_on_white_and_whole(chromium: Browser, pages: Path) -> None:
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    chromium.open(pages / "c1.html", 1280)
    chromium.command("Emulation.setEmulatedMedia", media="screen", features=dark)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert chromium.ask(ground) != "rgb(255, 255, 255)"
    chromium.command("Emulation.setEmulatedMedia", media="print", features=dark)
    assert chromium.ask(ground) == "rgb(255, 255, 255)"
    assert chromium.ask("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    paper = base64.b64decode(chromium.command("Page.printToPDF")["data"])
    assert paper.startswith(b"%PDF-")
    chromium.command("Emulation.setEmulatedMedia", media="", features=[])
