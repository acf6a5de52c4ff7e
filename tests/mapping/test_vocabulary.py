"""Expressions against the fields and values that there are."""

from __future__ import annotations

import pytest

from crmbridge.mapping.discovered import check_against, missing_columns
from crmbridge.mapping.expressions import compile_expression
from crmbridge.mapping.vocabulary import misspelt, of_fields, of_model
from crmbridge.sdk.connector import FieldInfo
from tests.mapping.making import Thing, compiled

KIND = "kind is never 'persn'; did you mean 'person'?"
ROLE = "role is never 'custmer'; did you mean 'customer'?"


@pytest.mark.parametrize(
    ("expression", "problems"),
    [
        ("kind == 'person' && has(roles, 'customer') && has(points, 'a@b.example')", []),
        ("kind == 'persn'", [KIND]),
        ("'persn' != kind", [KIND]),
        ("kind == 'persn' || !(kind == 'persn')", [KIND]),
        ("kind < 'persn'", []),
        ("name == 'persn'", []),
        ("contains(['person', 'persn'], kind)", [KIND]),
        ('contains(`["persn"]`, kind)', [KIND]),
        ("contains(kind, 'pers')", []),
        ("contains('person persn', kind)", []),
        ("knd == 'x'", ["thing has no field 'knd'; did you mean 'kind'?"]),
        ("has(roles, 'custmer')", ["roles is never 'custmer'; did you mean 'customer'?"]),
        ("has(kind, 'persn')", [KIND]),
        ("contains(roles[].role, 'custmer')", [ROLE]),
        ("contains(roles[*].role, 'customer')", []),
        ("roles[?role == 'custmer']", [ROLE]),
        ("roles[?role == 'customer'] | [0].role == 'custmer'", [ROLE]),
        ("roles[0].role == 'custmer'", [ROLE]),
        ("roles[:2].rle", ["roles has no field 'rle'; did you mean 'role'?"]),
        ("points[?typ == 'email'].value", ["points has no field 'typ'; did you mean 'type'?"]),
        ("points.value", ["points is a list: write points[].value"]),
        ("price.amuont", ["price has no field 'amuont'; did you mean 'amount'?"]),
        ("{a: knd, b: [kind == 'persn']}", ["thing has no field 'knd'; did you mean 'kind'?", KIND]),
        ("owner.golden == 'x'", []),
        ("sort_by(points, &vlaue)", []),
        ("ship_to.*", []),
        ("@", []),
    ],
)
def test_an_expression_over_a_canonical_record(expression: str, problems: list[str]) -> None:
    assert misspelt(compile_expression(expression), of_model(Thing)) == problems


def test_a_field_that_is_like_no_other_is_told_with_those_that_there_are() -> None:
    (said,) = misspelt(compile_expression("roles[].x"), of_model(Thing))
    assert said == "roles has no field 'x'; there are id, role"


def test_an_expression_over_a_native_record() -> None:
    record = of_fields("rows", {"state": FieldInfo(choices=("open", "done")), "any": FieldInfo("object")})
    assert misspelt(compile_expression("state == 'opne' && any.thing[0].else == 'x'"), record) == [
        "state is never 'opne'; did you mean 'open'?"
    ]
    assert misspelt(compile_expression("whatever"), of_fields("rows", {})) == []


NATIVE = {
    "state": FieldInfo(choices=("open", "done")),
    "company": FieldInfo(),
    "made": FieldInfo(on_create=False),
    "contacts": FieldInfo("list", fields={"kind": FieldInfo(), "text": FieldInfo()}),
    "loose": FieldInfo("list"),
}
POINTS = "points: {each: contacts, when: \"kin == 'x'\", const: {type: email}, fields: {value: text}}"


def test_conditions_keys_and_what_creates_set_are_compared_with_the_fields_that_there_are() -> None:
    head = (
        "when: \"state == 'opne'\"\n"
        "on_create: {state: dnoe, stat: x, made: y}\n"
        "also: {firm: {entity: firm, key: compny, when: has(cmpny), fields: {name: cmpany}}}\n"
    )
    found = [(one.level, one.text, one.hint) for one in check_against(compiled(POINTS, head=head), NATIVE)]
    assert sorted(found) == sorted(
        [
            ("error", "m.yaml:3:7: when: state is never 'opne'", "did you mean 'open'?"),
            ("error", "m.yaml:4:20: on_create: state is never 'dnoe'", "did you mean 'done'?"),
            ("error", "m.yaml:4:32: on_create: rows has no field 'stat'", "did you mean 'state'?"),
            ("error", "m.yaml:4:41: on_create: rows does not let 'made' be written", "leave it out"),
            ("error", "m.yaml:5:34: key: rows has no field 'compny'", "did you mean 'company'?"),
            ("error", "m.yaml:5:48: when: rows has no field 'cmpny'", "did you mean 'company'?"),
            ("error", "m.yaml:5:75: name: rows has no field 'cmpany'", "did you mean 'company'?"),
            ("error", "m.yaml:7:11: points: when: contacts has no field 'kin'", "did you mean 'kind'?"),
        ]
    )


def test_nothing_is_said_about_children_of_which_nothing_is_known() -> None:
    assert check_against(compiled(POINTS.replace("contacts", "loose")), NATIVE) == []


def test_columns_that_conditions_look_at_are_missed_too() -> None:
    head = "when: a\nalso: {firm: {entity: firm, key: b, when: c, fields: {name: d}}}\n"
    found = missing_columns(compiled("name: e", head=head), {"a"})
    assert [one.text for one in found] == [
        "'b' (m.yaml:4:34)",
        "'c' (m.yaml:4:43)",
        "'d' (m.yaml:4:61)",
        "'e' (m.yaml:6:9)",
    ]


def test_what_is_written_by_an_expression_names_parts_that_there_are() -> None:
    with pytest.raises(Exception, match=r"m.yaml:4:31: price has no field 'amout'; did you mean 'amount'"):
        compiled("price: {path: p, write: {p: amout}}".replace("path: p", "read: p"))
