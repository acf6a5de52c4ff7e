"""docs/mappings.md: every example compiles, reads what it says it reads, and writes it back."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crmbridge.config import load_config
from crmbridge.mapping import Mapping, load_mappings
from crmbridge.sdk.errors import ConfigError
from crmbridge_schemas.registry import ENTITIES
from tests.docs.reading import DOCS, Block, blocks

DOCUMENT = DOCS / "mappings.md"
TRYTON = DOCS.parent / "plugins/tryton/crmbridge_tryton/mappings"
CONFIG = "systems:\n  shop: {connector: memory}\n  erp: {connector: tryton}\n"
ALL = blocks(DOCUMENT)
MAPPINGS = [index for index, block in enumerate(ALL) if block.language == "yaml"]
EXAMPLES = [index for index in MAPPINGS if index + 1 < len(ALL) and ALL[index + 1].language == "json"]


def loaded(folder: Path, text: str, shipped: Path | None = None) -> Mapping:
    whole = text if "stream:" in text else f"system: shop\nstream: rows\n{text}"
    (folder / "mappings").mkdir()
    (folder / "crmbridge.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "mappings" / "shop-customers.yaml").write_text(whole, encoding="utf-8")
    # The plugin's own codecs are not asked for: only the order of things is of interest here.
    return load_mappings(load_config(folder / "crmbridge.yaml"), {"erp": shipped}, ENTITIES).all[0]


def parsed(block: Block) -> Any:
    return json.loads(block.text, parse_float=Decimal)


def test_every_mapping_but_the_override_has_an_example() -> None:
    assert len(EXAMPLES) == len(MAPPINGS) - 1 >= 9


@pytest.mark.parametrize("index", EXAMPLES, ids=[ALL[i].before.strip().splitlines()[0] for i in EXAMPLES])
def test_an_example_reads_and_writes_what_the_page_shows(index: int, tmp_path: Path) -> None:
    mapping = loaded(tmp_path, ALL[index].text)
    native, canonical = parsed(ALL[index + 1]), parsed(ALL[index + 2])
    assert mapping.admits(native)
    assert mapping.read(native) == canonical
    written = mapping.write(canonical)
    assert written
    assert mapping.read({**native, **written}) == canonical


def test_the_override_keeps_the_shipped_fields_that_it_does_not_name(tmp_path: Path) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "party.yaml").write_text(
        "stream: party.party\nentity: party\n"
        "fields: {display_name: name, locale: lang, payment_terms: customer_payment_term.name}\n",
        encoding="utf-8",
    )
    override = next(block for block in ALL if block.path == "mappings/erp-parties.yaml")
    mapping = loaded(tmp_path, override.text, shipped)
    read = mapping.read(
        {"name": " Zoë ", "lang": "de", "comment": "x", "customer_payment_term": {"name": "y"}}
    )
    assert read == {"display_name": "Zoë", "locale": "de", "note": "x"}


def test_the_fields_that_the_override_changes_are_shipped_by_tryton() -> None:
    shipped = (TRYTON / "party.yaml").read_text(encoding="utf-8")
    assert "\n  display_name: name\n" in shipped
    assert "\n  payment_terms: " in shipped


def test_the_mistake_that_the_page_shows_is_reported_so(tmp_path: Path) -> None:
    first = ALL[MAPPINGS[0]].text.replace("display_name", "displayname")
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, first.partition("\n")[2])
    shown = next(block.text.strip() for block in ALL if block.language == "text")
    assert shown in str(caught.value).replace(f"{tmp_path}/", "")
