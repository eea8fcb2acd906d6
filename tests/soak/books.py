"""Keep the books of the soak: what each request wanted, and which calls the stand-in got for it.

Books    one page a request: its creates, its jobs, what became of its calls
Windows  which fault was open when, and what it can excuse
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

SUPERVISOR, READS, GATEWAY, REDIS, WORKER = "supervisor", "reads", "gateway", "redis", "worker"

RIGHT, REFUSED, UNKNOWN, BROKEN, GONE = "right", "refused", "unknown", "broken", "gone"
ABANDONED, LATER, LOST = "abandoned", "later", "lost"
OUTCOMES = (RIGHT, REFUSED, UNKNOWN, BROKEN, ABANDONED, GONE, LOST)

KEPT_SECONDS = 90.0  # longer than any create can come after its client has gone
JOB_KEPT_SECONDS = 20.0
EXAMPLES = 40


@dataclass
class Page:
    """Record one request and its repetitions."""

    argument: str
    kind: str
    opened: float
    creates: int = 0
    jobs: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    settled: float = float("inf")


@dataclass
class Window:
    """Record a fault, from its beginning until it can excuse nothing any more."""

    kind: str
    touches: Set[str]
    began: float
    healed: float = float("inf")
    until: float = float("inf")


class Windows:
    """Record the faults so far, and whose connections were cut by a worker's end."""

    def __init__(self) -> None:
        self.all: list[Window] = []
        self.cut: set[tuple[str, int]] = set()  # worker, the client's port

    @contextmanager
    def open(self, kind: str, touches: Set[str], slack: float) -> Iterator[None]:
        window = Window(kind, touches, time.monotonic())
        self.all.append(window)
        try:
            yield
        finally:
            window.healed = time.monotonic()
            window.until = window.healed + slack

    def excuse(self, touches: Set[str], since: float, until: float) -> bool:
        return any(window.touches & touches for window in self._between(since, until))

    def kinds(self, since: float, until: float) -> list[str]:
        return [window.kind for window in self._between(since, until)] or ["none"]

    def first(self, since: float, until: float) -> str:
        """Return the fault that explains a delay: the first that was active, or else one that has just ended."""
        windows = self._between(since, until)
        there = [window for window in windows if window.healed >= since] or windows[-1:]
        return there[0].kind if there else "none"

    def counts(self) -> Counter[str]:
        return Counter(window.kind for window in self.all)

    def is_open(self, touches: str) -> bool:
        return any(touches in window.touches and window.healed == float("inf") for window in list(self.all))

    def _between(self, since: float, until: float) -> list[Window]:
        return [window for window in list(self.all) if window.began <= until and window.until >= since]


class Books:
    """Hold all open pages, and the sums of the closed ones."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Counter[str]] = {}
        self.late: dict[str, float] = {}
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.requests = self.creates = 0
        self.shut = False  # what comes from now on is an interrupted call's, and says nothing
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._pages: dict[str, Page] = {}

    def open(self, kind: str) -> Page:
        with self._lock:
            page = Page(f"s{next(self._numbers)}", kind, time.monotonic())
            self._pages[page.argument] = page
            self.requests += 1
            return page

    def settle(self, page: Page) -> None:
        """Note that no caller will ask for it any more; a create may still arrive."""
        page.settled = time.monotonic()

    def note(self, page: Page, outcome: str, kind: str = "", why: str = "") -> None:
        """Note the outcome of one call."""
        if self.shut:
            return
        kind = kind or page.kind
        with self._lock:
            page.outcomes.append(outcome)
            self.outcomes.setdefault(kind, Counter())[outcome] += 1
        if outcome == LOST:
            self.complain(self.lost, f"{kind} {page.argument}: {why}")

    def note_late(self, fault: str, seconds: float) -> None:
        with self._lock:
            self.late[fault] = max(self.late.get(fault, 0.0), seconds)

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
        if page is None:
            self.complain(self.doubled, f"{argument}: a create that nobody asked for, or very late")
        elif page.creates > 1:
            self.complain(self.doubled, f"{page.kind} {argument}: create number {page.creates}")

    def job_made(self, argument: str, job_id: str) -> None:
        with self._lock:
            if page := self._pages.get(argument):
                page.jobs.append(job_id)

    def close(self, older: float = KEPT_SECONDS) -> None:
        """Close the pages that were settled long ago; those that were only refused must have started nothing."""
        due = time.monotonic() - older
        with self._lock:
            done = [page for page in self._pages.values() if page.settled <= due]
            for page in done:
                del self._pages[page.argument]
        for page in done:
            if page.creates and set(page.outcomes) == {REFUSED}:
                self.complain(self.lost, f"{page.kind} {page.argument}: refused, but started")

    def finished_jobs(self) -> list[str]:
        """Return the jobs that no caller will ask for any more."""
        due = time.monotonic() - JOB_KEPT_SECONDS
        with self._lock:
            return [job for page in self._pages.values() if page.settled <= due for job in page.jobs]
