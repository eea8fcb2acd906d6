"""Audit the service and all its dependencies with pip-audit, and report which packages were audited.

pip-audit also succeeds if its database knows none of the packages, for example behind a mirror. Here that is a failure:
nothing was audited.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = "theeye-sync"
SERVICES = ("pypi", "osv")  # the databases, asked in turn until one answers
CLEAN, VULNERABLE, INCOMPLETE = 0, 1, 3


def closure(name: str, extras: frozenset[str], found: dict[str, str]) -> dict[str, str]:
    """Add the installed versions of a distribution and of all its dependencies with these extras."""
    found[canonicalize_name(name)] = distribution(name).version
    for text in distribution(name).requires or ():
        needed = Requirement(text)
        wanted = any(needed.marker is None or needed.marker.evaluate({"extra": extra}) for extra in extras or {""})
        if wanted and (needed.extras or canonicalize_name(needed.name) not in found):
            closure(needed.name, frozenset(needed.extras), found)
    return found


def ask(command: str, service: str, pins: dict[str, str]) -> list[dict[str, Any]]:
    """Return pip-audit's answer for each package; if it fails, print the reason and return an empty list."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        options = ["--format", "json", "--progress-spinner", "off", "--no-deps", "--disable-pip", "--timeout", "15"]
        ran = subprocess.run(
            [command, "--vulnerability-service", service, *options, "--requirement", file],
            capture_output=True,
            text=True,
            timeout=300,
        )
    try:
        answers = list(json.loads(ran.stdout)["dependencies"])
    except ValueError:
        sys.stderr.write(f"{service}: {ran.stderr.strip().rpartition(chr(10))[2][:300]}\n")
        return []
    known = sum("vulns" in answer for answer in answers)
    sys.stderr.write(f"{service}: knows {known} of {len(pins)} packages\n")
    return answers


def verdict(answers: list[dict[str, Any]], pins: dict[str, str]) -> tuple[int, str]:
    """Return an exit status and a sentence for a person."""
    audited = [answer for answer in answers if "vulns" in answer]
    bad = [f"{answer['name']} {answer['version']}: {flaw['id']}" for answer in audited for flaw in answer["vulns"]]
    if bad:
        return VULNERABLE, "\n".join(["Known vulnerabilities:", *bad])
    if not audited:
        return (
            INCOMPLETE,
            f"NOT AUDITED: no database knew any of the {len(pins)} packages. Can it be reached from here?",
        )
    left = sorted(pins.keys() - {canonicalize_name(answer["name"]) for answer in audited})
    if left:
        return (
            INCOMPLETE,
            f"NOT WHOLLY AUDITED: {len(audited)} of {len(pins)}, nothing is known about {', '.join(left)}.",
        )
    return CLEAN, f"Packages audited: {len(audited)}; no known vulnerabilities."


def main(command: str) -> int:
    """Print the verdict and return the exit status."""
    pins = closure(OURS, frozenset({"all"}), {})
    del pins[OURS]
    status, words = INCOMPLETE, ""
    for service in SERVICES:
        status, words = verdict(ask(command, service, pins), pins)
        if status != INCOMPLETE:
            break
    sys.stdout.write(f"{words}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
