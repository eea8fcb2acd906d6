"""Define fixtures: plugin files, and installed packages with plugins."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    def written(name: str, code: str) -> str:
        file = tmp_path / f"{name}.py"
        file.write_text(code)
        return str(file)

    return written


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that installs packages, each a module with entry points, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def install(module: str, code: str, points: str) -> None:
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[theeye_sync]\n{points}\n")
        modules.append(module)

    yield install
    for module in modules:
        sys.modules.pop(module, None)
