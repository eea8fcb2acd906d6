"""Remember how many ended jobs TheEye keeps of each task."""

import logging
from collections.abc import Mapping
from math import inf
from typing import Any

LIMIT = "autoremove_completed_jobs_limit"
DEFAULT_LIMIT = 5  # TheEye's
TASKS = 10_000  # limits are remembered for at most so many tasks

log = logging.getLogger("theeye_sync.history")


class Limits:
    """Remember how many ended jobs each task keeps, from the last document of TheEye that names it."""

    def __init__(self, enough: int) -> None:
        """Start empty; a task that keeps at least `enough` jobs needs no guard."""
        self._enough = enough
        self._known: dict[str, int | None] = {}
        self._advised: set[str] = set()

    def get(self, task: str) -> int | None:
        """Return the limit to guard, or None if there is nothing to guard."""
        return self._known.get(task, DEFAULT_LIMIT)

    def learn(self, task: str, document: Mapping[str, Any]) -> None:
        """Read the limit from a task, or from a job that contains its task; ignore a document without a limit."""
        kept, inner = _kept_jobs(document), document.get("task")
        if kept is None and isinstance(inner, dict):
            kept = _kept_jobs(inner)
        if kept is not None:
            self._keep(task, int(kept) if kept < self._enough else None)
        elif LIMIT in document:  # null means TheEye's default
            self._keep(task, DEFAULT_LIMIT)

    def _keep(self, task: str, limit: int | None) -> None:
        if len(self._known) >= TASKS and task not in self._known:
            self._known.clear()
        self._known[task] = limit

    def advise(self, task: str, limit: int) -> None:
        """Log a warning, once for each task or workflow whose callers had to queue."""
        if task not in self._advised:
            self._advised.add(task)
            log.warning(
                "callers of %s %s queue, because TheEye keeps only its newest %d jobs: "
                "raise its autoremove_completed_jobs_limit",
                "workflow" if "/" in task else "task",  # see Runnable.name
                task,
                limit,
            )


def _kept_jobs(document: Mapping[str, Any]) -> float | None:
    """Return how many ended jobs TheEye keeps according to a document, or None if it does not say."""
    limit = document.get(LIMIT)
    if document.get("autoremove_completed_jobs") is False:
        return inf
    if not isinstance(limit, int) or isinstance(limit, bool):
        return None
    # As in TheEye: 0 means the default, a negative limit deletes nothing.
    return limit or DEFAULT_LIMIT if limit >= 0 else inf
