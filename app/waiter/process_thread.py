"""Run a thread in every process that needs it: a thread does not survive a fork."""

import os
import threading
from collections.abc import Callable


class ProcessThread:
    """Run `work` in one thread of each process. It starts when it is needed, so after any fork, never at import."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        """Start nothing yet."""
        self._name = name
        self._work = work
        self._starting = threading.Lock()
        self._running_in = 0  # the process id while the thread runs; `is_alive` would take 10 µs under gevent

    def ensure_running(self) -> None:
        """Start the thread in this process if it does not run."""
        if self._running_in == os.getpid():
            return
        with self._starting:
            if self._running_in != os.getpid():
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._running_in = os.getpid()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            with self._starting:  # not before `ensure_running` has set it
                self._running_in = 0
