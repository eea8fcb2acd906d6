"""Use a sandbox in tests, with its own tasks and with recipes of a test."""

import base64
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import requests

from sandbox import TOKEN

TASK = "61f3e937c38201da80f96c27"
ECHO = "61f3e937c38201da80f96c28"
SLEEPER = "61f3e937c38201da80f96c29"
SEVERAL = "61f3e937c38201da80f96c2a"
NOT_JSON = "61f3e937c38201da80f96c2b"
FAILURE = "61f3e937c38201da80f96c2c"
PICTURE = "61f3e937c38201da80f96c32"
CHECKSUM = "61f3e937c38201da80f96c33"
TIMEOUT = "61f3e937c38201da80f96c2d"
FIVE = "61f3e937c38201da80f96c2e"
TOTAL, BRANCHES, SHIPPING = (f"61f3e937c38201da80f97{number}" for number in (100, 200, 300))  # workflows
NOBODY = "0" * 24
ID = "c" * 24  # the id of a test's recipe
IN_PROGRESS = ("ready", "assigned", "onhold", "syncing", "locked", "started")


def eventually(look: Callable[[], Any], seconds: float = 60) -> Any:
    """Call `look` until it returns a true value, and return that. Raise AssertionError after some seconds."""
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return value


class Client:
    """Call a sandbox."""

    def __init__(self, url: str, token: str = TOKEN) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.url + path, allow_redirects=False, **{"timeout": 20} | options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def told(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        answer = self.call(method, path, **options)
        return answer.status_code, answer.json()

    def create(self, task: str, *arguments: Any, **more: Any) -> str:
        answer = self.call("POST", f"/acme/task/{task}/job", json={"task_arguments": arguments, **more})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def job(self, job: str) -> Any:
        return self.get(f"/acme/job/{job}").json()

    def lifecycle(self, job: str) -> Any:
        return self.get(f"/acme/job/{job}/lifecycle").json()

    def ended(self, job: str) -> Any:
        eventually(lambda: self.lifecycle(job) not in IN_PROGRESS)
        return self.job(job)

    def run(self, task: str, *arguments: Any) -> Any:
        return self.ended(self.create(task, *arguments))


def recipe(folder: Path, identifier: str, script: str | bytes, runas: str = "sh %script%", **task: Any) -> Path:
    """Write a recipe for a script without declared arguments; return its file."""
    folder.mkdir(exist_ok=True)
    data = base64.b64encode(script if isinstance(script, bytes) else script.encode()).decode()
    content = {
        "task": {"id": identifier, "name": identifier, "script_runas": runas, **task},
        "file": {"filename": "script", "data": data},
    }
    path = folder / f"{identifier}.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


MINE = "e" * 24  # a workflow of a test's own


def script(text: str) -> str:
    return "data:text/plain;base64," + base64.b64encode(text.encode()).decode()


def step(name: str, data: str = "", **task: Any) -> dict[str, Any]:
    """A task of a workflow: a dummy, or a shell script that gets its arguments as they come."""
    kind = {"type": "script", "script": {"filename": "x", "data": data}} if data else {"type": "dummy"}
    return {"id": name, "name": name, "script_runas": "sh %script%", "takes_any_arguments": True, **kind, **task}


def workflow_recipe(folder: Path, edges: list[tuple[str, str, str]], *steps: dict[str, Any], **more: Any) -> None:
    """Write the recipe of the workflow MINE, with edges (before, event, after)."""
    graph = {"nodes": [], "edges": [{"v": before, "value": event, "w": after} for before, event, after in edges]}
    recipe = {"id": MINE, "name": "mine", "graph": graph, "tasks": steps, "start_task_id": steps[0]["id"], **more}
    (folder / "mine.json").write_text(json.dumps(recipe))


TEXT_418 = (
    '{"message":"Validation Error. Invalid Argument Value","statusCode":418,"name":"ClientError",'
    '"code":"","status":418}'
)


def check_live(text: str) -> None:
    """Check that a text is the seed's answer with the current date."""
    found = re.fullmatch(r'\{"name":"tomer","date":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"\}', text)
    assert found
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found[1])) < timedelta(minutes=1)
