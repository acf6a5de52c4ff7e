"""Mapping files: shipped ones, a deployment's own, and what overrides what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crmbridge.config import load_config
from crmbridge.mapping import Mappings, check_against, load_mappings
from crmbridge.sdk.connector import Capabilities, FieldInfo, Stream
from crmbridge.sdk.errors import ConfigError
from crmbridge.sdk.hookspecs import Codec
from tests.mapping.making import ENTITIES, Firm

CONFIG = """
systems:
  erp: {connector: tryton}
  crm: {connector: tryton}
sync:
  thing: {between: [erp, crm]}
"""
SHIPPED = """stream: rows
entity: thing
when: active
fields:
  name: name
  kind: {path: type, values: {p: person}}
  note: remark
  points: {each: mechanisms, fields: {type: type, value: value}}
also:
  company: {entity: thing, key: company, fields: {name: company}}
"""


class Deployment:
    """A folder with a config, a connector's mappings and one's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "shipped").mkdir()
        (root / "mappings").mkdir()
        self.write("crmbridge.yaml", CONFIG)
        self.write("shipped/rows.yaml", SHIPPED)

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def load(self) -> Mappings:
        config = load_config(self.root / "crmbridge.yaml")
        shipped = dict.fromkeys(config.systems, self.root / "shipped")
        codecs = {"shout": Codec(lambda v: v + "!", lambda v: v.removesuffix("!"))}
        return load_mappings(config, shipped, ENTITIES, codecs, {"twice": lambda text: text + text})

    def error(self) -> str:
        with pytest.raises(ConfigError) as caught:
            self.load()
        return str(caught.value).replace(f"{self.root}/", "")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_each_system_of_a_connector_gets_its_mappings(deployment: Deployment) -> None:
    mappings = deployment.load()
    assert [m.system for m in mappings.all] == ["erp", "crm"]
    assert mappings.of_stream("erp", "rows") == mappings.of_entity("erp", "thing") == [mappings.all[0]]
    assert mappings.all[0].position.endswith("shipped/rows.yaml:1:1")


def test_an_override_replaces_a_field_that_says_where_it_stands(deployment: Deployment) -> None:
    deployment.write("mappings/a.yaml", "system: erp\nstream: rows\nentity: thing\nfields: {name: Firma}\n")
    erp, crm = deployment.load().all
    assert erp.read({"Firma": "x", "name": "y", "remark": "z"}) == {"name": "x", "note": "z"}
    assert crm.read({"Firma": "x", "name": "y"}) == {"name": "y"}


def test_an_override_that_does_not_say_where_a_field_stands_adds_to_it(deployment: Deployment) -> None:
    text = "system: [erp, crm]\nstream: rows\nentity: thing\nfields:\n"
    text += "  kind: {values: {gov: organization}}\n  note: {as: strip}\n"
    deployment.write("mappings/a.yaml", text)
    for mapping in deployment.load().all:
        assert mapping.read({"type": "p", "remark": " x "}) == {"kind": "person", "note": "x"}
        assert mapping.read({"type": "gov"}) == {"kind": "organization"}


@pytest.mark.parametrize(
    ("line", "native", "found"),
    [
        ("note: {const: same}", {"remark": "x"}, {"note": "same"}),
        ("note: {read: \"join('-', [a, b])\"}", {"a": "1", "b": "2", "remark": "x"}, {"note": "1-2"}),
        ("note: {path: other}", {"other": "y", "remark": "x"}, {"note": "y"}),
        ("note: {required: true}", {"remark": "x"}, {"note": "x"}),
        ("kind: {values: {o: organization}}", {"type": "o"}, {"kind": "organization"}),
        ("points: {each: numbers, fields: {type: t, value: v}}", {"numbers": []}, {"points": []}),
        ("points: {when: good}", {"mechanisms": [{"type": "email", "value": "a"}]}, {"points": []}),
    ],
)
def test_an_override_that_says_where_a_field_stands_takes_nothing_from_the_shipped_one(
    deployment: Deployment, line: str, native: dict[str, Any], found: dict[str, Any]
) -> None:
    deployment.write("mappings/own.yaml", f"system: erp\nstream: rows\nentity: thing\nfields: {{{line}}}\n")
    assert deployment.load().all[0].read(native) == found


def test_null_removes_a_shipped_field_and_a_shipped_further_record(deployment: Deployment) -> None:
    text = "system: erp\nstream: rows\nentity: thing\nfields: {note: null}\nalso: {company: null}\n"
    deployment.write("mappings/a.yaml", text)
    erp, crm = deployment.load().all
    assert not erp.reads("note")
    assert erp.also == ()
    assert crm.reads("note")
    assert len(crm.also) == 1


def test_an_override_may_change_when_and_nothing_else(deployment: Deployment) -> None:
    deployment.write("mappings/a.yaml", "system: erp\nstream: rows\nentity: thing\nwhen: has(vip)\n")
    erp = deployment.load().all[0]
    assert erp.admits({"vip": "x"})
    assert not erp.admits({"active": True})
    assert erp.reads("name")


def test_a_changed_override_changes_the_fingerprint_of_its_system_only(deployment: Deployment) -> None:
    before = [m.fingerprint for m in deployment.load().all]
    deployment.write("mappings/a.yaml", "system: erp\nstream: rows\nentity: thing\nfields: {name: Firma}\n")
    after = [m.fingerprint for m in deployment.load().all]
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)


def test_an_own_mapping_of_another_stream_stands_beside_the_shipped_one_and_before_it(
    deployment: Deployment,
) -> None:
    deployment.write(
        "mappings/a.yaml",
        "system: erp\nstream: other\nentity: thing\nfields: {name: n, kind: {const: person}}\n",
    )
    mappings = deployment.load()
    assert [m.stream for m in mappings.of_entity("erp", "thing")] == ["other", "rows"]
    person = mappings.target("erp", "thing", {"kind": "person"})
    assert person is not None
    assert person.stream == "other"
    assert mappings.target("erp", "thing", {"kind": "organization"}) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "stream: rows\nentity: thing\nfields: {}\n",
            "mappings/a.yaml:1:1: a mapping of your own says for which system",
        ),
        (
            "system: epr\nstream: rows\nentity: thing\nfields: {}\n",
            "mappings/a.yaml:1:9: there is no system 'epr'; did you mean 'erp'?",
        ),
        (
            "system: [erp, epr]\nstream: rows\nentity: thing\nfields: {}\n",
            "mappings/a.yaml:1:15: there is no system",
        ),
        (
            "system: erp\nstream: rows\nentity: thing\nfields: {nots: null}\n",
            "mappings/a.yaml:4:10: the connector's mapping has no 'nots' to remove; did you mean 'note'?",
        ),
        (
            "system: erp\nstream: rows\nentity: thing\nfields: {kind: {values: {g: gov}}}\n",
            "mappings/a.yaml:4:29: kind cannot be 'gov'",
        ),
        ("system: erp\nstream: new\nentity: thing\n", "mappings/a.yaml:1:1: fields: this key is required"),
        ("system: erp\nstream: rows\nentity: thing\nfields: {name: a: b}\n", "mappings/a.yaml:4:"),
    ],
)
def test_a_mistake_in_an_override_points_at_the_override(
    deployment: Deployment, text: str, says: str
) -> None:
    deployment.write("mappings/a.yaml", text)
    assert says in deployment.error()


def test_a_mistake_in_a_shipped_mapping_points_there_though_it_is_overridden(deployment: Deployment) -> None:
    deployment.write("shipped/rows.yaml", SHIPPED.replace("remark", "a..b"))
    deployment.write("mappings/a.yaml", "system: erp\nstream: rows\nentity: thing\nfields: {name: Firma}\n")
    assert "shipped/rows.yaml:7:9: expected a name in the path" in deployment.error()


def test_two_mappings_of_one_stream_and_entity_are_refused(deployment: Deployment) -> None:
    deployment.write("shipped/again.yaml", SHIPPED)
    assert "another mapping from rows to thing, at shipped/again.yaml:1:9" in deployment.error()


def test_mistakes_of_all_files_and_of_the_config_come_at_once(deployment: Deployment) -> None:
    deployment.write(
        "crmbridge.yaml",
        CONFIG.replace("[erp, crm]}", "[erp, crm], authority: {nam: [erp]}, create: {erp: {when: 'a b'}}}"),
    )
    deployment.write("mappings/a.yaml", "system: erp\nstream: rows\nentity: thing\nfields: {nam: x}\n")
    deployment.write(
        "mappings/b.yaml", "system: crm\nstream: rows\nentity: thing\nfields: {name: {as: x, path: y}}\n"
    )
    error = deployment.error()
    for says in (
        "crmbridge.yaml:6:44: 'nam' is no field of thing; did you mean 'name'?",
        "crmbridge.yaml:6:78: unexpected 'b'",
        "mappings/a.yaml:4:10: thing has no field 'nam'",
        "mappings/b.yaml:4:21: unknown codec 'x'",
    ):
        assert says in error


def test_a_system_that_takes_part_without_a_mapping_is_an_error(deployment: Deployment) -> None:
    deployment.write("crmbridge.yaml", CONFIG + "  ting: {between: [erp, crm]}\n")
    assert "crmbridge.yaml:7:3: 'ting' is no entity; did you mean 'thing'?" in deployment.error()
    (deployment.root / "shipped" / "rows.yaml").unlink()
    deployment.write("crmbridge.yaml", CONFIG)
    assert "crmbridge.yaml:6:3: erp has no mapping for thing" in deployment.error()


def test_a_system_that_has_an_entity_only_inside_other_records_takes_part_in_it(
    deployment: Deployment,
) -> None:
    deployment.write("crmbridge.yaml", CONFIG + "  firm: {between: [erp, crm]}\n")
    assert "crmbridge.yaml:7:3: erp has no mapping for firm" in deployment.error()
    deployment.write("shipped/rows.yaml", SHIPPED.replace("entity: thing, key", "entity: firm, key"))
    assert {also.entity for mapping in deployment.load().all for also in mapping.also} == {"firm"}


def test_plugins_add_codecs_and_functions(deployment: Deployment) -> None:
    text = "system: erp\nstream: rows\nentity: thing\n"
    text += "fields: {name: {path: n, as: shout}, stage: {read: twice(s)}}\n"
    deployment.write("mappings/a.yaml", text)
    assert deployment.load().all[0].read({"n": "hi", "s": "ab"}) == {"name": "hi!", "stage": "abab"}


def test_create_rules_see_the_golden_record(deployment: Deployment) -> None:
    rule = "[erp, crm], create: {erp: {when: \"has(roles, 'customer')\"}, crm: never}}"
    deployment.write("crmbridge.yaml", CONFIG.replace("[erp, crm]}", rule))
    mappings = deployment.load()
    config = load_config(deployment.root / "crmbridge.yaml")
    assert mappings.may_create(config, "thing", "erp", {"roles": [{"role": "customer"}]})
    assert not mappings.may_create(config, "thing", "erp", {"name": "x"})
    assert not mappings.may_create(config, "thing", "crm", {"roles": [{"role": "customer"}]})


# -- what the system says ----------------------------------------------------------------------


def test_a_stream_says_what_absent_means_and_where_childrens_ids_are(deployment: Deployment) -> None:
    capabilities = Capabilities(absent_means="null", child_ids={"mechanisms": "id"})
    unbound = deployment.load()
    bound = unbound.bind("erp", [Stream("rows", capabilities=capabilities)])
    native = {"mechanisms": [{"id": 3, "type": "email", "value": "a"}]}
    assert unbound.all[0].read(native) == {"points": [{"type": "email", "value": "a"}]}
    found = bound.all[0].read(native)
    assert found["points"] == [{"id": "3", "type": "email", "value": "a"}]
    assert found["name"] is None
    assert bound.all[1] is unbound.all[1]
    assert bound.all[0].fingerprint != unbound.all[0].fingerprint


def test_a_mapping_of_a_stream_that_the_system_lacks_is_an_error(deployment: Deployment) -> None:
    with pytest.raises(ConfigError, match=r"rows.yaml:1:9: erp has no stream 'rows'; did you mean 'row'"):
        deployment.load().bind("erp", [Stream("row")])


def test_a_mapping_is_compared_with_the_fields_that_the_system_really_has(deployment: Deployment) -> None:
    text = "system: erp\nstream: rows\nentity: thing\n"
    text += "fields: {stage: {read: 'upper(stat)'}, note: meta.note, born: b}\n"
    deployment.write("mappings/a.yaml", text)
    mapping = deployment.load().all[0]
    fields = {
        "name": FieldInfo(),
        "type": FieldInfo(),
        "active": FieldInfo("boolean"),
        "company": FieldInfo(),
        "state": FieldInfo(),
        "vat": FieldInfo(required=True),
        "meta": FieldInfo("object", fields={"notes": FieldInfo()}),
        "b": FieldInfo("date", on_create=False, on_update=False),
        "mechanisms": FieldInfo("list", fields={"type": FieldInfo(), "val": FieldInfo()}),
    }
    found = {(f.level, f.text.rpartition("/")[2], f.hint) for f in check_against(mapping, fields)}
    assert found == {
        ("error", "rows.yaml:8:11: points: rows has no field 'mechanisms.value'", "did you mean 'val'?"),
        ("error", "a.yaml:4:17: stage: rows has no field 'stat'", "did you mean 'state'?"),
        ("error", "a.yaml:4:46: note: rows has no field 'meta.note'", "did you mean 'notes'?"),
        ("error", "a.yaml:4:63: born: rows does not let 'b' be written", "add write: never"),
        (
            "warning",
            "a.yaml:1:1: rows requires 'vat', which this mapping does not write",
            "map it, or set it with on_create:, before creating records",
        ),
    }


def test_nothing_is_said_about_fields_where_nothing_is_known(deployment: Deployment) -> None:
    assert check_against(deployment.load().all[0], {}) == []


# -- references --------------------------------------------------------------------------------

ORDERS = "system: erp\nstream: orders\nentity: thing\nfields: {name: n, keepers: {each: ks, fields: %s}}\n"
USERS = "system: erp\nstream: users\nentity: user\nfields: {name: n}\n"
STREAMS = [Stream("rows"), Stream("orders"), Stream("users"), Stream("staff")]


class User(Firm):
    """What keepers and owners are."""

    entity_name = "user"


@pytest.mark.parametrize(
    ("keepers", "users", "says"),
    [
        ("{keeper: {path: k, ref: users}}", USERS, None),
        (
            "{keeper: {path: k, ref: user}}",
            USERS,
            "orders.yaml:4:71: erp has no stream 'user'; did you mean 'users'?",
        ),
        (
            "{keeper: {path: k, ref: xyz}}",
            USERS,
            "orders.yaml:4:71: erp has no stream 'xyz'; user is in users",
        ),
        (
            "{keeper: {path: k, ref: rows}}",
            USERS,
            "orders.yaml:4:71: rows holds firm and thing, not user; user is in users",
        ),
        ("{keeper: {path: k, ref: staff}}", USERS, None),  # it is there, and waits for a mapping
        ("{keeper: {path: k, ref: xyz}}", None, None),  # no user is mapped at all
    ],
)
def test_a_reference_names_a_stream_that_holds_what_is_meant(
    deployment: Deployment, keepers: str, users: str | None, says: str | None
) -> None:
    deployment.write("mappings/orders.yaml", ORDERS % keepers)
    if users is not None:
        deployment.write("mappings/users.yaml", users)
    deployment.write("shipped/rows.yaml", SHIPPED.replace("entity: thing, key", "entity: firm, key"))
    config = load_config(deployment.root / "crmbridge.yaml")
    shipped = dict.fromkeys(config.systems, deployment.root / "shipped")
    mappings = load_mappings(config, shipped, {**ENTITIES, "user": User})
    if says is None:
        mappings.bind("erp", STREAMS)
        return
    with pytest.raises(ConfigError) as caught:
        mappings.bind("erp", STREAMS)
    assert str(caught.value).rpartition("/")[2] == says


def test_create_rules_name_fields_and_values_that_there_are(deployment: Deployment) -> None:
    rule = "[erp, crm], create: {erp: {when: \"kind == 'persn' || has(roels, 'x')\"}}}"
    deployment.write("crmbridge.yaml", CONFIG.replace("[erp, crm]}", rule))
    error = deployment.error()
    assert "crmbridge.yaml:6:53: kind is never 'persn'; did you mean 'person'?" in error
    assert "crmbridge.yaml:6:53: thing has no field 'roels'; did you mean 'roles'?" in error
    rule = '[erp, crm], create: {when: "has(nmae)"}}'
    deployment.write("crmbridge.yaml", CONFIG.replace("[erp, crm]}", rule))
    assert "crmbridge.yaml:6:47: thing has no field 'nmae'; did you mean 'name'?" in deployment.error()
    deployment.write("crmbridge.yaml", CONFIG)
    text = "system: erp\nstream: rows\nentity: thing\ncreate_when: has(roles, 'custmer')\n"
    deployment.write("mappings/a.yaml", text)
    assert "a.yaml:4:14: roles is never 'custmer'; did you mean 'customer'?" in deployment.error()


# -- folders -----------------------------------------------------------------------------------

OWN = "system: erp\nstream: rows\nentity: thing\nfields: {name: Firma}\n"


@pytest.mark.parametrize("name", ["a.yml", "a.YAML", "b c.yaml", "映射.yaml"])
def test_a_mapping_is_found_by_either_ending(deployment: Deployment, name: str) -> None:
    deployment.write(f"mappings/{name}", OWN)
    assert deployment.load().all[0].read({"Firma": "x"}) == {"name": "x"}


@pytest.mark.parametrize("name", [".a.yaml", "a.yaml~", "a.yaml.bak", "notes.txt"])
def test_what_is_no_mapping_file_is_not_read(deployment: Deployment, name: str) -> None:
    deployment.write(f"mappings/{name}", "no mapping")
    assert deployment.load().all[0].read({"name": "x"}) == {"name": "x"}
    warnings = load_config(deployment.root / "crmbridge.yaml").warnings()
    told = [f"{one.position.rpartition('/')[2]}: {one.text}" for one in warnings]
    aside = name.startswith(".") or name.endswith("~")
    assert told == ([] if aside else [f"{name}: this file among the mappings is not read"])


def test_mappings_in_a_folder_below_are_not_passed_over_in_silence(deployment: Deployment) -> None:
    deployment.write("mappings/sales/a.yml", OWN)
    deployment.write("mappings/pictures/a.png", "")
    said = deployment.error()
    assert said.startswith(
        "mappings/sales:1:1: mapping files in a folder below the mappings are not read (a.yml)"
    )
    assert "mappings: [mappings, mappings/sales]" in said
    deployment.write("crmbridge.yaml", CONFIG + "mappings: [mappings, mappings/sales]\n")
    assert deployment.load().all[0].read({"Firma": "x"}) == {"name": "x"}


def test_a_folder_of_mappings_that_is_named_has_to_be_there(deployment: Deployment) -> None:
    deployment.write("crmbridge.yaml", CONFIG + "mappings: [mappings, maps, crmbridge.yaml]\n")
    said = deployment.error()
    assert "crmbridge.yaml:7:22: there is no folder maps" in said
    assert "crmbridge.yaml:7:28: there is no folder crmbridge.yaml" in said


def test_a_folder_of_mappings_that_nobody_named_may_be_empty_or_missing(deployment: Deployment) -> None:
    assert load_config(deployment.root / "crmbridge.yaml").warnings() == []
    (deployment.root / "mappings").rmdir()
    assert len(deployment.load().all) == 2
    assert load_config(deployment.root / "crmbridge.yaml").warnings() == []


def test_a_folder_of_mappings_that_is_named_and_empty_is_a_warning(deployment: Deployment) -> None:
    deployment.write("crmbridge.yaml", CONFIG + "mappings: [mappings]\n")
    (warning,) = load_config(deployment.root / "crmbridge.yaml").warnings()
    assert warning.text == f"there is no mapping in {deployment.root}/mappings"
    assert warning.position.endswith("crmbridge.yaml:7:12")
