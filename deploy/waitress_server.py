"""Serves TheEye Sync with waitress, and ends its waits before it stops: `python deploy/waitress_server.py`."""

import os
import signal
import threading
from collections.abc import Iterable
from time import monotonic
from typing import Any

os.environ.setdefault("SYNC_WORKERS", "1")
os.environ.setdefault("SYNC_MAX_WAITING", "112")  # each is a thread of its own

from waitress import create_server

from app import EXTENSION, Services
from app.telemetry.messages import log_to_standard_error
from wsgi import application

SPARE_THREADS = 16  # health checks and refusals are answered while all places are taken
SPARE_CONNECTIONS = 512  # idle, or still sending
IDLE_SECONDS = 75  # above a proxy's own idle time, so that the proxy is the one who closes
MIB = 1024 * 1024


def main() -> None:
    """Serves until SIGTERM."""
    services: Services = application.extensions[EXTENSION]
    settings = services.settings
    log_to_standard_error("waitress", settings.log)
    threads = settings.max_waiting + SPARE_THREADS

    def told(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["theeye_sync.threads"] = threads
        return application(environ, start_response)

    where = "unix_socket" if settings.bind.startswith("unix:") else "listen"
    sockets: dict[int, Any] = {}
    server = create_server(
        told,
        map=sockets,
        threads=threads,
        connection_limit=threads + SPARE_CONNECTIONS,
        asyncore_use_poll=True,
        channel_timeout=IDLE_SECONDS,
        max_request_body_size=2 * settings.max_body + MIB,  # above it waitress itself refuses, without our words
        **{where: settings.bind.removeprefix("unix:")},
    )
    server.print_listen("Serving on {}:{}")
    services.health.stop_is_told = True
    stopping = threading.Thread(target=_stop, args=(services, sockets), name="stopping", daemon=True)

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which _stop sends; a shell's `&` has it ignored
        if not stopping.ident:
            stopping.start()

    signal.signal(signal.SIGTERM, stop)
    server.run()


def _stop(services: Services, sockets: dict[int, Any]) -> None:
    """Ends the waits as SYNC_GRACE_SECONDS has it, lets their answers out, and then the server's loop."""
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
    """Whether a connection has a request that is not answered yet, or an answer that is not sent yet."""
    return bool(getattr(channel, "requests", ()) or getattr(channel, "total_outbufs_len", 0))


if __name__ == "__main__":
    main()
