"""Test docs/first-task.md: write its files, run its commands in order, and compare the answers."""

import base64
import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path

from support.pages import ADDRESS, Block, blocks
from support.processes import Service, clean_environment, need, wait_until
from support.settings import environment

from sandbox import Sandbox

PAGE, SPANISH = "docs/first-task.md", "docs/first-task.es.md"


def files(page: str) -> dict[str, str]:
    """Return the files of a page: the text before such a block ends with the file's name."""
    named = [(re.search(r"`(my-tasks/\w+\.(?:py|json))`:?\s*\Z", block.gap), block.text) for block in blocks(page)]
    return {found[1]: text for found, text in named if found}


def commands(page: str) -> list[tuple[str, Block]]:
    """Return the commands for which the page shows an answer."""
    pairs = pairwise(blocks(page))
    return [(each.text, after) for each, after in pairs if each.language == "sh" and after.language in ("http", "text")]


def run(command: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=clean_environment(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().replace("\r\n", "\n")


def check(shown: Block, printed: str) -> None:
    """Check the status, the shown headers and the whole body."""
    if shown.language == "text":
        assert printed == shown.text
        return
    (head, _, body), (expected, _, expected_body) = printed.partition("\n\n"), shown.text.partition("\n\n")
    assert set(expected.splitlines()) <= set(head.splitlines()), printed
    assert body.strip() == expected_body.strip()


def test_its_steps(tmp_path: Path) -> None:
    need("curl", "curl")
    (tmp_path / "my-tasks").mkdir()
    written = files(PAGE)
    assert len(written) == 6
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    with (
        Sandbox(database=tmp_path / "db", tasks=[tmp_path / "my-tasks"]) as sandbox,
        Service(environment(sandbox)) as service,
    ):
        wait_until(lambda: service.ask("GET", "/readyz").status == 200, 30, "ready")
        shown = commands(PAGE)
        assert len(shown) == 8
        for command, answer in shown:
            local = command.replace(ADDRESS, f"http://127.0.0.1:{service.port}").replace(
                "curl ", "curl --noproxy '*' -sS "
            )
            check(answer, run(local, tmp_path))


def test_its_command_reads_an_exported_script(tmp_path: Path) -> None:
    (tmp_path / "my-tasks").mkdir()
    recipe = {"task": {"name": "x"}, "file": {"filename": "x.js", "data": base64.b64encode("añ".encode()).decode()}}
    (tmp_path / "my-tasks/exported.json").write_text(json.dumps(recipe))
    [command] = [block.text for block in blocks(PAGE) if "exported.json" in block.text]
    assert run(command, tmp_path) == "añ\n"


def test_the_spanish_page_shows_the_same() -> None:
    assert [(block.language, block.text) for block in blocks(SPANISH)] == [
        (block.language, block.text) for block in blocks(PAGE)
    ]
    assert files(SPANISH) == files(PAGE)
