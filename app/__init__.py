"""TheEye Sync: TheEye's asynchronous tasks as synchronous API calls."""

from flask import Flask

from app.cancelling import Cancellations
from app.clients import Clients
from app.health import Health
from app.notifications import wakeups
from app.routes import blueprint
from app.services import Services
from app.session import Sessions
from app.settings import Settings, SettingsError
from app.theeye import Gateway, Supervisor
from app.waiter import Waiter
from formatters import Registry

__all__ = ["Services", "Settings", "SettingsError", "create_app"]

EXTENSION = "theeye_sync"


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application; nothing connects before the first request. Raises SettingsError."""
    settings = settings or Settings.from_env()
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    services = assemble(settings)
    app.extensions[EXTENSION] = services
    app.register_blueprint(blueprint(services))
    return app


def assemble(settings: Settings) -> Services:
    """All parts of the service, put together."""
    gateway, supervisor = Gateway(settings), Supervisor(settings)
    notifications = wakeups(settings.redis_url)
    return Services(
        settings=settings,
        formatters=Registry(settings.disabled_formatters, settings.plugins),
        sessions=Sessions(gateway, settings.session_ttl),
        supervisor=supervisor,
        waiter=Waiter(supervisor, notifications, Clients(), settings.max_waiting),
        cancellations=Cancellations(supervisor, notifications),
        health=Health(settings, gateway.transport, supervisor.transport, notifications),
    )
