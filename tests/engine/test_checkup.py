"""What `check` says of fields that a system requires."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine.checkup import examine
from crmbridge.identity.policy import Policy
from crmbridge.store.rows import NoteRow
from tests.engine.world import World

TEXT = """
stream: customers
entity: party
fields:
  display_name: name
"""
PRODUCTS = """
stream: products
entity: product
fields: {sku: sku}
"""


@pytest.mark.parametrize(
    ("mode", "options", "warned"),
    [
        ("live", {}, True),
        ("shadow", {}, True),
        ("read-only", {}, False),
        ("live", {"create": {"party": {}}}, False),
        (
            "live",
            {
                "behaviours": {
                    "crm": Behaviour(required=frozenset({"手机"}), operations=frozenset({"update"}))
                }
            },
            False,
        ),
    ],
)
def test_a_required_field_matters_only_where_records_are_created(
    mode: Any, options: dict[str, Any], warned: bool
) -> None:
    given = {"behaviours": {"crm": Behaviour(required=frozenset({"手机"}))}, **options}
    world = World({"crm": [TEXT], "erp": [TEXT]}, [Policy("party", ("erp", "crm"))], **given)
    world.memory["crm"].add("customers", name="Ann", 手机="1")
    run = world.run()
    run.systems["crm"].mode = mode
    found = [line for line in examine(run.systems["crm"], run.flows, {}, []) if "requires" in line.text]
    assert bool(found) is warned


def told(mode: Any, notes: list[NoteRow] | None = None, **behaviour: Any) -> dict[str, list[str]]:
    """Topic -> what is said of a CRM that gets customers from an ERP."""
    mappings = {"erp": [TEXT + "  note: note\n"], "crm": [TEXT, PRODUCTS]}
    policies = [Policy("party", ("erp", "crm"))]
    world = World(mappings, policies, {"crm": Behaviour(**behaviour)}, targets={"party": ["crm"]})
    run = world.run()
    run.systems["crm"].mode = mode
    found: dict[str, list[str]] = {}
    for line in examine(run.systems["crm"], run.flows, {"party": frozenset({"note", "owner"})}, notes or []):
        assert line.system == "crm"
        found.setdefault(line.topic, []).append(f"{line.level}: {line.text}")
    return found


def test_how_well_a_system_is_protected_is_told_where_it_is_written() -> None:
    assert told("live")["protection"] == [
        "ok: record versions: an edit made at the same moment is noticed by the system itself",
        "ok: a lost answer to a create is looked up by bridge_mark",
    ]
    assert "protection" not in told("shadow")
    assert "protection" not in told("read-only")
    less = told("live", versions=False, search_mark=None, search_keys=("mail", "name"))["protection"]
    assert less[0].startswith("warning: no record versions")
    assert less[1] == "ok: a lost answer to a create is looked up by mail, name"
    assert told("live", upsert_key="mail")["protection"][1] == "ok: a create can be repeated by mail"
    assert told("live", search_mark=None)["protection"][1].startswith("warning: no key to look up creates by")
    updates = told("live", versions=False, operations=frozenset({"update"}))["protection"]
    assert [text.partition(":")[0] for text in updates] == ["warning"]
    creates = told("live", versions=False, operations=frozenset({"create"}))["protection"]
    assert creates == ["ok: a lost answer to a create is looked up by bridge_mark"]


def test_a_system_that_is_to_be_written_and_cannot_be_is_told() -> None:
    found = told("live", operations=frozenset())["capabilities"]
    assert found[0].startswith("ok: read-only; reads what changed; deletes come as a feed")
    assert found[1] == "warning: is read-only, so that sync.party writes nothing here"
    assert len(told("shadow", operations=frozenset())["capabilities"]) == 1
    (plain,) = told("live", changed_since=False, deletes="sweep", operations=frozenset({"update", "create"}))[
        "capabilities"
    ]
    assert plain == (
        "ok: create, update; reads everything each time; deletes show by comparing whole listings"
    )


def test_what_a_system_cannot_hold_or_has_nothing_to_do_with_is_told() -> None:
    found = told("live", max_lengths={"name": 40, "other": 3})
    assert found["precision"] == ["ok: party.display_name: name holds 40 characters"]
    assert found["coverage"] == [
        "ok: is mapped to product, which no sync: names",
        "ok: party: cannot be written here: owner, note",
    ]


def test_what_a_system_stored_otherwise_is_told_with_the_last_example() -> None:
    def note(path: str, text: str, system: str = "crm", entity: str = "party") -> NoteRow:
        return NoteRow(1, "altered", system, entity, "par_1", path, text)

    notes = [
        note("contact_points/cp_1/value", "first"),
        note("display_name", "asked for 'a', keeps 'A'"),
        note("contact_points/cp_2/value", "second"),
        note("display_name", "of another system", system="erp"),
        note("name", "of another entity", entity="product"),
    ]
    assert told("live", notes)["precision"] == [
        "warning: party.contact_points.value is stored otherwise than sent (2 times; last: second)",
        "warning: party.display_name is stored otherwise than sent (1 times; last: asked for 'a', keeps 'A')",
    ]
