"""A connector is foreign code: whatever it raises or gives, the other systems go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.runner import Stage

OF_A_STREAM = ("pull", "list_ids", "get_many", "search", "push")
METHODS = ("open", "streams", "fingerprint", "poll", *OF_A_STREAM)


def stage(folder: Path, **behaviour: Any) -> Stage:
    """Three systems of one customer; the CRM has an operation of unknown outcome, and another is to come."""
    customer = {"name": "Åsa Öberg", "mail": "asa@example.se"}
    systems: dict[str, Any] = {
        name: {"mapping": "flat", "records": {"customers": {name: customer}}}
        for name in ("erp", "crm", "shop")
    }
    systems["crm"]["behaviour"] = {"versions": False, "deletes": "sweep", **behaviour}
    flows = {"party": {"between": ["erp", "crm", "shop"]}}
    built = Stage(folder, {"config": {"country": "SE", "sync": flows}, "systems": systems})
    built.do_approve({"plan": []})
    built.do_add({"erp/customers/E2": {"name": "Björn Ås"}})
    built.do_fault({"crm": [] if behaviour else ["lost after"]})
    built.do_sync({"exit": 0 if behaviour else 3})
    built.do_edit({"erp/customers/erp": {"note": "VIP"}})
    return built


@pytest.mark.parametrize("how", ["raises", "exits", "nonsense"])
@pytest.mark.parametrize("method", METHODS)
def test_a_connector_that_misbehaves_stops_its_own_system_only(tmp_path: Path, method: str, how: Any) -> None:
    if (method, how) == ("open", "nonsense"):
        how = "raises"  # what is opened is always a connector
    built = stage(tmp_path, **({"accepts_first": True} if method == "poll" else {}))
    crm = built.memory["crm"]
    crm.behaviour.odd = {method: how}
    place = "crm/customers: " if method in OF_A_STREAM else "crm"
    built.do_sync({"exit": 1, "tells": [place] if method not in ("open", "streams") else []})
    assert built.memory["shop"].live("customers")["shop"]["note"] == "VIP"
    assert crm.live("customers")["crm"].get("note") is None

    crm.behaviour.odd = {}
    built.do_sync({})
    built.do_sync({"plan": []})
    assert crm.live("customers")["crm"]["note"] == "VIP"
    assert len(crm.live("customers")) == 2, "nothing was made twice"


def test_what_was_written_before_a_connector_broke_is_not_written_again(tmp_path: Path) -> None:
    built = stage(tmp_path)
    built.do_sync({})
    built.do_add({"erp/customers/E3": {"name": "Žofie Černá"}})
    built.do_fault({"crm": ["broken after"]})
    built.do_sync({"exit": 1, "tells": ["crm/customers: the connector failed: RuntimeError: push is broken"]})
    built.do_sync({})
    built.do_sync({"plan": []})
    assert len(built.memory["crm"].live("customers")) == 3


@pytest.mark.parametrize(
    ("how", "says"), [("raises", "RuntimeError: close is broken"), ("exits", "SystemExit: 0")]
)
def test_a_connector_that_cannot_even_be_closed_has_done_its_work(
    tmp_path: Path, how: Any, says: str
) -> None:
    built = stage(tmp_path)
    built.memory["crm"].behaviour.odd = {"close": how}
    with built.bridge() as bridge:
        told: list[str] = []
        bridge.listeners.append(lambda event: told.append(event.text))
        assert bridge.sync().exit_code == 0
    (text,) = (text for text in told if "crm" in text)
    assert text.startswith(f"crm: the connector failed: {says}")
    assert text.endswith(", when it was closed")
    assert built.memory["crm"].live("customers")["crm"]["note"] == "VIP"
