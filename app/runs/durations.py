"""Remember how long the last runs of each task took, so that callers can be told how long a run takes.

Each process has its own memory. With Redis, a thread merges those of all processes; no request waits for that. A run is
identified by its job's id, so it counts once, however often it is read or merged. Redis has an entry for a task only
after one of its jobs has ended.
"""

import hashlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from time import monotonic, time
from typing import NamedTuple

from app.runs.redis_scripts import RedisScripts, RedisUnavailable
from app.theeye.jobs import Job
from app.theeye.steps import date
from app.waiter.redis_names import PREFIX
from app.waiter.ticker import Ticker

RUNS = 20  # the newest runs of a task are remembered
LEAST = 3  # runs that are needed for an expectation
TASKS = 2000  # at most so many tasks are remembered, in 4 kB each; the least recently used one is dropped
MERGE_SECONDS = 10.0  # the least time between two merges of a task
KEPT_MS = 30 * 24 * 3600 * 1000  # Redis deletes an entry after this time without a merge
NOT_RUN = frozenset({"canceled", "expired", "error", "in_progress"})  # lifecycles and states of jobs that were cut off

log = logging.getLogger("theeye_sync.durations")


class _Run(NamedTuple):
    """Hold the end of a run in seconds since 1970, and its duration in seconds; runs are ordered by their end."""

    end: float
    seconds: float


@dataclass(slots=True)
class _Task:
    """Hold the newest runs of a task by job id; `is_due` means that this process or Redis may have new runs."""

    runs: dict[str, _Run] = field(default_factory=dict)
    is_due: bool = True
    merged_at: float = float("-inf")

    def keep(self, job_id: str, run: _Run) -> None:
        """Add a run; drop the oldest one if there are too many."""
        self.runs[job_id] = run
        if len(self.runs) > RUNS:
            del self.runs[min(self.runs, key=self.runs.__getitem__)]


class Durations:
    """Learn durations from ended jobs, and tell the expected duration of the next one."""

    def __init__(self, scripts: RedisScripts | None) -> None:
        """Start empty; the thread starts with the first task, which comes after any fork."""
        self._lock = threading.Lock()
        self._tasks: OrderedDict[str, _Task] = OrderedDict()
        merge_all = partial(self._merge_all, scripts) if scripts else None
        self._merger = Ticker("theeye-sync-durations", merge_all, MERGE_SECONDS) if merge_all else None

    def recall(self, customer_id: str, task: str) -> None:
        """Let the thread read a task's runs from Redis if the task is new; call this for tasks that exist only."""
        name = _name(customer_id, task)
        if name not in self._tasks:
            with self._lock:
                self._task(name)
            if self._merger is not None:
                self._merger.hurry()

    def learn(self, customer_id: str, task: str, job: Job, seconds: float | None = None) -> None:
        """Remember how long a job took: `seconds` measured by its request, else the difference of TheEye's dates.

        Ignore a job that has not ended, did not run, or has no dates.
        """
        run = _Run(time(), seconds) if seconds is not None else _run_of(job)
        if run is None or not job.has_ended or NOT_RUN & {job.lifecycle, job.state}:
            return
        job_id = job.id.encode(errors="backslashreplace").decode()  # Redis takes no lone surrogates
        with self._lock:
            known = self._task(_name(customer_id, task))
            if job_id in known.runs:
                return
            known.keep(job_id, run)
            known.is_due = True
        self._ensure_merging()

    def expected(self, customer_id: str, task: str) -> float | None:
        """Return the median of the last runs in seconds, or None if too few are known."""
        with self._lock:
            known = self._task(_name(customer_id, task))
            known.is_due = True  # other processes may know more runs now
            seconds = [run.seconds for run in known.runs.values()]
        self._ensure_merging()
        return round(median(seconds), 3) if len(seconds) >= LEAST else None

    def _task(self, name: str) -> _Task:
        known = self._tasks.get(name)
        if known is None:
            known = self._tasks[name] = _Task()
        self._tasks.move_to_end(name)
        if len(self._tasks) > TASKS:
            self._tasks.popitem(last=False)
        return known

    def _ensure_merging(self) -> None:
        if self._merger is not None:
            self._merger.ensure_running()

    def _merge_all(self, scripts: RedisScripts) -> None:
        latest = monotonic() - MERGE_SECONDS
        with self._lock:
            due = [(name, task) for name, task in self._tasks.items() if task.is_due and task.merged_at <= latest]
        try:
            for name, task in due:
                self._merge(scripts, name, task)
        except RedisUnavailable as error:
            log.debug("durations were not merged: %s", error)

    def _merge(self, scripts: RedisScripts, name: str, task: _Task) -> None:
        """Merge the runs of a task with those in Redis. Raise RedisUnavailable."""
        with self._lock:
            task.is_due, task.merged_at = False, monotonic()
            ours = [text for job_id, run in task.runs.items() for text in (job_id, f"{run.seconds:.3f}", str(run.end))]
        try:
            found = scripts.run("durations_merge", [_key(name)], [RUNS, KEPT_MS, *ours])
        except RedisUnavailable:
            task.is_due = True
            raise
        with self._lock:
            for run, end in zip(found[::2], found[1::2], strict=True):
                seconds, _, job_id = run.decode().partition(" ")
                task.keep(job_id, _Run(float(end), float(seconds)))


def _run_of(job: Job) -> _Run | None:
    """Return the run of an ended job by the dates in its document, or None without both dates."""
    began, end = date(job.created), date(job.document.get("last_update"))
    return _Run(end, end - began) if began is not None and end is not None and end > began else None


def _name(customer_id: str, task: str) -> str:
    return f"{customer_id}:{task.lower()}"


def _key(name: str) -> str:
    """Return the task's name in Redis: a hash, which hides the customer and the task."""
    return f"{PREFIX}:durations:{hashlib.sha256(name.encode(errors='backslashreplace')).hexdigest()}"
