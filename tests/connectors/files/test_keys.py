"""Identity: declared keys, ids that we add, duplicates, and writes against rows that moved or changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from crmbridge.connectors.files.listing import join_key
from crmbridge.sdk import Operation

KEY = st.text(st.sampled_from("a|\\ "), min_size=1, max_size=4)


@given(st.tuples(KEY, KEY), st.tuples(KEY, KEY))
def test_different_keys_never_join_to_the_same_id(one, other):
    assert (join_key(one) == join_key(other)) == (one == other)


def test_several_key_columns(files):
    files.write("p.csv", "shop,no,n\nde,1,a\nfr,1,b\n")
    stream = files.stream("p", key=["shop", "no"])
    assert list(stream.rows()) == ["de|1", "fr|1"]
    assert stream.update("fr|1", n="c").record.data["n"] == "c"
    assert stream.create(shop="it", no="1", n="d").record.native_id == "it|1"


def test_all_rows_of_a_duplicated_key_are_rejected_and_named(files):
    files.write("p.csv", "id,n\n1,a\n2,b\n1,c\n 1 ,d\n")
    stream = files.stream("p", key="id")
    assert [reject.position for reject in stream.rejects()] == ["p.csv:2", "p.csv:4", "p.csv:5"]
    assert "id '1' stands in rows 2, 4, 5" in stream.rejects()[0].reason
    assert stream.rejects()[0].raw == {"id": "1", "n": "a"}
    assert list(stream.rows()) == ["2"]
    assert "stands in rows" in stream.update("1", n="x").reason
    assert "stands in rows" in stream.create(id="1", n="x").reason


def test_many_rows_of_one_key_are_counted(files):
    files.write("p.csv", "id\n" + "7\n" * 25)
    assert (
        "rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 15 more;" in files.stream("p", key="id").rejects()[0].reason
    )


def test_an_empty_key_is_rejected_unless_the_row_is_blank(files):
    files.write("p.csv", "id,n\n,\n,a\n , \n1,b\n")
    stream = files.stream("p", key="id")
    assert [(reject.position, reject.raw) for reject in stream.rejects()] == [
        ("p.csv:3", {"id": None, "n": "a"})
    ]


def test_a_create_that_is_tried_again_makes_no_second_row(files):
    path = files.write("p.csv", "id,n,m\n")
    stream = files.stream("p", key="id")
    create = Operation("op-1", "create", data={"id": "1", "n": 5, "m": None})
    first, second = stream.push(create), files.stream("p", key="id").push(create)
    assert [r.status for r in first + second] == ["done", "done"]
    assert second[0].record == first[0].record
    assert path.read_text() == "id,n,m\n1,5,\n"
    other = stream.push(Operation("op-2", "create", data={"id": "1", "n": 6}))[0]
    assert (other.status, other.reason) == ("rejected", "p.csv:2 has the key '1' already")


def test_two_creates_of_one_batch_with_the_same_key_make_one_row(files):
    path = files.write("p.csv", "id,n\n")
    stream = files.stream("p", key="id")
    first, second = stream.push(
        Operation("a", "create", data={"id": "1", "n": "x"}),
        Operation("b", "create", data={"id": "1", "n": "y"}),
    )
    assert (first.status, second.status) == ("done", "rejected")
    assert "another operation of the same batch" in second.reason
    assert path.read_text() == "id,n\n1,x\n"


def test_a_create_needs_its_key(files):
    files.write("p.csv", "id,n\n")
    stream = files.stream("p", key="id")
    assert stream.create(n="x").status == "rejected"
    assert stream.connector.streams()[0].capabilities.required == {"id"}


def test_a_row_that_changed_since_it_was_read_is_a_conflict(files):
    path = files.write("p.csv", "id,n,m\n1,a,b\n2,a,b\n")
    stream = files.stream("p", key="id")
    version = stream.records()["1"].version
    path.write_text("id,n,m\n1,a,edited\n2,a,b\n")
    results = stream.push(
        Operation("1", "update", "1", {"n": "x"}, version=version),
        Operation("2", "delete", "1", version=version),
        Operation("3", "update", "gone", {"n": "x"}),
        Operation("4", "delete", "gone"),
        Operation("5", "update", "2", {"n": "y"}),
        Operation("6", "update", "2", {"n": "z"}),
    )
    assert [result.status for result in results] == [
        "conflict",
        "conflict",
        "conflict",
        "done",
        "done",
        "conflict",
    ]
    assert path.read_text() == "id,n,m\n1,a,edited\n2,y,b\n"


def test_a_row_may_move(files):
    path = files.write("p.csv", "id,n\n1,a\n2,b\n")
    stream = files.stream("p", key="id")
    version = stream.records()["1"].version
    path.write_text("n,id\nb,2\n\na,1\n")
    stream.push(Operation("1", "update", "1", {"n": "x"}, version=None))
    assert path.read_text() == "n,id\nb,2\n\nx,1\n"
    assert version is not None


def test_the_version_changes_with_any_cell_and_only_then(files):
    path = files.write("p.csv", "id,n\n1,a\n2,b\n")
    stream = files.stream("p", key="id")
    before = {key: record.version for key, record in stream.records().items()}
    path.write_text('id,n\r\n2,c\r\n"1","a"\r\n')
    after = {key: record.version for key, record in stream.records().items()}
    assert after["1"] == before["1"]
    assert after["2"] != before["2"]


def test_a_key_is_never_changed(files):
    path = files.write("p.csv", "id,n\n 1,a\n")
    stream = files.stream("p", key="id")
    assert stream.update("1", id="2").status == "rejected"
    assert stream.update("1", id="1", n="b").status == "done"
    assert path.read_text() == "id,n\n 1,b\n"


# -- add_id


def test_ids_come_with_the_first_write_and_not_before(files):
    path = files.write("p.csv", "name\nAnn\nBen\n\nAnn\n")
    stream = files.stream("p", add_id=True)
    ids = list(stream.records())
    assert len(set(ids)) == 3
    assert path.read_text() == "name\nAnn\nBen\n\nAnn\n"
    assert stream.update(ids[1], name="Benno").record.native_id == ids[1]
    assert path.read_text() == f"name,crmbridge_id\nAnn,{ids[0]}\nBenno,{ids[1]}\n\nAnn,{ids[2]}\n"
    assert list(stream.records()) == ids


def test_a_row_that_people_add_gets_its_id_with_the_next_write(files):
    path = files.write("p.csv", "name,crmbridge_id\nAnn,x1\nBen\n")
    stream = files.stream("p", add_id=True)
    ben = list(stream.records())[1]
    stream.push(Operation("op", "create", data={"name": "Cy"}, mark="mark-7"))
    assert path.read_text() == f"name,crmbridge_id\nAnn,x1\nBen,{ben}\nCy,mark-7\n"
    capabilities = stream.connector.streams()[0].capabilities
    assert capabilities.search_mark == "crmbridge_id"
    assert [record.data["name"] for record in stream.connector.search("p", "crmbridge_id", "mark-7")] == [
        "Cy"
    ]


def test_a_create_without_mark_has_the_same_id_each_time(files):
    files.write("p.csv", "name\n")
    create = Operation("op-1", "create", data={"name": "Cy"})
    results = [files.stream("p", add_id=True).push(create)[0] for _ in range(2)]
    assert results[0].record == results[1].record
    assert len(files.stream("p", add_id=True).rows()) == 1


def test_a_copied_id_is_rejected_with_the_way_out(files):
    files.write("p.csv", "name,crmbridge_id\nAnn,x1\nAnn,x1\n")
    [first, _] = files.stream("p", add_id=True).rejects()
    assert "in a copied row, empty that cell" in first.reason


def test_ids_can_go_to_a_column_of_yours(files):
    path = files.write("p.csv", "No,name\n7,Ann\n,Ben\n")
    stream = files.stream("p", key="No", add_id=True)
    ids = list(stream.records())
    assert ids[0] == "7"
    stream.create(name="Cy")
    assert path.read_text().splitlines()[:3] == ["No,name", "7,Ann", f"{ids[1]},Ben"]


def test_in_a_workbook_the_id_column_is_hidden(files):
    book = Workbook()
    for row in (["name", "city"], ["Ann", "Köln"], ["Ben", None]):
        book.active.append(row)
    for letter in "ABCDE":
        book.active.column_dimensions[letter].width = 20
    book.active.column_dimensions.group("B", "E", hidden=False)
    book.save(files.root / "p.xlsx")
    stream = files.stream("p", add_id=True)
    ids = list(stream.records())
    stream.create(name="Cy", city="Rom")
    sheet = load_workbook(files.root / "p.xlsx").active
    assert [cell.value for cell in sheet["C"]][:3] == ["crmbridge_id", *ids]
    assert sheet.column_dimensions["C"].hidden
    assert not sheet.column_dimensions["B"].hidden
    assert sheet.column_dimensions["B"].width == 20
    assert sheet.column_dimensions["D"].width == 20
    assert list(stream.records())[:2] == ids


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_two_batches_follow_each_other(files, name):
    files.write(name, "id,n\n" if name == "p.csv" else "\n")
    stream = files.stream("p", key="id")
    first = stream.push(*(Operation(str(i), "create", data={"id": str(i), "n": "a"}) for i in range(2500)))
    second = stream.push(
        *(
            Operation(
                f"u{r.record.native_id}", "update", r.record.native_id, {"n": "b"}, version=r.record.version
            )
            for r in first
        )
    )
    assert {result.status for result in first + second} == {"done"}
    pages = list(stream.connector.pull("p", None))
    assert [len(page.records) for page in pages] == [1000, 1000, 500]
    assert [page.complete for page in pages] == [False, False, True]
    assert pages[0].total == 2500
    assert {record.data["n"] for page in pages for record in page.records} == {"b"}
    assert [r.native_id for r in stream.connector.get_many("p", ["7", "none", "2499"])] == ["7", "2499"]


def test_the_columns_of_a_new_file_stand_in_the_order_of_the_mapping(files):
    stream = files.stream("p", file="new.csv", key="No", create=True)
    rows = [{"No": "1", "Note": "a"}, {"No": "2", "Name": "王小明", "Phone": "1", "Note": "b"}]
    stream.push(*(Operation(row["No"], "create", data=row) for row in rows))
    assert (files.root / "new.csv").read_text(encoding="utf-8-sig").splitlines()[0] == "No,Name,Phone,Note"
