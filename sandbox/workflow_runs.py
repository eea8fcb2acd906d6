"""Run workflows: create each job when the job before it has ended, and end the run when no job is left."""

import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from sandbox import jobs
from sandbox.agent import Agent
from sandbox.arguments import WrongArguments, WrongPosition, argument_values
from sandbox.notify import Notifier
from sandbox.recipes import Task
from sandbox.store import Document, Store
from sandbox.workflow_recipes import Workflow

_logger = logging.getLogger(__name__)
# also a cancelled run, if one of its branches continued
_CHANGED_AT_THE_END = ("ready", "onhold", "terminated", "canceled")


class WorkflowRuns:
    """Continue each run from job to job, in one thread, so that two branches cannot end a run twice."""

    def __init__(self, store: Store, workflows: Mapping[str, Workflow], agent: Agent, notifier: Notifier) -> None:
        self._store = store
        self._workflows = workflows
        self._agent = agent
        self._notifier = notifier
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sandbox-workflows")
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        """Continue the runs whose jobs ended just before the last stop."""
        for job in self._store.unsettled_steps():
            if job["state"] != "error":  # see `next_job`
                self.job_ended(job)

    def stop(self) -> None:
        """Create no more jobs; the next start continues after those that have ended."""
        with self._lock:
            self._stopping = True
        self._thread.shutdown(cancel_futures=True)

    def create(self, workflow: Workflow, first: Document) -> Document:
        """Start a run with its first job; return the run's own job."""
        run = jobs.new_run(workflow, first)
        step = jobs.as_step(first, run) | {"id": jobs.new_id()}  # after its run's, as TheEye makes them
        self._store.add_run(run, step, workflow.history_limit)
        self._notifier.job_changed(run, "create")
        self._begin(step)
        return run

    def cancel(self, run: Document) -> bool:
        """Cancel only the newest job of a run, as TheEye does; return whether it was cancelled."""
        newest = self._store.newest_step(run["id"])
        if newest is None or not self._agent.cancel(newest):
            return False
        self._store.change(run["id"], ("ready", "onhold"), partial(jobs.move, lifecycle="terminated", state="canceled"))
        return True

    def job_ended(self, job: Document) -> None:
        """Continue the run of an ended job, if the job is a step of one."""
        with self._lock:
            if "workflow_job_id" in job and not self._stopping:
                self._thread.submit(self._go_on, job).add_done_callback(_log_failure)

    def _go_on(self, job: Document) -> None:
        workflow = self._workflows.get(job["workflow_id"])
        run = self._store.job_text(job["workflow_job_id"])
        if workflow is None or run is None:
            return
        followers = workflow.followers(job["task_id"], job["trigger_name"])
        steps = [jobs.as_step(next_job(task, job), json.loads(run)) for task in followers]
        is_over = self._store.settle(job["id"], steps)
        for step in steps:
            self._begin(step)
        if is_over:
            self._end(job)

    def _begin(self, step: Document) -> None:
        self._notifier.job_changed(step, "create")
        if step["lifecycle"] == "ready":
            self._agent.take(step)

    def _end(self, last: Document) -> None:
        run = self._store.change(last["workflow_job_id"], _CHANGED_AT_THE_END, partial(jobs.end_run, last=last))
        if run is not None:
            self._notifier.job_changed(run)
            self._notifier.job_finished(run)


def next_job(task: Task, before: Document) -> Document:
    """Return the job that follows another one, with that one's output as its arguments."""
    customer: str = before["customer_name"]
    output: list[Any] = before["output"]
    try:
        return jobs.new_job(task, customer, argument_values(task, output, {}), "ready")
    except (WrongArguments, WrongPosition):
        # TheEye does not announce that such a job has ended, and its run never ends
        failed = jobs.failed_in_the_making(task, customer, "InvalidTaskArguments")
        return failed | {"customer_id": before["customer_id"]}


def _log_failure(future: "Future[None]") -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        _logger.error("a workflow lost its next job", exc_info=error)
