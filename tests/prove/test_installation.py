"""What a newcomer does first, on a machine that has nothing of the project."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import crmbridge

ROOT = Path(__file__).parents[2]


def attempt(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    ours = ("MAKE", "MFLAGS", "PYTHON", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def run(*command: str | Path, cwd: Path) -> str:
    ran = attempt(*command, cwd=cwd)
    assert ran.returncode == 0, f"{command}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    run("git", "clone", "--quiet", ROOT, tmp_path / "clone", cwd=tmp_path)
    return tmp_path / "clone"


def test_pip_install_from_a_clone_gives_a_working_command(clone: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=True, symlinks=True)
    pip = (str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    command = home / "bin" / "crmbridge"
    run(*pip, "install", "--quiet", ".", cwd=clone)
    run(*pip, "check", cwd=tmp_path)
    assert crmbridge.__version__ in run(command, "--version", cwd=tmp_path)
    assert "sync" in run(command, "--help", cwd=tmp_path)

    plugins = [file.parent.name for file in sorted(clone.glob("plugins/*/pyproject.toml"))]
    assert plugins
    run(*pip, "install", "--quiet", *(f"./plugins/{name}" for name in plugins), cwd=clone)
    listed = run(command, "plugins", cwd=tmp_path)
    assert [name for name in plugins if name not in listed] == []


def test_make_says_which_command_installs_a_missing_venv_module(clone: Path, tmp_path: Path) -> None:
    """On a fresh Debian, Python comes without venv: here stands in one that cannot import ensurepip."""
    bare = tmp_path / "python3"
    bare.write_text(f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexec "{sys.executable}" "$@"\n')
    bare.chmod(0o755)
    made = attempt("make", "test", f"PYTHON={bare}", cwd=clone)
    assert made.returncode != 0
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"apt-get install -y python{version}-venv" in made.stderr
    assert not (clone / ".venv").exists()


def test_make_says_which_command_installs_a_newer_python(clone: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    made = attempt("make", "test", f"PYTHON={old}", cwd=clone)
    assert made.returncode != 0
    assert "apt-get install -y python3 python3-venv" in made.stderr
