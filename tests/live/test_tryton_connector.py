"""The Tryton connector's reading and writing of parties, on a real Tryton."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from crmbridge.sdk.connector import ListPatch, Operation, Record
from crmbridge.sdk.errors import AuthError, ConfigError, CursorExpiredError, FatalError
from crmbridge_tryton.connector import TrytonConnector
from tests.live.tryton_person import Person, make_product, put_into_stock
from tests.live.tryton_server import Access
from tests.live.tryton_system import Position, create, open_tryton, push, push_one, update

PARTY = "party.party"
WANG = {
    "name": "上海王小明贸易有限公司 🏮",
    "addresses": [
        {
            "party_name": "王小明",
            "street": "南京东路 100 号\n3 楼",
            "postal_code": "200001",
            "city": "上海市",
            "country": {"code": "CN"},
            "subdivision": {"code": "CN-SH"},
        }
    ],
    "contact_mechanisms": [
        {"type": "email", "value": "wang@example.cn", "name": "办公室"},
        {"type": "phone", "value": "+862164321234"},
    ],
    "identifiers": [{"type": "eu_vat", "code": "DE136695976"}],
}


@pytest.fixture
def erp(tryton: Access) -> Iterator[TrytonConnector]:
    """The connector as the service user, on the shared database."""
    connector = open_tryton(tryton, overlap_seconds=0)
    yield connector
    connector.close()


@pytest.fixture(scope="module")
def clerk(tryton: Access) -> Person:
    """Somebody at work in Tryton."""
    return Person(tryton.as_user("clerk"))


def person_named(clerk: Person, name: str) -> int:
    return clerk.create(PARTY, name=name)


def read_past(position: Position, clerk: Person, party: int) -> None:
    """Let something newer be the last that was read: what comes last is read again in any case."""
    person_named(clerk, "Newer than the party in question")
    position.pull()
    assert str(party) not in position.pull()


# -- log-in and sessions -----------------------------------------------------------------------


def test_check_names_what_the_service_user_may_do(erp: TrytonConnector) -> None:
    findings = list(erp.check())
    assert [finding.level for finding in findings] == ["ok"] * len(findings)
    assert "company Dunder Mifflin (EUR)" in findings[1].text
    assert any("sale.sale: may create, delete, read, write" in finding.text for finding in findings)


def test_check_says_which_rights_are_missing_and_what_helps(tryton: Access) -> None:
    guest = open_tryton(tryton.as_user("guest"))
    bad = {finding.text: finding for finding in guest.check() if finding.level != "ok"}
    assert bad["sale.sale: guest may not create, delete, read, write"].level == "error"
    assert bad["product.product: guest may not create, delete, write"].level == "warning"
    assert "groups" in bad["sale.sale: guest may not create, delete, read, write"].hint
    reader = open_tryton(tryton.as_user("guest"), read_only=True)
    assert "product.product: may read" in [finding.text for finding in reader.check()]


def test_a_wrong_password_is_an_authentication_error_without_the_password(tryton: Access) -> None:
    connector = open_tryton(tryton, user="nobody", password="guess-what-4711")
    (version, finding) = connector.check()
    assert version.level == "ok"
    assert finding.level == "error"
    assert "refuses the log-in of 'nobody'" in finding.text
    with pytest.raises(AuthError) as error:
        connector.fingerprint()
    assert "guess-what-4711" not in str(error.value)


def test_a_wrong_database_name_is_a_configuration_error(tryton: Access) -> None:
    with pytest.raises(ConfigError, match="no Tryton database 'Main'"):
        open_tryton(tryton, database="Main").fingerprint()


def test_the_session_is_stored_and_used_by_the_next_run(tryton: Access, clerk: Person) -> None:
    session: dict[str, str] = {}
    open_tryton(tryton, session=session).fingerprint()
    kept = dict(session)
    assert kept
    # A run with no password left can still read: the session alone lets it in.
    open_tryton(tryton, session=session, password="rotated-elsewhere").fingerprint()
    assert session == kept


def test_a_session_that_ran_out_is_renewed_once(tryton: Access) -> None:
    session: dict[str, str] = {}
    connector = open_tryton(tryton, session=session)
    connector.fingerprint()
    old = session["session"]
    session["session"] = old[:-8] + "deadbeef"
    again = open_tryton(tryton, session=session)
    made = push_one(again, PARTY, create(1, {"name": "After the session ran out"}))
    assert made.data["name"] == "After the session ran out"
    assert session["session"] not in (old, old[:-8] + "deadbeef")


def test_the_fingerprint_names_database_and_company(erp: TrytonConnector) -> None:
    database, company, made = erp.fingerprint().split("/")
    assert (database, company) == ("crm", "company 1")
    assert datetime.fromisoformat(made).tzinfo is not None
    assert erp.fingerprint() == f"{database}/{company}/{made}"


def test_a_model_that_may_not_be_read_stops_the_stream(tryton: Access) -> None:
    guest = open_tryton(tryton.as_user("guest"))
    with pytest.raises(FatalError, match=r"does not let us read sale\.sale"):
        list(guest.pull("sale.sale", None))


# -- writing parties ---------------------------------------------------------------------------


def test_a_party_is_made_with_all_its_parts_in_one_call_and_read_back(
    erp: TrytonConnector, clerk: Person
) -> None:
    before = clerk.count(PARTY)
    made = push_one(erp, PARTY, create(1, WANG))
    assert clerk.count(PARTY) == before + 1
    assert made.data["name"] == WANG["name"]
    (address,) = made.data["addresses"]
    assert (address["street"], address["city"]) == ("南京东路 100 号\n3 楼", "上海市")
    assert (address["country"]["code"], address["subdivision"]["code"]) == ("CN", "CN-SH")
    values = {(c["type"], c["value"], c["name"]) for c in made.data["contact_mechanisms"]}
    # Tryton writes phone numbers its own way: what comes back is what it holds.
    assert values == {("email", "wang@example.cn", "办公室"), ("phone", "+86 21 6432 1234", None)}
    assert [(i["type"], i["code"]) for i in made.data["identifiers"]] == [("eu_vat", "DE136695976")]
    assert next(erp.get_many(PARTY, [made.native_id])) == made


def test_only_the_children_that_changed_are_written(erp: TrytonConnector, clerk: Person) -> None:
    made = push_one(erp, PARTY, create(1, WANG))
    email, phone = sorted(made.data["contact_mechanisms"], key=lambda c: c["type"])
    (address,) = made.data["addresses"]
    phone_before = clerk.read("party.contact_mechanism", int(phone["id"]), "_timestamp")
    after = push_one(
        erp,
        PARTY,
        update(
            made,
            {
                "contact_mechanisms": ListPatch(
                    add=[{"type": "website", "value": "https://example.cn"}],
                    change={email["id"]: {"value": "neu@example.cn"}},
                ),
                "addresses": ListPatch(remove=[address["id"]]),
            },
        ),
    )
    found = {c["id"]: c["value"] for c in after.data["contact_mechanisms"]}
    assert found[email["id"]] == "neu@example.cn"
    assert set(found.values()) == {"neu@example.cn", "+86 21 6432 1234", "https://example.cn"}
    assert after.data["addresses"] == []
    assert clerk.read("party.contact_mechanism", int(phone["id"]), "_timestamp") == phone_before
    # Removed, and still there for the documents that name it.
    assert not clerk.read("party.address", int(address["id"]), "active")["active"]


def test_a_field_is_cleared(erp: TrytonConnector) -> None:
    made = push_one(erp, PARTY, create(1, WANG))
    (address,) = made.data["addresses"]
    patch = ListPatch(change={address["id"]: {"postal_code": None, "country": None, "subdivision": None}})
    after = push_one(erp, PARTY, update(made, {"addresses": patch}))
    (cleared,) = after.data["addresses"]
    assert (cleared["postal_code"], cleared["country"], cleared["city"]) == (None, None, "上海市")


def test_one_bad_record_does_not_stop_its_batch(erp: TrytonConnector, clerk: Person) -> None:
    operations = [create(n, {"name": f"Batch {n}"}) for n in range(7)]
    operations[4].data["contact_mechanisms"] = [{"type": "phone", "value": "12"}]
    operations[5].data["addresses"] = [{"city": "Nowhere", "country": {"code": "XX"}}]
    results = push(erp, PARTY, *operations)
    assert [result.status for result in results] == ["done"] * 4 + ["rejected"] * 2 + ["done"]
    assert 'The phone number "12" for party "Batch 4" is not valid.' in results[4].reason
    assert "no country.country with code 'XX'" in results[5].reason
    names = [result.record.data["name"] for result in results if result.record]
    assert names == ["Batch 0", "Batch 1", "Batch 2", "Batch 3", "Batch 6"]
    assert clerk.count(PARTY, ["name", "like", "Batch %"]) == 5


def test_a_field_that_this_tryton_lacks_is_rejected_by_name(erp: TrytonConnector) -> None:
    (result,) = push(erp, PARTY, create(1, {"name": "X", "shoe_size": 44}))
    assert result.status == "rejected"
    assert "party.party has no field 'shoe_size'" in result.reason


def test_writing_over_somebodys_edit_is_a_conflict_and_changes_nothing(
    erp: TrytonConnector, clerk: Person
) -> None:
    first = push_one(erp, PARTY, create(1, {"name": "First"}))
    second = push_one(erp, PARTY, create(2, {"name": "Second"}))
    clerk.write(PARTY, int(first.native_id), name="Edited by the clerk")
    results = push(erp, PARTY, update(first, {"name": "Ours"}), update(second, {"name": "Second, ours"}))
    assert [result.status for result in results] == ["conflict", "done"]
    assert clerk.read(PARTY, int(first.native_id), "name")["name"] == "Edited by the clerk"


def test_the_lock_holds_for_children_too(erp: TrytonConnector, clerk: Person) -> None:
    made = push_one(erp, PARTY, create(1, WANG))
    (address,) = made.data["addresses"]
    clerk.write("party.address", int(address["id"]), city="苏州市")
    patch = ListPatch(change={address["id"]: {"city": "杭州市"}})
    (result,) = push(erp, PARTY, update(made, {"addresses": patch}))
    assert result.status == "conflict"
    assert clerk.read("party.address", int(address["id"]), "city")["city"] == "苏州市"


def test_archived_and_deleted_parties_show_as_such(erp: TrytonConnector, clerk: Person) -> None:
    position = Position(erp, PARTY)
    kept, archived, deleted = (push_one(erp, PARTY, create(n, {"name": f"Gone {n}"})) for n in range(3))
    position.pull()
    results = push(
        erp,
        PARTY,
        Operation("a", "archive", archived.native_id, version=archived.version),
        Operation("d", "delete", deleted.native_id, version=deleted.version),
    )
    assert [result.status for result in results] == ["done", "done"]
    assert archived.native_id not in position.pull()
    tombstones = [tombstone for page in position.pages for tombstone in page.tombstones]
    assert [(t.native_id, t.archived) for t in tombstones] == [(archived.native_id, True)]
    listed = {native_id for chunk in erp.list_ids(PARTY) for _, native_id in chunk}
    assert listed >= {kept.native_id, archived.native_id}
    assert deleted.native_id not in listed
    assert list(erp.get_many(PARTY, [deleted.native_id, archived.native_id])) == []


def test_a_question_before_a_delete_is_left_to_people(erp: TrytonConnector, clerk: Person) -> None:
    """Archiving a product that is in stock makes Tryton ask; nobody is there to answer."""
    (product,) = make_product(clerk, "IN-STOCK")
    put_into_stock(clerk, product, 3)
    (result,) = push(erp, "product.product", Operation("a", "archive", str(product)))
    assert result.status == "rejected"
    assert "has still some quantities" in result.reason
    assert clerk.read("product.product", product, "active")["active"]


# -- reading parties ---------------------------------------------------------------------------


def test_a_full_read_goes_by_pages_and_proves_that_it_is_complete(new_tryton: Callable[[], Access]) -> None:
    access = new_tryton()
    person = Person(access.as_user("clerk"))
    ids = {str(person_named(person, f"Customer {n}")) for n in range(25)}
    position = Position(open_tryton(access, page_size=10), PARTY)
    assert set(position.pull()) == ids | {"1"}  # 1 is the company itself
    assert [len(page.records) for page in position.pages] == [10, 10, 6]
    assert [page.complete for page in position.pages] == [False, False, True]
    assert [page.total for page in position.pages] == [26, 26, 26]


def test_an_interrupted_full_read_goes_on_where_it_was(new_tryton: Callable[[], Access]) -> None:
    access = new_tryton()
    person = Person(access.as_user("clerk"))
    for n in range(15):
        person_named(person, f"Customer {n}")
    connector = open_tryton(access, page_size=10)
    first = next(iter(connector.pull(PARTY, None)))
    rest = list(connector.pull(PARTY, first.cursor))
    ids = [record.native_id for page in (first, *rest) for record in page.records]
    assert len(ids) == len(set(ids)) == 16
    assert not any(page.complete for page in rest), "only a whole listing proves anything"
    assert list(connector.pull(PARTY, rest[-1].cursor))[-1].cursor["since"]


def test_what_was_never_written_over_is_not_missed(erp: TrytonConnector, clerk: Person) -> None:
    """A new record may have no write_date at all, only a create_date."""
    party = person_named(clerk, "Bare")
    position = Position(erp, PARTY)
    read_past(position, clerk, party)
    address = clerk.create("party.address", party=party, city="Bonn")
    assert clerk.read("party.address", address, "write_date")["write_date"] is None
    assert position.pull()[str(party)].data["addresses"][0]["city"] == "Bonn"


@pytest.mark.parametrize("page_size", [1, 200])
def test_reading_changes_is_inclusive_and_loses_no_equal_times(
    tryton: Access, clerk: Person, page_size: int
) -> None:
    """Twelve parties made in one transaction have one time between them."""
    connector = open_tryton(tryton, overlap_seconds=0, page_size=page_size)
    position = Position(connector, PARTY)
    position.pull()
    ids = {str(i) for i in clerk.call("party.party.create", [{"name": f"Equal {n}"} for n in range(12)])}
    assert set(position.pull()) >= ids
    assert set(position.pull()) >= ids, "the last time read is read again"


def test_more_changes_of_one_time_than_one_answer_holds(erp: TrytonConnector, clerk: Person) -> None:
    """An import is one transaction: all its rows have the time of its start."""
    position = Position(erp, PARTY)
    position.pull()
    ids = {str(i) for i in clerk.call("party.party.create", [{"name": f"Imported {n}"} for n in range(1100)])}
    assert set(position.pull()) >= ids


@pytest.mark.parametrize(
    ("model", "values", "change"),
    [
        ("party.address", {"city": "Ulm"}, {"city": "Neu-Ulm"}),
        ("party.contact_mechanism", {"type": "email", "value": "a@ulm.de"}, {"value": "b@ulm.de"}),
        ("party.identifier", {"type": "eu_vat", "code": "DE136695976"}, {"code": "ATU13585627"}),
    ],
)
def test_edits_of_children_lead_to_their_party(
    erp: TrytonConnector, clerk: Person, model: str, values: dict[str, str], change: dict[str, str]
) -> None:
    party = person_named(clerk, "With children")
    field = {"party.address": "addresses", "party.contact_mechanism": "contact_mechanisms"}.get(
        model, "identifiers"
    )
    position = Position(erp, PARTY)
    read_past(position, clerk, party)
    stamp = clerk.read(PARTY, party, "_timestamp")

    child = clerk.create(model, party=party, **values)
    added = position.pull()[str(party)]
    assert [item["id"] for item in added.data[field]] == [str(child)]

    read_past(position, clerk, party)
    clerk.write(model, child, **change)
    changed = position.pull()[str(party)]
    assert changed.data[field][0].items() >= change.items()
    assert added.modified is not None
    assert changed.modified is not None
    assert changed.modified > added.modified
    assert changed.version != added.version

    read_past(position, clerk, party)
    clerk.write(model, child, active=False)
    assert position.pull()[str(party)].data[field] == []
    assert clerk.read(PARTY, party, "_timestamp") == stamp, "the party itself never noticed"


def test_it_says_who_changed_a_record(erp: TrytonConnector, clerk: Person) -> None:
    made = push_one(erp, PARTY, create(1, {"name": "By whom?"}))
    assert made.modified_by == "crmbridge"
    clerk.write(PARTY, int(made.native_id), name="By the clerk")
    (edited,) = erp.get_many(PARTY, [made.native_id])
    assert edited.modified_by == "clerk"
    clerk.create("party.address", party=int(made.native_id), city="Hof")
    (grown,) = erp.get_many(PARTY, [made.native_id])
    assert grown.modified_by is None, "the address is newer, and its editor was not asked for"


def test_reading_goes_back_far_enough_for_long_transactions(tryton: Access, clerk: Person) -> None:
    """Tryton dates a change to its transaction's start: when it appears, newer ones may be read already."""
    cursors = [page.cursor for page in open_tryton(tryton).pull(PARTY, None)]
    party = person_named(clerk, "Late commit")
    later = (datetime.now(UTC) + timedelta(seconds=100)).isoformat()
    cursor = {**cursors[-1], "since": later}
    for seconds, seen in [(300, True), (10, False)]:
        pages = open_tryton(tryton, overlap_seconds=seconds).pull(PARTY, cursor)
        found = {record.native_id for page in pages for record in page.records}
        assert (str(party) in found) == seen
    (*_, last) = open_tryton(tryton).pull(PARTY, cursor)
    assert last.cursor["since"] == later, "a cursor never goes back"


def test_a_deleted_child_makes_the_cursor_expire_and_the_full_read_shows_it(
    erp: TrytonConnector, clerk: Person
) -> None:
    party = person_named(clerk, "Loses an address")
    address = clerk.create("party.address", party=party, city="Trier")
    position = Position(erp, PARTY)
    position.pull()
    clerk.call("party.address.delete", [address])
    with pytest.raises(CursorExpiredError, match=r"1 rows of party\.address were deleted"):
        position.pull()
    position.forget()
    assert position.pull()[str(party)].data["addresses"] == []
    assert position.pages[-1].complete


def test_a_merge_of_parties_is_reported_as_one(erp: TrytonConnector, clerk: Person) -> None:
    survivor, loser = person_named(clerk, "Meier AG"), person_named(clerk, "Meyer AG")
    position = Position(erp, PARTY)
    position.pull()
    clerk.replace_party(loser, survivor)
    assert str(loser) not in position.pull()
    merges = [(merge.loser, merge.survivor) for page in position.pages for merge in page.merges]
    assert merges == [(str(loser), str(survivor))]


def test_more_fields_are_read_and_written_by_setting(tryton: Access) -> None:
    erp = open_tryton(tryton, fields={PARTY: ["lang.name", "customer_code"]})
    made = push_one(erp, PARTY, create(1, {"name": "K", "customer_code": "K-0815"}))
    assert made.data["customer_code"] == "K-0815"
    info = erp.discover(PARTY)
    assert info["customer_code"].custom
    assert not info["name"].custom
    wrong = open_tryton(tryton, fields={PARTY: ["customer_cod"]})
    with pytest.raises(ConfigError, match="no field 'customer_cod'"):
        list(wrong.pull(PARTY, None))


def test_discover_says_what_tryton_says(erp: TrytonConnector) -> None:
    party = erp.discover(PARTY)
    assert (party["name"].type, party["name"].on_update) == ("string", True)
    assert not party["code"].required, "Tryton gives a code itself"
    contact = party["contact_mechanisms"]
    assert contact.type == "list"
    assert {"phone", "mobile", "email", "website"} <= set(contact.fields["type"].choices)
    assert contact.fields["value"].required
    assert "cn_vat" in party["identifiers"].fields["type"].choices
    assert party["addresses"].fields["country"].fields["code"].type == "string"
    sale = erp.discover("sale.sale")
    assert (sale["total_amount"].type, sale["total_amount"].on_update) == ("decimal", False)
    assert sale["lines"].fields["quantity"].type == "decimal"


# -- looking up after a lost answer ------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "Zoë Sánchez"),
        ("contact_mechanisms.value", "zoe.sanchez@example.es"),
        ("contact_mechanisms.value", "+34911234567"),
        ("contact_mechanisms.value", "+34 911 23 45 67"),
        ("identifiers.code", "ESA28015865"),
    ],
)
def test_a_party_is_found_by_its_natural_keys(erp: TrytonConnector, key: str, value: str) -> None:
    data = {
        "name": "Zoë Sánchez",
        "contact_mechanisms": [
            {"type": "email", "value": "zoe.sanchez@example.es"},
            {"type": "phone", "value": "+34911234567"},
        ],
        "identifiers": [{"type": "eu_vat", "code": "ESA28015865"}],
    }
    made = push_one(erp, PARTY, create(1, data))
    assert made.native_id in [record.native_id for record in erp.search(PARTY, key, value)]
    assert list(erp.search(PARTY, key, value + "x")) == []


@contextmanager
def answers_lost_after(access: Access, text: bytes) -> Iterator[Access]:
    """A way to Tryton that breaks after the first request holding `text` was carried out."""
    server = urlsplit(access.url)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, socket.create_connection((server.hostname, server.port)) as upstream:
                lost = threading.Event()
                threading.Thread(target=_relay, args=(upstream, client, lost), daemon=True).start()
                while data := client.recv(65536):
                    if text in data:
                        lost.set()
                    upstream.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield Access(f"http://127.0.0.1:{listener.getsockname()[1]}", access.database)
    finally:
        listener.close()


def _relay(upstream: socket.socket, client: socket.socket, lost: threading.Event) -> None:
    with suppress(OSError):  # the other side hung up
        while data := upstream.recv(65536):
            if lost.is_set():
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(data)


def test_a_create_whose_answer_is_lost_is_uncertain_and_is_found(tryton: Access, clerk: Person) -> None:
    with answers_lost_after(tryton, b"Lost and found Ltd") as broken:
        connector = open_tryton(broken)
        connector.fingerprint()
        operation = create(1, {"name": "Lost and found Ltd"})
        (result,) = push(connector, PARTY, operation)
    assert result.status == "uncertain"
    assert clerk.count(PARTY, ["name", "=", "Lost and found Ltd"]) == 1, (
        "sent once, and never again by itself"
    )
    (found,) = open_tryton(tryton).search(PARTY, "name", "Lost and found Ltd")
    assert found.data["name"] == "Lost and found Ltd"
    assert found.created is not None
    assert found.created == found.modified, "so that it can be told from an older one of that name"


def test_text_that_is_no_unicode_rejects_one_record_only(erp: TrytonConnector) -> None:
    results = push(erp, PARTY, create(1, {"name": "half \ud83d surrogate"}), create(2, {"name": "whole 🦊"}))
    assert [result.status for result in results] == ["rejected", "done"]


def test_a_record_keeps_its_shape_between_reads(erp: TrytonConnector) -> None:
    """Hashes make re-reading free only if the same record reads the same."""
    made: Record = push_one(erp, PARTY, create(1, WANG))
    again = next(erp.get_many(PARTY, [made.native_id]))
    assert repr(again.data) == repr(made.data)
    assert list(again.data) == sorted(again.data)
