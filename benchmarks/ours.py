"""What crmbridge takes for the same customers, its start from a config included.

python -m benchmarks.ours pull cursor|full URL STATE     the pull into the state alone
python -m benchmarks.ours sync STATE URL TARGET-URL      a whole sync into a second, empty system
python -m benchmarks.ours find STATE URL TARGET-URL      what people look for there: prints the slowest answer
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crmbridge.cli import garbage

if TYPE_CHECKING:
    from crmbridge.bridge import Bridge

HERE = Path(__file__).parent
CONFIG = """
state: sqlite:///{state}
plugins: ["{here}/connector.py"]
mappings: ["{here}/mappings"]
country: DE
systems:
  shop: {{connector: bench, url: "{url}", read: {read}, mode: read-only}}
  crm: {{connector: bench, url: "{target}", writable: true}}
sync:
  party: {{from: shop, to: [crm]}}
"""


def main(what: str, *arguments: str) -> None:
    """See the module's docstring. It starts as the command does: everything else is imported later."""
    garbage.not_yet()
    if what == "pull":
        read, url, state = arguments
        with opened(Path(state), url, read, url) as bridge:
            pull(bridge)
    else:
        state, url, target = arguments
        with opened(Path(state), url, "full", target) as bridge:
            find(bridge) if what == "find" else sync(bridge)


def opened(state: Path, url: str, read: str, target: str) -> Bridge:
    """A bridge from the shop to the CRM; its config is written beside the state."""
    from crmbridge.bridge import Bridge

    config = state.with_name("crmbridge.yaml")
    base, to = (address.rpartition("/")[0] for address in (url, target))
    config.write_text(CONFIG.format(state=state, here=HERE, url=base, read=read, target=to), encoding="utf-8")
    bridge = Bridge.open(config)
    garbage.rarely()
    return bridge


def pull(bridge: Bridge) -> None:
    """Bring the shop's customers into the state."""
    from crmbridge.engine.pull import pull_system
    from crmbridge.engine.run import Run
    from crmbridge.store.rows import RunRow

    shop = bridge.system("shop")
    limits = bridge.config.settings.limits
    run = Run(
        bridge.store, {"shop": shop}, bridge.flows(), limits, bridge.clock, lambda _: None, bridge.sleep
    )
    with bridge.store.lock("pull"):
        with bridge.store.transaction():
            run.id = bridge.store.begin_run(RunRow(command="pull", started_at=run.now()))
        pull_system(run, shop)
    if shop.failure:
        raise shop.failure


def sync(bridge: Bridge) -> None:
    """Bring both systems into agreement, as one does after the first plan was approved."""
    from crmbridge.bridge import Options

    with bridge.store.transaction():
        bridge.store.put_setting("approved:party:crm", "1")
    outcome = bridge.sync(Options(allow=frozenset({"creates"})))
    if outcome.exit_code:
        raise SystemExit(f"exit code {outcome.exit_code}: {outcome}")


def find(bridge: Bridge) -> None:
    """Look for customers as people do, by what one of them has and by the commonest words; print the seconds
    and CPU seconds of the slowest question."""
    from crmbridge.views.find import find as find_records

    find_records(bridge.store, "+49 30 1", region="DE")  # what is imported at the first question
    slowest = (0.0, 0.0)
    for question in questions(bridge):
        wall, cpu = time.perf_counter(), time.process_time()
        if not find_records(bridge.store, question, region="DE"):
            raise SystemExit(f"nothing is found by {question!r}")
        slowest = max(slowest, (time.perf_counter() - wall, time.process_time() - cpu))
    print(*slowest)


def questions(bridge: Bridge) -> list[str]:
    """What is typed: of every hundredth of a thousand customers the name, its words and first letter, all
    ways to reach it and the end of a number."""
    import json

    ids = bridge.store.golden_ids("party", "", 1000)[::100]
    asked: list[str] = []
    for row in bridge.store.goldens(ids).values():
        doc = json.loads(row.doc)
        name = doc["display_name"]
        reach = [point["value"] for point in doc.get("contact_points") or ()]
        asked += [name, *name.split(), name[:1], *reach, *(r[-7:] for r in reach if r[-7:].isdigit())]
    return asked


if __name__ == "__main__":
    main(*sys.argv[1:])
