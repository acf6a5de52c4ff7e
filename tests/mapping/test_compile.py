"""Each mistake in a mapping is named with file:line:column, what is wrong and what would be right."""

from __future__ import annotations

import pytest

from crmbridge.sdk.errors import ConfigError
from tests.mapping.making import compiled, from_yaml

HEAD = "stream: rows\nentity: thing\nfields:\n"


@pytest.mark.parametrize(
    ("line", "position", "says"),
    [
        ("nam: a", "4:3", "thing has no field 'nam'; did you mean 'name'?"),
        ("name: {pth: a}", "4:10", "unknown key; did you mean 'path'?"),
        ("name: a..b", "4:9", "expected a name in the path at character 3"),
        ("name: {path: a, as: stripp}", "4:23", "unknown codec 'stripp'; did you mean 'strip'?"),
        ("name: {path: a, as: [strip, lowr]}", "4:31", "unknown codec 'lowr'; did you mean 'lower'?"),
        ("name: {path: a, as: {split: ' '}}", "4:23", "as: split: split needs a separator"),
        ("name: {read: 'lowr(a)'}", "4:16", "unknown function lowr() at character 1"),
        ("name: {read: 'a ='}", "4:16", "character 3 of the expression"),
        ("name: {path: a, read: b}", "4:3", "needs either path, read or const"),
        ("name: {required: true}", "4:3", "needs either path, read or const"),
        ("name: {const: a, path: b}", "4:3", "const stands alone, without path"),
        ("kind: {const: robot}", "4:17", "kind cannot be 'robot'"),
        ("kind: {path: k, values: {p: persn}}", "4:31", "kind cannot be 'persn'; did you mean 'person'?"),
        ("kind: {path: k, write_values: {person: p}}", "4:19", "write_values goes with values"),
        (
            "kind: {path: k, values: {p: person}, write_values: {person: x}}",
            "4:63",
            "'x' is not among the values",
        ),
        ("kind: {path: k, values: {p: person, '': organization}}", "4:39", "blank text is null already"),
        ("owner: o", "4:10", "owner is a reference, so it needs ref"),
        ("name: {path: a, ref: users}", "4:19", "name is no reference"),
        ("owner: {path: o, ref: users, also: x}", "4:38", "there is no 'x' below also:"),
        ("name: {each: a, fields: {}}", "4:3", "name is no list of elements"),
        ("name: {fields: {amount: a}}", "4:10", "name has no parts"),
        ("price: {fields: {amont: a}}", "4:20", "Money has no field 'amont'; did you mean 'amount'?"),
        ("price: {fields: {amount: a}, const: {currency: euro}}", "4:50", "currency cannot be 'euro'"),
        ("price: {fields: {amount: a}, const: {currncy: EUR}}", "4:40", "did you mean 'currency'?"),
        ("points: mechanisms", "4:3", "points is a list of elements"),
        ("points: {each: m, fields: {typ: t}}", "4:30", "Point has no field 'typ'; did you mean 'type'?"),
        ("points: {each: m, fields: {id: t}}", "4:30", "Point has no field 'id'"),
        ("points: {each: m, when: 'a b', fields: {value: v}}", "4:27", "unexpected 'b'"),
        ("points: {each: m, const: {type: fax}, fields: {value: v}}", "4:35", "type cannot be 'fax'"),
        ("points: [{slot: a}]", "4:12", "the slot 'a' needs fields or present"),
        ("points: [{slot: A b, fields: {value: v}}]", "4:19", "should match pattern"),
        ("points: []", "4:11", "at least 1 item"),
        ("name: {path: a, write: {b: 'x y'}}", "4:30", "unexpected 'y'"),
        ("stage: {read: a, write: transition}", "4:27", "a transition needs the path"),
        ("name, note: {path: a, as: split}", "4:3", "cannot share a native field"),
        ("name: null", "4:3", "here is none to remove"),
    ],
)
def test_a_mistake_is_named_with_its_place(line: str, position: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_yaml(f"{HEAD}  {line}\n")
    assert f"m.yaml:{position}: " in str(caught.value)
    assert says in str(caught.value)


def test_a_further_record_of_an_unknown_entity_is_refused_there() -> None:
    also = "also:\n  company: {entity: frm, key: n, fields: {name: n}}\n"
    with pytest.raises(ConfigError, match=r"m\.yaml:4:21: unknown entity 'frm'; did you mean 'firm'\?"):
        from_yaml("stream: rows\nentity: thing\n" + also + "fields: {name: n}\n")


def test_a_further_record_is_never_written_and_nobody_can_say_otherwise() -> None:
    also = "also:\n  company: {entity: firm, key: n, write: true, fields: {name: n}}\n"
    with pytest.raises(ConfigError, match=r"m\.yaml:4:35: "):
        from_yaml("stream: rows\nentity: thing\n" + also + "fields: {name: n}\n")


def test_two_slots_of_one_name_are_refused_at_the_second() -> None:
    with pytest.raises(ConfigError, match=r"m.yaml:6:14: there are two slots 'a'"):
        compiled("points:\n  - {slot: a, fields: {value: v}}\n  - {slot: a, fields: {value: w}}")


def test_a_many_to_one_value_map_that_does_not_say_what_is_written_is_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        compiled("stage:\n  path: s\n  values:\n    lead: prospect\n    prospect: prospect")
    assert "m.yaml:7:7: lead and prospect all mean 'prospect'" in str(caught.value)
    assert "write_values: {prospect: lead}" in str(caught.value)


def test_a_many_to_one_value_map_that_is_only_read_needs_nothing() -> None:
    mapping = compiled("stage: {path: s, values: {lead: prospect, prospect: prospect}, write: never}")
    assert mapping.read({"s": "lead"}) == {"stage": "prospect"}


def test_all_mistakes_of_a_file_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compiled("nam: a\nkind: {path: k, values: {p: persn}}\npoints: {each: m, fields: {typ: t}}")
    assert [text in str(caught.value) for text in ("m.yaml:4:3:", "m.yaml:5:31:", "m.yaml:6:30:")] == [
        True
    ] * 3


def test_an_unknown_entity_is_named_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"m.yaml:2:9: unknown entity 'thign'; did you mean 'thing'"):
        from_yaml("stream: a\nentity: thign\nfields: {}\n")


def test_expressions_outside_of_fields_are_checked_too() -> None:
    text = "stream: a\nentity: thing\nwhen: a b\ncreate_when: hass(a)\nfields: {name: n}\nalso:\n"
    text += "  x: {entity: thing, key: c(d), fields: {name: n}}\n"
    with pytest.raises(ConfigError) as caught:
        from_yaml(text)
    for position in ("m.yaml:3:7", "m.yaml:4:14", "m.yaml:7:27"):
        assert position in str(caught.value)


@pytest.mark.parametrize(
    ("field", "position"),
    [
        ("points: [{slot: a, fields: {value: 'x..y'}}]", "4:38"),
        ("points: {each: 'a..b', fields: {value: v}}", "4:18"),
        ("name: {path: 'x..y', as: strip}", "4:16"),
        ("points: [{slot: a, fields: {valeu: v}}]", "4:31"),
    ],
)
def test_a_path_that_is_none_is_told_where_it_stands(field: str, position: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compiled(field)
    assert f"m.yaml:{position}: " in str(caught.value)
