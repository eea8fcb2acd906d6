"""Configure gunicorn. `theeye-sync serve` and `gunicorn` in the checkout use this module.

Elsewhere, name it: `gunicorn --config python:app.serving.config`.
"""

import gc
import signal
from importlib.util import find_spec
from math import ceil

from gunicorn.arbiter import Arbiter
from gunicorn.http import Request
from gunicorn.workers.base import Worker

from app.serving import cores, listening, memory, open_files, scratch, stopping
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

# A waiting request is a greenlet if gevent is installed, else a thread.
_gevent = find_spec("gevent") and find_spec("packaging")  # gunicorn's gevent worker needs both
worker_class = f"app.serving.{'gevent' if _gevent else 'thread'}_worker.Worker"
threads = _settings.threads
worker_connections = _settings.connections
backlog = 4096

# After SIGTERM a wait lasts at most SYNC_GRACE_SECONDS. A call that has begun by then (a create, or the last read of a
# job) may take SYNC_CALL_TIMEOUT more. The other 5 s are for the answer. A proxy's read timeout has to be longer than
# session + create + SYNC_WAIT_SECONDS + read: deploy/nginx.conf has the sum.
graceful_timeout = ceil(_settings.grace_seconds + _settings.call_timeout) + 5
timeout = 60  # seconds; the master kills a worker whose loop is blocked for longer; waits do not block it
keepalive = 75  # seconds; longer than a proxy's idle time (nginx: 60 s), so that the proxy closes the connection

# By default gunicorn trusts headers about scheme and path from 127.0.0.1 (`forwarded_allow_ips`) and from every client
# on a unix socket. With these settings it reads no such header: only SYNC_PROXIES decides.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

limit_request_line = 8190
control_socket_disable = True  # all services of a user would share its path
logger_class = "app.serving.logger.RedactingLogger"


def on_starting(server: Arbiter) -> None:
    """Prepare the master and what its workers inherit."""
    warn_of_unknown_variables()
    scratch.prepare()
    listening.refuse_unusable(server.cfg.address)
    refuse_max_requests(server.cfg)  # gunicorn's own worker classes do not check it
    open_files.raise_limit(_settings.open_files)
    if _settings.redis_url:
        _refuse_cluster(_settings.redis_url)
    if _settings.metrics_bind:
        metrics_folder.prepare()


def _refuse_cluster(url: str) -> None:
    """Raise SystemExit if the Redis is a node of a Cluster."""
    from app.waiter.redis_client import IsCluster, refuse_cluster  # redis-py is an extra

    try:
        refuse_cluster(url)
    except IsCluster as error:
        raise SystemExit(f"theeye-sync: {error.words}") from None


def when_ready(server: Arbiter) -> None:
    """Take the signals that `theeye-sync serve` keeps back; log the addresses, the workers, and their cores if tied."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    tied = ""
    if hasattr(server.worker_class, "get_thread_pool"):
        reason = cores.reason_to_roam(server.num_workers)
        tied = f", not tied to cores: {reason}" if reason else ", each tied to a core"
    server.log.info("TheEye Sync at %s; workers: %s%s", ", ".join(map(str, server.LISTENERS)), server.num_workers, tied)


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Choose a core for a new threaded worker, in the master."""
    worker.core = None
    if hasattr(worker, "tpool") and not cores.reason_to_roam(server.num_workers):  # a threaded worker
        worker.core = cores.choose(other.core for other in server.WORKERS.values() if other.core is not None)


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Prepare a new worker."""
    gc.freeze()  # garbage collection writes to every object, and so would copy the pages shared with the master
    memory.give_back_large_blocks()
    stopping.reset_signals(server.SIG_QUEUE)
    for listener in worker.sockets:
        keep_alive(listener)
    if worker.core is not None:
        cores.tie(worker.core, worker.log)


def post_worker_init(worker: Worker) -> None:
    """Stop the service when its worker stops."""
    stopping.watch(worker)


def pre_request(worker: Worker, request: Request) -> None:
    """Do nothing: gunicorn's default logs every path at debug level, and a path may contain a token."""


def worker_exit(server: Arbiter, worker: Worker) -> None:
    """Finish the service's pending work, in the worker."""
    stopping.send_cancels(worker)


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Drop a dead worker's gauges from the metrics, in the master."""
    if _settings.metrics_bind:
        metrics_folder.forget_process(worker.pid)


def on_exit(server: Arbiter) -> None:
    """Remove the folder of metrics."""
    if _settings.metrics_bind:
        metrics_folder.remove()
