"""Call the stand-in in its own tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from support.processes import RawResponse, Redis, raw_request
from support.sandbox import Client
from support.theeye import JOB, StandIn


class Caller(Client):
    """Call the stand-in with a token, over a kept-alive connection."""

    def __init__(self, theeye: StandIn) -> None:
        super().__init__(theeye.url, "tok-acme")

    def profile(self, **options: Any) -> requests.Response:
        return self.get("/api/session/profile", **options)

    def post(self, **options: Any) -> requests.Response:
        return self.call("POST", JOB, **({"json": {"task_arguments": [100]}} | options))

    def read(self, job_id: str, **options: Any) -> requests.Response:
        return self.get(f"/acme/job/{job_id}", **options)

    def cancel(self, job_id: str) -> int:
        return self.call("PUT", f"/acme/job/{job_id}/cancel").status_code


def raw_get(theeye: StandIn, path: str = "/api/session/profile", token: str = "tok-acme") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def ask(theeye: StandIn, timeout: float = 5.0) -> RawResponse:
    return raw_request("127.0.0.1", theeye.port, raw_get(theeye), timeout)


NO_JOB = "61f42186c38201daffffffff"


@contextmanager
def listening(redis_server: Redis, pattern: str = "*:job-finished:*") -> Iterator[Callable[[], dict[str, Any] | None]]:
    """Subscribe and wait for the acknowledgement; yield a function that returns the next message."""
    with redis_server.client().pubsub() as pubsub:
        pubsub.psubscribe(pattern)
        assert pubsub.get_message(timeout=20)["type"] == "psubscribe"
        yield lambda: pubsub.get_message(timeout=20)
