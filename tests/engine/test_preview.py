"""A preview: what a record becomes, what would be written back, and what that loses."""

from __future__ import annotations

from typing import Any

from crmbridge.connectors.memory import Behaviour
from crmbridge.engine.preview import Preview, _only_form, previews
from crmbridge.identity.policy import Policy
from tests.engine.world import World

CUSTOMERS = """
stream: customers
entity: party
when: "has(name)"
fields:
  display_name: name
  note: {path: texts.note, as: strip}
  owner: texts.owner
  contact_points:
    each: texts.points
    id: key
    fields: {type: type, value: value}
"""
POINT = {"key": "7", "type": "email", "value": "wang@example.org"}


def preview(sample: int = 10, **rows: dict[str, Any]) -> list[Preview]:
    behaviour = Behaviour(child_ids={"texts.points": "key"})
    world = World({"shop": [CUSTOMERS]}, [Policy("party", ["shop"])], {"shop": behaviour})
    for native_id, row in rows.items():
        world.memory["shop"].add("customers", native_id, **row)
    return list(previews(world.run().systems["shop"], "customers", sample))


def test_what_is_written_back_is_compared_place_by_place() -> None:
    texts = {"note": " 茶 ", "owner": "li", "points": [POINT]}
    (one,) = preview(a={"name": "王小明", "texts": texts, "fax": "1"})
    assert (one.native_id, one.entity, one.error) == ("a", "party", None)
    assert one.canonical["contact_points"] == [{"id": "7", "type": "email", "value": "wang@example.org"}]
    assert one.back == {"name": "王小明", "texts": {"note": "茶", "owner": "li", "points": [POINT]}}
    assert (one.lost, one.rewritten) == ([], [("texts.note", " 茶 ", "茶")])
    assert one.unread == ["fax"]


def test_empty_is_no_loss_whatever_it_is_called() -> None:
    (one,) = preview(a={"name": "A", "texts": {"note": "  ", "owner": "", "points": []}})
    assert one.lost == []


def test_a_list_that_became_shorter_is_told_whole() -> None:
    (one,) = preview(a={"name": "A", "texts": {"points": [POINT, {"key": "8"}]}})
    assert one.lost == [("texts.points", [POINT, {"key": "8"}], [POINT])]


def test_slots_are_shown_as_they_would_be_written() -> None:
    text = (
        "stream: customers\nentity: party\nfields:\n  display_name: name\n  contact_points:\n"
        "    - {slot: mail, const: {type: email}, fields: {value: reach.mail}}\n"
        "    - {slot: phone, const: {type: phone}, fields: {value: {path: reach.phone, as: phone}}}\n"
    )
    world = World({"shop": [text]}, [Policy("party", ["shop"])])
    world.memory["shop"].add(
        "customers", "a", name="A", reach={"mail": "a@example.org", "phone": "030 123456"}
    )
    (one,) = previews(world.run().systems["shop"], "customers", 5)
    assert one.back == {"name": "A", "reach": {"mail": "a@example.org", "phone": "+4930123456"}}
    assert (one.lost, one.rewritten) == ([], [("reach.phone", "030 123456", "+4930123456")])
    assert one.unread == []


def test_a_record_that_no_mapping_takes_has_no_entity_and_a_bad_one_says_why() -> None:
    internal, bad = preview(a={"kind": "internal"}, b={"name": "A", "texts": "no object"})
    assert (internal.entity, internal.error, internal.back) == (None, None, {})
    assert bad.error is not None
    assert "texts" in bad.error or "expected an object" in bad.error


def test_no_more_records_are_read_than_were_asked_for() -> None:
    rows = {f"r{number}": {"name": str(number)} for number in range(5)}
    assert [one.native_id for one in preview(2, **rows)] == ["r0", "r1"]
    assert len(preview(9, **rows)) == 5
    assert preview(0, **rows) == []


def test_words_in_another_order_are_another_form_and_other_words_are_lost() -> None:
    assert _only_form("Lee, Ann", "Ann Lee")
    assert not _only_form("Lee, Ann", "Ann Leo")
    assert not _only_form("Ann", "Lee")
