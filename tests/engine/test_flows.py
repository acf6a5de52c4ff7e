"""When a flow is another one, so that somebody has to agree to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from crmbridge import demo
from crmbridge.bridge import Bridge
from crmbridge.config import load_config
from crmbridge.mapping import load_mappings
from crmbridge_schemas.registry import ENTITIES


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


ACME = """
from crmbridge.connectors.memory import MemoryConnector
from crmbridge.sdk import Codec, hookimpl
from crmbridge_schemas.base import Entity

class Visit(Entity):
    entity_name = "visit"
    natural_key = ("title",)
    title: str | None = None

@hookimpl
def crmbridge_connectors(): return {"own": MemoryConnector}
@hookimpl
def crmbridge_codecs(): return {"trade": Codec(str, str)}
@hookimpl
def crmbridge_functions(): return {"trade": lambda text: text}
@hookimpl
def crmbridge_survivorship(): return {"first": lambda said: 0}
@hookimpl
def crmbridge_schemas(): return {"visit": Visit}
"""
CONFIG = """\
plugins: [./acme.py]
systems:
  erp: {connector: %(connector)s, world: erp}
  crm: {connector: memory, world: crm}
sync:
  %(entity)s: {between: [erp, crm], create: %(create)s, survivorship: {%(field)s: %(rule)s}}
"""
USES = {
    "entity": "party",
    "connector": "memory",
    "create": "always",
    "field": "display_name",
    "rule": "latest",
    "read": "{path: name}",
    "when": "a == 'b'",
}


def of_acme(folder: Path, acme: str, uses: dict[str, str]) -> str:
    """The fingerprint of the one flow of a config that uses this of a plugin."""
    said = {**USES, **uses}
    (folder / "mappings").mkdir(parents=True)
    (folder / "acme.py").write_text(acme, encoding="utf-8")
    (folder / "crmbridge.yaml").write_text(CONFIG % said, encoding="utf-8")
    for system in ("erp", "crm"):
        mapping = (
            "system: {system}\nstream: people\nentity: {entity}\nwhen: {when}\nfields: {{{field}: {read}}}\n"
        )
        path = folder / "mappings" / f"{system}.yaml"
        path.write_text(mapping.format(system=system, **said), encoding="utf-8")
    with Bridge.open(folder / "crmbridge.yaml") as bridge:
        (flow,) = bridge.flows()
        return flow.fingerprint


@pytest.mark.parametrize(
    "uses",
    [
        {"connector": "own"},
        {"read": "{path: name, as: trade}"},
        {"read": "{read: trade(name), write: never}"},
        {"when": "trade(name) == 'b'"},
        {"create": "{when: \"trade(display_name) == 'b'\"}"},
        {"rule": "first"},
        {"entity": "visit", "field": "title"},
    ],
    ids=lambda uses: " ".join(uses.values()),
)
def test_a_flow_is_another_one_when_a_plugin_that_it_uses_is_another_version(
    tmp_path: Path, uses: dict[str, str]
) -> None:
    as_it_is = of_acme(tmp_path / "a", ACME, uses)
    assert of_acme(tmp_path / "b", ACME, uses) == as_it_is, "wherever the same plugin stands"
    assert of_acme(tmp_path / "c", ACME + "# corrected\n", uses) != as_it_is


def test_a_plugin_that_a_flow_does_not_use_may_be_any_version(tmp_path: Path) -> None:
    assert of_acme(tmp_path / "a", ACME, {}) == of_acme(tmp_path / "b", ACME + "# corrected\n", {})


def test_a_mapping_is_another_one_in_another_version_of_crmbridge(tmp_path: Path) -> None:
    of_acme(tmp_path / "a", ACME, {})
    config = load_config(tmp_path / "a" / "crmbridge.yaml")

    def fingerprints(version: str) -> list[str]:
        made = load_mappings(config, {}, ENTITIES, version=lambda hook, name: version)
        return [mapping.fingerprint for mapping in made.all]

    assert fingerprints("crmbridge 1.0") == fingerprints("crmbridge 1.0")
    assert set(fingerprints("crmbridge 1.0")).isdisjoint(fingerprints("crmbridge 1.1"))
