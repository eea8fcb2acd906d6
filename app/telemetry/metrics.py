"""Count requests and calls for Prometheus. Each label has few values, and none comes from a client.

prometheus_client is imported inside functions, for two reasons: it is an extra, and its import reads the variable that
metrics_folder.py sets.
"""

from functools import partial
from typing import Any

from app.telemetry.trace import Trace

WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
OVERHEADS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STATUSES = frozenset({200, 201, 204, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504})


class Metrics:
    """Store the metrics of this process in files that every process of the service can read."""

    def __init__(self) -> None:
        """Create the metrics. The environment must name their folder before."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        words = "Answered requests, without successful health checks."
        self._requests = counter("theeye_sync_requests", words, ["mode", "outcome"])
        self._refused = counter("theeye_sync_refused", "Requests that the service refused, by error code.", ["code"])
        self._joins = counter("theeye_sync_idempotent_joins", "Requests that got the job of an earlier one by its key.")
        self._calls = counter("theeye_sync_theeye_calls", "Calls to TheEye.", ["kind", "status"])
        sessions = counter("theeye_sync_sessions", "Lookups of sessions.", ["cache"])
        self._hits, self._misses = sessions.labels("hit"), sessions.labels("miss")
        self._wait = histogram("theeye_sync_wait_seconds", "Seconds of waiting for the end of a job.", buckets=WAITS)
        words = "Seconds of a request about a job, without waiting and queueing."
        self._overhead = histogram("theeye_sync_overhead_seconds", words, buckets=OVERHEADS)
        self._parked = gauge("theeye_sync_parked", "Current requests about a job.", multiprocess_mode="livesum")
        words = "Jobs whose end was found by polling although Redis was connected."
        self._unheard = counter("theeye_sync_unheard_ends", words)
        words = "1 while every process that listens is connected to Redis."
        self._new_listener = partial(gauge, "theeye_sync_listener_up", words, multiprocess_mode="livemin")
        self._listener: Any = None
        self._known: dict[tuple[str, int | str], Counter] = {}  # labels() takes longer than inc()

    def request(self, trace: Trace, total: float) -> None:
        """Count an answered request; `total` is its duration in seconds."""
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
        """Count a request that takes (+1) or frees (-1) one of the SYNC_MAX_WAITING slots."""
        self._parked.inc(more)

    def unheard(self) -> None:
        """Count a job whose end was found by reading it, without a notification."""
        self._unheard.inc()

    def session(self, remembered: bool) -> None:
        """Count a session lookup; `remembered` means that the gateway was not called."""
        (self._hits if remembered else self._misses).inc()

    def call(self, kind: str, status: int | str) -> None:
        """Count a call to TheEye by its status, or as `lost` or `not_sent`."""
        counter = self._known.get((kind, status))
        if counter is None:
            named = status if status in STATUSES or isinstance(status, str) else f"{status // 100}xx"
            counter = self._known[kind, status] = self._calls.labels(kind, named)
        counter.inc()

    def listener(self, up: bool) -> None:
        """Set whether the listener receives messages from Redis; only a process that listens has this metric."""
        if self._listener is None:
            self._listener = self._new_listener()
        self._listener.set(int(up))


def outcome_of(trace: Trace) -> str:
    """Return how a request ended, as one of a few labels."""
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
