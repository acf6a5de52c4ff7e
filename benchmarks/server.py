"""The systems that are read and written: a paginated JSON API on 127.0.0.1, in a process of its own.

    GET  /v1/customers                          all by id, 1,000 a page; /v2: the second version
    GET  /v1/customers?since=TIME&from_id=ID    all from (updated_at, id) on, in that order
    GET  /NAME/customers                        what was written to the system NAME, by id
    POST /NAME/customers                        a list of customers; the answer is as they are now, with ids
    PATCH /NAME/customers                       the same for customers that exist: only what changes, and `id`

Each page has `next`, the link to the page after it or null. Records are kept encoded, so that the server
takes little of the machine that is measured. It prints its port and ends when its standard input does.
"""

from __future__ import annotations

import bisect
import mmap
import os
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from benchmarks.data import Version

PAGE = 1000


class Source:
    """One version of the customers."""

    def __init__(self, path: Path) -> None:
        self.index = Version.load(path)
        with path.open("rb") as file:
            self.text = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self.by_id: Sequence[int] = range(len(self.index.ids))
        self.by_update: Sequence[int] = sorted(self.by_id, key=self.index.updated.__getitem__)

    def page(self, query: dict[str, str]) -> tuple[bytes, dict[str, str] | None]:
        """The records of a page with commas between, and the query for the page after it."""
        ids, updated = self.index.ids, self.index.updated
        from_id = int(query.get("from_id", 0))
        if "since" in query:
            order = self.by_update
            place = (int(datetime.fromisoformat(query["since"]).timestamp()), from_id)
            first = bisect.bisect_left(order, place, key=lambda at: (updated[at], ids[at]))
        else:
            order = self.by_id
            first = bisect.bisect_left(order, from_id, key=ids.__getitem__)
        chosen = order[first : first + PAGE]
        body = b"".join(self._record(at) for at in chosen)[:-1]
        if first + PAGE >= len(order):
            return body, None
        return body, self._continue("since" in query, order[first + PAGE])

    def _record(self, at: int) -> bytes:
        return self.text[self.index.ends[at - 1] if at else 0 : self.index.ends[at]]

    def _continue(self, since: bool, at: int) -> dict[str, str]:
        place = {"from_id": str(self.index.ids[at])}
        if since:
            record = orjson.loads(self._record(at)[:-1])
            place["since"] = record["updated_at"]
        return place


class Target:
    """A system that starts empty."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.guard = threading.Lock()

    def page(self, query: dict[str, str]) -> tuple[bytes, dict[str, str] | None]:
        """See Source."""
        first = int(query.get("from_id", 1)) - 1
        body = orjson.dumps(self.records[first : first + PAGE])[1:-1]
        more = first + PAGE < len(self.records)
        return body, {"from_id": str(first + PAGE + 1)} if more else None

    def create(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take new customers."""
        with self.guard:
            start = len(self.records) + 1
            made = [{"id": number, **record} for number, record in enumerate(given, start)]
            self.records.extend(made)
        return made

    def change(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take changes of customers that exist."""
        with self.guard:
            for record in given:
                self.records[record["id"] - 1].update(record)
        return [self.records[record["id"] - 1] for record in given]


class Server(ThreadingHTTPServer):
    """All systems behind one port."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.systems: dict[str, Source | Target] = {v: Source(folder / f"{v}.json") for v in ("v1", "v2")}
        self.guard = threading.Lock()

    def system(self, name: str) -> Source | Target:
        """The system of that name; a new one is empty."""
        with self.guard:
            return self.systems.setdefault(name, Target())


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body, following = self._system().page(dict(parse_qsl(url.query)))
        base = f"http://127.0.0.1:{self.server.server_port}{url.path}"
        link = orjson.dumps(f"{base}?{urlencode(following)}" if following else None)
        self._answer(b'{"customers":[%b],"next":%b}' % (body, link))

    def do_POST(self) -> None:
        system, given = self._system(), self._body()
        assert isinstance(system, Target)
        self._answer(orjson.dumps(system.create(given)))

    def do_PATCH(self) -> None:
        system, given = self._system(), self._body()
        assert isinstance(system, Target)
        self._answer(orjson.dumps(system.change(given)))

    def _system(self) -> Source | Target:
        return self.server.system(urlsplit(self.path).path.split("/")[1])

    def _body(self) -> Any:
        return orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A line for each request would cost more than the request."""


def main() -> None:
    """Serve the folder that the first argument names."""
    server = Server(Path(sys.argv[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
