"""Test the pages: the files that they need are served, and no others."""

import re
from collections.abc import Callable
from importlib.util import find_spec

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api import pages


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/console", "/console/", "/"])
def test_every_file_that_a_page_names_is_there(path: str, client: FlaskClient) -> None:
    page = client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.mimetype) == (200, "text/html")
    policy = page.headers["Content-Security-Policy"]
    assert {"script-src 'self'", "frame-ancestors 'none'"} < set(policy.split("; "))
    assert "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert named[0] == ("../" if path in ("/docs/", "/console/") else "./"), "the base of all others"
    with client.get("/console/console.js") as script:
        named += [f"console/{name}" for name in re.findall(r'from "./([a-z.]+)"', script.text)]
    for name in named[1:]:
        assert "//" not in name
        with client.get(f"/{name}") as found:
            assert found.status_code == 200, name
    assert not re.search(r"<script(?![^>]* src=)|<style| on\w+=", page.text), "nothing inline"


@pytest.mark.parametrize(
    "path", ["/docs/index.html", "/docs/oauth2-redirect.html", "/docs/../settings.py", "/docs/docs.html"]
)
def test_no_other_file_is_reachable(path: str, client: FlaskClient) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/docs/docs.js", "/docs/swagger-ui.css", "/console", "/console/console.js"])
def test_the_pages_can_be_switched_off(path: str, make_app: Callable[..., Flask]) -> None:
    answer = make_app(docs=False, console=False).test_client().get(path)
    assert (answer.status_code, answer.json["message"]) == (404, f"{path} not found")


@pytest.mark.parametrize(
    ("accept", "off", "pages"),
    [
        ("*/*", {}, "/console and /docs and /openapi.json"),
        ("application/json", {"docs": False}, "/console and /openapi.json"),
        ("application/json, text/html;q=0.5", {}, "/console and /docs and /openapi.json"),
        ("text/html;q=0", {}, "/console and /docs and /openapi.json"),
        ("text/html", {"console": False}, "/docs and /openapi.json"),
    ],
)
def test_the_root_is_the_console_for_browsers_alone(
    accept: str, off: dict[str, bool], pages: str, make_app: Callable[..., Flask]
) -> None:
    answer = make_app(**off).test_client().get("/", headers={"Accept": accept})
    assert (answer.status_code, answer.json["message"]) == (404, f"/ not found; look at {pages}")


def test_without_the_extra_it_names_it(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_spec("flask_swagger_ui") is not None
    monkeypatch.setattr(pages, "_VIEWER", "flask_swagger_ui_that_is_missing")
    answer = client.get("/docs")
    assert (answer.status_code, answer.json["code"]) == (404, "ENOTFOUND")
    assert "pip install 'theeye-sync[docs]'" in answer.json["message"]
    assert 'data-words="api" hidden' in client.get("/console").text
    assert client.get("/openapi.json").status_code == 200
