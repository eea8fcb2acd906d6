"""Simulate the routes for workflows of TheEye's supervisor."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from sandbox.identity import CUSTOMER, customer_named
from sandbox.recipes import Task
from sandbox.store import Document, Store
from sandbox.supervisor import checked_id, find_job, new_job, query_and_body
from sandbox.web import Refused, answer, session_customer
from sandbox.workflow_recipes import Workflow
from sandbox.workflow_runs import WorkflowRuns


def workflows(store: Store, known: Mapping[str, Workflow], runs: WorkflowRuns) -> Blueprint:
    """Return a blueprint with the routes for workflows."""
    routes, views = Blueprint("workflows", __name__, url_prefix="/workflows"), _Views(store, known, runs)
    routes.get("/")(views.list_workflows)
    routes.get("/<workflow_id>")(views.read_workflow)
    routes.post("/<workflow_id>/job")(views.create)
    routes.get("/<workflow_id>/job/<job_id>")(views.read_run)
    routes.get("/<workflow_id>/job/<job_id>/jobs")(views.read_steps)
    routes.put("/<workflow_id>/job/<job_id>/cancel")(views.cancel)
    return routes


class _Views:
    """Answer the routes for workflows; every caller with a token counts as an administrator."""

    def __init__(self, store: Store, known: Mapping[str, Workflow], runs: WorkflowRuns) -> None:
        self._store = store
        self._known = known
        self._runs = runs

    def list_workflows(self) -> Response:
        """List the caller's workflows."""
        mine = self._known.values() if self._customer() == CUSTOMER else []
        return answer([workflow.document for workflow in mine][: request.args.get("limit", type=int)])

    def read_workflow(self, workflow_id: str) -> Response:
        """Show one of the caller's workflows."""
        return answer(self._find(workflow_id).document)

    def create(self, workflow_id: str) -> Response:
        """Start a run."""
        workflow = self._find(workflow_id)
        query, body = query_and_body()
        first = new_job(_first_task(workflow, body, query), self._customer(), body, query)
        return answer(self._runs.create(workflow, first))

    def read_run(self, workflow_id: str, job_id: str) -> Response:
        """Show a run's own job."""
        return answer(self._find_run(workflow_id, job_id))

    def read_steps(self, workflow_id: str, job_id: str) -> Response:
        """List the jobs of a run's tasks, the oldest first."""
        run = self._find_run(workflow_id, job_id)
        if run["_type"] != "WorkflowJob":
            raise Refused(400, "A workflow job is required")
        return answer(self._store.steps_of(run["id"]))

    def cancel(self, workflow_id: str, job_id: str) -> Response:
        """Cancel the newest job of a run."""
        if not self._runs.cancel(self._find_run(workflow_id, job_id)):
            raise Refused(400, "cannot cancel job. its lifecycle does not allow the transition")
        return Response()

    def _customer(self) -> str:
        """Return the caller's organisation. The query must name the same one."""
        session = session_customer(self._store)
        if session is None or customer_named(request.args.get("customer", session)) != session:
            raise Refused(401, "Unauthorized")
        return session

    def _find(self, workflow_id: str) -> Workflow:
        customer, workflow = self._customer(), self._known.get(checked_id(workflow_id, "workflow").lower())
        if workflow is None:
            raise Refused(404, "workflow not found")
        if customer != CUSTOMER:
            raise Refused(401, "Unauthorized")
        return workflow

    def _find_run(self, workflow_id: str, job_id: str) -> Document:
        workflow = self._find(workflow_id)
        run: Document = json.loads(find_job(self._store.job_text, job_id))
        if run.get("workflow_id") != workflow.id:
            raise Refused(400, "The job does not belong to the workflow")
        return run


def _first_task(workflow: Workflow, body: Any, query: dict[str, Any]) -> Task:
    """Return the task to start with; a caller may name any task of the workflow."""
    named = body.get("task") if isinstance(body, dict) else None
    named = query.get("task") if named is None else named
    if named is None:
        return workflow.first
    if not isinstance(named, str) or named not in workflow.tasks:
        raise Refused(404, "task not found")
    return workflow.tasks[named]
