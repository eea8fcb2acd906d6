"""Simulate TheEye's supervisor: create, read and cancel jobs."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from sandbox import jobs
from sandbox.agent import Agent
from sandbox.arguments import WrongArguments, WrongPosition, argument_values, query_object
from sandbox.identity import CUSTOMER, customer_named, who
from sandbox.jsontext import dumps, loads
from sandbox.notify import Notifier
from sandbox.recipes import Task
from sandbox.store import Document, Store
from sandbox.web import Refused, answer, answer_text, error_body, session_customer

_ID = re.compile(r"[0-9a-fA-F]{24}")
_PARKED = ("onhold", "syncing")
_OTHERS = ("ready", "assigned", "locked", "started", "finished", "terminated", "canceled", "expired", "completed")


def supervisor(store: Store, tasks: Mapping[str, Task], agent: Agent, notifier: Notifier) -> Blueprint:
    """Return a blueprint with the supervisor's routes."""
    routes, views = Blueprint("supervisor", __name__), _Views(store, tasks, agent, notifier)
    routes.post("/<customer>/task/<task_id>/job")(views.create)
    routes.get("/<customer>/task")(views.list_tasks)
    routes.get("/<customer>/task/<task_id>")(views.read_task)
    routes.get("/<customer>/job/<job_id>")(views.read_job)
    routes.get("/<customer>/job/<job_id>/lifecycle")(views.read_lifecycle)
    routes.put("/<customer>/job/<job_id>/cancel")(views.cancel)
    routes.put("/job/<job_id>/synced")(views.synced)
    return routes


class _Views:
    """Answer the supervisor's routes."""

    def __init__(self, store: Store, tasks: Mapping[str, Task], agent: Agent, notifier: Notifier) -> None:
        self._store = store
        self._tasks = tasks
        self._agent = agent
        self._notifier = notifier

    def create(self, customer: str, task_id: str) -> Response:
        """Create a job."""
        owner = self._organization(customer)
        task = _find_task(self._tasks, task_id)  # TheEye runs the tasks of other organisations, too
        query, body = query_and_body()
        if task.workflow_id:
            job = jobs.failed_in_the_making(task, owner, "missing workflow job")
        else:
            job = new_job(task, owner, body, query)
        created = answer(job)
        self._store.add_job(job, task.history_limit)
        if job["lifecycle"] in ("ready", *_PARKED):  # a job that failed at its creation is not announced
            self._notifier.job_changed(job, "create")
        if job["lifecycle"] == "ready":
            self._agent.take(job)
            if task.is_dummy and (ended := self._store.job_text(job["id"])):  # TheEye's answer shows the ended job, too
                created = answer_text(ended)
        return _see_other(job["id"], query) if _wants_result(body, query) else created

    def list_tasks(self, customer: str) -> Response:
        """List the caller's tasks."""
        limit = request.args.get("limit", type=int)
        return answer([task.document for task in self._tasks_of(customer).values()][:limit])

    def read_task(self, customer: str, task_id: str) -> Response:
        """Show one of the caller's tasks."""
        return answer(_find_task(self._tasks_of(customer), task_id).document)

    def read_job(self, customer: str, job_id: str) -> Response:
        """Show a job."""
        self._organization(customer)
        return answer_text(find_job(self._store.job_text, job_id))

    def read_lifecycle(self, customer: str, job_id: str) -> Response:
        """Show a job's lifecycle."""
        self._organization(customer)
        return answer(find_job(self._store.lifecycle, job_id))

    def cancel(self, customer: str, job_id: str) -> Response:
        """Cancel a job; the answer does not tell if that had an effect."""
        self._organization(customer)
        find_job(self._store.lifecycle, job_id)
        self._agent.cancel(job_id.lower())
        return Response(status=204)

    def synced(self, job_id: str) -> Response:
        """Make a job ready that was created in the lifecycle `syncing`."""
        self._authorize()
        lifecycle = find_job(self._store.lifecycle, job_id)
        job = self._store.change(job_id, ("syncing",), lambda job: jobs.move(job, "ready", "in_progress"))
        if job is None:
            raise Refused(400, f"job lifecycle must be syncing. {lifecycle} is set")
        self._notifier.job_changed(job)
        self._agent.take(job)
        return answer("ok")

    def _authorize(self) -> str:
        session = session_customer(self._store)
        if session is None:
            raise Refused(401, "Unauthorized")
        return session

    def _organization(self, name: str) -> str:
        session = self._authorize()
        customer = customer_named(name)
        if customer is None:
            raise Refused(404, "organization not found")
        if customer != session:
            raise Refused(409, error_body(409, "the session belongs to another organization"))
        return customer

    def _tasks_of(self, customer: str) -> Mapping[str, Task]:
        return self._tasks if self._organization(customer) == CUSTOMER else {}


def _find_task(among: Mapping[str, Task], task_id: str) -> Task:
    task = among.get(checked_id(task_id, "task").lower())
    if task is None:
        raise Refused(404, "task not found")
    return task


def find_job(read: Callable[[str], str | None], job_id: str) -> str:
    """Return the text that a function reads of a job. Raise Refused."""
    value = read(checked_id(job_id, "job"))
    if value is None:
        raise Refused(404, "job not found")
    return value


def checked_id(identifier: str, kind: str) -> str:
    """Return an id if its form is valid. Raise Refused."""
    if not _ID.fullmatch(identifier):
        raise Refused(400, f"{kind} id is invalid")
    return identifier


def query_and_body() -> tuple[dict[str, Any], Any]:
    """Return the request's query and body, parsed as TheEye does. Raise Refused."""
    return query_object(request.args.items(multi=True)), _body()


def _body() -> Any:
    if request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return query_object(request.form.items(multi=True)) or None
    data = request.get_data()
    if not data.strip():
        return None
    try:
        return loads(data.decode("utf-8"))
    except ValueError as error:
        raise Refused(400, {"code": "InvalidContent", "message": f"Invalid JSON: {error}"}) from error


def _option(name: str, body: Any, query: dict[str, Any]) -> Any:
    value = body.get(name) if isinstance(body, dict) else None
    return query.get(name) if value is None else value


def new_job(task: Task, customer: str, body: Any, query: dict[str, Any]) -> Document:
    """Return a new job, which may have failed already. Raise Refused."""
    lifecycle, assignee = _lifecycle(body, query), _assignee(body, query)
    try:
        job = jobs.new_job(task, customer, argument_values(task, body, query), lifecycle)
    except WrongArguments as error:
        raise Refused(400, error_body(400, str(error))) from error
    except WrongPosition:
        return jobs.failed_in_the_making(task, customer, "InvalidTaskArguments")
    return job if assignee is None else {**job, "assigned_users": assignee}


def _lifecycle(body: Any, query: dict[str, Any]) -> str:
    wanted = _option("lifecycle", body, query)
    if wanted is not None and wanted not in (*_PARKED, *_OTHERS):
        raise Refused(400, error_body(400, "Invalid lifecycle"))
    return wanted if wanted in _PARKED else "ready"


def _assignee(body: Any, query: dict[str, Any]) -> list[str] | None:
    """Return the users who may see the job; None if the caller names none. Raise Refused."""
    wanted = _option("assignee", body, query)
    if wanted is not None and not (isinstance(wanted, list) and all(user in who().values() for user in wanted)):
        raise Refused(400, error_body(400, "Invalid assignee"))
    return wanted


def _wants_result(body: Any, query: dict[str, Any]) -> bool:
    return _option("wait_result", body, query) in (True, "true")


def _see_other(job_id: str, query: dict[str, Any]) -> Response:
    response = answer_text(dumps({}), 303)
    rest = urlencode(query, doseq=True)
    response.headers["Location"] = f"/job/{job_id}/result" + (f"?{rest}" if rest else "")
    return response
