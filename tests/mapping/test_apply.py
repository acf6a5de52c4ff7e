"""What a compiled mapping does to one record: three states, both directions, nothing lost silently."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmbridge.mapping import MappingError
from crmbridge_schemas.base import canonical
from tests.mapping.making import Thing, compiled, from_yaml

D = Decimal

EVERYTHING = """
name: Name
kind: {path: type, values: {p: person, company: organization}}
stage: {path: stage, as: [strip, lower]}
note: {path: meta.note}
active: {path: active, as: {boolean: [ja, nein]}}
count: {path: n, as: integer}
rate: rate
price: {as: money_minor_units, fields: {amount: cents, currency: cur}}
born: {path: born, as: {iso_date: "%d.%m.%Y"}}
tags: {path: tags, as: {split: ";"}}
owner: {path: owner_id, ref: users, as: integer}
ship_to: {fields: {lines: {path: to.street, as: lines}, city: to.city, kind: to.kind}}
"""
RICH: dict[str, Any] = {
    "Name": "李雷 🎉",
    "type": "p",
    "stage": " Lead ",
    "meta": {"note": "مرحبا"},
    "active": "ja",
    "n": "12",
    "rate": D("1.50"),
    "cents": 1999,
    "cur": "EUR",
    "born": "29.03.1990",
    "tags": "a; b",
    "owner_id": 7,
    "to": {"street": "A\nB", "city": "Köln", "kind": "po-box"},
}
CANONICAL = {
    "name": "李雷 🎉",
    "kind": "person",
    "stage": "lead",
    "note": "مرحبا",
    "active": True,
    "count": 12,
    "rate": "1.5",
    "price": {"amount": "19.99", "currency": "EUR"},
    "born": "1990-03-29",
    "tags": ["a", "b"],
    "owner": {"entity": "user", "stream": "users", "id": "7"},
    "ship_to": {"lines": ["A", "B"], "city": "Köln", "kind": "po-box"},
}


# -- reading: unset, null and values -----------------------------------------------------------


def test_a_record_becomes_a_canonical_document() -> None:
    assert compiled(EVERYTHING).read(RICH) == CANONICAL


def test_unset_stays_unset() -> None:
    assert compiled(EVERYTHING).read({}) == {}


def test_null_stays_null_and_blank_text_is_null() -> None:
    mapping = compiled("name: a\nnote: b\nstage: c\nkind: {path: d, values: {p: person}}")
    assert mapping.read({"a": None, "b": "", "c": " \u3000\n", "d": ""}) == {
        "name": None,
        "note": None,
        "stage": None,
        "kind": None,
    }


@pytest.mark.parametrize("blank", ["", "  ", "\t\n"])
def test_blank_text_is_null_before_it_goes_through_several_steps(blank: str) -> None:
    mapping = compiled("count: {path: a, as: [strip, integer]}")
    assert mapping.read({"a": blank}) == {"count": None}
    assert mapping.read({"a": " 7 "}) == {"count": 7}


def test_a_constant_is_written_as_what_is_read_would_be() -> None:
    mapping = compiled(
        "born: {const: '2026-03-02'}\nrate: {const: 1.50}\n"
        "price: {const: {amount: 5, currency: EUR, tax_included: true}}"
    )
    assert mapping.read({}) == {
        "born": "2026-03-02",
        "rate": "1.5",
        "price": {"amount": "5", "currency": "EUR", "tax_included": True},
    }


def test_blank_text_is_kept_where_the_mapping_says_so() -> None:
    assert compiled("name: {path: a, blank: keep}").read({"a": " "}) == {"name": " "}


def test_an_absent_field_is_null_where_the_stream_says_that_absent_means_empty() -> None:
    mapping = compiled(
        "name: a\nnote: m.b\nstage: {read: c}\npoints: {each: p, fields: {type: t, value: v}}", absent=None
    )
    assert mapping.read({}) == {"name": None, "note": None, "stage": None, "points": []}


def test_json_text_and_document_say_the_same() -> None:
    mapping = compiled(EVERYTHING)
    assert json.loads(mapping.read_json(RICH)) == mapping.read(RICH)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "Name": st.none() | st.text(),
            "type": st.sampled_from([None, "p", "company", ""]),
            "rate": st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=3),
            "cents": st.none() | st.integers(),
            "cur": st.none() | st.sampled_from(["EUR", "JPY"]),
            "to": st.none()
            | st.fixed_dictionaries({}, optional={"city": st.none() | st.text(), "street": st.text()}),
            "tags": st.none() | st.text(),
        },
    )
)
def test_whatever_is_read_is_canonical_and_json_agrees(native: dict[str, Any]) -> None:
    mapping = compiled(EVERYTHING)
    try:
        found = mapping.read(native)
    except MappingError:
        return
    assert found == canonical(Thing.model_validate(found))
    assert json.loads(mapping.read_json(native)) == found


def test_a_composite_given_whole_gets_its_one_form() -> None:
    mapping = compiled("ship_to: {read: shipping}")
    native = {"shipping": {"city": "Köln", "lines": None}}
    assert mapping.read(native) == {"ship_to": {"city": "Köln", "kind": "postal"}}
    assert json.loads(mapping.read_json(native)) == mapping.read(native)


@pytest.mark.parametrize(
    ("native", "price"),
    [
        ({"cents": None, "cur": "EUR"}, {"price": None}),
        ({"cur": "EUR"}, {}),
        ({"cents": 0, "cur": "EUR"}, {"price": {"amount": "0", "currency": "EUR"}}),
    ],
)
def test_an_amount_decides_whether_there_is_money(native: dict[str, Any], price: dict[str, Any]) -> None:
    assert (
        compiled("price: {as: money_minor_units, fields: {amount: cents, currency: cur}}").read(native)
        == price
    )


def test_an_amount_without_its_currency_is_an_error_not_null() -> None:
    with pytest.raises(MappingError, match="no currency"):
        compiled("price: {as: money_minor_units, fields: {amount: cents, currency: cur}}").read({"cents": 5})


# -- errors ------------------------------------------------------------------------------------


def test_an_unknown_value_is_an_error_that_lists_it_and_where_to_add_it() -> None:
    mapping = compiled("kind:\n  path: type\n  values: {p: person}")
    with pytest.raises(MappingError) as caught:
        mapping.read({"type": "alien"})
    assert caught.value.field == "kind"
    assert caught.value.reason == "the value map does not know 'alien'"
    assert caught.value.position == "m.yaml:5:5"
    assert caught.value.hint is not None
    assert "m.yaml:6:" in caught.value.hint


@pytest.mark.parametrize(
    ("native", "field", "says"),
    [
        ({"rate": "much"}, "rate", "much"),
        ({"n": "x"}, "count", "whole number"),
        ({"to": "text"}, "ship_to.lines", "expected an object"),
        ({"Name": "a\x00b"}, "name", "NUL"),
        ({"Name": "a\ud800"}, "name", ""),
        ({"Name": ["x"]}, "name", "string"),
        ({"cents": 1, "cur": "euro"}, "price.currency", "euro"),
        ({"born": "soon"}, "born", "soon"),
    ],
)
def test_a_bad_value_names_its_field_and_the_rule_that_maps_it(
    native: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(MappingError) as caught:
        compiled(EVERYTHING).read(native)
    assert caught.value.field == field
    assert says in caught.value.reason
    assert str(caught.value.position).startswith("m.yaml:")


@pytest.mark.parametrize(
    ("fields", "native", "hint"),
    [
        ("born: b", {"b": "29.03.1990"}, "say how the date is written: as: {iso_date: '%d.%m.%Y'}"),
        ("born: b", {"b": "2026-03-02T10:00:00"}, "say how the date is written: as: {iso_date: '%d.%m.%Y'}"),
        ("born: b", {"b": "2026-31-12"}, "say how the date is written: as: {iso_date: '%d.%m.%Y'}"),
        ("seen_at: t", {"t": 1772452800}, "say how the time is written: as: instant, epoch_s or epoch_ms"),
        ("rate: r", {"r": "1,5"}, "say how the number is written: as: {decimal: ','}"),
        ("active: a", {"a": "vielleicht"}, "say which words mean yes and no: as: {boolean: [ja, nein]}"),
        ("kind: k", {"k": "Firma"}, "say with values: what the system's words mean"),
        ("seen_at: t", {"t": "2026-03-02T10:00:00"}, "say which zone these times are in"),
        ("price: {fields: {amount: a}}", {"a": "1"}, "map this field too, or give it a const"),
        ("price: p", {"p": "4.000,00"}, "it has parts: say where each stands: {fields: {amount: PATH}, "),
        ("name: n", {"n": "a\x00b"}, None),
    ],
)
def test_a_bad_value_comes_with_what_to_do(fields: str, native: dict[str, Any], hint: str | None) -> None:
    with pytest.raises(MappingError) as caught:
        compiled(fields).read(native)
    assert (caught.value.hint or "").startswith(hint or "")
    assert (caught.value.hint is None) == (hint is None)


def test_several_bad_values_are_counted() -> None:
    with pytest.raises(MappingError, match=r"\(and 1 more\)"):
        compiled("born: b\nkind: k").read({"b": "x", "k": "y"})
    with pytest.raises(MappingError) as caught:
        compiled("born: b").read({"b": "x"})
    assert "more" not in str(caught.value)


def test_a_bad_element_is_named_with_its_place_in_the_list() -> None:
    mapping = compiled("points: {each: p, fields: {type: t, value: v}}")
    with pytest.raises(MappingError) as caught:
        mapping.read({"p": [{"t": "email", "v": "a"}, {"t": "fax", "v": "b"}]})
    assert caught.value.field == "points[1].type"


def test_a_plugin_that_raises_anything_makes_this_record_fail_and_no_more() -> None:
    def broken(_value: Any) -> Any:
        raise RuntimeError("boom")

    mapping = compiled("name: {read: broken(a)}", functions={"broken": broken})
    with pytest.raises(MappingError, match="RuntimeError: boom"):
        mapping.read({"a": 1})
    assert mapping.read({}) == {}


# -- writing and projection --------------------------------------------------------------------


def test_a_document_becomes_native_fields_in_nested_objects() -> None:
    native = compiled(EVERYTHING).write(CANONICAL)
    assert native == {**RICH, "stage": "lead", "n": 12, "rate": D("1.5")} | {"tags": "a;b"}
    assert isinstance(native["rate"], Decimal)


def test_null_is_written_as_null_to_every_native_field_of_it() -> None:
    mapping = compiled(EVERYTHING)
    assert mapping.write({"name": None, "price": None, "note": None, "owner": None}) == {
        "Name": None,
        "cents": None,
        "cur": None,
        "meta": {"note": None},
        "owner_id": None,
    }


def test_only_what_the_document_has_is_written() -> None:
    assert compiled(EVERYTHING).write({"name": "x"}) == {"Name": "x"}


def test_a_composite_is_written_whole_so_that_nothing_of_the_old_one_stays() -> None:
    written = compiled(EVERYTHING).write({"ship_to": {"city": "Bonn", "kind": "postal"}})
    assert written == {"to": {"street": None, "city": "Bonn", "kind": "postal"}}


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00")).map(lambda t: normalize("NFC", t))
SOME_TEXT = TEXT.filter(bool)


def test_money_in_another_currency_is_not_written_as_if_it_were_this_one() -> None:
    mapping = compiled("price: {fields: {amount: total}, const: {currency: EUR}}")
    assert mapping.read({"total": D("1.50")}) == {"price": {"amount": "1.5", "currency": "EUR"}}
    assert mapping.write({"price": {"amount": "1.5", "currency": "EUR"}}) == {"total": D("1.5")}
    with pytest.raises(MappingError, match="currency is always EUR here"):
        mapping.write({"price": {"amount": "1.5", "currency": "USD"}})


def test_what_a_target_requires_is_said_with_the_field() -> None:
    mapping = compiled(
        "name: {path: n, required: true}\nnote: t\nprice: {required: true, fields: {amount: a}}\n"
        "points: {each: p, required: true, fields: {value: v}}",
        head="on_create: {company: 1}\n",
    )
    assert [mapping.fields[name].required for name in ("name", "note", "price")] == [True, False, True]
    assert mapping.lists["points"].required
    assert mapping.on_create == {"company": 1}


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": TEXT,
    "kind": st.sampled_from(["person", "organization"]),
    "stage": TEXT,
    "note": TEXT,
    "active": st.booleans(),
    "count": st.integers(),
    "rate": st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    "price": st.builds(
        lambda n, c: {"amount": str(D(n) / 100), "currency": c},
        st.integers(),
        st.sampled_from(["EUR", "JPY", "KWD"]),
    ),
    "born": st.dates().map(lambda d: d.isoformat()),
    "tags": st.lists(SOME_TEXT),
    "owner": st.integers(1).map(lambda n: {"entity": "user", "stream": "users", "id": str(n)}),
    "ship_to": st.fixed_dictionaries({"kind": SOME_TEXT}, optional={"city": TEXT, "lines": st.lists(TEXT)}),
}


@given(st.data())
def test_projection_is_what_is_read_back_and_idempotent(data: st.DataObject) -> None:
    mapping = compiled(EVERYTHING)
    name = data.draw(st.sampled_from(sorted(VALUES)))
    value = data.draw(st.none() | VALUES[name])
    try:
        once = mapping.project(name, value)
    except MappingError:
        return
    assert mapping.read(mapping.write({name: value})).get(name) == once
    assert mapping.project(name, once) == once


def test_a_mapping_that_loses_something_compares_after_projection() -> None:
    mapping = compiled("stage: {path: s, as: lower}")
    assert mapping.project("stage", "LEAD") == mapping.project("stage", "lead") == "lead"


def test_what_is_read_by_an_expression_is_not_written_unless_it_says_how() -> None:
    mapping = compiled("name: {read: \"join(' ', [first, last])\"}\nnote: {read: 'a || b', write: a}")
    assert mapping.read({"first": "Ann", "last": "Lee"}) == {"name": "Ann Lee"}
    assert not mapping.writes("name")
    assert mapping.write({"name": "x", "note": "y"}) == {"a": "y"}


def test_a_write_may_spread_the_value_over_several_native_fields() -> None:
    mapping = compiled(
        "name:\n  read: \"join(' ', [first, last])\"\n"
        "  write: {first: \"split(@, ' ')[0]\", last: \"join(' ', split(@, ' ')[1:])\"}"
    )
    assert mapping.write({"name": "Ann van Lee"}) == {"first": "Ann", "last": "van Lee"}
    assert mapping.write({"name": None}) == {"first": None, "last": None}
    assert mapping.project("name", "Ann van Lee") == "Ann van Lee"
    assert mapping.native_fields("name") == ("first", "last")


def test_write_never_and_read_never() -> None:
    mapping = compiled("name: {path: a, write: never}\nnote: {path: b, read: never}")
    assert mapping.read({"a": "x", "b": "y"}) == {"name": "x"}
    assert mapping.write({"name": "x", "note": "y"}) == {"b": "y"}
    assert (mapping.reads("name"), mapping.writes("name")) == (True, False)
    assert (mapping.reads("note"), mapping.writes("note")) == (False, True)


def test_a_status_is_reached_by_a_transition_and_not_written() -> None:
    mapping = compiled("stage: {path: state, values: {sale: accepted, cancel: cancelled}, write: transition}")
    assert mapping.transition_field == "stage"
    assert mapping.transition("accepted") == "sale"
    assert not mapping.writes("stage")
    assert mapping.write({"stage": "accepted"}) == {}
    with pytest.raises(MappingError, match="lost"):
        mapping.transition("lost")


# -- value maps (story 11) ---------------------------------------------------------------------


def test_a_many_to_one_value_map_writes_the_value_that_it_names() -> None:
    mapping = compiled(
        "stage: {path: s, values: {lead: prospect, prospect: prospect, won: customer},"
        " write_values: {prospect: lead}}"
    )
    assert mapping.read({"s": "prospect"}) == {"stage": "prospect"}
    assert mapping.write({"stage": "prospect"}) == {"s": "lead"}
    assert mapping.write({"stage": "customer"}) == {"s": "won"}
    assert mapping.project("stage", "prospect") == "prospect"


def test_a_one_to_many_value_map_projects_to_what_it_reads() -> None:
    mapping = compiled("stage: {path: s, values: {won: customer}, write_values: {partner: won}}")
    assert mapping.write({"stage": "partner"}) == {"s": "won"}
    assert mapping.project("stage", "partner") == "customer"


def test_text_that_a_codec_has_changed_is_compared_in_its_one_form() -> None:
    mapping = compiled("stage: {path: s, as: upper}")
    greek = "\N{GREEK SMALL LETTER IOTA WITH DIALYTIKA AND TONOS}"
    assert normalize("NFC", greek.upper()) != greek.upper()
    assert mapping.project("stage", greek) == mapping.read({"s": greek})["stage"]


def test_a_value_map_maps_the_values_of_a_list_one_by_one() -> None:
    mapping = compiled("tags: {path: t, values: {a: 茶, b: قهوة}}")
    assert mapping.read({"t": ["a", "b", "a"]}) == {"tags": ["茶", "قهوة", "茶"]}
    assert mapping.write({"tags": ["قهوة", "茶"]}) == {"t": ["b", "a"]}
    with pytest.raises(MappingError, match="the value map does not know 'c'"):
        mapping.read({"t": ["a", "c"]})


def test_what_a_value_map_reads_is_compared_in_the_form_of_its_field() -> None:
    mapping = compiled('count: {path: n, values: {one: "1", two: "2"}}')
    assert mapping.read({"n": "two"}) == {"count": 2}
    assert mapping.project("count", 2) == 2
    assert type(mapping.project("count", 2)) is int


def test_value_maps_meet_numbers_and_truth_values() -> None:
    mapping = compiled(
        "kind: {path: k, as: integer, values: {1: person, 2: organization}}\n"
        "stage: {path: b, as: boolean, values: {true: active, false: gone}}"
    )
    assert mapping.read({"k": 2, "b": False}) == {"kind": "organization", "stage": "gone"}
    assert mapping.write({"kind": "organization", "stage": "gone"}) == {"k": 2, "b": False}


def test_a_native_word_may_mean_empty() -> None:
    assert compiled("kind: {path: k, values: {none: null, p: person}}").read({"k": "none"}) == {"kind": None}


# -- references --------------------------------------------------------------------------------


def test_a_reference_names_its_entity_stream_and_native_id() -> None:
    mapping = compiled("owner: {path: o, ref: users}")
    assert mapping.fields["owner"].ref == "users"
    assert mapping.read({"o": 7}) == {"owner": {"entity": "user", "stream": "users", "id": "7"}}
    assert mapping.write({"owner": {"entity": "user", "stream": "users", "id": "7"}}) == {"o": "7"}


def test_a_reference_to_another_stream_is_not_written_as_if_it_were_of_this_one() -> None:
    with pytest.raises(MappingError, match="'robots'"):
        compiled("owner: {path: o, ref: users}").write(
            {"owner": {"entity": "user", "stream": "robots", "id": "7"}}
        )


# -- when, const, also -------------------------------------------------------------------------


def test_when_says_which_records_are_taken() -> None:
    mapping = compiled("name: n", head="when: \"type == 'org'\"\n")
    assert mapping.admits({"type": "org"})
    assert not mapping.admits({"type": "x"})
    assert not mapping.admits({})


def test_a_constant_is_read_and_never_written() -> None:
    mapping = compiled("kind: {const: organization}\nroles: {const: [{role: customer}]}")
    assert mapping.read({}) == {"kind": "organization", "roles": [{"role": "customer"}]}
    assert mapping.write({"kind": "person", "roles": []}) == {}
    assert not mapping.writes("kind")
    assert not mapping.writes("roles")
    assert mapping.fields["kind"].const
    assert not mapping.lists["roles"].expresses({"role": "supplier"})


def test_a_golden_record_is_created_where_nothing_speaks_against_it() -> None:
    accounts = compiled("name: n\nkind: {const: organization}")
    contacts = compiled(
        "name: n\nkind: {path: t, values: {p: person, o: organization}}", head="when: \"t == 'p'\"\n"
    )
    chosen = compiled(
        "name: n\nkind: {const: organization}", head="create_when: \"has(roles, 'supplier')\"\n"
    )
    assert [m.fits({"kind": "organization"}) for m in (accounts, contacts, chosen)] == [True, False, False]
    assert [m.fits({"kind": "person"}) for m in (accounts, contacts)] == [False, True]
    assert [m.fits({"name": "x"}) for m in (accounts, contacts)] == [True, True]
    assert chosen.fits({"kind": "person", "roles": [{"role": "supplier"}]})


def test_nothing_is_created_where_when_cannot_be_decided_or_a_value_has_no_place() -> None:
    broken = compiled("name: n", head='when: "length(n) > `1` && sum(n) > `0`"\n')
    assert not broken.fits({"name": "王小明"})
    vip = compiled("name: n\nkind: {path: t, values: {p: person}}", head="when: \"t == 'p'\"\n")
    assert vip.fits({"name": "王小明"})
    assert not vip.fits({"kind": "organization"})


def test_a_create_rule_that_cannot_be_decided_says_which_rule_it_is() -> None:
    mapping = compiled("name: n", head='create_when: "sum(name) > `0`"\n')
    with pytest.raises(MappingError, match=r"^create_when: "):
        mapping.fits({"name": "x"})


ALSO = """
stream: rows
entity: thing
fields:
  name: name
  owner: {path: id, ref: rows, also: company}
also:
  company:
    entity: thing
    key: company
    when: has(company)
    fields: {name: company, kind: {const: organization}}
"""


def test_the_same_content_is_the_same_further_record_and_other_content_another() -> None:
    also = from_yaml(ALSO).also[0]
    assert also.name == "company"
    assert also.key({"company": "Beta"}) == also.key({"company": " BETA "}) == "beta"
    assert also.key({"company": "Acme"}) == "acme"
    assert also.key({"company": None}) is None
    assert also.key({}) is None
    assert not also.admits({"company": ""})
    assert also.read({"company": "贝塔 GmbH"}) == {"name": "贝塔 GmbH", "kind": "organization"}


def test_a_reference_to_a_further_record_carries_its_content_key() -> None:
    mapping = from_yaml(ALSO)
    assert mapping.read({"id": 5, "company": "Beta"})["owner"]["id"] == "5#company:beta"
    assert mapping.read({"id": 5, "company": None}) == {"owner": None}
    assert not mapping.writes("owner")


# -- fingerprint -------------------------------------------------------------------------------


def test_the_fingerprint_changes_with_what_the_mapping_does_and_only_then() -> None:
    base = compiled("name: a").fingerprint
    assert compiled("name:   a   # a remark").fingerprint == base
    assert compiled("name: b").fingerprint != base
    assert compiled("name: {path: a, as: strip}").fingerprint != base
    assert compiled("name: a", absent=None).fingerprint != base
    assert compiled("name: a", head="when: b\n").fingerprint != base


def test_a_part_that_the_mapping_never_writes_is_no_difference() -> None:
    """An order line takes the currency of its order: written is the amount alone."""
    mapping = compiled("price: {fields: {amount: {path: p, as: decimal}, currency: {path: c, write: never}}}")
    asked = {"amount": "9.9", "currency": "EUR"}
    assert mapping.project("price", asked) == asked
