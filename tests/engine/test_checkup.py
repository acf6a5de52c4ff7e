"""What `check` says of fields that a system requires."""

from __future__ import annotations

from typing import Any

import pytest

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine.checkup import examine
from crmbridge.identity.policy import Policy
from tests.engine.world import World

TEXT = """
stream: customers
entity: party
fields:
  display_name: name
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
