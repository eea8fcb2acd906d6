"""Test docs/clients.md: run its programs, also over a connection that is cut, and call its Postman collection."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.command import cutting
from support.pages import blocks
from support.processes import CHECKOUT, Service, clean_environment, need
from support.theeye import StandIn

COLLECTION = CHECKOUT / "docs" / "postman.json"
PROGRAMS = {
    "sh": (["sh"], "client.sh", ("curl", "curl")),
    "python": ([sys.executable], "client.py", (sys.executable, "python3")),
    "javascript": (["node"], "client.mjs", ("node", "nodejs")),
}


@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize("wait", ["wait=50", "wait=0"])  # with 0 the answer is at Location
def test_its_programs_repeat_what_is_cut_and_run_the_task_once(
    with_keys: Service, theeye_with_keys: StandIn, tmp_path: Path, language: str, wait: str
) -> None:
    command, file, program = PROGRAMS[language]
    need(*program)
    [text] = [block.text for block in blocks("docs/clients.md") if block.language == language]
    text = text.replace("invoice-4711", uuid.uuid4().hex).replace("wait=50", wait)
    (tmp_path / file).write_text(text)
    (tmp_path / "token").write_text("Authorization: Bearer tok-acme\n")
    theeye_with_keys.task(delay=0.3, output=['{"a":1}'])
    with cutting(with_keys.port, b"") as url:
        env = clean_environment() | {"SYNC_URL": url, "SYNC_TOKEN": "tok-acme", "CURL_HOME": os.devnull}
        ran = subprocess.run([*command, file], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100)
    assert ran.stdout == '200 {"a":1}\n', ran.stderr
    assert len(theeye_with_keys.calls_of("create")) == 1


def requests_in(node: Any) -> Iterator[tuple[str, Any]]:
    for item in node["item"]:
        yield from requests_in(item) if "item" in item else [(item["name"], item["request"])]


def test_the_collection_can_be_called_as_it_is(demo_service: Service) -> None:
    collection = json.loads(COLLECTION.read_text())
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    values = {each["key"]: each["value"] for each in collection["variable"]} | {"url": demo_service.url}
    document = json.loads((CHECKOUT / "app" / "api" / "openapi.json").read_text())
    methods = [name for path in document["paths"].values() for name in path if name in ("get", "post", "delete")]
    found = list(requests_in(collection))
    assert len(found) == len(methods)

    def filled(text: str) -> str:
        return re.sub(r"\{\{(\w+)\}\}", lambda name: values[name[1]], text)

    found.sort(key=lambda each: each[1]["method"], reverse=True)  # POST, GET, DELETE
    for name, request in sorted(found, key=lambda each: "/workflow/" in each[1]["url"]["raw"]):
        headers = {each["key"]: each["value"] for each in request["header"] if not each.get("disabled")}
        if "auth" not in request:
            headers["Authorization"] = f"Bearer {filled(collection['auth']['bearer'][0]['value'])}"
        body = request.get("body", {}).get("raw")
        got = requests.request(request["method"], filled(request["url"]["raw"]), headers=headers, data=body, timeout=60)
        values["job"] = got.headers.get("X-Job-Id", values["job"])
        assert got.status_code == (409 if request["method"] == "DELETE" else 200), name
