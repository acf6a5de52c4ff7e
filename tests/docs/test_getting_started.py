"""docs/getting-started.md: somebody who follows it gets what it shows."""

from __future__ import annotations

import openpyxl

from tests.docs.reading import DOCS, Reader


def test_all_that_the_page_shows_works(reader: Reader) -> None:
    wrong = reader.follow(DOCS / "getting-started.md")
    assert not wrong, "\n".join(wrong)
    sheet = openpyxl.load_workbook(reader.folder / "customers.xlsx")["Customers"]
    assert [cell.value for cell in sheet["F"]] == ["Visited", "May", None, "June", None]
    assert [cell.value for cell in sheet["B"]][-1] == "Ömer Yılmaz"
