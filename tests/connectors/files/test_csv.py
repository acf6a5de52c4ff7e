"""CSV and TSV: read as shown, written back with nothing else changed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmbridge.sdk import FatalError, Operation

PEOPLE = "No,Name,Phone\nK1,Ann,030\nK2,Ben,\n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def test_values_are_text_exactly_as_shown(files):
    files.write("p.csv", "id,zip,sum,when,blank,spaces,none\n007,01067,1.50,2024-05-01,,  ,\n")
    row = files.stream("p", key="id").rows()["007"]
    assert row == {
        "id": "007", "zip": "01067", "sum": "1.50", "when": "2024-05-01", "blank": None,
        "spaces": None, "none": None,
    }  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(files, delimiter):
    files.write("p.csv", f'id{delimiter}name{delimiter}note\n1{delimiter}"Meier, Karl; | x"{delimiter}a\n')
    rows = files.stream("p", key="id").rows()
    assert len(rows["1"]) == 3
    assert rows["1"]["note"] == "a"


def test_a_declared_delimiter_wins(files):
    files.write("p.csv", "id^name\n1^a,b\n")
    assert files.stream("p", key="id", delimiter="^").rows() == {"1": {"id": "1", "name": "a,b"}}


def test_excels_sep_line_is_obeyed_and_kept(files):
    path = files.write("p.csv", "sep=;\r\nid;name\r\n1;a,b\r\n")
    stream = files.stream("p", key="id")
    assert stream.rows() == {"1": {"id": "1", "name": "a,b"}}
    stream.create(id="2", name="c")
    assert path.read_bytes() == b"sep=;\r\nid;name\r\n1;a,b\r\n2;c\r\n"


def test_rows_above_the_header_are_left_alone(files):
    path = files.write("p.csv", "Customers of 2024,\n,\nid,name\n1,Ann\n")
    stream = files.stream("p", key="id", header=3)
    assert stream.rows() == {"1": {"id": "1", "name": "Ann"}}
    stream.update("1", name="Anna")
    assert path.read_text() == "Customers of 2024,\n,\nid,name\n1,Anna\n"


def test_only_the_changed_cell_changes(files):
    path = files.write(
        "p.csv", 'No,Name,"Note"\r\n"K1",  Ann ,"a ""b""\r\nc"\r\n\r\nK2,Ben,x,,\r\nK3,"Cy",y\r\n'
    )
    stream = files.stream("p", key="No")
    assert stream.update("K3", Name="Cyr").record.data == {"No": "K3", "Name": "Cyr", "Note": "y"}
    stream.update("K2", Note=None)
    stream.update("K1", Name="Zoë, 王")
    expected = 'No,Name,"Note"\r\n"K1","Zoë, 王","a ""b""\r\nc"\r\n\r\nK2,Ben,,,\r\nK3,"Cyr",y\r\n'
    assert path.read_bytes().decode() == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_and_a_missing_last_one_are_kept(files, end, last):
    def text(*rows: str) -> bytes:
        return (end.join(rows) + (end if last else "")).encode()

    path = files.write("p.csv", text("id,name", "1,a", "2,b"))
    stream = files.stream("p", key="id")
    stream.create(id="3", name="c")
    assert path.read_bytes() == text("id,name", "1,a", "2,b", "3,c")
    stream.delete("3")
    stream.delete("1")
    assert path.read_bytes() == text("id,name", "2,b")


def test_a_fully_quoted_file_stays_fully_quoted(files):
    path = files.write("p.csv", '"id","name"\n"1","a"\n')
    stream = files.stream("p", key="id")
    stream.create(id="2", name=None)
    stream.update("1", name="x")
    assert path.read_text() == '"id","name"\n"1","x"\n"2",""\n'


def test_rows_that_programs_cut_short_are_whole(files):
    path = files.write("p.csv", "id,name,phone\n1\n2,b\n")
    stream = files.stream("p", key="id")
    assert stream.rows()["1"] == {"id": "1", "name": None, "phone": None}
    stream.update("1", phone="030")
    assert path.read_text() == "id,name,phone\n1,,030\n2,b\n"


def test_a_cell_that_is_set_to_what_it_holds_keeps_its_form(files):
    path = files.write("p.csv", 'id,size,note\n1,5" x, a \n')
    files.stream("p", key="id").update("1", size='5" x', note="b")
    assert path.read_text() == 'id,size,note\n1,5" x,b\n'


def test_a_row_with_too_many_cells_is_rejected_with_its_line(files):
    files.write("p.csv", "id,name\n1,Meier, Karl\n2,b\n")
    stream = files.stream("p", key="id")
    [reject] = stream.rejects()
    assert reject.position == "p.csv:2"
    assert "3 cells" in reject.reason
    assert reject.raw == "1,Meier, Karl"
    assert list(stream.rows()) == ["2"]


def test_a_reject_makes_the_listing_incomplete(files):
    files.write("p.csv", "id,name\n1,a,b\n2,b\n")
    assert [page.complete for page in files.stream("p", key="id").connector.pull("p", None)] == [False]


def test_text_after_a_closing_quote_rejects_that_row_only(files):
    path = files.write("p.csv", 'id,name\n1,"5" pipe"\n2,b\n')
    stream = files.stream("p", key="id")
    assert [reject.position for reject in stream.rejects()] == ["p.csv:2"]
    stream.update("2", name="c")
    assert path.read_text() == 'id,name\n1,"5" pipe"\n2,c\n'


@pytest.mark.parametrize("text", ['id,name\n1,"Ann\n2,Ben\n', "id,name,phone\n1,Ann,030\n2,Be"])
def test_a_torn_file_is_an_error_and_never_data(files, text):
    files.write("p.csv", text)
    with pytest.raises(FatalError, match=r"p\.csv:[23]: "):
        files.stream("p", key="id").records()


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n", b",,\n"])
def test_an_empty_file_or_header_is_an_error(files, content):
    files.write("p.csv", content)
    with pytest.raises(FatalError, match=r"p\.csv:1: "):
        files.stream("p", key="id").records()


def test_a_header_alone_is_an_empty_list(files):
    files.write("p.csv", "id,name\n")
    [page] = files.stream("p", key="id").connector.pull("p", None)
    assert page.complete
    assert not page.records


def test_a_column_name_twice_is_an_error(files):
    files.write("p.csv", "id,name,name\n1,a,b\n")
    with pytest.raises(FatalError, match="two columns are called 'name'"):
        files.stream("p", key="id").records()


def test_numbers_and_truth_values_are_written_as_plain_text(files):
    path = files.write("p.csv", "id,n,d,t\n1,,,\n")
    stream = files.stream("p", key="id")
    record = stream.update("1", n=-5, d=Decimal("1.2E+3"), t=True).record
    assert path.read_text() == "id,n,d,t\n1,-5,1200,true\n"
    assert record.data == {"id": "1", "n": "-5", "d": "1200", "t": "true"}
    exact = "12345678901234567.89"
    assert stream.update("1", d=Decimal(exact)).record.data["d"] == exact


def test_what_a_cell_cannot_hold_is_rejected(files):
    files.write("p.csv", "id,name\n1,a\n")
    stream = files.stream("p", key="id")
    assert "list" in stream.update("1", name=["a"]).reason
    assert stream.update("1", nmae="x").reason == "there is no column 'nmae'; the columns are id, name"
    assert stream.update("1", name="x" * 200_000).status == "rejected"
    assert stream.rows()["1"]["name"] == "a"


def test_a_bad_operation_does_not_stop_the_others(files):
    files.write("p.csv", PEOPLE)
    stream = files.stream("p", key="No")
    results = stream.push(
        Operation("1", "update", "K1", {"Name": ["a"]}),
        Operation("2", "update", "K2", {"Name": "Benno"}),
        Operation("3", "create", data={"No": "K3", "Name": "Cy"}),
        Operation("4", "merge", "K1"),
    )
    assert [result.status for result in results] == ["rejected", "done", "done", "rejected"]
    assert {key: row["Name"] for key, row in stream.rows().items()} == {
        "K1": "Ann",
        "K2": "Benno",
        "K3": "Cy",
    }


@given(
    rows=st.lists(st.tuples(TEXT, TEXT), max_size=5),
    change=TEXT,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_text_survives_a_round_trip(fresh_folder, rows, change, encoding, delimiter):
    files = fresh_folder()
    files.write(
        "p.csv",
        delimiter.join(["id", "a", "b"]).encode(encoding)
        + "\r\n".encode("utf-16-le" if encoding == "utf-16" else encoding.removesuffix("-sig")),
    )
    stream = files.stream("p", key="id", encoding=encoding, delimiter=delimiter)
    results = stream.push(
        *(Operation(str(i), "create", data={"id": f"k{i}", "a": a, "b": b}) for i, (a, b) in enumerate(rows))
    )
    expected = {f"k{i}": {"id": f"k{i}", "a": blank(a), "b": blank(b)} for i, (a, b) in enumerate(rows)}
    assert [result.record.data for result in results] == list(expected.values())
    if rows:
        stream.update("k0", b=change)
        expected["k0"]["b"] = blank(change)
    assert files.stream("p", key="id", encoding=encoding, delimiter=delimiter).rows() == expected


def blank(text: str) -> str | None:
    return text if text.strip() else None


def test_a_row_that_alone_is_short_was_cut_off(files):
    full = [f"{n},Ann {n},030 {n},a{n}@x.example,Main St {n}" for n in range(1, 6)]
    files.write("p.csv", "\n".join(["id,name,phone,mail,street", *full[:2], "3,Ann 3", *full[3:]]) + "\n")
    stream = files.stream("p", key="id")
    [reject] = stream.rejects()
    assert reject.position == "p.csv:4"
    assert reject.reason == (
        "the row has 2 of 5 cells: was it cut off? What is empty needs its ',' all the same"
    )
    assert list(stream.rows()) == ["1", "2", "4", "5"]


def test_a_row_that_lacks_one_cell_was_cut_off_where_others_write_out_what_is_empty(files):
    rows = ["1,Ann,a@x.example,", "2,Bo,b@x.example,x", "3,Cy,c@x.example", "4,Di,d@x.example,y"]
    files.write("p.csv", "\n".join(["id,name,mail,note", *rows]) + "\n")
    [reject] = files.stream("p", key="id").rejects()
    assert reject.position == "p.csv:4"


@pytest.mark.parametrize(
    "rows",
    [
        ["1,Ann,a@x.example,", "2,Bo,b@x.example", "3,Cy,c@x.example", "4,Di,d@x.example,y"],
        ["1,Ann,a@x.example,x", "2,Bo,b@x.example", "3,Cy,c@x.example,y"],
    ],
)
def test_programs_leave_out_empty_cells_at_the_end(files, rows):
    files.write("p.csv", "\n".join(["id,name,mail,note", *rows]) + "\n")
    stream = files.stream("p", key="id")
    assert stream.rejects() == []
    assert stream.rows()["2"]["note"] is None
