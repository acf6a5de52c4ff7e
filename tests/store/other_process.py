"""What another process does with the state: `python other_process.py URL WHAT`. It ends by being killed."""

import sys

from crmbridge.store import open_store
from crmbridge.store.rows import RecordRow, RunRow


def say(what: str) -> None:
    print(what, flush=True)


def main(url: str, what: str) -> None:
    store = open_store(url, now=lambda: 1_700_000_000_000_000)
    if what == "locked":
        with store.lock("sync"):
            say(what)
            sys.stdin.read()
    elif what == "written":
        with store.transaction():
            store.put_records(
                RecordRow("shop", "customers", f"k{n}", "party", seen="x" * 900) for n in range(20_000)
            )
            say(what)
            sys.stdin.read()
    elif what == "writing":
        say(what)
        while True:
            with store.transaction():
                run = store.begin_run(RunRow())
                rows = [RecordRow("shop", "customers", f"run{run}-{n}", "party") for n in range(50)]
                store.put_records(rows[:25])
                store.put_records(rows[25:])


main(*sys.argv[1:])
