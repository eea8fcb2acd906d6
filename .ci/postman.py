"""Make a Postman collection (format 2.1) from the OpenAPI document, without HEAD and OPTIONS.

Postman's own converter needs Node, and makes an example of every answer.
"""

import json
from collections.abc import Iterator
from typing import Any

Node = dict[str, Any]

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
METHODS = ("get", "post", "delete")
TAGS = ("jobs", "service")
KEPT = (
    "if (pm.response.headers.has('X-Job-Id')) pm.collectionVariables.set('job', pm.response.headers.get('X-Job-Id'));"
)
VALUES = {"url": "http://127.0.0.1:6090", "token": "demo-token"}  # what `make run` serves
KEY = "Idempotency-Key"


def collection(document: Node) -> Node:
    """Return the collection, with a folder for each tag and a variable for each path parameter."""
    operations = list(_operations(document))
    names = [name["name"] for _, _, _, parameters in operations for name in parameters if name["in"] == "path"]
    examples = {name: document["components"]["parameters"][name]["example"] for name in dict.fromkeys(names)}
    folders = {tag: [_item(*each) for each in operations if tag in each[2]["tags"]] for tag in TAGS}
    return {
        "info": {"name": document["info"]["title"], "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [{"key": name, "value": value} for name, value in {**VALUES, **examples}.items()],
        "item": [{"name": tag, "item": items} for tag, items in folders.items()],
    }


def _operations(document: Node) -> Iterator[tuple[str, str, Node, list[Node]]]:
    """Yield path, method, operation and parameters."""
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                given = [*operations.get("parameters", []), *operation.get("parameters", [])]
                yield path, method, operation, [_resolved(document, node) for node in given]


def _resolved(document: Node, node: Node) -> Node:
    found: Node = document["components"]["parameters"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def _item(path: str, method: str, operation: Node, parameters: list[Node]) -> Node:
    request: Node = {
        "method": method.upper(),
        "url": _url(path, parameters),
        "header": [_optional(each) for each in parameters if each["in"] == "header"],
        "description": operation.get("description", ""),
    }
    if operation.get("security") == []:
        request["auth"] = {"type": "noauth"}
    item = {"name": operation["summary"], "request": request}
    if "requestBody" in operation:
        example = operation["requestBody"]["content"]["application/json"]["example"]
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        request["body"] = {"mode": "raw", "raw": json.dumps(example), "options": {"raw": {"language": "json"}}}
        item["event"] = [{"listen": "test", "script": {"type": "text/javascript", "exec": [KEPT]}}]
    return item


def _url(path: str, parameters: list[Node]) -> Node:
    segments = path.strip("/").replace("{", "{{").replace("}", "}}")
    query = [_optional(each) for each in parameters if each["in"] == "query" and each["name"] != "arguments"]
    return {"raw": "{{url}}/" + segments, "host": ["{{url}}"], "path": segments.split("/"), "query": query}


def _optional(parameter: Node) -> Node:
    """Return a header or query parameter, switched off because it is optional."""
    value = "{{$guid}}" if parameter["name"] == KEY else str(parameter.get("example", ""))
    description = parameter.get("description", "")
    return {"key": parameter["name"], "value": value, "disabled": True, "description": description}
