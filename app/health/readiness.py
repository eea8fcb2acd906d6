"""Report whether a task could be run now, from facts that are already known: no call is made."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.health.host import read_host
from app.health.probes import Probe
from app.runs.redis_scripts import RedisScripts
from app.settings import Settings
from app.waiter.notifications import Notifications
from app.waiter.redis_notifications import WRONG
from formatters import Failure


class Readiness:
    """Answer `/readyz`."""

    def __init__(
        self,
        settings: Settings,
        gateway: Probe,
        supervisor: Probe,
        notifications: Notifications,
        formatters: Iterable[Failure] = (),
        scripts: RedisScripts | None = None,
    ) -> None:
        """Connect to nothing yet; `formatters` are the plugins that failed to load."""
        self.stopping = False
        self.stop_is_told = False  # set by a host that will call Services.stop
        self.parallel: int | None = None  # threads or greenlets of the worker, set by app/serving/stopping.py
        self._gateway = gateway
        self._supervisor = supervisor
        self._notifications = notifications
        self._scripts = scripts
        self._formatters = [f"formatter {failure.name}: not loaded: {failure.kind}" for failure in formatters]
        self._max_waiting = settings.max_waiting
        self._redis = bool(settings.redis_url)
        self._guarded = settings.history_guard
        self._settled = False  # whether the first connection to Redis has succeeded or failed

    def begin(self) -> None:
        """Start the probes and the listener of this process, with its first request."""
        self._gateway.begin()
        self._supervisor.begin()
        self._notifications.keep_listening()

    def stop(self) -> None:
        """Report `stopping` from now on, and end the probes."""
        self.stopping = True
        self._gateway.stop()
        self._supervisor.stop()

    def ready(self, environ: Mapping[str, Any], local: bool = False) -> tuple[int, dict[str, Any]]:
        """Return status and body at once: 200 if a task could be run, else 503.

        With `local` an unreachable TheEye is no reason for 503: it is for a prober that would restart this process or
        send requests to another one, which would not help.
        """
        if self.stopping:
            return 503, {"status": "stopping", "degraded": []}
        self._gateway.look_often()
        self._supervisor.look_often()
        gateway, supervisor = self._gateway.reachable, self._supervisor.reachable
        if gateway is None or supervisor is None or not (self._settled or self._notifications.settled):
            return 503, {"status": "starting", "degraded": []}
        self._settled = True
        host = read_host(environ, self.stop_is_told, self._max_waiting, self.parallel)
        return 200 if supervisor or local else 503, {
            "status": "ready" if supervisor else "unreachable",
            "degraded": [*self._degraded(gateway, supervisor), *host.degraded(self._max_waiting)],
            "age": round(max(self._gateway.age, self._supervisor.age), 1),
            "history_guard": self._guard_spans(),
            "host": host.shown(),
        }

    def _degraded(self, gateway: bool, supervisor: bool) -> Iterator[str]:
        if not supervisor:
            yield "supervisor: no task can be run"
        if not gateway:
            yield "gateway: known sessions still work, new ones get 502 until it is back"
        if self._redis and not self._notifications.live:
            yield "redis: the service polls TheEye until it is back"
        if self._notifications.misses:
            yield f"redis: {WRONG}"
        if self._scripts is not None and self._scripts.is_down:
            yield "redis: no idempotency keys, and the history guard sees one process only"
        yield from self._formatters

    def _guard_spans(self) -> str:
        """Return whose creates the history guard counts: those of all processes, or of this one."""
        if not self._guarded:
            return "off"
        shared = self._scripts is not None and self._notifications.live and not self._scripts.is_down
        return "all processes" if shared else "one process"
