"""Check the SYNC_* variables: bad values, unknown names, and values that do not fit together."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches

from app.checks.finding import Finding, fail, ok, plural, warn
from app.settings import Settings, variable_of
from app.unknown_variables import has_its_words, unknown_variables

PROXY_SECONDS = 60  # the default of nginx's proxy_read_timeout and of most load balancers' idle timeout

_KNOWN = [variable_of(field.name) for field in fields(Settings)]


def findings(environ: Mapping[str, str], settings: Settings, wrong: Mapping[str, str]) -> Iterator[Finding]:
    """Report each variable to correct, or how many variables are set."""
    found = [
        *(fail("settings", f"{name} {reason}", "The service does not start") for name, reason in wrong.items()),
        *_unread(environ),
        *_misfits(settings),
    ]
    count = sum(bool(environ.get(name, "").strip()) for name in _KNOWN)
    yield from found or [ok("settings", f"{plural(count, 'variable')} set, the rest have their defaults")]


def _unread(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name, nearest in unknown_variables(environ).items():
        if has_its_words(nearest, name) or get_close_matches(name, [nearest], 1, 0.8):
            yield fail("settings", f"{name} is not a setting", f"Is {nearest} meant?")
        else:
            yield warn("settings", f"{name} is not a setting", "Remove it")


def _misfits(settings: Settings) -> Iterator[Finding]:
    if settings.wait_seconds > PROXY_SECONDS:
        yield warn(
            "settings",
            f"SYNC_WAIT_SECONDS is {settings.wait_seconds:g}, but most proxies stop waiting after {PROXY_SECONDS} s",
            f"Set the proxy's timeout above {settings.wait_seconds:g} s (nginx: proxy_read_timeout)",
        )
    if settings.connect_timeout > settings.call_timeout:
        yield warn(
            "settings",
            f"SYNC_CONNECT_TIMEOUT ({settings.connect_timeout:g}) is above SYNC_CALL_TIMEOUT "
            f"({settings.call_timeout:g}), which also limits the connect",
            "Lower the first or raise the second",
        )
    if settings.max_waiting_customer > settings.max_waiting:
        yield warn(
            "settings",
            f"SYNC_MAX_WAITING_CUSTOMER ({settings.max_waiting_customer}) is above SYNC_MAX_WAITING "
            f"({settings.max_waiting}), so it has no effect",
            "Lower the first or raise the second",
        )
    if settings.session_ttl == 0:
        yield warn(
            "settings", "SYNC_SESSION_TTL is 0: every request asks the gateway, and fails while the gateway is down"
        )
