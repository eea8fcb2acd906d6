"""Test the OpenAPI document: it is valid, and fits the routes, modes and settings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.contract import Contract, Node, document, resolved, responses_of
from support.processes import CHECKOUT

from app import Settings, create_app
from app.api import openapi
from app.api.events import EVENTS
from app.api.preferences import WAIT_PATTERN
from formatters.contract import declared
from formatters.modes.full import Full
from formatters.modes.job_output import INDEX

CSV = CHECKOUT / "examples" / "theeye-sync-csv" / "theeye_sync_csv.py"
JOBS = ("/{customer}/task/{task}/job", "/{customer}/workflow/{workflow}/job")
PATHS = {"/{customer}/task", "/{customer}/workflow", *JOBS, *(f"{path}/{{job}}" for path in JOBS)}


def operations(of: Node) -> Iterator[tuple[str, str, Node]]:
    for path, node in of["paths"].items():
        for method, operation in node.items():
            if method != "parameters":
                yield method.upper(), path, operation


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"query_token": False, "cors_origins": ("https://app.example.org",)},
        {"disabled_formatters": ("parse", "response", "full", "result")},
        {"plugins": (str(CSV),), "disabled_formatters": ("full",)},
    ],
)
def test_it_is_valid(settings: dict[str, Any]) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # here, since its import costs every worker's collection

    found = document(**settings)
    OpenAPIV31SpecValidator(found).validate()
    ids = [operation["operationId"] for _, _, operation in operations(found)]
    assert len(ids) == len(set(ids))
    assert {name for _, _, operation in operations(found) for name in operation["tags"]} == {
        tag["name"] for tag in found["tags"]
    }


def test_it_has_every_route_and_method_and_nothing_else() -> None:
    rules = [rule for rule in create_app(Settings()).url_map.iter_rules() if not rule.endpoint.startswith("pages.")]
    routes = {(method, re.sub("<(.*?)>", r"{\1}", rule.rule)) for rule in rules for method in rule.methods or ()}
    assert len(routes) > 15
    assert {(method, path) for method, path, _ in operations(document())} == routes


def test_every_header_that_a_page_may_read_is_documented(client: FlaskClient) -> None:
    got = client.get("/healthz", headers={"Origin": "https://app.example.org"})
    exposed = got.headers["Access-Control-Expose-Headers"].split(", ")
    assert len(exposed) > 5
    assert set(exposed) <= document()["components"]["headers"].keys()


def parameters(found: Node, method: str = "post", path: str = "/{customer}/task/{task}/job") -> dict[str, Node]:
    nodes = [resolved(found, node) for node in found["paths"][path][method]["parameters"]]
    return {node["name"]: node for node in nodes}


def test_the_modes_are_those_that_are_loaded() -> None:
    every = parameters(document())
    assert [name for name in every if every[name]["in"] == "query"] == [
        *("result", "full", "response", "parse"),
        *("wait", "on_disconnect", "strict", "arguments"),
    ]
    fewer = parameters(document(disabled_formatters=("full", "parse")))
    assert {"result", "response"} < fewer.keys()
    assert not {"full", "parse"} & fewer.keys()


def test_a_mode_that_is_disabled_leaves_no_trace() -> None:
    found = document(disabled_formatters=("result",))
    assert "result" not in found["components"]["parameters"]
    assert {"$ref": "#/components/schemas/Result"} not in found["components"]["schemas"]["Answer"]["anyOf"]
    for _, response in responses_of(found):
        assert "result" not in response.get("content", {}).get("application/json", {}).get("examples", {})


def test_a_plugins_mode_appears_with_its_media_type() -> None:
    found = document(plugins=(str(CSV),))
    for method, path in (("post", "/{customer}/task/{task}/job"), ("get", "/{customer}/task/{task}/job/{job}")):
        csv = parameters(found, method, path)["csv"]
        assert csv["description"].startswith("Mode `csv`: Return the output's table as CSV; ")
        assert "`Accept: text/csv`" in csv["description"]
        for status in ("200", "2XX", "4XX", "500"):
            assert "text/csv" in resolved(found, found["paths"][path][method]["responses"][status])["content"]
    assert "csv" not in parameters(document())


def test_a_built_in_mode_that_is_not_in_the_file_appears_as_a_plugins_does() -> None:
    new = replace(declared(Full(), "built in"), name="new", queries=("new",))
    assert parameters(openapi.document([new], Settings()))["new"]["description"].startswith("Mode `new`: ")


def test_without_modes_that_choose_there_are_no_ranges() -> None:
    found = document(disabled_formatters=("parse", "response"))
    for method in ("get", "head"):
        responses = found["paths"]["/{customer}/task/{task}/job/{job}"][method]["responses"]
        assert not [status for status in responses if status.endswith("XX")]
    assert list(resolved(found, responses_to_post(found)["200"])["content"]) == ["application/json", EVENTS]
    assert [status for status in responses_to_post(found) if status.endswith("XX")] == ["4XX"]  # TheEye's refusals
    assert "ChosenAnswer" not in json.dumps(found)


def test_without_modes_of_other_types_all_is_json() -> None:
    found = document(disabled_formatters=("response",))
    assert "2XX" in responses_to_post(found)
    for _, response in responses_of(found):
        assert list(response.get("content", {})) in ([], ["application/json"], ["application/json", EVENTS])


def responses_to_post(found: Node) -> Node:
    responses = found["paths"]["/{customer}/task/{task}/job"]["post"]["responses"]
    assert isinstance(responses, dict)
    return responses


def test_the_query_token_is_a_way_in_only_where_it_is_enabled() -> None:
    for enabled, schemes in ((True, ["bearer", "access_token"]), (False, ["bearer"])):
        found = document(query_token=enabled)
        assert list(found["components"]["securitySchemes"]) == schemes
        for _, path, operation in operations(found):
            needs_token = path in PATHS and "cors" not in operation["tags"]
            security = operation.get("security", found["security"])
            assert security == ([{name: []} for name in schemes] if needs_token else [])


def test_the_origin_that_is_allowed_is_on_every_answer_only_where_every_origin_is() -> None:
    for origins, required in ((("*",), True), (("https://app.example.org",), None)):
        headers = document(cors_origins=origins)["components"]["headers"]
        assert headers["Access-Control-Allow-Origin"].get("required") is required


def test_the_limits_are_those_of_the_settings() -> None:
    words = document(wait_seconds=7.5, max_waiting=77, max_body=777, max_job=7777)["info"]["description"]
    assert re.findall(r"\| ([0-9.]+) \| `(SYNC_[A-Z_]+)` \|", words) == [
        ("7.5", "SYNC_WAIT_SECONDS"),
        ("77", "SYNC_MAX_WAITING"),
        ("777", "SYNC_MAX_BODY"),
        ("7777", "SYNC_MAX_JOB"),
    ]
    assert "{" not in words


def test_the_patterns_are_those_of_the_code() -> None:
    known = document()["components"]["parameters"]
    assert known["wait"]["schema"]["pattern"] == f"^{WAIT_PATTERN.pattern}$"
    assert known["response"]["schema"]["pattern"] == f"^({INDEX.pattern})?$"


def test_the_examples_are_what_the_schemas_say() -> None:
    found = document(plugins=(str(CSV),))
    contract, checked = Contract(found), 0
    for status, response in responses_of(found):
        for media in response.get("content", {}).values():
            for name, node in media.get("examples", {}).items():
                value = resolved(found, node)["value"]
                contract.validate(media["schema"], value)
                assert not re.fullmatch("E[A-Z]+", name) or value["code"] == name
                assert not re.fullmatch("E[A-Z]+", name) or value["statusCode"] == int(status)
                checked += 1
    assert checked > 50


def test_it_is_made_once_and_sent_as_any_page(client: FlaskClient) -> None:
    first = client.get("/openapi.json", headers={"Origin": "https://app.example.org"})
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert first.headers["Content-Type"] == "application/json; charset=utf-8"
    assert client.get("/openapi.json").data == first.data
    head = client.head("/openapi.json")
    assert (head.data, head.headers["ETag"]) == (b"", first.headers["ETag"])


def test_a_plugins_odd_docstring_does_no_harm(tmp_path: Path) -> None:
    plugin = tmp_path / "odd.py"
    plugin.write_text(
        "from formatters import Answer, Formatter, hookimpl\n"
        "class A(Formatter):\n"
        "    __doc__ = 7\n"
        "    name, queries = 'a', ('a',)\n"
        "    def format(self, context): return Answer(1, 200)\n"
        "@hookimpl\n"
        "def register_formatters(): return [A()]\n"
    )
    assert parameters(document(plugins=(str(plugin),)))["a"]["description"].startswith("Mode `a`: a.")


# -- the two files ----------------------------------------------------------------------------------------------------


def make_openapi(checkout: Path, *options: str) -> int:
    """Run the program of `make openapi`, or with --check that of `make lint`."""
    return subprocess.run([sys.executable, checkout / ".ci" / "openapi.py", *options]).returncode


def test_the_json_is_what_the_yaml_says() -> None:
    assert make_openapi(CHECKOUT, "--check") == 0, "run `make openapi`"


@pytest.mark.parametrize("edited", ["app/api/openapi.yaml", "app/api/openapi.json", "docs/postman.json"])
def test_an_edit_of_one_of_the_files_is_noticed(edited: str, tmp_path: Path) -> None:
    files = ("app/api/openapi.yaml", "app/api/openapi.json", "docs/postman.json")
    for name in (".ci/openapi.py", ".ci/postman.py", *files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    file = tmp_path / edited
    file.write_text(file.read_text().replace("Run a task", "Run a job"))
    assert make_openapi(tmp_path, "--check") == 1
    assert make_openapi(tmp_path) == 0
    assert make_openapi(tmp_path, "--check") == 0
