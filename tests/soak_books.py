"""The books of the soak: what each request asked for, what the stand-in saw of it, and what that makes of its answer.

Books    one page a request: its creates, its jobs, what became of its calls
Windows  which fault was open when, and what it can excuse
judge    a call and its page -> right, refused, unknown, broken, later, gone; or lost, and why
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from faults import Answer
from load import Recorder, argument_of
from servers import RawResponse
from standin import Call, Session, dumps, finished_channel
from standin import Job as StandInJob

SUPERVISOR, READS, GATEWAY, REDIS, WORKER = "supervisor", "reads", "gateway", "redis", "worker"

RIGHT, REFUSED, UNKNOWN, BROKEN, GONE = "right", "refused", "unknown", "broken", "gone"
ABANDONED, LATER, LOST = "abandoned", "later", "lost"
OUTCOMES = (RIGHT, REFUSED, UNKNOWN, BROKEN, ABANDONED, GONE, LOST)

TOO_LATE = 5.0  # seconds after its job's end, from which on nobody may be told that it goes on
KEPT_SECONDS = 90.0  # longer than any create can come after its client has gone
JOB_KEPT_SECONDS = 20.0
EXAMPLES = 40

# What a call may be told, the outcome that this is, and the faults that excuse it; without any it is lost.
EXCUSES: dict[tuple[int, str], tuple[str, set[str]]] = {
    (502, "ESUPERVISOR"): (REFUSED, {SUPERVISOR}),
    (502, "EGATEWAY"): (REFUSED, {GATEWAY}),
    (503, "EKEYSDOWN"): (REFUSED, {REDIS}),
    (503, "EHISTORY"): (REFUSED, {REDIS, WORKER, SUPERVISOR, READS}),
    (504, "EOUTCOMEUNKNOWN"): (UNKNOWN, {SUPERVISOR}),
    (502, "EOUTCOMEUNKNOWN"): (UNKNOWN, {SUPERVISOR}),
    (409, "EOUTCOMEUNKNOWN"): (UNKNOWN, {REDIS, WORKER, SUPERVISOR}),
    (409, "ESTARTING"): (REFUSED, {REDIS, WORKER, SUPERVISOR}),
    (502, "EJOBGONE"): (GONE, {REDIS}),
}
KEYED = {"EKEYSDOWN", "ESTARTING"}
GUARDED = {"EHISTORY", "EJOBGONE"}


@dataclass
class Page:
    """One request, however often it is repeated."""

    argument: str
    kind: str
    opened: float
    creates: int = 0
    jobs: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    settled: float = float("inf")


@dataclass(frozen=True)
class Exchange:
    """One call of the service, and what came back; no response where the connection broke."""

    service: str
    port: int
    sent: float
    at: float
    response: RawResponse | None = None
    error: str = ""

    @property
    def job_id(self) -> str:
        return (self.response and self.response.header("X-Job-Id")) or ""

    def body(self) -> Any:
        try:
            return json.loads(self.response.body) if self.response else None
        except ValueError:
            return None

    def code(self) -> str:
        body = self.body()
        return str(body.get("code", "")) if isinstance(body, dict) else ""


@dataclass
class Window:
    """A fault, from its beginning until it can excuse nothing any more."""

    kind: str
    touches: frozenset[str]
    began: float
    healed: float = float("inf")
    until: float = float("inf")


class Windows:
    """The faults so far, and whose connections were cut by a worker's end."""

    def __init__(self) -> None:
        self.all: list[Window] = []
        self.cut: set[tuple[str, int]] = set()  # service, the client's port

    @contextmanager
    def open(self, kind: str, touches: frozenset[str], slack: float) -> Iterator[None]:
        window = Window(kind, touches, time.monotonic())
        self.all.append(window)
        try:
            yield
        finally:
            window.healed = time.monotonic()
            window.until = window.healed + slack

    def excuse(self, touches: set[str], since: float, until: float) -> bool:
        return any(window.touches & touches for window in self._between(since, until))

    def kinds(self, since: float, until: float) -> list[str]:
        return [window.kind for window in self._between(since, until)] or ["none"]

    def first(self, since: float, until: float) -> str:
        """The fault that a delay is put down to: the first that was there, or else one just over."""
        windows = self._between(since, until)
        return next(
            (window.kind for window in windows if window.healed >= since), windows[-1].kind if windows else "none"
        )

    def counts(self) -> Counter[str]:
        return Counter(window.kind for window in self.all)

    def is_open(self, touches: str) -> bool:
        return any(touches in window.touches and window.healed == float("inf") for window in list(self.all))

    def _between(self, since: float, until: float) -> list[Window]:
        return [window for window in list(self.all) if window.began <= until and window.until >= since]


class Books:
    """All pages that are not closed for good, and the sums of those that are."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Counter[str]] = {}
        self.told: Counter[str] = Counter()
        self.late: dict[str, float] = {}
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.requests = self.creates = self.followed = 0
        self.most_pages = 0
        self.shut = False  # what comes from now on is an interrupted call's, and says nothing
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._pages: dict[str, Page] = {}

    def open(self, kind: str) -> Page:
        with self._lock:
            page = Page(f"s{next(self._numbers)}", kind, time.monotonic())
            self._pages[page.argument] = page
            self.requests += 1
            self.most_pages = max(self.most_pages, len(self._pages))
            return page

    def settle(self, page: Page) -> None:
        """Nobody asks for it any more; a create may still come."""
        page.settled = time.monotonic()

    def note(self, page: Page, outcome: str, kind: str = "", why: str = "") -> None:
        """One call's outcome."""
        if self.shut:
            return
        with self._lock:
            page.outcomes.append(outcome)
            self.outcomes.setdefault(kind or page.kind, Counter())[outcome] += 1
        if outcome == LOST:
            self.complain(self.lost, f"{kind or page.kind} {page.argument}: {why}")

    def note_told(self, exchange: Exchange) -> None:
        status = exchange.response.status if exchange.response else 0
        with self._lock:
            self.told[f"{status} {exchange.code()}".strip() if status else "no answer"] += 1

    def note_late(self, fault: str, seconds: float) -> None:
        with self._lock:
            self.late[fault] = max(self.late.get(fault, 0.0), seconds)

    def note_followed(self) -> None:
        with self._lock:
            self.followed += 1

    def complain(self, complaints: list[str], words: str) -> None:
        if self.shut:
            return
        print(f"{'LOST' if complaints is self.lost else 'DOUBLED'} {words}", flush=True)
        with self._lock:
            complaints.append(words if len(complaints) < EXAMPLES else "")

    def create_came(self, argument: str) -> None:
        with self._lock:
            self.creates += 1
            page = self._pages.get(argument)
            if page:
                page.creates += 1
            count = page.creates if page else 0
        if count != 1:
            what = f"create number {count}" if page else "a create that nobody asked for, or very late"
            self.complain(self.doubled, f"{page.kind if page else ''} {argument}: {what}")

    def job_made(self, argument: str, job_id: str) -> None:
        with self._lock:
            page = self._pages.get(argument)
            if page:
                page.jobs.append(job_id)

    def close(self, older: float = KEPT_SECONDS) -> None:
        """Closes the pages that were settled so long ago; those that were only refused must have started nothing."""
        due = time.monotonic() - older
        with self._lock:
            done = [page for page in self._pages.values() if page.settled <= due]
            for page in done:
                del self._pages[page.argument]
        for page in done:
            if page.creates and set(page.outcomes) == {REFUSED}:
                self.complain(self.lost, f"{page.kind} {page.argument}: refused, but started")

    def finished_jobs(self) -> list[str]:
        """The jobs that nobody asks for any more."""
        due = time.monotonic() - JOB_KEPT_SECONDS
        with self._lock:
            return [job for page in self._pages.values() if page.settled <= due for job in page.jobs]

    def unsettled(self) -> int:
        with self._lock:
            return sum(page.settled == float("inf") for page in self._pages.values())


class SoakTheEye(Recorder):
    """A stand-in that keeps the books, sends odd notifications when told to, and forgets what is done with."""

    def __init__(self, redis_url: str, books: Books, windows: Windows) -> None:
        self.notifications = "right"
        self._books, self._windows = books, windows
        self._sent = itertools.count(1)
        super().__init__(redis_url)

    def prune(self) -> None:
        done = self._books.finished_jobs()
        with self._changed:
            self.calls.clear()
            self._answered.clear()
            self.unheard.clear()
            for job_id in done:
                self._jobs.pop(job_id, None)
                self.ended_at.pop(job_id, None)

    def _serve(self, connection: Any, call: Call) -> bool:
        if call.kind == "create":
            self._books.create_came(argument_of(call))
        return super()._serve(connection, call)

    def _start_job(self, job: StandInJob, answer: Answer) -> None:
        self._books.job_made(str(job.document["task_arguments_values"][0]), job.id)
        super()._start_job(job, answer)

    def _publish_end(self, job: StandInJob, at_once: bool = False) -> None:
        if self.notifications == "dropped":
            return
        if self.notifications == "garbled":
            return self._send(job.session, job.id, b"\xff{garbled")
        if self.notifications == "1 MB" and next(self._sent) % 5 == 0:
            return self._send(job.session, job.id, dumps("x" * 1_000_000))
        if self.notifications == "for other jobs":
            for _ in range(20):
                self._send(job.session, f"5f{next(self._sent):022x}", b"{}")
        if self.notifications == "doubled":
            super()._publish_end(job)
        # at once: while a Redis that does not answer would hold up the create, no more than another job's end
        super()._publish_end(job, at_once and not self._windows.is_open(REDIS))

    def _send(self, session: Session, job_id: str, payload: bytes) -> None:
        if self._publisher and self._server:
            self._publisher.later(finished_channel(session, job_id), payload)


@dataclass(frozen=True)
class Verdict:
    """What a call came to; `why` it is lost."""

    outcome: str
    why: str = ""


class Judge:
    """Tells right from lost."""

    def __init__(self, books: Books, windows: Windows, theeye: Recorder) -> None:
        self._books, self._windows, self._theeye = books, windows, theeye

    def judge(self, page: Page, exchange: Exchange) -> Verdict:
        self._books.note_told(exchange)
        response = exchange.response
        if response is None or not response.complete:
            return self._without_answer(exchange)
        if response.status == 200:
            return self._answered(page, exchange)
        if response.status == 202 or exchange.code() == "ETIMEISUP":
            return self._told_to_come_back(page, exchange)
        return self._told_off(page, exchange)

    def judge_look(self, page: Page, exchange: Exchange) -> Verdict:
        """The same for a GET: what fails in passing may be asked again."""
        verdict = self.judge(page, exchange)
        since, until = exchange.sent, exchange.at
        passing = exchange.code() == "ESUPERVISOR" and self._windows.excuse({READS, SUPERVISOR}, since, until)
        return Verdict(REFUSED) if passing else verdict

    def _without_answer(self, exchange: Exchange) -> Verdict:
        if "ConnectionRefusedError" in exchange.error:
            return Verdict(REFUSED)
        if (exchange.service, exchange.port) in self._windows.cut:
            return Verdict(BROKEN)
        return Verdict(LOST, f"{self._when(exchange)} no answer: {exchange.error or 'cut short'}")

    def _answered(self, page: Page, exchange: Exchange) -> Verdict:
        if exchange.body() != [page.argument] or exchange.job_id not in page.jobs:
            return Verdict(LOST, f"wrong answer, {self._words(exchange)}")
        ended = self._theeye.ended_at.get(exchange.job_id, exchange.at)
        since = max(ended, exchange.sent)
        self._books.note_late(self._windows.first(since, exchange.at), exchange.at - since)
        return Verdict(RIGHT)

    def _told_to_come_back(self, page: Page, exchange: Exchange) -> Verdict:
        if exchange.job_id not in page.jobs:
            return Verdict(LOST, f"not its own job, {self._words(exchange)}")
        ended = self._theeye.ended_at.get(exchange.job_id, exchange.at)
        if exchange.at - ended > TOO_LATE:
            return Verdict(LOST, f"said to go on {exchange.at - ended:.1f} s after its end, {self._words(exchange)}")
        return Verdict(LATER)

    def _told_off(self, page: Page, exchange: Exchange) -> Verdict:
        code = exchange.code()
        status = exchange.response.status if exchange.response else 0
        outcome, touches = EXCUSES.get((status, code), (LOST, set()))
        # what a repeated request is told has its reason in the first one; a place in the line outlives a fault
        since = page.opened if status == 409 else exchange.sent - (20 if code == "EHISTORY" else 0)
        excused = self._windows.excuse(touches, since, exchange.at)
        odd = (code in KEYED and page.kind != "keyed") or (code in GUARDED and page.kind != "guarded")
        if outcome == LOST or not excused or odd or (outcome == REFUSED and exchange.job_id):
            return Verdict(LOST, f"no reason for it, {self._words(exchange)}")
        return Verdict(outcome)

    def _words(self, exchange: Exchange) -> str:
        response = exchange.response
        told = f"{response.status} {response.body[:300]!r}" if response else exchange.error
        return f"{self._when(exchange)} {exchange.job_id} {told}"

    def _when(self, exchange: Exchange) -> str:
        faults = ", ".join(self._windows.kinds(exchange.sent, exchange.at))
        took = exchange.at - exchange.sent
        return f"at {exchange.service} after {took:.2f} s, ended {exchange.at:.2f}, faults: {faults}:"
