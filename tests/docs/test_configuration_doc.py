"""docs/configuration.md: what it shows of custom fields and entities can be declared so."""

from __future__ import annotations

from pathlib import Path

from crmbridge.config import load_config
from tests.docs.reading import DOCS, blocks


def test_the_fields_and_entities_that_it_shows_can_be_declared(tmp_path: Path) -> None:
    (shown,) = (one for one in blocks(DOCS / "configuration.md") if one.text.startswith("custom_fields:"))
    config = tmp_path / "crmbridge.yaml"
    config.write_text(f"systems: {{erp: {{connector: memory}}}}\n{shown.text}", encoding="utf-8")
    entities = load_config(config).entities()
    assert {"nickname", "loyalty_number", "points"} <= entities["party"].model_fields.keys()
    assert entities["vehicle"].natural_key == ("plate",)
