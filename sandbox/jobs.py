"""Make job documents, and change them when a job changes or ends."""

import itertools
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from sandbox.identity import CUSTOMERS, HOST_ID, USER_ID, who
from sandbox.log import MAX_DOCUMENT
from sandbox.outcome import last_line, read_last_line, stored_output, stored_size, stored_state
from sandbox.recipes import Task
from sandbox.script import Ended
from sandbox.store import Document
from sandbox.workflow_recipes import Workflow

SHOWN_OF_TOO_LARGE = 2000  # characters kept of a log that TheEye could not store

_PROCESS = secrets.token_hex(5)
_COUNTER = itertools.count(secrets.randbelow(1 << 23))
_TASK_KEYS = (
    "id",
    "name",
    "type",
    "task_arguments",
    "timeout",
    "autoremove_completed_jobs",
    "autoremove_completed_jobs_limit",
)


def new_id() -> str:
    """Return an id like MongoDB's, made of seconds, process and counter."""
    return f"{int(time.time()):08x}{_PROCESS}{next(_COUNTER) & 0xFFFFFF:06x}"


def now() -> str:
    """Return the current time in JavaScript's format."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_job(task: Task, customer: str, arguments: list[Any], lifecycle: str) -> Document:
    """Return the document of a new job; it belongs to the caller's organisation, even if the task does not."""
    created = now()
    return {
        "order": 0,
        "creation_date": created,
        "last_update": created,
        "customer_id": CUSTOMERS[customer],
        "customer_name": customer,
        "name": task.name,
        "_type": "DummyJob" if task.is_dummy else "ScriptJob",
        "state": "in_progress",
        "lifecycle": lifecycle,
        "trigger_name": None,
        "origin": "user",
        "secret": secrets.token_hex(20),
        "task_id": task.id,
        "task": {key: task.document[key] for key in _TASK_KEYS if key in task.document},
        "task_arguments_values": arguments,
        "host_id": HOST_ID,
        "user_id": USER_ID,
        "user": who(),
        "components": {},
        "next": {},
        "output": [],
        "id": new_id(),
    }


def failed_in_the_making(task: Task, customer: str, reason: str) -> Document:
    """Return the document of a job that fails while TheEye creates it; its output is a plain string."""
    job = new_job(task, customer, [], "terminated")
    del job["customer_id"]
    return {**job, "state": "error", "output": reason}


def new_run(workflow: Workflow, first: Document) -> Document:
    """Return a workflow's own job; no agent runs it, and its output stays empty."""
    kept = (
        "customer_id",
        "customer_name",
        "creation_date",
        "last_update",
        "origin",
        "user_id",
        "user",
        "task",
        "order",
    )
    return {
        **{key: first[key] for key in kept if key in first},
        "_type": "WorkflowJob",
        "name": workflow.name,
        "workflow_id": workflow.id,
        "workflow": workflow.id,
        "state": "in_progress",
        "lifecycle": "ready",
        "trigger_name": None,
        "acl": workflow.document["acl"],
        "result": {},
        "output": [],
        "id": new_id(),
    }


def as_step(job: Document, run: Document) -> Document:
    """Return a new job as a step of a workflow's run."""
    within = {"workflow_id": run["workflow_id"], "workflow_job_id": run["id"], "workflow_job": run["id"]}
    return {**job, **within, "acl": run["acl"]}


def end_run(run: Document, last: Document) -> None:
    """End a workflow's own job in the same way as its last step."""
    move(run, last["lifecycle"], last["state"])
    run["trigger_name"] = last["trigger_name"]


def move(job: Document, lifecycle: str, state: str) -> None:
    """Set a job's lifecycle and state."""
    job.update(lifecycle=lifecycle, state=state, last_update=now())


def finish_dummy(job: Document) -> None:
    """End a job of a dummy task: its arguments are its output."""
    move(job, "finished", "success")
    arguments = job["task_arguments_values"]
    job.update(trigger_name="success", result={"output": arguments}, output=stored_output(arguments))


def finish_script(job: Document, ended: Ended, default_state: str) -> None:
    """End a script's job by what the script printed; `default_state` applies if it printed no state."""
    line = last_line(ended.log)
    report = read_last_line(line, killed=ended.killed)
    if stored_size(ended.printed, line, report.output) > MAX_DOCUMENT:
        _end_too_large(job, ended)
        return
    state = "timeout" if ended.killed else stored_state(report, default_state)
    move(job, "finished" if state in ("success", "failure") else "terminated", state)
    details = report.details or {}
    event = details.get("event_name")
    job["trigger_name"] = event if isinstance(event, str) and event else _trigger(state)
    job.update({key: details[key] for key in ("components", "next") if isinstance(details.get(key), dict)})
    job["result"] = _result(ended, line, report.output)
    job["output"] = stored_output(report.output)


def fail(job: Document, message: str) -> None:
    """End a job that could not be run, with the message as its log."""
    move(job, "finished", "failure")
    log = f"{message}\n"
    ended = Ended(log, len(log), code=None, signal=None, killed=False, nanoseconds=0)
    job.update(trigger_name="failure", result=_result(ended, last_line(log), None), output=[])


def lose(job: Document, message: str) -> None:
    """End a job whose agent died, at once; TheEye waits for the task's timeout and another minute."""
    move(job, "terminated", "canceled")
    output = [message]
    job.update(trigger_name="canceled", result={"killed": True, "output": output}, output=stored_output(output))


def _end_too_large(job: Document, ended: Ended) -> None:
    """End a job that is too large for MongoDB, as TheEye does: as if the agent had not reported the end."""
    message = (
        f"The script printed {ended.printed} bytes. With its last line and its output too, the job is larger than "
        f"TheEye can store: {MAX_DOCUMENT} bytes (MongoDB's limit). TheEye would cancel it a minute after the task's "
        "timeout; the sandbox cancels it at once."
    )
    lose(job, message)
    job["result"]["log"] = f"{ended.log[:SHOWN_OF_TOO_LARGE]}\n[sandbox] {message}\n"


def cancel(job: Document) -> None:
    """Cancel a job; terminate it if an agent is running it."""
    move(job, "terminated" if job["lifecycle"] == "assigned" else "canceled", "canceled")
    user = who()
    job.update(trigger_name="canceled", result={"user": user, "output": [user]}, output=stored_output([user]))


def _trigger(state: str) -> str:
    return state if state in ("failure", "canceled") else "success"


def _result(ended: Ended, line: str, output: Any) -> Document:
    seconds, nanoseconds = divmod(ended.nanoseconds, 1_000_000_000)
    return {
        "code": ended.code,
        "log": ended.log,
        "lastline": line,
        "signal": ended.signal,
        "killed": ended.killed,
        "times": {"seconds": seconds, "nanoseconds": nanoseconds},
        "output": output,
        "user": who(),
    }
