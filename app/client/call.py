"""Follow one job through a service until its answer is here, across connections that are cut."""

from time import monotonic, sleep
from typing import Protocol
from urllib.parse import unquote

import requests

from app.client.events import answer_in, read_events
from app.client.outcome import Answer
from app.client.service import SILENT_SECONDS, Cut, Service, read_answer
from app.client.target import Target

EVENTS = "text/event-stream"
PAUSES = (0.5, 1, 2, 4, 8, 8, 8)  # seconds before each new connection after one that was cut


class Shown(Protocol):
    """Name what a call tells while it waits."""

    def job(self, target: Target) -> None:
        """Tell the job, once it is known."""

    def lifecycle(self, lifecycle: str, expected_seconds: float | None) -> None:
        """Tell what the job does now."""

    def say(self, words: str) -> None:
        """Tell what went wrong on the way."""


class Call:
    """Run a task with a body, or wait for a job that exists; `key` and `target` say what is known of it."""

    def __init__(self, service: Service, target: Target, mode: str, wait: float | None, at_once: bool = False) -> None:
        """Send nothing yet; `wait`: seconds, None for as long as the service waits."""
        self.service = service
        self.mode = mode
        self._until = None if wait is None else monotonic() + wait
        self._accept = {"Prefer": "respond-async"} if at_once else {"Accept": EVENTS}
        self._body: bytes | None = None
        self._own_key = False
        self._last_event = ""
        self.target = target
        self.key = ""
        self.was_sent = False  # the service may have had the POST

    def run(self, body: bytes, key: str, own_key: bool, shown: Shown) -> Answer:
        """Run the task and return the answer. Raise Cut.

        A key of the caller's own is a promise; ours only makes repeating safe, so a service without keys goes without.
        """
        self._body, self.key, self._own_key = body, key, own_key
        return self.follow(shown)

    def follow(self, shown: Shown) -> Answer:
        """Return the job's answer; take the same job up again after a cut. Raise Cut."""
        pauses = iter(PAUSES)
        while True:
            try:
                return self._answer(shown)
            except Cut as cut:
                self.was_sent = self.was_sent or cut.sent
                pause = next(pauses, None) if self.was_sent and (self.target.job or self.key) else None
                if pause is None:
                    raise
                shown.say(f"{cut}; taking it up again in {pause:g} s")
            sleep(pause)

    def fetch(self, query: str) -> Answer:
        """Return what a plain GET of the job answers now. Raise Cut."""
        return self.service.ask("GET", f"{self.target.path}?{query}")

    def cancel(self) -> Answer:
        """Cancel the job and return what the service says. Raise Cut."""
        return self.service.ask("DELETE", self.target.path)

    def _answer(self, shown: Shown) -> Answer:
        method, headers = ("GET", self._headers_of_get()) if self.target.job else ("POST", self._headers_of_post())
        body = self._body if method == "POST" else None
        target = self.target.path + self._query()
        with self.service.call(method, target, body, headers, self._silent_seconds()) as response:
            self._know(unquote(response.headers.get("X-Job-Id", "")), shown)
            if response.headers.get("Content-Type", "").partition(";")[0] == EVENTS:
                return self._watch(response, shown)
            answer = read_answer(response)
        if answer.code == "ENOKEYS" and self._own_key and not self.was_sent:
            self.key, self._own_key = "", False
            return self._answer(shown)
        return answer

    def _headers_of_post(self) -> dict[str, str]:
        key = {"Idempotency-Key": self.key} if self.key else {}
        return {**self._accept, "Content-Type": "application/json", **key}

    def _headers_of_get(self) -> dict[str, str]:
        return {**self._accept, **({"Last-Event-ID": self._last_event} if self._last_event else {})}

    def _query(self) -> str:
        left = self._seconds_left()
        parts = [self.mode, "" if left is None else f"wait={left:.3f}"]
        return "".join(f"{mark}{part}" for mark, part in zip("?&", filter(None, parts), strict=False))

    def _seconds_left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - monotonic())

    def _silent_seconds(self) -> float:
        """Return how long the service may be silent: it may queue for as long as it would wait."""
        return SILENT_SECONDS + (self._seconds_left() or 0.0)

    def _know(self, job: str, shown: Shown) -> None:
        if job and not self.target.job:
            self.target = self.target._replace(job=job)
            shown.job(self.target)

    def _watch(self, response: requests.Response, shown: Shown) -> Answer:
        """Return the answer at the end of a stream. Raise Cut where it ends before."""
        try:
            for event in read_events(response.iter_content(None)):
                if (answer := answer_in(event)) is not None:
                    return answer
                self._last_event = event.id or self._last_event
                if event.name == "job":  # where a proxy lets no X- headers through
                    self._know(event.data["id"], shown)
                elif event.name == "lifecycle":
                    expected = event.data.get("expected_seconds")
                    shown.lifecycle(event.data["lifecycle"], None if expected is None else round(expected, 1))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Cut("the service sent events that cannot be read", sent=True) from None
        raise Cut("the connection ended before the answer", sent=True)
