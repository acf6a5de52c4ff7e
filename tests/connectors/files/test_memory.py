"""Memory does not grow with the number of rows."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from openpyxl import Workbook

GROWTH = 12 << 20

JOB = """
    import resource, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from crmbridge.connectors.files import FilesConnector, FilesSettings
    from crmbridge.sdk import Context, Operation

    context = Context("sales", Path(sys.argv[1]), {}, lambda: datetime.now(UTC), lambda: 0.5, False, None)
    settings = {"few": {"key": "id"}, "many": {"key": "id"}}
    connector = FilesConnector(FilesSettings(path=".", files=settings), context)

    def use(stream):
        count = sum(len(page.records) for page in connector.pull(stream, None))
        [result] = connector.push(stream, [Operation("1", "update", f"K{count - 1}", {"name": "new"})])
        assert result.status == "done"
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    print(use("few"), use("many"))
"""


def growth(folder):
    """How much more memory the program takes at its peak for `many` than for `few`."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(JOB), str(folder)], check=True, capture_output=True, text=True
    )
    few, many = map(int, done.stdout.split())
    return many - few


def lines(count):
    yield "id,name,street,city,phone,note\n"
    for n in range(count):
        yield f"K{n},Name {n},Street {n},City {n % 99},+49 30 {n},{'x' * 60}\n"


def test_a_hundred_thousand_rows_of_text(files):
    """12 MB in the file; the records in one list would take more than 60 MB."""
    for name, count in (("few", 2_000), ("many", 100_000)):
        with (files.root / f"{name}.csv").open("w") as file:
            file.writelines(lines(count))
    assert growth(files.root) < GROWTH


def test_a_long_sheet(files):
    """Each text is in its cell here; a workbook with one list of shared texts needs that list in memory."""
    for name, rows in (("few", 500), ("many", 8_000)):
        book = Workbook(write_only=True)
        sheet = book.create_sheet("S")
        sheet.append(["id", "name", "note", "n"])
        for n in range(rows):
            sheet.append([f"K{n}", f"Name {n}", "x" * 1500, n])
        book.save(files.root / f"{name}.xlsx")
    assert growth(files.root) < GROWTH
