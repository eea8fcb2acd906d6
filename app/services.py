"""Assemble what all requests of one process share."""

import logging
import os
from dataclasses import dataclass

from app.health.probes import Probe
from app.health.readiness import Readiness
from app.runs.durations import Durations
from app.runs.history import HistoryGuard, Queue
from app.runs.history_limits import Limits
from app.runs.history_local import LocalQueue
from app.runs.history_redis import RedisQueue
from app.runs.idempotency import Keys
from app.runs.redis_scripts import RedisScripts
from app.runs.runs import Runs
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.metrics_folder import FOLDER_VARIABLE, reserve_space
from app.theeye.callers import TASK, WORKFLOW
from app.theeye.gateway import Gateway
from app.theeye.runner import Runners, TaskRunner
from app.theeye.sessions import Sessions
from app.theeye.supervisor import Supervisor
from app.theeye.workflows import WorkflowRunner
from app.waiter.answers import Answers
from app.waiter.bodies import Bodies
from app.waiter.cancellations import Cancellations
from app.waiter.clients import Clients
from app.waiter.job_waiter import JobWaiter
from app.waiter.notifications import Notifications
from app.waiter.permits import Permits
from app.waiter.redis_notifications import make_notifications
from app.waiter.request_slots import RequestSlots
from formatters import Registry

EXTENSION = "theeye_sync"  # the name of the Services among Flask's extensions

log = logging.getLogger("theeye_sync")


@dataclass(frozen=True, slots=True)
class Services:
    """Hold the parts of the service, for views and gunicorn's hooks."""

    settings: Settings
    formatters: Registry
    sessions: Sessions
    supervisor: Supervisor
    runners: Runners
    request_slots: RequestSlots
    waiter: JobWaiter
    runs: Runs
    durations: Durations
    answers: Answers
    bodies: Bodies
    cancellations: Cancellations
    health: Readiness
    metrics: Metrics | None = None

    def stop(self, most: float = float("inf")) -> None:
        """Report `stopping`, end every wait within SYNC_GRACE_SECONDS or `most` seconds, and send pending cancels."""
        self.health.stop()
        self.waiter.end_all(min(self.settings.grace_seconds, most))
        self.cancellations.all_now()


def assemble(settings: Settings) -> Services:
    """Make all parts and connect them to each other; open no network connection yet."""
    metrics = _metrics(settings)
    gateway, supervisor = Gateway(settings, metrics), Supervisor(settings, metrics)
    runners: Runners = {TASK: TaskRunner(supervisor), WORKFLOW: WorkflowRunner(supervisor)}
    notifications = make_notifications(settings.redis_url, metrics.listener if metrics else None)
    scripts = RedisScripts(settings.redis_url) if settings.redis_url else None
    waiter = JobWaiter(runners, notifications, Clients(), Permits(settings.max_looks), metrics)
    durations, most = Durations(scripts), settings.waiting_of_customer
    formatters = Registry(settings.disabled_formatters, settings.plugins)
    return Services(
        settings=settings,
        formatters=formatters,
        sessions=Sessions(gateway, settings.session_ttl, metrics, most),
        supervisor=supervisor,
        runners=runners,
        request_slots=RequestSlots(settings.max_waiting, most, metrics),
        waiter=waiter,
        runs=_runs(settings, runners, waiter, notifications, scripts, durations),
        durations=durations,
        answers=Answers(settings.max_answer_bytes),
        bodies=Bodies(settings.max_body),
        cancellations=Cancellations(runners, notifications),
        health=Readiness(settings, *_probes(gateway, supervisor), notifications, formatters.failures, scripts),
        metrics=metrics,
    )


def _metrics(settings: Settings) -> Metrics | None:
    """Return the metrics for Prometheus, or None if they are off or there is no folder or no room for them."""
    if not settings.metrics_bind:
        return None
    if FOLDER_VARIABLE not in os.environ:
        log.warning("SYNC_METRICS_BIND needs gunicorn with this service's gunicorn.conf.py: there are no metrics")
        return None
    try:
        reserve_space()
    except OSError as error:
        log.warning("this process is not in the metrics, their directory cannot be written: %s", error.strerror)
        return None
    return Metrics()


def _probes(gateway: Gateway, supervisor: Supervisor) -> tuple[Probe, Probe]:
    return Probe("gateway", gateway.transport), Probe("supervisor", supervisor.transport)


def _runs(
    settings: Settings,
    runners: Runners,
    waiter: JobWaiter,
    notifications: Notifications,
    scripts: RedisScripts | None,
    durations: Durations,
) -> Runs:
    keys = Keys(scripts, settings.call_timeout) if scripts is not None else None
    return Runs(runners, waiter, _history_guard(settings, scripts, notifications), keys, durations)


def _history_guard(settings: Settings, scripts: RedisScripts | None, notifications: Notifications) -> HistoryGuard:
    """Return the guard over the creates of this process; with Redis, over those of all processes."""
    queues: list[Queue] = []
    if settings.history_guard:
        queues += [RedisQueue(scripts, notifications)] if scripts is not None else []
        queues.append(LocalQueue())
    return HistoryGuard(Limits(enough=settings.max_waiting * settings.workers), tuple(queues))
