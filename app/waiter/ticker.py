"""Do something again and again in a thread, in every process that needs it."""

import logging
import os
import threading
from collections.abc import Callable

log = logging.getLogger("theeye_sync")


class Ticker:
    """Call `work` every `seconds`. Its thread starts with the first need, so after any fork, and never at import."""

    def __init__(self, name: str, work: Callable[[], None], seconds: float = 1.0, at_once: bool = False) -> None:
        """Start nothing yet; `at_once`: do not pause before the first call.

        An error of `work` is logged and does not end the thread.
        """
        self._name = name
        self._work = work
        self._seconds = seconds
        self._at_once = at_once
        self._woken = threading.Event()
        self._is_stopped = False
        self._starting = threading.Lock()
        self._running_in = 0  # process id, while the thread lives: gevent takes 10 µs to say whether a thread does

    def ensure_running(self) -> None:
        """Start the thread in this process, also again where it was ended."""
        if self._running_in == os.getpid():
            return
        with self._starting:
            if self._running_in != os.getpid() and not self._is_stopped:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._running_in = os.getpid()

    def hurry(self) -> None:
        """Have `work` called at once, and after `seconds` again."""
        self._woken.set()
        self.ensure_running()

    def stop(self) -> None:
        """End the thread after the call that is under way; it never starts again."""
        self._is_stopped = True
        self._woken.set()

    def _run(self) -> None:
        pause = 0.0 if self._at_once else self._seconds
        try:
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
        finally:
            with self._starting:  # not before `ensure_running` is done
                self._running_in = 0
