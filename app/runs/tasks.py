"""Read a task or a workflow under its caller's customer before it is run for the first time.

TheEye also runs a task of another organisation when its id is put under the caller's own customer, but shows it to
nobody else. The same read tells the history limit.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from app.errors import NotFound
from app.runs.history_limits import Limits
from app.theeye.callers import Caller
from app.theeye.runner import Runners

KNOWN = 10_000  # tasks and workflows that are remembered at the most; the least recently used one is dropped first
KNOWN_SECONDS = 60.0


class Tasks:
    """Remember what TheEye has shown, by customer: whether the caller may run it, the create tells."""

    def __init__(self, runners: Runners, limits: Limits) -> None:
        """Know none yet; `limits` learns from each that is read."""
        self._runners = runners
        self._limits = limits
        self._lock = threading.Lock()
        self._known: OrderedDict[str, float] = OrderedDict()  # each with the time until which it is known
        self._reading: dict[tuple[str, str], threading.Event] = {}

    def check(self, caller: Caller, name: str, seconds: float) -> None:
        """Return where the caller's customer has it, after a read of at most so many seconds if it is not known.

        `name` is that of the task or workflow in this process. Raise NotFound, Refused, Unauthorized or UpstreamFailed.
        """
        deadline = monotonic() + seconds
        if self._is_known(name):
            return
        with self._reader(name, caller.token, seconds):
            if self._is_known(name):
                return
            document = self._runners[caller.runs.kind].show(caller, deadline - monotonic())
            if (document.get("customer_id") or caller.customer_id) != caller.customer_id:
                raise NotFound(f"{caller.runs.kind.capitalize()} not found")
            self._limits.learn(name, document)
            self._remember(name)

    @contextmanager
    def _reader(self, name: str, token: str, seconds: float) -> Iterator[None]:
        """Let the first of the requests with one token read; the others wait for it, and read where it has failed.

        A caller whom TheEye never answers holds up no other one.
        """
        with self._lock:
            done = self._reading.get((name, token))
            if done is None:
                first = self._reading[name, token] = threading.Event()
        if done is not None:
            done.wait(seconds)
            yield
            return
        try:
            yield
        finally:
            with self._lock:
                del self._reading[name, token]
            first.set()

    def _is_known(self, name: str) -> bool:
        with self._lock:
            if self._known.get(name, 0.0) <= monotonic():
                return False
            self._known.move_to_end(name)
            return True

    def _remember(self, name: str) -> None:
        with self._lock:
            self._known[name] = monotonic() + KNOWN_SECONDS
            self._known.move_to_end(name)
            while len(self._known) > KNOWN:
                self._known.popitem(last=False)
