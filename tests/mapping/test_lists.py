"""Set-lists: native children, slots, and what a system cannot express."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmbridge.mapping import Mapping, MappingError
from crmbridge.sdk.errors import ConfigError
from tests.mapping.making import compiled

CHILDREN = """
points:
  each: mechanisms
  id: id
  fields: {type: {path: type, values: {mail: email, tel: phone}}, value: value}
"""
SLOTS = """
name: Name
points:
  - {slot: email, const: {type: email}, fields: {value: E-mail}}
  - {slot: phone, const: {type: phone}, fields: {value: {path: Phone, as: phone}, label: Phone kind}}
  - {slot: mobile, const: {type: phone}, fields: {value: Mobile}}
"""


def read(mapping: Mapping, native: dict[str, Any]) -> Any:
    found = mapping.read(native)
    assert json.loads(mapping.read_json(native)) == found
    return found.get("points", "unset")


# -- native children ---------------------------------------------------------------------------


def test_children_become_elements_with_their_own_ids() -> None:
    native = {
        "mechanisms": [{"id": 1, "type": "mail", "value": "a@b.c"}, {"id": 2, "type": "tel", "value": "1"}]
    }
    assert read(compiled(CHILDREN), native) == [
        {"id": "1", "type": "email", "value": "a@b.c"},
        {"id": "2", "type": "phone", "value": "1"},
    ]


@pytest.mark.parametrize(
    ("native", "found"), [({}, "unset"), ({"mechanisms": None}, []), ({"mechanisms": []}, [])]
)
def test_a_missing_list_is_unset_and_an_empty_one_is_empty(native: dict[str, Any], found: Any) -> None:
    assert read(compiled(CHILDREN), native) == found


def test_the_childrens_id_key_comes_from_the_connector_where_the_mapping_names_none() -> None:
    text = "points: {each: m, fields: {type: type, value: value}}"
    native = {"m": [{"rowid": 9, "type": "email", "value": "a"}]}
    assert read(compiled(text), native) == [{"type": "email", "value": "a"}]
    with_ids = compiled(text, child_ids={"m": "rowid"})
    assert read(with_ids, native) == [{"id": "9", "type": "email", "value": "a"}]
    rule = with_ids.lists["points"]
    assert rule.identify(rule.write_element({"id": "9", "type": "email", "value": "b"}), "9") == {
        "rowid": "9",
        "type": "email",
        "value": "b",
    }


def test_a_child_without_its_id_is_an_error() -> None:
    with pytest.raises(MappingError, match="'id'"):
        compiled(CHILDREN).read({"mechanisms": [{"type": "mail", "value": "x"}]})


def test_a_child_that_holds_nothing_is_no_element() -> None:
    assert read(compiled(CHILDREN), {"mechanisms": [{"id": 1, "type": "mail", "value": " "}]}) == []


@pytest.mark.parametrize("children", ["x", {"a": 1}, [None], ["x"]])
def test_something_else_than_a_list_of_objects_is_an_error(children: Any) -> None:
    with pytest.raises(MappingError, match="points"):
        compiled(CHILDREN).read({"mechanisms": children})


def test_what_the_system_cannot_hold_is_not_expressed_and_so_never_removed() -> None:
    rule = compiled(CHILDREN).lists["points"]
    assert rule.expresses({"type": "email", "value": "a"})
    assert not rule.expresses({"type": "wechat", "value": "ann_wx"})


def test_when_and_const_of_children_decide_what_is_expressed() -> None:
    rule = compiled(
        "identifiers: {each: ids, when: \"kind == 'vat'\", const: {scheme: vat}, fields: {value: code}}"
    ).lists["identifiers"]
    assert rule.expresses({"scheme": "vat", "value": "DE1"})
    assert not rule.expresses({"scheme": "duns", "value": "1"})
    assert rule.read({"ids": [{"kind": "vat", "code": "DE1"}, {"kind": "x", "code": "2"}]}) == [
        {"value": "DE1", "scheme": "vat"}
    ]


def test_children_may_be_plain_values() -> None:
    mapping = compiled(
        'roles: {each: roles, fields: {role: {path: "@", values: {c: customer, s: supplier}}}}'
    )
    assert mapping.read({"roles": ["c", "s"]}) == {"roles": [{"role": "customer"}, {"role": "supplier"}]}
    assert mapping.lists["roles"].write_element({"role": "supplier"}) == "s"
    assert mapping.lists["roles"].project_element({"role": "supplier"}) == {"role": "supplier"}


def test_an_element_is_projected_through_what_the_child_can_hold() -> None:
    rule = compiled("points: {each: m, fields: {type: t, value: {path: v, as: lower}}}").lists["points"]
    element = {"id": "x1", "type": "email", "value": "Ann@B.C", "label": "lost"}
    assert rule.project_element(element) == {"id": "x1", "type": "email", "value": "ann@b.c"}
    assert rule.element_fields == {"type", "value"}


def test_an_element_is_projected_without_the_references_that_it_needs() -> None:
    rule = compiled("keepers: {each: k, fields: {keeper: {path: id, ref: users}, since: from}}").lists[
        "keepers"
    ]
    assert rule.project_element({"id": "x1", "since": " May "}) == {"id": "x1", "since": " May "}


def test_a_partial_element_is_written_partially() -> None:
    assert compiled(CHILDREN).lists["points"].write_element({"value": "new"}) == {"value": "new"}


def test_several_fields_in_one_native_text_are_read_apart_and_written_together() -> None:
    mapping = compiled('places: {each: a, fields: {"province, city, district": {path: area, as: zh_region}}}')
    native = {"a": [{"area": "广东省深圳市南山区"}]}
    rule = mapping.lists["places"]
    (element,) = mapping.read(native)["places"]
    assert element == {"city": "深圳市", "district": "南山区", "province": "广东省"}
    assert rule.write_element(element) == {"area": "广东省深圳市南山区"}
    assert rule.together == (("province", "city", "district"),)
    assert rule.element_fields == {"province", "city", "district"}
    with pytest.raises(MappingError, match="together"):
        rule.write_element({"city": "广州市"})
    assert rule.write_element(dict.fromkeys(element)) == {"area": None}


# -- slots (story 7) ---------------------------------------------------------------------------


def test_slots_show_one_element_each_and_an_empty_slot_none() -> None:
    native = {"Name": "x", "E-mail": "a@b.c", "Phone": "030 123456", "Phone kind": "office", "Mobile": ""}
    assert read(compiled(SLOTS), native) == [
        {"id": "slot:email", "type": "email", "value": "a@b.c"},
        {"id": "slot:phone", "type": "phone", "value": "+4930123456", "label": "office"},
    ]


def test_a_slot_of_which_the_record_says_nothing_is_told_apart_from_an_empty_one() -> None:
    mapping = compiled(SLOTS)
    native = {"Name": "x", "E-mail": None, "Mobile": "1"}
    assert read(mapping, native) == [{"id": "slot:mobile", "type": "phone", "value": "1"}]
    unsaid = mapping.unsaid_slots(native, ["points"])["points"]
    assert [x in unsaid for x in ("slot:phone", "slot:email", "slot:mobile")] == [True, False, False]
    assert "slot:fax" in unsaid  # which an earlier mapping had
    assert "a child of its own" not in unsaid
    assert read(mapping, {"Name": "x"}) == "unset"


def test_a_slot_accepts_what_it_can_show() -> None:
    email, phone, _ = compiled(SLOTS).lists["points"].slots
    assert email.accepts({"type": "email", "value": "a"})
    assert not email.accepts({"type": "phone", "value": "1"})
    assert phone.accepts({"type": "phone", "value": "1"})
    assert not compiled(SLOTS).lists["points"].expresses({"type": "wechat", "value": "wx"})


def test_a_slot_that_shows_another_element_keeps_nothing_of_the_old_one() -> None:
    _, phone, _ = compiled(SLOTS).lists["points"].slots
    assert phone.write({"type": "phone", "value": "030 123456"}) == {
        "Phone": "+4930123456",
        "Phone kind": None,
    }
    assert phone.write(None) == {"Phone": None, "Phone kind": None}
    assert phone.native_fields == ("Phone", "Phone kind")


@pytest.mark.parametrize(
    ("element_id", "value"), [("slot:phone", "+4930123456"), ("slot:mobile", "030 123456")]
)
def test_an_element_in_a_slot_is_projected_through_that_slot(element_id: str, value: str) -> None:
    rule = compiled(SLOTS).lists["points"]
    element = {"id": element_id, "type": "phone", "value": "030 123456"}
    assert rule.project_element(element)["value"] == value


def test_an_element_that_no_slot_shows_cannot_be_projected() -> None:
    with pytest.raises(MappingError, match="no slot"):
        compiled(SLOTS).lists["points"].project_element({"type": "wechat", "value": "wx"})


def test_a_truth_value_may_say_whether_an_element_is_there() -> None:
    mapping = compiled(
        "roles:\n  - {slot: customer, const: {role: customer}, present: is_customer}\n"
        "  - {slot: supplier, const: {role: supplier}, present: {path: sup, as: {boolean: [x, '-']}}}"
    )
    native = {"is_customer": True, "sup": "-"}
    assert mapping.read(native) == {"roles": [{"id": "slot:customer", "role": "customer"}]}
    customer, supplier = mapping.lists["roles"].slots
    assert (customer.write({"role": "customer"}), customer.write(None)) == (
        {"is_customer": True},
        {"is_customer": False},
    )
    assert supplier.write({"role": "supplier"}) == {"sup": "x"}
    unsaid = mapping.unsaid_slots({"is_customer": False}, mapping.lists)["roles"]
    assert [x in unsaid for x in ("slot:customer", "slot:supplier")] == [False, True]


TEXT = st.text(min_size=1).filter(lambda t: t.strip() and "\x00" not in t)


@given(TEXT, st.none() | TEXT, st.sampled_from(["slot:phone", "slot:mobile", None, "77"]))
def test_projecting_an_element_twice_changes_nothing_more(
    value: str, label: str | None, where: str | None
) -> None:
    rule = compiled(SLOTS).lists["points"]
    element: dict[str, Any] = {"type": "phone", "value": value, "label": label}
    if where is not None:
        element["id"] = where
    try:
        once = rule.project_element(element)
    except MappingError:
        return
    assert rule.project_element(once) == once
    assert once.get("id") == where


# -- read-only lists ---------------------------------------------------------------------------


def test_a_list_may_be_read_by_an_expression_and_is_not_written() -> None:
    mapping = compiled(
        'points: {read: "mechanisms[?value].{type: type, value: value}"}\n'
        "identifiers: {read: \"numbers[].{scheme: 'customer_number', issuer: 'erp', value: n}\"}"
    )
    native = {"mechanisms": [{"type": "email", "value": "ann@x.example"}, {"type": "phone"}], "numbers": None}
    assert mapping.read(native) == {
        "points": [{"type": "email", "value": "ann@x.example"}],
        "identifiers": None,
    }
    assert not mapping.lists["points"].writable
    assert mapping.lists["points"].sources == ("mechanisms",)
    assert mapping.write({"name": "x"}) == {}


def test_a_list_may_be_the_same_for_every_record() -> None:
    mapping = compiled("roles: {const: [{role: customer}]}")
    assert mapping.read({}) == {"roles": [{"role": "customer"}]}
    assert not mapping.lists["roles"].writable
    with pytest.raises(ConfigError, match=r"roles is a list of elements: \[\{role: ...\}\]"):
        compiled("roles: {const: [customer]}")
    with pytest.raises(ConfigError, match="roles needs each, slots, read or a const that is a list"):
        compiled("roles: {const: customer}")


def test_a_list_that_is_only_read_may_say_so() -> None:
    mapping = compiled("points: {read: list, write: never}")
    assert mapping.read({"list": []}) == {"points": []}
    with pytest.raises(ConfigError, match="points is a list of elements"):
        compiled("points: {read: list, write: other}")


def test_the_children_that_a_mapping_does_not_take_are_told_apart_from_its_elements() -> None:
    mapping = compiled("points: {each: m, id: id, when: \"type == 'email'\", fields: {type: type, value: v}}")
    mail, fax = {"id": 7, "type": "email", "v": "a@x.example"}, {"id": 8, "type": "fax", "v": "1"}
    assert list(mapping.lists["points"].children({"m": [fax, mail]})) == [
        (fax, None),
        (mail, {"id": "7", "type": "email", "value": "a@x.example"}),
    ]
    assert list(mapping.lists["points"].children({"m": None})) == []
    assert list(mapping.lists["points"].children({})) == []
