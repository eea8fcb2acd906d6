"""Stop with the worker: notice it, answer the parked requests in time, send the pending cancels."""

import signal
import threading
from typing import Any, cast

from app.services import EXTENSION, Services

LOOK_SECONDS = 0.2


def reset_signals() -> None:
    """Let the signals to stop end a worker that is not up yet.

    It inherits the master's handlers, which only put them into a queue that it never reads (benoitc/gunicorn#1910).
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def watch(worker: Any) -> None:
    """Stop the service when its worker stops: gunicorn clears `alive` on SIGTERM, SIGHUP and at max_requests."""
    services = _services(worker)
    services.health.stop_is_told = True
    services.health.parallel = worker.cfg.threads if hasattr(worker, "tpool") else worker.cfg.worker_connections
    threading.Thread(target=_follow, args=(worker, services), name="theeye-sync-stopping", daemon=True).start()


def send_cancels(worker: Any) -> None:
    """Send the cancels that are pending, before the process ends."""
    if hasattr(worker, "wsgi"):  # it was up
        _services(worker).cancellations.all_now()


def _follow(worker: Any, services: Services) -> None:
    pause = threading.Event()
    while worker.alive:
        pause.wait(LOOK_SECONDS)
    services.stop()


def _services(worker: Any) -> Services:
    return cast("Services", worker.wsgi.extensions[EXTENSION])
