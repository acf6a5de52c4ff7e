"""A list that was open since morning is saved over what we wrote into it: recognised on real files."""

import sqlite3
from pathlib import Path

from crmbridge.bridge import Bridge

CONFIG = """
state: sqlite:///state.db
systems:
  sales: {connector: files, path: sales, files: {customers: {key: No}}}
  shop: {connector: sql, url: "sqlite:///shop.db", streams: {customers: {table: customers, write: true}}}
sync: {party: {between: [sales, shop]}}
"""
MAPPING = """
stream: customers
entity: party
fields:
  display_name: name
  note: note
  contact_points: [{slot: email, const: {type: email}, fields: {value: mail}}]
"""


def test_an_old_copy_of_a_list_is_no_edit(tmp_path: Path) -> None:
    (tmp_path / "crmbridge.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "mappings").mkdir()
    for system in ("sales", "shop"):
        (tmp_path / "mappings" / f"{system}.yaml").write_text(
            f"system: {system}\n{MAPPING}", encoding="utf-8"
        )
    customers = tmp_path / "sales" / "customers.csv"
    customers.parent.mkdir()
    customers.write_text(
        "No,name,mail,note\n1,Zoë,zoe@example.org,tea\n2,Ann,ann@example.org,\n", encoding="utf-8"
    )
    shop = sqlite3.connect(tmp_path / "shop.db")
    shop.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, mail TEXT, note TEXT)")
    shop.execute("INSERT INTO customers VALUES (1, 'Zoë', 'zoe@example.org', 'tea')")
    shop.commit()
    with Bridge.open(tmp_path / "crmbridge.yaml") as bridge:
        bridge.plan(out=tmp_path / "first.plan")
        assert bridge.apply(tmp_path / "first.plan").exit_code == 0
    opened_in_the_morning = customers.read_bytes()
    shop.execute("UPDATE customers SET note = 'coffee' WHERE id = 1")
    shop.commit()
    assert sync(tmp_path) == []
    assert "coffee" in customers.read_text(encoding="utf-8")

    customers.write_bytes(opened_in_the_morning.replace(b"Ann", b"Anna"))

    assert sync(tmp_path) == ["reverted"]
    assert shop.execute("SELECT name, note FROM customers ORDER BY id").fetchall() == [
        ("Zoë", "coffee"),
        ("Anna", None),
    ]
    assert "1,Zoë,zoe@example.org,coffee" in customers.read_text(encoding="utf-8")


def sync(folder: Path) -> list[str]:
    """The kinds of what was noted."""
    with Bridge.open(folder / "crmbridge.yaml") as bridge:
        before = {note.id for note in bridge.store.notes(None, None, 1000)}
        assert bridge.sync().exit_code == 0
        return [note.kind for note in bridge.store.notes(None, None, 1000) if note.id not in before]
