"""How gunicorn serves TheEye Sync; `gunicorn` in the checkout reads this file by itself."""

import resource
import signal
from importlib.util import find_spec
from math import ceil

from app.settings import Settings, SettingsError
from app.telemetry import metrics

try:
    _settings = Settings.from_env()
except SettingsError as error:
    raise SystemExit(f"theeye-sync: {error}") from None

wsgi_app = "wsgi:application"
bind = [_settings.bind, *filter(None, [_settings.metrics_bind])]
workers = _settings.workers

# A parked request is a greenlet where gevent is installed, a thread elsewhere.
_greenlets = find_spec("gevent") and find_spec("packaging")  # gunicorn's gevent worker needs both
worker_class = f"app.serving.{'gevent' if _greenlets else 'thread'}_worker.Worker"
threads = _settings.threads
worker_connections = _settings.connections
backlog = 4096

# After SIGTERM no wait lasts longer than SYNC_GRACE_SECONDS. What has begun by then, a last read of the job or a
# create, may take SYNC_CALL_TIMEOUT more; the rest is for the answer. A proxy's read timeout stands above
# session + create + SYNC_WAIT_SECONDS + read: deploy/nginx.conf has the sum.
graceful_timeout = ceil(_settings.grace_seconds + _settings.call_timeout) + 5
timeout = 60  # a worker whose loop stands still for so long is killed; waits do not hold the loop up
keepalive = 75  # above a proxy's own idle time (nginx: 60 s), so that the proxy is the one who closes

# gunicorn itself would believe what 127.0.0.1 (`forwarded_allow_ips`) and anybody on a unix socket say about scheme and
# path. There is nothing left for it to believe: SYNC_PROXIES alone decides.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

limit_request_line = 8190
control_socket_disable = True  # it is one path for each user: two services would fight for it
logger_class = "app.serving.logger.RedactingLogger"


def on_starting(server):  # type: ignore[no-untyped-def]
    """Raises the soft limit on open files, usually 1024, and forgets the numbers of an earlier run."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _settings.open_files
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if _settings.metrics_bind:
        metrics.prepare_folder()


def child_exit(server, worker):  # type: ignore[no-untyped-def]
    """A dead worker waits for nothing any more."""
    if _settings.metrics_bind:
        metrics.forget_process(worker.pid)


def on_exit(server):  # type: ignore[no-untyped-def]
    """The numbers go with the service."""
    if _settings.metrics_bind:
        metrics.remove_folder()


def pre_request(worker, req):  # type: ignore[no-untyped-def]
    """Says nothing: gunicorn's own hook logs every path at debug level, with what a client may have put there."""


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """A worker told to stop before it is up must not miss it: until then it has the master's handlers."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if hasattr(worker, "take_a_core"):
        worker.take_a_core(server.WORKERS)


def worker_exit(server, worker):  # type: ignore[no-untyped-def]
    """What is still to be cancelled, before the process goes."""
    from app import EXTENSION

    if hasattr(worker, "wsgi"):
        worker.app.wsgi().extensions[EXTENSION].cancellations.all_now()


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """Lets the service know when its worker stops."""
    from app import EXTENSION
    from app.serving.stopping import watch

    watch(worker, worker.app.wsgi().extensions[EXTENSION])
