"""Call a function at intervals in a thread, in every process that needs it."""

import logging
import threading
from collections.abc import Callable

from app.waiter.process_thread import ProcessThread

log = logging.getLogger("theeye_sync")


class Ticker:
    """Call `work` every `seconds`; log its errors and go on."""

    def __init__(self, name: str, work: Callable[[], None], seconds: float = 1.0, at_once: bool = False) -> None:
        """Start nothing yet; `at_once` means no pause before the first call."""
        self._name = name
        self._work = work
        self._seconds = seconds
        self._at_once = at_once
        self._woken = threading.Event()
        self._is_stopped = False
        self._thread = ProcessThread(name, self._run)

    def ensure_running(self) -> None:
        """Start the thread in this process if it does not run; do nothing after `stop`."""
        if not self._is_stopped:
            self._thread.ensure_running()

    def hurry(self) -> None:
        """Call `work` at once, and then every `seconds` again."""
        self._woken.set()
        self.ensure_running()

    def stop(self) -> None:
        """End the thread after the current call; it never starts again."""
        self._is_stopped = True
        self._woken.set()

    def _run(self) -> None:
        pause = 0.0 if self._at_once else self._seconds
        while True:
            self._woken.wait(pause)
            self._woken.clear()
            if self._is_stopped:
                return
            pause = self._seconds
            try:
                self._work()
            except Exception:
                log.exception("%s", self._name)
