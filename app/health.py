"""Is the service alive, is it ready, and who carries what is down."""

import logging
import os
import platform
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from time import clock_gettime, monotonic, time
from typing import Any

from app.host import read_host
from app.runs.redis_scripts import Shared
from app.settings import Settings
from app.theeye.transport import Transport, TransportError
from app.waiter.notifications import Wakeups
from formatters import Failure

REMEMBERED = 2.0  # seconds
PROBE_TIMEOUT = 3.0  # seconds

log = logging.getLogger("theeye_sync.health")

_STARTED = time()


class Health:
    """What `/readyz` says; TheEye is asked at most every two seconds."""

    def __init__(
        self,
        settings: Settings,
        gateway: Transport,
        supervisor: Transport,
        wakeups: Wakeups,
        formatters: Iterable[Failure] = (),
        shared: Shared | None = None,
    ) -> None:
        """Connects to nothing yet; `formatters`: those that were not loaded."""
        self._formatters = [f"formatter {failure.name}: not loaded: {failure.kind}" for failure in formatters]
        self.stopping = False
        self.stop_is_told = False  # whoever will call Services.stop sets it
        self._max_waiting = settings.max_waiting
        self._shared = shared
        self._redis = bool(settings.redis_url)
        self._guarded = settings.history_guard
        self._gateway = gateway
        self._supervisor = supervisor
        self._wakeups = wakeups
        self._lock = threading.Lock()
        self._seen: tuple[bool, bool] = (False, False)
        self._seen_at = float("-inf")

    def ready(self, environ: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body, for a request: 503 only while stopping or when the supervisor cannot be reached."""
        if self.stopping:
            return 503, {"status": "stopping", "degraded": []}
        host = read_host(environ, self.stop_is_told, self._max_waiting)
        gateway, supervisor = self._probe()
        self._wakeups.listen()
        degraded = [] if gateway else ["gateway: known sessions go on, new ones get 502 until it is back"]
        if self._redis and not self._wakeups.live:
            degraded.append("redis: polling carries the waits until it is back")
        if self._shared is not None and self._shared.is_down:
            degraded.append("redis: no idempotency keys, and the history guard spans one process")
        degraded += [*self._formatters, *host.degraded(self._max_waiting)]
        if not supervisor:
            degraded = ["supervisor: nothing can be run", *degraded]
        status = "ready" if supervisor else "unreachable"
        return 200 if supervisor else 503, {
            "status": status,
            "degraded": degraded,
            "history_guard": self._guard_spans(),
            "host": host.shown(),
        }

    def _guard_spans(self) -> str:
        """Whose creates the history guard holds back."""
        if not self._guarded:
            return "off"
        return (
            "all processes"
            if self._shared is not None and self._wakeups.live and not self._shared.is_down
            else "one process"
        )

    def _probe(self) -> tuple[bool, bool]:
        with self._lock:
            if monotonic() - self._seen_at > REMEMBERED:
                with ThreadPoolExecutor(2) as both:
                    gateway, supervisor = both.map(_reachable, (self._gateway, self._supervisor))
                self._seen, self._seen_at = (gateway, supervisor), monotonic()
            return self._seen


def _reachable(transport: Transport) -> bool:
    """Whether anything that speaks HTTP answers; what it says to a stranger does not matter."""
    try:
        transport.call("GET", "/api/status", timeout=PROBE_TIMEOUT)
    except TransportError as error:
        log.debug("probe: %s", error)
        return False
    return True


def status() -> dict[str, Any]:
    """The fields of the original's `/api/status`."""
    return {
        "status": "Node is ok.",
        "node_hostname": platform.node(),
        "node_uptime": _iso(_booted()),
        "process_uptime": _iso(_STARTED),
        "theeye_version": our_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def our_version() -> str:
    """The installed version; `unknown` where only the files were copied."""
    try:
        return version("theeye-sync")
    except PackageNotFoundError:
        return "unknown"


def _booted() -> float:
    clock = getattr(__import__("time"), "CLOCK_BOOTTIME", None)
    return time() - clock_gettime(clock) if clock is not None else _STARTED


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
