"""When a flow is another one, so that somebody has to agree to it."""

from __future__ import annotations

from pathlib import Path

from crmbridge import demo
from crmbridge.bridge import Bridge


def fingerprint(folder: Path, before: str, after: str) -> str:
    """Of the flow of customers, after a change of the demo's config."""
    demo.write(folder)
    config = folder / "crmbridge.yaml"
    text = config.read_text(encoding="utf-8")
    assert before in text
    config.write_text(text.replace(before, after), encoding="utf-8")
    with Bridge.open(config) as bridge:
        return next(flow.fingerprint for flow in bridge.flows() if flow.entity == "party")


def test_the_order_of_lines_makes_no_other_flow_and_who_decides_does(tmp_path: Path) -> None:
    first, second = "      display_name: [crm, shop]\n", "      credit_limit: [sales]\n"
    as_it_is = fingerprint(tmp_path / "a", first, first)
    assert fingerprint(tmp_path / "b", first + second, second + first) == as_it_is
    assert fingerprint(tmp_path / "c", first, "      display_name: [shop, crm]\n") != as_it_is
