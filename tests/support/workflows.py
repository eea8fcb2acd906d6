"""Simulate workflows: graphs of tasks whose jobs follow each other automatically, or when a test says so.

theeye.task(FIRST, delay=None)
theeye.workflow(tasks=[FIRST, SECOND])          a chain; `edges` makes any other graph
theeye.finish()                                 FIRST's job ends, SECOND's begins, and so on to the workflow's own

theeye.workflow(tasks=[FIRST, SECOND], by_hand=True)
theeye.follow(SECOND)                           nothing but this starts a next job
theeye.finish(workflow_job, state="failure")    and nothing but this ends the workflow's own
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar

from support.faults import Answer, Call, dumps
from support.jobs import ACME, HEX_ID, Job, Plan, Refused, Session, find_arguments, find_options, find_token

WORKFLOW = "61f3e937c38201da80f97000"
FIRST, SECOND, THIRD = (f"61f3e937c38201da80f9700{number}" for number in (1, 2, 3))
WORKFLOW_JOB = f"/acme/workflow/{WORKFLOW}/job"
ADMIN = replace(ACME, credential="admin")
_JOB = r"/workflows/(?P<workflow>[^/]+)/job/(?P<job>[^/]+)"
ROUTES = [
    ("workflows", "GET", re.compile(r"/workflows")),
    ("workflow", "GET", re.compile(r"/workflows/(?P<workflow>[^/]+)")),
    ("workflow_create", "POST", re.compile(r"/workflows/(?P<workflow>[^/]+)/job")),
    ("workflow_read", "GET", re.compile(_JOB)),
    ("workflow_jobs", "GET", re.compile(_JOB + "/jobs")),
    ("workflow_cancel", "PUT", re.compile(_JOB + "/cancel")),
]
Edge = tuple[str, str, str]  # a task, the event of its end, and the task that follows


@dataclass(frozen=True)
class Workflow(Plan):
    """Hold the outcome of a workflow's jobs; see StandIn.workflow."""

    job_type: ClassVar = "WorkflowJob"
    topic: ClassVar = "workflow-job-finished"

    edges: tuple[Edge, ...] = ()
    tasks: tuple[str, ...] = ()
    version: int | None = 2
    by_hand: bool = False
    shown: dict[str, Any] = field(default_factory=dict)

    def successors(self, task_id: str, event: str) -> list[str]:
        return [after for before, name, after in self.edges if (before, name) == (task_id, event)]

    def workflow_document(self) -> dict[str, Any]:
        owner = self.owner or ACME
        document = self.task_document() | {
            "_type": "Workflow",
            "graph": self._graph() if self.version == 2 else self._graph_of_events(),
            "start_task_id": self.tasks[0],
            "first_task_id": self.tasks[0],
            "acl": [owner.email],
            "customer_id": owner.customer_id,
        }
        if self.version is not None:
            document["version"] = self.version
        return {key: document[key] for key in document.keys() - {"type", "task_arguments", "timeout"}} | self.shown

    def _graph(self) -> dict[str, Any]:
        edges = [{"v": before, "w": after, "value": name} for before, name, after in self.edges]
        return _graph([_node(task_id, "ScriptTask") for task_id in self.tasks], edges)

    def _graph_of_events(self) -> dict[str, Any]:
        """The first version's form: an event is a node between two tasks."""
        events = {(before, name): f"{number:024x}" for number, (before, name, _) in enumerate(self.edges, 1)}
        nodes = [_node(task_id, "ScriptTask") for task_id in self.tasks]
        nodes += [_node(event_id, "TaskEvent", name=name) for (_, name), event_id in events.items()]
        edges = [{"v": before, "w": event_id} for (before, _), event_id in events.items()]
        edges += [{"v": events[before, name], "w": after} for before, name, after in self.edges]
        return _graph(nodes, edges)


class Workflows:
    """Simulate the routes for workflows; a base class of StandIn."""

    tokens: dict[str, Session]
    _changed: threading.Condition
    _jobs: dict[str, Job]
    _plans: dict[str, Plan]
    _workflow_plans: dict[str, Workflow]

    # -- what a test programs -----------------------------------------------------------------------

    def workflow(
        self,
        workflow_id: str = WORKFLOW,
        *,
        tasks: Sequence[str] = (FIRST, SECOND),
        edges: Sequence[Edge] | None = None,
        version: int | None = 2,
        by_hand: bool = False,
        notify: bool = True,
        history: int | None = None,
        owner: Session | None = None,
        name: str = "Two steps",
        **shown: Any,
    ) -> None:
        """Set the jobs of this workflow's runs that are started from now on.

        tasks      the steps, the first one first; how their jobs come out is `task`'s to say
        edges      (task, "success" or "failure" or another trigger_name, next task); None: a chain of successes
        version    2, or another or None: the workflow's own job never ends by itself, and nobody tells that it has
        by_hand    nothing follows by itself: see `follow`, and `finish` for the workflow's own job
        notify     False: the notifications about the workflow's own job are lost
        history    delete the ended runs beyond the newest so many; None: never
        owner      whose workflow it is; None: everybody's, and shown as acme's
        shown      more fields of the workflow's document
        """
        chain = [(before, "success", after) for before, after in pairwise(tasks)]
        ended = {"state": "success", "lifecycle": "finished", "trigger_name": "success"}
        workflow = Workflow(
            workflow_id,
            None,
            ended,
            None,
            None,
            False,
            notify,
            history,
            owner,
            name,
            edges=tuple(chain if edges is None else edges),
            tasks=tuple(tasks),
            version=version,
            by_hand=by_hand,
            shown=shown,
        )
        with self._changed:
            self._workflow_plans[workflow_id] = workflow
        for number, task_id in enumerate(tasks, 1):
            if task_id not in self._plans:
                self.task(task_id, name=f"Step {number}")

    def follow(self, task_id: str, workflow_job: str | None = None) -> str:
        """Start the next job of a workflow's run (None: the newest), and return its id."""
        with self._changed:
            parent = self._jobs[workflow_job or [*self._runs()][-1].id]
            job = self._add_step(parent, task_id, [])
        self._start_job(job, Answer())
        return job.id

    def steps(self, workflow_job: str) -> list[dict[str, Any]]:
        """Return the documents of the jobs of a workflow's run, the oldest first."""
        with self._changed:
            return [job.document for job in self._steps_of(self._jobs[workflow_job])]

    def wait_for_steps(self, workflow_job: str, count: int) -> list[dict[str, Any]]:
        """Wait for a number of jobs of a workflow's run, and return them."""
        return self._wait(lambda: self.steps(workflow_job), count, "steps", 30.0)

    # -- the calls ----------------------------------------------------------------------------------

    def _enter_workflows(self, call: Call) -> Session:
        session = self.tokens.get(find_token(call))
        customer = dict(call.query).get("customer", session.customer if session else None)
        if not session or customer != session.customer:
            raise Refused(401, "Unauthorized")
        return session

    def _find_workflow(self, call: Call) -> tuple[Session, Workflow]:
        session, workflow_id = self._enter_workflows(call), call.names["workflow"].lower()
        if not HEX_ID.fullmatch(workflow_id):
            raise Refused(400, "workflow id is invalid")
        workflow = self._workflow_plans.get(workflow_id)
        if workflow is None:
            raise Refused(404, "workflow not found")
        if not self._is_of(workflow, session):
            raise Refused(401, "Unauthorized")
        return session, workflow

    def _is_of(self, workflow: Workflow, session: Session) -> bool:
        return workflow.owner is None or workflow.owner.customer_id == session.customer_id

    def _find_run(self, call: Call) -> Job:
        session, workflow = self._find_workflow(call)
        job = self._jobs.get(call.names["job"])
        if job is None or job.session.customer_id != session.customer_id:
            raise Refused(404, "job not found")
        if job.document.get("workflow_id") != workflow.task_id:
            raise Refused(400, "Job does not belong to the Workflow")
        return job

    def _workflows(self, call: Call) -> Answer:
        session = self._enter_workflows(call)
        seen = [workflow for workflow in self._workflow_plans.values() if self._is_of(workflow, session)]
        return Answer(body=dumps([workflow.workflow_document() for workflow in seen]))

    def _workflow(self, call: Call) -> Answer:
        _, workflow = self._find_workflow(call)
        return Answer(body=dumps(workflow.workflow_document()))

    def _workflow_create(self, call: Call) -> Answer:
        session, workflow = self._find_workflow(call)
        if session.credential == "viewer":
            raise Refused(403, {"statusCode": 403, "message": "forbidden"})
        options = find_options(call)
        start = options.get("task", workflow.tasks[0])
        if start not in workflow.tasks:
            raise Refused(404, "task not found")
        with self._changed:
            parent = self._add_run(session, workflow)
            job = self._add_step(parent, start, find_arguments(call), options.get("lifecycle", "ready"))
            self._trim_runs(workflow)
        answer = Answer(body=dumps(parent.document))
        self._start_job(job, answer)
        return answer

    def _workflow_read(self, call: Call) -> Answer:
        job = self._find_run(call)
        return Answer(body=dumps(job.document) if job.raw is None else job.raw)

    def _workflow_jobs(self, call: Call) -> Answer:
        job = self._find_run(call)
        if not isinstance(job.plan, Workflow):
            raise Refused(400, "A workflow job is required")
        return Answer(body=dumps(self.steps(job.id)))

    def _workflow_cancel(self, call: Call) -> Answer:
        """Cancel the newest job only, and say of the workflow's job what may not be so."""
        run = self._find_run(call)
        if self._enter_workflows(call).credential != "admin":
            raise Refused(403, {"statusCode": 403, "message": "forbidden"})
        with self._changed:
            newest = self._steps_of(run)[-1]
            before = newest.document["lifecycle"]
            if not newest.cancel():
                raise Refused(400, f'cannot cancel job. current state lifecycle "{before}" does not allow it')
            run.document = run.document | {"lifecycle": "terminated", "state": "canceled"}
            self._changed.notify_all()
        return Answer(after=lambda: self._tell_end(newest))

    # -- the run ------------------------------------------------------------------------------------

    def _runs(self, workflow_id: str | None = None) -> list[Job]:
        runs = [job for job in self._jobs.values() if isinstance(job.plan, Workflow)]
        return [job for job in runs if workflow_id in (None, job.plan.task_id)]

    def _steps_of(self, run: Job) -> list[Job]:
        return [job for job in self._jobs.values() if job.parent is run]

    def _add_run(self, session: Session, workflow: Workflow) -> Job:
        run = self._add_job(session, workflow, "ready", [])
        first = self._plans[workflow.tasks[0]].task_document()
        no_task = {name: value for name, value in run.document.items() if not name.startswith("task")}
        run.document = no_task | {"workflow_id": workflow.task_id, "workflow": workflow.task_id, "task": first}
        run.document |= {"output": [], "acl": [session.email]}
        self._publish_change(run, "workflow-job-crud", operation="create")
        return run

    def _add_step(self, parent: Job, task_id: str, arguments: list[Any], lifecycle: str = "ready") -> Job:
        return self._add_job(parent.session, self._plans[task_id], lifecycle, arguments, parent)

    def _trim_runs(self, workflow: Workflow) -> None:
        """As the supervisor does it: the oldest go whose jobs have all ended, with these jobs."""
        if workflow.history is None:
            return
        runs = self._runs(workflow.task_id)
        old = [run for run in runs if all(job.has_ended for job in self._steps_of(run))]
        for run in old[: max(0, len(runs) - workflow.history)]:
            for job in (run, *self._steps_of(run)):
                self._jobs.pop(job.id, None)

    def _go_on(self, job: Job) -> None:
        """After the end of a step: start what follows it, or end the run."""
        run = job.parent
        if run is None or not isinstance(run.plan, Workflow) or run.plan.by_hand or run.id not in self._jobs:
            return
        with self._changed:
            event = job.document.get("trigger_name") or job.document["state"]
            follow = run.plan.successors(job.plan.task_id, event)
            steps = [self._add_step(run, task_id, job.document["output"] or []) for task_id in follow]
            job.settled = True
            over = run.plan.version == 2 and all(step.settled for step in self._steps_of(run))
            if over:
                self._end_run(run, job)
        for step in steps:
            self._start_step(step)
        if over:
            self._tell_end(run)

    def _start_step(self, step: Job) -> None:
        started = Answer()
        self._start_job(step, started)
        if started.after:
            started.after()

    def _end_run(self, run: Job, last: Job) -> None:
        told = {name: last.document[name] for name in ("lifecycle", "state")}
        run.document = run.document | {"trigger_name": last.document.get("trigger_name", told["state"]), **told}
        self._changed.notify_all()


def _node(identifier: str, kind: str, **more: str) -> dict[str, Any]:
    return {"v": identifier, "value": {"_type": kind, "id": identifier, **more}}


def _graph(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> dict[str, Any]:
    return {"options": {"directed": True, "multigraph": False, "compound": False}, "nodes": nodes, "edges": edges}
