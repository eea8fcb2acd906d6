"""Stop the service with its gunicorn worker: answer the waiting requests in time, and send the pending cancels."""

import signal
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, cast

from app.services import EXTENSION, Services

LOOK_SECONDS = 0.2
STOPS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


def reset_signals(inherited: SimpleQueue[int]) -> None:
    """Let a signal to stop end a worker that is still starting. Raise SystemExit if one has come since the fork.

    The worker has inherited the master's handlers, which put signals into a queue that a worker never reads: the
    master would kill it after `graceful_timeout` (benoitc/gunicorn#1910).
    """
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    with suppress(Empty):
        while True:
            if inherited.get_nowait() in STOPS:
                raise SystemExit


def watch(worker: Any) -> None:
    """Stop the service when gunicorn clears the worker's `alive`: on SIGTERM, SIGHUP and at max_requests."""
    services = _services(worker)
    services.health.stop_is_told = True
    services.health.parallel = worker.cfg.threads if hasattr(worker, "tpool") else worker.cfg.worker_connections
    threading.Thread(target=_follow, args=(worker, services), name="theeye-sync-stopping", daemon=True).start()


def send_cancels(worker: Any) -> None:
    """Send the pending cancels before the process ends."""
    if hasattr(worker, "wsgi"):  # the worker had started
        _services(worker).cancellations.all_now()


def _follow(worker: Any, services: Services) -> None:
    pause = threading.Event()
    while worker.alive:
        pause.wait(LOOK_SECONDS)
    services.stop()


def _services(worker: Any) -> Services:
    return cast("Services", worker.wsgi.extensions[EXTENSION])
