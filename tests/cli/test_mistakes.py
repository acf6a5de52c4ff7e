"""What people get wrong, and what the command says to it: the place, what is wrong, what would be right."""

from __future__ import annotations

from typing import Any

import pytest
from openpyxl import Workbook

from tests.cli.conftest import CONFIG, CUSTOMERS, Place


@pytest.mark.parametrize("instead", [None, b"no database"])
def test_a_database_file_that_is_gone_stops_its_own_system_only(agreed: Place, instead: bytes | None) -> None:
    file = agreed.folder / "shop.db"
    file.rename(agreed.folder / "elsewhere.db")
    if instead is not None:
        file.write_bytes(instead * 100)
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    done = agreed.run("sync")
    assert done.code == 1
    assert f"shop dropped out: {file}: " in done.err
    assert "put the file back" in done.err
    (agreed.folder / "elsewhere.db").replace(file)
    assert agreed.run("sync").code == 0
    assert agreed.shop()[0][0] == "Anne Lee"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("./sales", "./nowhere"), ("customers.csv", "gone.csv"), ('key: "No"', 'key: "Number"')],
)
def test_a_plan_claims_no_agreement_of_what_it_could_not_read(agreed: Place, right: str, wrong: str) -> None:
    agreed.config(CONFIG.replace(right, wrong))
    done = agreed.run("plan")
    assert done.code == 1
    assert "sales dropped out: " in done.err
    assert done.out.strip() == "Nothing would be written now; whether sales agrees is not known."


def test_a_plan_claims_no_agreement_of_a_system_that_is_paused(agreed: Place) -> None:
    assert agreed.run("plan").out.strip() == "Nothing would be written: all systems agree."
    assert agreed.run("systems", "pause", "sales").code == 0
    done = agreed.run("plan")
    assert done.out.strip() == "Nothing would be written: the others agree."
    assert "Left alone, since paused: sales" in done.err


def test_a_plan_says_what_writes_it(place: Place) -> None:
    def says(*command: str) -> str:
        (line,) = (line for line in place.run("plan", *command).err.splitlines() if "To write it" in line)
        return line.removeprefix("To write it: ")

    assert says("--out", "first.plan") == "crmbridge apply first.plan"
    assert says() == ("crmbridge plan --out crmbridge-plan.jsonl, then crmbridge apply crmbridge-plan.jsonl")
    place.agree()
    place.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    assert says() == "crmbridge sync"
    place.config(CONFIG + "limits: {updates: 0}\n")
    assert says("--out", "first.plan") == "crmbridge apply first.plan --allow updates"


def test_an_unknown_survivorship_rule_is_told_with_all_other_mistakes(place: Place) -> None:
    place.env["COLUMNS"] = "400"
    place.config(CONFIG + "    survivorship: {display_name: lastest}\n    authority: {nmae: [shop]}\n")
    for command in ("sync", "check"):
        done = place.run(command)
        assert done.code == 2
        told = done.out + done.err
        assert "crmbridge.yaml:11:34: 'lastest' is no survivorship rule; did you mean 'latest'?" in told
        assert "crmbridge.yaml:12:17: 'nmae' is no field of party" in told


# -- plan files --------------------------------------------------------------------------------


def test_a_plan_that_cannot_be_saved_is_told_before_anything_is_read(place: Place) -> None:
    (place.folder / "report.csv").write_text("a,b\n", encoding="utf-8")
    for out, says in (
        ("report.csv", "report.csv is there and is no plan, so it is not written over"),
        ("gone/first.plan", "there is no folder gone"),
        ("mappings", "mappings is a folder"),
    ):
        done = place.run("plan", "--out", out)
        assert (done.code, done.out) == (2, "")
        assert says in done.err
    assert (place.folder / "report.csv").read_text(encoding="utf-8") == "a,b\n"


def test_a_sync_does_not_write_its_plan_over_anything_else(place: Place) -> None:
    (place.folder / "crmbridge-plan.jsonl").write_text("my notes\n", encoding="utf-8")
    done = place.run("sync")
    assert done.code == 2
    assert "crmbridge-plan.jsonl is there and is no plan" in done.err
    assert (place.folder / "crmbridge-plan.jsonl").read_text(encoding="utf-8") == "my notes\n"


def test_a_plan_that_is_not_as_it_was_saved_writes_nothing(place: Place) -> None:
    assert place.run("plan", "--out", "first.plan").code == 0
    plan = place.folder / "first.plan"
    whole = plan.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    for broken in (
        "".join(lines[:-2]),
        "".join(lines[:-1]),
        whole.replace("Ann Lee", "Ann Lea"),
        "No,Name\n",
    ):
        plan.write_text(broken, encoding="utf-8")
        done = place.run("apply", "first.plan")
        assert done.code == 2
        assert "first.plan:" in done.err
        assert "make a new plan" in done.err
        assert place.shop() == []
    plan.write_text(whole, encoding="utf-8")
    assert place.run("apply", "first.plan").code == 0
    assert len(place.shop()) == 3


def test_a_plan_of_another_state_writes_nothing(place: Place) -> None:
    assert place.run("plan", "--out", "first.plan").code == 0
    (place.folder / "crmbridge.test.yaml").write_text("state: sqlite:///test.db\n", encoding="utf-8")
    for told in ("before", "after"):
        done = place.run("apply", "first.plan", "--env", "test")
        assert done.code == 2, told
        assert "first.plan:1:1: this plan was made with another state" in done.err
        assert place.shop() == []
        assert place.run("plan", "--out", "test.plan", "--env", "test").code == 0
    assert place.run("apply", "test.plan").code == 2
    assert place.run("apply", "first.plan").code == 0


# -- what nobody asked for ---------------------------------------------------------------------


def test_streams_that_no_sync_has_to_do_with_are_told_where_one_looks_and_not_in_each_run(
    agreed: Place,
) -> None:
    for name in ("extra", "goods"):
        (agreed.folder / "sales" / f"{name}.csv").write_text("sku,title\n1,x\n", encoding="utf-8")
    mapping = "system: sales\nstream: goods\nentity: product\nfields: {name: title}\n"
    (agreed.folder / "mappings" / "goods.yaml").write_text(mapping, encoding="utf-8")
    check = agreed.run("check", "--json")
    told = [(line["stream"], line["text"]) for line in check.of("finding") if line["topic"] == "coverage"]
    assert ("", "nothing maps extra") in told
    assert ("goods", "is mapped to product, which no sync: names") in told
    (row,) = (line for line in agreed.run("discover", "sales").out.splitlines() if "extra" in line)
    assert "(nothing)" in row
    done = agreed.run("sync", "-v")
    assert done.code == 0
    assert "extra" not in done.out + done.err


@pytest.mark.parametrize("command", ["sync", "check", "discover"])
@pytest.mark.parametrize(("system", "line", "kind"), [("sales", 5, "files"), ("shop", 6, "sql")])
def test_network_settings_where_nothing_would_heed_them(
    place: Place, system: str, line: int, kind: str, command: str
) -> None:
    place.env["COLUMNS"] = "400"
    place.config(CONFIG.replace(f"{{connector: {kind},", f"{{connector: {kind}, network: {{verify: false}},"))
    done = place.run(command, *([system] if command == "discover" else []))
    assert done.code == 2
    text = f"systems.{system}.network: {kind} does not speak HTTP, so nothing would heed this"
    told = done.out + done.err
    assert text in told
    assert f"crmbridge.yaml:{line}:" in told


# -- what stands in the config and in files --------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "table: customers",
            "table: custmers",
            "crmbridge.yaml:6:74: shop/customers: table: there is no table 'custmers'",
        ),
        (
            "table: customers,",
            "table: customers, cursor: changed,",
            "crmbridge.yaml:6:92: shop/customers: cursor: there is no column 'changed'",
        ),
        (
            "sqlite:///shop",
            "sqllite:///shop",
            "crmbridge.yaml:6:26: systems.shop: `url`: SQLAlchemy does not know the database 'sqllite'",
        ),
        ("sqlite:///shop", "sqllite:///shop", "did you mean 'sqlite'?"),
        ("connector: sql", "connector: sqlite", "crmbridge.yaml:6:21: there is no connector 'sqlite'"),
        ("connector: sql", "connector: sqlite", "did you mean 'sql'?"),
        ("sqlite:///state.db", "state.db", "crmbridge.yaml:1:8: `state` is not the URL of a database"),
    ],
)
def test_what_a_connector_or_the_state_finds_wrong_has_its_place_in_the_config(
    place: Place, old: str, new: str, says: str
) -> None:
    place.config(CONFIG.replace(old, new, 1))
    done = place.run("plan")
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize(
    ("change", "says", "do"),
    [
        (
            lambda book: setattr(book.active, "title", "Kunden"),
            "has no sheet 'Customers', only Kunden",
            "sheet: Kunden",
        ),
        (lambda book: book.active.__setitem__("C1", "Name"), "two columns are called 'Name'", "rename one"),
        (lambda book: book.active.delete_rows(1, 9), "the header is missing", "`header:` tells in which row"),
        (
            lambda book: book.active.__setitem__("B1", "Nmae"),
            "lacks columns that are mapped: 'Name'",
            "did you mean 'Nmae'",
        ),
    ],
)
def test_a_list_that_somebody_arranged_anew_a_moment_ago(
    place: Place, change: Any, says: str, do: str
) -> None:
    book = Workbook()
    book.active.title = "Customers"
    book.active.append(["No", "Name", "Mail", "Phone"])
    book.active.append(["001", "Ann Lee", None, None])
    file = "{file: customers.xlsx, sheet: Customers, "
    place.config(CONFIG.replace("{file: customers.csv, ", file))
    book.save(place.folder / "sales" / "customers.xlsx")
    assert place.run("plan").code == 0
    change(book)
    book.save(place.folder / "sales" / "customers.xlsx")
    done = place.run("plan")
    assert done.code == 1
    assert "sales dropped out: " in done.err
    assert says in done.err
    assert do in done.err
    assert "still being written" not in done.err


def test_a_list_that_is_saved_in_another_format(agreed: Place) -> None:
    sales = agreed.folder / "sales"
    (sales / "customers.csv").rename(sales / "customers.xls")
    done = agreed.run("sync")
    assert done.code == 1
    assert "customers.csv does not exist" in done.err
    assert "there is customers.xls: save it as customers.csv, or name that file in `files:`" in done.err
    (sales / "customers.xls").unlink()
    assert "put it back, or correct its name in `files:`" in agreed.run("sync").err


def test_an_encoding_that_is_declared_and_not_so(agreed: Place) -> None:
    agreed.config(CONFIG.replace("{file: customers.csv, ", "{file: customers.csv, encoding: ascii, "))
    done = agreed.run("sync")
    assert done.code == 1
    assert "is not ascii; correct `encoding:`, or save the file so" in done.err


# -- names on the command line ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "wrong", "right"),
    [
        ("discover shpo", "there is no system 'shpo'", "did you mean 'shop'?"),
        ("discover xyz", "there is no system 'xyz'", "there are sales, shop"),
        ("discover shop custmers", "shop has no stream 'custmers'", "did you mean 'customers'?"),
        ("plan --only-into shpo", "--only-into: there is no system 'shpo'", "did you mean 'shop'?"),
        ("sync --allow delets", "--allow: there is no limit 'delets'", "did you mean 'deletes'?"),
        ("dead-letters list --system shpo", "--system: there is no system 'shpo'", "did you mean 'shop'?"),
        ("systems pause shpo", "there is no system 'shpo'", "did you mean 'shop'?"),
        ("systems agreement shpo", "there is no system 'shpo'", "did you mean 'shop'?"),
        ("schema partty", "there is no schema 'partty'", "did you mean 'party'?"),
        ("schema ticket", "there is no schema 'ticket'", "did you mean 'case'?"),
        ("plan --env tset", "there is no environment 'tset'", "did you mean 'test'?"),
        ("syc", "No such command 'syc'", "Did you mean 'sync'?"),
    ],
)
def test_a_name_that_does_not_exist_is_told_with_the_one_that_was_meant(
    place: Place, command: str, wrong: str, right: str
) -> None:
    (place.folder / "crmbridge.test.yaml").write_text("state: sqlite:///test.db\n", encoding="utf-8")
    done = place.run(*command.split())
    assert done.code == 2
    assert wrong in done.err
    assert right in done.err


def test_an_environment_where_there_is_none(place: Place) -> None:
    done = place.run("plan", "--env", "test")
    assert done.code == 2
    assert "there is no environment 'test': " in done.err
    assert "crmbridge.test.yaml is missing" in done.err
    assert "write it, or leave out --env" in done.err


def test_a_delimiter_that_is_declared_and_not_so(agreed: Place) -> None:
    agreed.config(CONFIG.replace("{file: customers.csv, ", '{file: customers.csv, delimiter: ";", '))
    done = agreed.run("sync")
    assert done.code == 1
    assert "there is no column 'No', which is declared as key, only No,Name,Mail,Phone,Extra" in done.err
    assert "the file is not split by ';': correct `delimiter:`, or leave it out" in done.err


def test_a_stream_that_cannot_be_written_is_told_once_and_not_field_by_field(place: Place) -> None:
    place.config(
        CONFIG.replace(', key: "No", write: true', "").replace(
            "{table: customers, write: true}", "{table: customers}"
        )
    )
    done = place.run("check", "--json")
    told = [line for line in done.of("finding") if "read-only, so that" in line["text"]]
    assert [(line["system"], line["level"], line["text"]) for line in told] == [
        (system, "warning", "is read-only, so that sync.party writes nothing here")
        for system in ("sales", "shop")
    ]
    assert all("a list needs its key, a table write: true" in line["hint"] for line in told)
    assert not [line for line in done.of("finding") if "does not let" in line["text"]]
    place.config(CONFIG)
    assert "writes nothing here" not in place.run("check").out


def test_a_mapping_that_is_wrong_is_not_said_to_be_missing(place: Place) -> None:
    (place.folder / "mappings" / "shop.yaml").write_text(
        "system: shop\nstream: customers\nentity: party\nfields: {nmae: x}\n"
    )
    done = place.run("check")
    assert done.code == 2
    assert "party has no field 'nmae'" in done.out
    assert "nothing maps" not in done.out


def test_a_config_that_is_called_otherwise(place: Place) -> None:
    (place.folder / "crmbridge.yaml").rename(place.folder / "crmbridge.yml")
    done = place.run("check")
    assert done.code == 2
    assert "crmbridge.yml, and not crmbridge.yaml" in done.err
    assert "mv crmbridge.yml crmbridge.yaml" in done.err
    done = place.run("check", "--config", "mappings")
    assert done.code == 2
    assert "mappings is a folder" in done.err
    assert "name the file: mappings/crmbridge.yaml" in done.err


def test_a_system_that_got_another_name_in_the_config(agreed: Place) -> None:
    text = (
        CONFIG.replace("  shop:", "  store:")
        .replace("shop]", "store]")
        .replace("shop: always", "store: always")
    )
    agreed.config(text)
    mapping = agreed.folder / "mappings" / "shop.yaml"
    mapping.write_text(mapping.read_text().replace("system: shop", "system: store"))
    done = agreed.run("sync")
    assert done.code == 13
    assert "the state holds links of shop, which the config no longer names" in done.err
    assert "crmbridge systems rename shop store;" in done.err
    assert "crmbridge systems remove shop" in done.err
    assert agreed.run("systems", "rename", "shop", "store").code == 0
    assert agreed.run("sync").code == 0


@pytest.mark.parametrize(
    ("file", "why"), [("gone/bridge.log", "No such file or directory"), ("mappings", "Is a directory")]
)
def test_a_log_that_cannot_be_written(place: Place, file: str, why: str) -> None:
    place.config(CONFIG + f"log: {{file: {file}}}\n")
    done = place.run("plan")
    assert done.code == 2
    assert f"crmbridge.yaml:11:13: the log {place.folder}/{file} cannot be written: {why}" in done.err
    assert "name a file in a folder that is there" in done.err


def test_a_column_that_is_called_by_a_number_may_be_a_key(place: Place) -> None:
    place.config(CONFIG.replace('key: "No"', "key: 2026"))
    place.customers(CUSTOMERS.replace("No,", "2026,"))
    assert place.run("plan").code == 0


def test_a_codec_with_two_arguments_side_by_side(place: Place) -> None:
    file = place.folder / "mappings" / "sales.yaml"
    file.write_text(file.read_text().replace("as: e164", "as: {e164: DE, x: 1}"))
    done = place.run("plan")
    assert done.code == 2
    assert "sales.yaml:8:" in done.err
    assert "should have at most 1 entry" in done.err


def test_a_plan_that_does_not_exist_is_told_with_how_to_make_one(place: Place) -> None:
    done = place.run("apply", "missing.plan")
    assert done.code == 2
    assert "cannot read the plan missing.plan: No such file" in done.err
    assert "crmbridge plan --out FILE" in done.err


def test_a_question_that_nobody_answers(agreed: Place) -> None:
    done = agreed.run("conflicts", "decide", "1", "x")
    assert done.code == 1
    assert "stopped: nothing was changed. In a script give the answer by its option" in done.err


def test_an_encoding_that_the_mark_of_the_file_denies(agreed: Place) -> None:
    agreed.config(CONFIG.replace("{file: customers.csv, ", "{file: customers.csv, encoding: gb18030, "))
    agreed.customers("\ufeff" + CUSTOMERS)
    done = agreed.run("sync")
    assert done.code == 1
    assert "the encoding is declared as gb18030, but the file is utf-8" in done.err
    assert "correct `encoding:`, or leave it out" in done.err


# -- conditions ------------------------------------------------------------------------------------


def test_a_text_in_double_quotes_is_the_name_of_a_column(agreed: Place) -> None:
    rows = "".join(f"{n:03},P {n},p{n}@x.example,,person,,\n" for n in range(1, 13))
    agreed.customers("No,Name,Mail,Phone,Art,Firma\n" + rows)
    assert agreed.run("sync").code == 0
    path = agreed.folder / "mappings" / "sales.yaml"
    right = path.read_text(encoding="utf-8")
    path.write_text(right + 'when: Art == "Firma"\n', encoding="utf-8")
    for command in (("check",), ("map", "preview", "sales", "customers")):
        done = agreed.run(*command)
        told = done.out + done.err
        assert done.code == 0
        assert '"Firma"' in told
        assert "write 'Firma'" in told
    done = agreed.run("sync")
    assert done.code == 5
    assert "12 of the 12 known records would be out of scope" in done.err
    assert "agree" not in done.out + done.err
    path.write_text(right + 'when: Art == "Company"\n', encoding="utf-8")
    assert "for the text write 'Company' in single quotes" in agreed.run("sync").err


def test_records_that_leave_the_scope_are_counted(agreed: Place) -> None:
    path = agreed.folder / "mappings" / "sales.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "when: No != '001'\n", encoding="utf-8")
    done = agreed.run("sync")
    assert done.code == 0
    (row,) = (line for line in done.out.splitlines() if "out of scope" in line)
    assert row.split()[-1] == "1"
    run = max(agreed.run("runs", "list", "--json").of("run"), key=lambda line: line["id"])
    assert run["counts"]["sales/party/out of scope"] == 1
    assert "out of scope" in agreed.run("runs", "show", str(run["id"])).out


# -- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("conflicts show xx", "that is no whole number. Its id, as `conflicts list` shows it."),
        ("runs show abc", "that is no whole number. The run's id, as `runs list` shows it."),
        ("runs list --last xx", "that is no whole number. How many, the latest first."),
        ("schema partie", "did you mean 'party'?"),
    ],
)
def test_words_that_help_on_the_command_line(place: Place, command: str, says: str) -> None:
    place.env["TERMINAL_WIDTH"] = "300"
    done = place.run(*command.split())
    assert done.code == 2
    assert says in done.err


def test_a_time_zone_that_is_spelt_otherwise(place: Place) -> None:
    place.config(CONFIG + "timezone: Europa/Berlin\n")
    done = place.run("sync")
    assert "or UTC, not 'Europa/Berlin'; did you mean 'Europe/Berlin'?" in done.err


def test_a_mapping_file_without_anything_in_it(place: Place) -> None:
    (place.folder / "mappings" / "shop.yaml").write_text("# later\n")
    done = place.run("sync")
    assert done.code == 2
    assert "shop.yaml:1:1: the file is empty" in done.err
    assert "systems: {}" not in done.err


@pytest.mark.parametrize("name", ["E-Mail", "Mail address", "E-1"])
def test_a_field_whose_name_is_no_name_to_jmespath(place: Place, name: str) -> None:
    file = place.folder / "mappings" / "sales.yaml"
    text = file.read_text()
    file.write_text(text.replace("display_name: Name", f"display_name: {{read: {name}, write: never}}"))
    place.env["COLUMNS"] = "400"
    done = place.run("sync")
    assert done.code == 2
    assert f"""put it in double quotes inside of the single ones: '"{name}"'""" in done.err
    place.customers(CUSTOMERS.replace("Name", name))
    file.write_text(
        text.replace("display_name: Name", f"""display_name: {{read: '"{name}"', write: never}}""")
    )
    assert place.run("sync").code == 4, "and that works"


def test_what_needs_no_mapping_works_while_one_is_wrong(agreed: Place) -> None:
    (agreed.folder / "mappings" / "shop.yaml").write_text("system: shop\nfields: {nmae: x}\n")
    assert agreed.run("sync").code == 2
    assert "Ann Lee" in agreed.run("find", "Ann").out
    assert agreed.run("runs", "list").code == 0
    assert agreed.run("runs", "show", "1").code == 0
    assert agreed.run("identity", "duplicates").code == 0


def test_a_page_for_standard_output(agreed: Place) -> None:
    done = agreed.run("show", "Ann Lee", "--html", "-")
    assert done.code == 0
    assert done.out.startswith("<!doctype html>") or done.out.startswith("<!DOCTYPE html>")
    assert not (agreed.folder / "-").exists()


# -- what was found --------------------------------------------------------------------------------


def test_a_plan_shows_what_it_found_in_words(agreed: Place) -> None:
    agreed.config(CONFIG + "    authority: {display_name: [shop]}\n")
    agreed.shop("UPDATE customers SET full_name = 'Anna Lee' WHERE full_name = 'Ann Lee'")
    assert agreed.run("sync", "--accept-config").code == 0
    agreed.customers(CUSTOMERS.replace("Ann Lee", "Anne Lee"))
    done = agreed.run("plan")
    assert "Found: 1 edit that lost against another value (overruled)" in done.err
    assert "overruled: sales " in done.err
    assert "'Anne Lee' lost" in done.err


def test_mistakes_of_all_kinds_are_told_at_once_each_as_an_error(place: Place) -> None:
    text = CONFIG.replace("between: [sales, shop]", "between: [sales, shopp]")
    place.config(text + "    deletes: archiv\n")
    done = place.run("sync")
    assert done.code == 2
    first, second = done.err.splitlines()
    assert first.startswith("error: ")
    assert "'shopp' is no system; did you mean 'shop'?" in first
    assert second.startswith("error: ")
    assert "crmbridge.yaml:11:14: sync.party.deletes: " in second


def test_systems_are_listed_with_times_of_the_zone_of_the_config(agreed: Place) -> None:
    agreed.config(CONFIG + "timezone: Asia/Kolkata\n")
    out = agreed.run("systems", "list").out
    assert out.count(" IST ") == 2
    assert all(line["last_success"].endswith("Z") for line in agreed.run("systems", "list", "--json").lines)


def test_a_reference_to_a_stream_that_nothing_maps_is_told(place: Place) -> None:
    place.env["COLUMNS"] = "400"
    place.config(CONFIG.partition("sync:")[0] + "sync: {sales_order: {between: [sales, shop]}}\n")
    for system, number in (("sales", "No"), ("shop", "full_name")):
        (place.folder / "mappings" / f"{system}.yaml").write_text(
            f"system: {system}\nstream: customers\nentity: sales_order\n"
            f"fields: {{number: {number}, party: {{path: {number}, ref: people}}}}\n",
            encoding="utf-8",
        )
    assert "nothing maps people to party: it is always empty" in place.run("check").out
