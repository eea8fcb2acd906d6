"""Simulate TheEye's agent: run ready jobs, several at a time, and report their results."""

import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from sandbox import jobs
from sandbox.command import argument_text, command_line, environment, missing_interpreter
from sandbox.notify import Notifier
from sandbox.recipes import Task
from sandbox.script import Ended, Script
from sandbox.store import Document, Store

_logger = logging.getLogger(__name__)
_CANCELLABLE = ("ready", "onhold", "assigned")


class CannotRun(Exception):
    """Report a job that cannot be run on this machine; the message says why."""


class Agent:
    """Run and end jobs; every end of a job is stored and published by this class."""

    def __init__(self, store: Store, tasks: Mapping[str, Task], notifier: Notifier, at_once: int = 16) -> None:
        self._store = store
        self._tasks = tasks
        self._notifier = notifier
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="sandbox-agent")
        self._lock = threading.Lock()
        self._running: dict[str, Script] = {}
        self._stopping = False
        self.when_ended: Callable[[Document], None] = lambda job: None

    def start(self) -> None:
        """End the jobs that the last stop interrupted, and run the ready ones."""
        stopped = "The sandbox was stopped while this job was running."
        for job_id in self._store.jobs_in("assigned"):
            self._end(job_id, partial(jobs.lose, message=stopped))
        for job_id in self._store.jobs_in("ready"):
            self._submit(job_id)

    def stop(self) -> None:
        """Kill the running scripts; ready jobs stay for the next start."""
        with self._lock:
            self._stopping = True
            running = list(self._running.values())
        for script in running:
            script.kill()
        self._pool.shutdown(cancel_futures=True)

    def take(self, job: Document) -> None:
        """Run a ready job: a dummy at once, a script when a thread is free."""
        task = self._tasks.get(job["task_id"])
        if task is not None and task.is_dummy:
            self._end(job["id"], jobs.finish_dummy, ("ready",))
        else:
            self._submit(job["id"])

    def cancel(self, job_id: str) -> bool:
        """Cancel a job if its lifecycle allows that; return whether it was cancelled."""
        canceled = self._end(job_id, jobs.cancel, _CANCELLABLE)
        with self._lock:
            script = self._running.get(job_id)
        if script is not None:
            script.kill()
        return canceled

    def _submit(self, job_id: str) -> None:
        self._pool.submit(self._run, job_id).add_done_callback(_log_failure)

    def _run(self, job_id: str) -> None:
        try:
            self._execute(job_id)
        except CannotRun as error:
            self._end(job_id, partial(jobs.fail, message=str(error)))
        except Exception as error:
            _logger.exception("job %s broke the agent", job_id)
            message = f"The sandbox could not run this job: {error!r}"
            self._end(job_id, partial(jobs.fail, message=message))

    def _execute(self, job_id: str) -> None:
        script = Script()
        with self._lock:
            if self._stopping:
                return
            self._running[job_id] = script
        try:
            assign = partial(jobs.move, lifecycle="assigned", state="in_progress")
            job = self._store.change(job_id, ("ready",), assign)
            if job is not None:
                self._notifier.job_changed(job)
                self._finish(job, script)
        finally:
            with self._lock:
                del self._running[job_id]

    def _finish(self, job: Document, script: Script) -> None:
        task = self._tasks.get(job["task_id"])
        if task is None:
            raise CannotRun(f"The task {job['task_id']} does not exist any more.")
        if task.is_dummy:
            self._end(job["id"], jobs.finish_dummy)
            return
        ended = run_task(task, job["task_arguments_values"], script)
        # A stop leaves the job assigned: the next start reports it, as after a crash.
        if not self._stopping:
            self._end(job["id"], partial(jobs.finish_script, ended=ended, default_state=task.default_state))

    def _end(self, job_id: str, change: Callable[[Document], None], allowed: tuple[str, ...] = ("assigned",)) -> bool:
        job = self._store.change(job_id, allowed, change)
        if job is not None:
            self._notifier.job_changed(job)
            self._notifier.job_finished(job)
            self.when_ended(job)
        return job is not None


def run_task(task: Task, arguments: list[object], script: Script) -> Ended:
    """Run a task's script in a temporary folder. Raise CannotRun."""
    runas = str(task.document["script_runas"])
    env = environment(task.document["env"])
    if missing := missing_interpreter(runas, env):
        raise CannotRun(f"The interpreter {missing!r} is not installed on this machine (script_runas: {runas}).")
    # A process that left the script's process group may still write into the folder.
    with tempfile.TemporaryDirectory(prefix="sandbox-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        path = folder / task.filename
        path.write_bytes(task.script)
        path.chmod(0o700)
        texts = [argument_text(value, folder) for value in arguments]
        try:
            return script.run(command_line(runas, path, texts), env, folder, task.document["timeout"] / 1000)
        except (OSError, ValueError) as error:
            raise CannotRun(f"The script could not be started: {error}") from error


def _log_failure(future: "Future[None]") -> None:
    # The pool does not report exceptions of its threads.
    error = None if future.cancelled() else future.exception()
    if error is not None:
        _logger.error("the agent lost a job", exc_info=error)
