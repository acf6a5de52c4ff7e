"""docs/concepts.md explains every rule, in its section, and no rule that there is not."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from crmbridge.identity.link import UNSET, Link, Reading, Stamp, observe, wrote
from crmbridge.identity.policy import Policy
from crmbridge.identity.shape import shape_of
from crmbridge.identity.survive import Golden, merge
from crmbridge.sdk import errors
from crmbridge_schemas.party import Party
from tests.docs.reading import DOCS, ROOT

TEXT = (DOCS / "concepts.md").read_text(encoding="utf-8")
RULE = re.compile(r"^(?P<id>[a-z]+\.[a-z-]+): ", re.MULTILINE)
SECTION = re.compile(r"^##? (?P<number>[0-9])\. (?P<body>.*?)(?=^##? [0-9]\. |\Z)", re.MULTILINE | re.DOTALL)


def sections(text: str) -> dict[int, str]:
    return {int(found["number"]): found["body"] for found in SECTION.finditer(text)}


def written_rules() -> dict[int, set[str]]:
    text = (ROOT / "tests/scenarios/rules.yaml").read_text(encoding="utf-8")
    return {number: set(RULE.findall(body)) for number, body in sections(text).items()}


def named(text: str) -> set[str]:
    kinds = {rule.partition(".")[0] for rules in written_rules().values() for rule in rules}
    return {name for name in re.findall(r"`([a-z]+\.[a-z-]+)`", text) if name.partition(".")[0] in kinds}


def test_the_sections_are_those_that_the_rules_refer_to() -> None:
    assert sorted(sections(TEXT)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_every_rule_is_explained_and_every_name_is_a_rule() -> None:
    rules = set().union(*written_rules().values())
    assert len(rules) > 60
    assert named(TEXT) ^ rules == set()


def test_a_rule_is_explained_in_the_section_under_which_it_is_listed() -> None:
    explained = sections(TEXT)
    astray = {
        number: rules - named(explained[number]) for number, rules in written_rules().items() if number <= 5
    }
    assert astray == {number: set() for number in astray}


def test_the_exit_codes_are_those_of_the_errors() -> None:
    listed = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", sections(TEXT)[8], re.MULTILINE)}
    raised = {getattr(errors, name).exit_code for name in errors.__all__}
    assert raised <= listed


def test_the_picture_is_well_formed_says_what_it_shows_and_loads_nothing() -> None:
    (name,) = re.findall(r"!\[[^]]+\]\(([^)]+\.svg)\)", TEXT)
    picture = ET.parse(DOCS / name).getroot()
    tags = {element.tag.rpartition("}")[2] for element in picture.iter()}
    assert {"title", "desc"} <= tags
    assert not tags & {"script", "image", "foreignObject", "use"}
    assert "viewBox" in picture.attrib


def test_the_worked_example_is_what_happens() -> None:
    table = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in TEXT.splitlines()]
    told = [[cell.replace("`", "").replace("*", "") for cell in row] for row in table if len(row) == 6][2:]
    happened = example()
    assert [row[1:5] for row in told] == [state for state, _ in happened]
    for row, (_, golden) in zip(told, happened, strict=True):
        value, _, origin = row[5].removesuffix(", nothing to do").partition(", from ")
        assert golden.value("note") == value
        assert origin in ("", golden.decisions["note"].system)


def example() -> list[tuple[list[str], Golden]]:
    """What is known of the list, and the golden record, after each row."""
    shape, policy = shape_of(Party), Policy("party", ["sales", "shop", "crm"])
    sales, shop = Link(1, "sales", "customers", "K-1"), Link(2, "shop", "customers", "1")
    rows: list[tuple[list[str], Golden]] = []

    def row() -> None:
        golden = merge(shape, policy, [sales, shop], lambda _, ref: ref)
        rows.append((said(sales), golden))

    observe(sales, {"note": "111"}, Reading(shape, Stamp(0), versioned=False))
    observe(shop, {"note": "111"}, Reading(shape, Stamp(0), versioned=False))
    row()
    observe(shop, {"note": "222"}, Reading(shape, Stamp(1005), versioned=False))
    row()
    wrote(sales, "note", rows[-1][1].decisions["note"].winner, "0222", 1004)
    row()
    observe(sales, {"note": "0222"}, Reading(shape, Stamp(1006), versioned=False))
    row()
    observe(sales, {"note": "333"}, Reading(shape, Stamp(1100), versioned=False))
    row()
    return rows


def said(link: Link) -> list[str]:
    state = link.fields["note"]
    assert state.own is not None
    when = f"{state.own.time // 100}:{state.own.time % 100:02}" if state.own.time else "first contact"
    rest = (state.seen, state.sent.value if state.sent else UNSET, state.before)
    return [f"{state.own.value}, {when}", *("" if value is UNSET else str(value) for value in rest)]
