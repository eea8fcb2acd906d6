"""Which server serves us and what it can do: read from a request's environ and the modules that servers embed."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

ONE = "one request at a time"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Host:
    """The server and its limits; `parallel`: how many requests one process takes at once."""

    server: str
    disconnects: str
    parallel: int | str
    stopping: str

    def shown(self) -> dict[str, Any]:
        """As `/readyz` shows it."""
        return asdict(self)

    def degraded(self, max_waiting: int) -> list[str]:
        """In words, where the server has fewer places than SYNC_MAX_WAITING; it may not have told."""
        if self.parallel == ONE:
            return ["host: it serves one request at a time, all others queue"]
        if isinstance(self.parallel, int) and self.parallel < max_waiting:
            return [
                f"host: its {self.parallel} threads are fewer than SYNC_MAX_WAITING ({max_waiting}); "
                "once all of them wait, everything else queues, health checks too"
            ]
        return []


def read_host(
    environ: Mapping[str, Any], stop_is_told: bool, max_waiting: int, modules: Mapping[str, Any] = sys.modules
) -> Host:
    """The host of a request; `stop_is_told`: whether it lets the service know when it stops."""
    server = _server(environ)
    return Host(
        server=server,
        disconnects="seen" if "gunicorn.socket" in environ else "not seen",
        parallel=_parallel(server, environ, max_waiting, modules),
        stopping="waits are answered" if stop_is_told or _waits_for_all(server, modules) else "waits are cut",
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


def _parallel(server: str, environ: Mapping[str, Any], max_waiting: int, modules: Mapping[str, Any]) -> int | str:
    if server in ("wsgiref", "gunicorn", "mod_wsgi", "uwsgi") and not environ.get("wsgi.multithread"):
        return ONE
    if server.startswith("gunicorn"):
        return max_waiting  # gunicorn.conf.py gives it more threads, or greenlets, than that
    threads = environ.get("theeye_sync.threads")  # from a server script of ours
    if server == "mod_wsgi":
        threads = getattr(modules.get("mod_wsgi"), "threads_per_process", None)
    if server == "uwsgi":
        threads = getattr(modules.get("uwsgi"), "opt", {}).get("threads")
    return int(threads) if threads else UNKNOWN


def _waits_for_all(server: str, modules: Mapping[str, Any]) -> bool:
    """Whether uWSGI was told to let requests end, as deploy/uwsgi.ini does."""
    opt = getattr(modules.get("uwsgi"), "opt", {}) if server == "uwsgi" else {}
    hooks = opt.get("hook-master-start", b"")  # a list where there are several
    return any(b"gracefully_kill_them_all" in hook for hook in (hooks if isinstance(hooks, list) else [hooks]))
