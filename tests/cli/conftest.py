"""A folder with an Excel-like list and a shop's database, and the command run in it as people would."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crmbridge.cli.app import app
from crmbridge.cli.messages import MESSAGES

ROOT = Path(__file__).parents[2]

CONFIG = """\
state: sqlite:///state.db
country: DE
plugins: [./odd_plugin.py]
systems:
  sales: {connector: files, path: ./sales, files: {customers: {file: customers.csv, key: "No", write: true}}}
  shop: {connector: sql, url: "sqlite:///shop.db", streams: {customers: {table: customers, write: true}}}
sync:
  party:
    between: [sales, shop]
    create: {sales: never, shop: always}
"""
ODD = """\
state: sqlite:///state.db
country: DE
plugins: [./odd_plugin.py]
log: {file: bridge.log, level: debug, format: json}
systems:
  sales: {connector: files, path: ./sales, files: {customers: {file: customers.csv, key: "No", write: true}}}
  odd: {connector: odd, password: "${env:ODD_PASSWORD}", %s}
sync:
  party: {between: [sales, odd], create: {sales: never, odd: always}}
"""
MAPPINGS = {
    "sales": """\
system: sales
stream: customers
entity: party
fields:
  display_name: Name
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: Mail}}
    - {slot: phone, const: {type: phone}, fields: {value: {path: Phone, as: e164}}}
""",
    "shop": """\
system: shop
stream: customers
entity: party
fields:
  display_name: full_name
  contact_points:
    - {slot: email, const: {type: email}, fields: {value: email}}
    - {slot: phone, const: {type: phone}, fields: {value: phone}}
""",
    "odd": "system: odd\nstream: people\nentity: party\nfields: {display_name: name}\n",
}
CUSTOMERS = """\
No,Name,Mail,Phone,Extra
001,Ann Lee,ann@x.example,030 1234567,keep
002,王小明,wang@x.example,,"a,b"
003,ليلى حداد,layla@x.example,,🌼
"""


@dataclass
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON Lines; each line fits the documented schema."""
        return [checked(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["type"] == kind]


def checked(line: str) -> dict[str, Any]:
    model = {one.model_fields["type"].default: one for one in MESSAGES}[json.loads(line)["type"]]
    model.model_validate_json(line)
    found: dict[str, Any] = json.loads(line)
    assert found["v"] == 1
    return found


class Place:
    """The folder, and the command in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = [str(ROOT), str(ROOT / "schemas")]
        """Where a process of its own finds modules first."""
        self.env = {"ODD_PASSWORD": "x" * 12, "NO_COLOR": "", "COLUMNS": "160"}

    def run(self, *args: str, typed: str | None = None) -> Done:
        """In this process: fast, and the same code."""
        done = CliRunner().invoke(app, list(args), input=typed, env=self.env, prog_name="crmbridge")
        return Done(done.exit_code, done.stdout, done.stderr)

    def process(self, *args: str) -> subprocess.Popen[str]:
        """In a process of its own, as the real command."""
        return subprocess.Popen(
            [sys.executable, "-m", "crmbridge", *args],
            cwd=self.folder,
            env={**os.environ, **self.env, "PYTHONPATH": os.pathsep.join(self.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def config(self, text: str) -> None:
        (self.folder / "crmbridge.yaml").write_text(text, encoding="utf-8")

    def odd(self, settings: str) -> None:
        """A config in which the odd system behaves as `settings` say."""
        self.config(ODD % settings)
        (self.folder / "mappings" / "shop.yaml").unlink(missing_ok=True)
        (self.folder / "mappings" / "odd.yaml").write_text(MAPPINGS["odd"], encoding="utf-8")

    def customers(self, text: str) -> None:
        (self.folder / "sales" / "customers.csv").write_text(text, encoding="utf-8")

    def shop(self, sql: str = "SELECT full_name, email, phone FROM customers ORDER BY id") -> list[Any]:
        with closing(sqlite3.connect(self.folder / "shop.db")) as database, database:
            return database.execute(sql).fetchall()

    def agree(self) -> None:
        """The first sync, plan looked at and applied."""
        assert self.run("sync").code == 4
        assert self.run("apply", "crmbridge-plan.jsonl").code == 0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path)
    for folder in ("mappings", "sales"):
        (tmp_path / folder).mkdir()
    place.config(CONFIG)
    shutil.copy(Path(__file__).with_name("odd_plugin.py"), tmp_path)
    for name in ("sales", "shop"):
        (tmp_path / "mappings" / f"{name}.yaml").write_text(MAPPINGS[name], encoding="utf-8")
    place.customers(CUSTOMERS)
    place.shop("CREATE TABLE customers (id INTEGER PRIMARY KEY, full_name TEXT, email TEXT, phone TEXT)")
    return place


@pytest.fixture
def agreed(place: Place) -> Place:
    """Both systems agree already."""
    place.agree()
    return place
