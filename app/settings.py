"""Read all settings once, from the environment into one frozen object."""

import logging
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

MIB = 1024 * 1024
AUTO = "auto"
TOKEN_VARIABLE = "SYNC_CHECK_TOKEN"  # read by `theeye-sync check` only

# What Kubernetes sets in every container for a Service called `sync` or `sync-…`.
_KUBERNETES_NAME = re.compile(
    r"SYNC_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://.*")  # the value of SYNC_PORT


class SettingsError(ValueError):
    """Report a setting that cannot be used; the message names the variable and does not repeat its value."""


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text) if re.fullmatch(r"[0-9]*\.?[0-9]+", text, re.ASCII) else -1.0
        if not least <= value <= most:
            raise ValueError(f"must be a number from {least:g} to {most:g}")
        return value

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text) if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) else -1
        if not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return read


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            url = urlsplit(text)
            usable = url.scheme in schemes and bool(url.hostname) and (url.port is None or url.port > 0)
        except ValueError:
            usable = False
        if not usable or not re.fullmatch(r"[\x21-\x7e]+", text):
            raise ValueError(f"must be a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return text

    return read


def _theeye(text: str) -> str:
    url = urlsplit(_url("http", "https")(text))
    if "?" in text or "#" in text or url.username is not None:
        raise ValueError("must be a URL of a host and perhaps a path, without a user, query or fragment")
    return text.rstrip("/")


def _public_url(text: str) -> str:
    return AUTO if text == AUTO else _theeye(text)


def _redis(text: str) -> str:
    if not text:
        return ""
    if find_spec("redis") is None:
        raise ValueError("needs redis-py: pip install 'theeye-sync[redis]'")
    if text.startswith("unix://"):
        return text
    url = _url("redis", "rediss")(text)
    if not re.fullmatch("/?[0-9]*", urlsplit(url).path):
        raise ValueError("must end with the number of a database, or without one")
    _check_options(url)
    return url


def _check_options(url: str) -> None:
    """Make a connection object without connecting: redis-py raises for an unknown option in the URL's query."""
    import redis

    try:
        redis.Redis.from_url(url).connection_pool.make_connection()
    except (TypeError, ValueError):
        raise ValueError("has an option that redis-py does not know") from None


def _bind(text: str) -> str:
    if not re.fullmatch(r"(unix:.+|fd://[0-9]+|(\[[0-9a-fA-F:.]+\]|[^\s:/]+):[0-9]{1,5})", text):
        raise ValueError("must be HOST:PORT, unix:PATH or fd://NUMBER")
    port = text.rpartition(":")[2]
    if port.isdigit() and int(port) > 65535:
        raise ValueError("must have a port of at most 65535")
    return text


def _log(text: str) -> str:
    form = _one_of("text", "json", "off")(text)
    if form == "json" and find_spec("pythonjsonlogger") is None:
        raise ValueError("json needs python-json-logger: pip install 'theeye-sync[log]'")
    return form


def _metrics_bind(text: str) -> str:
    if text.startswith("fd:"):
        raise ValueError("must be HOST:PORT or unix:PATH")
    if find_spec("prometheus_client") is None:
        raise ValueError("needs prometheus_client: pip install 'theeye-sync[metrics]'")
    return _bind(text)


def _origins(text: str) -> tuple[str, ...]:
    origins = _words(text)
    if not origins or not all(re.fullmatch(r"\*|null|[a-z][a-z0-9+.-]*://[^/\s*]+", origin) for origin in origins):
        raise ValueError("must be * or origins like https://app.example.org, without a path")
    return origins


def _client_cert(text: str) -> str:
    """Load a PEM file as a TLS client would. Raise ValueError."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(text, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError("must hold the key of its own certificate") from None
        raise ValueError("must be a PEM file with a certificate and its key") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    return text


def _no_password() -> str:
    raise ValueError("must hold a key that is not encrypted")


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.split(r"[\s,]+", text.strip(" ,\t"))) if text.strip(" ,\t") else ()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _setting(default: T, read: Callable[[str], T], words: str) -> T:
    """Declare a setting: its default, the function that reads its variable, and its words in the README's table."""
    return field(default=default, metadata={"read": read, "words": words})


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold every setting; times are in seconds, sizes in bytes."""

    bind: str = _setting("127.0.0.1:6090", _bind, "address to listen on: `HOST:PORT`, `unix:PATH` or `fd://NUMBER`")
    workers: int = _setting(_cores(), _whole(1, 1024), "gunicorn processes")
    gateway_url: str = _setting("http://127.0.0.1:6080", _theeye, "TheEye's gateway")
    supervisor_url: str = _setting("http://127.0.0.1:60080", _theeye, "TheEye's supervisor")
    redis_url: str = _setting("", _redis, "TheEye's Redis; empty: the waits poll, no idempotency keys")
    wait_seconds: float = _setting(
        60.0, _number(0, 86400), "longest wait for a job, in seconds; a request can ask for less"
    )
    grace_seconds: float = _setting(30.0, _number(0, 86400), "seconds that waits may go on after SIGTERM")
    connect_timeout: float = _setting(3.0, _number(0.001, 3600), "seconds to connect to TheEye")
    call_timeout: float = _setting(15.0, _number(0.001, 3600), "seconds for one whole call to TheEye")
    client_cert: str = _setting(
        "", _client_cert, "PEM file with a certificate and its key, shown to TheEye where its URL is `https`"
    )
    session_ttl: float = _setting(30.0, _number(0, 86400), "seconds that a token's session is remembered; `0`: never")
    max_waiting: int = _setting(1000, _whole(1, 1_000_000), "requests that may wait in one process; the next gets 503")
    max_waiting_customer: int = _setting(
        0,
        _whole(0, 1_000_000),
        "of these, requests of one customer; its next gets 503. `0`: nine tenths of `SYNC_MAX_WAITING`",
    )
    max_looks: int = _setting(
        50,
        _whole(1, 1_000_000),
        "looks at jobs that one process makes in a second; reads that follow a notification are not held back",
    )
    history_guard: bool = _setting(
        True, _flag, "delay a create while it would make TheEye delete a job that nobody has read yet"
    )
    max_body: int = _setting(16 * MIB, _whole(0, 1 << 40), "bytes of the largest request body (16 MiB)")
    max_job: int = _setting(64 * MIB, _whole(1, 1 << 40), "bytes of the largest answer read from TheEye (64 MiB)")
    max_answer_bytes: int = _setting(
        256 * MIB,
        _whole(1, 1 << 40),
        "bytes of answers that one process is sending; above that the next gets 503 (256 MiB)",
    )
    query_token: bool = _setting(True, _flag, "accept `?access_token=`; `0`: the Authorization header only")
    strict: bool = _setting(
        False, _flag, "answer 500 where a script has crashed, as with `?strict`; `?strict=0` turns it off"
    )
    cors_origins: tuple[str, ...] = _setting(("*",), _origins, "origins allowed, separated by commas or spaces")
    proxies: int = _setting(0, _whole(0, 10), "number of trusted proxies in front, which set `X-Forwarded-*`")
    public_url: str = _setting(
        "",
        _public_url,
        "URL of the service as clients see it, for absolute addresses in `Location`; "
        "`auto`: as the trusted proxy says; empty: relative ones",
    )
    plugins: tuple[str, ...] = _setting(
        (), _words, "further formatters: files (`.py`) or modules; installed ones are found"
    )
    disabled_formatters: tuple[str, ...] = _setting((), _words, "formatters and plugins not to load, e.g. `full`")
    console: bool = _setting(True, _flag, "the console at `/console`; `0`: the path is 404")
    docs: bool = _setting(True, _flag, "the API page at `/docs`; `0`: the path is 404")
    log: str = _setting("text", _log, "one line for each request on standard output: `text`, `json` or `off`")
    metrics_bind: str = _setting(
        "", _metrics_bind, "address that serves Prometheus `/metrics`: `HOST:PORT` or `unix:PATH`; empty: no metrics"
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the `SYNC_*` variables. Raise SettingsError for the first value that cannot be used."""
        settings, wrong = cls.read(environ)
        for variable, reason in wrong.items():
            raise SettingsError(f"{variable} {reason}")
        return settings

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> tuple["Settings", dict[str, str]]:
        """Return the settings, with the default for each bad value, and by variable why its value is bad."""
        values: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for each in fields(cls):
            text = environ.get(variable_of(each.name), "").strip()
            if text:
                try:
                    values[each.name] = each.metadata["read"](text)
                except ValueError as error:
                    wrong[variable_of(each.name)] = str(error)
        settings = cls(**values)
        if settings.metrics_bind == settings.bind:
            wrong.setdefault(variable_of("metrics_bind"), "must not be that of SYNC_BIND")
        return settings, wrong

    @property
    def waiting_of_customer(self) -> int:
        """Return how many requests of one customer may wait in one process: nine tenths of all, rounded up."""
        return self.max_waiting_customer or -(-self.max_waiting * 9 // 10)

    @property
    def threads(self) -> int:
        """Return the threads of a gunicorn worker: more than may wait, for health checks, refusals and slow heads."""
        return self.max_waiting + 256

    @property
    def connections(self) -> int:
        """Return the connections that a gunicorn worker accepts: more than may wait, for the same reason."""
        return self.max_waiting + 1024

    @property
    def open_files(self) -> int:
        """Return how many files a worker may have open at once: one for each connection and each call to TheEye."""
        return self.connections + self.threads + 1024


def variable_of(name: str) -> str:
    """Return the name of a setting's environment variable."""
    return f"SYNC_{name.upper()}"


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return each variable that looks like a setting and is none, with the nearest name of one."""
    known = [variable_of(each.name) for each in fields(Settings)]
    return {
        name: get_close_matches(name, known, 1, 0)[0]
        for name, value in sorted(environ.items())
        if name.startswith("SYNC_") and name not in (*known, TOKEN_VARIABLE) and not _is_kubernetes(name, value)
    }


@cache  # gunicorn's master warns, and its workers inherit that it has
def warn_of_unknown_variables() -> None:
    """Log a warning for each variable of the environment that looks like a setting and is none."""
    for name, nearest in unknown_variables(os.environ).items():
        logging.getLogger("theeye_sync").warning("%s is no setting; the nearest is %s", name, nearest)


def _is_kubernetes(name: str, value: str) -> bool:
    is_port = name.endswith("_PORT") and _KUBERNETES_PORT.fullmatch(value) is not None
    return is_port or _KUBERNETES_NAME.fullmatch(name) is not None
