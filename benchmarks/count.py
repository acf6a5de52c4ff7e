"""How many customers a job has left behind: what is fast must have done its work too.

python -m benchmarks.count floor|ours|duckdb|sqlite FOLDER
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path


def count(kind: str, folder: Path) -> int:
    """The live customers in a copy."""
    if kind == "duckdb":
        import duckdb

        with duckdb.connect(str(folder / "customers.duckdb"), read_only=True) as database:
            (found,) = database.execute("SELECT count(*) FROM copy.customers").fetchall()
            return int(found[0])
    name, query = {
        "floor": ("copy.db", "SELECT count(*) FROM customers"),
        "ours": ("copy.db", "SELECT count(*) FROM records WHERE status = 'live'"),
        "sqlite": ("customers__copy.sqlite", "SELECT count(*) FROM customers"),
    }[kind]
    with sqlite3.connect(folder / name) as connection:
        return int(connection.execute(query).fetchone()[0])


if __name__ == "__main__":
    print(count(sys.argv[1], Path(sys.argv[2])))
