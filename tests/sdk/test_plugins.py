"""Plugins are foreign code: one that misbehaves is reported, and the others work."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmbridge.bridge import load_plugins
from crmbridge.plugins import OURS, Plugins
from crmbridge.sdk import Candidate, RunEvent
from crmbridge.sdk.errors import ConfigError

GOOD = """
from pydantic import BaseModel
from crmbridge.sdk import Codec, Connector, hookimpl
from crmbridge_schemas.base import Entity

heard = []

class ShopSettings(BaseModel): pass
class Shop(Connector):
    settings_model = ShopSettings
    def check(self): return []
    def streams(self): return []
    def pull(self, stream, cursor): return []
    def push(self, stream, operations): return []
class Tea(Entity): pass

@hookimpl
def crmbridge_connectors(): return {"shop": Shop}
@hookimpl
def crmbridge_codecs(): return {"upper": Codec(str.lower, str.upper)}
@hookimpl
def crmbridge_functions(): return {"double": lambda x: x * 2}
def longest(said): return max(range(len(said)), key=lambda i: len(said[i].value))
@hookimpl
def crmbridge_survivorship(): return {"longest": longest}
@hookimpl
def crmbridge_schemas(): return {"tea": Tea}
@hookimpl
def crmbridge_run_event(event): heard.append(event.kind)
"""
HOOKS = {
    "crmbridge_connectors": "shop",
    "crmbridge_codecs": "upper",
    "crmbridge_functions": "double",
    "crmbridge_survivorship": "longest",
    "crmbridge_schemas": "tea",
}
TILL = f"""
from pydantic import BaseModel
from crmbridge.sdk import Connector
{GOOD[GOOD.index("class ShopS") : GOOD.index("class Tea")].replace("Shop", "Till")}
"""
EVENT = RunEvent("run-started", "1", datetime(2026, 1, 1, tzinfo=UTC))
SAID = [Candidate("erp", "Ann", None), Candidate("crm", "Annabel", None)]


def load(folder: Path, **texts: str) -> Plugins:
    """These one-file plugins, in this order, and behind them one that works."""
    plugins = Plugins()
    for name, text in {**texts, "good": GOOD}.items():
        path = folder / f"{name}.py"
        path.write_text("from crmbridge.sdk import Codec, hookimpl\n" + text, encoding="utf-8")
        plugins.add_file(path)
    return plugins


def installed(folder: Path, name: str, version: str) -> None:
    """A distribution of one module, as pip would install it into this folder."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[crmbridge]\n{name} = {name}\n")
    (folder / f"{name}.py").write_text(GOOD, encoding="utf-8")


def hook(name: str, body: str, arguments: str = "") -> str:
    return f"@hookimpl\ndef {name}({arguments}):\n    {body}\n"


def offered(plugins: Plugins, name: str) -> list[str]:
    return sorted(getattr(plugins, name.removeprefix("crmbridge_"))())


def reported(plugins: Plugins) -> dict[str, str]:
    """Plugin -> what is said of it; each is reported once."""
    assert len({(f.plugin, f.source) for f in plugins.failures}) == len(plugins.failures)
    return {failure.plugin: f"{failure.source}: {failure.error}" for failure in plugins.failures}


def test_each_hook_offers_what_it_gives(tmp_path: Path) -> None:
    plugins = load(tmp_path)
    assert {name: offered(plugins, name) for name in HOOKS} == {name: [it] for name, it in HOOKS.items()}
    assert plugins.connector("shop").__name__ == "Shop"
    assert plugins.codecs()["upper"].decode("ABC") == "abc"
    assert plugins.functions()["double"](2) == 4
    assert plugins.survivorship()["longest"](SAID) == 1
    assert plugins.offers() == {"good": ["shop"]}
    plugins.emit(EVENT)
    assert plugins.failures == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("raise SystemExit('usage: acme')", "SystemExit: usage: acme"),
        ("def (", "SyntaxError"),
        (hook("crmbridge_conectors", "return {}"), "unknown hook 'crmbridge_conectors'"),
        ("def crmbridge_codecs(): return {}", "it hooks nothing: mark its functions with @hookimpl"),
    ],
)
def test_one_that_cannot_be_loaded_stops_no_other(tmp_path: Path, text: str, says: str) -> None:
    plugins = load(tmp_path, bad=text)
    assert says in reported(plugins)["bad"]
    assert str(tmp_path / "bad.py") in reported(plugins)["bad"]
    assert [one.name for one in plugins.found] == ["good"]
    assert offered(plugins, "crmbridge_codecs") == ["upper"]


@pytest.mark.parametrize("answer", ["None", "[1]", "7", "{'x': None}", "{'x': 1}", "{7: len}", "{'': len}"])
@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_that_answers_nonsense_stops_no_other(tmp_path: Path, name: str, answer: str) -> None:
    plugins = load(tmp_path, bad=hook(name, f"return {answer}"))
    assert offered(plugins, name) == [HOOKS[name]]
    assert offered(plugins, name) == [HOOKS[name]], "asked twice, told once"
    assert reported(plugins).keys() == {"bad"}
    assert name in reported(plugins)["bad"]


@pytest.mark.parametrize("error", ["1 / 0", "raise SystemExit(3)"])
@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_that_raises_stops_no_other(tmp_path: Path, name: str, error: str) -> None:
    plugins = load(tmp_path, bad=hook(name, error))
    assert offered(plugins, name) == [HOOKS[name]]
    assert reported(plugins).keys() == {"bad"}


def test_a_system_gets_its_connector_though_another_plugin_offers_none(tmp_path: Path) -> None:
    plugins = load(tmp_path, bad=hook("crmbridge_connectors", "return None"))
    assert plugins.connector("shop").__name__ == "Shop"
    with pytest.raises(ConfigError, match=r"there is no connector 'shopp'; bad failed.*gave None"):
        plugins.connector("shopp")


def test_what_is_right_of_a_plugin_works_beside_what_is_wrong_of_it(tmp_path: Path) -> None:
    plugins = load(tmp_path, bad=TILL + hook("crmbridge_connectors", "return {'till': Till, 'desk': 1}"))
    assert plugins.offers() == {"bad": ["till"], "good": ["shop"]}
    assert "'desk'" in reported(plugins)["bad"]


@pytest.mark.parametrize("hook", HOOKS)
def test_what_an_installed_plugin_offers_has_the_version_of_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    found = []
    for version in ("1.0", "1.1"):
        installed(tmp_path / version, "teashop", version)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path / version)
            plugins = Plugins()
            plugins.add_installed()
            found.append(plugins.version(hook, HOOKS[hook]))
            del sys.modules["teashop"]
    assert found == ["teashop 1.0", "teashop 1.1"]


@pytest.mark.parametrize("hook", HOOKS)
def test_what_a_file_offers_has_the_version_of_the_file_and_not_of_another(tmp_path: Path, hook: str) -> None:
    def version(folder: str, **texts: str) -> str:
        (tmp_path / folder).mkdir()
        return load(tmp_path / folder, **texts).version(hook, HOOKS[hook])

    as_it_is = version("a")
    assert as_it_is
    assert version("b", another="@hookimpl\ndef crmbridge_codecs(): return {}\n") == as_it_is
    assert version("c", first=GOOD + "# corrected\n") != as_it_is, "it is the first that offers the name"
    assert load(tmp_path).version(hook, "unheard of") == ""


def test_what_is_our_own_has_our_version_whoever_else_offers_the_name(tmp_path: Path) -> None:
    (tmp_path / "taking.py").write_text(GOOD.replace('"upper": Codec', '"e164": Codec'), encoding="utf-8")
    plugins = load_plugins((tmp_path / "taking.py",))
    assert plugins.version("crmbridge_codecs", "e164") == OURS
    assert plugins.version("crmbridge_connectors", "files") == OURS


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("settings_model = TillSettings", "settings_model (a pydantic model of "),
        ("class TillSettings(BaseModel): pass", "settings_model (a pydantic model of "),
        ("def pull(self, stream, cursor): return []", "the method pull"),
        ("def check(self): return []", "the method check"),
    ],
)
def test_a_connector_that_is_not_whole_is_told_with_what_it_lacks(
    tmp_path: Path, line: str, lacks: str
) -> None:
    text = TILL.replace(line, "TillSettings = BaseModel" if "class" in line else "pass")
    plugins = load(tmp_path, bad=text + hook("crmbridge_connectors", "return {'till': Till}"))
    with pytest.raises(ConfigError, match=r"there is no connector 'till'; bad failed to load: .*bad\.Till.*"):
        plugins.connector("till")
    assert f"for 'till', which lacks {lacks}" in reported(plugins)["bad"]
    assert plugins.offers() == {"good": ["shop"]}


def test_a_file_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    plugins = load(tmp_path)
    plugins.add_file(tmp_path / "till.py")
    with pytest.raises(ConfigError, match=rf"till failed to load: there is no .* {tmp_path}/till.py"):
        plugins.connector("till")


def test_files_of_one_name_are_two_plugins(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    plugins = load(tmp_path)
    other = tmp_path / "other" / "good.py"
    other.write_text(GOOD.replace('"upper"', '"lower"').replace('"shop"', '"till"'), encoding="utf-8")
    plugins.add_file(other)
    assert [one.name for one in plugins.found] == ["good", str(other)]
    assert offered(plugins, "crmbridge_codecs") == ["lower", "upper"]
    assert plugins.connector("till").__module__ != plugins.connector("shop").__module__


def test_a_file_that_is_named_twice_is_one_plugin(tmp_path: Path) -> None:
    plugins = load(tmp_path)
    plugins.add_file(tmp_path / "good.py")
    assert len(plugins.found) == 1
    assert plugins.failures == []


def test_of_two_plugins_of_one_name_the_second_is_reported(tmp_path: Path) -> None:
    plugins = load(tmp_path)
    plugins.add(Plugins, "good", "acme 1.0", "acme 1.0")
    assert [one.name for one in plugins.found] == ["good"]
    assert f"there is a plugin of that name already, from {tmp_path}/good.py" in reported(plugins)["good"]


def test_a_name_that_two_plugins_offer_is_of_the_first_and_reported(tmp_path: Path) -> None:
    plugins = load(tmp_path, bad=hook("crmbridge_functions", "return {'double': len, 'treble': len}"))
    assert plugins.functions()["double"]([7, 8, 9]) == 3
    assert offered(plugins, "crmbridge_functions") == ["double", "treble"]
    assert "'double' is offered by bad already" in reported(plugins)["good"]


def test_a_listener_that_raises_is_reported_once_and_the_others_hear_all(tmp_path: Path) -> None:
    text = "told = []\n" + hook(
        "crmbridge_run_event", "told.append(1); raise SystemExit(str(len(told)))", "event"
    )
    plugins = load(tmp_path, bad=text)
    for _ in range(3):
        plugins.emit(EVENT)
    assert reported(plugins) == {"bad": "crmbridge_run_event: SystemExit: 1"}


def test_a_plugin_whose_connector_is_broken_still_hears_of_runs(tmp_path: Path) -> None:
    text = hook("crmbridge_connectors", "return None") + hook("crmbridge_run_event", "1 / 0", "event")
    plugins = load(tmp_path, bad=text)
    plugins.connectors()
    plugins.emit(EVENT)
    assert [failure.source for failure in plugins.failures] == ["crmbridge_connectors", "crmbridge_run_event"]


@pytest.mark.parametrize("body", ["1 / 0", "raise SystemExit", "return None", "return True", "return -1",
                                  "return 2", "return 'erp'", "return 0.0"])  # fmt: skip
def test_a_survivorship_rule_that_gives_no_winner_is_reported_once(tmp_path: Path, body: str) -> None:
    text = f"def rule(said): {body}\n" + hook("crmbridge_survivorship", "return {'odd': rule}")
    plugins = load(tmp_path, bad=text)
    rule = plugins.survivorship()["odd"]
    assert [rule(SAID), rule(SAID)] == [None, None]
    assert reported(plugins).keys() == {"bad"}
    assert "survivorship rule odd" in reported(plugins)["bad"]
