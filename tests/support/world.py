"""Use the service as a caller, in this process or under gunicorn, together with its TheEye."""

import http.client
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug import Response

from support.client import RUN, ask
from support.theeye import JOB, Call, StandIn

Send = Callable[..., Response]  # (method, target, body, **headers)


def in_process(app: Flask) -> Send:
    """Return a function that asks the application; with a client for each request, so that threads can use it."""
    return lambda method, target, body, **headers: ask(app.test_client(), method, target, body, **headers)


def over_http(url: str) -> Send:
    """Return a function that asks a service, on a new connection for each request."""

    def send(method: str, target: str, body: bytes, **headers: str) -> Response:
        sent = {"Authorization": "Bearer tok-acme", **headers, "Connection": "close"}
        sent = {name.replace("_", "-"): value for name, value in sent.items() if value}
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        try:
            connection.request(method, target, body, sent)
            got = connection.getresponse()
            return Response([got.read()], f"{got.status} {got.reason}", got.getheaders())
        finally:
            connection.close()

    return send


@dataclass(frozen=True)
class World:
    """Call the service as a user of acme, who runs TASK."""

    theeye: StandIn
    send: Send
    notified: bool = False

    def ask(self, method: str, target: str, token: str = "tok-acme", body: bytes = b"", **headers: str) -> Response:
        return self.send(method, target, body, **{"Authorization": f"Bearer {token}" if token else "", **headers})

    def post(self, query: str = "", **headers: str) -> Response:
        return self.ask("POST", JOB + query, body=RUN, **{"Content_Type": "application/json", **headers})

    def get(self, job_id: str, query: str = "") -> Response:
        return self.ask("GET", f"{JOB}/{job_id}{query}")

    def delete(self, job_id: str) -> Response:
        return self.ask("DELETE", f"{JOB}/{job_id}")

    def start(self, **task: Any) -> str:
        """Start a job without waiting for its end; return its id."""
        self.theeye.task(**{"delay": None, **task})
        return self.post(Prefer="respond-async").headers["X-Job-Id"]

    def warm(self) -> None:
        """Send a request, so that the service knows the session and the history limit, and listens."""
        assert self.post().status_code == 200

    def last_job(self) -> str:
        return list(self.theeye.jobs)[-1]

    @contextmanager
    def parked(self, count: int = 1, query: str = "") -> Iterator[tuple[list[str], list[Future[Response]]]]:
        """Send requests whose jobs run until the test ends them; yield the jobs' ids and the futures of the answers."""
        before = len(self.theeye.jobs)
        self.theeye.task(delay=None)
        with ThreadPoolExecutor(count) as pool:
            answers = [pool.submit(self.post, query) for _ in range(count)]
            job_ids = self.theeye.wait_for_jobs(before + count)[before:]
            self.theeye.task()  # as usual for those that come later
            yield job_ids, answers

    @contextmanager
    def calls(self) -> Iterator[list[Call]]:
        """Yield a list of the calls that TheEye gets within the block."""
        calls: list[Call] = []
        before = len(self.theeye.calls)
        yield calls
        calls += self.theeye.calls[before:]


def only_job(calls: list[Call]) -> list[str]:
    """Return the kinds of the calls, without those about the session."""
    return [call.kind for call in calls if call.kind != "profile"]
