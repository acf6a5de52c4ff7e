"""identity: possible duplicates wait until a person has said, and what was said can be taken back."""

from __future__ import annotations

import pytest

from tests.cli.conftest import CUSTOMERS, Place

TWIN = "004,Annette Li,ann@x.example,,\n"
WORD = ("--by", "王小明", "--why", "asked her")


@pytest.fixture
def doubtful(place: Place) -> Place:
    """Two in one list who share a mailbox, in both systems."""
    place.customers(CUSTOMERS + TWIN)
    place.agree()
    return place


def test_a_quiet_run_tells_of_a_possible_duplicate_that_waits(doubtful: Place) -> None:
    for command, told in (("sync", "all that is linked agrees"), ("plan", "open: 1 possible duplicate")):
        done = doubtful.run(command)
        assert done.code == 0
        assert told in done.out + done.err
        assert "1 possible duplicate waits for a person: crmbridge identity duplicates" in done.err
        assert "All systems agree" not in done.out + done.err
        (summary,) = doubtful.run(command, "--json").of("summary")
        assert summary["duplicates"] == 1


def test_duplicates_are_listed_with_the_evidence_side_by_side(doubtful: Place) -> None:
    doubtful.run("sync")
    (pair,) = doubtful.run("identity", "duplicates", "--json").lines
    assert pair["shared"] == [{"kind": "email", "value": "ann@x.example"}]
    assert pair["why"] == "their names differ"
    assert {pair["one"]["label"], pair["other"]["label"]} == {"Ann Lee", "Annette Li"}
    assert sorted([*pair["one"]["records"], *pair["other"]["records"]]) == [
        *("sales/customers/001", "sales/customers/004", "shop/customers/1", "shop/customers/4")
    ]
    shown = doubtful.run("identity", "duplicates").out
    assert "party: both have email ann@x.example" in shown
    lines = [line.split() for line in shown.splitlines()]
    names = [pair["one"]["label"].split(), pair["other"]["label"].split()]
    assert ["Name", *names[0], *names[1]] in lines
    assert doubtful.run("identity", "duplicates", "--system", "shop", "--entity", "party", "--json").lines
    for option, wrong in (("--system", "erp"), ("--entity", "product")):
        done = doubtful.run("identity", "duplicates", option, wrong)
        assert (done.code, f"{option}: there is no" in done.err) == (2, True)


def test_a_long_list_is_cut_aloud(place: Place) -> None:
    place.customers(CUSTOMERS + TWIN + TWIN.replace("004,Annette", "005,Bea"))
    place.agree()
    assert "and 2 more (--show 0 shows all)" in place.run("identity", "duplicates", "--show", "1").out
    assert len(place.run("identity", "duplicates", "--show", "1", "--json").lines) == 3


def test_a_value_that_too_many_share_is_named(place: Place) -> None:
    place.config((place.folder / "crmbridge.yaml").read_text() + "limits: {shared_by: 2}\n")
    place.customers(CUSTOMERS + "".join(f"1{n},{n},desk@x.example,,\n" for n in ("Zoé", "Łucja", "Ömer")))
    place.agree()
    (value,) = place.run("identity", "duplicates", "--json").lines
    assert (value["type"], value["value"], value["count"]) == ("generic_value", "desk@x.example", 3)
    shown = place.run("identity", "duplicates").out
    assert "more than 2 share each, so that it joins nobody" in shown
    assert "Nobody waits" in shown


def test_merge_says_that_two_are_one_until_it_is_undone(doubtful: Place) -> None:
    done = doubtful.run("identity", "merge", "sales/customers/004", "sales/customers/001", *WORD, "--json")
    (said,) = done.lines
    assert (said["verdict"], said["by"], said["why"]) == ("one", "王小明", "asked her")
    assert f"identity undo {said['id']} takes it back" in done.err
    assert doubtful.run("identity", "duplicates", "--json").lines == []
    linked = doubtful.run("links", "list", said["other"], "--json").of("link")
    assert len(linked) == 4
    (told,) = doubtful.run("explain", said["other"], "--json").of("event")
    assert told["event"] == "merged by hand"
    assert "by 王小明: asked her" in told["text"]
    again = doubtful.run("identity", "merge", said["one"], said["other"], *WORD)
    assert (again.code, "links unlink" in again.err) == (2, True)
    assert doubtful.run("sync").code == 0
    assert doubtful.run("identity", "undo", str(said["id"]), *WORD).code == 0
    assert doubtful.run("identity", "undo", str(said["id"]), *WORD).code == 2
    assert len(doubtful.run("links", "list", said["one"], "--json").of("link")) == 2
    assert doubtful.run("sync").code == 0
    assert doubtful.run("identity", "duplicates", "--json").lines == []  # who has just looked is not asked


def test_apart_says_that_two_are_two_and_every_judgement_is_listed(doubtful: Place) -> None:
    (pair,) = doubtful.run("identity", "duplicates", "--json").lines
    sides = pair["one"]["golden_id"], pair["other"]["golden_id"]
    assert "Nobody has said anything" in doubtful.run("identity", "judgements").out
    assert doubtful.run("identity", "apart", *sides, *WORD).code == 0
    assert doubtful.run("identity", "apart", *sides, *WORD).code == 2
    merge = doubtful.run("identity", "merge", *sides, *WORD)
    assert (merge.code, "were told apart" in merge.err) == (2, True)
    done = doubtful.run("sync")
    assert "All systems agree." in done.err
    last = doubtful.run("runs", "list", "--json").lines[0]["id"]
    events = doubtful.run("runs", "show", str(last), "--json").of("event")
    assert [one["event"] for one in events] == ["told apart"] * 2
    (said,) = doubtful.run("identity", "judgements", "--json").lines
    assert (said["verdict"], "revoked_at" in said) == ("apart", False)
    assert doubtful.run("identity", "undo", str(said["id"]), "--by", "Eve", "--why", "wrong").code == 0
    (said,) = doubtful.run("identity", "judgements", "--json").lines
    assert (said["revoked_by"], said["revoked_why"]) == ("Eve", "wrong")
    assert "taken back by Eve: wrong" in doubtful.run("identity", "judgements").out
    assert [e["event"] for e in doubtful.run("explain", sides[0], "--json").of("event")] == [
        *("told apart", "revoked")
    ]


def test_an_unlinked_record_is_a_judgement_that_relink_takes_back(agreed: Place) -> None:
    agreed.run("links", "unlink", "shop/customers/1", *WORD)
    (said,) = agreed.run("identity", "judgements", "--json").lines
    assert (said["verdict"], said["places"]) == ("apart", "shop/customers/1 and sales/customers/001")
    agreed.run("links", "relink", "shop/customers/1", "--by", "Eve", "--why", "wrong")
    (said,) = agreed.run("identity", "judgements", "--json").lines
    assert said["revoked_by"] == "Eve"
    agreed.run("links", "unlink", "shop/customers/1", *WORD)
    assert agreed.run("identity", "undo", "2", *WORD).code == 0
    assert agreed.run("plan", "--detailed-exitcode").code == 0


def test_without_a_terminal_nobody_is_asked_why(doubtful: Place) -> None:
    for words in (("merge", "Ann Lee", "Annette Li"), ("apart", "Ann Lee", "Annette Li"), ("undo", "1")):
        done = doubtful.run("identity", *words)
        assert (done.code, "--why" in done.err) == (2, True)


def test_what_cannot_be_judged_is_told(doubtful: Place) -> None:
    for words, told in (
        (("merge", "sales/customers/99", "Ann Lee"), "no record 'sales/customers/99' is known"),
        (("apart", "nobody at all", "Ann Lee"), "nothing is found by"),
        (("undo", "7"), "there is no judgement 7"),
    ):
        done = doubtful.run("identity", *words, *WORD)
        assert (done.code, told in done.err) == (2, True)


def test_a_link_of_a_person_and_an_organization_waits_until_somebody_has_said(place: Place) -> None:
    mappings = place.folder / "mappings"
    for name, kind in (
        ("sales", "{path: Extra, values: {keep: person, firm: organization}}"),
        ("shop", "{const: person}"),
    ):
        path = mappings / f"{name}.yaml"
        path.write_text(path.read_text() + f"  kind: {kind}\n")
    ann = CUSTOMERS.splitlines()[0] + "\n001,Ann Lee,ann@x.example,,keep\n"
    place.customers(ann)
    place.agree()
    place.customers(ann.replace("keep", "firm"))
    for command in ("sync", "plan"):
        told = place.run(command)
        assert "1 doubtful link waits for a person: crmbridge identity duplicates" in told.err
        assert "All systems agree" not in told.out + told.err
        assert place.run(command, "--json").of("summary")[0]["doubtful_links"] == 1
    assert "sales 001 (Ann Lee) says organization, shop 1 (Ann Lee) says person" in place.run("plan").err
    (link,) = place.run("identity", "duplicates", "--json").of("doubtful_link")
    assert link["records"] == ["sales/customers/001", "shop/customers/1"]
    assert link["kinds"] == ["organization", "person"]
    assert "sales/customers/001 (organization)" in place.run("identity", "duplicates", "--system", "shop").out
    assert place.run("identity", "duplicates", "--entity", "party", "--json").of("doubtful_link")
    done = place.run("identity", "merge", link["golden_id"], link["golden_id"], *WORD)
    assert "sales/customers/001 and shop/customers/1 are one" in done.err
    assert place.run("identity", "duplicates", "--json").lines == []
    assert "All systems agree." in place.run("sync").err
    again = place.run("identity", "merge", link["golden_id"], link["golden_id"], *WORD)
    assert (again.code, "both are" in again.err) == (2, True)
