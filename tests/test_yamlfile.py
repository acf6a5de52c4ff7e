"""Strict YAML: what is typed, what is refused, and that every mistake has its place."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from crmbridge.sdk.errors import ConfigError
from crmbridge.yamlfile import Document, load, loads, validate


def error_of(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loads(text, "c.yaml")
    return caught.value


# --- What is read as what


@pytest.mark.parametrize(
    "text",
    [
        *("NO", "no", "yes", "Yes", "on", "off", "y", "n", "True", "FALSE", "Null", "NULL"),
        *("0123", "0o17", "0x1F", "0b1", "1_000", "+49", "+49 30 1234", "-0", "007", "1,5"),
        *("12:30:45", "12:30", "190:20:30", "2026-01-01", "2026-01-01T12:00:00Z", "2001-12-14 21:59:43.10"),
        *("1e3", "1.5e3", ".5", "5.", "01.50", ".inf", "-.inf", ".nan", "=", "１２"),
        "9" * 601,
    ],
)
def test_what_yaml_1_1_would_change_stays_text(text: str) -> None:
    assert loads(f"a: {text}\nb: [{text}]" if "," not in text else f"a: {text}\nb: ['{text}']", "c").data == {
        "a": text,
        "b": [text],
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("4006381333931", 4006381333931),
        ("9" * 600, 10**600 - 1),
        ('"true"', "true"),
        ("'12'", "12"),
        ('"null"', "null"),
        ("''", ""),
        ("|-\n  12", "12"),
        (">-\n  true", "true"),
        ("北京", "北京"),
        ("مرحبا", "مرحبا"),
        ("🙂", "🙂"),
        (r'"\ud83d\ude42"', "🙂"),
        ("${env:ERP_PASSWORD}", "${env:ERP_PASSWORD}"),
    ],
)
def test_a_value_gets_its_type(text: str, value: object) -> None:
    (read,) = loads(f"a: {text}", "c").data.values()  # type: ignore[union-attr]
    assert read == value
    assert type(read) is type(value)


def test_decimals_are_exact() -> None:
    data = loads("a: 1.50\nb: -0.1\nc: 12345678901234567890.123456789", "c").data
    assert isinstance(data, dict)
    assert [str(value) for value in data.values()] == ["1.50", "-0.1", "12345678901234567890.123456789"]
    assert all(isinstance(value, Decimal) for value in data.values())


def test_keys_are_text_as_written() -> None:
    text = "1: a\n0123: b\nNO: c\ntrue: d\n2026-01-01: e\nnull: f\n'': g\n1.50: h\n\"<<\": i\n城市: j"
    assert loads(text, "c").data == dict(
        zip(
            ["1", "0123", "NO", "true", "2026-01-01", "null", "", "1.50", "<<", "城市"],
            "abcdefghij",
            strict=True,
        )
    )


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes("\ufeffname: Müller\nb: 1".encode())
    document = load(path)
    assert document.data == {"name": "Müller", "b": 1}
    assert document.position(["name"], "key").column == 1
    assert document.position(["name"]).column == 7


def test_an_alias_repeats_its_anchor_as_a_copy() -> None:
    data: Any = loads("a: &a {x: [1]}\nb: *a", "c").data
    assert data["b"] == {"x": [1]}
    data["b"]["x"].append(2)
    assert data["a"] == {"x": [1]}


# --- What is refused, where, and in which words


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("a: 1\nb: 2\n'a': 3", "3:1", "the key 'a' is already at c.yaml:1:1"),
        ("1: x\n'1': y", "2:1", "already at c.yaml:1:1"),
        ("s:\n  x: {k: 1, k: 2}", "2:13", "already at c.yaml:2:7"),
        ("a:\n\tb: 1", "2:1", "a tab"),
        ("a:\tb", "1:3", "a tab"),
        ("a: 1\n b: 2", "2:3", "indent the keys of one mapping equally"),
        ("a:\n  - b\n c", "3:2", "does not fit the lines above"),
        ("when: it is: so", "1:12", "in quotes"),
        ("a: [1, 2", "1:4", "bracket that opens here is never closed"),
        ("x: 1\na: 'b\nc: d\n", "2:4", "quote that opens here is never closed"),
        ("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> main\n", "2:1", "keep one of them"),
        ('x: "1\ny: 2\nz: "3"\n', "1:4", "the quote that opens here closes only in line 3"),
        ("x: '1\ny: 2\nz: '3'\n", "1:4", "the quote that opens here closes only in line 3"),
        ("x: '1\n  2'\ny: [a b: c: d]\n", "3:11", "in quotes"),
        ("a: {p: ${env:X}}", "1:9", '"${env:NAME}"'),
        ("a: @b", "1:4", "in quotes"),
        ('a: "\\q"', "1:6", "single quotes"),
        ('a: "\\UFFFFFFFF"', "1:7", "out of range"),
        ('a: "\\ud83d"', "1:4", "half a character"),
        ("%YAML " + "9" * 5000 + ".1\n---\na: 1", "1:7", "out of range"),
        ("a: !!python/object/apply:os.system [ls]", "1:4", "tags (!...) are not allowed"),
        ("a: !!str 1", "1:4", "tags"),
        ("a: ! x", "1:4", "tags"),
        ("!!map\na: 1", "1:1", "tags"),
        ("!!str a: 1", "1:1", "tags"),
        ("a: &a {b: 1}\nc:\n  <<: *a", "3:3", "merge keys (<<) are not allowed"),
        ("[a, b]: 1", "1:1", "a key must be plain text"),
        ("? {a: 1}\n: 2", "1:3", "a key must be plain text"),
        ("a: &x k\n*x : 1", "2:1", "a key must be plain text"),
        ("?\n: 1", "1:2", "a ':' without a key"),
        ("&x a: 1", "1:1", "a key must be plain text"),
        ("a: *nothing", "1:4", "no finished anchor"),
        ("a: &a [*a]", "1:8", "no finished anchor"),
        ("a: &x 1\nb: &x 2", "2:4", "anchor is here a second time"),
        ("a: 1\n---\nb: 2", "2:1", "a second document"),
        ("a: 1\n...\n@", "3:1", "cannot start with @"),
        ("", "1:1", "the file is empty"),
        ("\n# only a comment\n", "1:1", "the file is empty"),
        ("a: b\nc: d\x00", "2:5", "U+0000"),
        ("a: \ud800", "1:4", "U+D800"),
        ("a: b\nc: d\u2028e: f", "2:5", "U+2028"),
        ("a: b\x85", "1:5", "U+0085"),
        ("- " * 101 + "x", "1:201", "nested deeper than 100"),
        ("[" * 100_000, "1:101", "nested deeper than 100"),
    ],
)
def test_what_is_refused(text: str, position: str, words: str) -> None:
    error = error_of(text)
    assert error.position == f"c.yaml:{position}"
    assert words in str(error)
    assert error.hint


def test_a_hundred_levels_are_read() -> None:
    assert str(loads("[" * 100 + "]" * 100, "c").data) == "[" * 100 + "]" * 100


def test_an_alias_bomb_is_refused_where_it_goes_off() -> None:
    levels = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    levels += [f"l{i}: &l{i} [" + ", ".join([f"*l{i - 1}"] * 9) + "]" for i in range(1, 10)]
    error = error_of("\n".join(levels))
    assert error.position is not None
    assert error.position.startswith("c.yaml:4:")
    assert "aliases (*) add up to more than 1,000 values" in error.message


def test_a_thousand_aliased_values_are_read_and_one_more_is_not() -> None:
    ten = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
    data: Any = loads(ten + "b: [" + ", ".join(["*a"] * 100) + "]", "c").data
    assert len(data["b"]) == 100
    assert "1,000" in error_of(ten + "b: [" + ", ".join(["*a"] * 101) + "]").message


def test_aliases_cannot_nest_deeper_than_text_can() -> None:
    steps = ["a0: &a0 " + "[" * 60 + "]" * 60, "a1: &a1 " + "[" * 60 + "*a0" + "]" * 60]
    assert "nested deeper than 100" in error_of("\n".join(steps)).message


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: 1\n" + b"#" * 5_000_000)
    with pytest.raises(ConfigError, match="larger than 5,000,000 bytes") as caught:
        load(path)
    assert caught.value.position == f"{path}:1:1"
    assert "larger" in error_of("#" * 5_000_001).message


@pytest.mark.parametrize(
    ("raw", "position"),
    [
        ("a: 1\nb: 北京".encode("gb18030"), "2:4"),
        ("é: ".encode() + b"M\xfcller", "1:5"),
        ("a: 1".encode("utf-16"), "1:1"),
    ],
)
def test_text_that_is_not_utf8_has_a_place_too(tmp_path: Path, raw: bytes, position: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        load(path)
    assert caught.value.position == f"{path}:{position}"
    assert caught.value.hint == "save the file as UTF-8"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere\.yaml: No such file"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path)


# --- Positions

CONFIG = """\
systems:
  erp: {connector: tryton, url: "http://erp"}
  shop:
    connector: vendure

sync: [party, {entity: product}]
"""


def at(document: Document, loc: list[str | int], of: Literal["key", "value"] = "value") -> str:
    return str(document.position(loc, of)).removeprefix("c.yaml:")


def test_keys_and_values_know_their_places() -> None:
    document = loads(CONFIG, "c.yaml")
    assert at(document, []) == "1:1"
    assert at(document, ["systems"], "key") == "1:1"
    assert at(document, ["systems", "erp"], "key") == "2:3"
    assert at(document, ["systems", "erp"]) == "2:8"
    assert at(document, ["systems", "erp", "url"], "key") == "2:28"
    assert at(document, ["systems", "erp", "url"]) == "2:33"
    assert at(document, ["systems", "shop", "connector"]) == "4:16"
    assert at(document, ["sync", 0]) == "6:8"
    assert at(document, ["sync", 1, "entity"]) == "6:24"
    assert at(document, ["sync", 1], "key") == "6:15"


def test_what_is_not_there_leads_to_the_nearest_parent() -> None:
    document = loads(CONFIG, "c.yaml")
    assert at(document, ["systems", "erp", "password"], "key") == "2:3"
    assert at(document, ["sync", 7]) == at(document, ["sync"])
    assert at(document, ["sync", -1]) == at(document, ["sync"])
    assert at(document, ["nothing", "at", "all"]) == "1:1"
    assert at(document, ["systems", "shop", "function-after[f(), SystemConfig]", "connector"]) == "4:16"


def test_an_error_points_where_the_caller_says() -> None:
    document = loads(CONFIG, "c.yaml")
    error = document.error(["systems", "shop", "connector"], "no such connector", "install it")
    assert str(error) == "c.yaml:4:16: no such connector\n  hint: install it"
    assert document.error(["systems", "shop"], "unused", of="key").position == "c.yaml:3:3"


def test_an_overlay_merges_mappings_and_each_value_keeps_its_file() -> None:
    base = loads("a: {x: 1, y: [1, 2]}\nb: 1", "base.yaml")
    merged = base.overlaid_by(loads("\na: {y: [3], z: null}\nb: {c: 1}", "test.yaml"))
    assert merged.data == {"a": {"x": 1, "y": [3], "z": None}, "b": {"c": 1}}
    assert str(merged.position(["a", "x"])) == "base.yaml:1:8"
    assert str(merged.position(["a", "y", 0])) == "test.yaml:2:9"
    assert str(merged.position(["b", "c"])) == "test.yaml:3:8"
    assert str(merged.position(["b"], "key")) == "test.yaml:3:1"
    assert str(merged.position(["a", "x"], "key")) == "base.yaml:1:5"
    assert base.data == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


# --- Models


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Files(Strict):
    connector: Literal["files"]
    path: str
    pause: float = 0


class Sql(Strict):
    connector: Literal["sql"]
    url: str
    password: str = ""
    batch: int = 100

    @field_validator("password", "url")
    @classmethod
    def _not_plain(cls, value: str) -> str:
        if "hunter" in value:
            raise ValueError(f"{value!r} is written out, use ${{env:NAME}}")
        return value


class FieldPath(Strict):
    path: str
    values: dict[str, str] = {}


class FieldRead(Strict):
    path: str
    read: str


def kind_of(value: object) -> str | None:
    return "read" if isinstance(value, dict) and "read" in value else None


class Rare(Strict):
    """Shapes that the configuration has few of."""

    either: FieldPath | FieldRead | None = None
    by_name: dict[Annotated[str, Field(pattern="^[a-z]+$")], FieldPath] = {}
    pair: tuple[FieldPath, int] | None = None
    chosen: Annotated[Annotated[FieldRead, Tag("read")], Discriminator(kind_of)] | None = None
    tokens: list[str] = []

    @field_validator("tokens")
    @classmethod
    def _none(cls, value: list[str]) -> list[str]:
        if value:
            raise ValueError(f"not used: {value}")
        return value


class WithoutSchema(Strict):
    check: Callable[[], bool] | None = None


class Config(Strict):
    systems: dict[str, Annotated[Files | Sql, Field(discriminator="connector")]]
    fields: dict[str, str | FieldPath] = {}
    mode: Literal["live", "shadow"] = "live"
    authority: dict[Annotated[str, Field(pattern="^[a-z_]+$")], list[str]] = {}
    api_key: int = 0
    limit: int = 0


def problems(text: str, model: type[BaseModel] = Config) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(loads(text, "c.yaml"), model)
    lines = str(caught.value).splitlines()
    assert caught.value.position == ":".join(lines[0].split(":")[:3])
    return [line.removeprefix("c.yaml:") for line in lines]


def test_a_right_document_becomes_the_model() -> None:
    text = "systems: {a: {connector: files, path: x, pause: 1.5}}\nfields: {city: city, name: {path: n}}"
    config = validate(loads(text, "c.yaml"), Config)
    assert config.systems["a"] == Files(connector="files", path="x", pause=1.5)
    assert config.fields == {"city": "city", "name": FieldPath(path="n")}


def test_every_mistake_is_listed_in_the_order_of_the_file() -> None:
    text = """\
autority: {legal_name: [erp]}
systems:
  a: {connector: filse}
  b: {}
  c: {connector: files, pth: x}
  d:
    connector: sql
    url: 1.50
    batch: ten
mode: shadw
authority:
  Legal Name: [erp]
"""
    assert problems(text) == [
        "1:1: autority: unknown key; did you mean 'authority'?",
        "3:18: systems.a.connector: should be one of 'files', 'sql', not 'filse'; did you mean 'files'?",
        "4:3: systems.b.connector: this key is required, but missing",
        "5:3: systems.c.path: this key is required, but missing",
        "5:25: systems.c.pth: unknown key; did you mean 'path'?",
        "8:10: systems.d.url: should be text: put it in quotes, not 1.50",
        "9:12: systems.d.batch: should be a valid integer, unable to parse string as an integer, not 'ten'",
        "10:7: mode: should be 'live' or 'shadow', not 'shadw'; did you mean 'shadow'?",
        "12:3: authority.Legal Name: this key is not allowed: String should match pattern '^[a-z_]+$'",
    ]


def test_an_unknown_key_unlike_any_other_lists_the_known_ones_of_its_own_branch() -> None:
    assert problems("systems: {a: {connector: files, path: x, zzz: 1}}") == [
        "1:42: systems.a.zzz: unknown key; known here: connector, path, pause"
    ]


def test_of_a_union_the_branch_that_fits_best_speaks() -> None:
    head = "systems: {}\nfields:\n"
    assert problems(head + "  x: {pth: 1}") == [
        "3:3: fields.x.path: this key is required, but missing",
        "3:7: fields.x.pth: unknown key; did you mean 'path'?",
    ]
    assert problems(head + "  x: {path: p, values: [1]}") == [
        "3:24: fields.x.values: should be a mapping (key: value)"
    ]
    assert problems(head + "  x: 7") == [
        "3:6: fields.x: should be text: put it in quotes or should be a mapping (key: value), not 7"
    ]


def test_branches_of_a_union_do_not_repeat_each_other() -> None:
    assert problems("either: {raed: x}", Rare) == [
        "1:1: either.path: this key is required, but missing",
        "1:1: either.read: this key is required, but missing",
        "1:10: either.raed: unknown key; did you mean 'read'?",
    ]


def test_keys_are_suggested_wherever_a_model_can_be() -> None:
    assert problems("by_name: {a: {path: x, vlaues: {}}}", Rare) == [
        "1:24: by_name.a.vlaues: unknown key; did you mean 'values'?"
    ]
    assert problems("pair: [{path: x, vlaues: {}}, 1]", Rare) == [
        "1:18: pair[0].vlaues: unknown key; did you mean 'values'?"
    ]


def test_a_model_without_json_schema_only_goes_without_suggestions() -> None:
    assert problems("chekc: 1", WithoutSchema) == ["1:1: chekc: unknown key"]


def test_a_branch_chosen_by_code_is_not_taken_for_a_missing_key() -> None:
    (line,) = problems("chosen: {path: x}", Rare)
    assert line.startswith("1:9: chosen: Unable to extract tag")


def test_a_document_of_the_wrong_shape_is_one_problem() -> None:
    assert problems("- a") == ["1:1: should be a mapping (key: value)"]
    assert problems("just text") == ["1:1: should be a mapping (key: value), not 'just text'"]


def test_a_part_of_a_document_is_validated_in_its_place() -> None:
    document = loads("systems:\n  crm:\n    connector: sql\n    ulr: x", "c.yaml")
    with pytest.raises(ConfigError) as caught:
        validate(document, Sql, ["systems", "crm"])
    assert str(caught.value).splitlines() == [
        "c.yaml:2:3: systems.crm.url: this key is required, but missing",
        "c.yaml:4:5: systems.crm.ulr: unknown key; did you mean 'url'?",
    ]
    with pytest.raises(KeyError):
        validate(document, Sql, ["systems", "erp"])


def test_of_very_many_problems_the_first_fifty_are_listed() -> None:
    lines = problems("systems: {}\n" + "".join(f"x{i}: 1\n" for i in range(60)))
    assert len(lines) == 51
    assert lines[-1] == "... and 10 more"


# --- Secrets


@pytest.mark.parametrize(
    "text",
    [
        "systems: {}\napi_key: hunter2",
        "systems: {}\napi_key: [hunter2]",
        "systems: {a: {connector: sql, url: x, password: hunter2}}",
        "systems: {a: {connector: sql, url: x, password: [hunter2]}}",
        "systems: {a: {connector: sql, url: x, pasword: hunter2}}",
        "systems: {a: {connector: sql, url: x, batch: 'http://u:hunter2@host'}}",
        "systems: {a: {connector: sql, token: hunter2}}",
        "systems: {a: {connector: hunter, token: hunter2}}",
        "systems: {a: {connector: sql, url: x}}\npassword: *hunter2",
        "password: !hunter2",
        "password: !hunter2!x y",
        "password: &hunter2 &hunter2",
        "password: *hunter2?",
        "password: @hunter2",
        "password: %hunter2",
        "password: hunter2: x",
        "password: 'hunter2' x",
        'password: "hunter2\\q"',
        'password: "hunter2\\UFFFFFFFF"',
        "password: {hunter2",
        "password: hunter2\x00",
        "password: >hunter2",
    ],
)
def test_a_secret_is_in_no_message_and_no_traceback(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(loads(text, "c.yaml"), Config)
    assert "hunter2" not in str(caught.value)
    shown = traceback.format_exception(caught.value)
    # The test's own source lines do not hold the text: it is a parameter.
    assert "hunter2" not in "".join(shown)


def test_a_validator_that_repeats_a_secret_is_silenced_but_not_elsewhere() -> None:
    (line,) = problems("systems: {a: {connector: sql, url: x, password: hunter2}}")
    assert line == "1:49: systems.a.password: '***' is written out, use ${env:NAME}"
    (line,) = problems("tokens: [x, hunter2]", Rare)
    assert line == "1:9: tokens: not used: ['***', '***']"
    (line,) = problems(r"systems: {a: {connector: sql, url: x, password: hunter\2}}")
    assert line == "1:49: systems.a.password: '***' is written out, use ${env:NAME}"
    (line,) = problems("systems: {a: {connector: sql, url: hunter}}")
    assert line == "1:36: systems.a.url: 'hunter' is written out, use ${env:NAME}"


# --- Laws

yaml_like = st.text(alphabet=st.sampled_from("ab1.:-?,[]{}#&*!|>'\"%@`~ \n\t\\<=x0Ué北🙂\ufeff\x85\u2028\r"))
any_text = st.one_of(st.text(alphabet=st.characters(), max_size=200), yaml_like)


@settings(max_examples=500, deadline=None)
@given(any_text)
def test_any_text_loads_or_has_an_error_with_a_position(text: str) -> None:
    try:
        loads(text, "c.yaml")
        position = None
    except ConfigError as error:
        position = str(error.position)
    assert position is None or re.fullmatch(r"c\.yaml:[1-9]\d*:[1-9]\d*", position)


# U+0085 is left out: PyYAML writes it unescaped where it reads as a line break.
some_text = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | some_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(some_text, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(plain, st.sampled_from([False, True, None]), st.booleans())
def test_what_is_dumped_loads_back_equal(data: Any, flow: bool | None, unicode: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=unicode, sort_keys=False)
    read = loads(text, "c.yaml").data
    assert read == data
    assert repr(read) == repr(data)  # 1 is not true


# YAML ends a key on one line after 1,024 characters; json.dumps makes up to 12 of one.
@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=80), st.none() | st.lists(st.text()), min_size=1, max_size=5))
def test_the_place_of_a_key_is_where_the_key_is_written(data: dict[str, Any]) -> None:
    text = json.dumps(data, indent=1)
    document = loads(text, "c.yaml")
    lines = text.split("\n")
    for key in data:
        position = document.position([key], "key")
        assert lines[position.line - 1][position.column - 1 :].startswith(json.dumps(key) + ":")
