"""Holds what a service sends against its own OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from openapi_schema_validator import OAS31Validator
from servers import RawResponse

Node = dict[str, Any]

HTTPS_OWN = {"date", "server", "connection", "content-length", "content-type", "transfer-encoding"}
ERRORS = {"#/components/schemas/Error", "#/components/schemas/Unauthorized"}
ENDED_YET_OURS = {"EFORMATTER", "EJOBENDED", "EINTERNAL"}


class Contract:
    """A document, and what of it has been seen."""

    def __init__(self, document: Node) -> None:
        self.document = document
        self.seen_headers: set[str] = set()
        self.seen_codes: set[tuple[str, int]] = set()

    def check(self, method: str, target: str, got: RawResponse, own: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        """AssertionError unless status, headers and body are documented; `own`: headers that the job itself set."""
        node = self.answer(method, target, got.status)
        self._check_headers(node.get("headers", {}), got, {name.lower() for name in own})
        if method == "HEAD" or "content" not in node or got.status in (204, 205, 304):
            assert got.body == b""
            return
        media_type = (got.header("Content-Type") or "").partition(";")[0]
        content = node["content"]
        assert media_type in content or "*/*" in content, f"{media_type} is not documented for {got.status}"
        if media_type == "application/json":
            self._check_body(content[media_type]["schema"], json.loads(got.body), got)

    def answer(self, method: str, target: str, status: int) -> Node:
        """What is documented for a status, by itself or by its range."""
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
        return found  # type: ignore[no-any-return]

    def _check_headers(self, documented: Node, got: RawResponse, own: set[str]) -> None:
        known = {name.lower(): self._resolved(node) for name, node in documented.items()}
        sent = {name.lower(): value for name, value in got.headers if name.lower() not in HTTPS_OWN | own}
        assert sent.keys() <= known.keys(), f"not documented: {sent.keys() - known.keys()}"
        required = {name for name, node in known.items() if node.get("required")}
        assert required <= sent.keys(), f"not sent: {required - sent.keys()}"
        for name, value in sent.items():
            self.validate(known[name]["schema"], value)
        self.seen_headers |= sent.keys()

    def _check_body(self, schema: Node, body: Any, got: RawResponse) -> None:
        """Against the errors, or against the modes' answers, by who made the status."""
        parts = schema.get("anyOf", [schema])
        errors = [part for part in parts if part.get("$ref") in ERRORS]
        code = body.get("code") if isinstance(body, dict) else None
        if errors and (got.header("X-Job-State") is None or code in ENDED_YET_OURS):
            [schema] = errors
            self.seen_codes.add((code or "", got.status))
        else:
            others = [part for part in parts if part not in errors]
            schema = others[0] if len(others) == 1 else {"anyOf": others}
        self.validate(schema, body)

    def validate(self, schema: Node, value: Any) -> None:
        """AssertionError unless the value is what one of the document's schemas says."""
        validator = OAS31Validator({**schema, "components": self.document["components"]})
        assert not (wrong := [error.message for error in validator.iter_errors(value)]), wrong

    def _resolved(self, node: Node) -> Node:
        name = node.get("$ref", "").rpartition("/")[2]
        return self.document["components"]["headers"][name] if name else node  # type: ignore[no-any-return]


def documented_codes(document: Node) -> Iterator[tuple[str, int]]:
    """Every code of the document with its status, wherever it stands; the range of TheEye's refusals as 400."""
    answers = [("405", document["components"]["responses"]["MethodNotAllowed"])]
    for path in document["paths"].values():
        for operation in (node for name, node in path.items() if name != "parameters"):
            answers += operation["responses"].items()
    for status, answer in answers:
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        for part in schema.get("anyOf", [schema]):
            for code in part.get("properties", {}).get("code", {}).get("enum", ()):
                yield code, int(status.replace("XX", "00"))
