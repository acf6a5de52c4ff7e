"""The JSON Schemas: complete, up to date in the checkout, and refused when incompatible."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from crmbridge_schemas.custom import CustomField
from crmbridge_schemas.generate import json_schema, main
from crmbridge_schemas.registry import ENTITIES, build

FOLDER = Path(__file__).parents[2] / "schemas" / "json"


def test_the_checked_in_schemas_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--out", str(FOLDER)]) == 0, capsys.readouterr().err


def test_check_names_what_is_stale_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    (tmp_path / "crmbridge.schema.json").write_text("{}")
    assert main(["--check", "--out", str(tmp_path)]) == 0
    edited = tmp_path / "party.schema.json"
    edited.write_text(edited.read_text(encoding="utf-8").replace("birth_date", "born"), encoding="utf-8")
    (tmp_path / "price.schema.json").unlink()
    before = edited.read_text(encoding="utf-8")
    assert main(["--check", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "party.schema.json" in said
    assert "price.schema.json" in said
    assert "product.schema.json" not in said
    assert edited.read_text(encoding="utf-8") == before
    assert not (tmp_path / "price.schema.json").exists()


STANDARDS = (
    r"BCP 47|CSAT|E\.164|EN 16931|EPCIS|GDPR|GS1|ISO \d+|ITIL|OAGIS|OpenID|PROV-O|RFC \d+|schema\.org|UBL"
    "|UN/ECE|vCard"
)
SYSTEMS = "Dynamics 365|ERPNext|HubSpot|Odoo|Salesforce|SAP|ServiceNow|Shopify|Tryton"
SOURCE = re.compile(rf"\b({STANDARDS}|{SYSTEMS}|no standard)\b")


def descriptions(schema: dict[str, Any]) -> dict[str, str]:
    models = {schema["title"]: schema, **schema.get("$defs", {})}
    return {
        f"{model}.{field}": inner.get("description", "")
        for model, definition in models.items()
        for field, inner in definition["properties"].items()
    }


@pytest.mark.parametrize("name", ENTITIES)
def test_every_field_says_what_it_means_and_where_it_comes_from_and_null_is_no_default(name: str) -> None:
    schema = json_schema(ENTITIES[name])
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {field: text for field, text in descriptions(schema).items() if not SOURCE.search(text)} == {}
    assert [field for field, text in descriptions(schema).items() if len(SOURCE.sub("", text)) < 10] == []
    assert '"default": null' not in json.dumps(schema)
    assert schema["x-crmbridge"]["entity"] == name


def test_what_the_engine_knows_of_a_field_is_in_the_schema() -> None:
    party = json_schema(ENTITIES["party"])
    assert party["properties"]["display_name"]["x-crmbridge"] == {"identity": "name", "personal": "name"}
    assert party["properties"]["parent"]["x-crmbridge"] == {"refers_to": "party"}
    assert party["$defs"]["ContactPoint"]["properties"]["type"]["x-crmbridge"] == {
        "merge_key": True,
        "merge_as": {"mobile": "phone"},
    }
    assert party["x-crmbridge"]["matched"] is True
    assert "x-crmbridge" not in party["properties"]["kind"]


def test_a_custom_field_has_its_schema_too() -> None:
    declared = CustomField(type="ref", entity="party", description="Wer uns empfohlen hat")
    field = json_schema(build({"party": {"referrer": declared}})["party"])["properties"]["referrer"]
    assert field["description"] == "Wer uns empfohlen hat"
    assert field["x-crmbridge"] == {"refers_to": "party"}


def test_accepting_refuses_what_is_incompatible(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--accept", "--accepted", str(tmp_path)]) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        f"{name}.schema.json" for name, entity in ENTITIES.items() if not entity.experimental
    )
    file = tmp_path / "product.schema.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    schema["properties"]["colour"] = {"type": "string"}
    file.write_text(json.dumps(schema), encoding="utf-8")
    assert main(["--accept", "--accepted", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "product: colour: was removed\n"
    assert "colour" in json.loads(file.read_text(encoding="utf-8"))["properties"]
