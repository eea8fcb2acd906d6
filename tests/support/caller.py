"""A client of the stand-in, for the stand-in's own tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from support.processes import (
    RawResponse,
    Redis,
    raw_request,
)
from support.theeye import (
    TASK,
    StandIn,
)


class Caller:
    """A keep-alive client of the stand-in with a token."""

    def __init__(self, theeye: StandIn, token: str = "tok-acme") -> None:
        self.theeye = theeye
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        options = {"timeout": 20, "allow_redirects": False} | options
        return self.session.request(method, self.theeye.url + path, **options)

    def profile(self, **options: Any) -> requests.Response:
        return self("GET", "/api/session/profile", **options)

    def create(self, task: str = TASK, **options: Any) -> requests.Response:
        return self("POST", f"/acme/task/{task}/job", **({"json": {"task_arguments": [100]}} | options))

    def read(self, job_id: str, **options: Any) -> requests.Response:
        return self("GET", f"/acme/job/{job_id}", **options)

    def lifecycle(self, job_id: str) -> Any:
        return self("GET", f"/acme/job/{job_id}/lifecycle").json()

    def cancel(self, job_id: str) -> int:
        return self("PUT", f"/acme/job/{job_id}/cancel").status_code


def raw_get(theeye: StandIn, path: str = "/api/session/profile", token: str = "tok-acme") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def ask(theeye: StandIn, timeout: float = 5.0) -> RawResponse:
    return raw_request("127.0.0.1", theeye.port, raw_get(theeye), timeout)


NO_JOB = "61f42186c38201daffffffff"


@contextmanager
def listening(redis_server: Redis, pattern: str = "*:job-finished:*") -> Iterator[Callable[[], dict[str, Any] | None]]:
    """A subscription whose acknowledgement has come; gives a function for the next message."""
    with redis_server.client().pubsub() as pubsub:
        pubsub.psubscribe(pattern)
        assert pubsub.get_message(timeout=5)["type"] == "psubscribe"
        yield lambda: pubsub.get_message(timeout=2)
