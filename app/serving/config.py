"""Configure gunicorn for `theeye-sync serve`, for `gunicorn` in the checkout, and for whoever names this module.

That is `gunicorn --config python:app.serving.config`.
"""

import gc
from importlib.util import find_spec
from math import ceil

from gunicorn.arbiter import Arbiter
from gunicorn.http import Request
from gunicorn.workers.base import Worker

from app.serving import cores, memory, open_files, scratch, stopping
from app.serving.closing import refuse_max_requests
from app.settings import Settings, SettingsError
from app.telemetry import metrics_folder
from app.theeye.keepalive import keep_alive
from app.unknown_variables import warn_of_unknown_variables

try:
    _settings = Settings.from_env()
except SettingsError as error:
    raise SystemExit(f"theeye-sync: {error}") from None

wsgi_app = "wsgi:application"
bind = [_settings.bind, *filter(None, [_settings.metrics_bind])]
workers = _settings.workers

# A waiting request is a greenlet where gevent is installed, a thread elsewhere.
_gevent = find_spec("gevent") and find_spec("packaging")  # gunicorn's gevent worker needs both
worker_class = f"app.serving.{'gevent' if _gevent else 'thread'}_worker.Worker"
threads = _settings.threads
worker_connections = _settings.connections
backlog = 4096

# After SIGTERM no wait lasts longer than SYNC_GRACE_SECONDS. What has begun by then, a last read of the job or a
# create, may take SYNC_CALL_TIMEOUT more; the rest is for the answer. A proxy's read timeout stands above
# session + create + SYNC_WAIT_SECONDS + read: deploy/nginx.conf has the sum.
graceful_timeout = ceil(_settings.grace_seconds + _settings.call_timeout) + 5
timeout = 60  # seconds; a worker whose loop stands still for longer is killed; waits do not block the loop
keepalive = 75  # above a proxy's own idle time (nginx: 60 s), so that it is the proxy that closes

# gunicorn itself trusts what 127.0.0.1 (`forwarded_allow_ips`) and anybody on a unix socket say about scheme and path.
# Here it reads no such header: SYNC_PROXIES alone decides.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

limit_request_line = 8190
control_socket_disable = True  # its path is the same for all services of a user
logger_class = "app.serving.logger.RedactingLogger"


def on_starting(server: Arbiter) -> None:
    """Prepare the master for what its workers need."""
    warn_of_unknown_variables()
    scratch.prepare()
    refuse_max_requests(server.cfg)  # also with a worker class of gunicorn's own
    open_files.raise_limit(_settings.open_files)
    if _settings.metrics_bind:
        metrics_folder.prepare()


def when_ready(server: Arbiter) -> None:
    """Log the addresses, how many workers there are, and whether each stays on a core of its own."""
    tied = ""
    if hasattr(server.worker_class, "get_thread_pool"):
        reason = cores.reason_to_roam(server.num_workers)
        tied = f", not tied to cores: {reason}" if reason else ", each tied to a core"
    server.log.info("TheEye Sync at %s; workers: %s%s", ", ".join(map(str, server.LISTENERS)), server.num_workers, tied)


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Prepare a worker that has just been forked."""
    gc.freeze()  # a collection writes to every object; the master's stay in the pages that all processes share
    memory.give_back_large_blocks()
    stopping.reset_signals()
    for listener in worker.sockets:
        keep_alive(listener)
    if hasattr(worker, "tpool") and not cores.reason_to_roam(server.num_workers):  # a threaded one
        cores.take_one(server.WORKERS, worker.log)


def post_worker_init(worker: Worker) -> None:
    """Let the service know when its worker stops."""
    stopping.watch(worker)


def pre_request(worker: Worker, request: Request) -> None:
    """Log nothing: gunicorn's own hook logs every path at debug level, and a client may have put a token there."""


def worker_exit(server: Arbiter, worker: Worker) -> None:
    """End what the service still has to do, in the worker."""
    stopping.send_cancels(worker)


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Drop what a dead worker was waiting for from the metrics, in the master."""
    if _settings.metrics_bind:
        metrics_folder.forget_process(worker.pid)


def on_exit(server: Arbiter) -> None:
    """Remove the metrics, which end with the service."""
    if _settings.metrics_bind:
        metrics_folder.remove()
