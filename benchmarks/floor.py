"""The floor: what a hand-written script costs that keeps a copy of the customers in SQLite and nothing more.

python -m benchmarks.floor cursor|full URL FILE
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys

import httpx
import orjson


def main(mode: str, url: str, path: str) -> None:
    """Load what is new; `full`: look at everything, and find what was deleted."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY, hash, body, seen)")
    db.execute("CREATE TABLE IF NOT EXISTS state (runs, since, from_id)")
    run, since, from_id = db.execute("SELECT runs, since, from_id FROM state").fetchone() or (
        0,
        "1970-01-01T00:00:00Z",
        0,
    )
    link = url if mode == "full" else str(httpx.URL(url, params={"since": since, "from_id": from_id}))
    with httpx.Client() as client:
        while link:
            page = orjson.loads(client.get(link).content)
            rows = []
            for customer in page["customers"]:
                body = orjson.dumps(customer)
                rows.append((customer["id"], hashlib.blake2b(body, digest_size=16).digest(), body, run + 1))
                since, from_id = customer["updated_at"], customer["id"]
            with db:
                db.executemany("INSERT OR REPLACE INTO customers VALUES (?, ?, ?, ?)", rows)
                db.execute("DELETE FROM state")
                db.execute("INSERT INTO state VALUES (?, ?, ?)", (run, since, from_id))
            link = page["next"]
    with db:
        if mode == "full":
            db.execute("DELETE FROM customers WHERE seen <= ?", (run,))
        db.execute("UPDATE state SET runs = ?", (run + 1,))


if __name__ == "__main__":
    main(*sys.argv[1:])
