"""The wheel: it has every file of the packages that the service needs, not only the Python ones."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from support.processes import CHECKOUT

PACKAGES = ("app", "formatters", "sandbox")
SOURCES = {"app/api/openapi.yaml"}  # the wheel has the JSON that is made of it


def test_the_wheel_has_every_file_of_the_packages(tmp_path: Path) -> None:
    source = tmp_path / "source"  # a copy: the build leaves files beside what it builds
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "wsgi.py"):
        shutil.copy(CHECKOUT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    ran = subprocess.run([*pip, "--wheel-dir", tmp_path, source], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(PACKAGES)}
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    files = [path for package in PACKAGES for path in (source / package).rglob("*") if path.is_file()]
    assert packed == {str(path.relative_to(source)) for path in files} - SOURCES
