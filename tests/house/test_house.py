"""The house itself: what a clone builds into, and what its files must agree on."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
PACKAGES = {"crmbridge": "crmbridge", "schemas/crmbridge_schemas": "crmbridge_schemas"}

# Regular expressions that do not match themselves, since this file is read too.
FORBIDDEN = {
    "the address of a package registry": r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)/|deb\.debian\.org",
    "a path of somebody's machine": r"/w[o]rk/|/r[o]ot/|/opt/(pypi|wheels)|\.\./s[h]ared|\.l[i]brary/",
    "an issue number": r"\b(issue|task)s?\s+#?\d+\b",
    "a mark of unfinished work": r"\b(TO[D]O|FIX[M]E|XX[X])\b|NotImplemented[E]rror",
    "the name of an assistant": r"\b([C]laude|[A]nthropic|Chat[G]PT|Co[p]ilot)\b",
}
SKIPPING = re.compile(
    r"pytest\.s[k]ip|mark\.s[k]ip|mark\.x[f]ail|pytest\.x[f]ail|importor[s]kip|mock\.p[a]tch"
)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts(files: list[Path]) -> list[tuple[Path, str]]:
    found = []
    for file in files:
        content = (ROOT / file).read_bytes()
        if b"\0" not in content:
            found.append((file, content.decode(errors="replace")))
    return found


def findings(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{file}:{number}: {line.strip()[:100]}"
        for file, text in texts(files)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def lock() -> list[Requirement]:
    return [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel that is built from tracked files only, as in a fresh clone."""
    clone = tmp_path_factory.mktemp("clone")
    for file in tracked_files():
        (clone / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, clone / file)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    built = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next((clone / "dist").glob("*.whl"))) as archive:
        return archive.namelist()


def test_the_wheel_has_every_tracked_file_of_both_packages(wheel: list[str]) -> None:
    expected = {
        f"{package}/{file.relative_to(folder).as_posix()}"
        for folder, package in PACKAGES.items()
        for file in tracked_files()
        if file.is_relative_to(folder)
    }
    assert {f"{package}/py.typed" for package in PACKAGES.values()} <= expected
    assert expected - set(wheel) == set()


def test_the_wheel_installs_nothing_beside_the_two_packages(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES.values())


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_pins_one_version_inside_every_range(
    python: str, pyproject: dict[str, Any], lock: list[Requirement]
) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    pins = [pin for pin in lock if pin.marker is None or pin.marker.evaluate(environment)]
    for requirement in declared(pyproject):
        versions = [
            next(iter(pin.specifier)).version
            for pin in pins
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name)
        ]
        assert len(versions) == 1, f"{requirement} on {python}: pinned {versions}; run make lock"
        assert requirement.specifier.contains(versions[0]), f"{requirement}: pinned {versions[0]}"


def declared(pyproject: dict[str, Any]) -> list[Requirement]:
    """Every dependency of crmbridge, its extras and its plugins, without crmbridge itself."""
    files = sorted(ROOT.glob("plugins/*/pyproject.toml"))
    projects = [pyproject["project"], *(tomllib.loads(file.read_text())["project"] for file in files)]
    lines: list[str] = []
    for project in projects:
        lines += project.get("dependencies", [])
        for extra in project.get("optional-dependencies", {}).values():
            lines += extra
    return [r for r in map(Requirement, lines) if canonicalize_name(r.name) != "crmbridge"]


def test_the_lock_names_versions_only() -> None:
    pin = re.compile(r"[a-z0-9-]+==[0-9a-z.+!]+( ; [^/@]+)?")
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if not pin.fullmatch(line)] == []


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    assert findings(re.compile(FORBIDDEN[what]), tracked_files()) == []


def test_no_test_is_skipped_and_none_replaces_our_own_code() -> None:
    tests = [file for file in tracked_files() if "tests" in file.parts and file.suffix == ".py"]
    assert findings(SKIPPING, tests) == []


def test_importing_crmbridge_imports_nothing_else() -> None:
    """`crmbridge --version` has 0.15 s, and one heavy import here would spend it."""
    code = "import sys; before = set(sys.modules); import crmbridge; print(*set(sys.modules) - before)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["crmbridge"]
