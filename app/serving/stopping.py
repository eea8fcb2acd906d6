"""Tells the service that its gunicorn worker is stopping, so that parked requests get their answers in time."""

import threading
from typing import Any

from app.services import Services

LOOK_SECONDS = 0.2


def watch(worker: Any, services: Services) -> None:
    """Follows the worker's `alive`, which gunicorn clears on SIGTERM, SIGHUP and at max_requests."""
    services.health.stop_is_told = True
    threading.Thread(target=_follow, args=(worker, services), name="theeye-sync-stopping", daemon=True).start()


def _follow(worker: Any, services: Services) -> None:
    pause = threading.Event()
    while worker.alive:
        pause.wait(LOOK_SECONDS)
    services.stop()
