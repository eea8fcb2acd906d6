"""OpenAPI: what the bodies of the answers look like."""

from collections.abc import Mapping
from typing import Any

Node = dict[str, Any]

SUCCESS = '{"name":"tomer","date":"2022-01-28T17:00:22.676Z"}'
FAILURE: Node = {
    "message": "Validation Error. Invalid Argument Value",
    "statusCode": 418,
    "name": "ClientError",
    "code": "",
    "status": 418,
}
FAILURE_TEXT = (
    '{"message":"Validation Error. Invalid Argument Value","statusCode":418,"name":"ClientError",'
    '"code":"","status":418}'
)
JOB: Node = {
    "id": "61f42186c38201da80f9a001",
    "name": "Rest API Response",
    "customer_id": "5e0000000000000000000001",
    "customer_name": "acme",
    "task_id": "61f3e937c38201da80f96c27",
    "lifecycle": "finished",
    "state": "success",
    "output": [SUCCESS],
}
RESULT: Node = {
    "code": 0,
    "log": f'{{"state":"success","data":{SUCCESS}}}\n',
    "lastline": f'{{"state":"success","data":{SUCCESS}}}',
    "signal": None,
    "killed": False,
    "times": {"seconds": 0, "nanoseconds": 41000000},
}


def ref(name: str) -> Node:
    """A reference to a schema of this file."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(description: str, required: Mapping[str, Node], optional: Mapping[str, Node], closed: bool = True) -> Node:
    node = {"type": "object", "description": description, "required": list(required)}
    return node | {"properties": {**required, **optional}} | ({"additionalProperties": False} if closed else {})


_TEXT: Node = {"type": "string"}
_TEXT_OR_NULL: Node = {"type": ["string", "null"]}
_MOMENT: Node = {"type": "string", "format": "date-time"}

_ERROR = _object(
    "An answer that is not the job's own, in TheEye's shape.",
    {
        "message": {"type": "string", "description": "What happened, for a person; the wording may change."},
        "statusCode": {"type": "integer", "minimum": 202, "maximum": 599},
        "name": {"enum": ["Accepted", "ClientError", "ServerError"]},
        "code": {"type": "string", "description": "For a program; empty for 202 and where TheEye refused."},
        "status": {"type": "integer", "description": "The same as `statusCode`."},
    },
    {
        "value": {"description": "TheEye's own answer, without its stack traces."},
        "job": _object(
            "The job, where one exists, as last seen.",
            {"id": _TEXT, "lifecycle": _TEXT_OR_NULL, "state": _TEXT_OR_NULL},
            {},
        ),
        "result_url": {"type": "string", "description": "Where the answer can be fetched."},
        "formatter": {"type": "string", "description": "The mode that failed."},
    },
)

_READINESS: dict[str, Node] = {
    "degraded": {"type": "array", "items": _TEXT, "description": "What is down, in words."},
    "history_guard": {"enum": ["all processes", "one process", "off"]},
    "host": _object(
        "The server that runs the service, and what it can do.",
        {
            "server": {"type": "string", "description": "`gunicorn gevent`, `gunicorn threads`, `mod_wsgi`, …"},
            "disconnects": {"enum": ["seen", "not seen"]},
            "parallel": {"type": ["integer", "string"], "description": "Requests that one process takes at once."},
            "stopping": {"enum": ["waits are answered", "waits are cut"]},
        },
        {},
    ),
}

SCHEMAS: Node = {
    "Output": {
        "description": "The job's output as TheEye stores it: an array of strings, each perhaps JSON; in old documents "
        "anything, null where there is none.",
        "anyOf": [{"type": "array", "items": _TEXT}, {}],
        "examples": [[SUCCESS]],
    },
    "Job": _object(
        "The job document as TheEye's supervisor gives it. It holds the job's secret.",
        {"id": _TEXT, "lifecycle": _TEXT},
        {"state": _TEXT_OR_NULL, "task_id": _TEXT, "output": {}, "result": {}},
        closed=False,
    )
    | {"examples": [JOB]},
    "Result": {
        "description": "What the agent reported: code, log, lastline, times and so on; null where no agent did.",
        "examples": [RESULT],
    },
    "Parsed": {
        "description": "One output read as JSON; the whole output where that cannot be done.",
        "examples": [FAILURE],
    },
    "FromTheJob": {"description": "What the job wants, or a plugin makes of it."},
    "Error": _ERROR,
    "Unauthorized": {"const": "Unauthorized"},
    "Status": _object(
        "The original's status page.",
        {
            "status": {"const": "Node is ok."},
            "node_hostname": _TEXT,
            "node_uptime": _MOMENT | {"description": "When the machine started."},
            "process_uptime": _MOMENT | {"description": "When the process started."},
            "theeye_version": {"type": "string", "description": "This service's version."},
            "load_average": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
        },
        {},
    ),
    "Alive": _object("The process answers.", {"status": {"const": "ok"}}, {}),
    "Ready": _object("Tasks can be run.", {"status": {"const": "ready"}, **_READINESS}, {}),
    "NotReady": _object(
        "No task can be run: the supervisor cannot be reached, or the service is being stopped.",
        {"status": {"enum": ["unreachable", "stopping"]}, "degraded": _READINESS["degraded"]},
        {name: _READINESS[name] for name in ("history_guard", "host")},
    ),
    "Document": {"type": "object", "description": "An OpenAPI 3.1 document.", "required": ["openapi", "info", "paths"]},
}
