"""Run or follow one job until its answer arrives; reconnect when a connection is cut."""

import re
from time import monotonic, sleep
from typing import Protocol
from urllib.parse import unquote

import requests

from app.client.events import answer_in, lifecycle_in, read_events
from app.client.offer import Offer, read_offer
from app.client.outcome import Answer
from app.client.service import SILENT_SECONDS, Cut, Service, read_answer
from app.client.target import Target

EVENTS = "text/event-stream"
PAUSES = (0.5, 1, 2, 4, 8, 8, 8)  # seconds to wait before each reconnection
_WHOLE_ID = re.compile("[0-9a-f]{24}")  # TheEye's ids of jobs


class Shown(Protocol):
    """Define what shows the progress of a call."""

    def job(self, target: Target) -> None:
        """Show the job, once it is known."""

    def lifecycle(self, lifecycle: str, expected_seconds: float | None) -> None:
        """Show the job's lifecycle."""

    def say(self, words: str) -> None:
        """Show a problem."""


class Call:
    """Run a task, or wait for an existing job. `key` and `target` hold what is known of it, also after an error."""

    def __init__(self, service: Service, target: Target, mode: str, wait: float | None, at_once: bool = False) -> None:
        """Send nothing yet. `wait` is in seconds; None means as long as the service waits."""
        self.service = service
        self.mode = mode
        self._until = None if wait is None else monotonic() + wait
        self._accept = {"Prefer": "respond-async"} if at_once else {"Accept": EVENTS}
        self._body: bytes | None = None
        self._own_key = False
        self._last_event = ""
        self._expected: float | None = None  # seconds; the events of a workflow's tasks do not repeat them
        self.target = target
        self.key = ""
        self.was_begun = False  # a POST was tried
        self.was_sent = False  # the service may have had it
        self._offer: Offer | None = None

    def run(self, body: bytes, key: str, own_key: bool, shown: Shown) -> Answer:
        """Run the task and return the answer. Raise Misuse for a mode that the service does not have, or Cut.

        `own_key` means that this program made the key: if the service supports no keys, the task runs without it. A key
        that the caller has chosen is never left out.
        """
        self._body, self.key, self._own_key = body, key, own_key
        return self.follow(shown)

    def follow(self, shown: Shown) -> Answer:
        """Return the job's answer; after a cut reconnect to the same job. Raise Misuse or Cut."""
        pauses = iter(PAUSES)
        while True:
            try:
                return self._answer(shown)
            except Cut as cut:
                self.was_sent = self.was_sent or cut.sent
                pause = next(pauses, None) if self.was_sent and (self.target.job or self.key) else None
                if pause is None:
                    raise
                shown.say(f"{cut}; asking again in {pause:g} s")
            sleep(pause)

    def fetch(self, query: str) -> Answer:
        """Return the answer of a GET of the job, without waiting for events. Raise Cut."""
        return self.service.ask("GET", f"{self.target.path}?{query}")

    def cancel(self) -> Answer:
        """Cancel the job and return the service's answer. Raise Cut."""
        return self.service.ask("DELETE", self.target.path)

    def _answer(self, shown: Shown) -> Answer:
        silent_seconds = self._silent_seconds(self._known_offer())
        method, headers = ("GET", self._headers_of_get()) if self.target.job else ("POST", self._headers_of_post())
        self.was_begun = self.was_begun or method == "POST"
        body = self._body if method == "POST" else None
        target = self.target.path + self._query()
        with self.service.call(method, target, body, headers, silent_seconds) as response:
            job = unquote(response.headers.get("X-Job-Id", ""))
            if _WHOLE_ID.fullmatch(job):  # the connection's end may have cut it, see read_answer
                self._know(job, shown)
            if response.headers.get("Content-Type", "").partition(";")[0] == EVENTS:
                return self._watch(response, shown)
            answer = read_answer(response)
            self._know(job, shown)
        if answer.code == "ENOKEYS" and (self._own_key or self.was_sent):
            self.key, self._own_key = "", False
            if self.was_sent:  # to another instance, which may have keys
                raise Cut("the service that answers now supports no keys to find the job with", sent=True)
            return self._answer(shown)
        return answer

    def _known_offer(self) -> Offer:
        """Return what the service offers; ask for it once, and only if the call depends on it."""
        if self._offer is None and (self.mode or not self.target.job):
            self._offer = read_offer(self.service)
            self._offer.check(self.mode)
        return self._offer or Offer()

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

    def _silent_seconds(self, offer: Offer) -> float:
        """Return how many seconds the service may be silent; it may queue the request for the whole wait."""
        left = self._seconds_left()
        return SILENT_SECONDS + (offer.wait_seconds if left is None else min(left, offer.wait_seconds))

    def _know(self, job: str, shown: Shown) -> None:
        if job and not self.target.job:
            self.target = self.target._replace(job=job)
            shown.job(self.target)

    def _watch(self, response: requests.Response, shown: Shown) -> Answer:
        """Return the answer at the end of a stream. Raise Cut if the stream ends without one."""
        try:
            for event in read_events(response.iter_content(None)):
                if (answer := answer_in(event)) is not None:
                    return answer
                self._last_event = event.id or self._last_event
                if event.name == "job":  # a proxy may have removed X-Job-Id
                    self._know(event.data["id"], shown)
                elif event.name == "lifecycle":
                    self._expected = event.data.get("expected_seconds", self._expected)
                    shown.lifecycle(lifecycle_in(event.data), self._expected and round(self._expected, 1))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Cut("the service sent events that cannot be read", sent=True) from None
        raise Cut("the connection ended before the answer", sent=True)
