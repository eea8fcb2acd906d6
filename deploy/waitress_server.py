"""Serve TheEye Sync with waitress, and end its waits before it stops: `python deploy/waitress_server.py`."""

import os
import signal
import threading
from collections.abc import Iterable
from time import monotonic
from typing import Any

os.environ.setdefault("SYNC_WORKERS", "1")
os.environ.setdefault("SYNC_MAX_WAITING", "112")  # each request that waits takes a thread

from waitress import create_server

from app import EXTENSION, Services
from app.telemetry.messages import log_to_standard_error
from wsgi import application

SPARE_THREADS = 16  # for health checks and refusals while SYNC_MAX_WAITING requests wait
SPARE_CONNECTIONS = 512  # for clients that are idle or still sending
IDLE_SECONDS = 75  # above a proxy's idle timeout, so that the proxy closes first
MIB = 1024 * 1024


def main() -> None:
    """Serve until SIGTERM."""
    services: Services = application.extensions[EXTENSION]
    settings = services.settings
    log_to_standard_error("waitress", settings.log)
    threads = settings.max_waiting + SPARE_THREADS

    def with_threads(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["theeye_sync.threads"] = threads
        return application(environ, start_response)

    where = "unix_socket" if settings.bind.startswith("unix:") else "listen"
    sockets: dict[int, Any] = {}
    server = create_server(
        with_threads,
        map=sockets,
        threads=threads,
        connection_limit=threads + SPARE_CONNECTIONS,
        asyncore_use_poll=True,
        channel_timeout=IDLE_SECONDS,
        max_request_body_size=2 * settings.max_body + MIB,  # above this, waitress's own refusal
        **{where: settings.bind.removeprefix("unix:")},
    )
    server.print_listen("Serving on {}:{}")
    services.health.stop_is_told = True
    stopping = threading.Thread(target=_stop, args=(services, sockets), name="stopping", daemon=True)

    def stop(*_: object) -> None:
        # _stop sends SIGINT, which a process ignores if a shell started it with `&`.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if not stopping.ident:
            stopping.start()

    signal.signal(signal.SIGTERM, stop)
    server.run()


def _stop(services: Services, sockets: dict[int, Any]) -> None:
    """End the waits within SYNC_GRACE_SECONDS, wait until their answers are sent, then end the server's loop."""
    settings = services.settings
    for listener in list(sockets.values()):
        listener.accepting = False
    last = monotonic() + settings.grace_seconds + settings.call_timeout + 5  # as graceful_timeout in gunicorn.conf.py
    services.stop()
    pause = threading.Event()
    while any(map(_is_busy, list(sockets.values()))) and monotonic() < last:
        pause.wait(0.1)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _is_busy(channel: Any) -> bool:
    """Return whether a connection has an unanswered request or an unsent answer."""
    return bool(getattr(channel, "requests", ()) or getattr(channel, "total_outbufs_len", 0))


if __name__ == "__main__":
    main()
