"""Test the running service with all checks of schemathesis: it finds nothing that the document does not describe."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import requests
from support.processes import CHECKOUT, Service, clean_environment
from support.sandbox import ECHO

from sandbox import CUSTOMER, TOKEN, Sandbox

HOOKS = CHECKOUT / "tests" / "api" / "schemathesis_hooks.py"

# What TheEye or a mode makes fail is documented: 502, 504, and 501 for a key without Redis. A 500 or 503 is a bug here,
# since all jobs succeed. Wrong requests come from the coverage phase, which goes through them one by one.
CONFIG = f"""
seed = 1
hooks = "{HOOKS}"
continue-on-failure = true

[generation]
database = "none"
max-examples = 8
with-security-parameters = false

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501, 502, 504]

[phases.fuzzing.generation]
mode = "positive"

[phases.stateful.generation]
mode = "positive"
"""
# This workflow ends with any arguments. Those of the sandbox, as TheEye's, never end if one of their scripts crashes.
WORKFLOW, STEP = "61f3e937c38201da80f97900", "61f3e937c38201da80f97901"
RECIPE = {
    "id": WORKFLOW,
    "name": "Echo",
    "start_task_id": STEP,
    "tasks": [{"id": STEP, "name": "Echo", "type": "dummy", "task_arguments": [], "takes_any_arguments": True}],
    "graph": {"nodes": [{"v": STEP, "value": {"id": STEP, "_type": "DummyTask", "name": "Echo"}}], "edges": []},
}
# One run goes into the tasks, the other stays outside most of the time.
INSIDE = f"""
[parameters]
"path.customer" = "{CUSTOMER}"
"path.task" = "{ECHO}"
"path.workflow" = "{WORKFLOW}"
"""


pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "echo.json").write_text(json.dumps(RECIPE))
    with Sandbox(database=folder / "theeye.sqlite3", tasks=[folder]) as sandbox:
        yield sandbox


def run(folder: Path, config: str, document: str, options: Sequence[str]) -> tuple[int, str]:
    (folder / "schemathesis.toml").write_text(config)
    ran = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "st"), "--config-file", "schemathesis.toml", "run", document),
            *("--no-color", "--checks", "all", "--header", f"Authorization: Bearer {TOKEN}", *options),
        ],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("further", "phases"),
    [(INSIDE, "examples,coverage,fuzzing,stateful"), ("", "examples,coverage")],
    ids=["inside", "outside"],
)
def test_it_finds_nothing(further: str, phases: str, demo_service: Service, tmp_path: Path) -> None:
    code, said = run(tmp_path, CONFIG + further, f"{demo_service.url}/openapi.json", ["--phases", phases])
    assert code == 0, said
    tested = re.search(r"(\d+) generated, (\d+) passed", said)
    assert tested, said
    assert int(tested[1]) == int(tested[2]) > 150
    assert "unexpected error" not in demo_service.log_text()


def test_it_would_find_something(demo_service: Service, tmp_path: Path) -> None:
    document = requests.get(f"{demo_service.url}/openapi.json", timeout=10).json()
    document["components"]["schemas"]["Alive"]["properties"]["status"] = {"const": "well"}
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    options = ["--url", demo_service.url, "--include-path", "/healthz", "--phases", "coverage"]
    code, said = run(tmp_path, CONFIG, "openapi.json", options)
    assert code == 1
    assert "was expected" in said
