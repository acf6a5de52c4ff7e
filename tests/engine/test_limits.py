"""What counts against which safety limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.runner import Stage


@pytest.mark.parametrize("deletes", ["archive", "delete"])
def test_what_is_archived_counts_as_what_is_deleted(tmp_path: Path, deletes: str) -> None:
    names = {"1": "ნინო", "2": "გიორგი", "3": "თამარ"}
    customers = {i: {"name": name, "mail": f"{i}@example.ge"} for i, name in names.items()}
    systems: dict[str, Any] = {
        name: {"mapping": "flat", "records": {"customers": customers}} for name in ("erp", "crm")
    }
    config = {"limits": {"deletes": 1}, "sync": {"party": {"between": ["erp", "crm"], "deletes": deletes}}}
    stage = Stage(tmp_path, {"config": config, "systems": systems})
    stage.do_approve({"plan": []})
    stage.do_delete("crm/customers/1")
    stage.do_sync({"plan": [{"erp": deletes, "id": "1"}]})
    stage.do_delete("crm/customers/2")
    stage.do_delete("crm/customers/3")
    reasons = ["2 deletes of party in erp", "limits.deletes", "--allow deletes"]
    stage.do_sync({"exit": 5, "reasons": reasons})
    assert len(stage.memory["erp"].live("customers")) == 2
    stage.do_sync({"allow": ["deletes"]})
    assert stage.memory["erp"].live("customers") == {}
