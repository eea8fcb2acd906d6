"""Determine when a workflow's job is over: when no step runs and TheEye has set its final lifecycle.

TheEye sets that only for workflows of its second version (`version: 2`). The job of a workflow of the first version
keeps its first lifecycle. It counts as over when no step runs, and

- the graph demands no other step: for each event that has ended a step, its next tasks are among the steps;
- else SETTLE_SECONDS after a wait has seen the last change, since an event of the graph may be switched off;
- or, for a request that does not wait, OLD_SECONDS after the end of the last step by TheEye's date.

These rules also serve for two other kinds of job:

- TheEye has set the end although the graph demands another step. It does so too early if the first task ends at once
  (see `_is_stuck`), and also after a cancel.
- TheEye has not set the end for STUCK_SECONDS after the end of all paths. So the service does not wait for a task that
  TheEye starts later than that (`grace_time`).
"""

from time import monotonic, time

from app.theeye.graph import Graph
from app.theeye.jobs import Job
from app.theeye.steps import Steps, date

SETTLE_SECONDS = 3.0  # shorter than the time for which a wait polls after the end of a step
OLD_SECONDS = 60.0
STUCK_SECONDS = 10.0


def is_over(own: Job, steps: Steps, old_is_enough: bool) -> bool:
    """Return whether the job is over: no step runs or will follow. `old_is_enough` is for a job not seen before."""
    if steps.running:
        return False
    if own.has_ended and not (steps.awaited if own.was_canceled else steps.lacking):
        return True
    if not steps.all or not (own.has_ended or steps.silent):
        return own.has_ended
    ended = date(steps.last.get("last_update"))
    is_old = old_is_enough and ended is not None and time() - ended > OLD_SECONDS
    return is_old or not steps.awaited or has_settled(steps)


def is_silent(graph: Graph, steps: Steps) -> bool:
    """Return whether TheEye sets and announces no end of the job."""
    return not graph.tells_end or _is_stuck(graph, steps) or any(step.was_not_started for step in steps.all)


def has_settled(steps: Steps) -> bool:
    """Return whether no step has started or ended for SETTLE_SECONDS."""
    return _is_quiet(steps, SETTLE_SECONDS)


def _is_stuck(graph: Graph, steps: Steps) -> bool:
    """Return whether TheEye should have set the end long ago.

    It sets the end when its count of running paths is 0, but begins to count only after it has started the first task,
    which may have ended by then (`setActivePaths` in its core/service/job/index.js).
    """
    have_all_ended = bool(graph.tasks and steps.all) and not steps.running and not steps.awaited
    return have_all_ended and _is_quiet(steps, STUCK_SECONDS)


def _is_quiet(steps: Steps, seconds: float) -> bool:
    """Return whether no step has started or ended for so long."""
    return monotonic() - steps.changed_at > seconds
