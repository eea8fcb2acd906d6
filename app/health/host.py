"""Find out which WSGI server hosts the service, and what that server can do."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

ONE = "one request at a time"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Host:
    """Describe the WSGI server; `parallel` is the number of requests that one process serves at once."""

    server: str
    disconnects: str
    parallel: int | str
    stopping: str

    def shown(self) -> dict[str, Any]:
        """Return the host's part of `/readyz`."""
        return asdict(self)

    def degraded(self, max_waiting: int) -> list[str]:
        """Return a warning if the server serves fewer requests at once than SYNC_MAX_WAITING."""
        if self.server.startswith("gunicorn") and self.parallel == UNKNOWN:
            return ["host: gunicorn runs without its configuration for TheEye Sync: start it with `theeye-sync serve`"]
        if self.parallel == ONE:
            return ["host: the server handles one request at a time, all others queue"]
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

    `stop_is_told` is whether the host tells the service that it stops, `told` how many requests gunicorn takes at once.
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
    """Return whether uWSGI is configured as in deploy/uwsgi.ini, so that requests end before it stops."""
    opt = getattr(modules.get("uwsgi"), "opt", {}) if server == "uwsgi" else {}
    hooks = opt.get("hook-master-start", b"")  # a list if there are several
    return any(b"gracefully_kill_them_all" in hook for hook in (hooks if isinstance(hooks, list) else [hooks]))
