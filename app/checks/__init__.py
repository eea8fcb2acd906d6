"""Run the checks of `theeye-sync check`; the service itself does not run them.

variables   the SYNC_* variables            network  whether a host can be reached
theeye      gateway, supervisor, a token    redis    everything that the service needs of Redis
refusals    the meaning of a Redis error    machine  plugins, file limit, extras
finding     what a check reports            report   findings as lines or JSON
"""

from collections.abc import Iterator, Mapping

from app.checks import machine, redis, theeye, variables
from app.checks.finding import Finding, warn
from app.settings import Settings

_NEEDS = {
    "gateway": (theeye.gateway, "SYNC_GATEWAY_URL"),
    "supervisor": (theeye.supervisor, "SYNC_SUPERVISOR_URL"),
    "redis": (redis.findings, "SYNC_REDIS_URL"),
    "plugins": (machine.plugins, "SYNC_PLUGINS"),
    "files": (machine.files, "SYNC_MAX_WAITING"),
}


def findings(environ: Mapping[str, str], token: str | None = None) -> Iterator[Finding]:
    """Run every check and yield its findings; skip the checks that need a setting whose value is bad."""
    settings, wrong = Settings.read(environ)
    yield from variables.findings(environ, settings, wrong)
    for subject, (check, variable) in _NEEDS.items():
        if variable in wrong:
            yield warn(subject, f"not checked, because {variable} cannot be used")
        else:
            yield from check(settings)
    if token is not None and not {"SYNC_GATEWAY_URL", "SYNC_SUPERVISOR_URL"} & wrong.keys():
        yield from theeye.session(settings, token)
    yield from machine.extras()
