"""Read all settings once, from the environment into one frozen object."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from app.cpus import usable
from app.setting_readers import (
    address,
    flag,
    log_form,
    metrics_address,
    names,
    number,
    origins,
    pem_file,
    redis_address,
    server_url,
    server_url_or_auto,
    whole,
)

T = TypeVar("T")

MIB = 1024 * 1024
PORT_VARIABLE = "PORT"  # set by container platforms; elsewhere it may belong to another program
TOKEN_VARIABLE = "SYNC_CHECK_TOKEN"  # read by `theeye-sync check` only
CLIENT_URL, CLIENT_TOKEN = "SYNC_URL", "SYNC_TOKEN"  # read by `theeye-sync run` and the other commands of a client


class SettingsError(ValueError):
    """Report a setting that cannot be used; the message names the variable but does not repeat its value."""


def _setting(default: T, read: Callable[[str], T], words: str) -> T:
    """Declare a setting: its default, the reader of its variable, and its words in the table of docs/settings.md."""
    return field(default=default, metadata={"read": read, "words": words})


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold every setting; times are in seconds, sizes in bytes."""

    bind: str = _setting(
        "127.0.0.1:6090",
        address,
        "address to listen on: `HOST:PORT`, `:PORT` for all addresses, `unix:PATH` or `fd://NUMBER`",
    )
    container: bool = _setting(
        False,
        flag,
        "`1` in a container: without `SYNC_BIND` listen on all addresses, on port `PORT` or else 6090; "
        "log to standard output only",
    )
    workers: int = _setting(usable(), whole(1, 1024), "gunicorn processes")
    gateway_url: str = _setting("http://127.0.0.1:6080", server_url, "TheEye's gateway")
    supervisor_url: str = _setting("http://127.0.0.1:60080", server_url, "TheEye's supervisor")
    redis_url: str = _setting(
        "",
        redis_address,
        "TheEye's Redis, or its Sentinels; empty: the service polls TheEye, and there are no idempotency keys",
    )
    wait_seconds: float = _setting(
        60.0, number(0, 86400), "longest wait for a job, in seconds; a request can ask for less"
    )
    grace_seconds: float = _setting(30.0, number(0, 86400), "seconds that waiting requests may go on after SIGTERM")
    connect_timeout: float = _setting(3.0, number(0.001, 3600), "seconds to connect to TheEye")
    call_timeout: float = _setting(15.0, number(0.001, 3600), "seconds for one whole call to TheEye")
    client_cert: str = _setting(
        "", pem_file, "PEM file with a certificate and its key, sent to TheEye if its URL is `https`"
    )
    session_ttl: float = _setting(
        30.0, number(0, 86400), "seconds that the service remembers a token's session; `0`: not at all"
    )
    max_waiting: int = _setting(1000, whole(1, 1_000_000), "requests that may wait in one process; the next gets 503")
    max_waiting_customer: int = _setting(
        0,
        whole(0, 1_000_000),
        "requests of one customer that may wait in one process; its next gets 503. "
        "`0`: nine tenths of `SYNC_MAX_WAITING`, rounded up",
    )
    max_looks: int = _setting(
        50,
        whole(1, 1_000_000),
        "looks at jobs (reads of their lifecycle) that one process makes in a second; "
        "reads after a notification are never delayed",
    )
    history_guard: bool = _setting(
        True, flag, "delay the creation of a job while it would make TheEye delete a job that nobody has read yet"
    )
    max_body: int = _setting(16 * MIB, whole(0, 1 << 40), "bytes of the largest request body (16 MiB)")
    max_job: int = _setting(64 * MIB, whole(1, 1 << 40), "bytes of the largest answer read from TheEye (64 MiB)")
    max_answer_bytes: int = _setting(
        256 * MIB,
        whole(1, 1 << 40),
        "bytes of answers that one process may be sending at once; above that the next request gets 503 (256 MiB)",
    )
    query_token: bool = _setting(True, flag, "accept `?access_token=`; `0`: the Authorization header only")
    strict: bool = _setting(
        False, flag, "answer 500 if a script has crashed, as with `?strict`; `?strict=0` turns it off for one request"
    )
    cors_origins: tuple[str, ...] = _setting(("*",), origins, "origins allowed, separated by commas or spaces")
    proxies: int = _setting(
        0, whole(0, 10), "number of trusted proxies in front of the service, which set `X-Forwarded-*`"
    )
    public_url: str = _setting(
        "",
        server_url_or_auto,
        "URL of the service as clients see it, for absolute addresses in `Location`; "
        "`auto`: from the headers of the trusted proxy; empty: relative addresses",
    )
    plugins: tuple[str, ...] = _setting(
        (), names, "further formatters: files (`.py`) or modules; installed plugins need no entry"
    )
    disabled_formatters: tuple[str, ...] = _setting((), names, "formatters and plugins not to load, e.g. `full`")
    console: bool = _setting(True, flag, "the console at `/console`; `0`: the path is 404")
    docs: bool = _setting(True, flag, "the API page at `/docs`; `0`: the path is 404")
    log: str = _setting("text", log_form, "one line for each request on standard output: `text`, `json` or `off`")
    metrics_bind: str = _setting(
        "", metrics_address, "address that serves Prometheus `/metrics`: `HOST:PORT` or `unix:PATH`; empty: no metrics"
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
        """Return the settings with defaults in place of bad values, and the reason for each bad value by variable."""
        values: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for each in fields(cls):
            text = environ.get(variable_of(each.name), "").strip()
            if text:
                try:
                    values[each.name] = each.metadata["read"](text)
                except ValueError as error:
                    wrong[variable_of(each.name)] = str(error)
        if values.get("container") and not environ.get(variable_of("bind"), "").strip():
            try:
                values["bind"] = address(f":{whole(1, 65535)(environ.get(PORT_VARIABLE, '').strip() or '6090')}")
            except ValueError as error:
                wrong[PORT_VARIABLE] = str(error)
        settings = cls(**values)
        if settings.metrics_bind == settings.bind:
            wrong.setdefault(variable_of("metrics_bind"), "must not be that of SYNC_BIND")
        return settings, wrong

    @property
    def waiting_of_customer(self) -> int:
        """Return how many requests of one customer may wait in one process; by default nine tenths, rounded up."""
        return self.max_waiting_customer or -(-self.max_waiting * 9 // 10)

    @property
    def threads(self) -> int:
        """Return the number of a worker's threads: 256 beside the waits, for health checks, refusals and slow heads."""
        return self.max_waiting + 256

    @property
    def connections(self) -> int:
        """Return the number of connections that a worker accepts: 1024 beside the waits, for the same reason."""
        return self.max_waiting + 1024

    @property
    def open_files(self) -> int:
        """Return how many files a worker may open at once: one for each connection and each call to TheEye."""
        return self.connections + self.threads + 1024


def variable_of(name: str) -> str:
    """Return the name of a setting's environment variable."""
    return f"SYNC_{name.upper()}"
