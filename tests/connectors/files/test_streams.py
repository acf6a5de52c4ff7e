"""Which files are streams, that nothing outside the folder is touched, and what check says."""

from __future__ import annotations

import os

import pytest
from openpyxl import Workbook
from pydantic import ValidationError

from crmbridge.sdk import ConfigError, FatalError, Operation


def book(path, *sheets):
    result = Workbook()
    result.remove(result.active)
    for name in sheets:
        result.create_sheet(name).append(["id", "name"])
    result.save(path)


def stream_names(connector):
    return [stream.name for stream in connector.streams()]


def test_each_file_and_sheet_is_a_stream(files):
    files.write("a.csv", "id\n1\n")
    files.write("b.tsv", "id\tn\n1\t2\n")
    files.write("c.jsonl", "\n")
    files.write("readme.txt", "no")
    files.write(".hidden.csv", "id\n")
    book(files.root / "d.xlsx", "Only")
    book(files.root / "e.xlsx", "One", "Two")
    assert stream_names(files.connect()) == ["a", "b", "c", "d", "e.One", "e.Two"]


def test_a_stream_without_a_key_is_read_only_and_known_by_content(files):
    files.write("a.csv", "n\nx\ny\nx\n")
    connector = files.connect()
    [stream] = connector.streams()
    assert not stream.capabilities.operations
    assert stream.capabilities.deletes == "never"
    [page] = connector.pull("a", None)
    ids = [record.native_id for record in page.records]
    assert ids[0] == ids[2] != ids[1]
    with pytest.raises(FatalError, match="read-only"):
        list(connector.push("a", [Operation("1", "create", data={"n": "z"})]))
    assert any("add_id: true" in finding.hint for finding in connector.check())


def test_declared_streams(files):
    files.write("a.csv", "id,name\n1,x\n")
    book(files.root / "e.xlsx", "One", "Two")
    connector = files.connect(
        files={
            "people": {"file": "a.csv", "key": "id"},
            "e.Two": {"key": ["id", "name"]},
            "x": {"file": "a.csv"},
        }
    )
    assert stream_names(connector) == ["e.One", "people", "e.Two", "x"]
    assert connector.streams()[1].capabilities.operations == {"create", "update", "delete"}
    assert connector.streams()[2].key == "id, name"


def test_write_false_makes_a_stream_read_only(files):
    files.write("a.csv", "id\n1\n")
    [stream] = files.connect(files={"a": {"key": "id", "write": False}}).streams()
    assert not stream.capabilities.operations
    assert stream.capabilities.deletes == "sweep"


def test_a_connector_that_was_opened_to_read_does_not_write(files):
    path = files.write("a.csv", "id\n1\n")
    stream = files.stream("a", key="id")
    stream.connector.context.read_only = True
    with pytest.raises(FatalError, match="sales/a is read-only"):
        stream.create(id="2")
    assert path.read_text() == "id\n1\n"


def test_a_single_file_is_a_system_too(files):
    files.write("a.csv", "id\n1\n")
    files.write("b.csv", "id\n1\n")
    connector = files.connect(path="a.csv", files={"a": {"key": "id"}})
    assert stream_names(connector) == ["a"]
    with pytest.raises(FatalError, match="no stream 'b'; streams are a"):
        list(connector.pull("b", None))


def test_two_files_for_one_name_are_an_error_until_declared(files):
    files.write("a.csv", "id\n1\n")
    files.write("a.jsonl", "\n")
    with pytest.raises(FatalError, match=r"a\.csv and a\.jsonl are both 'a'"):
        list(files.connect().pull("a", None))
    assert [f.level for f in files.connect().check()] == ["error"]
    assert files.stream("a", file="a.csv", key="id").rows() == {"1": {"id": "1"}}


def test_a_sheet_added_later_is_an_error_not_another_list(files):
    book(files.root / "e.xlsx", "One", "Two")
    with pytest.raises(FatalError, match=r"several sheets \(One, Two\)"):
        files.stream("e", key="id").records()


@pytest.mark.parametrize("declared", [{}, {"files": {"e.Two": {"key": "id"}}}])
def test_a_workbook_that_is_being_saved_is_said_to_be_damaged_not_missing(files, declared):
    book(files.root / "e.xlsx", "One", "Two")
    files.write("e.xlsx", (files.root / "e.xlsx").read_bytes()[:900])
    with pytest.raises(FatalError, match="not a whole"):
        list(files.connect(**declared).pull("e.Two", None))


@pytest.mark.parametrize(
    "name", ["../secret.csv", "/etc/passwd", "sub/../../secret.csv", "link.csv", "linked/x.csv"]
)
def test_nothing_outside_the_folder_is_touched(files, name):
    inner = files.root / "inner"
    inner.mkdir()
    secret = files.write("secret.csv", "id\n1\n")
    (files.root / "elsewhere").mkdir()
    (files.root / "elsewhere" / "x.csv").write_text("id\n1\n")
    (inner / "link.csv").symlink_to(secret)
    (inner / "linked").symlink_to(files.root / "elsewhere")
    connector = files.connect(path="inner", files={"s": {"file": name, "key": "id", "create": True}})
    with pytest.raises(ConfigError, match="outside the folder"):
        connector.streams()
    with pytest.raises(ConfigError, match="outside the folder"):
        list(connector.push("s", [Operation("1", "create", data={"id": "2"})]))
    assert stream_names(files.connect(path="inner")) == []
    assert secret.read_text() == "id\n1\n"


def test_a_link_inside_the_folder_is_followed_and_stays_a_link(files):
    real = files.write("real.csv", "id,n\n1,a\n")
    (files.root / "link.csv").symlink_to("real.csv")
    files.stream("s", file="link.csv", key="id").update("1", n="b")
    assert real.read_text() == "id,n\n1,b\n"
    assert (files.root / "link.csv").is_symlink()


def test_a_pipe_is_no_file(files):
    os.mkfifo(files.root / "p.csv")
    with pytest.raises(FatalError, match="not an ordinary file"):
        files.stream("s", file="p.csv", key="id").records()


def test_a_missing_folder_or_file_is_said(files):
    with pytest.raises(FatalError, match="does not exist"):
        files.connect(path="nowhere").streams()
    with pytest.raises(FatalError, match=r"gone\.csv does not exist"):
        files.stream("s", file="gone.csv", key="id").records()
    with pytest.raises(FatalError, match=r"gone\.csv does not exist"):
        files.stream("s", file="gone.csv", key="id").create(id="1")
    with pytest.raises(FatalError, match=r"no file in .* is called 's'"):
        files.connect(files={"s": {"key": "id"}}).streams()
    assert [f.level for f in files.connect(path="nowhere").check()] == ["error"]


def test_a_new_csv_file_can_be_opened_in_excel(files):
    stream = files.stream("s", file="new.csv", key="id", create=True)
    assert stream.records() == {}
    assert stream.create(id="1", name="王", note="a,b").record.data["name"] == "王"
    assert (files.root / "new.csv").read_bytes() == '\ufeffid,name,note\r\n1,王,"a,b"\r\n'.encode()
    stream.push(Operation("x", "create", data={"id": "2", "mail": "x@example.com"}))
    assert (
        (files.root / "new.csv")
        .read_bytes()
        .endswith('note,mail\r\n1,王,"a,b"\r\n2,,,x@example.com\r\n'.encode())
    )


@pytest.mark.parametrize("name", ["", " x", "e\u0301"])
def test_a_column_that_would_be_read_by_another_name_is_not_made(files, name):
    stream = files.stream("s", file="new.csv", key="id", create=True)
    assert "cannot be called" in stream.create(id="1", **{name: "x"}).reason
    assert not (files.root / "new.csv").exists()


def test_a_new_jsonl_file(files):
    files.stream("s", file="new.jsonl", key="id", create=True).create(id="1", n=None)
    assert (files.root / "new.jsonl").read_text() == '{"id":"1","n":null}\n'


def test_check_says_what_it_found(files):
    files.write("a.csv", "id;name\n1;x\n1;y\n2;z\n;q\n")
    book(files.root / "b.xlsx", "S")
    files.write("c.csv", "")
    findings = list(files.connect(files={"a": {"key": "id"}, "b": {"key": "no"}}).check())
    texts = [f"{finding.level}: {finding.text}" for finding in findings]
    assert "ok: a: a.csv, utf-8, delimiter ;, 4 rows" in texts
    assert any(
        text.startswith("warning: a: 3 rows cannot be used") and "a.csv:2: id '1' stands in rows 2, 3" in text
        for text in texts
    )
    assert "error: b: the key column 'no' is not in b.xlsx" in texts
    assert "error: c: c.csv:1: the file is empty, without even a header" in texts


def test_discover_names_columns_types_and_rights(files):
    files.write("a.jsonl", '{"id":"1","n":1,"d":1.5,"b":true,"l":[],"o":{}}\n{"id":"2","n":2,"d":3}\n')
    found = files.stream("a", key="id").connector.discover("a")
    assert {name: info.type for name, info in found.items()} == {
        "id": "string", "n": "integer", "d": "decimal", "b": "boolean", "l": "list", "o": "object"
    }  # fmt: skip
    assert found["id"].required
    assert found["id"].on_create
    assert not found["id"].on_update
    assert found["n"].on_update


def test_the_fingerprint_names_the_place_and_survives_edits_and_moves(files, tmp_path_factory):
    (files.root / "sales").mkdir()
    (files.root / "other").mkdir()
    first = files.connect(path="sales").fingerprint()
    (files.root / "sales" / "a.csv").write_text("id\n1\n")
    assert files.connect(path="./sales").fingerprint() == first
    assert files.connect(path="other").fingerprint() != first
    moved = tmp_path_factory.mktemp("moved") / "all"
    files.root.rename(moved)
    files.root = moved
    assert files.connect(path="sales").fingerprint() == first


@pytest.mark.parametrize(
    "wrong",
    [
        {"delimiter": "ab"},
        {"header": 0},
        {"add_id": True, "key": ["a", "b"]},
        {"create": True, "header": 2},
        {"x": 1},
    ],
)
def test_wrong_settings_are_refused(files, wrong):
    with pytest.raises(ValidationError):
        files.connect(files={"s": wrong})


def test_check_warns_of_missing_keys_only_in_lists_that_somebody_named(files):
    files.write("notes.csv", "text\nhello\n")
    files.write("customers.csv", "No,name\n1,Ann\n")
    found = files.connect(files={"customers": {}}).check()
    levels = {finding.text.split(":")[0]: finding.level for finding in found if "has no key" in finding.text}
    assert levels == {"customers": "warning", "notes": "ok"}
