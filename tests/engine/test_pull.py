"""What a reading is worth that was overtaken."""

from __future__ import annotations

from collections.abc import Iterable

from crmbridge.connectors.memory import Behaviour, MemoryConnector
from crmbridge.engine.pull import pull_system
from crmbridge.engine.results import Results
from crmbridge.engine.run import Run
from crmbridge.identity.policy import Policy
from crmbridge.sdk.connector import Cursor, Page
from tests.engine.world import World

FLAT = """
stream: customers
entity: party
fields:
  display_name: name
  note: note
  contact_points: [{slot: email, const: {type: email}, fields: {value: mail}}]
"""


class _Slow(MemoryConnector):
    """While a page is on its way the record is edited, and is read again for another reason."""

    run: Run

    def pull(self, stream: str, cursor: Cursor) -> Iterable[Page]:
        for page in super().pull(stream, cursor):
            self.memory.edit(stream, "C1", note="newest")
            run, system = self.run, self.run.systems["crm"]
            (known,) = run.store.records("crm", stream, ["C1"])
            (flow,) = run.flows
            (newest,) = self.get_many(stream, ["C1"])
            Results(run, system, flow, stream, "update").observe_again(known, newest)
            yield page


def test_a_page_that_was_asked_for_before_the_last_answer_is_older_than_it() -> None:
    world = World(
        {"erp": [FLAT], "crm": [FLAT]},
        [Policy("party", ("erp", "crm"))],
        {"crm": Behaviour(versions=False, times=False)},
    )
    world.memory["crm"].add("customers", "C1", name="Ann", mail="ann@example.org", note="first")
    world.sync()
    world.memory["crm"].edit("customers", "C1", note="on its way")

    run = world.run()
    crm = run.systems["crm"]
    crm.connector = _Slow.on(world.memory["crm"], crm.connector.checked.context)
    crm.connector.run = run
    pull_system(run, crm)

    (row,) = world.store.records("crm", "customers", ["C1"])
    assert '"newest"' in row.seen
    world.sync()
    assert world.only("erp")["note"] == "newest"


def test_what_is_unchanged_is_neither_mapped_nor_saved_again() -> None:
    world = World({"erp": [FLAT], "crm": [FLAT]}, [Policy("party", ("erp", "crm"))])
    for native_id, name in (("C1", "Ann"), ("C2", "王小明")):
        world.memory["crm"].add("customers", native_id, name=name, mail=f"{native_id}@example.org")
    world.sync()
    world.sync(full=True)

    def read_at() -> dict[str, int]:
        return {row.native_id: row.read_at for row in world.store.records("crm", "customers", ["C1", "C2"])}

    before = read_at()
    world.clock.sleep(60)
    world.memory["crm"].edit("customers", "C2", note="茶")
    world.sync(full=True)
    after = read_at()
    assert after["C1"] == before["C1"]
    assert after["C2"] > before["C2"]
