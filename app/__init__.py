"""TheEye Sync: TheEye's asynchronous tasks as synchronous API calls."""

import logging
import os

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app.api.blueprint import Shortcut, blueprint
from app.api.jobs import Jobs
from app.api.replies import Replies
from app.cli import formatters_command
from app.health import Health
from app.runs.history import HistoryGuard, Limits, Line, LocalLine
from app.runs.history_redis import SharedLine
from app.runs.idempotency import Keys
from app.runs.redis_scripts import Shared
from app.runs.runs import Runs
from app.services import Services
from app.settings import Settings, SettingsError
from app.telemetry import metrics_folder
from app.telemetry.metrics import Metrics
from app.telemetry.middleware import Tracing
from app.telemetry.redaction import set_up
from app.theeye.client import Gateway, Supervisor
from app.theeye.sessions import Sessions
from app.waiter.cancellations import Cancellations
from app.waiter.clients import Clients
from app.waiter.job_waiter import Waiter
from app.waiter.notifications import Wakeups, wakeups
from formatters import Registry

__all__ = ["Services", "Settings", "SettingsError", "create_app"]

EXTENSION = "theeye_sync"

log = logging.getLogger(EXTENSION)


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application; nothing connects before the first request. Raises SettingsError."""
    settings = settings or Settings.from_env()
    app = Flask(__name__, static_folder=None)
    set_up(settings.log)
    app.logger = log  # Flask's own would quote whole requests
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    services = assemble(settings)
    app.extensions[EXTENSION] = services
    replies = Replies(settings.cors_origins)
    jobs = Jobs(services, replies)
    app.register_blueprint(blueprint(services, jobs, replies))
    app.wsgi_app = Tracing(  # type: ignore[method-assign]
        Shortcut(app.wsgi_app, jobs, replies), settings.log, services.metrics, settings.metrics_bind
    )
    app.cli.add_command(formatters_command(lambda: services.formatters))
    if hops := settings.proxies:
        trusting = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)
        app.wsgi_app = trusting  # type: ignore[method-assign]
    return app


def assemble(settings: Settings) -> Services:
    """All parts of the service, put together."""
    metrics = measured(settings)
    gateway, supervisor = Gateway(settings, metrics), Supervisor(settings, metrics)
    notifications = wakeups(settings.redis_url, metrics.listener) if metrics else wakeups(settings.redis_url)
    shared = Shared(settings.redis_url) if settings.redis_url else None
    waiter = Waiter(supervisor, notifications, Clients(), settings.max_waiting, metrics)
    guard = history_guard(settings, shared, notifications)
    formatters = Registry(settings.disabled_formatters, settings.plugins)
    return Services(
        settings=settings,
        formatters=formatters,
        sessions=Sessions(gateway, settings.session_ttl, metrics),
        supervisor=supervisor,
        waiter=waiter,
        runs=Runs(supervisor, waiter, guard, Keys(shared, settings.call_timeout) if shared else None),
        cancellations=Cancellations(supervisor, notifications),
        health=Health(settings, gateway.transport, supervisor.transport, notifications, formatters.failures, shared),
        metrics=metrics,
    )


def measured(settings: Settings) -> Metrics | None:
    """What counts for Prometheus; None where that is off, or the host has no folder for it."""
    if not settings.metrics_bind:
        return None
    if metrics_folder.VARIABLE not in os.environ:
        log.warning("SYNC_METRICS_BIND is for gunicorn with our gunicorn.conf.py: nothing is counted here")
        return None
    return Metrics()


def history_guard(settings: Settings, shared: Shared | None, notifications: Wakeups) -> HistoryGuard:
    """The guard over one process's callers, and with Redis over those of all processes."""
    lines: list[Line] = [LocalLine()] if settings.history_guard else []
    if lines and shared is not None:
        lines.append(SharedLine(shared, notifications))
    return HistoryGuard(Limits(enough=settings.max_waiting * settings.workers), tuple(lines))
