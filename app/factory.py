"""Make the WSGI application: Flask with its blueprints, and the layers around it."""

import logging
from typing import Any

import flask
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app.api import pages, responses
from app.api.blueprint import blueprint
from app.api.prefix import OwnPrefix
from app.api.sending import Sending
from app.cli import formatters_command
from app.services import EXTENSION, Services, assemble
from app.settings import Settings, SettingsError
from app.telemetry.messages import set_up
from app.telemetry.middleware import Tracing
from app.telemetry.wsgi import Wsgi
from app.unknown_variables import warn_of_unknown_variables

__all__ = ["EXTENSION", "Services", "Settings", "SettingsError", "create_app"]

TEARDOWN_FAILED = "a teardown function failed"


class SyncFlask(Flask):
    """Set the response class and the answer to OPTIONS, and keep the answer if a teardown function fails."""

    response_class = responses.Response

    def do_teardown_request(self, *arguments: Any) -> None:
        """Run the teardown functions of extensions. If one raises, log it and send the answer, which may be a job's."""
        try:
            super().do_teardown_request(*arguments)
        except Exception:
            self.logger.exception(TEARDOWN_FAILED)

    def do_teardown_appcontext(self, *arguments: Any) -> None:
        """Run the teardown functions of extensions, with the same protection."""
        try:
            super().do_teardown_appcontext(*arguments)
        except Exception:
            self.logger.exception(TEARDOWN_FAILED)

    def make_default_options_response(self) -> flask.Response:
        """Answer OPTIONS on every route like a CORS preflight."""
        return responses.preflight()


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; it connects to nothing before the first request. Raise SettingsError."""
    from_environment = settings is None
    settings = settings or Settings.from_env()
    app = SyncFlask("app", static_folder=None)
    set_up(settings.log)
    if from_environment:
        warn_of_unknown_variables()
    app.logger = logging.getLogger("theeye_sync")  # the service's own, which redacts tokens
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    services = assemble(settings)
    app.extensions[EXTENSION] = services
    app.register_blueprint(blueprint)
    app.register_blueprint(pages.blueprint)
    app.cli.add_command(formatters_command(lambda: services.formatters))
    app.wsgi_app = _wrapped(app.wsgi_app, services)  # type: ignore[assignment, method-assign]
    return app


def _wrapped(application: Wsgi, services: Services) -> Wsgi:
    """Wrap Flask in the WSGI layers, from the innermost to the outermost."""
    settings, hops = services.settings, services.settings.proxies
    application = Tracing(application, settings.log, services.metrics, settings.metrics_bind)
    application = Sending(application)
    if hops:
        application = ProxyFix(application, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)
    return OwnPrefix(application)
