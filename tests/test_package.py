"""Test the sdist and its wheel: all files, metadata for twine, and a service outside of the checkout."""

import configparser
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import CHECKOUT, clean_environment

PACKAGES = ("app", "formatters", "sandbox")
SOURCES = {"app/api/openapi.yaml"}  # the wheel has the JSON that is made of it
BUILD_SDIST = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: text for name, text in clean_environment().items() if not name.startswith("PYTHON")}
    ran = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, f"{command}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the files of the build, which leaves other files beside them."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "wsgi.py"):
        shutil.copy(CHECKOUT / name, source)
    return source


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the sdist and the wheel that pip makes of it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-c", BUILD_SDIST, folder, cwd=source)
    [sdist] = folder.iterdir()
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    run(*pip, "--wheel-dir", folder, sdist, cwd=folder)
    return folder


def test_the_wheel_has_every_file_of_the_packages(source: Path, built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(PACKAGES)}
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    files = [path for package in PACKAGES for path in (source / package).rglob("*") if path.is_file()]
    assert packed == {str(path.relative_to(source)) for path in files} - SOURCES


def test_twine_accepts_both(built: Path) -> None:
    pytest.importorskip("twine", reason="twine is not installed: make test installs it")
    said = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *built.iterdir(), cwd=built)
    assert said.count("PASSED") == 2


def test_a_fresh_environment_runs_the_wheel_outside_of_the_checkout(built: Path, tmp_path: Path) -> None:
    """The packages that it depends on come from the environment of the tests: nothing is downloaded."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python, command = tmp_path / "venv/bin/python", tmp_path / "venv/bin/theeye-sync"
    library = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    (Path(library) / "tests_environment.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    install = ["-m", "pip", "install", "--quiet", "--ignore-installed", "--no-deps", "--no-index"]
    run(python, *install, next(built.glob("*.whl")), cwd=tmp_path)
    where = run(
        python, "-c", "import app, sandbox, wsgi; print(app.__file__, sandbox.__file__, wsgi.__file__)", cwd=built
    )
    assert all(file.startswith(library) for file in where.split())
    assert run(command, "--version", cwd=built) == f"theeye-sync, version {version()}\n"
    assert "parse" in run(command, "formatters", cwd=built)
    assert "--tasks FOLDER" in run(python, "-m", "sandbox.demo", "--help", cwd=built)


def version() -> str:
    return metadata()["metadata"]["version"]


def metadata() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg", "utf-8")
    return config


def test_the_changelog_has_the_version() -> None:
    releases = re.findall(
        r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert releases == ["Unreleased", "0.2.0", "0.1.0"]
    assert releases[1] == version()


def runtime_requirements() -> Iterator[str]:
    config = metadata()
    yield config["options"]["install_requires"]
    for extra, lines in config["options.extras_require"].items():
        if extra not in ("all", "dev"):
            yield lines


def test_every_requirement_has_a_lower_bound_that_make_test_lowest_installs() -> None:
    lines = [
        line for text in runtime_requirements() for line in text.splitlines() if line.strip(" #") and "#" not in line
    ]
    lowest = list(runpy.run_path(str(CHECKOUT / ".ci/lowest.py"))["lowest"]())
    assert len(lowest) == len(lines) > 10
    assert "gunicorn==27.0" in lowest
