"""Finding a customer, showing all that is known, and saying where a value comes from."""

from __future__ import annotations

from datetime import timedelta, timezone
from html.parser import HTMLParser

import msgspec
import pytest

from crmbridge.engine.titles import title_of
from crmbridge.identity.policy import Policy
from crmbridge.identity.search import search_terms
from crmbridge.identity.shape import shape_of
from crmbridge.sdk.errors import ConfigError
from crmbridge.store.base import GoldenRow
from crmbridge.views.explain import Explained, explain
from crmbridge.views.find import Found, find
from crmbridge.views.page import html
from crmbridge.views.view import customer
from crmbridge_schemas.custom import CustomEntity, CustomField, new_entity
from crmbridge_schemas.registry import ENTITIES
from tests.engine import customers
from tests.engine.customers import CUSTOMERS, add, golden, tea_company
from tests.engine.world import World

CHINA, ARABIA = timezone(timedelta(hours=8)), timezone(timedelta(hours=3))


@pytest.fixture(scope="module")
def world() -> World:
    """The tea company after its first sync; tests that use it only look."""
    made = tea_company()
    customers.fill(made)
    assert made.sync().exit_code == 0
    return made


def titles(found: list[Found]) -> list[str]:
    return [one.title for one in found]


# -- find --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("王小明", "王小明"),
        ("小明", "王小明"),
        ("مها", "مها الأحمد"),
        ("الأحمد مها", "مها الأحمد"),
        ("030 12345678", "王小明"),
        ("030 1234", "王小明"),
        ("(030) 12 34 56 78", "王小明"),
        ("+49 30 12345678", "王小明"),
        ("0049 30 12345678", "王小明"),
        ("0049-30-1234", "王小明"),
        ("+49 (0)30 12345678", "王小明"),
        ("WANG@example.org", "王小明"),
        ("maha@", "مها الأحمد"),
    ],
)
def test_a_customer_is_found_as_people_type(world: World, text: str, expected: str) -> None:
    found = find(world.store, text, region="DE")
    assert [(one.entity, one.title) for one in found] == [("party", expected)]


def test_an_order_number_finds_the_order_and_behind_it_its_customer(world: World) -> None:
    order, party = find(world.store, "so-2", region="DE")
    assert (order.entity, order.title, order.party_name, order.exact) == (
        "sales_order",
        "SO-2",
        "王小明",
        True,
    )
    assert "placed" in order.details
    assert "2026-02-20" in order.details
    assert (party.entity, party.title, party.via) == ("party", "王小明", "SO-2")
    assert party.id == order.party == golden(world, "crm", "c1")


def test_the_details_tell_hits_of_one_name_apart() -> None:
    text = CUSTOMERS.replace(
        "  owner: owner\n",
        "  owner: owner\n  addresses: [{slot: main, const: {role: main}, fields: {city: city}}]\n"
        "  identifiers:\n"
        "    - {slot: a, const: {scheme: customer_number, issuer: a}, fields: {value: number}}\n"
        "    - {slot: b, const: {scheme: customer_number, issuer: b}, fields: {value: other}}\n",
    )
    web = "    - {slot: web, const: {type: website}, fields: {value: web}}\n"
    world = World({"a": [text + web]}, [Policy("party", ["a"])])
    add(
        world,
        "a",
        "customers",
        "1",
        name="Ann Lee",
        mail="ann@example.org",
        phone="+493012345678",
        web="https://ann.example",
        city="北京",
        number="K-1",
        other="K-2",
    )
    add(world, "a", "customers", "2", name="Ann Lee")
    world.sync()
    nothing, details = sorted(one.details for one in find(world.store, "ann lee"))
    assert nothing == ""
    city, one, two, number = details.split(" · ")
    assert (city, number) in {("北京", "K-1"), ("北京", "K-2")}
    assert {one, two} < {"ann@example.org", "+493012345678", "https://ann.example"}


def test_the_details_of_a_document_say_how_it_stands_and_whose_it_is(world: World) -> None:
    order, _ = find(world.store, "so-2", region="DE")
    assert order.details == "placed · 2026-02-20 · erp"


def test_a_golden_id_finds_itself_and_nonsense_finds_nothing(world: World) -> None:
    party = golden(world, "crm", "c1")
    assert [one.id for one in find(world.store, f" {party} ")] == [party]
    for text in ("", "   ", "%", "_", "no such", "王小红", "030 99"):
        assert find(world.store, text, region="DE") == []


def test_whole_words_come_before_beginnings_and_the_living_before_the_dead() -> None:
    world = World({"a": [CUSTOMERS]}, [Policy("party", ["a"])])
    for number, name in enumerate(("Annabel Schmidt", "Ann Schmidtke", "Ann Schmidt", "Ann Schmidt")):
        add(world, "a", "customers", str(number), name=name)
    world.sync()
    world.memory["a"].remove("customers", "2")
    world.sync()
    found = find(world.store, "ann schmidt")
    assert titles(found[:2]) == ["Ann Schmidt", "Ann Schmidt"]
    assert sorted(titles(found[2:])) == ["Ann Schmidtke", "Annabel Schmidt"]
    assert [(one.exact, one.gone) for one in found[:2]] == [(True, False), (True, True)]
    assert titles(find(world.store, "ann schmidt", limit=1)) == ["Ann Schmidt"]


def test_people_come_before_what_was_written_about_them() -> None:
    world = tea_company()
    customers.fill(world)
    world.memory["crm"].edit("cases", "f1", subject="مها")
    world.sync()
    assert [one.entity for one in find(world.store, "مها")] == ["party", "case", "party"]
    assert [one.entity for one in find(world.store, "so-2", limit=1)] == ["sales_order"]


def test_what_people_look_for_most_comes_first() -> None:
    world = World({"a": [CUSTOMERS]}, [Policy("party", ["a"])])
    entities = ["party", "sales_order", "invoice", "shipment", "case", "product", "interaction"]
    store = world.store
    with store.transaction():
        for place, entity in enumerate(reversed(entities)):
            doc = {"number": "K-77", "display_name": "K-77", "name": "K-77", "subject": "K-77"}
            store.put_goldens([GoldenRow(f"id{place}", entity, msgspec.json.encode(doc).decode())])
            store.put_search({f"id{place}": search_terms(doc, shape_of(ENTITIES[entity]))})
    assert [one.entity for one in find(store, "K-77")] == entities


def test_a_record_is_found_by_what_its_own_system_calls_it() -> None:
    policy = Policy("party", ["crm", "erp"], authority={"display_name": ["crm"]})
    world = World({"crm": [CUSTOMERS], "erp": [CUSTOMERS]}, [policy], targets={"party": ["crm"]})
    add(world, "crm", "customers", "c1", name="Lehmann Holding", mail="ann@example.org")
    add(world, "erp", "customers", "e1", name="Lehmann Holding", mail="ann@example.org")
    world.sync()
    world.memory["erp"].edit("customers", "e1", name="Lehmann & Töchter")
    world.sync()
    assert titles(find(world.store, "töchter")) == ["Lehmann Holding"]
    assert titles(find(world.store, "holding")) == ["Lehmann Holding"]


def test_a_name_that_was_written_over_is_found_and_is_an_exact_hit() -> None:
    policy = Policy("party", ["crm", "list"], authority={"display_name": ["crm"]})
    world = World({"crm": [CUSTOMERS], "list": [CUSTOMERS]}, [policy], targets={"party": ["list"]})
    add(world, "crm", "customers", "c1", name="王小明", mail="ming@example.cn")
    add(world, "list", "customers", "l1", name="Wang Xiaoming", mail="ming@example.cn")
    add(world, "list", "customers", "l2", name="Wang Xiaomingzi", mail="zi@example.cn")
    world.sync()
    assert world.memory["list"].live("customers")["l1"]["name"] == "王小明"
    world.memory["crm"].edit("customers", "c1", phone="+86 139 0000 0119")
    world.sync()
    found = find(world.store, "Wang Xiaoming")
    assert [(one.title, one.exact) for one in found] == [("王小明", True), ("Wang Xiaomingzi", False)]


@pytest.mark.parametrize("typed", ["66969110", "66969 110", "66969-110"])
def test_a_number_is_found_as_it_is_dialled_in_its_town(typed: str) -> None:
    world = World({"a": [CUSTOMERS]}, [Policy("party", ["a"])])
    add(world, "a", "customers", "a1", name="Müller", phone="+49 40 66969-110")
    add(world, "a", "customers", "a2", name="Schönfeld", phone="+49 40 66969-111")
    world.sync()
    assert titles(find(world.store, typed, region="DE")) == ["Müller"]
    assert titles(find(world.store, "9110", region="DE")) == [], "the end of far too many"


def test_entities_and_fields_of_the_deployment_are_found_by_their_texts_and_called_by_their_key() -> None:
    declared = CustomEntity(
        fields={
            "vin": CustomField(type="text"),
            "year": CustomField(type="integer"),
            "colours": CustomField(type="text_list"),
            "remark": CustomField(type="text", personal="content"),
            "bought": CustomField(type="date"),
        },
        natural_key=("vin", "year"),
    )
    entities = {"vehicle": new_entity("vehicle", declared)}
    doc = {"vin": "WDB-7", "year": 1999, "colours": ["Türkis"], "remark": "dented", "bought": "2026-01-01"}
    store = World({"a": [CUSTOMERS]}, [Policy("party", ["a"])]).store
    with store.transaction():
        store.put_goldens([GoldenRow("veh_1", "vehicle", msgspec.json.encode(doc).decode())])
        store.put_search({"veh_1": search_terms(doc, shape_of(entities["vehicle"]))})
    for text in ("wdb-7", "1999", "turkis"):
        (found,) = find(store, text, entities=entities)
        assert (found.id, found.title) == ("veh_1", "WDB-7 1999")
    assert find(store, "dented") == find(store, "2026-01-01") == []
    assert title_of("vehicle", {"vin": "WDB-7"}, entities) == "", "half a key names nothing"


def test_the_best_hit_is_not_lost_behind_many_others() -> None:
    world = World({"a": [CUSTOMERS]}, [Policy("party", ["a"])])
    for number in range(300):
        add(world, "a", "customers", f"x{number}", name=f"Ann{number:03} Schmidt")
    add(world, "a", "customers", "best", name="Schmidt Ann")
    world.sync()
    assert titles(find(world.store, "ann schmidt", limit=3))[0] == "Schmidt Ann"


def test_a_merged_id_leads_to_the_survivor() -> None:
    world = tea_company()
    customers.fill(world)
    add(world, "crm", "customers", "c3", name="Anna Lehmann", mail="anna@example.org")
    world.sync()
    loser, survivor = golden(world, "crm", "c3"), golden(world, "crm", "c2")
    world.memory["crm"].join("customers", "c3", "c2")
    world.sync()
    assert [one.id for one in find(world.store, loser)] == [survivor]
    shown = customer(world.run(), loser)
    assert (shown.id, shown.merged) == (survivor, [loser])
    assert ("crm", "c3", "gone") in [(t.system, t.native_id, t.status) for t in shown.tombstones]


# -- show --------------------------------------------------------------------------------------


def test_everything_about_a_customer_is_in_one_record(world: World) -> None:
    shown = customer(world.run(), golden(world, "crm", "c1"))
    assert (shown.name, shown.kind, shown.owner) == ("王小明", "person", "li.na")
    assert {(link.system, link.native_id) for link in shown.links} >= {
        ("shop", "s1"),
        ("crm", "c1"),
        ("erp", "e1"),
    }
    assert [(o.number, o.issuer, o.status) for o in shown.orders] == [
        ("SO-2", "erp", "placed"),
        ("SO-1", "shop", "placed"),
    ]
    assert {held.system for held in shown.orders[0].systems} == {"shop", "erp"}
    assert shown.orders[0].gross_total == {"amount": "12.5", "currency": "EUR", "tax_included": True}
    (line,) = shown.orders[1].lines
    assert (line.product, line.quantity, line.unit_price and line.unit_price["amount"]) == (
        "龙井茶 100 g",
        {"value": "2", "unit": "C62"},
        "19.5",
    )
    assert [(i.number, i.open) for i in sorted(shown.invoices, key=lambda i: i.number)] == [
        ("RE-1", True),
        ("RE-2", True),
        ("RE-3", False),
    ]
    assert shown.open_amounts == {"EUR": "20"}
    assert sorted((c.number, c.subject, c.open) for c in shown.cases) == [
        ("R-1", "茶壶碎了", True),
        ("R-2", "late", False),
    ]
    assert [(t.by, t.outcome) for t in shown.touch_points] == [
        ("zhao.lei", "茶很好 👍"),
        ("li.na", "no answer"),
    ]
    assert shown.last_contact is shown.touch_points[0]
    assert not shown.duplicates
    assert not shown.tombstones


def test_orders_stand_from_the_newest_to_the_oldest_whatever_their_ids() -> None:
    world = tea_company()
    customers.fill(world)
    for number in (9, 4, 7, 1):
        said = customers.order(f"SO-1{number}", f"2026-03-0{number}T10:00:00+00:00", "s1", total="1")
        add(world, "shop", "orders", f"n{number * 7 % 10}", **said)
    world.sync()
    shown = customer(world.run(), golden(world, "crm", "c1"))
    assert [one.number for one in shown.orders] == ["SO-19", "SO-17", "SO-14", "SO-11", "SO-2", "SO-1"]
    assert shown.orders[0].ordered == "2026-03-09T10:00:00Z"


def test_the_journal_says_who_founded_a_golden_record_and_who_joined_it_by_what(world: World) -> None:
    told = [(event, text) for _, event, text in world.store.history(golden(world, "crm", "c1"))]
    assert told[:2] == [("created", "shop/customers/s1"), ("joined", "crm/customers/c1 by email")]
    assert told[2][1].startswith("erp/customers/e1 by email")


def test_a_shipment_is_shown_through_its_order(world: World) -> None:
    (shipment,) = customer(world.run(), golden(world, "crm", "c1")).shipments
    assert (shipment.number, shipment.order, shipment.status, shipment.carrier) == (
        "DN-1",
        "SO-2",
        "shipped",
        "DHL",
    )


FAMILY = """
stream: customers
entity: party
fields:
  display_name: name
  parent: {path: parent, ref: customers}
"""
RELATIONS = """
stream: relations
entity: party_relation
fields:
  type: type
  from_party: {path: one, ref: customers}
  to_party: {path: other, ref: customers}
"""


def test_relatives_are_the_parent_the_children_and_both_ends_of_relations() -> None:
    world = World({"crm": [FAMILY, RELATIONS]}, [Policy("party", ["crm"]), Policy("party_relation", ["crm"])])
    add(world, "crm", "customers", "1", name="茶 GmbH")
    add(world, "crm", "customers", "2", name="Laden", parent="1")
    add(world, "crm", "customers", "3", name="مها", parent="2")
    add(world, "crm", "customers", "4", name="Bank")
    add(world, "crm", "relations", "r1", type="agent_of", one="2", other="4")
    world.sync()
    shown = [
        {(one.relation, one.name) for one in customer(world.run(), golden(world, "crm", number)).relatives}
        for number in "1234"
    ]
    assert shown == [
        {("has part", "Laden")},
        {("part of", "茶 GmbH"), ("has part", "مها"), ("agent of", "Bank")},
        {("part of", "Laden")},
        {("is the other end of: agent of", "Laden")},
    ]


def test_the_fields_say_where_they_come_from(world: World) -> None:
    shown = {one.path: one for one in customer(world.run(), golden(world, "crm", "c1")).fields}
    assert (shown["owner"].value, shown["owner"].system, shown["owner"].rule) == ("li.na", "crm", "only")
    assert (shown["kind"].value, shown["kind"].system, shown["kind"].time) == ("person", "shop", 0)
    (phone,) = [one for one in shown.values() if isinstance(one.value, dict) and one.value["type"] == "phone"]
    assert (phone.value["value"], phone.system) == ("+493012345678", "crm")


def test_a_document_leads_to_its_customer_and_what_has_none_says_so(world: World) -> None:
    order = golden(world, "shop", "o1", "sales_order", "orders")
    assert customer(world.run(), order).name == "王小明"
    shipment = golden(world, "erp", "d1", "shipment", "shipments")
    with pytest.raises(ConfigError, match="is a shipment that belongs to no party"):
        customer(world.run(), shipment)
    with pytest.raises(ConfigError, match="no golden record 'par_nobody'"):
        customer(world.run(), "par_nobody")


def test_looking_writes_nothing(world: World) -> None:
    party = golden(world, "crm", "c1")
    run = world.run()
    before = [world.store.records_of([party]), world.store.goldens([party]), world.store.history(party)]
    customer(run, party)
    explain(run, party)
    find(world.store, "王")
    assert [
        world.store.records_of([party]),
        world.store.goldens([party]),
        world.store.history(party),
    ] == before


def test_duplicates_are_shown_with_what_they_share() -> None:
    world = tea_company()
    customers.fill(world)
    add(world, "crm", "customers", "c3", name="Anna Lehmann", mail="maha@example.org")
    world.sync()
    (twin,) = customer(world.run(), golden(world, "crm", "c2")).duplicates
    assert (twin.id, twin.name, twin.why) == (
        golden(world, "crm", "c3"),
        "Anna Lehmann",
        "has the same email",
    )


# -- explain -----------------------------------------------------------------------------------


def contested() -> tuple[World, str]:
    """One person in two systems that disagree: `a` decides about owner, else the latest change."""
    policy = Policy("party", ["a", "b"], authority={"owner": ["a"]})
    world = World({"a": [CUSTOMERS], "b": [CUSTOMERS]}, [policy])
    add(world, "a", "customers", "1", name="Ann Lee", mail="ann@example.org", owner="li.na")
    add(world, "b", "customers", "9", name="Ann  Lee", mail="ann@example.org", owner="zhao.lei")
    world.sync()
    return world, golden(world, "a", "1")


def field(world: World, golden_id: str, path: str) -> Explained:
    (found,) = explain(world.run(), golden_id, path)
    return found


def test_at_first_contact_the_order_of_systems_decides_and_both_are_told() -> None:
    world, party = contested()
    name = field(world, party, "display_name")
    assert (name.value, name.system, name.native_id, name.rule) == ("Ann Lee", "a", "1", "first contact")
    assert (name.time, name.when) == (0, "at first contact")
    (lost,) = name.lost
    assert (lost.system, lost.native_id, lost.value) == ("b", "9", "Ann  Lee")
    assert lost.why == "a comes before b in the config"
    assert name.conflicts == ("a says 'Ann Lee' and b says 'Ann  Lee', none knowing of the other",)


def test_what_we_sent_is_told_apart_from_what_the_system_said() -> None:
    world, party = contested()
    _, at_b = field(world, party, "display_name").said
    assert (at_b.own, at_b.seen, at_b.sent, at_b.before) == ("Ann  Lee", "Ann Lee", "Ann Lee", "Ann  Lee")
    assert at_b.text == (
        "holds 'Ann Lee'; we sent 'Ann Lee', which came from a; its own last word is 'Ann  Lee', "
        "at first contact; before that it held 'Ann  Lee'"
    )


def test_an_amount_is_told_with_its_currency() -> None:
    text = CUSTOMERS + "  credit_limit: {fields: {amount: limit}, const: {currency: EUR}}\n"
    world = World({"a": [text]}, [Policy("party", ["a"])])
    add(world, "a", "customers", "1", name="Ann Lee", limit="4000")
    world.sync()
    (said,) = field(world, golden(world, "a", "1"), "credit_limit").said
    assert said.text == "holds 4000 EUR; as its own word, at first contact"


def test_what_is_computed_is_not_taken_for_a_persons_decision(world: World) -> None:
    summaries = world.store.golden_ids("customer_summary", "", 10)
    texts = [said.text for one in summaries for said in field(world, one, "open_cases").said]
    assert texts
    assert not [text for text in texts if "person" in text]


def test_a_later_change_wins_and_says_when_in_the_zone_that_is_asked_for() -> None:
    world, party = contested()
    world.memory["b"].edit("customers", "9", name="Anne Lee")
    changed = world.memory["b"].streams["customers"]["9"].modified
    assert changed is not None
    world.sync()
    name = field(world, party, "display_name")
    assert (name.value, name.system, name.rule, name.because) == (
        "Anne Lee",
        "b",
        "latest",
        "b changed it last",
    )
    assert name.when == changed.strftime("%Y-%m-%d %H:%M:%S UTC")
    (in_china,) = explain(world.run(), party, "display_name", zone=CHINA)
    assert in_china.when == changed.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S UTC+08:00")
    (lost,) = name.lost
    assert lost.why == "a said it at first contact, and b changed it later"


def test_authority_is_named_as_the_reason() -> None:
    world, party = contested()
    world.memory["b"].edit("customers", "9", owner="somebody")
    world.sync()
    owner = field(world, party, "owner")
    assert (owner.value, owner.rule, owner.because) == ("li.na", "authority", "a decides about owner")
    (lost,) = owner.lost
    assert (lost.value, lost.why) == ("somebody", "a decides about owner before b")


def test_elements_of_a_list_are_told_by_name_and_the_deleted_record_is_named() -> None:
    world, party = contested()
    world.memory["b"].remove("customers", "9")
    world.sync()
    points = explain(world.run(), party, "contact_points")
    assert [one.label for one in points] == [
        "contact points (email, ann@example.org): type",
        "contact points (email, ann@example.org): value",
    ]
    dead = field(world, party, "display_name").said[1]
    assert (dead.status, dead.text.partition(" 20")[0]) == ("gone", "was deleted")


def test_an_unknown_field_is_an_error_and_a_known_one_without_value_is_nothing() -> None:
    world, party = contested()
    assert explain(world.run(), party, "note") == []
    with pytest.raises(ConfigError, match="a party has no field 'colour'"):
        explain(world.run(), party, "colour")


def test_a_computed_summary_says_that_it_is_computed(world: World) -> None:
    party = golden(world, "crm", "c1")
    (summary,) = [i for i in world.store.referring([party]) if i.startswith("cus_")]
    assert field(world, summary, "owner").because == "crmbridge computes it"


# -- the page ----------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class _Parts(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_no_value_becomes_markup_and_nothing_is_loaded() -> None:
    world = tea_company()
    customers.fill(world)
    everything = {"subject": HOSTILE, "outcome": HOSTILE, "by": HOSTILE}
    world.memory["crm"].edit("customers", "c1", name=HOSTILE, owner=HOSTILE)
    world.memory["shop"].edit("customers", "s1", name=HOSTILE)
    world.memory["erp"].edit("customers", "e1", name=HOSTILE)
    world.memory["crm"].edit("calls", "k2", **everything)
    world.memory["crm"].edit("cases", "f1", subject=HOSTILE, number=HOSTILE)
    world.memory["shop"].edit(
        "orders", "o1", number=HOSTILE, lines=[{"key": "1", "text": HOSTILE, "count": "1"}]
    )
    world.memory["erp"].edit("shipments", "d1", carrier=HOSTILE, number=HOSTILE)
    world.memory["erp"].edit("invoices", "i1", number=HOSTILE)
    world.sync()
    page = html(customer(world.run(), golden(world, "crm", "c1")))
    parts = _Parts(page)
    assert not {"script", "img", "link", "iframe", "object", "form", "a"} & set(parts.tags)
    assert not {name for name in parts.attributes if name.startswith("on") or name in ("src", "href")}
    assert "url(" not in page
    assert "@import" not in page
    assert "http:" not in page
    assert "https:" not in page
    assert parts.text.count(HOSTILE) >= 12


def test_the_page_shows_times_in_the_zone_and_money_with_its_decimals(world: World) -> None:
    text = _Parts(html(customer(world.run(), golden(world, "crm", "c1")), zone=ARABIA)).text
    assert "2026-02-25 12:00" in text
    assert "2026-02-25 17:00" not in text
    assert "12.50 EUR" in text
    assert "20.00 EUR" in text


def test_names_of_every_script_stand_in_their_own_direction(world: World) -> None:
    page = html(customer(world.run(), golden(world, "crm", "c2")))
    assert '<h1><bdi dir="auto">مها الأحمد</bdi></h1>' in page
    assert "<title>مها الأحمد</title>" in page
