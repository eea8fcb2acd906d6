"""Read a task or workflow with the caller's token before its first run, to check that it is the caller's.

TheEye would also run a task of another organisation under the caller's customer, but shows it only to its own. The
answer also contains the history limit.
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

KNOWN = 10_000  # at most so many tasks and workflows are remembered; the least recently used one is dropped
KNOWN_SECONDS = 60.0


class Tasks:
    """Remember which tasks and workflows belong to a customer. The create checks whether the caller may run one."""

    def __init__(self, runners: Runners, limits: Limits) -> None:
        """Start empty; `limits` learns from each document that is read."""
        self._runners = runners
        self._limits = limits
        self._lock = threading.Lock()
        self._known: OrderedDict[str, float] = OrderedDict()  # each with the time until which it is remembered
        self._reading: dict[tuple[str, str], threading.Event] = {}

    def check(self, caller: Caller, name: str, seconds: float) -> None:
        """Check that the task or workflow belongs to the caller's customer; read it within `seconds` if it is unknown.

        `name` is this service's own name of it. Raise NotFound, Refused, Unauthorized or UpstreamFailed.
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
        """Let one request for each token read; let the others with that token wait for it, and read if it fails.

        A caller whom TheEye never answers does not delay other callers.
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
