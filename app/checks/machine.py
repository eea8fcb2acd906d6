"""Check this machine: plugins, the limit of open files, and the extras that are installed."""

import resource
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from app.checks.finding import Finding, fail, ok, warn
from app.settings import Settings
from formatters import Registry

H1C = (0, 6, 10)  # the oldest version that gunicorn uses


def plugins(settings: Settings) -> Iterator[Finding]:
    """Report each plugin that failed, each disabled name without an effect, and all modes."""
    registry = Registry(settings.disabled_formatters, settings.plugins)
    for failure in registry.failures:
        origin = "" if failure.source == failure.name else f" ({failure.source})"
        yield fail("plugins", f"{failure.name}{origin} is not loaded: {failure.reason}", "Correct it or leave it out")
    for name in registry.disabled_nothing:
        words = f"SYNC_DISABLED_FORMATTERS names {name}, which has no effect"
        yield warn("plugins", words, "`theeye-sync formatters` shows the names; output cannot be turned off")
    yield ok("plugins", f"modes: {', '.join(_described(mode.name, mode.plugin) for mode in registry.modes)}")


def files(settings: Settings) -> Iterator[Finding]:
    """Check that the hard limit of open files is high enough; gunicorn.conf.py raises the soft limit to it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needed = settings.open_files
    if hard == resource.RLIM_INFINITY or hard >= needed:
        yield ok("files", f"each worker may open {needed} files, as many as it can need")
        return
    fit = settings.max_waiting - (needed - hard + 1) // 2
    lower = f", or lower SYNC_MAX_WAITING to {fit}" if fit > 0 else ""
    yield fail(
        "files",
        f"the limit is {hard} open files, but each worker can need {needed}",
        f"Raise the hard limit (ulimit -Hn, systemd: LimitNOFILE, Docker: --ulimit nofile){lower}",
    )


def extras() -> Iterator[Finding]:
    """Report which extras are missing, and the effect of each."""
    missing = [
        *_unless(
            _has("gevent") and _has("packaging"),
            "gevent",
            "no gevent: every waiting request needs a thread, which takes more memory",
        ),
        *_unless(
            _h1c(),
            "fast",
            "no gunicorn_h1c of 0.6.10 or newer: gunicorn reads requests in Python, which takes more CPU",
        ),
        *_unless(_has("redis"), "redis", "no redis-py: the service polls TheEye, and there are no idempotency keys"),
        *_unless(
            _has("hiredis") or not _has("redis"),
            "redis",
            "no hiredis: redis-py reads answers in Python, which takes more CPU",
        ),
        *_unless(_has("prometheus_client"), "metrics", "no prometheus_client: there are no metrics"),
    ]
    yield from missing or [ok("extras", "all installed")]


def _described(mode: str, plugin: str) -> str:
    return mode if plugin == "built in" else f"{mode} ({plugin})"


def _unless(there: bool, extra: str, cost: str) -> list[Finding]:
    return [] if there else [warn("extras", cost, f"pip install 'theeye-sync[{extra}]'")]


def _has(module: str) -> bool:
    return find_spec(module) is not None


def _h1c() -> bool:
    """Return whether gunicorn's C parser is installed, in a version that gunicorn uses."""
    try:
        numbers = tuple(int(part) for part in version("gunicorn_h1c").split(".")[:3] if part.isdigit())
    except PackageNotFoundError:
        return False
    return numbers >= H1C
