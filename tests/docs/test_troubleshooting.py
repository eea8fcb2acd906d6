"""Test docs/troubleshooting.md: it has every code with its statuses, and its commands run."""

import re
import subprocess

from support.codes import NGINX, codes_with_statuses
from support.pages import ADDRESS, blocks, read
from support.processes import Service, clean_environment, need

from app.settings import Settings
from sandbox import Sandbox

PAGE = "docs/troubleshooting.md"
KNOWN = codes_with_statuses() | NGINX


def sections() -> dict[str, str]:
    """Return the text below each heading of the third level."""
    pieces = re.split(r"^#{2,3} (.+)$", read(PAGE), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def test_every_code_is_explained_and_no_other() -> None:
    explained = {heading: text for heading, text in sections().items() if re.fullmatch("E[A-Z]{4,}", heading)}
    assert explained.keys() == KNOWN.keys()
    for code, statuses in KNOWN.items():
        first = explained[code].strip().split("\n\n")[0]
        named = {int(status) for status in re.findall(r"\*\*(\d{3})\.?\*\*", first)}
        assert statuses <= named, code
        assert len(explained[code]) > 100


def test_a_code_that_is_mentioned_exists() -> None:
    assert set(re.findall(r"\bE[A-Z]{4,}\b", read(PAGE))) == KNOWN.keys()


def test_every_502_and_504_can_be_told_apart() -> None:
    table = sections()["The cases of 502 and 504"]
    of_these = {code for code, statuses in KNOWN.items() if statuses & {502, 504}}
    assert set(re.findall(r"^\| `(E[A-Z]+)`", table, re.MULTILINE)) == of_these


def test_its_settings_exist() -> None:
    known = {f"SYNC_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(re.findall(r"SYNC_[A-Z_]+", read(PAGE))) <= known


def test_its_commands_answer(demo_service: Service, sandbox: Sandbox) -> None:
    need("curl", "curl")
    commands = re.findall(r"```sh\n(.*?)```", read(PAGE), re.DOTALL)
    assert len(commands) == 5
    asked = [command.strip().replace(ADDRESS, demo_service.url) for command in commands if "curl" in command]
    found = []
    for command in asked:
        environment = clean_environment() | {"SYNC_GATEWAY_URL": sandbox.url}
        ran = subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=30, check=True
        )
        found.append(int(ran.stdout.split()[1]))
    assert found == [200, 404, 401]
    assert not blocks(PAGE) or all(block.language != "http" for block in blocks(PAGE))
