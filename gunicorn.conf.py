"""How gunicorn serves TheEye Sync; `gunicorn` in the checkout reads this file by itself."""

import resource
import signal
from importlib.util import find_spec

from app.settings import Settings, SettingsError

try:
    _settings = Settings.from_env()
except SettingsError as error:
    raise SystemExit(f"theeye-sync: {error}") from None

wsgi_app = "wsgi:application"
bind = _settings.bind
workers = _settings.workers

# A parked request is a greenlet where gevent is installed, a thread elsewhere. Both limits stand above
# SYNC_MAX_WAITING, so that health checks and refusals are answered while all places are taken.
_greenlets = find_spec("gevent") and find_spec("packaging")  # gunicorn's gevent worker needs both
worker_class = f"app.gunicorn_{'greenlets' if _greenlets else 'threads'}.Worker"
threads = _settings.max_waiting + 64
worker_connections = _settings.max_waiting + 1024
backlog = 4096

# Each connection is an open file, and so is each call; the usual soft limit of 1024 is less than the places alone.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_needed = worker_connections + threads + 1024
if _soft != resource.RLIM_INFINITY and _soft < _needed:
    _most = _needed if _hard == resource.RLIM_INFINITY else min(_needed, _hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _hard))

# Waits end SYNC_GRACE_SECONDS after SIGTERM. After that come a last look at the job (2 s) and the answer; a look that
# was under way before may take the whole SYNC_CALL_TIMEOUT.
graceful_timeout = int(max(_settings.grace_seconds, _settings.call_timeout)) + 5
timeout = 60
keepalive = 75  # above a proxy's own idle time (nginx: 60 s), so that the proxy is the one who closes

# gunicorn itself would believe what 127.0.0.1 (`forwarded_allow_ips`) and anybody on a unix socket say about scheme and
# path. There is nothing left for it to believe: SYNC_PROXIES alone decides.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

limit_request_line = 8190
control_socket_disable = True  # it is one path for each user: two services would fight for it
logger_class = "app.gunicorn_log.RedactingLogger"


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """A worker told to stop before it is up must not miss it: until then it has the master's handlers."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def worker_exit(server, worker):  # type: ignore[no-untyped-def]
    """What is still to be cancelled, before the process goes."""
    from app import EXTENSION

    if (wsgi := getattr(worker, "wsgi", None)) is not None:
        wsgi.extensions[EXTENSION].cancellations.all_now()


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """Lets the service know when its worker stops."""
    from app import EXTENSION
    from app.stopping import watch

    watch(worker, worker.wsgi.extensions[EXTENSION])
