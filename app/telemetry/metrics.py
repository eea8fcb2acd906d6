"""Count for Prometheus, keep the folder that holds the numbers, and serve them on a socket of their own.

A label has few values, and no client can make one up. prometheus_client is imported inside of functions: it reads the
folder's variable when it is imported, and it is an extra.
"""

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from app.telemetry.trace import Trace

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the name is prometheus_client's
_MADE_VARIABLE = "THEEYE_SYNC_METRICS_FOLDER"  # tells a folder of ours from one that the operator names

WILDCARDS = frozenset({"0.0.0.0", "::"})

WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
OVERHEADS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STATUSES = frozenset({200, 201, 204, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504})


class Metrics:
    """Count in this process, in files that every process of the service can read."""

    def __init__(self) -> None:
        """Create the metrics; their folder must stand in the environment by now."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        registry = CollectorRegistry()
        self._requests = Counter(
            "theeye_sync_requests",
            "Requests answered; health checks that succeed aside.",
            ["mode", "outcome"],
            registry=registry,
        )
        self._refused = Counter("theeye_sync_refused", "Requests refused, by error code.", ["code"], registry=registry)
        self._joins = Counter(
            "theeye_sync_idempotent_joins", "Requests that joined the job of an earlier one.", registry=registry
        )
        self._calls = Counter("theeye_sync_theeye_calls", "Calls to TheEye.", ["kind", "status"], registry=registry)
        sessions = Counter("theeye_sync_sessions", "Sessions looked up.", ["cache"], registry=registry)
        self._hits, self._misses = sessions.labels("hit"), sessions.labels("miss")
        self._wait = Histogram(
            "theeye_sync_wait_seconds", "Waiting for the end of a job.", buckets=WAITS, registry=registry
        )
        self._overhead = Histogram(
            "theeye_sync_overhead_seconds",
            "A request about a job, without its waiting and queueing.",
            buckets=OVERHEADS,
            registry=registry,
        )
        self._parked = Gauge(
            "theeye_sync_parked", "Requests about a job under way.", multiprocess_mode="livesum", registry=registry
        )
        self._unheard = Counter(
            "theeye_sync_unheard_ends",
            "Jobs whose end a look found while notifications were heard, but none of it.",
            registry=registry,
        )
        self._new_listener = partial(
            Gauge,
            "theeye_sync_listener_up",
            "1 while every process that listens for notifications hears Redis.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._listener: Any = None
        self._known: dict[tuple[str, int | str], Counter] = {}  # labels() takes longer than inc()

    def request(self, trace: Trace, total: float) -> None:
        """Count an answered request; `total`: the seconds that it took."""
        outcome = outcome_of(trace)
        counter = self._known.get((trace.mode, outcome))
        if counter is None:
            counter = self._known[trace.mode, outcome] = self._requests.labels(trace.mode or "none", outcome)
        counter.inc()
        if trace.code and trace.by == "service" and outcome in ("client_error", "refused"):
            self._refused.labels(trace.code).inc()
        if trace.joined:
            self._joins.inc()
        if trace.wait:
            self._wait.observe(trace.wait)
        if trace.session:
            self._overhead.observe(max(total - trace.wait - trace.queue, 0.0))

    def parked(self, more: int) -> None:
        """Count requests that begin (+1) or end (-1) to hold one of SYNC_MAX_WAITING slots."""
        self._parked.inc(more)

    def unheard(self) -> None:
        """Count a job whose end a look found, without a notification of it."""
        self._unheard.inc()

    def session(self, remembered: bool) -> None:
        """Count a session that was looked up; `remembered`: without asking the gateway."""
        (self._hits if remembered else self._misses).inc()

    def call(self, kind: str, status: int | str) -> None:
        """Count a call to TheEye by its status, or as `lost` or `not_sent`."""
        counter = self._known.get((kind, status))
        if counter is None:
            named = status if status in STATUSES or isinstance(status, str) else f"{status // 100}xx"
            counter = self._known[kind, status] = self._calls.labels(kind, named)
        counter.inc()

    def listener(self, up: bool) -> None:
        """Set whether the listener hears Redis; the metric exists only in a process that listens."""
        if self._listener is None:
            self._listener = self._new_listener()
        self._listener.set(int(up))


def outcome_of(trace: Trace) -> str:
    """Return how a request ended, in one of few words."""
    status = trace.status
    if trace.by == "job":
        return "success" if status < 400 else "failure"
    if status < 400:
        return "accepted" if status == 202 else "success"
    if status < 500:
        return "gone" if status == 499 else "client_error"
    if trace.code == "ETIMEISUP":
        return "timeout"
    if trace.code == "EFORMATTER":
        return "formatter_error"
    return {500: "internal_error", 501: "refused", 503: "refused"}.get(status, "upstream_error")


def prepare_folder() -> None:
    """Make the folder and put it into the environment, or empty the one that the operator named."""
    named = os.environ.get(FOLDER_VARIABLE, "")
    if named and named != os.environ.get(_MADE_VARIABLE):
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob("*.db"):
            file.unlink(missing_ok=True)
        return
    # A gunicorn that replaces itself (SIGUSR2) hands its environment on: the new one makes a folder of its own.
    os.environ[FOLDER_VARIABLE] = os.environ[_MADE_VARIABLE] = tempfile.mkdtemp(prefix="theeye-sync-metrics-")
    atexit.register(_remove_folder_of, os.getpid())


def forget_process(pid: int) -> None:
    """Drop what a dead worker was waiting for; what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def remove_folder() -> None:
    """Remove the folder, unless the operator named it."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and folder == os.environ.get(_MADE_VARIABLE):
        shutil.rmtree(folder, ignore_errors=True)


def _remove_folder_of(owner: int) -> None:
    """Remove the folder where gunicorn ends before it has started; the workers inherit this and must not."""
    if os.getpid() == owner:
        remove_folder()


class MetricsSocket:
    """Serve the socket of SYNC_METRICS_BIND: `/metrics` there and nowhere else, and nothing else there."""

    def __init__(self, bind: str) -> None:
        """Read the address; `bind`: HOST:PORT or unix:PATH."""
        self._path = os.path.abspath(bind[5:].removeprefix("//")) if bind.startswith("unix:") else ""  # noqa: PTH100
        host, _, self._port = ("", "", "") if self._path else bind.rpartition(":")
        self._hosts = frozenset() if self._path else _addresses(host.strip("[]"))

    def takes(self, environ: dict[str, Any]) -> bool:
        """Return whether the request came in on this socket, whatever its headers say."""
        if not self._path and environ.get("SERVER_PORT") != self._port:
            return False
        sock: socket.socket | None = environ.get("gunicorn.socket")
        try:
            name = sock.getsockname() if sock is not None else None
        except OSError:  # the client has gone
            return False
        if self._path or not isinstance(name, tuple):
            return bool(self._path) and isinstance(name, str) and os.path.abspath(name) == self._path  # noqa: PTH100
        host = name[0].removeprefix("::ffff:")  # an IPv4 address on an IPv6 socket
        return str(name[1]) == self._port and (bool(self._hosts & WILDCARDS) or host in self._hosts)

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer `/metrics` with the numbers of all processes, in the format that the client accepts."""
        from prometheus_client import CollectorRegistry, make_wsgi_app
        from prometheus_client.multiprocess import MultiProcessCollector

        if environ.get("PATH_INFO") != "/metrics":  # prometheus_client answers every path
            start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "10")])
            return [b"Not Found\n"]
        if environ["REQUEST_METHOD"] == "HEAD":  # it knows no HEAD; gunicorn leaves the body out
            environ = environ | {"REQUEST_METHOD": "GET"}
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        answered: Iterable[bytes] = make_wsgi_app(registry)(environ, start_response)
        return answered


def _addresses(host: str) -> frozenset[str]:
    """Return the IP addresses of a host's name."""
    return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
