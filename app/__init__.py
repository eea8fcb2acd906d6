"""TheEye Sync: TheEye's asynchronous tasks as synchronous API calls."""

import logging

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app.api.blueprint import Shortcut, blueprint
from app.api.jobs import Jobs
from app.api.replies import Replies
from app.cli import formatters_command
from app.services import Services, assemble
from app.settings import Settings, SettingsError
from app.telemetry.messages import set_up
from app.telemetry.middleware import Tracing

__all__ = ["Services", "Settings", "SettingsError", "create_app"]

EXTENSION = "theeye_sync"

log = logging.getLogger(EXTENSION)


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; nothing connects before the first request. Raise SettingsError."""
    settings = settings or Settings.from_env()
    app = Flask(__name__, static_folder=None)
    set_up(settings.log)
    app.logger = log  # Flask's own logger would write whole requests, with their tokens
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
