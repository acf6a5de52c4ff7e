"""Workbooks: typed cells, and everything that we do not change stays."""

from __future__ import annotations

import contextlib
import io
import zipfile
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.styles import Font
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table

from crmbridge.sdk import FatalError, Operation, RetryableError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def customers() -> Workbook:
    """Three rows with a computed column, on a sheet with much around them."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Kunden 客户"
    sheet.append(["No", "Name", "Since", "Price", "Qty", "Total"])
    for row in (
        ["K1", "Ann", date(2020, 2, 29), 1.1, 3],
        ["K2", "王小明", date(2024, 5, 1), 20, 2],
        ["K3", None],
    ):
        sheet.append(row)
    for number in range(2, 5):
        sheet[f"F{number}"] = f"=D{number}*E{number}"
        sheet[f"C{number}"].number_format = "dd.mm.yyyy"
    sheet["B2"].font = Font(bold=True)
    sheet["B2"].comment = Comment("call back", "Eve")
    sheet.column_dimensions["B"].width = 33
    sheet.column_dimensions["D"].hidden = True
    validation = DataValidation(type="list", formula1='"1,2,3"')
    validation.add("E2:E100")
    sheet.add_data_validation(validation)
    other = book.create_sheet("Sums")
    other["A1"] = "=SUM('Kunden 客户'!E2:E100)"
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=5, min_row=1, max_row=4), titles_from_data=True)
    other.add_chart(chart, "C3")
    return book


def save(book: Workbook, path: Path) -> Path:
    book.save(path)
    return path


def with_results(path: Path, results: dict[str, str]) -> None:
    """Put last results beside formulas, as Excel does and openpyxl does not."""
    parts = read_parts(path)
    xml = parts["xl/worksheets/sheet1.xml"].decode()
    for formula, result in results.items():
        assert f"<f>{formula}</f><v />" in xml
        xml = xml.replace(f"<f>{formula}</f><v />", f"<f>{formula}</f><v>{result}</v>")
    write_parts(path, {**parts, "xl/worksheets/sheet1.xml": xml.encode()})


def read_parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_parts(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.fixture
def workbook(files):
    return save(customers(), files.root / "c.xlsx")


@pytest.fixture
def stream(files, workbook):
    return files.stream("c", file="c.xlsx", sheet="Kunden 客户", key="No")


def test_cells_are_typed_and_exact(files):
    book = Workbook()
    book.active.append(["id", "int", "half", "long", "yes", "day", "moment", "clock", "text", "blank"])
    book.active.append(
        [
            "a",
            7,
            0.5,
            1234.5678,
            True,
            date(2024, 2, 29),
            datetime.fromisoformat("2024-02-29T13:05"),
            time(8, 30),
            "007",
            " ",
        ]
    )
    save(book, files.root / "t.xlsx")
    assert files.stream("t", key="id").rows()["a"] == {
        "id": "a", "int": 7, "half": Decimal("0.5"), "long": Decimal("1234.5678"), "yes": True,
        "day": "2024-02-29",
        "moment": "2024-02-29T13:05:00", "clock": "08:30:00", "text": "007", "blank": None,
    }  # fmt: skip


def test_a_formula_without_a_result_says_nothing(stream):
    """Not None: that would clear the field everywhere."""
    assert "Total" not in stream.rows()["K1"]
    assert stream.rows()["K3"]["Name"] is None


def test_a_formula_gives_its_last_result_and_an_error_says_nothing(stream, workbook):
    with_results(workbook, {"D2*E2": "3.3000000000000003"})
    xml = read_parts(workbook)["xl/worksheets/sheet1.xml"].decode()
    broken = xml.replace('<c r="F3"><f>D3*E3</f><v />', '<c r="F3" t="e"><f>D3*E3</f><v>#REF!</v>')
    assert broken != xml
    write_parts(workbook, {**read_parts(workbook), "xl/worksheets/sheet1.xml": broken.encode()})
    rows = stream.rows()
    assert rows["K1"]["Total"] == Decimal("3.3000000000000003")
    assert "Total" not in rows["K2"]


def test_all_else_stays(stream, workbook):
    with_results(workbook, {"D2*E2": "3.3"})
    before = read_parts(workbook)
    stream.update("K1", Name="Ann & <Co>", Qty=4, Since="2021-01-31")
    stream.create(No="K4", Name="Новый", Since="2022-12-24", Price=Decimal("9.99"))
    after = read_parts(workbook)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"xl/worksheets/sheet1.xml"}
    assert set(before) == set(after)

    sheet = load_workbook(workbook)["Kunden 客户"]
    assert sheet["B2"].value == "Ann & <Co>"
    assert sheet["B2"].font.bold
    assert sheet["B2"].comment.text == "call back"
    assert sheet["C2"].value == datetime.fromisoformat("2021-01-31")
    assert sheet["F2"].value == "=D2*E2"
    assert sheet.column_dimensions["B"].width == 33
    assert sheet.column_dimensions["D"].hidden
    assert sheet.data_validations.dataValidation[0].formula1 == '"1,2,3"'
    assert [cell.value for cell in sheet[5]] == [
        "K4",
        "Новый",
        datetime.fromisoformat("2022-12-24"),
        9.99,
        None,
        None,
    ]
    assert sheet["C5"].number_format == "dd.mm.yyyy"
    assert load_workbook(workbook, data_only=True)["Kunden 客户"]["F2"].value == 3.3
    assert load_workbook(workbook)["Sums"]["A1"].value == "=SUM('Kunden 客户'!E2:E100)"
    assert stream.rows()["K1"]["Total"] == Decimal("3.3")


def test_formulas_are_computed_anew_when_a_person_opens_the_file(stream, workbook):
    parts = read_parts(workbook)
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(b'fullCalcOnLoad="1"', b'fullCalcOnLoad="0"')
    write_parts(workbook, parts)
    stream.update("K1", Qty=4)
    assert b'fullCalcOnLoad="1"' in read_parts(workbook)["xl/workbook.xml"]


def test_one_formula_protects_its_cell_and_not_the_column(files):
    book = Workbook()
    for row in (["No", "Note", "Sum"], ["1", "=1+1", "=2+2"], ["2", "plain", "=3+3"]):
        book.active.append(row)
    book.save(files.root / "p.xlsx")
    stream = files.stream("p", key="No")
    fields = stream.connector.discover("p")
    assert (fields["Note"].on_update, fields["Sum"].on_update) == (True, False)
    assert "'Note' holds a formula" in stream.update("1", Note="x").reason
    assert stream.update("2", Note="x").status == "done"


def test_a_cell_with_a_formula_is_not_overwritten(stream):
    result = stream.update("K1", Total=99)
    assert (result.status, result.reason) == (
        "rejected",
        "c.xlsx:Kunden 客户:2: the cell in column 'Total' holds a formula",
    )
    assert not stream.connector.discover("c")["Total"].on_update


def test_a_deleted_row_is_emptied_and_formulas_elsewhere_still_point_right(stream, workbook):
    assert stream.delete("K1").status == "done"
    assert list(stream.rows()) == ["K2", "K3"]
    sheet = load_workbook(workbook)["Kunden 客户"]
    assert [cell.value for cell in sheet[2]] == [None] * 5 + ["=D2*E2"]
    assert sheet["A3"].value == "K2"


def test_new_rows_use_rows_with_prepared_formulas_and_formats(files):
    book = Workbook()
    sheet = book.active
    sheet.append(["id", "n", "twice"])
    sheet.append(["a", 1])
    for number in range(2, 11):
        sheet[f"C{number}"] = f"=B{number}*2"
    sheet["A9"].font = Font(bold=True)
    with_results(save(book, files.root / "t.xlsx"), {"B7*2": "0", "B8*2": "0"})
    stream = files.stream("t", key="id")
    assert stream.rejects() == []
    stream.push(*(Operation(str(n), "create", data={"id": f"n{n}", "n": n, "twice": 99}) for n in range(12)))
    sheet = load_workbook(files.root / "t.xlsx").active
    assert [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2, max_row=4)] == [
        ["a", 1, "=B2*2"], ["n0", 0, "=B3*2"], ["n1", 1, "=B4*2"]
    ]  # fmt: skip
    assert [cell.value for cell in sheet[14]] == ["n11", 11, 99]
    assert sheet["A9"].font.bold
    assert len(stream.rows()) == 13


def test_text_that_looks_like_a_formula_is_text_and_stays_text_when_edited(stream, workbook):
    record = stream.update("K1", Name="=1+1").record
    assert record.data["Name"] == "=1+1"
    cell = load_workbook(workbook)["Kunden 客户"]["B2"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")
    assert cell.quotePrefix
    assert cell.font.bold


@pytest.mark.parametrize(
    "text", ["_x000D_", "a\rb", "a\x07b", "_x005F_x0041_", "\ufffe", "  a\n\tb ", "😀", "]]>"]
)
def test_text_that_xml_cannot_hold_comes_back(stream, text):
    assert stream.update("K1", Name=text).record.data["Name"] == text


def test_text_that_excel_escaped_is_read(files):
    book = Workbook()
    book.active.append(["id", "name"])
    book.active.append(["1", "a_x000D_b_x005F_x0041_"])
    save(book, files.root / "t.xlsx")
    assert files.stream("t", key="id").rows()["1"]["name"] == "a\rb_x0041_"


def test_numbers_with_more_digits_than_excel_keeps_are_text(stream, workbook):
    exact = Decimal("12345678901234567.89")
    assert stream.update("K1", Price=exact).record.data["Price"] == "12345678901234567.89"
    assert stream.update("K1", Price=Decimal("0.1")).record.data["Price"] == Decimal("0.1")
    assert stream.update("K1", Price=10**14 + 1).record.data["Price"] == 10**14 + 1


def test_what_no_cell_can_hold_is_rejected(stream):
    assert "at most 32767 characters" in stream.update("K1", Name="x" * 32_768).reason
    assert "surrogate" in stream.update("K1", Name="\ud800").reason
    assert "not a number" in stream.update("K1", Price=Decimal("NaN")).reason


def test_days_of_the_calendar_of_1904(files):
    book = Workbook()
    book.epoch = CALENDAR_MAC_1904
    book.active.append(["id", "day"])
    book.active.append(["1", date(2024, 2, 29)])
    save(book, files.root / "t.xlsx")
    stream = files.stream("t", key="id")
    assert stream.rows()["1"]["day"] == "2024-02-29"
    assert stream.update("1", day="2024-03-01").record.data["day"] == "2024-03-01"
    assert load_workbook(files.root / "t.xlsx").active["B2"].value == datetime.fromisoformat("2024-03-01")


def test_a_number_and_the_same_text_are_one_key(files):
    book = Workbook()
    book.active.append(["id", "name"])
    book.active.append([7, "a"])
    book.active.append(["7 ", "b"])
    save(book, files.root / "t.xlsx")
    assert [reject.position for reject in files.stream("t", key="id").rejects()] == [
        "t.xlsx:Sheet:2",
        "t.xlsx:Sheet:3",
    ]


def test_a_table_takes_in_the_new_rows_and_one_elsewhere_does_not(files):
    book = Workbook()
    for row in (["id", "name", None, "x"], ["1", "a"], ["2", "b"]):
        book.active.append(row)
    book.active.add_table(Table(displayName="People", ref="A1:B3"))
    book.active.add_table(Table(displayName="Other", ref="D1:D2"))
    save(book, files.root / "t.xlsx")
    files.stream("t", key="id").create(id="3", name="c")
    tables = load_workbook(files.root / "t.xlsx").active.tables
    assert (tables["People"].ref, tables["People"].autoFilter.ref) == ("A1:B4", "A1:B4")
    assert tables["Other"].ref == "D1:D2"


def test_a_moment_that_a_date_cannot_hold_stays_text(stream):
    """A day before the calendar, an offset, parts of a second that the day number rounds away."""
    for text in (
        "1850-01-01",
        "2024-05-01T10:00:00+02:00",
        "2024-05-01T10:00:00.123456",
        "2024-02-30",
        "1900-02-29",
    ):
        assert stream.update("K1", Since=text).record.data["Since"] == text
    assert stream.update("K1", Since="2024-05-01T10:00:00").record.data["Since"] == "2024-05-01T10:00:00"


def test_a_table_with_totals_takes_no_rows(files):
    book = Workbook()
    for row in (["id", "name"], ["1", "a"], ["sum", "1"]):
        book.active.append(row)
    table = Table(displayName="People", ref="A1:B3", totalsRowCount=1)
    book.active.add_table(table)
    save(book, files.root / "t.xlsx")
    stream = files.stream("t", key="id")
    assert "ends with a row of totals" in stream.create(id="2", name="b").reason
    assert any("row of totals" in finding.text for finding in stream.connector.check())


def test_xml_with_prefixes_and_without_references_is_edited_too(files):
    path = save(customers(), files.root / "t.xlsx")
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = (
        f'<?xml version="1.0"?><x:worksheet xmlns:x="{main}"><x:cols>'
        '<x:col min="1" max="9" width="5"/></x:cols>'
        '<x:sheetData><x:row><x:c t="inlineStr"><x:is><x:t>id</x:t></x:is></x:c>'
        '<x:c t="inlineStr"><x:is><x:t>n</x:t></x:is></x:c></x:row>'
        '<!-- <row> --><x:row spans="1:2"><x:c t="inlineStr"><x:is><x:t>a</x:t></x:is></x:c></x:row>'
        "</x:sheetData></x:worksheet>"
    )
    write_parts(path, {**read_parts(path), "xl/worksheets/sheet1.xml": sheet.encode()})
    stream = files.stream("t", sheet="Kunden 客户", key="id")
    assert stream.update("a", n=5).status == "done"
    assert stream.create(id="b", n=6).status == "done"
    assert stream.rows() == {"a": {"id": "a", "n": 5}, "b": {"id": "b", "n": 6}}
    text = read_parts(path)["xl/worksheets/sheet1.xml"].decode()
    assert text.startswith(sheet.partition("<x:row spans")[0])
    assert "spans" not in text


def test_rows_that_lie_across_the_chunks_of_a_long_sheet(files):
    book = Workbook(write_only=True)
    sheet = book.create_sheet("S")
    sheet.append(["id", "name", "note"])
    for n in range(600):
        sheet.append([f"k{n}", "old", f"{n}" + "x" * 1000])
    book.save(files.root / "t.xlsx")
    stream = files.stream("t", key="id")
    before = stream.rows()
    stream.push(*(Operation(str(n), "update", f"k{n}", {"name": f"new {n}"}) for n in range(600)))
    assert stream.rows() == {key: {**row, "name": f"new {key[1:]}"} for key, row in before.items()}


# -- sheets that do not exist yet


def test_a_missing_workbook_is_made_with_a_readable_head(files):
    stream = files.stream("360", file="new.xlsx", sheet="Customers 360", key="id", create=True)
    [page] = stream.connector.pull("360", None)
    assert page.complete
    assert not page.records
    result = stream.create(id="c1", name="王小明 Ltd.", open_invoices=3)
    assert result.record.data == {"id": "c1", "name": "王小明 Ltd.", "open_invoices": 3}
    stream.push(Operation("x", "create", data={"id": "c2", "last_contact": "2024-05-01"}))
    sheet = load_workbook(files.root / "new.xlsx")["Customers 360"]
    assert [[cell.value for cell in row] for row in sheet] == [
        ["id", "name", "open_invoices", "last_contact"],
        ["c1", "王小明 Ltd.", 3, None],
        ["c2", None, None, "2024-05-01"],
    ]
    assert sheet.freeze_panes == "A2"
    assert all(cell.font.bold for cell in sheet[1])
    assert sheet.column_dimensions["B"].width >= 13


def test_a_missing_sheet_is_added_and_the_others_stay(files, workbook):
    before = read_parts(workbook)
    stream = files.stream("360", file="c.xlsx", sheet="Customers 360", key="id", create=True)
    assert stream.create(id="c1", name="x").status == "done"
    assert stream.update("c1", name="y").status == "done"
    after = read_parts(workbook)
    for part in ("xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml", "xl/charts/chart1.xml"):
        assert after[part] == before[part]
    book = load_workbook(workbook)
    assert book.sheetnames == ["Kunden 客户", "Sums", "Customers 360"]
    assert book["Customers 360"]["B2"].value == "y"
    assert book["Customers 360"]["A1"].font.bold
    assert len(book["Sums"]._charts) == 1


def test_an_empty_sheet_is_filled_but_one_with_content_is_not_touched(files):
    book = Workbook()
    book.create_sheet("Notes")["C7"] = "mine"
    save(book, files.root / "t.xlsx")
    assert (
        files.stream("a", file="t.xlsx", sheet="Sheet", key="id", create=True).create(id="1").status == "done"
    )
    with pytest.raises(FatalError, match=r"t\.xlsx:Notes:1: the header is missing"):
        files.stream("b", file="t.xlsx", sheet="Notes", key="id", create=True).create(id="1")


# -- damage and attacks


def test_a_cut_off_workbook_is_an_error(files, workbook, stream):
    data = workbook.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 30):
        workbook.write_bytes(data[:size])
        with pytest.raises(FatalError, match="not a whole"):
            stream.records()


def test_flipped_bytes_are_an_error_or_harmless(files, workbook, stream):
    data = bytearray(workbook.read_bytes())
    good = stream.rows()
    for position in range(0, len(data), 97):
        workbook.write_bytes(data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :])
        with contextlib.suppress(FatalError):
            assert stream.rows() == good


def test_a_missing_part_is_an_error(files, workbook, stream):
    """Without its formats a workbook would give day numbers for dates."""
    parts = read_parts(workbook)
    del parts["xl/styles.xml"]
    write_parts(workbook, parts)
    with pytest.raises(FatalError, match=r"xl/styles\.xml is missing"):
        stream.records()


def test_a_zip_bomb_is_refused(files, workbook, stream):
    write_parts(workbook, {**read_parts(workbook), "xl/media/image1.png": bytes(30 << 20)})
    with pytest.raises(FatalError, match="zip bomb"):
        stream.records()


def test_entities_are_refused(files, workbook, stream):
    parts = read_parts(workbook)
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    for part in ("xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/workbook.xml"):
        head, mark, rest = parts[part].partition(b"?>")
        text = head + mark + bomb + rest if mark else bomb + parts[part]
        write_parts(workbook, {**parts, part: text})
        with pytest.raises(FatalError, match="document type"):
            stream.records()


def test_a_file_of_another_kind_is_an_error(files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("a.txt", "hello")
    files.write("z.xlsx", archive.getvalue())
    with pytest.raises(FatalError, match="no workbook"):
        files.stream("z", key="id").records()


def test_a_fresh_damaged_file_is_worth_another_try(files, workbook):
    workbook.write_bytes(workbook.read_bytes()[:500])
    connector = files.connect(now=datetime.fromtimestamp(workbook.stat().st_mtime + 5).astimezone())
    with pytest.raises(RetryableError, match="still being written"):
        list(connector.pull("c", None))


@given(
    st.lists(st.tuples(TEXT, st.integers() | st.decimals(allow_nan=False, allow_infinity=False)), max_size=4),
    TEXT,
)
@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_text_and_number_survives_a_round_trip(fresh_folder, rows, change):
    files = fresh_folder()
    options = {"file": "p.xlsx", "sheet": "S", "key": "id", "create": True}
    stream = files.stream("p", **options)
    stream.create(id="first", text="x", number=1)
    stream.push(
        *(
            Operation(str(i), "create", data={"id": f"k{i}", "text": t, "number": n})
            for i, (t, n) in enumerate(rows)
        )
    )
    stream.update("first", text=change)
    found = files.stream("p", **options).rows()
    assert found.pop("first")["text"] == (change if change.strip() else None)
    assert [row["text"] for row in found.values()] == [text if text.strip() else None for text, _ in rows]
    assert [Decimal(row["number"]) for row in found.values()] == [Decimal(number) for _, number in rows]
