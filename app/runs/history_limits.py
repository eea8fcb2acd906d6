"""Know how many ended jobs TheEye keeps of each task."""

import logging
from collections.abc import Mapping
from math import inf
from typing import Any

LIMIT = "autoremove_completed_jobs_limit"
DEFAULT_LIMIT = 5  # TheEye's
TASKS = 10_000  # whose limits are remembered at the most

log = logging.getLogger("theeye_sync.history")


class Limits:
    """Remember how many ended jobs each task keeps, as last seen in a document of TheEye's."""

    def __init__(self, enough: int) -> None:
        """Know none yet; a task that keeps at least `enough` jobs needs no guard."""
        self._enough = enough
        self._known: dict[str, int | None] = {}
        self._advised: set[str] = set()

    def get(self, task: str) -> int | None:
        """Return the limit to guard; None where there is nothing to guard."""
        return self._known.get(task, DEFAULT_LIMIT)

    def learn(self, task: str, document: Mapping[str, Any]) -> None:
        """Take the limit from a task, or from a job with its task inside; ignore a document that names none."""
        for source in (document, document.get("task")):
            if isinstance(source, Mapping) and (kept := _kept_jobs(source)) is not None:
                self._keep(task, int(kept) if kept < self._enough else None)
                return
        if LIMIT in document:  # null, which TheEye takes for its default
            self._keep(task, DEFAULT_LIMIT)

    def _keep(self, task: str, limit: int | None) -> None:
        if len(self._known) >= TASKS and task not in self._known:
            self._known.clear()
        self._known[task] = limit

    def advise(self, task: str, limit: int) -> None:
        """Advise the operator, once for each task whose callers had to queue."""
        if task not in self._advised:
            self._advised.add(task)
            log.warning(
                "callers of task %s queue, because TheEye keeps only its newest %d jobs: "
                "raise its autoremove_completed_jobs_limit",
                task,
                limit,
            )


def _kept_jobs(document: Mapping[str, Any]) -> float | None:
    """Return how many ended jobs TheEye keeps by a document; None where it does not say."""
    limit = document.get(LIMIT)
    if document.get("autoremove_completed_jobs") is False:
        return inf
    if not isinstance(limit, int) or isinstance(limit, bool):
        return None
    return limit or DEFAULT_LIMIT if limit >= 0 else inf  # as TheEye does: 0 is its default, below it deletes nothing
