"""All settings, read once from the environment into one frozen object."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit


class SettingsError(ValueError):
    """A setting cannot be used; the message names the variable, and never holds its value's secrets."""


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
    if url.query or url.fragment or url.username is not None:
        raise ValueError("must be a URL of a host and perhaps a path, without a user, query or fragment")
    return text.rstrip("/")


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
    """Makes a connection without connecting, so that an unknown option in the query is found at the start."""
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


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.split(r"[\s,]+", text.strip(" ,\t"))) if text.strip(" ,\t") else ()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set; times in seconds, sizes in bytes."""

    bind: str = "127.0.0.1:6090"
    workers: int = _cores()
    gateway_url: str = "http://127.0.0.1:6080"
    supervisor_url: str = "http://127.0.0.1:60080"
    redis_url: str = ""
    wait_seconds: float = 60
    grace_seconds: float = 30
    connect_timeout: float = 3
    call_timeout: float = 15
    session_ttl: float = 30
    max_waiting: int = 1000
    history_guard: bool = True
    max_body: int = 16 * MIB
    max_job: int = 64 * MIB
    query_token: bool = True
    cors_origins: tuple[str, ...] = ("*",)
    proxies: int = 0
    plugins: tuple[str, ...] = ()
    disabled_formatters: tuple[str, ...] = ()
    log: str = "text"
    metrics_bind: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Reads the `SYNC_*` variables. Raises SettingsError for a value that cannot be used."""
        settings, wrong = cls.read(environ)
        for variable, reason in wrong.items():
            raise SettingsError(f"{variable} {reason}")
        return settings

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> tuple["Settings", dict[str, str]]:
        """The settings, with the default for each value that cannot be used, and the reason by variable."""
        values: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for field in fields(cls):
            text = environ.get(variable_of(field.name), "").strip()
            if text:
                try:
                    values[field.name] = _READERS[field.name](text)
                except ValueError as error:
                    wrong[variable_of(field.name)] = str(error)
        settings = cls(**values)
        if settings.metrics_bind == settings.bind:
            wrong.setdefault(variable_of("metrics_bind"), "must not be that of SYNC_BIND")
        return settings, wrong

    @property
    def threads(self) -> int:
        """Threads of a gunicorn worker: above the places, so that health checks and refusals are answered."""
        return self.max_waiting + 64

    @property
    def connections(self) -> int:
        """Connections that a gunicorn worker accepts: above the places, likewise."""
        return self.max_waiting + 1024

    @property
    def open_files(self) -> int:
        """Files that a worker may have open at once: each connection is one, and so is each call."""
        return self.connections + self.threads + 1024


def variable_of(field: str) -> str:
    """The name of a setting's variable."""
    return f"SYNC_{field.upper()}"


_READERS: Mapping[str, Callable[[str], Any]] = {
    "bind": _bind,
    "workers": _whole(1, 1024),
    "gateway_url": _theeye,
    "supervisor_url": _theeye,
    "redis_url": _redis,
    "wait_seconds": _number(0, 86400),
    "grace_seconds": _number(0, 86400),
    "connect_timeout": _number(0.001, 3600),
    "call_timeout": _number(0.001, 3600),
    "session_ttl": _number(0, 86400),
    "max_waiting": _whole(1, 1_000_000),
    "history_guard": _flag,
    "max_body": _whole(0, 1 << 40),
    "max_job": _whole(1, 1 << 40),
    "query_token": _flag,
    "cors_origins": _origins,
    "proxies": _whole(0, 10),
    "plugins": _words,
    "disabled_formatters": _words,
    "log": _one_of("text", "json", "off"),
    "metrics_bind": _metrics_bind,
}
