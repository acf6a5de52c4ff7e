"""What crmbridge takes for the same customers, its start from a config included.

python -m benchmarks.ours pull cursor|full URL STATE     the pull into the state alone
python -m benchmarks.ours sync STATE URL TARGET-URL      a whole sync into a second, empty system
"""

from __future__ import annotations

import sys
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
            sync(bridge)


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


if __name__ == "__main__":
    main(*sys.argv[1:])
