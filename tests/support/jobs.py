"""Define the sessions, tasks and jobs of the stand-in, and its messages about them."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from support.faults import Answer, Call, dumps

ENDED = {"finished", "terminated", "canceled", "expired", "completed"}
KEPT = {"ready", "assigned", "onhold", "syncing", "locked"}
HEX_ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class Session:
    """Hold the user of a token, and the customer it belongs to."""

    customer_id: str
    customer: str
    user_id: str = "5e00000000000000000000a1"
    username: str = "ada"
    email: str = "ada@example.org"
    credential: str = "user"

    def long_form(self) -> dict[str, Any]:
        customer = {"id": self.customer_id, "name": self.customer}
        current = {**customer, "display_name": self.customer.title(), "config": {}}
        return {**self._user(), "credential": self.credential, "customers": [customer], "current_customer": current}

    def scopes_form(self, scopes: list[str]) -> dict[str, Any]:
        organization = {"id": self.customer_id, "alias": None, "name": self.customer}
        forms = {"principal": self._user(), "organization": organization | {"display_name": self.customer.title()}}
        return {scope: forms[scope] for scope in scopes if scope in forms}

    def _user(self) -> dict[str, Any]:
        return {"id": self.user_id, "name": "Ada", "username": self.username, "email": self.email}


ACME = Session("5e0000000000000000000001", "acme")
BETA = Session("5e0000000000000000000002", "beta", user_id="5e00000000000000000000b1", username="bob")


@dataclass(frozen=True)
class Plan:
    """Hold the outcome of a task's jobs; see StandIn.task."""

    job_type: ClassVar = "ScriptJob"
    topic: ClassVar = "job-finished"  # of the notification about a job's end

    task_id: str
    delay: float | None
    ended: dict[str, Any]
    document: dict[str, Any] | None
    raw: bytes | None
    early: bool
    notify: bool
    history: int | None
    owner: Session | None
    name: str = "Rest API Response"

    def task_document(self) -> dict[str, Any]:
        # without a limit the service's history guard delays nothing
        limits: dict[str, Any] = {"autoremove_completed_jobs": self.history is not None}
        if self.history is not None:
            limits |= {"autoremove_completed_jobs_limit": self.history}
        return {
            "id": self.task_id,
            "name": self.name,
            "type": "script",
            "task_arguments": [],
            "timeout": 600000,
            **limits,
        }


@dataclass
class Job:
    """Hold a created job; `document` is replaced, never changed in place."""

    id: str
    session: Session
    plan: Plan
    document: dict[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    parent: Job | None = None  # the workflow's job, of a job that is one of its steps
    settled: bool = False  # what follows this step has been started

    @property
    def has_ended(self) -> bool:
        return self.document["lifecycle"] in ENDED

    def end(self, **changes: Any) -> None:
        """End the job as its plan says."""
        ended = self.plan.ended
        document = self.document | ended
        if (given := self.plan.document) is not None:
            filled = {"lifecycle": ended["lifecycle"], "state": ended["state"], "id": self.id}
            document = given | {name: value for name, value in filled.items() if name not in given}
        self.document = copy.deepcopy(document | changes)
        self.raw = self.plan.raw

    def cancel(self) -> bool:
        """Cancel as the supervisor does: only a job that waits or is assigned. Return whether it was cancelled."""
        outcomes = {"ready": "canceled", "onhold": "canceled", "assigned": "terminated"}
        lifecycle = outcomes.get(self.document["lifecycle"])
        if lifecycle:
            who = dumps({"user": {"username": self.session.username}}).decode()
            self.document = self.document | {"lifecycle": lifecycle, "state": "canceled", "output": [who]}
        return lifecycle is not None


class Refused(Exception):
    """Refuse a call as TheEye does."""

    def __init__(self, status: int, body: Any) -> None:
        self.answer = Answer(status, dumps(body))


def find_token(call: Call) -> str:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else dict(call.query).get("access_token", "")


def find_options(call: Call) -> dict[str, Any]:
    """Return the options that change how a job is run; the service's callers must not set them."""
    body = json.loads(call.body) if call.body else None
    return dict(call.query) | (body if isinstance(body, dict) else {})


def find_arguments(call: Call) -> list[Any]:
    """Return the task's arguments, found as the supervisor does."""
    query = [(name.removesuffix("[]"), value) for name, value in call.query if name != "access_token"]
    listed = [value for name, value in query if name == "task_arguments"]
    body = json.loads(call.body) if call.body else None
    if isinstance(body, dict) and "task_arguments" in body:
        return list(body["task_arguments"])
    if listed or isinstance(body, list):
        return listed or list(body or [])
    return [body if body is not None else dict(query)]


def created_document(job: Job, number: int, lifecycle: str, arguments: list[Any]) -> dict[str, Any]:
    """Return the document of a new job."""
    within = {} if job.parent is None else {"workflow_id": job.parent.plan.task_id, "workflow_job_id": job.parent.id}
    return {
        "order": number,
        "creation_date": "2022-01-28T17:00:22.101Z",
        "last_update": "2022-01-28T17:00:22.101Z",
        "customer_id": job.session.customer_id,
        "customer_name": job.session.customer,
        "name": job.plan.name,
        "_type": job.plan.job_type,
        "state": "in_progress",
        "lifecycle": lifecycle,
        "origin": "user",
        "secret": "77e0c0ffee",
        "task_id": job.plan.task_id,
        "task": job.plan.task_document(),
        "task_arguments_values": arguments,
        "user_id": job.session.user_id,
        "components": {},
        "next": {},
        "result": {},
        "output": None,
        "id": job.id,
        **within,
    }


def agent_result(output: Any) -> dict[str, Any]:
    """Return the agent's report about a script that printed this output."""
    lastline = dumps({"state": "success", "data": output}).decode()
    return {
        "code": 0,
        "log": f"{lastline}\n",
        "lastline": lastline,
        "signal": None,
        "killed": False,
        "times": {"seconds": 0, "nanoseconds": 41000000},
        "output": output,
        "user": {"id": ACME.user_id, "username": ACME.username, "email": ACME.email},
    }


def finished_channel(session: Session, job_id: str, topic: str = "job-finished") -> str:
    return f"{session.customer_id}:{topic}:{job_id}"


def notification(
    session: Session, job_id: str, topic: str = "job-finished", model_type: str = "ScriptJob", operation: str = "update"
) -> dict[str, Any]:
    """Return a message about a job, which does not contain the job."""
    data = {
        "operation": operation,
        "organization": session.customer,
        "organization_id": session.customer_id,
        "model_id": job_id,
        "model_type": model_type,
    }
    return {"topic": topic, "id": f"event-{job_id}", "data": data}
