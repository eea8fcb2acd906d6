"""TheEye Sync: TheEye's asynchronous tasks as synchronous API calls."""

import logging

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app.cancelling import Cancellations
from app.cli import formatters_command
from app.clients import Clients
from app.health import Health
from app.history import HistoryGuard, Limits, Line, LocalLine
from app.idempotency import Keys
from app.notifications import Wakeups, wakeups
from app.redaction import RedactingFilter
from app.routes import blueprint
from app.runs import Runs
from app.services import Services
from app.session import Sessions
from app.settings import Settings, SettingsError
from app.shared import Shared
from app.shared_line import SharedLine
from app.theeye import Gateway, Supervisor
from app.waiter import Waiter
from formatters import Registry

__all__ = ["Services", "Settings", "SettingsError", "create_app"]

EXTENSION = "theeye_sync"


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application; nothing connects before the first request. Raises SettingsError."""
    settings = settings or Settings.from_env()
    app = Flask(__name__, static_folder=None)
    logging.getLogger("werkzeug").addFilter(RedactingFilter())  # `flask run` logs whole URLs
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    services = assemble(settings)
    app.extensions[EXTENSION] = services
    app.register_blueprint(blueprint(services))
    app.cli.add_command(formatters_command(services.formatters))
    if hops := settings.proxies:
        trusting = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)
        app.wsgi_app = trusting  # type: ignore[method-assign]
    return app


def assemble(settings: Settings) -> Services:
    """All parts of the service, put together."""
    gateway, supervisor = Gateway(settings), Supervisor(settings)
    notifications = wakeups(settings.redis_url)
    shared = Shared(settings.redis_url) if settings.redis_url else None
    waiter = Waiter(supervisor, notifications, Clients(), settings.max_waiting)
    guard = history_guard(settings, shared, notifications)
    formatters = Registry(settings.disabled_formatters, settings.plugins)
    return Services(
        settings=settings,
        formatters=formatters,
        sessions=Sessions(gateway, settings.session_ttl),
        supervisor=supervisor,
        waiter=waiter,
        runs=Runs(supervisor, waiter, guard, Keys(shared, settings.call_timeout) if shared else None),
        cancellations=Cancellations(supervisor, notifications),
        health=Health(settings, gateway.transport, supervisor.transport, notifications, formatters.failures, shared),
    )


def history_guard(settings: Settings, shared: Shared | None, notifications: Wakeups) -> HistoryGuard:
    """The guard over one process's callers, and with Redis over those of all processes."""
    lines: list[Line] = [LocalLine()] if settings.history_guard else []
    if lines and shared is not None:
        lines.append(SharedLine(shared, notifications))
    return HistoryGuard(Limits(enough=settings.max_waiting * settings.workers), tuple(lines))
