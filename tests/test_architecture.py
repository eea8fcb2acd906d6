"""The house: who may import whom, and nothing happens at import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FORBIDDEN = {
    "formatters": {"app", "sandbox", "flask", "gunicorn"},  # werkzeug reads the Accept header for them
    "app": {"sandbox"},
    "sandbox": {"app", "formatters"},
}
FLOW = [
    "api.blueprint",
    "api.jobs",
    "api.incoming",
    "theeye.sessions",
    "waiter.job_waiter",
    "theeye.client",
    "theeye.transport",
]  # each imports only what stands after it


def imports(file: Path) -> set[str]:
    """Every module that a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_keep_apart(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        roots = {name.partition(".")[0] for name in imports(file)}
        assert not roots & FORBIDDEN[package], file


@pytest.mark.parametrize("module", FLOW)
def test_the_request_flows_in_one_direction(module: str) -> None:
    earlier = {f"app.{name}" for name in FLOW[: FLOW.index(module)]}
    assert not imports(ROOT / "app" / f"{module.replace('.', '/')}.py") & earlier


def test_only_routes_and_the_request_know_flask() -> None:
    knowing = {
        file.stem
        for file in (ROOT / "app").rglob("*.py")
        if {name.partition(".")[0] for name in imports(file)} & {"flask", "werkzeug"}
    }
    assert knowing == {"__init__", "request", "blueprint", "preferences"}


def test_nothing_connects_or_starts_at_import() -> None:
    program = (
        "import socket, threading\n"
        "def no(*a, **k): raise AssertionError('a connection at import')\n"
        "socket.socket.connect = no\n"
        "import wsgi\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    environ = {"SYNC_REDIS_URL": "redis://127.0.0.1:1", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
