"""Run a thread in every process that needs it: a thread does not survive a fork."""

import os
import threading
from collections.abc import Callable


class ProcessThread:
    """Run `work` in one thread of each process. It starts with the first need, so after any fork, never at import."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        """Start nothing yet."""
        self._name = name
        self._work = work
        self._starting = threading.Lock()
        self._running_in = 0  # process id, while the thread lives: gevent takes 10 µs to say whether a thread does

    def ensure_running(self) -> None:
        """Start the thread in this process, also again where it has ended."""
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
            with self._starting:  # not before `ensure_running` is done
                self._running_in = 0
