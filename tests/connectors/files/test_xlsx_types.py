"""What is written into a worksheet is of the type that stands there already: numbers stay numbers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from crmbridge.sdk import Operation

PRICE = '#,##0.00 "€"'
HEAD = ["No", "Price", "Stock", "Active", "Since", "Seen", "Zip", "Code", "Note"]


@pytest.fixture
def stream(files):
    """One row with a value of each type; all that a person typed and formatted."""
    book = Workbook()
    sheet = book.active
    sheet.append(HEAD)
    day, moment = datetime(2024, 5, 1), datetime(2024, 5, 1, 9, 30)  # noqa: DTZ001 - a sheet knows no zones
    sheet.append([1001, 9.99, 5, True, day, moment, 80331, "00417", "x"])
    sheet["B2"].number_format = PRICE
    sheet["E2"].number_format = "dd.mm.yyyy"
    sheet["F2"].number_format = "dd.mm.yyyy hh:mm"
    book.save(files.root / "t.xlsx")
    return files.stream("t", key="No")


def cells(stream: Any, row: int) -> dict[str, Any]:
    sheet = load_workbook(stream.connector.context.root / "t.xlsx").active
    return dict(zip(HEAD, [cell.value for cell in sheet[row]], strict=True))


def write(stream: Any, kind: str, native_id: str | None, data: dict[str, Any], **typed: Any) -> Any:
    operation = Operation("o", kind, native_id, data, typed=typed)  # type: ignore[arg-type]
    return stream.push(operation)[0]


def test_words_of_codecs_become_the_values_that_they_stand_for(stream):
    words = {"Price": "1234,50", "Active": "nein"}
    result = write(stream, "update", "1001", words, Price=Decimal("1234.50"), Active=False)
    assert result.record.data["Price"] == Decimal("1234.5")
    assert result.record.data["Active"] is False
    sheet = load_workbook(stream.connector.context.root / "t.xlsx").active
    assert sheet["B2"].value == 1234.5
    assert sheet["B2"].number_format == PRICE
    assert sheet["D2"].value is False


def test_text_that_is_a_number_a_date_or_a_truth_value_is_one_where_such_a_value_stands(stream):
    said = {
        "Stock": "12",
        "Active": "false",
        "Since": "2025-01-31",
        "Seen": "2025-01-31 10:00:00",
        "Zip": "80333",
    }
    write(stream, "update", "1001", said)
    found = cells(stream, 2)
    assert found["Stock"] == 12
    assert found["Active"] is False
    assert found["Since"] == datetime.fromisoformat("2025-01-31")
    assert found["Seen"] == datetime.fromisoformat("2025-01-31T10:00:00")
    assert found["Zip"] == 80333


def test_a_new_row_is_like_the_one_above(stream):
    data = {
        "No": "1002",
        "Price": "5,5",
        "Stock": "7",
        "Active": "ja",
        "Since": "2025-02-01",
        "Code": "00418",
    }
    result = write(stream, "create", None, data, Price=Decimal("5.5"), Active=True)
    assert result.record.native_id == "1002"
    found = cells(stream, 3)
    assert (found["No"], found["Price"], found["Stock"], found["Active"]) == (1002, 5.5, 7, True)
    assert found["Since"] == datetime.fromisoformat("2025-02-01")
    assert found["Code"] == "00418"
    again = write(stream, "create", None, data, Price=Decimal("5.5"), Active=True)
    assert again.status == "done", "an earlier try of the same create is known again"


@pytest.mark.parametrize(
    "text", ["01067", "+4930123456", "1.10", "1e5", "12,5", "12345678901234567", "-0x1", "7 "]
)
def test_what_a_number_would_not_keep_stays_text(stream, text):
    assert write(stream, "update", "1001", {"Zip": text}).record.data["Zip"] == text
    assert isinstance(cells(stream, 2)["Zip"], str)


def test_digits_among_text_stay_text(stream):
    write(stream, "update", "1001", {"Code": "417", "Note": "true"})
    found = cells(stream, 2)
    assert (found["Code"], found["Note"]) == ("417", "true")


def test_words_with_more_digits_than_excel_keeps_stay_words(stream):
    words = "12345678901234567,89"
    write(stream, "update", "1001", {"Price": words}, Price=Decimal("12345678901234567.89"))
    assert cells(stream, 2)["Price"] == words


def test_other_files_keep_the_words(files):
    files.write("p.csv", "No;Price\n1;9,99\n")
    stream = files.stream("p", key="No")
    assert (
        write(stream, "update", "1", {"Price": "5,50"}, Price=Decimal("5.50")).record.data["Price"] == "5,50"
    )


# -- keys that are numbers ---------------------------------------------------------------------


@pytest.fixture
def numbered(files):
    """Customer numbers as people keep them: numbers, numbers shown with zeros, and text."""
    book = Workbook()
    sheet = book.active
    sheet.append(["No", "Zip", "Name"])
    for row in ([123, 1067, "plain"], [124, 1067, "padded"], ["00125", "01067", "text"]):
        sheet.append(row)
    sheet["A3"].number_format = sheet["B2"].number_format = sheet["B3"].number_format = "00000"
    book.save(files.root / "n.xlsx")
    return files.stream("n", key="No")


def raw(stream: Any) -> list[list[Any]]:
    sheet = load_workbook(stream.connector.context.root / "n.xlsx").active
    return [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]


def test_a_number_that_is_shown_with_zeros_is_read_with_them(numbered):
    assert {key: row["Zip"] for key, row in numbered.rows().items()} == {
        "123": "01067",
        "00124": "01067",
        "00125": "01067",
    }


@pytest.mark.parametrize(("key", "row"), [("123", 0), ("00124", 1), ("00125", 2)])
def test_a_row_is_found_by_its_key_as_text_and_no_cell_changes_its_type(numbered, key, row):
    before = raw(numbered)
    result = write(numbered, "update", key, {"No": key, "Name": "new"})
    assert result.status == "done"
    assert result.record.native_id == key
    assert raw(numbered) == [[*cells[:2], "new"] if i == row else cells for i, cells in enumerate(before)]


@pytest.mark.parametrize(
    ("written", "cell"),
    [("02067", 2067), ("123456", 123456), ("2067", "2067"), ("002067", "002067"), ("D-2067", "D-2067")],
)
def test_what_is_shown_alike_is_a_number_and_all_else_stays_text(numbered, written, cell):
    result = write(numbered, "update", "123", {"Zip": written})
    assert result.record.data["Zip"] == written
    assert raw(numbered)[0][1] == cell


def test_a_new_row_among_padded_numbers_gets_one(files):
    book = Workbook()
    book.active.append(["No", "Zip", "Name"])
    book.active.append([124, 1067, "padded"])
    book.active["A2"].number_format = "00000"
    book.save(files.root / "n.xlsx")
    stream = files.stream("n", key="No")
    for key in ("00126", "127", "123456"):
        assert write(stream, "create", None, {"No": key, "Name": "x"}).record.native_id == key
    assert [row[0] for row in raw(stream)] == [124, 126, "127", 123456]
    assert set(stream.rows()) == {"00124", "00126", "127", "123456"}
