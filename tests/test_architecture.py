"""Test the architecture: which files exist, which imports are allowed, and that imports have no effects."""

import ast
import functools
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support.processes import run_python

ROOT = Path(__file__).parent.parent
APP = ROOT / "app"

PACKAGES = {  # and what each of them must not import
    "formatters": {"app", "sandbox", "flask", "gunicorn"},  # werkzeug reads the Accept header for them
    "app": {"sandbox"},
    "sandbox": {"app", "formatters"},
}

# What may import what inside of `app`: a request goes through the rooms from left to right, and never back.
BASE = {"settings", "setting_readers", "redis_url", "unknown_variables", "errors", "sync_error", "cpus"}
TELEMETRY = {"telemetry", *BASE}
THEEYE = {"theeye", *TELEMETRY}
WAITER = {"waiter", *THEEYE}
RUNS = {"runs", *WAITER}
HEALTH = {"health", *RUNS}
SERVICES = {"services", *HEALTH}
MAY_IMPORT = {
    "__main__": {"cli"},
    "__init__": {"factory"},
    "factory": {"api", "cli", *SERVICES},
    "cli": {"checks", "client", *SERVICES},
    "client": TELEMETRY,  # of a service that runs elsewhere: what it knows of one is its HTTP interface
    "checks": RUNS,
    "serving": {"services", *WAITER},
    "api": SERVICES,
    "services": HEALTH,
    "health": RUNS,
    "runs": WAITER,
    "waiter": THEEYE,
    "theeye": TELEMETRY,
    "telemetry": BASE,
    "unknown_variables": {"settings"},
    "settings": {"setting_readers", "cpus"},
    "cpus": set(),
    "setting_readers": {"redis_url"},
    "redis_url": set(),
    "errors": {"sync_error"},
    "sync_error": set(),
}
ROOMS = {"api", "client", "health", "waiter", "runs", "theeye", "telemetry", "serving", "checks"}
LIBRARIES = {  # and who alone may import them
    "flask": {"factory", "api"},
    "werkzeug": {"factory", "api", "telemetry"},
    "gunicorn": {"cli", "serving"},
    "redis": {"redis_url", "waiter", "runs", "checks"},
    "prometheus_client": {"telemetry"},
    "click": {"cli", "checks", "client"},
    "rich": {"client"},
}


@functools.cache
def imports(file: Path) -> set[str]:
    """Return every name that a file imports, also inside functions; for `from x import y` it is `x.y`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@functools.cache
def modules() -> dict[str, Path]:
    """Return the modules of `app` by name."""
    names = {file: file.relative_to(ROOT).with_suffix("").parts for file in files("app")}
    return {".".join(name).removesuffix(".__init__"): file for file, name in names.items()}


def room(file: Path) -> str:
    return file.relative_to(APP).parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    """Return the modules of `app` that a file imports."""
    known = modules()
    return {name if name in known else name.rpartition(".")[0] for name in imports(file)} & known.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_keep_apart(package: str) -> None:
    for file in files(package):
        roots = {name.partition(".")[0] for name in imports(file)}
        assert not roots & PACKAGES[package], file


def test_nothing_but_the_rooms_lies_flat() -> None:
    flat = {f"{name}.py" for name in MAY_IMPORT if name not in ROOMS} | {"py.typed"}
    found = {path.name for path in APP.iterdir() if path.name != "__pycache__"}
    assert found == ROOMS | flat


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_imports_go_in_one_direction(name: str) -> None:
    wrong = {
        (str(file.relative_to(APP)), module)
        for file in files("app")
        if room(file) == name
        for module in imported(file)
        if room(modules()[module]) not in {name, *MAY_IMPORT[name]}
    }
    assert wrong == set()


def test_there_is_no_circle() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()
    TopologicalSorter({name: imported(file) for name, file in modules().items()}).prepare()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_stays_in_its_rooms(library: str) -> None:
    knowing = {room(file) for file in files("app") if library in {name.partition(".")[0] for name in imports(file)}}
    assert knowing <= LIBRARIES[library]
    assert knowing, "then it has no place in this list"


@pytest.mark.parametrize("module", ["wsgi", "app.cli"])
def test_nothing_connects_or_starts_at_import(module: str) -> None:
    program = (
        "import socket, threading\n"
        "def no(*a, **k): raise AssertionError('a connection at import')\n"
        "socket.socket.connect = socket.getaddrinfo = no\n"
        f"import {module}\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    run_python("-c", program, SYNC_REDIS_URL="redis://127.0.0.1:1")
