"""Install the packages that `make run` (extra `run`) or the tests (`dev`) need into this environment.

Without a network it names the missing packages, and `make` continues with the installed ones. It uses only the standard
library and pip.
"""

import argparse
import configparser
import os
import re
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
# PyPI has the extra `fast` only as source. `run` leaves it out: compiling it takes a minute and needs a C compiler.
EXTRAS = {"run": ["redis", "gevent", "log", "metrics", "docs"], "dev": ["dev"]}
DURATION = {"run": "20 seconds to a minute", "dev": "two to three minutes, for one package is compiled"}
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "10", "install")
_STEP = re.compile(r"(Collecting|Processing|Building editable.*done|Installing collected)")


def main() -> int:
    """Install the packages; return 0 if `make` can continue, even if some packages are missing."""
    purpose = _parser().parse_args().purpose
    stamp = Path(sys.prefix) / f".{purpose}"
    _say(f"installing packages, {DURATION[purpose]}; only this time, and when setup.cfg has changed")
    if _has_service():
        _say("without a network pip gives up after 10 to 20 seconds; then this goes on with the installed packages")
    status, errors = _install(EXTRAS[purpose], wheels_only=purpose == "run")
    if status == 0:
        stamp.touch()
        return 0
    _write("\n".join(errors))
    if not stamp.exists() and (not _has_service() or missing(EXTRAS[purpose])):
        _say("pip could not install the packages. The first time needs a network, or a package index that pip knows")
        return 1
    _say("pip could not install all packages, as expected without a network. Starting with the installed ones")
    for requirement in missing(EXTRAS[purpose]):
        _say(f"setup.cfg requires {requirement}, which is not installed: features that need it do not work")
    return 0


def missing(extras: list[str], file: Path = CHECKOUT / "setup.cfg") -> list[str]:
    """Return the requirements of the service and these extras that no installed package meets."""
    config = configparser.ConfigParser()
    config.read(file, "utf-8")
    lines = config["options"]["install_requires"].splitlines()
    for extra in extras:
        lines += _lines_of(extra, config["options.extras_require"])
    return [line for line in lines if line and _lacks(line)]


def _lines_of(extra: str, extras: configparser.SectionProxy) -> Iterator[str]:
    """Yield the requirements of one extra, and those of this package's extras that it names."""
    for line in map(str.strip, extras[extra].splitlines()):
        if own := re.fullmatch(r"theeye-sync\[(.*)\]", line):
            for name in own[1].split(","):
                yield from _lines_of(name.strip(), extras)
        else:
            yield line


def _lacks(line: str) -> bool:
    # The extra `gevent`, a part of both purposes, installs `packaging`.
    requirement: Any = import_module("packaging.requirements").Requirement(line)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return False
    try:
        found = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return True
    return not requirement.specifier.contains(found, prereleases=True)


def _install(extras: list[str], *, wheels_only: bool) -> tuple[int, list[str]]:
    """Run pip and print a line for each package; return pip's status and its last errors."""
    arguments = ["--only-binary", ":all:"] if wheels_only else []
    command = [sys.executable, *PIP, *arguments, "--progress-bar", "off", "--editable", f".[{','.join(extras)}]"]
    kept: deque[str] = deque(maxlen=3)
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            if _STEP.match(line.strip()):
                _write("  " + re.sub(r"Processing .*/| \(from.*|:.*", "", line.strip()))
            elif re.match(r"\s*(ERROR|WARNING|error):", line):
                kept.append(line.strip())
    return pip.returncode, list(kept)


def _has_service() -> bool:
    return any(Path(sysconfig.get_path("purelib")).glob("theeye_sync-*.dist-info"))


def _say(text: str) -> None:
    _write(f"make: {text}")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("purpose", choices=sorted(EXTRAS))
    return parser


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")  # show pip's lines at once
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
