"""README.md: the tour prints what it shows, and everything that it names is there."""

from __future__ import annotations

import re
import subprocess

from typer.main import get_command

from crmbridge.bridge import load_plugins
from crmbridge.cli.app import app
from tests.docs.reading import DOCS, ROOT, Reader

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_the_tour_prints_what_it_shows(reader: Reader) -> None:
    wrong = reader.follow(README)
    assert not wrong, "\n".join(wrong)


def test_every_make_target_exists() -> None:
    targets = set(
        re.findall(r"^([a-z]+):.*?##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = set(re.findall(r"\bmake ([a-z]+)\b", TEXT))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_the_layout_is_what_ls_shows() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    folders = {path.split("/")[0] for path in listed.stdout.splitlines() if "/" in path}
    shown = set(re.findall(r"^    (\w+)/ ", TEXT, re.MULTILINE))
    assert shown == {name for name in folders if not name.startswith(".")}


def test_the_table_lists_every_connector_and_no_other() -> None:
    listed = set(re.findall(r"^\| `(\w+)`", TEXT, re.MULTILINE))
    assert listed == load_plugins().connectors().keys()


def test_every_command_that_a_document_names_exists() -> None:
    known = get_command(app).commands.keys()  # type: ignore[attr-defined]
    named = {
        (path.name, command)
        for path in (README, *DOCS.glob("*.md"))
        for command in re.findall(r"`crmbridge ([a-z][a-z-]+)\b", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 10
    assert {(name, command) for name, command in named if command not in known} == set()


def test_every_link_leads_somewhere() -> None:
    broken = []
    for path in (README, ROOT / "CHANGELOG.md", *DOCS.glob("*.md"), *ROOT.glob("plugins/*/README.md")):
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(\s*([^)\s]+)\)", text):
            name, _, anchor = link.partition("#")
            if name.startswith("http"):
                continue
            target = (path.parent / name) if name else path
            if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_the_index_lists_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= set(
        re.findall(r"\(([\w-]+\.md)", index)
    )


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
