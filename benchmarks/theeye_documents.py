"""Make the documents and messages of the simulated TheEye (benchmarks/theeye.py)."""

import json
from typing import Any

CUSTOMER_ID = "5e0000000000000000000001"
CUSTOMER = "acme"
TIMES = "@times@"

TASK: dict[str, Any] = {
    "id": "0" * 24,
    "type": "script",
    "task_arguments": [],
    "timeout": 600000,
    "autoremove_completed_jobs": False,  # without a history limit the service delays no create
}
JOB: dict[str, Any] = {
    "order": 0,
    "creation_date": "2022-01-28T17:00:22.101Z",
    "last_update": "2022-01-28T17:00:22.690Z",
    "customer_id": CUSTOMER_ID,
    "customer_name": CUSTOMER,
    "name": "Rest API Response",
    "_type": "ScriptJob",
    "state": "in_progress",
    "lifecycle": "ready",
    "trigger_name": "success",
    "origin": "user",
    "task_id": TASK["id"],
    "task": TASK,
    "task_arguments_values": ["100"],
    "host_id": "5e00000000000000000000c1",
    "user_id": "5e00000000000000000000a1",
    "components": {},
    "next": {},
    "result": {},
    "output": None,
}
WORKFLOW: dict[str, Any] = {
    "name": "Two steps",
    "version": 2,
    "start_task_id": f"{0:024x}",
    "graph": {"nodes": [], "edges": [{"v": f"{0:024x}", "w": f"{1:024x}", "value": "success"}]},
    "customer_id": CUSTOMER_ID,
    "autoremove_completed_jobs": False,
}
PROFILE = {
    "principal": {"id": "5e00000000000000000000a1", "name": "Ada", "username": "ada", "email": "ada@example.org"},
    "organization": {"id": CUSTOMER_ID, "alias": None, "name": CUSTOMER, "display_name": "Acme"},
}


def task_id(milliseconds: int, output_bytes: int = 0) -> str:
    """Return the id of a task whose jobs have this duration and output size."""
    return f"61f3e937{milliseconds:08x}{output_bytes:08x}"


def dumps(value: Any) -> bytes:
    """Return JSON as TheEye writes it."""
    return json.dumps(value, separators=(",", ":")).encode()


def answer(body: bytes) -> bytes:
    """Return a whole HTTP answer with a body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def ended_job(output_bytes: int) -> list[bytes]:
    """Return the document of an ended job, split where its times belong, with an open end for its id."""
    output = {"times": TIMES, "padding": "x" * max(output_bytes - 70, 0)}
    lastline = dumps({"state": "success", "data": output}).decode()
    result = {
        "code": 0,
        "log": f"{lastline}\n",
        "lastline": lastline,
        "signal": None,
        "killed": False,
        "times": {"seconds": 0, "nanoseconds": 41000000},
        "output": output,
        "user": {"id": JOB["user_id"], "username": "ada", "email": "ada@example.org"},
    }
    ended = {"state": "success", "lifecycle": "finished", "result": result, "output": [dumps(output).decode()]}
    return open_end(JOB | ended).split(TIMES.encode())


def open_end(document: dict[str, Any]) -> bytes:
    """Return a document without its end; the id and the closing bracket have to be appended."""
    return dumps(document)[:-1] + b',"id":"'


def notification(job_id: bytes, topic: bytes) -> bytes:
    """Return the Redis command that publishes a job's end."""
    channel = b"%b:%b:%b" % (CUSTOMER_ID.encode(), topic, job_id)
    message = b'{"topic":"%b","id":"%b","data":{"operation":"update","organization":"%b",' % (
        topic,
        job_id,
        CUSTOMER.encode(),
    ) + b'"organization_id":"%b","model_id":"%b","model_type":"ScriptJob"}}' % (CUSTOMER_ID.encode(), job_id)
    parts = (b"PUBLISH", channel, message)
    return b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
