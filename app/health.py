"""Tell whether the service is alive, whether it is ready, and which server carries it."""

import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from app.probes import Probe
from app.runs.redis_scripts import RedisScripts
from app.settings import Settings
from app.telemetry.access_log import iso_time
from app.waiter.notifications import WRONG, Notifications
from formatters import Failure

ONE = "one request at a time"
UNKNOWN = "unknown"

_STARTED = time.time()


class Health:
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
        self._formatters = [f"formatter {failure.name}: not loaded: {failure.kind}" for failure in formatters]
        self.stopping = False
        self.stop_is_told = False  # set by the code that will call Services.stop
        self.parallel: int | None = None  # threads or greenlets of the worker, set by our configuration of gunicorn
        self._max_waiting = settings.max_waiting
        self._scripts = scripts
        self._redis = bool(settings.redis_url)
        self._guarded = settings.history_guard
        self._gateway = gateway
        self._supervisor = supervisor
        self._notifications = notifications
        self._settled = False  # whether Redis has answered, or failed to, in the beginning

    def begin(self) -> None:
        """Start to find out, with the first request of each process, what `ready` will answer from."""
        self._gateway.begin()
        self._supervisor.begin()
        self._notifications.keep_listening()

    def stop(self) -> None:
        """Report that the service is stopping, and look at nothing any more."""
        self.stopping = True
        self._gateway.stop()
        self._supervisor.stop()

    def ready(self, environ: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body from what is known, at once: 200 where a task could be run."""
        if self.stopping:
            return 503, {"status": "stopping", "degraded": []}
        self._gateway.ask()
        self._supervisor.ask()
        gateway, supervisor = self._gateway.reachable, self._supervisor.reachable
        if gateway is None or supervisor is None or not (self._settled or self._notifications.settled):
            return 503, {"status": "starting", "degraded": []}
        self._settled = True
        host = read_host(environ, self.stop_is_told, self._max_waiting, self.parallel)
        return 200 if supervisor else 503, {
            "status": "ready" if supervisor else "unreachable",
            "degraded": [*self._degraded(gateway, supervisor), *host.degraded(self._max_waiting)],
            "age": round(max(self._gateway.age, self._supervisor.age), 1),
            "history_guard": self._guard_spans(),
            "host": host.shown(),
        }

    def _degraded(self, gateway: bool, supervisor: bool) -> Iterator[str]:
        if not supervisor:
            yield "supervisor: nothing can be run"
        if not gateway:
            yield "gateway: known sessions go on, new ones get 502 until it is back"
        if self._redis and not self._notifications.live:
            yield "redis: polling carries the waits until it is back"
        if self._notifications.misses:
            yield f"redis: {WRONG}"
        if self._scripts is not None and self._scripts.is_down:
            yield "redis: no idempotency keys, and the history guard spans one process"
        yield from self._formatters

    def _guard_spans(self) -> str:
        """Name the processes whose creates the history guard counts."""
        if not self._guarded:
            return "off"
        shared = self._scripts is not None and self._notifications.live and not self._scripts.is_down
        return "all processes" if shared else "one process"


@dataclass(frozen=True, slots=True)
class Host:
    """Describe the server that carries the service; `parallel` is how many requests one process takes at once."""

    server: str
    disconnects: str
    parallel: int | str
    stopping: str

    def shown(self) -> dict[str, Any]:
        """Return the part of `/readyz` that describes the host."""
        return asdict(self)

    def degraded(self, max_waiting: int) -> list[str]:
        """Warn where the server is known to take fewer requests at once than SYNC_MAX_WAITING."""
        if self.server.startswith("gunicorn") and self.parallel == UNKNOWN:
            return ["host: gunicorn runs without its configuration for TheEye Sync: start it with `theeye-sync serve`"]
        if self.parallel == ONE:
            return ["host: it serves one request at a time, all others queue"]
        if isinstance(self.parallel, int) and self.parallel < max_waiting:
            return [
                f"host: its {self.parallel} threads are fewer than SYNC_MAX_WAITING ({max_waiting}); "
                "once all of them wait, everything else queues, health checks too"
            ]
        return []


def read_host(
    environ: Mapping[str, Any],
    stop_is_told: bool,
    max_waiting: int,
    told: int | None = None,
    modules: Mapping[str, Any] = sys.modules,
) -> Host:
    """Read the host from a request's environ and from the modules that servers embed.

    `stop_is_told`: whether the host lets the service know when it stops; `told`: how many requests gunicorn takes.
    """
    server = _server(environ)
    return Host(
        server=server,
        disconnects="seen" if "gunicorn.socket" in environ else "not seen",
        parallel=_parallel(server, environ, max_waiting, told, modules),
        stopping="waits are answered" if stop_is_told or _uwsgi_waits(server, modules) else "waits are cut",
    )


def _server(environ: Mapping[str, Any]) -> str:
    if (sock := environ.get("gunicorn.socket")) is not None:
        if not environ.get("wsgi.multithread"):
            return "gunicorn"
        return "gunicorn gevent" if type(sock).__module__.startswith("gevent") else "gunicorn threads"
    for server in ("mod_wsgi", "uwsgi"):
        if f"{server}.version" in environ:
            return server
    product = str(environ.get("SERVER_SOFTWARE", "")).partition("/")[0].lower()
    return {"wsgiserver": "wsgiref", "": UNKNOWN}.get(product, product)


def _parallel(
    server: str, environ: Mapping[str, Any], max_waiting: int, told: int | None, modules: Mapping[str, Any]
) -> int | str:
    if server in ("wsgiref", "gunicorn", "mod_wsgi", "uwsgi") and not environ.get("wsgi.multithread"):
        return ONE
    if server.startswith("gunicorn"):
        return UNKNOWN if told is None else min(told, max_waiting)
    threads = environ.get("theeye_sync.threads")  # set by a server script, as deploy/waitress_server.py does
    if server == "mod_wsgi":
        threads = getattr(modules.get("mod_wsgi"), "threads_per_process", None)
    if server == "uwsgi":
        threads = getattr(modules.get("uwsgi"), "opt", {}).get("threads")
    return int(threads) if threads else UNKNOWN


def _uwsgi_waits(server: str, modules: Mapping[str, Any]) -> bool:
    """Return whether uWSGI lets requests end before it stops, as deploy/uwsgi.ini configures it."""
    opt = getattr(modules.get("uwsgi"), "opt", {}) if server == "uwsgi" else {}
    hooks = opt.get("hook-master-start", b"")  # a list where there are several
    return any(b"gracefully_kill_them_all" in hook for hook in (hooks if isinstance(hooks, list) else [hooks]))


def status() -> dict[str, Any]:
    """Return the fields of the original service's `/api/status`."""
    return {
        "status": "Node is ok.",
        "node_hostname": platform.node(),
        "node_uptime": iso_time(_booted()),
        "process_uptime": iso_time(_STARTED),
        "theeye_version": our_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def our_version() -> str:
    """Return the installed version, or `unknown` where only the files were copied."""
    try:
        return version("theeye-sync")
    except PackageNotFoundError:
        return "unknown"


def _booted() -> float:
    """Return when the machine was started, in seconds since 1970; where that is not known, when the process was."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() - time.clock_gettime(clock) if clock is not None else _STARTED
