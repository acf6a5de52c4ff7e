"""crmbridge.yaml: what it says, what is refused and where, and what never shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from crmbridge.config import (
    Config,
    CreateWhen,
    Keep,
    Limit,
    Limits,
    Secrets,
    check_entities,
    check_survivorship,
    load_config,
)
from crmbridge.connectors.files import FilesSettings
from crmbridge.mapping.jsonschema import json_schemas
from crmbridge.sdk.errors import ConfigError

FULL = """\
state: sqlite:///state/my.db
plugins: [./acme.py]
systems:
  erp:   {connector: tryton, url: "http://erp.local:8000", password: "${env:ERP_PASSWORD}"}
  shop:  {connector: vendure, token: "${file:shop.token}", network: {proxy: "http://p:3128", ca_file: ca.pem}}
  crm:   {connector: bottlecrm, mode: shadow}
  sales: {connector: files, path: ./sales-team}
sync:
  party:
    between: [erp, shop, crm, sales]
    create:  {erp: {when: "has(roles, 'customer')"}, shop: never}
    authority: {legal_name: [erp], identifiers: [erp, crm]}
    survivorship: {note: manual}
    clear: {note: ignore}
    deletes: keep
  product: {from: erp, to: [shop, crm]}
  sales_order: {between: [shop, erp], create: {shop: never}, owner: {until: accepted, first: shop, then: erp}}
insights:
  customer_summary: {system: sales, stream: Customers 360}
limits: {creates: "max(20%, 200)", deletes: 5, rejects: 2%, first: {creates: 50%}}
country: DE
timezone: Asia/Shanghai
custom_fields:
  party: {loyalty: text, shoe_size: {type: decimal}}
"""


def written(folder: Path, text: str, name: str = "crmbridge.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def error(folder: Path, text: str, environment: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(written(folder, text), environment)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_whole_config_is_read(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, FULL))
    settings = config.settings
    assert list(settings.systems) == ["erp", "shop", "crm", "sales"]
    assert settings.systems["erp"].own == {"url": "http://erp.local:8000", "password": "${env:ERP_PASSWORD}"}
    assert settings.systems["shop"].network.ca_file == Path("ca.pem")
    assert (settings.systems["crm"].mode, settings.systems["erp"].mode) == ("shadow", "live")
    party = settings.sync["party"]
    assert party.systems == party.targets == ("erp", "shop", "crm", "sales")
    assert party.create_in("erp") == CreateWhen(when="has(roles, 'customer')")
    assert (party.create_in("shop"), party.create_in("crm")) == ("never", "always")
    assert (party.ignores_clear("note"), party.ignores_clear("legal_name")) == (True, False)
    product = settings.sync["product"]
    assert (product.systems, product.targets) == (("erp", "shop", "crm"), ("shop", "crm"))
    assert (product.create_in("erp"), product.create_in("shop")) == ("never", "always")
    assert settings.insights["customer_summary"].stream == "Customers 360"
    assert settings.custom_fields["party"]["loyalty"].type == "text"
    assert config.root == tmp_path
    assert config.warnings() == []


def test_the_smallest_config_is_one_system(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "systems: {a: {connector: memory}}\n"))
    assert config.settings.state == "sqlite:///crmbridge.db"
    assert config.settings.limits.describe("deletes") == "max(5%, 20)"


SYSTEMS = "systems:\n  erp: {connector: a}\n  crm: {connector: b}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("systms: {}\n", "crmbridge.yaml:1:1: systms: unknown key; did you mean 'systems'?"),
        ("state: a\n", "crmbridge.yaml:1:1: systems: this key is required"),
        ("systems: {}\n", "crmbridge.yaml:1:10: systems"),
        ("systems: {ERP: {connector: a}}\n", "crmbridge.yaml:1:11: systems.ERP: this key is not allowed"),
        ("systems: {hub: {connector: a}}\n", "'hub' is the name of crmbridge's own values"),
        ("systems: {a: {}}\n", "crmbridge.yaml:1:11: systems.a.connector: this key is required"),
        (
            "systems: {a: {connector: x, mode: life}}\n",
            "crmbridge.yaml:1:35: systems.a.mode: should be 'live'",
        ),
        ("systems: {a: {connector: x, network: {prxy: y}}}\n", "did you mean 'proxy'?"),
        (
            SYSTEMS + "sync: {party: {between: [erp, cmr]}}\n",
            "crmbridge.yaml:4:31: 'cmr' is no system; did you mean 'crm'?",
        ),
        (SYSTEMS + "sync: {party: {between: [erp, erp]}}\n", "crmbridge.yaml:4:31: 'erp' is named twice"),
        (SYSTEMS + "sync: {party: {between: [erp]}}\n", "crmbridge.yaml:4:25"),
        (
            SYSTEMS + "sync: {party: {from: erp}}\n",
            "crmbridge.yaml:4:15: sync.party: from and to go together",
        ),
        (SYSTEMS + "sync: {party: {from: erp, to: [erp]}}\n", "'erp' is the source"),
        (
            SYSTEMS + "sync: {stock_level: {between: [erp, crm]}}\n",
            "crmbridge.yaml:4:22: a stock_level has one source, whose count is right: write from: SYSTEM",
        ),
        (SYSTEMS + "sync: {party: {from: erp, to: [crm], between: [erp, crm]}}\n", "needs either between"),
        (SYSTEMS + "sync: {party: {}}\n", "needs either between"),
        (
            SYSTEMS + "sync: {party: {between: [erp, crm], create: {er: never}}}\n",
            "crmbridge.yaml:4:46: 'er' is no target of this sync; did you mean 'erp'?",
        ),
        (
            SYSTEMS + "sync: {party: {between: [erp, crm], create: {erp: sometimes}}}\n",
            "crmbridge.yaml:4:51: sync.party.create.erp: should be 'always' or 'never'",
        ),
        (SYSTEMS + "sync: {party: {from: erp, to: [crm], create: {erp: always}}}\n", "'erp' is no target"),
        (
            SYSTEMS + "sync: {party: {between: [erp, crm], authority: {name: [er]}}}\n",
            "crmbridge.yaml:4:56: 'er' is no system of this sync",
        ),
        (
            SYSTEMS + "sync: {party: {between: [erp, crm], owner: {until: x, first: a, then: erp}}}\n",
            "'a' is no system of this sync",
        ),
        (
            SYSTEMS
            + "sync: {sales_order: {between: [erp, crm], owner: {until: accepted, first: erp, then: erp}}}\n",
            "crmbridge.yaml:4:86: 'erp' is the first owner already; for one owner all along, use authority",
        ),
        (SYSTEMS + "sync: {party: {between: [erp, crm], deletes: drop}}\n", "'keep', 'archive' or 'delete'"),
        (
            SYSTEMS + "insights: {customer_summary: {system: x, stream: y}}\n",
            "crmbridge.yaml:4:39: 'x' is no system",
        ),
        (
            SYSTEMS + "limits: {deletes: a few}\n",
            "crmbridge.yaml:4:19: limits.deletes: should be like max(20%, 200)",
        ),
        (SYSTEMS + "limits: {deletes: 120%}\n", "at most 100%"),
        (SYSTEMS + "timezone: Mars/Olympus\n", "crmbridge.yaml:4:11: timezone: should be an IANA time zone"),
        (
            SYSTEMS + "timezone: Europe/Berln\n",
            "Berlin or UTC, not 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        ),
        (
            SYSTEMS + "country: Germany\n",
            "crmbridge.yaml:4:10: country: should be a country code: two capital",
        ),
        (
            SYSTEMS + "sync: {party: {between: erp}}\n",
            "sync.party.between: should be a list, not 'erp'; write [erp]",
        ),
        (
            SYSTEMS + "sync:\n  party:\n    between: erp, crm\n",
            "crmbridge.yaml:6:14: sync.party.between: should be a list, not 'erp, crm'; write [erp, crm]",
        ),
        (SYSTEMS + "sync: {a: 1, a: 2}\n", "crmbridge.yaml:4:14"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(
    tmp_path: Path, text: str, says: str
) -> None:
    assert says in error(tmp_path, text)


def test_all_wrong_names_come_at_once(tmp_path: Path) -> None:
    said = error(
        tmp_path, SYSTEMS + "sync:\n  party: {between: [erp, cmr]}\n  product: {from: epr, to: [crm]}\n"
    )
    assert "crmbridge.yaml:5:26: 'cmr'" in said
    assert "crmbridge.yaml:6:19: 'epr'" in said


@pytest.mark.parametrize(
    ("sync", "says"),
    [
        ("partys: {from: erp, to: [crm]}", "4:8: 'partys' is no entity; did you mean 'party'?"),
        ("customer: {from: erp, to: [crm]}", "4:8: 'customer' is no entity; did you mean 'party'?"),
        ("Orders: {from: erp, to: [crm]}", "4:8: 'Orders' is no entity; did you mean 'sales_order'?"),
        ("xyz: {from: erp, to: [crm]}", "4:8: 'xyz' is no entity; there are "),
        (
            "party: {between: [erp, crm], clear: {legalname: ignore}}",
            "4:45: 'legalname' is no field of party; did you mean 'legal_name'?",
        ),
        (
            "sales_order: {between: [erp, crm], owner: {until: acepted, first: erp, then: crm}}",
            "4:58: 'acepted' is no status of sales_order; did you mean 'accepted'?",
        ),
        (
            "sales_order: {between: [erp, crm], owner: {until: xx, first: erp, then: crm}}",
            "4:58: 'xx' is no status of sales_order; there are draft, quoted, placed, accepted, ",
        ),
        (
            "party: {between: [erp, crm], owner: {until: accepted, first: erp, then: crm}}",
            "4:37: party has no status, so it has no owner until one; use authority",
        ),
        (
            "party: {between: [erp, crm], survivorship: {note: manaul}}",
            "4:58: 'manaul' is no survivorship rule; did you mean 'manual'?",
        ),
        (
            "party: {between: [erp, crm], survivorship: {note: longst}}",
            "4:58: 'longst' is no survivorship rule; did you mean 'longest'?",
        ),
        ("party: {between: [erp, crm], survivorship: {note: longest, legal_name: latest}}", None),
        (
            "sales_order: {between: [erp, crm], owner: {until: accepted, first: erp, then: crm}}",
            None,
        ),
    ],
)
def test_what_the_sync_of_an_entity_names_is_compared_with_the_entity(
    tmp_path: Path, sync: str, says: str | None
) -> None:
    config = load_config(written(tmp_path, SYSTEMS + f"sync: {{{sync}}}\n"))
    wrong = check_entities(config.settings, config.document, config.entities())
    wrong += check_survivorship(config.settings, config.document, {"longest"})
    assert [str(one).replace(f"{tmp_path}/crmbridge.yaml:", "")[: len(says or "")] for one in wrong] == (
        [] if says is None else [says]
    )


# -- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "count", "total", "allowed"),
    [
        ("max(20%, 200)", 200, 10, True),
        ("max(20%, 200)", 201, 1004, False),
        ("max(20%, 200)", 201, 1005, True),
        ("2%", 2, 100, True),
        ("2%", 3, 100, False),
        ("0.5%", 1, 199, False),
        ("0.5%", 1, 200, True),
        ("5", 5, 0, True),
        (5, 6, 10**9, False),
        (0, 0, 0, True),
        (0, 1, 100, False),
        ("unlimited", 10**9, 1, True),
    ],
)
def test_a_limit_allows_a_share_or_a_number_whichever_is_more(
    limit: Any, count: int, total: int, allowed: bool
) -> None:
    assert Limit.parse(limit).allows(count, total) is allowed


@given(st.integers(0, 100), st.integers(0, 1000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_a_limit_allows_it_allows_of_less_and_among_more(
    share: int, floor: int, count: int, total: int
) -> None:
    limit = Limit.parse(f"max({share}%, {floor})")
    if limit.allows(count + 1, total):
        assert limit.allows(count, total)
        assert limit.allows(count + 1, total + 1)


@pytest.mark.parametrize(
    "text", ["", "max(5%)", "-1", "5 %", "max(5, 20)", "101%", True, None, "many", "1.5"]
)
def test_what_is_no_limit_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"should be like|at most"):
        Limit.parse(text)


def test_first_contact_has_limits_of_its_own() -> None:
    limits = Limits.model_validate({"creates": 3, "first": {"creates": 7}})
    assert (limits.allows("creates", 5, 10), limits.allows("creates", 5, 10, first=True)) == (False, True)
    assert limits.describe("creates", first=True) == "7"
    assert limits.describe("reverts", first=True) == "max(5%, 20)"
    assert not limits.allows("deletes", 1, 100, first=True)


def test_runs_are_remembered_at_least_as_long_as_what_they_did() -> None:
    with pytest.raises(ValueError, match="runs_days must be at least details_days"):
        Keep.model_validate({"details_days": 900})
    assert Keep.model_validate({"details_days": 900, "runs_days": 900}).runs_days == 900
    with pytest.raises(ValueError, match="greater than or equal to 7"):
        Keep.model_validate({"details_days": 6})


# -- secrets -----------------------------------------------------------------------------------

CANARY = "s3cr3t-c4n4ry-☃"


class Own(BaseModel):
    """A connector's settings."""

    model_config = ConfigDict(extra="forbid")

    url: str
    password: SecretStr
    port: int = 80
    rows: list[str] = []

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith("http"):
            raise ValueError(f"should start with http, not {value}")
        return value


def secrets(folder: Path, seen: list[str], **environment: str) -> Secrets:
    entries = {("bridge", "erp"): CANARY}
    return Secrets(environment, folder, seen.append, lambda service, name: entries.get((service, name)))


def config_with(folder: Path, own: str) -> Config:
    return load_config(written(folder, f"systems:\n  erp: {{connector: a, {own}}}\n"))


@pytest.mark.parametrize("reference", ["${env:PW}", "${file:pw.txt}", "${keyring:bridge/erp}"])
def test_a_secret_is_found_hidden_and_registered_for_redaction(tmp_path: Path, reference: str) -> None:
    written(tmp_path, CANARY + "\n", "pw.txt")
    seen: list[str] = []
    config = config_with(tmp_path, f'url: "http://x", password: "{reference}"')
    own = config.system_settings("erp", Own, secrets(tmp_path, seen, PW=CANARY))
    assert own.password.get_secret_value() == CANARY
    assert seen == [CANARY]
    assert CANARY not in repr(own)


def test_references_stand_inside_text_and_in_numbers(tmp_path: Path) -> None:
    config = config_with(
        tmp_path, 'url: "http://${env:HOST}/$${x}", password: "${env:A}-${env:B}", port: "${env:PORT}"'
    )
    own = config.system_settings("erp", Own, secrets(tmp_path, [], HOST="h", A="1", B="2", PORT="8080"))
    assert (own.url, own.password.get_secret_value(), own.port) == ("http://h/${x}", "1-2", 8080)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("${env:NO}", "the secret ${env:NO} is missing: the environment variable NO is not set"),
        ("${file:none.txt}", "the secret ${file:none.txt} is missing: No such file or directory"),
        ("${keyring:bridge/nobody}", "the keyring has no entry 'nobody' for 'bridge'"),
        ("${keyring:bridge}", "write it as ${keyring:SERVICE/NAME}"),
        ("${vault:x}", "unknown secret reference ${vault:...}"),
        ("${env:PW", "the reference is not complete"),
        ("${PW}", "the reference is not complete"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named_with_its_place(
    tmp_path: Path, reference: str, says: str
) -> None:
    config = config_with(tmp_path, f'url: "http://x", password: "{reference}"')
    with pytest.raises(ConfigError) as caught:
        config.system_settings("erp", Own, secrets(tmp_path, []))
    assert says in str(caught.value)
    assert caught.value.position == f"{tmp_path}/crmbridge.yaml:2:50"


def test_the_config_loads_without_its_secrets(tmp_path: Path) -> None:
    config_with(tmp_path, 'url: "http://x", password: "${env:NOWHERE}"')


def test_no_secret_is_in_an_error_about_the_setting_that_holds_it(tmp_path: Path) -> None:
    config = config_with(tmp_path, 'url: "${env:PW}", password: "${env:PW}", port: "${env:PW}", prot: 1')
    with pytest.raises(ConfigError) as caught:
        config.system_settings("erp", Own, secrets(tmp_path, [], PW=CANARY))
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in str(error)
        assert CANARY not in repr(error)
        error = error.__context__ or error.__cause__
    assert "crmbridge.yaml:2:28: " in str(caught.value)
    assert "prot: unknown key; did you mean 'port'?" in str(caught.value)


@pytest.mark.parametrize(
    ("own", "places"),
    [
        (f'password: "{CANARY}"', ["systems.erp.password"]),
        (f'api_key: "{CANARY}"', ["systems.erp.api_key"]),
        (f'url: "https://ann:{CANARY}@host/x"', ["systems.erp.url"]),
        (f'auth: {{client_secret: "{CANARY}"}}', ["systems.erp.auth.client_secret"]),
        (f"pwd: {CANARY}", ["systems.erp.pwd"]),
        (f"db_passwd: {CANARY}", ["systems.erp.db_passwd"]),
        (f"pass: {CANARY}", ["systems.erp.pass"]),
        (f"consumer_key: {CANARY}", ["systems.erp.consumer_key"]),
        (f"consumerSecret: {CANARY}", ["systems.erp.consumerSecret"]),
        (f"apiKey: {CANARY}", ["systems.erp.apiKey"]),
        (f"private_key: {CANARY}", ["systems.erp.private_key"]),
        (f"oauth: {{refresh_token: {CANARY}}}", ["systems.erp.oauth.refresh_token"]),
        (f"headers: {{X-API-Key: {CANARY}}}", ["systems.erp.headers.X-API-Key"]),
        (f"headers: {{Authorization: Bearer {CANARY}}}", ["systems.erp.headers.Authorization"]),
        (f"tokens: [a, {CANARY}]", ["systems.erp.tokens.0", "systems.erp.tokens.1"]),
        (f'url: "https://host/x?a=b&api_key={CANARY}"', ["systems.erp.url"]),
        (f"dsn: Server=x;User Id=ann;Pwd={CANARY};Timeout=3", ["systems.erp.dsn"]),
        (f'password: "$${{{CANARY}"', ["systems.erp.password"]),
        ("token: 123456", ["systems.erp.token"]),
        ("network: {client_key: secret/key.pem, ca_file: ca.pem}", []),
        ("bypass: 1, monkey: 2, token_url: x, password_file: y, pass_through: z", []),
        ('url: "https://host/x?a=b&api_key=${env:KEY}"', []),
        ("files: {tokens: {file: tokens.csv, key: token}}", []),
        ('password: "${env:PW}"', []),
        ('url: "https://ann:${env:PW}@host/x"', []),
        ("key: customer_no", []),
        ("key_columns: [a, b]", []),
    ],
)
def test_a_secret_that_is_written_out_is_a_warning_without_the_secret(
    tmp_path: Path, own: str, places: list[str]
) -> None:
    warnings = config_with(tmp_path, own).warnings()
    assert [warning.text.partition(":")[0] for warning in warnings] == places
    secrets = config_with(tmp_path, own).written_secrets()
    assert any(CANARY in secret for secret in secrets) == (CANARY in own)
    for warning in warnings:
        assert CANARY not in str(warning)
        assert warning.position.startswith(f"{tmp_path}/crmbridge.yaml:2:")


def test_a_setting_that_its_connector_calls_a_secret_is_one_under_any_name(tmp_path: Path) -> None:
    class Till(BaseModel):
        pin: SecretStr
        seal: SecretStr | None = Field(None, alias="stamp")
        name: str = ""

    config = config_with(tmp_path, f'pin: 8341, stamp: "{CANARY}", name: till')
    assert config.written_secrets({"erp": Till}) == ["8341", CANARY]
    told = [one.text.partition(":")[0] for one in config.warnings({"erp": Till})]
    assert told == ["systems.erp.pin", "systems.erp.stamp"]
    wrong = config.settings_mistakes("erp", Till)
    assert wrong is not None
    assert "pin: should be text: put it in quotes" in wrong.message
    assert "8341" not in wrong.message
    assert config_with(tmp_path, 'pin: "${env:PIN}"').written_secrets({"erp": Till}) == []


def test_names_that_are_no_settings_of_systems_hold_no_secrets(tmp_path: Path) -> None:
    text = SYSTEMS + "custom_fields: {party: {password: text}}\n"
    text += "sync: {party: {between: [erp, crm], authority: {api_key: [erp]}}}\n"
    config = load_config(written(tmp_path, text))
    assert (config.warnings(), config.written_secrets()) == ([], [])


def test_a_password_in_the_address_of_the_state_is_a_secret(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, f"state: postgresql://u:{CANARY}@db/x\n{SYSTEMS}"))
    assert config.written_secrets() == [CANARY]


def test_certificates_that_are_not_checked_are_a_warning(tmp_path: Path) -> None:
    (warning,) = config_with(tmp_path, "network: {verify: false}").warnings()
    assert warning.position.endswith("crmbridge.yaml:2:41")
    assert "not checked" in warning.text


# -- what the parts are made of -----------------------------------------------------------------


def test_custom_fields_become_fields_of_their_entity(tmp_path: Path) -> None:
    entities = load_config(written(tmp_path, FULL)).entities()
    assert {"loyalty", "shoe_size"} <= set(entities["party"].model_fields)


def test_a_custom_field_that_cannot_be_is_named_with_its_place(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SYSTEMS + "custom_fields:\n  partie:\n    x: text\n"))
    with pytest.raises(ConfigError, match=r"crmbridge.yaml:5:3: there is no entity `partie`"):
        config.entities()


def test_the_network_of_a_system_is_told_to_its_client(tmp_path: Path) -> None:
    config = config_with(
        tmp_path, 'network: {proxy: "http://u:${env:PW}@p:3128", ca_file: ca.pem, deadline: 5}'
    )
    seen: list[str] = []
    network = config.http_settings("erp", secrets(tmp_path, seen, PW=CANARY))
    assert (network.proxy, network.ca_file) == (f"http://u:{CANARY}@p:3128", tmp_path / "ca.pem")
    assert (network.deadline, network.verify) == (5.0, True)
    assert seen == [CANARY]
    assert CANARY not in repr(network)


def test_the_state_may_refer_to_a_secret(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, 'state: "postgresql://u:${env:PW}@h/x"\n' + SYSTEMS))
    assert config.state_url(secrets(tmp_path, [], PW="p")) == "postgresql://u:p@h/x"
    assert config.warnings() == []


# -- environments ------------------------------------------------------------------------------


def test_an_environment_lies_over_the_config_and_has_its_own_state(tmp_path: Path) -> None:
    path = written(
        tmp_path, "state: sqlite:///a.db\n" + SYSTEMS.replace("connector: a", "connector: a, url: x, n: 1")
    )
    written(tmp_path, "systems: {erp: {url: y}}\n", "crmbridge.test.yaml")
    config = load_config(path, "test")
    assert config.systems["erp"].own == {"url": "y", "n": 1}
    assert list(config.systems) == ["erp", "crm"]
    assert config.settings.state == "sqlite:///a.test.db"
    assert load_config(path).settings.state == "sqlite:///a.db"


def test_each_value_of_an_environment_keeps_its_place(tmp_path: Path) -> None:
    written(tmp_path, "\nsystems: {erp: {mode: life}}\n", "crmbridge.test.yaml")
    assert "crmbridge.test.yaml:2:23: systems.erp.mode" in error(tmp_path, SYSTEMS, "test")


@pytest.mark.parametrize(
    ("base", "overlay", "says"),
    [
        ("state: postgresql://h/a\n", "timezone: UTC\n", "needs a state of its own"),
        (
            "state: postgresql://h/a\n",
            "state: postgresql://h/a\n",
            "this is the state of the config without --env",
        ),
        (
            "state: sqlite:///a.db\n",
            "state: sqlite:///a.db\n",
            "this is the state of the config without --env",
        ),
    ],
)
def test_an_environment_never_shares_the_state(tmp_path: Path, base: str, overlay: str, says: str) -> None:
    written(tmp_path, overlay, "crmbridge.test.yaml")
    assert says in error(tmp_path, base + SYSTEMS, "test")


def test_an_environment_without_its_file_is_an_error(tmp_path: Path) -> None:
    assert "crmbridge.none.yaml" in error(tmp_path, SYSTEMS, "none")


# -- JSON Schemas ------------------------------------------------------------------------------


def alone(part: Any) -> bool:
    """Whether every $ref stands alone."""
    if isinstance(part, dict):
        return ("$ref" not in part or len(part) == 1) and all(map(alone, part.values()))
    return all(map(alone, part)) if isinstance(part, list) else True


class Login(BaseModel):
    user: str
    password: SecretStr


class Vendors(BaseModel):
    """A vendor's settings."""

    login: Login
    page_size: Annotated[int, Field(alias="pageSize")] = 100
    """How many at once."""


class Unspeakable(BaseModel):
    """What pydantic can make no JSON Schema of."""

    call: Callable[[], None]


CONNECTORS: dict[str, type[BaseModel]] = {"acme": Vendors, "odd": Unspeakable, "files": FilesSettings}


def test_editors_know_the_settings_of_connectors() -> None:
    found = json_schemas(CONNECTORS)["crmbridge"]["definitions"]
    system = found["SystemSettings"]
    assert system["properties"]["connector"]["anyOf"][0] == {"enum": ["acme", "files"]}
    chosen = {one["if"]["properties"]["connector"]["const"]: one["then"]["$ref"] for one in system["allOf"]}
    assert chosen == {name: f"#/definitions/connector.{name}" for name in ("acme", "files")}
    acme = found["connector.acme"]
    assert set(acme["properties"]) == {"connector", "mode", "network", "login", "pageSize"}
    assert (acme["required"], acme["additionalProperties"]) == (["login"], False)
    assert acme["properties"]["pageSize"]["anyOf"] == [
        {"type": "integer"},
        {"type": "string", "pattern": r"\$\{"},
    ]
    assert acme["properties"]["login"] == {"$ref": "#/definitions/acme.Login"}
    assert {"type": "string"} in found["files.FileSettings"]["properties"]["key"]["anyOf"]


def test_json_schemas_are_draft_7_and_refer_only_to_what_they_define() -> None:
    for schema in json_schemas(CONNECTORS).values():
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        text = json.dumps(schema)
        assert "$defs" not in text
        names = [part.partition('"')[0] for part in text.split("#/definitions/")[1:]]
        assert set(names) <= set(schema["definitions"])
        assert alone(schema), "an editor ignores what stands beside a $ref"


def test_json_schemas_describe_every_key_of_the_top(tmp_path: Path) -> None:
    crmbridge, mapping = json_schemas(CONNECTORS)["crmbridge"], json_schemas(CONNECTORS)["mapping"]
    assert set(crmbridge["properties"]) >= {"state", "systems", "sync", "limits", "insights", "custom_fields"}
    assert set(mapping["properties"]) == {
        "system",
        "stream",
        "entity",
        "when",
        "create_when",
        "on_create",
        "fields",
        "also",
    }
    for schema in (crmbridge, mapping):
        assert all(part.get("description") for part in schema["properties"].values())
    sync = crmbridge["definitions"]["EntitySync"]["properties"]
    assert {"from", "to", "between"} <= set(sync)


def test_numbers_in_limits_stay_exact() -> None:
    assert Limit.parse("0.1%").share == Decimal("0.1")
