"""Check the answers of a service against its own OpenAPI document."""

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

from openapi_schema_validator import OAS31Validator

from app import Settings, create_app
from support.client import close
from support.processes import RawResponse

Node = dict[str, Any]

HTTPS_OWN = {"date", "server", "connection", "content-length", "content-type", "transfer-encoding"}
ERROR, UNAUTHORIZED = (f"#/components/schemas/{name}" for name in ("Error", "Unauthorized"))
ENDED_YET_OURS = {"EFORMATTER", "EJOBENDED", "EINTERNAL"}


class Contract:
    """Hold a document, and which parts of it the answers have shown."""

    def __init__(self, document: Node) -> None:
        self.document = document
        self.seen_headers: set[str] = set()
        self.seen_codes: set[tuple[str, int]] = set()

    def check(self, method: str, target: str, got: RawResponse, own: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        """Raise AssertionError unless status, headers and body are documented; `own` are the headers set by the job."""
        node = self.answer(method, target, got.status)
        self._check_headers(node.get("headers", {}), got, {name.lower() for name in own})
        assert (got.header("Cache-Control") is not None) == (method in ("GET", "HEAD"))
        if method == "HEAD" or "content" not in node or got.status in (204, 205, 304):
            assert got.body == b""
            return
        media_type = (got.header("Content-Type") or "").partition(";")[0]
        content = node["content"]
        assert media_type in content or "*/*" in content, f"{media_type} is not documented for {got.status}"
        if media_type == "application/json":
            self._check_body(content[media_type]["schema"], json.loads(got.body), got, method)

    def answer(self, method: str, target: str, status: int) -> Node:
        """Return the documented response for a status, or for its range."""
        path = target.partition("?")[0]
        known = next(
            known for known in self.document["paths"] if re.fullmatch(re.sub("{[a-z]+}", "[^/]+", known), path)
        )
        operation = self.document["paths"][known].get(method.lower())
        if operation is None:
            assert status == 405, f"{method} {known} is not documented"
            return self.document["components"]["responses"]["MethodNotAllowed"]  # type: ignore[no-any-return]
        responses = operation["responses"]
        found = responses.get(str(status)) or responses.get(f"{status // 100}XX")
        assert found, f"{method} {known} is not documented to answer {status}"
        return resolved(self.document, found)

    def _check_headers(self, documented: Node, got: RawResponse, own: set[str]) -> None:
        known = {name.lower(): resolved(self.document, node) for name, node in documented.items()}
        sent = {name.lower(): value for name, value in got.headers if name.lower() not in HTTPS_OWN | own}
        assert sent.keys() <= known.keys(), f"not documented: {sent.keys() - known.keys()}"
        required = {name for name, node in known.items() if node.get("required")}
        assert required <= sent.keys(), f"not sent: {required - sent.keys()}"
        for name, value in sent.items():
            self.validate(known[name]["schema"], value)
        self.seen_headers |= sent.keys()

    def _check_body(self, schema: Node, body: Any, got: RawResponse, method: str) -> None:
        """Check the body against the documented errors, or against the modes' answers if the job decided the status."""
        parts = schema.get("anyOf", [schema])
        errors = {code_of(self.document, part): part for part in parts if is_error(self.document, part)}
        code = body.get("code", "") if isinstance(body, dict) else ""
        if errors and (got.header("X-Job-State") is None or code in ENDED_YET_OURS):
            assert code in errors, f"{code} is not documented for {got.status}"
            assert not isinstance(body, dict) or body["statusCode"] == body["status"] == got.status
            self.seen_codes.add((code, got.status))
            self.validate(errors[code], body)
        else:
            others = [part for part in parts if part not in errors.values()]
            self.validate(others[0] if len(others) == 1 else {"anyOf": others}, body)

    def validate(self, schema: Node, value: Any) -> None:
        """Raise AssertionError unless the value fits a schema of the document."""
        validator = OAS31Validator({**schema, "components": self.document["components"]})
        assert not (wrong := [error.message for error in validator.iter_errors(value)]), wrong


@functools.cache
def document(**settings: Any) -> Node:
    """Return the document of a service with these settings; callers share it, so do not change it."""
    app = create_app(Settings(**settings))
    got = app.test_client().get("/openapi.json")
    close(app)
    assert got.status == "200 OK"
    assert isinstance(got.json, dict)
    return got.json


def resolved(document: Node, node: Node) -> Node:
    """Return the component that a reference names; return any other node unchanged."""
    if "$ref" not in node:
        return node
    _, _, kind, name = node["$ref"].split("/")
    return document["components"][kind][name]  # type: ignore[no-any-return]


def is_error(document: Node, schema: Node) -> bool:
    """Return whether a schema describes one of the service's own errors."""
    return schema["$ref"] == UNAUTHORIZED or resolved(document, schema).get("$ref") == ERROR


def code_of(document: Node, error: Node) -> str:
    """Return the code of an error's schema; empty for the string of 401."""
    found = resolved(document, error).get("properties", {}).get("code", {"const": ""})["const"]
    assert isinstance(found, str)
    return found


def responses_of(document: Node) -> Iterator[tuple[str, Node]]:
    """Yield every response with its status or range, also the one for a wrong method."""
    yield "405", document["components"]["responses"]["MethodNotAllowed"]
    for path in document["paths"].values():
        for operation in (node for name, node in path.items() if name != "parameters"):
            yield from ((status, resolved(document, node)) for status, node in operation["responses"].items())


def errors_of(document: Node, response: Node) -> Iterator[Node]:
    """Yield the schemas of the errors in a response, except the string of 401."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    for part in schema.get("anyOf", [schema] if schema else []):
        if is_error(document, part) and part["$ref"] != UNAUTHORIZED:
            yield resolved(document, part)


def documented_codes(document: Node) -> Iterator[tuple[str, int]]:
    """Yield every code of the document with its status; the range of TheEye's refusals counts as 400."""
    for status, response in responses_of(document):
        for error in errors_of(document, response):
            yield error["properties"]["code"]["const"], int(status.replace("XX", "00"))
