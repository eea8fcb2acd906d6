"""Make the OpenAPI 3.1 document: openapi.yaml, adapted to the modes and settings of this service.

People edit openapi.yaml; `make openapi` writes openapi.json from it, so that the service needs no YAML parser.
"""

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from app.health.status import our_version
from app.settings import Settings
from formatters import Mode

Node = dict[str, Any]

# The schemas of the built-in modes' answers in openapi.yaml; any other mode, like `response`, can answer with anything.
_SCHEMAS = {"output": "Output", "parse": "Parsed", "response": "FromTheJob", "full": "Job", "result": "Result"}
_BY_STATE = frozenset({"output", "full", "result"})  # the modes in which the job's state alone decides the status
_JSON, _ANY_TYPE = "application/json", "*/*"


def document(modes: Sequence[Mode], settings: Settings) -> Node:
    """Return the document for these settings and modes; the modes are in order of precedence."""
    found: Node = json.loads(files(__package__).joinpath("openapi.json").read_bytes())
    _fill_in(found, settings)
    _merge_parameters(found, modes)
    _merge_answers(found, modes)
    if all(map(_state_decides, modes)):
        _remove_chosen(found)
    return found


def _fill_in(found: Node, settings: Settings) -> None:
    """Fill in the version, the limits, the ways to send a token, and whether every origin is allowed."""
    info, components = found["info"], found["components"]
    info["version"] = our_version()
    info["description"] = info["description"].format(
        wait_seconds=f"{settings.wait_seconds:g}",
        max_waiting=settings.max_waiting,
        max_body=settings.max_body,
        max_job=settings.max_job,
    )
    components["parameters"]["wait"]["schema"]["default"] = f"{settings.wait_seconds:g}"
    if not settings.query_token:
        found["security"].remove({"access_token": []})
        del components["securitySchemes"]["access_token"]
    if "*" not in settings.cors_origins:
        del components["headers"]["Access-Control-Allow-Origin"]["required"]


def _merge_parameters(found: Node, modes: Sequence[Mode]) -> None:
    """Replace the parameters of the built-in modes by those of these modes, in order of precedence."""
    built_in = [_ref("parameters", name) for name in _SCHEMAS]
    selecting = [node for mode in modes for node in _parameters(mode)]
    for operation in _operations(found):
        given = operation.get("parameters", [])
        others = [node for node in given if node not in built_in]
        if len(others) < len(given):
            operation["parameters"] = [*selecting, *others]
    for name in _disabled(modes):
        found["components"]["parameters"].pop(name, None)


def _parameters(mode: Mode) -> list[Node]:
    """Return a parameter for each name that selects the mode."""
    if _is_built_in(mode):
        return [_ref("parameters", query) for query in mode.queries]
    shared = {"description": _description(mode), "allowEmptyValue": True, "schema": {"type": "string"}, "example": ""}
    return [{"name": query, "in": "query", **shared} for query in mode.queries]


def _description(mode: Mode) -> str:
    """Return the first line of the formatter's docstring, what decides the status, and what else selects the mode."""
    words = type(mode.formatter).__doc__
    first = words.strip().partition("\n")[0].rstrip(".") if isinstance(words, str) and words.strip() else mode.name
    types = ", ".join(f"`Accept: {media_type}`" for media_type in mode.media_types)
    also = f" Also chosen by {types}." if types else ""
    return f"Mode `{mode.name}`: {first}. Status: the job's or the mode's own, else the job's state decides it.{also}"


def _merge_answers(found: Node, modes: Sequence[Mode]) -> None:
    """Keep only the schemas, media types and examples that answers in these modes can have."""
    schemas = found["components"]["schemas"]
    schemas["Answer"]["anyOf"] = _schemas(modes)
    schemas["ChosenAnswer"]["anyOf"] = _schemas([mode for mode in modes if not _state_decides(mode)])
    media_types = [media_type for mode in modes for media_type in mode.media_types]
    if _ref("schemas", "FromTheJob") in schemas["Answer"]["anyOf"]:
        media_types.append(_ANY_TYPE)
    for content in _contents(found):
        anything = content.pop(_ANY_TYPE, None)
        if anything is not None:
            content.update(dict.fromkeys(media_types, anything))
        for name in _disabled(modes):
            content[_JSON].get("examples", {}).pop(name, None)


def _remove_chosen(found: Node) -> None:
    """Remove the answers whose status the job chooses, for a service without a mode that allows it."""
    del found["components"]["schemas"]["ChosenAnswer"], found["components"]["responses"]["Chosen"]
    for content in _contents(found):
        schema = content[_JSON]["schema"]
        if "anyOf" in schema:
            schema["anyOf"] = [node for node in schema["anyOf"] if node != _ref("schemas", "ChosenAnswer")]
    for operation in _operations(found):
        responses = operation["responses"]
        for status in [status for status in responses if status.endswith("XX") and "$ref" in responses[status]]:
            del responses[status]


def _operations(found: Node) -> Iterator[Node]:
    for path in found["paths"].values():
        yield from (operation for name, operation in path.items() if name != "parameters")


def _contents(found: Node) -> Iterator[Node]:
    """Yield the content (bodies by media type) of each response that has one."""
    holders = [found["components"], *_operations(found)]
    responses = [response for holder in holders for response in holder["responses"].values()]
    yield from (response["content"] for response in responses if "content" in response)


def _schemas(modes: Sequence[Mode]) -> list[Node]:
    names = [_SCHEMAS[mode.name] if _is_built_in(mode) else "FromTheJob" for mode in modes]
    return [_ref("schemas", name) for name in dict.fromkeys(names)]


def _disabled(modes: Sequence[Mode]) -> set[str]:
    return _SCHEMAS.keys() - {mode.name for mode in modes if _is_built_in(mode)}


def _state_decides(mode: Mode) -> bool:
    return _is_built_in(mode) and mode.name in _BY_STATE


def _is_built_in(mode: Mode) -> bool:
    return mode.plugin == "built in" and mode.name in _SCHEMAS


def _ref(kind: str, name: str) -> Node:
    return {"$ref": f"#/components/{kind}/{name}"}
